// Definitions whose kernels once were wrong, each as short as it shows the fault. cli_test has `lossc check` look at them.
#include <lossc/loss.h>
using namespace lossc;

namespace {
void about_a_fault(const char* what) {
  about({.title = what, .paper = "none", .equation = "see the code", .edges = "none"});
}
}  // namespace

// A map of stored values alone with a sum inside, over fewer places than a chunk has: wrote before its memory.
LOSSC_LOSS(sum_inside_a_map, "fault") {
  about_a_fault("Sum inside a map that reads nothing of the caller's");
  auto n = axis("N", "images"), h = axis("H", "height"), w = axis("W", "width"), p = twin(h, "p");
  auto x = tensor("input", {n, h, w}, "image");
  auto a = exp(x(n, h, w));
  loss_per(n, sum(p, sum(w, sq(select(extent(h) == 1, at(a, h, 0), at(a, h, p))))));
}

// The adjoint of a fixed point, whose step sums over rows of a matrix: a sum over the places stood inside the loop over them.
LOSSC_LOSS(fixed_point, "fault") {
  about_a_fault("Fixed point of a network");
  auto n = axis("N", "rows"), i = axis("I", "states"), j = twin(i, "j"), k = count_axis("times", 60, "iterations");
  auto x = tensor("input", {n, i}, "input"), w = tensor("weight", {i, j}, "weight");
  auto s = iterate(
      k, {{{n, i}, 0.0}},
      [&](const std::vector<Expr>& v) {
        return std::vector<Expr>{tanh(x(n, i) + 0.2 * sum(j, tanh(w(i, j)) * at(v[0], i, j)))};
      },
      Derivative::OfFixedPoint);
  loss_per(n, sum(i, sq(s[0]) * (number(i) + 1)));
}

// Volumes with channels, five dimensions: tensors had four at the most.
LOSSC_LOSS(volumes, "fault") {
  about_a_fault("Squared differences along three axes");
  auto n = axis("N", "volumes"), c = axis("C", "channels"), z = axis("Z", "depth"), h = axis("H", "height"), w = axis("W", "width");
  auto x = tensor("input", {n, c, z, h, w}, "volume");
  auto m = mask("mask", {n, c, z, h, w}, "places that count").optional();
  auto e = x(n, c, z, h, w);
  auto along = [&](Index i) { return sq(padded(e, i, i + 1, Border::Edge) - e); };
  auto d = along(z) + along(h) + along(w);
  loss_per(n, sum(c, sum(z, sum(h, sum(w, m.given() ? select(m(n, c, z, h, w), d, 0) : d)))));
}

// A sum that another reads before the walk over the columns was computed in it; and the label was that of the neighbour.
LOSSC_LOSS(chosen_neighbour, "fault") {
  about_a_fault("Divergence from the neighbour that a label chooses");
  auto n = axis("N", "images"), h = axis("H", "height"), w = axis("W", "width"), c = axis("C", "classes"), k = axis("3", "neighbours");
  auto x = tensor("logits", {n, c, h, w}, "scores");
  auto y = labels("direction", {n, h, w}, "which neighbour").in_range(k);
  auto own = log_softmax(c, x(n, c, h, w));
  auto other = padded(padded(own, h, h + k - 1, Border::Edge), w, w + 1 - k, Border::Edge);
  auto divergence = sum(c, exp(own) * (own - stop_gradient(other)));
  loss_per({n, h, w}, at(divergence, k, y(n, h, w)) + 0.1 * sum(k, sq(divergence)));
}

// Rows that are the vectorised index: a panel of what is stored was read as if it began at row 0.
LOSSC_LOSS(rows_innermost, "fault") {
  about_a_fault("Sums of products over the outer index");
  auto j = axis("N", "samples"), c = axis("C", "features");
  auto x = tensor("x", {j, c}, "any real"), y = tensor("y", {j, c}, "any real");
  loss_per(c, exp(softplus(cosine(j, softmax(j, x(j, c)), y(j, c)))));
}

// Every cosine is 1 or -1 but for rounding: which of them is the quantile is not determined, and was found wrong.
LOSSC_LOSS(tied_but_for_rounding, "fault") {
  about_a_fault("Quantile of what is equal but for rounding");
  auto i = axis("N", "rows"), c = axis("C", "columns"), d = twin(c, "d");
  auto x = tensor("x", {i, c}, "any real");
  loss_per({i, c}, quantile(c, cosine(d, 0.0 * number(d) + 1, x(i, c)), 0.3));
}

