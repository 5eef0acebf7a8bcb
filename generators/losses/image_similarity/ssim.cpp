#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(ssim, "image_similarity") {
  about({
      .title = "SSIM loss",
      .paper = "Wang et al. 2004 (Image Quality Assessment: From Error Visibility to Structural Similarity), eq. 13",
      .equation = "1 - mean SSIM, SSIM = (2 mu_x mu_y + C1) (2 s_xy + C2) / ((mu_x^2 + mu_y^2 + C1) (s_x^2 + s_y^2 + C2)), moments "
                  "under a Gaussian window, C1 = (k1 R)^2, C2 = (k2 R)^2, R = data_range",
      .edges = "Equal images give 0. Variances are sums of squared deviations, never below 0, exact under a large offset. border: "
               "valid = windows inside the image only; zero = pixels outside are 0; reflect = the image mirrored at its "
               "outermost pixels. Without a pixel the loss is 0.",
      .note = "One loss per image and channel; their mean is the mean over the images.",
  });
  auto n = axis("N", "images and their channels").flat(), h = axis("H", "height"), w = axis("W", "width");
  auto k = count_axis("window", 11, "places of the window in each direction, odd"), l = twin(k, "l"), m = twin(k, "m");
  auto space = option("space", {"image", "volume"}, "what a window spans: two axes, or three");
  auto border = option("border", {"valid", "zero", "reflect"}, "what a window sees beyond the image");
  auto form = option("form", {"ssim", "dssim"}, "1 - SSIM, or half of it (structural dissimilarity, 0 to 1)").at_runtime();
  const bool volume = space.is("volume"), valid = border.is("valid");
  auto z = volume ? axis("Z", "depth") : h;
  auto x = volume ? tensor("input", {n, z, h, w}, "volume, 0 to data_range") : tensor("input", {n, h, w}, "image, 0 to data_range");
  auto y = (volume ? tensor("target", {n, z, h, w}, "volume to resemble") : tensor("target", {n, h, w}, "image to resemble")).constant();
  auto sigma = param("sigma", 1.5, "standard deviation of the window in pixels").positive();
  auto range = param("data_range", 1, "largest minus smallest value that a pixel may have").positive();
  auto k1 = param("k1", 0.01, "C1 = (k1 R)^2; > 0").positive(), k2 = param("k2", 0.03, "C2 = (k2 R)^2; > 0").positive();
  require(border.is("valid") ? extent(k) >= 1 : extent(k) % 2 == 1, "a window with a place, and with a centre if it sees beyond the image");
  if (border.is("reflect"))
    require(extent(k) / 2 < min(extent(z), min(extent(h), extent(w))), "an image longer than half the window");

  auto p = valid ? derived_axis("H-K+1", extent(h) - extent(k) + 1, "windows down the image") : twin(h, "p");
  auto q = valid ? derived_axis("W-K+1", extent(w) - extent(k) + 1, "windows across the image") : twin(w, "q");
  auto r = !volume ? p : valid ? derived_axis("Z-K+1", extent(z) - extent(k) + 1, "windows through the volume") : twin(z, "r");
  auto near = [&](Expr e, Index i, Index centre, Index k) {
    if (valid) return at(e, i, centre + k);
    return padded(e, i, centre + k - extent(k) / 2, border.is("zero") ? Border::Zero : Border::Reflect);
  };
  // Moments along rows, then of the rows: a variance is the mean of the rows' variances plus the variance of their means.
  // Nothing cancels, as E x^2 - mu^2 would.
  struct Moments {
    Expr x, y, xx, yy, xy;
  };
  auto moments = [&](const Moments& m, Index i, Index centre, Index k) {
    auto average = [&](Expr e) { return sum(k, gaussian(k, sigma) * e); };
    auto seen = [&](Expr e) { return near(e, i, centre, k); };
    auto mx = average(seen(m.x)), my = average(seen(m.y));
    auto dx = seen(m.x) - mx, dy = seen(m.y) - my;
    return Moments{mx, my, average(seen(m.xx) + sq(dx)), average(seen(m.yy) + sq(dy)), average(seen(m.xy) + dx * dy)};
  };
  auto u = volume ? x(n, z, h, w) : x(n, h, w), v = volume ? y(n, z, h, w) : y(n, h, w);
  auto a = moments(moments({u, v, number(0), number(0), number(0)}, w, q, k), h, p, l);
  if (volume) a = moments(a, z, r, m);
  auto c1 = sq(k1 * range), c2 = sq(k2 * range);
  auto likeness = (2 * a.x * a.y + c1) / (sq(a.x) + sq(a.y) + c1) * ((2 * a.xy + c2) / (a.xx + a.yy + c2));
  auto unlike = mean(p, mean(q, 1 - likeness));
  loss_per(n, select(form.chosen("dssim"), 0.5, 1) * (volume ? mean(r, unlike) : unlike));
}
