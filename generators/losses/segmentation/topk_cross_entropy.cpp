#include <lossc/loss.h>

#include <cmath>

using namespace lossc;

LOSSC_LOSS(topk_cross_entropy, "segmentation") {
  about({
      .title = "Top-k cross-entropy (online hard example mining)",
      .paper = "Wu, Shen and van den Hengel 2016 (Bridging Category-level and Instance-level Semantic Image Segmentation), "
               "section 3.2; Shrivastava, Gupta and Girshick 2016 (OHEM)",
      .equation = "l = -log softmax(x)_y of each pixel; fraction: the max(1, floor(percent M / 100)) largest of the M pixels "
                  "count; threshold: those with p_y < threshold, and the at_least largest; mean over those that count",
      .edges = "Which pixels count has no gradient; of equal ones the first count. Pixels labelled ignore_index are not there, "
               "and M is without them. NaN is larger than any loss. Without a pixel the mean is 0.",
      .note = "The mean over images of scope = image is one over all their pixels that count.",
  });
  auto n = axis("N", "images"), c = axis("C", "classes"), p = axis("P", "pixels or voxels").flat();
  auto scope = option("scope", {"batch", "image"}, "choose among the pixels of all images, or of each");
  auto mode = option("mode", {"fraction", "threshold"}, "a share of the pixels, or all below a probability").at_runtime();
  auto logits = tensor("logits", {n, c, p}, "unnormalised log-probabilities; any real, -inf rules a class out");
  auto ignore = param("ignore_index", -100, "label of pixels that do not count").integer();
  auto target = labels("target", {n, p}, "class of each pixel").in_range(c).ignoring(ignore);
  auto percent = param("percent", 10, "share of the pixels that count with mode = fraction, 0 to 100").between(0, 100);
  auto threshold = param("threshold", 0.7, "probability from which a pixel is easy with mode = threshold, 0 to 1").between(0, 1);
  auto at_least = param("at_least", 1, "pixels that count in any case with mode = threshold; >= 0").at_least(0).integer();

  auto in = [&](Arg image, Arg pixel) { return target(image, pixel) != ignore; };
  auto loss = [&](Arg image, Arg pixel) {
    auto x = logits(image, c, pixel);
    return logsumexp(c, x) - at(x, c, target(image, pixel));
  };
  auto from_hardest = [&](Index over, Expr l, Expr there) { return rank(over, select(is_nan(l), -INFINITY, -l), there); };
  Expr l = loss(n, p), pixels = count(p, in(n, p)), place;
  if (scope.is("batch")) {
    auto q = derived_axis("N*P", extent(n) * extent(p), "pixels of all images");
    auto image = q / extent(p), pixel = q % extent(p);
    place = at(from_hardest(q, loss(image, pixel), in(image, pixel)), q, n * extent(p) + p);
    pixels = sum(n, pixels);
  } else {
    place = from_hardest(p, l, in(n, p));
  }
  auto share = place < max(floor(percent * pixels / 100), 1), hard = !(exp(-l) >= threshold) || place < at_least;
  loss_per({n, p}, l, in(n, p) && ((mode.chosen("fraction") && share) || (mode.chosen("threshold") && hard)));
}
