#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(jsd, "distillation") {
  about({
      .title = "Generalised Jensen-Shannon divergence of student and teacher",
      .paper = "Lin 1991 (Divergence Measures Based on the Shannon Entropy); Agarwal et al. 2024 (GKD), eq. 1",
      .equation = "P, Q: softmax of the teacher's, student's logits / T; M = beta P + (1-beta) Q; "
                  "L = beta KL(P||M) + (1-beta) KL(Q||M); beta = 0: KL(P||Q); beta = 1: KL(Q||P)",
      .edges = "0 log 0 = 0. Rows whose label is ignore_index are dropped.",
      .note = "Embeddings, their features taken as classes, go through the same inputs.",
  });
  auto n = axis("N", "rows").flat(), c = axis("C", "classes");
  auto student = tensor("student_logits", {n, c}, "unnormalised log-probabilities; any real");
  auto teacher = tensor("teacher_logits", {n, c}, "the same of the teacher; any real").constant();
  auto ignore_index = param("ignore_index", -100, "label of the rows to drop").integer();
  auto label = labels("label", {n}, "only its equality with ignore_index counts; no row is dropped if absent").optional();
  auto beta = param("beta", 0.5, "share of the teacher in the mixture, 0 to 1").between(0, 1);
  auto T = param("temperature", 1, "divides both sides' logits; > 0").positive();

  auto lp = log_softmax(c, teacher(n, c) / T), lq = log_softmax(c, student(n, c) / T);
  auto p = exp(lp), q = exp(lq);
  auto d = lq - lp;
  // log(1 - a + a e^d), exact near d = 0 and without overflow: log M/P for the student's share a, log M/Q for -d.
  auto mixture = [](Arg a, Expr d) { return select(d < 80, log1p(a * expm1(d)), d + log(a)); };
  auto from_p = select(beta == 0, -d, select(beta == 1, 0, -beta * mixture(1 - beta, d)));
  auto from_q = select(beta == 1, d, select(beta == 0, 0, (beta - 1) * mixture(beta, -d)));
  auto loss = sum(c, p * from_p, p != 0) + sum(c, q * from_q, q != 0);
  loss_per(n, loss, label.given() ? Mask(label(n) != ignore_index) : Mask());
}
