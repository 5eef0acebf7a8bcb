#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(pinball, "regression") {
  about({
      .title = "Quantile (pinball) loss",
      .paper = "Koenker and Bassett 1978 (Regression Quantiles)",
      .equation = "L = sum_q [ tau_q max(y - f_q, 0) + (1 - tau_q) max(f_q - y, 0) ]",
      .edges = "The gradient is 0 where f_q = y. Crossing quantiles are allowed. The mean divides by the rows.",
  });
  auto n = axis("N", "rows"), q = axis("Q", "quantiles");
  auto f = tensor("input", {n, q}, "predicted quantiles, in the units of the target; any real");
  auto y = tensor("target", {n}, "observation").constant();
  auto given = tensor("quantile", {q}, "levels tau, 0 to 1; absent: evenly from 0.1 to 0.9, one alone 0.5").optional().constant();

  auto tau = given.given() ? given(q) : select(extent(q) == 1, 0.5, 0.1 + 0.8 * q / max(extent(q) - 1, 1));
  auto r = y(n) - f(n, q);
  loss_per(n, sum(q, tau * relu(r) + (1 - tau) * relu(-r)));
}
