#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(dice, "segmentation") {
  about({
      .title = "Dice loss (Sorensen-Dice)",
      .paper = "Milletari, Navab and Ahmadi 2016 (V-Net), section 3 (squared); Drozdzal et al. 2016 (plain)",
      .equation =
          "R = (2 sum p g + s) / (sum p + sum g + s), squared: sum p^2 + sum g^2 below; "
          "L = w_c (1 - R), log: -w_c log R; sums over the pixels of an image and class, of a batch and class, of an "
          "image, or of all",
      .edges =
          "No pixel predicted and none in the target: R = 1 (also at s = 0), loss 0. No overlap: R is near 0, and at "
          "s = 0 the log form is +inf. With background = exclude class 0 is dropped; if it is the only one, the mean "
          "is 0. The mean divides by the number of classes (times images), not by the class weights. With scope = sample "
          "or all, background = exclude leaves class 0 out of the sums, and there is no class weight.",
  });
  auto n = axis("N", "images"), c = axis("C", "classes"), p = axis("P", "pixels or voxels").flat();
  auto target = option("target", {"index", "dense"}, "one class per pixel, or a value per class and pixel");
  auto activation = option("activation", {"softmax", "sigmoid", "none"}, "what makes probabilities of the logits");
  auto squared = option("squared", {"off", "on"}, "squares in the denominator").at_runtime();
  auto background = option("background", {"include", "exclude"}, "does class 0 count?").at_runtime();
  auto scope = option("scope", {"image", "batch", "sample", "all"},
                      "one ratio per image and class, per class over the batch, per image, or one for all");
  auto form = option("form", {"linear", "log"}, "1 - R or -log R").at_runtime();
  auto logits = tensor("logits", {n, c, p}, "any real; with activation = none probabilities, 0 to 1");
  auto s = param("smooth", 1e-5, "added to both sides of the ratio, in pixels; >= 0").at_least(0);

  auto x = logits(n, c, p);
  auto q = activation.is("softmax") ? softmax(c, x) : activation.is("sigmoid") ? sigmoid(x) : x;
  Expr g, both;
  if (target.is("index")) {
    auto here = c == labels("target", {n, p}, "class of each pixel").in_range(c)(n, p);
    g = number(here), both = select(here, q, 0);
  } else {
    g = tensor("target_probability", {n, c, p}, "0 to 1 per class and pixel").constant()(n, c, p), both = q * g;
  }
  const bool by_class = scope.is("image") || scope.is("batch"), by_image = scope.is("image") || scope.is("sample");
  auto counts = background.chosen("include") || c > 0;
  auto total = [&](Expr e) {
    Expr t = by_class ? sum(p, e) : sum(c, sum(p, e), counts);
    return by_image ? t : sum(n, t);
  };
  auto amount = [&](Expr e) { return total(select(squared.chosen("on"), sq(e), e)); };
  auto size = amount(q) + amount(g) + s;
  auto ratio = select(size == 0, 1, (2 * total(both) + s) / size);
  Expr loss = select(form.chosen("log"), -log(ratio), 1 - ratio);
  if (by_class) {
    auto weight = tensor("weight", {c}, "factor of each class's loss, >= 0; 1 if absent").optional().constant();
    if (weight.given()) loss = weight(c) * loss;
    loss_per(by_image ? Indices{n, c} : Indices{c}, loss, counts);
  } else {
    loss_per(by_image ? Indices{n} : Indices({}), loss);
  }
}
