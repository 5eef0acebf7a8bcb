#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(kd_kl, "distillation") {
  about({
      .title = "Knowledge distillation with temperature (Hinton KD)",
      .paper = "Hinton, Vinyals and Dean 2015 (Distilling the Knowledge in a Neural Network), section 2",
      .equation = "p = softmax(t / T), r = softmax(s / T); KL = sum_c p_c (log p_c - log r_c), or without p_c log p_c; "
                  "L = T^2 KL, with labels alpha T^2 KL + (1 - alpha) (-log softmax(s)_y)",
      .edges = "A class of teacher probability 0 contributes 0. A row whose label is ignore_index has the KL part only. "
               "The mean divides by the rows (batchmean); for the mean over elements give N C as the denominator.",
      .note = "For the mean of the label part over the labelled rows alone, add cross_entropy of those rows to this without labels.",
  });
  auto n = axis("N", "rows").flat(), c = axis("C", "classes");
  auto divergence = option("divergence", {"kl", "cross_entropy"}, "with the teacher's entropy taken off, or not").at_runtime();
  auto student = tensor("student_logits", {n, c}, "unnormalised log-probabilities; any real");
  auto teacher = tensor("teacher_logits", {n, c}, "the same of the teacher; any real, -inf rules a class out").constant();
  auto ignore_index = param("ignore_index", -100, "label of the rows without one").integer();
  auto label = labels("label", {n}, "class of each row, or ignore_index; KL alone if absent")
                   .in_range(c).ignoring(ignore_index).optional();
  auto T = param("temperature", 4, "divides both sides' logits; > 0").positive();
  auto alpha = param("alpha", 0.5, "weight of the KL part where labels are given, 0 to 1").between(0, 1);

  auto s = student(n, c), t = teacher(n, c);
  auto p = softmax(c, t / T), log_r = log_softmax(c, s / T);
  auto kl = sq(T) * sum(c, p * (select(divergence.chosen("kl"), log_softmax(c, t / T), 0) - log_r), p != 0);
  if (!label.given()) return loss_per(n, kl);
  auto ce = logsumexp(c, s) - at(s, c, label(n));
  loss_per(n, alpha * kl + select(label(n) == ignore_index || alpha == 1, 0, (1 - alpha) * ce));
}
