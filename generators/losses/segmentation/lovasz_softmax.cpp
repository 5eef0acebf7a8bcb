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
          "there. classes = present: a class without a pixel is dropped; nothing present gives 0.",
  });
  auto n = axis("N", "images"), c = axis("C", "classes"), p = axis("P", "pixels or voxels, flattened").flat();
  auto classes = option("classes", {"present", "all"}, "which classes count: those in the target, or all");
  auto q = tensor("probability", {n, c, p}, "0 to 1; softmax of the logits");
  auto ignore = param("ignore_index", -100, "label of pixels that do not count").integer();
  auto y = labels("target", {n, p}, "class of each pixel").in_range(c).ignoring(ignore);

  auto in = y(n, p) != ignore;
  auto g = number(c == y(n, p) && in);
  auto e = select(in, abs(g - q(n, c, p)), 0);
  auto order = argsort_descending(p, e, in);
  auto hit = at(g, p, order), there = number(number(p) < count(p, in));
  auto total = sum(p, g);
  auto missed = total - cumsum(p, hit), tried = total + cumsum(p, there - hit);
  auto jaccard = select(tried > 0, 1 - missed / tried, 0);
  auto w = jaccard - select(p > 0, at(jaccard, p, max(p - 1, 0)), 0);
  loss_per({n, c}, sum(p, at(e, p, order) * stop_gradient(w)), classes.is("present") ? Mask(total > 0) : Mask());
}
