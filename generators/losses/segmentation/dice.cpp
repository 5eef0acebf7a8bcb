#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(dice, "segmentation") {
  about({
      .title = "Dice loss (Sorensen-Dice)",
      .paper = "Milletari, Navab and Ahmadi 2016 (V-Net), section 3 (squared); Drozdzal et al. 2016 (plain)",
      .equation =
          "R = (2 sum p g + s) / (sum p + sum g + s), squared: sum p^2 + sum g^2 below; "
          "L = w_c (1 - R), log: -w_c log R; sums over the pixels of an image and class, or of a batch and class",
      .edges =
          "No pixel predicted and none in the target: R = 1 (also at s = 0), loss 0. No overlap: R is near 0, and at "
          "s = 0 the log form is +inf. With background = exclude class 0 is dropped; if it is the only one, the mean "
          "is 0. The mean divides by the number of classes (times images), not by the class weights.",
  });
  auto n = axis("N", "images"), c = axis("C", "classes"), p = axis("P", "pixels or voxels").flat();
  auto target = option("target", {"index", "dense"}, "one class per pixel, or a value per class and pixel");
  auto activation = option("activation", {"softmax", "sigmoid", "none"}, "what makes probabilities of the logits");
  auto squared = option("squared", {"off", "on"}, "squares in the denominator");
  auto background = option("background", {"include", "exclude"}, "does class 0 count?");
  auto scope = option("scope", {"image", "batch"}, "one ratio per image and class, or per class over the batch");
  auto form = option("form", {"linear", "log"}, "1 - R or -log R");
  auto logits = tensor("logits", {n, c, p}, "any real; with activation = none probabilities, 0 to 1");
  auto weight = tensor("weight", {c}, "factor of each class's loss, >= 0; 1 if absent").optional().constant();
  auto s = param("smooth", 1e-5, "added to both sides of the ratio, in pixels; >= 0").at_least(0);

  auto x = logits(n, c, p);
  auto q = activation.is("softmax") ? softmax(c, x) : activation.is("sigmoid") ? sigmoid(x) : x;
  auto g = target.is("index")
               ? number(c == labels("target", {n, p}, "class of each pixel").in_range(c)(n, p))
               : tensor("target_probability", {n, c, p}, "0 to 1 per class and pixel").constant()(n, c, p);
  auto total = [&](Expr e) { return scope.is("image") ? sum(p, e) : sum(n, sum(p, e)); };
  auto size = (squared.is("on") ? total(sq(q) + sq(g)) : total(q + g)) + s;
  auto ratio = select(size == 0, 1, (2 * total(q * g) + s) / size);
  Expr loss = form.is("log") ? -log(ratio) : 1 - ratio;
  if (weight.given()) loss = weight(c) * loss;
  loss_per(scope.is("image") ? Indices{n, c} : Indices{c}, loss, background.is("exclude") ? Mask(c > 0) : Mask());
}
