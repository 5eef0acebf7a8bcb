#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(semi_hard_triplet, "metric_learning") {
  about({
      .title = "Semi-hard triplet loss",
      .paper = "Schroff, Kalenichenko and Philbin 2015 (FaceNet), section 3.2",
      .equation = "for each i, p: n = argmin {D_in: D_in > D_ip}, or argmax D_in if there is none; "
                  "L = mean over pairs (i, p) of max(0, D_ip - D_in + margin)",
      .edges = "Row i of reduction none is the sum over its positives; the mean divides by the pairs. A row without a "
               "positive or without a negative is dropped. Of negatives at equal distance the lowest index is taken. "
               "Equal embeddings are at distance 0 with gradient 0. A distance that is NaN makes its pairs NaN.",
  });
  auto [i, p] = batch_pair("N", "anchors");
  auto n = twin(i, "n"), d = axis("D", "features");
  auto z = tensor("embedding", {i, d}, "one row per item; any real, not normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  auto margin = param("margin", 5, "wanted gap between negative and positive, in the units of D; >= 0").at_least(0);

  auto dist = norm(d, z(i, d) - z(p, d)), far = at(dist, p, n);
  auto same = y(i) == y(p), pos = same && i != p, neg = y(i) != y(n);
  auto harder = neg && !(far <= dist);  // holds of a NaN, too
  auto chosen = select(any(n, harder), argmin(n, far, harder), argmax(n, far, neg));
  // Not at(dist, p, chosen), which would take the distance of each pair anew from the embeddings.
  auto hinge = relu(dist - sum(n, far, n == chosen) + margin);
  loss_per(i, sum(p, hinge, pos), any(p, pos) && any(p, !same), {.weight = count(p, pos)});
}
