#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(grpo, "reinforcement") {
  about({
      .title = "Group relative policy optimisation (GRPO)",
      .paper = "Shao et al. 2024 (DeepSeekMath), eqs. 3 and 4; dr_grpo: Liu et al. 2025; dapo: Yu et al. 2025; "
               "sequence level: Zheng et al. 2025 (GSPO); two-sided clip: INTELLECT-2 2025",
      .equation = "rho = exp(logpi - logold), d = logref - logpi; l_t = -min(min(rho, delta) A, clip(rho, 1-low, 1+high) A) "
                  "+ beta (exp(d) - d - 1); L = 1/|y| sum_t l_t",
      .edges = "A completion without tokens contributes 0 and counts in the mean. Masked tokens do not exist.",
      .note = "Advantages are (reward - mean of the group) / (deviation of the group + 1e-4), the deviation of a sample (G - 1) "
              "as in TRL; dr_grpo: without the division. dapo wants clip_high = 0.28, and the token count of all devices "
              "as denominator.",
  });
  auto b = axis("N", "completions"), t = axis("T", "tokens");
  auto type = option("loss_type", {"grpo", "bnpo", "dr_grpo", "dapo"},
                     "mean over tokens, then completions; over all tokens (bnpo, dapo); sum over max_length (dr_grpo)")
                  .at_runtime();
  auto level = option("importance", {"token", "sequence"}, "rho per token, or its geometric mean over the completion")
                   .at_runtime();
  auto logp = tensor("logp", {b, t}, "log-probability of each token under the policy");
  auto old = tensor("old_logp", {b, t}, "the same under the policy that sampled them").constant();
  auto ref = tensor("reference_logp", {b, t}, "the same under the reference; no divergence if absent or at beta = 0")
                 .optional().constant();
  auto advantage = tensor("advantage", {b}, "of each completion within its group").constant();
  auto m = mask("mask", {b, t}, "true: the token belongs to the completion");
  auto low = param("clip_low", 0.2, "rho is clipped below at 1 - this, 0 to 1").between(0, 1);
  auto high = param("clip_high", 0.2, "rho is clipped above at 1 + this; >= 0").at_least(0);
  auto delta = param("delta", 0, "bound on the unclipped rho; > 1 + clip_high; 0: none").at_least(0);
  auto beta = param("beta", 0.04, "weight of the divergence from the reference; >= 0").at_least(0);
  auto longest = param("max_length", 0, "divisor of dr_grpo, in tokens; 0: the extent of T").at_least(0);

  auto tokens = count(t, m(b, t)), length = max(tokens, 1), a = advantage(b);
  auto step = logp(b, t) - old(b, t);
  auto rho = exp(select(level.chosen("sequence"), sum(t, step, m(b, t)) / length, step));
  auto gain = min(select(delta > 0, min(rho, delta), rho) * a, clamp(rho, 1 - low, 1 + high) * a);
  auto penalty = [&] {
    auto d = ref(b, t) - logp(b, t);
    return select(beta > 0, beta * (expm1(d) - d), 0);
  };
  auto total = sum(t, ref.given() ? penalty() - gain : -gain, m(b, t));
  auto by_sequence = type.chosen("grpo") || type.chosen("dr_grpo");
  auto most = select(longest > 0, longest, max(number(extent(t)), 1));
  auto size = select(type.chosen("grpo"), length, select(type.chosen("dr_grpo"), most, 1));
  loss_per(b, total / size, {}, {.weight = select(by_sequence, 1, tokens)});
}
