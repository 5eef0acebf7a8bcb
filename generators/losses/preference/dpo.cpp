#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(dpo, "preference") {
  about({
      .title = "Direct preference optimisation (DPO)",
      .paper = "Rafailov et al. 2023 (Direct Preference Optimization), eq. 7; conservative DPO: Mitchell 2023",
      .equation = "h = beta ((logpi_w - logref_w) - (logpi_l - logref_l)); L = -(1-e) log sigmoid(h) - e log sigmoid(-h); "
                  "logpi: the sum over an answer's tokens of log softmax(x)_token, normalised: their mean",
      .edges = "An answer without tokens has log-probability 0, normalised or not. Masked tokens do not exist.",
  });
  auto b = axis("N", "pairs of a preferred and a rejected answer");
  auto input = option("input", {"sequence", "logits"}, "log-probabilities of answers, or logits of their tokens");
  auto norm = option("length_normalised", {"off", "on"}, "on: log-probabilities per token, the policy's and the reference's");
  auto ref_w = tensor("reference_chosen", {b}, "log-probability of the preferred answer under the reference").constant();
  auto ref_l = tensor("reference_rejected", {b}, "the same of the rejected answer").constant();
  auto beta = param("beta", 0.1, "inverse temperature of the implied reward; > 0").positive();
  auto e = param("label_smoothing", 0, "assumed share of swapped preferences, 0 to 0.5").between(0, 0.5);

  const Index v = input.is("logits") ? axis("V", "vocabulary") : Index();
  auto ratio = [&](std::string s, Expr ref, Index t) {
    Expr policy, length;
    if (input.is("logits")) {
      auto x = tensor((s + "_logits").c_str(), {b, t, v}, "logits at the answer's tokens; any real")(b, t, v);
      auto y = labels((s + "_token").c_str(), {b, t}, "the answer's tokens").in_range(v)(b, t);
      auto m = mask((s + "_mask").c_str(), {b, t}, "true: the token belongs to the answer")(b, t);
      policy = sum(t, at(x, v, y) - logsumexp(v, x), m), length = count(t, m);
    } else {
      policy = tensor(s.c_str(), {b}, "log-probability of the answer, a sum over its tokens")(b);
      if (norm.is("on")) length = tensor((s + "_length").c_str(), {b}, "number of its tokens").constant()(b);
    }
    return norm.is("on") ? (policy - ref) / max(length, 1) : policy - ref;
  };
  auto h = beta * (ratio("chosen", ref_w(b), axis("T", "tokens of preferred answers")) -
                   ratio("rejected", ref_l(b), axis("U", "tokens of rejected answers")));
  loss_per(b, softplus(-h) + select(e > 0, e * h, 0));
}
