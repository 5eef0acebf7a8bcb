#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(local_ncc, "image_similarity") {
  about({
      .title = "Local normalised cross-correlation",
      .paper = "Avants et al. 2008 (Symmetric Diffeomorphic Image Registration with Cross-Correlation), eq. 7",
      .equation = "-mean over windows of cross^2 / (var_x var_y + eps), cross = E xy - E x E y, var = E x^2 - (E x)^2, never below 0; "
                  "variance = clamped: cross^2 / (max(var_x, eps) max(var_y, eps))",
      .edges = "Beyond the image both are 0, and the windows count those places. A window without variance adds 0, with gradient 0 "
               "where rounding left its variance below 0. A variance below eps that is clamped has gradient 0. Without a pixel the loss is 0.",
      .note = "One loss per image and channel; their mean is the mean over all. Of a pair that matches it is near -1. MONAI clamps "
              "sums over windows of that weight: its smooth_dr is eps times the weights' sum.",
  });
  auto n = axis("N", "images and their channels"), h = axis("H", "height"), w = axis("W", "width");
  auto z = optional_axis("Z", "depth of volumes");
  auto k = count_axis("window", 3, "places of the window in each direction, odd"), l = twin(k, "l"), m = twin(k, "m");
  auto p = twin(h, "p"), q = twin(w, "q"), r = twin(z, "r");
  auto weights = option("kernel", {"rectangular", "triangular", "gaussian"}, "weights of a window").at_runtime();
  auto variance = option("variance", {"added", "clamped"}, "eps is added to their product, or is the least of each").at_runtime();
  auto x = tensor("input", {n, h, w, z}, "image or volume");
  auto y = tensor("target", {n, h, w, z}, "image or volume to resemble").constant();
  auto eps = param("eps", 1e-5, "added to the product of variances, or the least of each; > 0").positive();
  auto sigma = param("sigma", 1, "standard deviation of the gaussian window in places; > 0").positive();
  require(extent(k) % 2 == 1, "a window with a centre");

  auto weight = [&](Index k) {
    auto half = number(extent(k) / 2 + 1), triangle = half - abs(number(k - extent(k) / 2));
    return select(weights.chosen("rectangular"), 1.0 / extent(k),
                  select(weights.chosen("triangular"), triangle / sq(half), gaussian(k, sigma)));
  };
  auto along = [&](Expr e, Index axis, Index centre, Index k) {
    return sum(k, weight(k) * padded(e, axis, centre + k - extent(k) / 2, Border::Zero));
  };
  auto window = [&](Expr e) {
    auto plane = along(along(e, h, p, k), w, q, l);
    return z.given() ? along(plane, z, r, m) : plane;
  };
  auto u = x(n, h, w, z), v = y(n, h, w, z);
  auto mx = window(u), my = window(v);
  auto clamped = variance.chosen("clamped");
  auto bounded = [&](Expr var) { return select(clamped, max(var, eps), relu(var)); };
  auto cross = window(u * v) - mx * my, vx = bounded(window(sq(u)) - sq(mx)), vy = bounded(window(sq(v)) - sq(my));
  loss_per(n, -mean(p, mean(q, mean(r, sq(cross) / (vx * vy + select(clamped, 0, eps))))));
}