// Of equal rows the gradients cancel but for rounding, next to which the others' are small: found wrong.
LOSSC_LOSS(equal_rows, "fault") {
  about_a_fault("Log of a sum over pairs that is nearly that of the equal ones");
  auto [i, j] = batch_pair("N", "rows");
  auto d = axis("D", "features");
  auto x = tensor("x", {i, d}, "any real");
  auto t = param("scale", 2, "of the squared distances").positive();
  loss_total(logsumexp(i, logsumexp(j, -t * sqdist(d, x(i, d), x(j, d)), i < j)));
}

// The surrogate is ten thousand times the value, and rounds by as much more than it: differences were taken for exact.
LOSSC_LOSS(large_surrogate, "fault") {
  about_a_fault("Logarithm of a mean with the derivative of its quotient by a small constant");
  auto i = axis("N", "samples"), j = axis("M", "others");
  auto x = tensor("scores", {i, j}, "any real");
  auto log_b = logsumexp(i, logsumexp(j, x(i, j)));
  loss_total(straight_through(log_b, exp(log_b) / 1e-4));
}

// A scatter whose keys run along the vectorised index and are dear to compute: Halide took the vector apart at the branch
// that drops a key, and did not compile it.
LOSSC_LOSS(keys_along_a_vector, "fault") {
  about_a_fault("Histogram of a function of the column");
  auto i = axis("N", "rows"), j = twin(i, "j"), c = axis("C", "columns");
  auto w = tensor("w", {c}, "any real");
  auto m = mask("m", {i, c}, "elements that count");
  loss_per({i, c}, sq(histogram(j, exp(tanh(w(c))), i, -2.0, 2.0, m(j, c))));
}

// An infinity as an integer is 2^30, an angle so large that f32 does not promise its sine: found wrong.
LOSSC_LOSS(sine_of_an_integer, "fault") {
  about_a_fault("Sine of a number of whole turns");
  auto i = axis("N", "rows");
  auto x = tensor("x", {i}, "any real");
  loss_per(i, sin(number(to_int(3.0 * x(i)))));
}

// An argmax over the rows was refused: of two panels only the indices are left, which cannot be merged.
LOSSC_LOSS(row_selected, "fault") {
  about_a_fault("Gap to the row that scores highest in each column, and to the second of all");
  auto i = axis("N", "rows"), c = axis("C", "columns");
  auto x = tensor("x", {i, c}, "any real");
  auto highest = at(x(i, c), i, argmax(i, tanh(x(i, c))));
  loss_per(i, sum(c, sq(x(i, c) - highest)) + sq(kth_largest(i, 2, sum(c, x(i, c)))));
}

// A place that goes by another one was read where that is, in range or not: Halide did not compile it.
LOSSC_LOSS(place_of_a_place, "fault") {
  about_a_fault("Gather of what each group chose by a score of its own, at the label of each row");
  auto i = axis("N", "rows"), j = axis("M", "groups"), k = axis("K", "choices");
  auto w = tensor("w", {k}, "any real"), x = tensor("x", {j, k}, "any real"), s = tensor("s", {i}, "any real");
  auto t = labels("t", {i}, "group of each row").in_range(j);
  auto by_value = at(exp(w(k)), k, clamp(to_int(3 * x(j, 0)), 0, extent(k) - 1));
  auto by_score = at(exp(w(k)), k, argmax(k, x(j, k)));
  loss_per(i, s(i) * at(by_value, j, t(i)) + at(by_score, j, t(i)));
}

// A recurrence over all rows read the orders of each row before they were there.
LOSSC_LOSS(recurrence_at_sorted_places, "fault") {
  about_a_fault("Running mean of the rows, to which each adds an element at sorted places");
  auto n = axis("N", "rows"), t = axis("T", "places");
  auto x = tensor("x", {n, t}, "any real"), y = tensor("y", {n, t}, "any real");
  auto v = scan(t, {{n, 0.3}}, [&](const std::vector<Expr>& u) {
    return std::vector<Expr>{0.5 * mean(n, u[0]) + x(argsort(n, y(n, t)), argsort(t, y(n, t)))};
  })[0];
  loss_per(n, sum(t, v));
}

// A kernel with the sine of the same angle beside it had another cosine, in the last place: a tie in one, and none in the other.
LOSSC_LOSS(tie_of_what_is_computed_twice, "fault") {
  about_a_fault("Larger of nothing and a cosine less itself");
  auto i = axis("N", "rows");
  auto x = tensor("x", {i}, "any real"), z = tensor("z", {}, "any real");
  auto other = pool(i, axis("1", "window"), i, cos(x(i)));
  loss_per(i, max(relu(z()), cos(x(i)) - other));
}

