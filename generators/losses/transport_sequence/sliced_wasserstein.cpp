#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(sliced_wasserstein, "transport_sequence") {
  about({
      .title = "Sliced Wasserstein distance",
      .paper = "Bonneel et al. 2015 (Sliced and Radon Wasserstein Barycenters of Measures), definition 3; Deshpande et al. 2019 "
               "(Max-Sliced Wasserstein), eq. 4",
      .equation = "((1/K) sum_k (1/N) sum_n |x_(n) . theta_k - y_(n) . theta_k|^p)^(1/p), sorted along each direction; max: the "
                  "largest direction instead of the mean",
      .edges =
          "Both sets have N points of equal weight. Directions come from outside (random unit vectors) and have no gradient. At "
          "distance 0 the gradient is 0. No direction or no point gives 0.",
  });
  auto n = axis("N", "points of each set"), d = axis("D", "features"), k = axis("K", "directions");
  auto over = option("over", {"mean", "max"}, "mean over the directions, or the largest");
  auto x = tensor("x", {n, d}, "points of one set"), y = tensor("y", {n, d}, "points of the other");
  auto theta = tensor("directions", {k, d}, "unit vectors").constant();
  auto p = param("p", 2, "order of the distance; >= 1").at_least(1);

  auto along = [&](Tensor t) { return sort(n, dot(d, t(n, d), theta(k, d))); };
  auto slice = mean(n, pow(abs(along(x) - along(y)), p));
  auto all = over.is("mean") ? mean(k, slice) : max(k, slice);
  loss_total(select(all == 0, 0, pow(all, 1 / p)));
}
