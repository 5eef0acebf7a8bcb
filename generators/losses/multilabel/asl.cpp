#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(asl, "multilabel") {
  about({
      .title = "Asymmetric loss (ASL)",
      .paper = "Ridnik et al. 2021 (Asymmetric Loss For Multi-Label Classification), eqs. 4 to 7; defaults of its code",
      .equation = "multi: p = sigmoid(x), r = max(p - m, 0), L = -y (1-p)^g+ log max(p, eps) - (1-y) r^g- log max(1-r, eps); "
                  "single: p = softmax(x), L = -(1-s) (1-p_y)^g+ log p_y - s/C (that + sum_{c != y} p_c^g- log p_c)",
      .edges = "Negatives with p <= m have loss and gradient 0. A label of exactly 0 or 1 drops the other term.",
      .note = "The reduction of the authors is the sum for multi, the mean for single. detach_focus = on is their "
              "AsymmetricLoss, off their AsymmetricLossOptimized.",
  });
  auto n = axis("N", "rows"), c = axis("C", "labels or classes");
  auto form = option("form", {"multi", "single"}, "any number of labels per row, or one class");
  auto detach = option("detach_focus", {"off", "on"}, "on: the focusing factors count as constants in the gradient")
                    .at_runtime();
  auto logits = tensor("logits", {n, c}, "log-odds (multi) or unnormalised log-probabilities (single); any real");
  auto g_neg = param("gamma_negative", 4, "focusing exponent of the negatives; >= 0").at_least(0);
  auto m = param("clip", 0.05, "margin m taken off the probability of negatives (multi), 0 to 1").between(0, 1);
  auto eps = param("eps", 1e-8, "least argument of the logarithms (multi); > 0").positive();
  auto smooth = param("label_smoothing", 0.1, "share s of the target spread evenly (single), 0 to 1").between(0, 1);

  auto x = logits(n, c);
  auto focus = [&](Arg gamma, Expr log_miss) {  // miss^gamma; by the logarithm, so that 0^(gamma - 1) is not met
    auto w = select(gamma == 0, 1, exp(gamma * log_miss));
    return select(detach.chosen("on"), stop_gradient(w), w);
  };
  if (form.is("multi")) {
    auto g_pos = param("gamma_positive", 1, "focusing exponent of the positives (multi; paper: 0); >= 0").at_least(0);
    auto y = tensor("target", {n, c}, "1 positive, 0 negative, between: soft label").constant()(n, c);
    auto p = sigmoid(x), over = select(p <= m, 1, p - m);
    auto log_r = select(m > 0, log(over), log_sigmoid(x)), log_rest = select(m > 0, log1p(-over), -softplus(x));
    auto pos = y * focus(g_pos, -softplus(x)) * max(log_sigmoid(x), log(eps));
    auto neg = (1 - y) * focus(g_neg, log_r) * max(log_rest, log(eps));
    loss_per({n, c}, -select(y == 0, 0, pos) - select(y == 1 || p <= m, 0, neg));
  } else {
    auto g_pos = param("gamma_positive_single", 0, "focusing exponent of the row's class (single); >= 0").at_least(0);
    auto y = labels("target_class", {n}, "class of each row, 0 to C - 1").in_range(c)(n);
    auto lse = logsumexp(c, x), log_p = at(x, c, y) - lse;
    auto pos = focus(g_pos, logsumexp(c, x, c != y) - lse) * log_p;
    auto neg = sum(c, focus(g_neg, x - lse) * (x - lse), c != y);
    loss_per(n, -(1 - smooth) * pos - select(smooth > 0, smooth / extent(c) * (pos + neg), 0));
  }
}
