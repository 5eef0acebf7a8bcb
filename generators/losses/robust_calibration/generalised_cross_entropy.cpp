#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(generalised_cross_entropy, "robust_calibration") {
  about({
      .title = "Generalised cross-entropy (GCE), and truncated",
      .paper = "Zhang and Sabuncu 2018 (Generalized Cross Entropy Loss for Noisy Labels), eqs. 6 and 9",
      .equation = "p = softmax(x); L = (1 - p_y^q) / q; truncated: (1 - k^q) / q where p_y <= k",
      .edges = "p_y = k counts as truncated, with gradient 0; k = 0 truncates nothing. q = 1 is 1 - p_y, small q nears "
               "cross-entropy. Truncated rows count in the mean. Where kept is given it decides instead of p_y > k.",
      .note = "The authors' loop holds `kept` fixed for some epochs, one flag per training sample, and then takes it "
              "anew from the output `above`.",
  });
  auto n = axis("N", "rows"), c = axis("C", "classes");
  auto form = option("form", {"full", "truncated"}, "truncated: rows of a small p_y have a constant loss");
  auto logits = tensor("logits", {n, c}, "unnormalised log-probabilities; any real");
  auto target = labels("target", {n}, "class of each row, 0 to C - 1").in_range(c);
  auto q = param("q", 0.7, "exponent, above 0 to 1; small: like cross-entropy, 1: robust").positive();

  auto x = logits(n, c);
  auto log_p = at(x, c, target(n)) - logsumexp(c, x);
  auto gce = [&](Expr log_p) { return -expm1(q * log_p) / q; };
  if (form.is("full")) return loss_per(n, gce(log_p));
  auto s = axis("S", "training samples");
  auto kept = mask("kept", {s}, "true: the sample is not truncated; p_y > k decides if absent").optional();
  auto k = param("k", 0.5, "probability up to which a row is truncated, 0 to 1").between(0, 1);

  auto log_k = log(k);
  Expr cut = log_p <= log_k;
  if (kept.given()) cut = !kept(labels("sample", {n}, "which training sample the row is").in_range(s)(n));
  loss_per(n, select(cut, gce(log_k), gce(log_p)));
  output("above", {n}, number(log_p > log_k), "1 where p_y > k, else 0");
}
