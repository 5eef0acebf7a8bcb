#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(batch_all_triplet, "metric_learning") {
  about({
      .title = "Batch-all triplet loss",
      .paper = "Hermans, Beyer and Leibe 2017 (In Defense of the Triplet Loss), eq. 6, mean over the terms that are not 0",
      .equation = "L = sum_{i, p, n: y_p = y_i, p != i, y_n != y_i} max(0, D_ip - D_in + margin) / #{terms > 0}, "
                  "D = |z_i - z_j|",
      .edges = "A row without a positive or without a negative is dropped. Without a term above 0 the loss is 0; the "
               "number of terms is a constant of the gradient. Row i of reduction none is the sum over its triplets. "
               "Equal embeddings are at distance 0 with gradient 0.",
  });
  auto [i, p] = batch_pair("N", "anchors");
  auto n = twin(i, "n"), d = axis("D", "features");
  auto z = tensor("embedding", {i, d}, "one row per item; any real, not normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  auto margin =
      param("margin", 5, "wanted gap between negative and positive, 0.05 to 0.3 for unit vectors; >= 0").at_least(0);

  auto dist = norm(d, z(i, d) - z(p, d));
  auto gap = relu(dist - at(dist, p, n) + margin);
  auto same = y(i) == y(p), pos = same && i != p, neg = y(i) != y(n);
  auto active = sum(p, count(n, neg && gap != 0), pos);
  loss_per(i, sum(p, sum(n, gap, neg), pos), any(p, pos) && any(p, !same), {.weight = active});
}
