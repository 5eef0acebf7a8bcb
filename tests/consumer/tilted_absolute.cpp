#include <lossc/loss.h>

using namespace lossc;

LOSSC_LOSS(tilted_absolute, "regression") {
  about({.title = "Tilted absolute error",
         .paper = "Koenker and Bassett 1978",
         .equation = "max(tau r, (tau - 1) r), r = target - input",
         .edges = "at r = 0 the derivative is the mean of both sides"});
  auto i = axis("N", "elements");
  auto f = tensor("input", {i}, "predicted quantile");
  auto y = tensor("target", {i}, "observation");
  auto tau = param("tau", 0.5, "which quantile").between(0, 1);
  auto r = y(i) - f(i);
  loss_per(i, max(tau * r, (tau - 1) * r));
}
