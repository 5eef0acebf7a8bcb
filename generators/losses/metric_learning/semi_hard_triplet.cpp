#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(semi_hard_triplet, "metric_learning") {
  about({
      .title = "Semi-hard triplet loss",
      .paper = "Schroff, Kalenichenko and Philbin 2015 (FaceNet), section 3.2",
      .equation = "for each i, p: n = argmin {D_in: D_in > D_ip}, or argmax D_in if there is none; "
                  "L = mean over pairs (i, p) of max(0, D_ip - D_in + margin)",
      .edges = "Row i of reduction none is the sum over its positives; the mean divides by the pairs. A row without a "
               "positive or without a negative is dropped. Negatives at equal distance share the gradient. Equal "
               "embeddings are at distance 0 with gradient 0.",
  });
  auto [i, p] = batch_pair("N", "anchors");
  auto n = twin(i, "n"), d = axis("D", "features");
  auto z = tensor("embedding", {i, d}, "one row per item; any real, not normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  auto margin = param("margin", 5, "wanted gap between negative and positive, in the units of D; >= 0").at_least(0);

  auto dist = norm(d, z(i, d) - z(p, d)), far = at(dist, p, n);
  auto same = y(i) == y(p), pos = same && i != p, neg = y(i) != y(n);
  auto harder = neg && far > dist;
  auto nearest = select(any(n, harder), min(n, far, harder), max(n, far, neg));
  loss_per(i, sum(p, relu(dist - nearest + margin), pos), any(p, pos) && any(p, !same), {.weight = count(p, pos)});
}
