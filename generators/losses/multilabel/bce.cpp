#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(bce, "multilabel") {
  about({
      .title = "Binary cross-entropy",
      .paper = "Good 1952 (Rational Decisions); as torch BCEWithLogitsLoss and BCELoss",
      .equation = "logits: c y softplus(-x) + (1-y) softplus(x); probabilities: -c y log p - (1-y) log(1-p), "
                  "each log at least -100",
      .edges = "A label of exactly 0 or 1 drops the other term, whatever the logit. Probability form: the gradient is "
               "-(c y / p - (1-y) / (1-p)) with p (1-p) at least 1e-12, as in torch; p outside [0, 1] gives NaN.",
      .note = "torch's `weight` is the row weight together with the number of elements as the denominator. KL online "
              "regression on perturbed predictions is logits = f + c_p * perturbation with soft targets.",
  });
  auto n = axis("N", "rows").flat(), c = axis("C", "labels");
  auto input = option("input", {"logits", "probability"}, "log-odds, or probabilities (less exact near 0 and 1)");
  auto target = tensor("target", {n, c}, "1 positive, 0 negative, between: soft label").constant();
  auto pos_weight = tensor("pos_weight", {c}, "factor c of the positives of each label, >= 0; 1 if absent");
  auto weight = pos_weight.constant().optional();

  auto y = target(n, c), pos = weight.given() ? weight(c) * y : y;
  if (input.is("logits")) {
    auto x = tensor("logits", {n, c}, "log-odds; any real")(n, c);
    loss_per({n, c}, select(y == 1, 0, (1 - y) * softplus(x)) + select(y == 0, 0, pos * softplus(-x)));
  } else {
    auto p = tensor("probability", {n, c}, "0 to 1")(n, c);
    auto loss = -pos * max(log(p), -100) - (1 - y) * max(log(1 - p), -100);
    loss_per({n, c}, custom_gradient(loss, {{p, ((1 - y) * p - pos * (1 - p)) / max(p * (1 - p), 1e-12)}}));
  }
}
