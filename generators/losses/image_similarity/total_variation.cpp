#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(total_variation, "image_similarity") {
  about({
      .title = "Total variation",
      .paper = "Rudin, Osher and Fatemi 1992 (Nonlinear Total Variation Based Noise Removal), anisotropic",
      .equation = "L = sum_{h,w} |x_{h+1,w} - x_{h,w}| + sum_{h,w} |x_{h,w+1} - x_{h,w}|, or the means of the two",
      .edges = "A kink's gradient is 0 where neighbours are equal. An image of one row or column has no differences "
               "in that direction: 0.",
      .note = "Rows are channels of images: for the mean over images give their number as the denominator.",
  });
  auto n = axis("N", "images and their channels").flat(), h = axis("H", "height"), w = axis("W", "width");
  auto over = option("over", {"sum", "mean"}, "sums over the pixels of an image's channel, or means over the differences")
                  .at_runtime();
  auto x = tensor("input", {n, h, w}, "any real");

  auto down = abs(x(n, min(h + 1, extent(h) - 1), w) - x(n, h, w));
  auto right = abs(x(n, h, min(w + 1, extent(w) - 1)) - x(n, h, w));
  auto total = [&](Expr e) { return sum(h, sum(w, e)); };
  auto size = [&](Expr pairs) { return select(over.chosen("sum"), 1, max(pairs, 1)); };
  loss_per(n, total(down) / size((extent(h) - 1) * extent(w)) + total(right) / size(extent(h) * (extent(w) - 1)));
}
