#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(poly1_cross_entropy, "classification") {
  about({
      .title = "Poly-1 cross-entropy, and Poly-N",
      .paper = "Leng et al. 2022 (PolyLoss), eqs. 3 and 4",
      .equation = "p = softmax(x); L = -log p_y + epsilon (1 - p_y); with higher: + sum_j higher_j (1 - p_y)^(j+2), "
                  "j = 0, 1, ...; distribution t: -log p_y becomes -sum_c t_c log p_c, p_y becomes sum_c t_c p_c",
      .edges = "Rows whose target is ignore_index are dropped. epsilon = 0 is cross-entropy. A logit of -inf is a class "
               "ruled out: +inf loss where it is the target. A row whose logits are all -inf, or hold +inf, gives NaN.",
  });
  auto n = axis("N", "rows"), c = axis("C", "classes"), j = axis("J", "further terms of the polynomial");
  auto target = option("target", {"index", "probability"}, "one class per row, or a distribution over the classes");
  auto logits = tensor("logits", {n, c}, "unnormalised log-probabilities; any real, -inf rules a class out");
  auto higher = tensor("higher", {j}, "weights of (1 - p_y)^2, (1 - p_y)^3, ...; none if absent").optional().constant();
  auto epsilon = param("epsilon", 1, "weight of 1 - p_y; from -1 up the loss falls as p_y grows").at_least(-1);
  auto ignore_index = param("ignore_index", -100, "target value of the rows to drop; used by target = index").integer();

  auto x = logits(n, c);
  auto lse = logsumexp(c, x);
  auto poly = [&](Expr nll, Expr miss) {
    Expr loss = nll + epsilon * miss;
    return higher.given() ? loss + sum(j, higher(j) * pow(miss, j + 2)) : loss;
  };
  if (target.is("index")) {
    auto y = labels("target", {n}, "class of each row, or ignore_index").in_range(c).ignoring(ignore_index)(n);
    auto nll = lse - at(x, c, y);
    loss_per(n, poly(nll, -expm1(-nll)), y != ignore_index);
  } else {
    auto t = tensor("target_probability", {n, c}, ">= 0, sum 1 over the classes").constant()(n, c);
    loss_per(n, poly(sum(c, t * (lse - x), t != 0), sum(c, t * (1 - softmax(c, x)))));
  }
}
