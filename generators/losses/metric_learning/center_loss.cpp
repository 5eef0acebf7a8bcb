#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(center_loss, "metric_learning") {
  about({
      .title = "Center loss",
      .paper = "Wen et al. 2016 (A Discriminative Feature Learning Approach for Deep Face Recognition), eqs. 2 and 4",
      .equation = "L_i = 1/2 |x_i - c_{y_i}|^2; new c_j = c_j - rate sum_{i: y_i = j} (c_j - x_i) / (1 + n_j)",
      .edges = "A class without rows keeps its centre. A row that is not finite spoils the new centre of its class "
               "alone. The paper's loss is the sum over rows, here reduction sum.",
      .note = "Either the centres follow the paper's rule (new_center), or they are learned (grad_center).",
  });
  auto i = axis("N", "rows"), c = axis("C", "classes"), d = axis("D", "features");
  auto x = tensor("embedding", {i, d}, "one row per item; any real");
  auto center = tensor("center", {c, d}, "one centre per class; any real");
  auto y = labels("label", {i}, "class of each row").in_range(c);
  auto rate = param("rate", 0.5, "how far a centre follows its rows (alpha), 0 to 1").between(0, 1);

  loss_per(i, 0.5 * sum(d, sq(x(i, d) - center(y(i), d))));
  auto n = segment_count(i, y(i), c);
  auto pull = n * center(c, d) - segment_sum(i, x(i, d), y(i), c);
  new_state("new_center", {c, d}, center(c, d) - rate * pull / (1 + n), "the centres after this batch");
}
