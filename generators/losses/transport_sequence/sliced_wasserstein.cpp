#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(sliced_wasserstein, "transport_sequence") {
  about({
      .title = "Sliced Wasserstein distance",
      .paper = "Bonneel et al. 2015 (Sliced and Radon Wasserstein Barycenters of Measures), definition 3; Deshpande et al. 2019 "
               "(Max-Sliced Wasserstein), eq. 4",
      .equation = "((1/K) sum_k (1/N) sum_n |x_(n) . theta_k - y_(n) . theta_k|^p)^(1/p), sorted along each direction; max: the "
                  "largest direction instead of the mean; sizes = any: sum_nm w_nm |..|^p, w_nm = length of [n/N, (n+1)/N] and "
                  "[m/M, (m+1)/M] together",
      .edges =
          "The points of a set have equal weight. Directions come from outside (random unit vectors) and have no gradient. At "
          "distance 0 the gradient is 0. No direction or no point gives 0.",
  });
  auto n = axis("N", "points of each set"), d = axis("D", "features"), k = axis("K", "directions");
  auto sizes = option("sizes", {"equal", "any"}, "as many points in y as in x, or any number in other, at N M steps for each direction");
  auto over = option("over", {"mean", "max"}, "mean over the directions, or the largest");
  auto x = tensor("x", {n, d}, "points of one set");
  auto theta = tensor("directions", {k, d}, "unit vectors").constant();
  auto p = param("p", 2, "order of the distance; >= 1").at_least(1);

  auto along = [&](Index of, Tensor t) { return sort(of, dot(d, t(of, d), theta(k, d))); };
  Expr slice;
  if (sizes.is("equal")) {
    slice = mean(n, pow(abs(along(n, x) - along(n, tensor("y", {n, d}, "points of the other"))), p));
  } else {
    auto m = axis("M", "points of the other set");
    auto y = tensor("other", {m, d}, "points of the other, of any number");
    auto end = [](Index of, int after) { return (of + after) / number(extent(of)); };
    auto shared = relu(min(end(n, 1), end(m, 1)) - max(end(n, 0), end(m, 0)));
    slice = sum(n, sum(m, shared * pow(abs(along(n, x) - along(m, y)), p)));
  }
  auto all = over.is("mean") ? mean(k, slice) : max(k, slice);
  loss_total(select(all == 0, 0, pow(all, 1 / p)));
}
