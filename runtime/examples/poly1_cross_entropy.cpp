#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(poly1_cross_entropy, "classification") {
  about({.title = "Poly-1 cross-entropy",
         .paper = "Leng et al. 2022 (PolyLoss), eq. 3",
         .equation = "-log p_y + epsilon (1 - p_y), p = softmax(x)",
         .edges = "epsilon = 0: cross-entropy"});
  auto i = axis("N", "rows"), c = axis("C", "classes");
  auto x = tensor("logits", {i, c}, "unnormalised log-probabilities");
  auto y = labels("target", {i}, "class of each row, 0 to C - 1").in_range(c);
  auto epsilon = param("epsilon", 1, "weight of the first polynomial term; >= -1").at_least(-1);
  auto log_p = x(i, y(i)) - logsumexp(c, x(i, c));
  loss_per(i, epsilon * (1 - exp(log_p)) - log_p);
}
