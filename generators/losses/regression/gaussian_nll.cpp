#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(gaussian_nll, "regression") {
  about({
      .title = "Gaussian negative log-likelihood",
      .paper = "Nix and Weigend 1994 (Estimating the Mean and Variance of the Target Distribution)",
      .equation = "v = max(var, eps); L = 1/2 (log v + (f - y)^2 / v), and 1/2 log 2 pi if full",
      .edges = "The bound eps is without gradient, as in torch: where var < eps the variance still gets the gradient "
               "at eps. var < 0 gives NaN.",
  });
  auto i = axis("N", "elements").flat();
  auto f = tensor("input", {i}, "predicted mean; any real");
  auto var = tensor("var", {i}, "predicted variance, in squared units of the target; >= 0");
  auto y = tensor("target", {i}, "observation, in the units of the prediction").constant();
  auto eps = param("eps", 1e-6, "least variance; > 0").positive();
  auto full = param("full", 0, "1: with the constant 1/2 log 2 pi, 0: without").integer().between(0, 1);

  auto s2 = var(i), v = straight_through(select(s2 >= 0 && s2 < eps, eps, s2), s2);
  loss_per(i, 0.5 * (log(v) + sq(f(i) - y(i)) / v) + full * 0.918938533204672742);
}
