#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(arcface, "margin_softmax") {
  about({
      .title = "ArcFace (additive angular margin)",
      .paper = "Deng et al. 2019 (ArcFace), eq. 3",
      .equation = "t_c = cos(x, W_c) = cos theta_c; phi = cos(theta_y + m) where theta_y < pi - m, else t_y - m sin m; "
                  "L = log(exp(s phi) + sum_{c != y} exp(s t_c)) - s phi",
      .edges =
          "Rows of label -1 are dropped. Beyond pi - m the margin turns linear, so that the target logit keeps falling "
          "with the angle. At theta_y = 0 and pi the slope of sin theta counts as 0. A zero embedding or class "
          "weight has cosine 0 and gradient 0.",
      .note = "classes = shard: the weights are some of all classes, label -1 is a class of another shard, and a row's value "
              "counts at its label's shard alone; the sums over the shards of values and of gradients are the whole "
              "loss's. Rows, row weights, masks and upstream gradient are alike on all; rows to drop want a mask. "
              "A first call with others_logsumexp = -inf is for shard_logsumexp, of which each shard's second call takes "
              "the logsumexp over the others. Hessian products are those of the shard's own block.",
  });
  auto i = axis("N", "rows"), c = axis("C", "classes"), d = axis("D", "features");
  auto gradient = option("gradient", {"exact", "straight_through"},
                         "that of phi, or d phi / d t_y = 1 as in insightface; the value is the same").at_runtime();
  auto classes = option("classes", {"all", "shard"}, "whether the weights are those of all classes");
  auto easy_margin = option("easy_margin", {"off", "on"}, "on: the margin applies only where t_y > 0").at_runtime();
  auto x = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto weight = tensor("weight", {c, d}, "one centre per class; normalised here");
  auto label = labels("label", {i}, "class of each row, -1: none").in_range(c).or_minus_one();
  auto scale = param("scale", 64, "factor s of the cosines; > 0").positive();
  auto m = param("margin", 0.5, "angle added to the target's, radians, 0 to pi").between(0, 3.14159265358979);

  auto y = label(i);
  auto t = cosine(d, x(i, d), weight(c, d)), t_y = at(t, c, y);
  auto wide = t_y * cos(m) - sqrt(relu(1 - sq(t_y))) * sin(m);
  Expr phi = select(easy_margin.chosen("on"), select(t_y > 0, wide, t_y), select(t_y > -cos(m), wide, t_y - m * sin(m)));
  phi = select(gradient.chosen("straight_through"), straight_through(phi, t_y), phi);
  Expr rest = logsumexp(c, scale * t, c != y);
  // log(exp a + exp b) - a = softplus(b - a) keeps the margin out of the class loop.
  if (classes.is("all")) return loss_per(i, softplus(rest - scale * phi), y >= 0);

  auto others = tensor("others_logsumexp", {i}, "logsumexp of the other shards' logits, margin included; -inf: none").constant();
  output("shard_logsumexp", {i}, select(y >= 0, log_add_exp({rest, scale * phi}), rest), "of this shard's logits");
  rest = log_add_exp({rest, others(i)});
  loss_per(i, select(y >= 0, softplus(rest - scale * phi), straight_through(0.0, rest)));
}
