#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(focal_sigmoid, "detection") {
  about({
      .title = "Focal loss, sigmoid form",
      .paper = "Lin et al. 2017 (Focal Loss for Dense Object Detection), eq. 5",
      .equation = "p = sigmoid(x), m = y (1-p) + (1-y) p, a = alpha y + (1-alpha)(1-y); "
                  "L = a m^gamma (-y log p - (1-y) log(1-p)); m = 1 - p_t is the miss",
      .edges =
          "With no positive the mean divides by 1. gamma = 0 is weighted binary cross-entropy, with finite gradients "
          "everywhere; the target -1 (index) is a row without a positive, all of whose classes are negatives.",
      .note =
          "The mean divides the sum over all anchors and classes by the number of positives, as in RetinaNet and FCOS.",
  });
  auto n = axis("N", "anchors"), c = axis("C", "classes");
  auto target = option("target", {"dense", "index"}, "a value per anchor and class, or one class per anchor");
  auto normaliser = option("normaliser", {"positives", "elements", "none"},
                           "what the mean divides by: max(sum of y, 1), the number of anchors times classes, or 1");
  auto logits = tensor("logits", {n, c}, "log-odds of each class; any real");
  auto alpha =
      param("alpha", 0.25, "weight of positives, negatives get 1 - alpha; 0 to 1, below 0: off").between(-1, 1);
  auto gamma = param("gamma", 2, "focusing exponent; >= 0").at_least(0);

  auto x = logits(n, c);
  auto y = target.is("index")
               ? number(c == labels("target_class", {n}, "class of each anchor, -1: none").in_range(c).or_minus_one()(n))
               : tensor("target", {n, c}, "1 positive, 0 negative, between: soft label").constant()(n, c);
  auto u = select(y == 1, -x, x);  // log-odds of missing a hard target
  Expr bce = softplus(u), log_miss = log_sigmoid(u);
  if (target.is("dense")) {
    auto soft = y > 0 && y < 1;
    bce = select(soft, softplus(x) - y * x, bce);
    log_miss = select(soft, log(y * sigmoid(-x) + (1 - y) * sigmoid(x)), log_miss);
  }
  auto a = select(alpha < 0, 1, alpha * y + (1 - alpha) * (1 - y));
  // The power by way of the logarithm: a miss that underflows to 0 has no 0 * inf in its gradient.
  auto loss = a * exp(gamma * log_miss) * bce;
  loss_per({n, c}, loss, {},
           normaliser.is("positives")  ? MeanRule{.weight = y, .at_least = 1}
           : normaliser.is("elements") ? MeanRule{}
                                       : MeanRule{.weight = number(0), .at_least = 1});
}
