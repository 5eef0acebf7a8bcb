#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(fastap, "metric_learning") {
  about({
      .title = "FastAP",
      .paper = "Cakir et al. 2019 (Deep Metric Learning to Rank), eqs. 6 to 12",
      .equation = "D = |u_i - u_j|^2 of unit rows, in [0, 4]; h_b = sum_j max(0, 1 - |D - e_b| / step), e_b = b step, "
                  "b = 0 to L, step = 4 / L; H_b = sum_{a <= b} h_a; h+, H+ the same over positives; "
                  "L_i = 1 - 1/n+ sum_b h+_b H+_b / H_b",
      .edges = "A row without positives is dropped; a bin with H_b = 0 adds 0. A zero embedding is at distance 1 from "
               "unit rows.",
  });
  auto bins = count_axis("bins", 10, "L, the steps of the histogram between its first edge and its last");
  auto b = derived_axis("bins+1", extent(bins) + 1, "edges of the histogram"), a = twin(b, "a");
  auto [i, j] = batch_pair("N", "anchors");
  auto d = axis("D", "features");
  auto z = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  require(extent(bins) >= 1, "a step between two edges");

  auto u = [&](Index k) { return normalize(d, z(k, d)); };
  auto dist = sqdist(d, u(i), u(j));
  auto pos = y(i) == y(j) && i != j;
  auto pulse = relu(1 - abs(number(extent(bins)) / 4 * dist - number(b)));
  auto h = sum(j, pulse, i != j), h_pos = sum(j, pulse, pos);
  auto upto = [&](Expr e) { return sum(a, at(e, b, a), a <= b); };
  auto n = count(j, pos);
  loss_per(i, 1 - sum(b, h_pos * upto(h_pos) / upto(h), upto(h) != 0) / n, n > 0);
}
