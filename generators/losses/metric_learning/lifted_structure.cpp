#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(lifted_structure, "metric_learning") {
  about({
      .title = "Lifted structured loss",
      .paper = "Oh Song et al. 2016 (Deep Metric Learning via Lifted Structured Feature Embedding), eq. 4",
      .equation = "1/(2|P|) sum_{(i, j) in P} max(0, J_ij)^2, P the ordered pairs of one class, J_ij = log(sum_{k: y_k != y_i} "
                  "exp(m - d_ik) + sum_{l: y_l != y_j} exp(m - d_jl)) + d_ij",
      .edges = "Without positives, or without negatives, the loss is 0. Points that coincide have distance 0 and gradient 0.",
  });
  auto [i, j] = batch_pair("N", "rows");
  auto d = axis("D", "features");
  auto x = tensor("embedding", {i, d}, "one row per item; Euclidean distance");
  auto y = labels("label", {i}, "class of each row");
  auto m = param("margin", 1, "distance from which a negative counts little");

  auto dist = sqrt(sqdist(d, x(i, d), x(j, d)));
  auto pos = y(i) == y(j) && i != j;
  auto negative = logsumexp(j, m - dist, y(i) != y(j));
  auto lifted = log_add_exp({negative, at(negative, i, j)}) + dist;
  loss_total(sum(i, sum(j, sq(relu(lifted)), pos)) / max(2 * sum(i, count(j, pos)), 1));
}
