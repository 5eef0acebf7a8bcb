#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(cross_entropy, "classification") {
  about({
      .title = "Softmax cross-entropy",
      .paper =
          "Bridle 1990 (softmax with likelihood); label smoothing: Szegedy et al. 2016, section 7; z-loss: Chowdhery "
          "et al. 2022 (PaLM), section 5; softcap: Gemma Team 2024 (Gemma 2), section 2",
      .equation = "z = cap tanh(scale x / cap), or scale x without a cap; lse = log sum_c exp z_c; "
                  "index: (1-eps) w_y (lse - z_y) + eps/C sum_c w_c (lse - z_c) + z_loss lse^2; "
                  "probability: sum_c w_c ((1-eps) t_c + eps/C) (lse - z_c) + z_loss lse^2",
      .edges =
          "Rows whose target is ignore_index are dropped, even if it is a class; with none left the mean is 0. "
          "A logit of -inf is a class ruled out: where its target mass is 0 it contributes 0, elsewhere the loss is "
          "+inf. A row whose logits are all -inf, or hold +inf, gives NaN. The mean divides by the sum of w_y "
          "(index) or by the number of rows (probability); the z-loss is outside the class weight.",
      .note = "target = shard: the logits are those of some of all classes, and a row's value counts at its target's shard "
              "alone (label smoothing: each z_c at its own); the sums over the shards of values and of gradients are the "
              "whole loss's. Rows, row weights, masks and upstream gradient are alike on all, as are the rows that a mean "
              "counts; class weights are given as row weights. A first call with others_logsumexp = -inf is for "
              "shard_logsumexp, of which each shard's second call takes the logsumexp over the others. Hessian products "
              "are those of the shard's own block.",
  });
  auto n = axis("N", "rows"), c = axis("C", "classes");
  auto p = optional_axis("P", "positions (tokens, pixels) of a row").flat();
  auto target = option("target", {"index", "probability", "shard"},
                       "one class per row; a distribution over the classes; one class per row, on this shard or another");
  const bool shard = target.is("shard");
  auto logits = tensor("logits", {n, c, p}, "unnormalised log-probabilities; any real, -inf rules a class out");
  Tensor weight;
  if (!shard) weight = tensor("weight", {c}, "weight of each class, >= 0; 1 if absent").optional().constant();
  auto ignore_index = param("ignore_index", -100, "target value of the rows to drop").integer();
  auto eps = param("label_smoothing", 0, "share of the target spread evenly over the classes, 0 to 1").between(0, 1);
  auto z_loss = param("z_loss", 0, "factor of lse^2, which keeps the normaliser near 1; >= 0").at_least(0);
  auto softcap = param("softcap", 0, "bound on |z|, by tanh; 0: none; >= 0").at_least(0);
  auto scale =
      param("logit_scale", 1, "factor of the logits (inverse temperature), before the softcap; > 0").positive();

  Expr z = scale * logits(n, c, p);
  if (!softcap.is_zero()) z = softcap * tanh(z / softcap);
  Expr lse = logsumexp(c, z);
  if (shard) {
    output("shard_logsumexp", {n, p}, lse, "of this shard's logits");
    auto others = tensor("others_logsumexp", {n, p}, "logsumexp of the other shards' logits; -inf: none").constant();
    lse = log_add_exp({lse, others(n, p)});
  }
  auto penalty = select(z_loss > 0, z_loss * sq(lse), 0);
  auto w = [&](Arg k) { return weight.given() ? weight(k) : number(1); };
  if (shard) {
    auto shard_target = labels("shard_target", {n, p}, "class of each row, -1: of another shard, or ignore_index");
    auto y = shard_target.in_range(c).or_minus_one().ignoring(ignore_index)(n, p);
    auto count = param("class_count", 0, "classes of all shards, at least those here; label_smoothing is spread over them");
    auto mean_z = sum(c, z) / max(count.integer().at_least(0), extent(c));
    auto own = lse + penalty - (1 - eps) * at(z, c, y);
    loss_per({n, p}, select(y >= 0, own, straight_through(0.0, lse + penalty)) - select(eps > 0, eps * mean_z, 0),
             y != ignore_index);
  } else if (target.is("index")) {
    auto y = labels("target", {n, p}, "class of each row, or ignore_index").in_range(c).ignoring(ignore_index)(n, p);
    auto mean_w = weight.given() ? mean(c, weight(c)) : number(1);
    auto smooth = select(eps > 0, eps * (mean_w * lse - mean(c, w(c) * z)), 0);
    loss_per({n, p}, (1 - eps) * w(y) * (lse - at(z, c, y)) + smooth + penalty, y != ignore_index, {.weight = w(y)});
  } else {
    auto t = tensor("target_probability", {n, c, p}, "target distribution over the classes; >= 0, sum 1").constant();
    auto q = w(c) * ((1 - eps) * t(n, c, p) + eps / extent(c));
    loss_per({n, p}, sum(c, q) * lse - sum(c, q * z, q != 0) + penalty);
  }
}
