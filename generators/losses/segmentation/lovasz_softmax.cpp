#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(lovasz_softmax, "segmentation") {
  about({
      .title = "Lovasz-Softmax loss",
      .paper = "Berman, Triki and Blaschko 2018 (The Lovasz-Softmax loss), eqs. 9 to 11 and algorithm 1",
      .equation =
          "e = |g_c - p_c|, descending by pi; J_k = 1 - (G - cumsum(g)_k) / (G + cumsum(1 - g)_k), w_k = J_k - J_{k-1}; "
          "L_c = sum_k e_pi(k) w_k, mean over classes",
      .edges =
          "The order and w have no gradient; equal errors keep the order of the pixels. Pixels labelled ignore_index are not "
          "there. classes = present: a class without a pixel is dropped; nothing present, or listed, gives 0. The loss is one of each class, "
          "or with per_image one of each image: the mean of its classes, 0 for an image without pixels.",
  });
  auto per_image = option("per_image", {"off", "on"}, "sort the pixels of all images as one set, or those of each image");
  auto classes = option("classes", {"present", "all", "listed"}, "which classes count: those in the target, all, or those of class_mask");
  auto ignore = param("ignore_index", -100, "label of pixels that do not count").integer();
  auto c = axis("C", "classes");
  auto p = axis("P", "pixels or voxels, flattened; with per_image off those of all images: [C, N, H, W]").flat();
  const bool each = per_image.is("on");
  auto n = each ? axis("N", "images") : Index();
  const char *q_doc = "0 to 1; softmax of the logits", *y_doc = "class of each pixel";
  auto q = each ? tensor("probability", {n, c, p}, q_doc) : tensor("probability", {c, p}, q_doc);
  auto target = (each ? labels("target", {n, p}, y_doc) : labels("target", {p}, y_doc)).in_range(c).ignoring(ignore);

  auto y = each ? target(n, p) : target(p);
  auto in = y != ignore;
  auto g = number(c == y && in);
  auto e = select(in, abs(g - (each ? q(n, c, p) : q(c, p))), 0);
  auto order = argsort_descending(p, e, in);
  auto hit = at(g, p, order), there = number(number(p) < count(p, in));
  auto total = sum(p, g);
  auto missed = total - cumsum(p, hit), tried = total + cumsum(p, there - hit);
  auto jaccard = select(tried > 0, 1 - missed / tried, 0);
  auto w = jaccard - select(p > 0, at(jaccard, p, max(p - 1, 0)), 0);
  auto loss = sum(p, at(e, p, order) * stop_gradient(w));
  Mask counts;
  if (classes.is("present")) counts = total > 0;
  if (classes.is("listed")) counts = mask("class_mask", {c}, "1 for the classes that count")(c);
  if (each) return loss_per(n, mean(c, loss, counts));
  loss_per(c, loss, counts);
}
