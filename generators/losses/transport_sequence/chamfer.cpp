#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(chamfer, "transport_sequence") {
  about({
      .title = "Chamfer distance of two point sets",
      .paper = "Fan, Su and Guibas 2017 (A Point Set Generation Network), section 4.1",
      .equation = "L = mean_n min_m D(x_n, y_m) + mean_m min_n D(x_n, y_m); D = |x - y|^2, or sum of |x_d - y_d|",
      .edges = "Of equally near points the lowest index is taken. If either set is empty the loss is 0. Equal points are "
               "at distance 0 with gradient 0.",
  });
  auto b = axis("B", "pairs of point sets"), n = axis("N", "points of x"), m = axis("M", "points of y"),
       d = axis("D", "coordinates");
  auto norm_ = option("norm", {"squared", "l1"}, "squared Euclidean distance, or sum of absolute differences");
  auto x = tensor("x", {b, n, d}, "first point set; any real");
  auto y = tensor("y", {b, m, d}, "second point set; any real");

  auto apart = [&](Expr p, Expr q) { return sum(d, norm_.is("l1") ? abs(p - q) : sq(p - q)); };
  auto all = apart(x(b, n, d), y(b, m, d));
  auto forth = mean(n, apart(x(b, n, d), y(b, argmin(m, all), d)));
  auto back = mean(m, apart(x(b, argmin(n, all), d), y(b, m, d)));
  loss_per(b, select(extent(n) > 0 && extent(m) > 0, forth + back, 0));
}
