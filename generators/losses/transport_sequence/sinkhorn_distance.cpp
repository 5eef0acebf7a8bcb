#include <lossc/loss.h>

#include <limits>
using namespace lossc;

LOSSC_LOSS(sinkhorn_distance, "transport_sequence") {
  about({
      .title = "Entropic optimal transport (Sinkhorn) distance",
      .paper = "Cuturi 2013 (Sinkhorn Distances), section 4; gradient: Feydy et al. 2019 (Interpolating between OT and MMD), prop. 2",
      .equation =
          "f_i = -e log sum_j b_j exp((g_j - C_ij) / e), g_j = -e log sum_i a_i exp((f_i - C_ij) / e), so many times; "
          "L = <a, f> + <b, g>; dL/dC_ij = a_i b_j exp((f_i + g_j - C_ij) / e); C_ij = |x_i - y_j|^2 / 2, or |x_i - y_j|",
      .edges =
          "The gradient is that of potentials that count as constants, as converged ones may, at the temperature of the last iteration. Points of "
          "weight 0 are not there. If there are none on a side the loss is 0. Weights need not sum to 1, but on both sides to "
          "the same. Potentials stay as they are from the iteration on that finds sum_i |sum_j P_ij - a_i| < tolerance at "
          "the temperature epsilon; the iterations that are left cost what they did.",
      .note = "Iteration k has temperature max(epsilon, start scaling^k); with scaling = 1 epsilon from the first on. GeomLoss has "
              "epsilon = blur^p and scales the blur: its scaling of 0.5 is 0.5^p here.",
  });
  auto i = axis("N", "points of x"), j = axis("M", "points of y"), d = axis("D", "coordinates");
  auto k = count_axis("iterations", 50, "times that both potentials are updated");
  auto cost = option("cost", {"squared_distance", "distance", "given"}, "half the square, the distance, or a tensor");
  auto a = tensor("x_weight", {i}, ">= 0; absent: 1 / N").optional().constant();
  auto b = tensor("y_weight", {j}, ">= 0; absent: 1 / M").optional().constant();
  auto epsilon = param("epsilon", 0.05, "temperature, in units of the cost").positive();
  auto scaling = param("scaling", 0.5, "of the temperature from one iteration to the next; 1: it is epsilon always").between(0, 1);
  auto start = param("start", 0, "temperature of the first iteration; less than epsilon: that; 0: the largest finite cost").at_least(0);
  auto tolerance = param("tolerance", 0, "error of the rows' sums of the plan, all together, below which iterations stop; 0: never")
                       .at_least(0);

  auto c = [&]() -> Expr {
    if (cost.is("given")) return tensor("cost_matrix", {i, j}, "any real")(i, j);
    auto x = tensor("x", {i, d}, "one point per row; any real"), y = tensor("y", {j, d}, "one point per row; any real");
    return cost.is("distance") ? sqrt(sum(d, sq(x(i, d) - y(j, d)))) : 0.5 * sqdist(d, x(i, d), y(j, d));
  }();
  auto p = a.given() ? a(i) : 1.0 / number(extent(i)), q = b.given() ? b(j) : 1.0 / number(extent(j));
  auto largest = max(i, max(j, c, q > 0 && c < std::numeric_limits<double>::infinity()), p > 0);
  auto first = select(scaling == 1, 0, select(start > 0, start, stop_gradient(max(largest, 0))));
  auto temperature = [&](Expr at) { return max(epsilon, first * pow(scaling, number(at))); };
  auto e = temperature(k + 0);
  auto u = iterate(k, {{i, 0.0}, {j, 0.0}}, [&](const std::vector<Expr>& v) {
    auto f = -e * logsumexp(j, log(q) + (v[1] - c) / e, q > 0);
    // a_i exp((v_i - f_i) / e) is what row i of the plan sums to; the columns are exact since the iteration before.
    auto error = sum(i, p * abs(expm1((v[0] - f) / e)), p > 0);
    auto done = k > 0 && temperature(max(k - 1, 0)) <= epsilon && error < tolerance;
    return std::vector<Expr>{select(done, v[0], f), select(done, v[1], -e * logsumexp(i, log(p) + (f - c) / e, p > 0))};
  });
  auto value = sum(i, p * u[0], p > 0) + sum(j, q * u[1], q > 0);
  auto transported = sum(i, sum(j, stop_gradient(p * q * exp((u[0] + u[1] - c) / temperature(max(extent(k) - 1, 0)))) * c, q > 0), p > 0);
  loss_total(straight_through(value, transported));
}