// Large values make sines of more than float32 tells apart: found wrong.
LOSSC_LOSS(sketched_test_of_normality, "fault") {
  about_a_fault("Distance of the characteristic function of projections from the normal one");
  auto i = axis("N", "batch"), d = axis("D", "features"), m = axis("M", "directions"), t = axis("T", "nodes of the quadrature");
  auto z = tensor("embedding", {i, d}, "any real");
  auto a = tensor("direction", {m, d}, "unit vectors").constant();
  auto node = tensor("node", {t}, "where the characteristic function is taken").constant();
  auto weight = tensor("weight", {t}, "of each node").constant();

  auto p = dot(d, z(i, d), a(m, d));
  auto real = mean(i, cos(node(t) * p)), imaginary = mean(i, sin(node(t) * p));
  loss_total(number(extent(i)) * mean(m, sum(t, weight(t) * (sq(real - exp(-sq(node(t)) / 2)) + sq(imaginary)))));
}

// The derivative of a fixed point is a product with what was reached at other rows, which no step had written.
LOSSC_LOSS(walk_to_its_end, "fault") {
  about_a_fault("Random walk with restarts, to its end");
  auto [i, j] = batch_pair("N", "rows");
  auto k = axis("K", "classes"), times = count_axis("iterations", 60, "of the walk");
  auto s = tensor("similarity", {i, j}, "any real"), restart = tensor("restart", {i, k}, "any real");
  auto F = iterate(times, {{{i, k}, 0.0}}, [&](const std::vector<Expr>& was) {
    return std::vector<Expr>{restart(i, k) + 0.1 * sum(j, tanh(s(i, j)) / number(extent(i)) * at(was[0], i, j))};
  }, Derivative::OfFixedPoint)[0];
  loss_per(i, sum(k, sq(F)));
}

// What iterations of a matrix start from is looked up with rows and columns exchanged, at places in memory: Halide did not compile it.
LOSSC_LOSS(whitened_by_iterations, "fault") {
  about_a_fault("Whitening by Newton's iterations");
  auto n = axis("N", "batch"), a = axis("D", "features"), b = twin(a, "b"), c = twin(a, "c");
  auto times = count_axis("iterations", 2, "of Newton's");
  auto z = tensor("embedding", {n, a}, "any real");
  auto x = z(n, a) - mean(n, z(n, a));
  auto S = dot(n, x, at(x, a, b));
  auto T = S / (1 + sum(a, at(S, b, a)));
  auto P = iterate(times, {{{a, b}, number(a == b)}}, [&](const std::vector<Expr>& was) {
    auto square = sum(c, at(was[0], b, c) * at(was[0], a, c)), cube = sum(c, at(square, b, c) * at(was[0], a, c));
    return std::vector<Expr>{1.5 * was[0] - 0.5 * sum(c, at(cube, b, c) * at(T, a, c))};
  })[0];
  loss_total(mean(n, sum(b, sq(sum(a, x * P)))));
}

// Of a row and itself, or one that is equal, the kernel's distance is the square root of a rounding error: called a fault of it.
LOSSC_LOSS(all_distances, "fault") {
  about_a_fault("Distances of all unit rows, their own among them");
  auto [i, j] = batch_pair("N", "rows");
  auto d = axis("D", "features");
  auto z = tensor("embedding", {i, d}, "any real");
  auto u = [&](Index k) { return normalize(d, z(k, d)); };
  loss_per(i, sum(j, sqrt(sqdist(d, u(i), u(j)))));
}
LOSSC_LOSS(weighted_gap, "fault") {
  about_a_fault("Gap between the nearest and the farthest, weighted by where it lies");
  auto [i, j] = batch_pair("N", "rows");
  auto d = axis("D", "features"), b = axis("B", "bins");
  auto z = tensor("embedding", {i, d}, "any real"), share = tensor("share", {b}, "0 or more").constant();
  auto y = labels("label", {i}, "class");
  auto u = [&](Index k) { return normalize(d, z(k, d)); };
  auto D = sqrt(sqdist(d, u(i), u(j)));
  auto ok = any(j, y(i) == y(j) && i != j) && any(j, y(i) != y(j));
  auto gap = max(j, D, y(i) == y(j) && i != j) - min(j, D, y(i) != y(j));
  auto w = interpolated(cumsum(b, share(b)), b, (stop_gradient(select(ok, gap, 0.0)) + 2) / 4 * number(extent(b) - 1), Border::Edge);
  loss_per(i, stop_gradient(w) * gap, ok);
}

// What is true of all real numbers, but not of NaN: in the columns behind the last whole vector it was.
LOSSC_LOSS(true_of_numbers, "fault") {
  about_a_fault("Rows of which all but one column count only where a scalar is a number");
  auto n = axis("N", "rows"), c = axis("C", "columns");
  auto x = tensor("x", {n, c}, "any real"), z = tensor("z", {}, "any real, or NaN");
  auto counts = c < 1 || (z() == z() && z() - 1 < z());
  loss_per({n, c}, log(1.0 + sq(x(n, c))) * select(counts, sq(x(n, c)), 0), counts);
}
