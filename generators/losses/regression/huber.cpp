#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(huber, "regression") {
  about({
      .title = "Huber loss",
      .paper = "Huber 1964 (Robust Estimation of a Location Parameter)",
      .equation = "r = f - y; |r| <= delta: r^2 / 2, else delta (|r| - delta / 2)",
      .edges = "Value and slope are continuous at |r| = delta; the gradient is clamp(r, -delta, delta), so an infinite "
               "residual has gradient +-delta.",
  });
  auto i = axis("N", "elements").flat();
  auto f = tensor("input", {i}, "prediction; any real");
  auto y = tensor("target", {i}, "observation, in the units of the prediction");
  auto delta =
      param("delta", 1, "residual where the loss turns linear, in the units of the prediction; > 0").positive();

  auto r = f(i) - y(i);
  loss_per(i, select(abs(r) <= delta, 0.5 * sq(r), delta * (abs(r) - 0.5 * delta)));
}
