#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(sliced_wasserstein, "transport_sequence") {
  about({
      .title = "Sliced Wasserstein distance",
      .paper = "Bonneel et al. 2015 (Sliced and Radon Wasserstein Barycenters of Measures), definition 3; Deshpande et al. 2019 "
               "(Max-Sliced Wasserstein), eq. 4; Bonet et al. 2023 (Spherical Sliced-Wasserstein), section 3",
      .equation = "((1/K) sum_k (1/N) sum_n |x_(n) . theta_k - y_(n) . theta_k|^p)^(1/p), sorted along each direction; max: the "
                  "largest direction instead of the mean; sizes = any: sum_nm w_nm |..|^p, w_nm = length of [n/N, (n+1)/N] and "
                  "[m/M, (m+1)/M] together; space = sphere: min over s of (1/N) sum_n |x_(n) - y_(n+s mod N)|^p, the angles in "
                  "each plane in turns, |..| the shorter way round",
      .edges =
          "The points of a set have equal weight. Directions come from outside (random unit vectors) and have no gradient. At "
          "distance 0 the gradient is 0. No direction or no point gives 0. On a sphere the shift s has no gradient, of equally "
          "good ones the least is taken; a point orthogonal to a plane has angle 0 there and gradient 0.",
      .note = "Sets of unequal sizes on a sphere: repeat the points of each up to the least common multiple of the sizes.",
  });
  auto n = axis("N", "points of each set"), d = axis("D", "features"), k = axis("K", "directions");
  auto space = option("space", {"euclidean", "sphere"}, "points are sorted along lines, or round great circles of the unit sphere");
  auto x = tensor("x", {n, d}, "points of one set");
  auto theta = tensor("directions", {k, d}, "unit vectors; on a sphere one of each circle's plane").constant();
  auto p = param("p", 2, "order of the distance; >= 1").at_least(1);
  auto total = [&](Expr all) { loss_total(select(all == 0, 0, pow(all, 1 / p))); };
  const char* y_doc = "points of the other";
  if (space.is("sphere")) {
    auto y = tensor("y", {n, d}, y_doc);
    auto normal = tensor("orthogonal", {k, d}, "the other unit vector of each circle's plane").constant();
    auto turns = [&](Tensor t) {
      auto angle = atan2(dot(d, t(n, d), normal(k, d)), dot(d, t(n, d), theta(k, d)));
      return sort(n, 0.159154943091895336 * angle);
    };
    // On a circle the best plan is a shift of the sorted order, as that of a line is the order itself.
    auto u = turns(x), v = turns(y);
    auto slice = [&](Arg shift) {
      auto apart = abs(u - at(v, n, (n + shift) % extent(n)));
      return mean(n, pow(min(apart, abs(1 - apart)), p));
    };
    auto s = twin(n, "s");
    return total(mean(k, slice(argmin(s, slice(s)))));
  }

  auto sizes = option("sizes", {"equal", "any"}, "as many points in y as in x, or any number in other, at N M steps for each direction");
  auto over = option("over", {"mean", "max"}, "mean over the directions, or the largest");
  auto along = [&](Index of, Tensor t) { return sort(of, dot(d, t(of, d), theta(k, d))); };
  Expr slice;
  if (sizes.is("equal")) {
    slice = mean(n, pow(abs(along(n, x) - along(n, tensor("y", {n, d}, y_doc))), p));
  } else {
    auto m = axis("M", "points of the other set");
    auto y = tensor("other", {m, d}, "points of the other, of any number");
    auto end = [](Index of, int after) { return (of + after) / number(extent(of)); };
    auto shared = relu(min(end(n, 1), end(m, 1)) - max(end(n, 0), end(m, 0)));
    slice = sum(n, sum(m, shared * pow(abs(along(n, x) - along(m, y)), p)));
  }
  total(over.is("mean") ? mean(k, slice) : max(k, slice));
}
