#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(linear_cross_entropy, "classification") {
  about({
      .title = "Linear head and softmax cross-entropy, logits never stored",
      .paper = "Wijmans et al. 2024 (Cut Your Losses in Large-Vocabulary Language Models), section 3; label smoothing: "
               "Szegedy et al. 2016, section 7; z-loss: Chowdhery et al. 2022 (PaLM), section 5",
      .equation = "z_v = e . W_v + b_v, then cap tanh(z / cap) if capped; lse = log sum_v exp z_v; "
                  "L = (1-eps) w_y (lse - z_y) + eps/V sum_v w_v (lse - z_v) + z_loss lse^2",
      .edges = "Rows whose target is ignore_index are dropped, even if it is a class; with none left the mean is 0. "
               "A bias of -inf rules a class out: the loss is +inf where that class is the target or eps > 0. "
               "The mean divides by the sum of w_y; the z-loss is outside the class weight. With a shift the last rows "
               "have no target and are dropped; those of each sequence but the last want a row mask.",
      .note = "filter_eps is applied to each class of each row; published kernels leave out tiles all of whose "
              "probabilities are below it. "
              "classes = shard: weight and bias are some rows of the head, and a row's value counts at its target's shard "
              "alone (label smoothing: each z_v at its own); the sums over the shards of values and of gradients are the "
              "whole loss's. Rows, row weights, masks and upstream gradient are alike on all, as are the rows that a mean "
              "counts; class weights are given as row weights. A first call with others_logsumexp = -inf is for "
              "shard_logsumexp, of which each shard's second call takes the logsumexp over the others. Hessian products "
              "are those of the shard's own block.",
  });
  auto n = axis("N", "rows (tokens)"), d = axis("D", "features"), v = axis("V", "classes (vocabulary)");
  auto classes = option("classes", {"all", "shard"}, "whether weight and bias are those of all classes");
  const bool shard = classes.is("shard");
  auto embedding = tensor("embedding", {n, d}, "input of the head; any real");
  auto weight = tensor("weight", {v, d}, "one row of the head per class; any real");
  auto bias =
      tensor("bias", {v}, "added to each class's logit; any real, -inf rules the class out; 0 if absent").optional();
  Tensor class_weight;
  if (!shard) class_weight = tensor("class_weight", {v}, "weight of each class, >= 0; 1 if absent").optional().constant();
  auto ignore_index = param("ignore_index", -100, "target value of the rows to drop").integer();
  auto eps = param("label_smoothing", 0, "share of the target spread evenly over the classes, 0 to 1").between(0, 1);
  auto z_loss = param("z_loss", 0, "factor of lse^2, which keeps the normaliser near 1; >= 0").at_least(0);
  auto softcap = param("softcap", 0, "bound on |z|, by tanh; 0: none; >= 0").at_least(0);
  auto shift =
      param("shift", 0, "row i is to tell the target of row i + shift (next token: 1); >= 0").integer().at_least(0);

  auto filter_eps =
      param("filter_eps", 0, "gradients of log sum exp leave out probabilities below it; 0: exact; 0 to 1").between(0, 1);

  auto target = shard ? labels("shard_target", {n}, "class of each row, -1: of another shard, or ignore_index").or_minus_one()
                      : labels("target", {n}, "class of each row, or ignore_index");
  auto y = target.in_range(v).ignoring(ignore_index)(n + shift);
  auto kept = n + shift < extent(n) && y != ignore_index;
  Expr z = dot(d, embedding(n, d), weight(v, d));
  if (bias.given()) z = z + bias(v);
  if (!softcap.is_zero()) z = softcap * tanh(z / softcap);
  Expr lse = logsumexp(v, z);
  if (shard) {
    output("shard_logsumexp", {n}, lse, "of this shard's logits");
    auto others = tensor("others_logsumexp", {n}, "logsumexp of the other shards' logits; -inf: none").constant();
    lse = log_add_exp({lse, others(n)});
  }
  if (!filter_eps.is_zero()) {
    auto p = stop_gradient(exp(z - lse));
    lse = straight_through(lse, sum(v, select(p < filter_eps, 0, p) * z));
  }
  auto penalty = select(z_loss > 0, z_loss * sq(lse), 0);
  if (shard) {
    auto count = param("class_count", 0, "classes of all shards, at least those here; label_smoothing is spread over them");
    auto mean_z = sum(v, z) / max(count.integer().at_least(0), extent(v));
    auto own = lse + penalty - (1 - eps) * at(z, v, y);
    return loss_per(n, select(y >= 0, own, straight_through(0.0, lse + penalty)) - select(eps > 0, eps * mean_z, 0), kept);
  }
  auto w = [&](Arg k) { return class_weight.given() ? class_weight(k) : number(1); };
  auto mean_w = class_weight.given() ? mean(v, class_weight(v)) : number(1);
  auto smooth = select(eps > 0, eps * (mean_w * lse - mean(v, w(v) * z)), 0);
  loss_per(n, (1 - eps) * w(y) * (lse - at(z, v, y)) + smooth + penalty, kept, {.weight = w(y)});
}
