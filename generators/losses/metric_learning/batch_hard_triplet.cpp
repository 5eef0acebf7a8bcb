#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(batch_hard_triplet, "metric_learning") {
  about({
      .title = "Batch-hard triplet loss",
      .paper = "Hermans, Beyer and Leibe 2017 (In Defense of the Triplet Loss), eq. 5",
      .equation = "L_i = max(0, margin + max_{p: y_p = y_i, p != i} D_ip - min_{n: y_n != y_i} D_in)",
      .edges =
          "A row without a positive or without a negative is dropped. Of equally far positives (near negatives) the "
          "lowest index is taken. Two equal embeddings are at distance 0 with gradient 0; the hinge is flat at 0.",
  });
  auto [i, j] = batch_pair("N", "anchors");
  auto d = axis("D", "features");
  auto distance = option("distance", {"euclidean", "squared"}, "D is |z_i - z_j| or its square").at_runtime();
  auto z = tensor("embedding", {i, d}, "one row per item; any real, not normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  auto margin = param("margin", 5, "wanted gap between negative and positive, in the units of D; >= 0").at_least(0);

  auto d2 = sqdist(d, z(i, d), z(j, d));
  auto same = y(i) == y(j), pos = same && i != j, neg = !same;
  auto to = [&](Expr k) {
    auto gap = z(i, d) - z(k, d);
    return select(distance.chosen("squared"), sum(d, sq(gap)), norm(d, gap));
  };
  loss_per(i, relu(margin + to(argmax(j, d2, pos)) - to(argmin(j, d2, neg))), any(j, pos) && any(j, neg));
}
