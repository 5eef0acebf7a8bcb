#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(giou, "detection") {
  about({
      .title = "Generalised IoU",
      .paper = "Rezatofighi et al. 2019 (Generalized Intersection over Union), algorithm 2",
      .equation = "1 - IoU + (|C| - |A u B|) / |C|, C the smallest box around A and B",
      .edges = "eps is added to the union and to |C|: two equal points have loss 1. Where maxima or minima tie, the gradient is shared.",
  });
  auto i = axis("N", "boxes"), k = axis("4", "x1, y1, x2, y2");
  auto box = tensor("box", {i, k}, "predicted corners, x1 <= x2 and y1 <= y2");
  auto target = tensor("target", {i, k}, "true corners").constant();
  auto eps = param("eps", 1e-7, "added to the areas that are divided by; >= 0").at_least(0);

  auto area = [&](Tensor b) { return (b(i, 2) - b(i, 0)) * (b(i, 3) - b(i, 1)); };
  auto low = [&](int k, bool outer) { return outer ? min(box(i, k), target(i, k)) : max(box(i, k), target(i, k)); };
  auto high = [&](int k, bool outer) { return outer ? max(box(i, k), target(i, k)) : min(box(i, k), target(i, k)); };
  auto both = relu(high(2, false) - low(0, false)) * relu(high(3, false) - low(1, false));
  auto either = area(box) + area(target) - both;
  auto around = (high(2, true) - low(0, true)) * (high(3, true) - low(1, true));
  loss_per(i, 1 - both / (either + eps) + (around - either) / (around + eps));
}
