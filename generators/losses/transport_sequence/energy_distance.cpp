#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(energy_distance, "transport_sequence") {
  about({
      .title = "Energy distance of two samples",
      .paper = "Szekely and Rizzo 2013 (Energy Statistics), eq. 5",
      .equation = "2 E|x - y| - E|x - x'| - E|y - y'|, means over all pairs, those of a point with itself included; with "
                  "weights over their sum",
      .edges = "Equal points have distance 0 and gradient 0. A sample that is empty, or all of weight 0: its means are 0.",
  });
  auto i = axis("N", "points of x"), j = axis("M", "points of y"), d = axis("D", "coordinates");
  auto k = twin(i, "k"), l = twin(j, "l");
  auto scale = option("scale", {"full", "half"}, "as above, or half of it (GeomLoss)").at_runtime();
  auto x = tensor("x", {i, d}, "first sample, a point per row"), y = tensor("y", {j, d}, "second sample");
  auto a = tensor("x_weight", {i}, "weight of each point, >= 0; equal if absent").optional().constant();
  auto b = tensor("y_weight", {j}, "weight of each point, >= 0; equal if absent").optional().constant();

  auto average = [](Index over, Tensor w, Expr e) {
    if (!w.given()) return mean(over, e);
    auto all = sum(over, w(over));
    return select(all > 0, sum(over, w(over) * e) / all, 0);
  };
  // Differences, not sqdist: near 0 a root magnifies the error of |a|^2 + |b|^2 - 2 a.b.
  auto across = average(i, a, average(j, b, norm(d, x(i, d) - y(j, d))));
  auto within = average(i, a, average(k, a, norm(d, x(i, d) - x(k, d)))) + average(j, b, average(l, b, norm(d, y(j, d) - y(l, d))));
  loss_total(select(scale.chosen("half"), 0.5, 1.0) * (2 * across - within));
}
