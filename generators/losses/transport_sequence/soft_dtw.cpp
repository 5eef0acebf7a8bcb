#include <lossc/loss.h>

#include <limits>
using namespace lossc;

LOSSC_LOSS(soft_dtw, "transport_sequence") {
  about({
      .title = "Soft dynamic time warping",
      .paper = "Cuturi and Blondel 2017 (Soft-DTW), section 2.2, algorithm 1; divergence: Blondel, Mensch and Vert 2021, eq. 7",
      .equation =
          "R_ij = c_ij + softmin(R_{i-1,j}, R_{i,j-1}, R_{i-1,j-1}), softmin(a) = -gamma log sum exp(-a / gamma), R_00 = c_00; "
          "gamma = 0: min(a); L = R at the last pair; c_ij = |x_i - y_j|^2; divergence: L(x,y) - (L(x,x) + L(y,y)) / 2",
      .edges =
          "Points from x_length or y_length on do not count, whatever they hold. A pair of which one sequence has no "
          "points is dropped: loss 0, gradient 0. The loss may be negative; the divergence is not, and 0 for equal sequences. With "
          "gamma = 0 (DTW) paths of equal cost share the gradient.",
  });
  auto n = axis("N", "pairs of sequences"), i = axis("T", "points of x"), j = axis("S", "points of y"), d = axis("D", "coordinates");
  auto cost = option("cost", {"squared_distance", "given"}, "of the points, or a tensor");
  auto x_length = labels("x_length", {n}, "points of x that count; absent: T").up_to(i).optional();
  auto y_length = labels("y_length", {n}, "points of y that count; absent: S").up_to(j).optional();
  auto gamma = param("gamma", 1, "temperature of the minimum, in units of the cost; 0: the minimum itself").at_least(0);

  const double never = std::numeric_limits<double>::infinity();
  auto p = x_length.given() ? x_length(n) : extent(i) + 0, q = y_length.given() ? y_length(n) : extent(j) + 0;
  // Along the diagonals, on which no cell needs another: cell (a, on - a), from those on the two diagonals before.
  auto dtw = [&](Index on, Index a, Expr rows, Expr columns, Expr c) {
    auto inside = a < rows && a <= on && on - a < columns;
    auto r = scan(on, {{{n, a}, never}, {{n, a}, never}}, [&](const std::vector<Expr>& v) {
      auto left = [&](Expr e) { return select(a > 0, at(e, a, a - 1), never); };
      auto up = v[0], side = left(v[0]), corner = select(on == 0, 0.0, left(v[1]));
      auto soft = -gamma * log_add_exp({-up / gamma, -side / gamma, -corner / gamma});
      auto softmin = select(gamma > 0, soft, min(min(up, side), corner));
      return std::vector<Expr>{select(inside, c + softmin, never), v[0]};
    })[0];
    return select(rows > 0 && columns > 0, at(at(r, on, rows + columns - 2), a, rows - 1), 0);
  };
  auto xy = derived_axis("T+S-1", extent(i) + extent(j) - 1, "diagonals");
  auto some = p > 0 && q > 0;
  if (cost.is("given")) return loss_per(n, dtw(xy, i, p, q, tensor("cost_matrix", {n, i, j}, "any real")(n, i, xy - i)), some);
  auto form = option("form", {"distance", "divergence"}, "L(x,y), or less the mean of L(x,x) and L(y,y)");
  auto x = tensor("x", {n, i, d}, "first sequence; any real"), y = tensor("y", {n, j, d}, "second sequence; any real");
  auto apart = [&](Tensor a, Index k, Tensor b, Expr l) { return sum(d, sq(a(n, k, d) - b(n, l, d))); };
  auto loss = dtw(xy, i, p, q, apart(x, i, y, xy - i));
  if (form.is("divergence")) {
    auto xx = derived_axis("2T-1", 2 * extent(i) - 1, "diagonals"), yy = derived_axis("2S-1", 2 * extent(j) - 1, "diagonals");
    auto within = dtw(xx, i, p, p, apart(x, i, x, xx - i)) + dtw(yy, j, q, q, apart(y, j, y, yy - j));
    loss = loss - 0.5 * within;
  }
  loss_per(n, loss, some);
}
