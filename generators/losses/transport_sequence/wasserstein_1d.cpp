#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(wasserstein_1d, "transport_sequence") {
  about({
      .title = "Wasserstein distance of samples on a line",
      .paper = "Villani 2003 (Topics in Optimal Transportation), theorem 2.18",
      .equation = "W_p^p = sum_ij w_ij |x_(i) - y_(j)|^p, sorted; w_ij = length of [i/N, (i+1)/N] and [j/M, (j+1)/M] together",
      .edges = "Equal values of a sample keep their order. An empty sample: 0. Where x_(i) = y_(j) the gradient is 0.",
      .note = "Of samples of one size this is the mean of |x_(i) - y_(i)|^p.",
  });
  auto i = axis("N", "points of x"), j = axis("M", "points of y");
  auto p = option("p", {"1", "2"}, "power of the distance").at_runtime();
  auto x = tensor("x", {i}, "first sample"), y = tensor("y", {j}, "second sample");

  auto end = [&](Index of, int after) { return (of + after) / number(extent(of)); };
  auto shared = relu(min(end(i, 1), end(j, 1)) - max(end(i, 0), end(j, 0)));
  auto gap = sort(i, x(i)) - sort(j, y(j));
  loss_total(sum(i, sum(j, shared * select(p.chosen("1"), abs(gap), sq(gap)))));
}
