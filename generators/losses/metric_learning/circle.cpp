#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(circle, "metric_learning") {
  about({
      .title = "Circle loss",
      .paper = "Sun et al. 2020 (Circle Loss), eqs. 6, 8 and 9; defaults: face recognition (re-identification: gamma 128)",
      .equation = "s = cos; a_p = sg relu(1 + m - s_p), a_n = sg relu(s_n + m); L_i = softplus(log sum_n exp(gamma a_n "
                  "(s_n - m)) + log sum_p exp(-gamma a_p (s_p - 1 + m)))",
      .edges = "A row without a positive or without a negative contributes 0 and counts in the mean. The weights a are "
               "constants of the gradient. A zero embedding has cosine 0 with everything and gradient 0.",
  });
  auto [i, j] = batch_pair("N", "anchors");
  auto d = axis("D", "features");
  auto form = option("form", {"pair", "class"}, "the others are rows of the batch, or the centres of the classes");
  auto z = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto m = param("margin", 0.25, "m; optima are 1 + m and -m, decision at 1 - m and m; 0 to 1").between(0, 1);
  auto gamma = param("gamma", 256, "scale; > 0").positive();

  auto loss = [&](Index k, Expr s, Expr pos, Expr neg) {
    auto pull = -gamma * stop_gradient(relu(1 + m - s)) * (s - (1 - m));
    auto push = gamma * stop_gradient(relu(s + m)) * (s - m);
    return softplus(logsumexp(k, push, neg) + logsumexp(k, pull, pos));
  };
  if (form.is("pair")) {
    auto y = labels("label", {i}, "class of each row; any integer");
    auto same = y(i) == y(j);
    loss_per(i, loss(j, cosine(d, z(i, d), z(j, d)), same && i != j, !same));
  } else {
    auto c = axis("C", "classes");
    auto w = tensor("weight", {c, d}, "one centre per class; normalised here");
    auto y = labels("target", {i}, "class of each row").in_range(c);
    loss_per(i, loss(c, cosine(d, z(i, d), w(c, d)), y(i) == c, y(i) != c));
  }
}
