#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(ciou, "detection") {
  about({
      .title = "Complete IoU loss",
      .paper = "Zheng et al. 2020 (Distance-IoU Loss), eqs. 7 to 12; iou_from: the journal version (Zheng et al. 2021)",
      .equation = "L = 1 - IoU + |c - c_g|^2 / diagonal^2 + alpha v; v = 4/pi^2 (atan(w_g/h_g) - atan(w/h))^2, "
                  "alpha = v / (1 - IoU + v), without gradient",
      .edges = "eps is added to every divisor: equal boxes have loss eps / (area + eps), about 0, but 1 without area. A box "
               "without height has atan(w/h) = pi/2; one without both sides has v = 0.",
  });
  auto n = axis("N", "boxes"), k = axis("4", "x1, y1, x2, y2");
  auto gradient = option("gradient", {"exact", "paper"}, "of v; paper: the factor 1 / (w^2 + h^2) left out, as its code")
                      .at_runtime();
  auto box = tensor("box", {n, k}, "predicted corners; x1 <= x2, y1 <= y2");
  auto target = tensor("target", {n, k}, "true corners").constant();
  auto eps = param("eps", 1e-7, "added to divisors, in squared units of the boxes; > 0").positive();
  auto iou_from = param("iou_from", 0, "alpha = 0 where the IoU is below this, 0 to 1 (journal: 0.5)").between(0, 1);

  auto lo = [&](Tensor t, int xy) { return t(n, xy); };
  auto hi = [&](Tensor t, int xy) { return t(n, xy + 2); };
  auto side = [&](Tensor t, int xy) { return hi(t, xy) - lo(t, xy); };
  auto common = [&](int xy) { return relu(min(hi(box, xy), hi(target, xy)) - max(lo(box, xy), lo(target, xy))); };
  auto span = [&](int xy) { return max(hi(box, xy), hi(target, xy)) - min(lo(box, xy), lo(target, xy)); };
  auto off = [&](int xy) { return 0.5 * (lo(box, xy) + hi(box, xy) - lo(target, xy) - hi(target, xy)); };
  auto shared = common(0) * common(1);
  auto iou = shared / (side(box, 0) * side(box, 1) + side(target, 0) * side(target, 1) - shared + eps);
  auto w = side(box, 0), h = side(box, 1), w_g = side(target, 0), h_g = side(target, 1);
  // The difference of the two angles, both between 0 and pi/2, as the angle of one quotient: no cancellation.
  auto exact = atan2(w_g * h - w * h_g, h_g * h + w_g * w);
  auto turn = select(gradient.chosen("paper"), custom_gradient(exact, {{w, -h}, {h, w}}), exact);
  auto v = 0.405284734569351086 * sq(turn);
  auto alpha = stop_gradient(select(iou < iou_from, 0, v / (1 - iou + v + eps)));
  loss_per(n, 1 - iou + (sq(off(0)) + sq(off(1))) / (sq(span(0)) + sq(span(1)) + eps) + alpha * v);
}
