#include <lossc/loss.h>

#include <array>
#include <string>
using namespace lossc;

LOSSC_LOSS(ms_ssim, "image_similarity") {
  about({
      .title = "Multi-scale SSIM loss",
      .paper = "Wang, Simoncelli and Bovik 2003 (Multiscale Structural Similarity), eq. 7",
      .equation =
          "L = 1 - prod_j max(mean s_j, 0)^b_j; s_j = (2 s_xy + C2) / (s_x^2 + s_y^2 + C2) under a Gaussian window at scale j, at "
          "the last scale times (2 mu_x mu_y + C1) / (mu_x^2 + mu_y^2 + C1); the next scale is the mean of 2 x 2 pixels; "
          "C1 = (k1 R)^2, C2 = (k2 R)^2, R = data_range",
      .edges = "Equal images give 0. A negative mean counts as 0: loss 1, gradient 0. A window has to fit into the image at the last "
               "scale (window 11, five scales: 176 pixels): ask for fewer scales of a smaller image. An odd last row or column is "
               "not pooled.",
      .note = "One loss per image and channel; their mean is the mean over the images.",
  });
  auto n = axis("N", "images and their channels").flat(), h = axis("H", "height"), w = axis("W", "width");
  auto k = count_axis("window", 11, "places of the window in each direction"), l = twin(k, "l");
  auto two = axis("2", "pixels pooled in each direction"), two_down = twin(two, "two_down");
  auto scales = option("scales", {"5", "4", "3", "2", "1"}, "how many, the image's own first");
  auto x = tensor("input", {n, h, w}, "image, 0 to data_range");
  auto y = tensor("target", {n, h, w}, "image to resemble").constant();
  auto sigma = param("sigma", 1.5, "standard deviation of the window in pixels").positive();
  auto range = param("data_range", 1, "largest minus smallest value that a pixel may have").positive();
  auto k1 = param("k1", 0.01, "C1 = (k1 R)^2; > 0").positive(), k2 = param("k2", 0.03, "C2 = (k2 R)^2; > 0").positive();
  std::array<Param, 5> b;
  for (int j = 0; j < 5; j++)
    b[j] = param(("weight_" + std::to_string(j + 1)).c_str(), std::array{0.0448, 0.2856, 0.3001, 0.2363, 0.1333}[j],
                 "exponent of the scale").at_least(0);

  struct Moments {
    Expr x, y, xx, yy, xy;
  };
  auto moments = [&](const Moments& m, Index i, Index first, Index k) {
    auto seen = [&](Expr e) { return at(e, i, first + k); };
    auto average = [&](Expr e) { return sum(k, gaussian(k, sigma) * e); };
    auto mx = average(seen(m.x)), my = average(seen(m.y)), dx = seen(m.x) - mx, dy = seen(m.y) - my;
    return Moments{mx, my, average(seen(m.xx) + sq(dx)), average(seen(m.yy) + sq(dy)), average(seen(m.xy) + dx * dy)};
  };
  auto named = [](const char* axis, int part, const char* rest) { return axis + (part > 1 ? "/" + std::to_string(part) : "") + rest; };
  const int last = scales.is("5") ? 5 : scales.is("4") ? 4 : scales.is("3") ? 3 : scales.is("2") ? 2 : 1;
  Expr likeness = number(1), u = x(n, h, w), v = y(n, h, w);
  for (int j = 1, part = 1; j <= last; j++, part *= 2) {
    if (j > 1) {
      auto down = derived_axis(named("H", part, "").c_str(), extent(h) / 2, "pooled height");
      auto across = derived_axis(named("W", part, "").c_str(), extent(w) / 2, "pooled width");
      auto halved = [&](Expr e) { return pool(h, two_down, down, pool(w, two, across, e)); };
      u = halved(u), v = halved(v), h = down, w = across;
    }
    auto p = derived_axis(named("H", part, "-K+1").c_str(), extent(h) - extent(k) + 1, "windows down the image");
    auto q = derived_axis(named("W", part, "-K+1").c_str(), extent(w) - extent(k) + 1, "windows across the image");
    auto m = moments(moments({u, v, number(0), number(0), number(0)}, w, q, k), h, p, l);
    auto c1 = sq(k1 * range), c2 = sq(k2 * range);
    auto s = (2 * m.xy + c2) / (m.xx + m.yy + c2);
    if (j == last) s = s * (2 * m.x * m.y + c1) / (sq(m.x) + sq(m.y) + c1);
    likeness = likeness * pow(relu(mean(p, mean(q, s))), b[j - 1]);
  }
  require(extent(k) > 0 && min(extent(h), extent(w)) >= extent(k),
          "an image that holds a window at the last scale: fewer scales, or a smaller window");
  loss_per(n, 1 - likeness);
}
