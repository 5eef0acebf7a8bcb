#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(lovasz_hinge, "segmentation") {
  about({
      .title = "Lovasz hinge",
      .paper = "Berman, Triki and Blaschko 2018 (The Lovasz-Softmax Loss), section 3.1",
      .equation = "sum_k relu(e_(k)) (J_k - J_{k-1}), e = 1 - f (2 g - 1) from the greatest down, J_k = 1 - I_k / U_k of the first k errors",
      .edges = "Equal errors keep their order. An image without foreground counts its greatest error. Without pixels: 0.",
      .note = "One loss per image; give all images as one for per_image = false.",
  });
  auto n = axis("N", "images"), p = axis("P", "pixels").flat();
  auto f = tensor("logits", {n, p}, "score of the foreground, > 0 where it is predicted");
  auto g = mask("target", {n, p}, "true: foreground");

  auto e = 1 - f(n, p) * (2 * number(g(n, p)) - 1);
  auto order = argsort_descending(p, stop_gradient(e));
  auto here = number(g(n, order)), all = sum(p, number(g(n, p)));
  auto left = all - cumsum(p, here), united = all + cumsum(p, 1 - here);
  auto jaccard = 1 - left / max(united, 1);
  auto step = jaccard - select(p > 0, at(jaccard, p, max(p - 1, 0)), 0.0);
  loss_per(n, sum(p, relu(at(e, p, order)) * step));
}
