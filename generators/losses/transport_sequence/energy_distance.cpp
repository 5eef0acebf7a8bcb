#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(energy_distance, "transport_sequence") {
  about({
      .title = "Energy distance of two samples",
      .paper = "Szekely and Rizzo 2013 (Energy Statistics), eq. 5",
      .equation = "2 E|x - y| - E|x - x'| - E|y - y'|, means over all pairs, those of a point with itself included",
      .edges = "Equal points have distance 0 and gradient 0. An empty sample: its means are 0.",
  });
  auto i = axis("N", "points of x"), j = axis("M", "points of y"), d = axis("D", "coordinates");
  auto k = twin(i, "k"), l = twin(j, "l");
  auto scale = option("scale", {"full", "half"}, "as above, or half of it (GeomLoss)").at_runtime();
  auto x = tensor("x", {i, d}, "first sample, a point per row"), y = tensor("y", {j, d}, "second sample");

  // Differences, not sqdist: near 0 a root magnifies the error of |a|^2 + |b|^2 - 2 a.b.
  auto across = mean(i, mean(j, norm(d, x(i, d) - y(j, d))));
  auto within = mean(i, mean(k, norm(d, x(i, d) - x(k, d)))) + mean(j, mean(l, norm(d, y(j, d) - y(l, d))));
  loss_total(select(scale.chosen("half"), 0.5, 1.0) * (2 * across - within));
}
