#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(dino, "self_supervised") {
  about({
      .title = "DINO, cross-entropy with a centred teacher",
      .paper = "Caron et al. 2021 (Emerging Properties in Self-Supervised Vision Transformers), eqs. 2 to 4",
      .equation = "P_g = softmax((t_g - center) / T_t); L_n = mean over g, v != g of -sum_k P_gk log softmax(s_v / T_s)_k; "
                  "new center = momentum center + (1 - momentum) mean t",
      .edges = "View v of the student and view g of the teacher are the same where v = g, and not compared. A teacher "
               "logit of -inf has probability 0. With no pair to compare the loss is 0.",
  });
  auto n = axis("N", "images"), v = axis("V", "views of the student, the teacher's first"),
       g = axis("G", "global views, of the teacher"), k = axis("K", "output dimensions");
  auto student = tensor("student", {v, n, k}, "logits of the student; any real");
  auto teacher = tensor("teacher", {g, n, k}, "logits of the teacher; any real").constant();
  auto center = tensor("center", {k}, "running mean of the teacher's logits").constant();
  auto student_temperature = param("student_temperature", 0.1, "divides the student's logits; > 0").positive();
  auto teacher_temperature = param("teacher_temperature", 0.04, "divides the teacher's; 0.04 to 0.07; > 0").positive();
  auto momentum = param("momentum", 0.9, "share of the old center in the new, 0 to 1").between(0, 1);

  auto t = softmax(k, (teacher(g, n, k) - center(k)) / teacher_temperature);
  auto s = student(v, n, k) / student_temperature;
  auto target = sum(g, t, g != v);
  auto ce = sum(k, target) * logsumexp(k, s) - sum(k, target * s, target != 0);
  auto pairs = sum(v, count(g, g != v));
  loss_per(n, select(pairs > 0, sum(v, ce) / pairs, 0));
  auto batch = mean(n, mean(g, teacher(g, n, k)));
  new_state("new_center", {k}, momentum * center(k) + (1 - momentum) * batch, "the center after this batch");
}
