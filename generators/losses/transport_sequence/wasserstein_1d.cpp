#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(wasserstein_1d, "transport_sequence") {
  about({
      .title = "Wasserstein distance of samples on a line",
      .paper = "Villani 2003 (Topics in Optimal Transportation), theorem 2.18",
      .equation = "W_p^p = sum_ij w_ij |x_(i) - y_(j)|^p, sorted; w_ij = length of [i/N, (i+1)/N] and [j/M, (j+1)/M] together; with "
                  "weights of what each x_(i) and y_(j) has of their sum, one after another",
      .edges = "Equal values of a sample keep their order. A sample that is empty, or all of weight 0: 0. Where x_(i) = y_(j) the gradient is 0.",
      .note = "Of samples of one size this is the mean of |x_(i) - y_(i)|^p.",
  });
  auto i = axis("N", "points of x"), j = axis("M", "points of y");
  auto p = option("p", {"1", "2"}, "power of the distance").at_runtime();
  auto x = tensor("x", {i}, "first sample"), y = tensor("y", {j}, "second sample");
  auto a = tensor("x_weight", {i}, "weight of each point, >= 0; equal if absent").optional().constant();
  auto b = tensor("y_weight", {j}, "weight of each point, >= 0; equal if absent").optional().constant();

  struct Sorted {
    Expr value, from, to;  // and which part of the mass, 0 to 1, it stands for
  };
  auto sorted = [](Index of, Tensor x, Tensor w) {
    if (!w.given()) return Sorted{sort(of, x(of)), of / number(extent(of)), (of + 1) / number(extent(of))};
    auto order = argsort(of, x(of));
    auto all = sum(of, w(of)), share = select(all > 0, at(w(of), of, order) / all, 0), to = cumsum(of, share);
    return Sorted{at(x(of), of, order), to - share, to};
  };
  auto u = sorted(i, x, a), v = sorted(j, y, b);
  auto shared = relu(min(u.to, v.to) - max(u.from, v.from)), gap = u.value - v.value;
  loss_total(sum(i, sum(j, shared * select(p.chosen("1"), abs(gap), sq(gap)))));
}
