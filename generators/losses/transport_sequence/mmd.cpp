#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(mmd, "transport_sequence") {
  about({
      .title = "Maximum mean discrepancy, squared",
      .paper = "Gretton et al. 2012 (A Kernel Two-Sample Test), eqs. 3 (unbiased) and 5 (biased)",
      .equation = "L = scale (mean k(x, x') + mean k(y, y') - 2 mean k(x, y)); k = sum over bandwidths s of "
                  "exp(-|x - y|^2 / (2 s^2)) or exp(-|x - y| / s)",
      .edges = "unbiased leaves out k(x, x) and k(y, y) of a point with itself and may be negative. A set without "
               "pairs has mean 0. Equal points are at distance 0 with gradient 0. Bandwidths <= 0 are left out.",
  });
  auto s = axis("S", "bandwidths"), i = axis("N", "points of x"), k = axis("M", "points of y"),
       d = axis("D", "features");
  auto i2 = twin(i, "i2"), k2 = twin(k, "k2");
  auto kernel = option("kernel", {"gaussian", "laplacian"}, "of the squared distance, or of the distance");
  auto estimator =
      option("estimator", {"biased", "unbiased"}, "with or without each point's pair with itself").at_runtime();
  auto x = tensor("x", {i, d}, "first sample, one point per row; any real");
  auto y = tensor("y", {k, d}, "second sample; any real");
  auto bandwidth = tensor("bandwidth", {s}, "widths in the units of the points; the kernels are added; > 0").constant();
  auto scale = param("scale", 1, "factor of the loss (0.5 in GeomLoss); > 0").positive();

  auto wide = !(bandwidth(s) <= 0);
  // Not sqdist, whose kink at 0 would cut off the gradient of pairs that rounding puts at less.
  auto of = [&](Expr p, Expr q) {
    auto d2 = sum(d, sq(p)) + sum(d, sq(q)) - 2 * dot(d, p, q);
    auto e = kernel.is("gaussian") ? -d2 / (2 * sq(bandwidth(s))) : -sqrt(relu(d2)) / bandwidth(s);
    return sum(s, exp(e), wide);
  };
  auto itself = select(estimator.chosen("biased"), 1, 0);
  auto within = [&](Tensor t, Index a, Index b) {
    auto n = number(extent(a));
    auto k = select(a == b, itself * count(s, wide), of(t(a, d), t(b, d)));
    return sum(a, sum(b, k)) / max(n * (n - 1 + itself), 1);
  };
  auto across = sum(i, sum(k, of(x(i, d), y(k, d)))) / max(number(extent(i)) * extent(k), 1);
  loss_total(scale * (within(x, i, i2) + within(y, k, k2) - 2 * across));
}
