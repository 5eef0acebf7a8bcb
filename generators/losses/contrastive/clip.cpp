#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(clip, "contrastive") {
  about({
      .title = "CLIP, symmetric InfoNCE of image-text pairs",
      .paper = "Radford et al. 2021 (Learning Transferable Visual Models), section 2.3 and figure 3; groups: "
               "Guo et al. 2024 (M2-Encoder)",
      .equation = "s_ij = exp(min(logit_scale, max)) x_i . t_j; L_i = 1/2 (CE of row i + CE of column i), target i; "
                  "CE = log sum exp s - (1-eps) s_ii - eps mean s",
      .edges = "The largest logit scale is allowed and has a gradient, beyond it the gradient is 0. A pair alone in its "
               "group has loss 0. Equal captions of different images count as negatives.",
      .note = "negatives = gathered, for batches spread over devices: CE of image i over all_text, and of text i over "
              "all_image, the rows of every device, this one's among them. The devices' losses sum to the whole loss (means "
              "where each is given the number of all rows as denominator); its gradient by a row is that by the row itself "
              "and what all devices have by its copies. M2-Encoder's mean over groups is the mean with row "
              "weights 1 / (size of the row's group).",
  });
  auto [i, j] = batch_pair("N", "image-text pairs");
  auto d = axis("D", "features");
  auto negatives = option("negatives", {"batch", "gathered"}, "a row meets the batch, or the rows of all devices");
  auto image = tensor("image", {i, d}, "one row per image, of norm 1; not normalised here");
  auto text = tensor("text", {i, d}, "one row per text, of norm 1; not normalised here");
  auto logit_scale = tensor("logit_scale", {}, "logarithm of the inverse temperature; starts at log(1 / 0.07)");
  auto most = param("max_logit_scale", 4.605170185988092, "bound on logit_scale; the default is log 100");
  auto eps = param("label_smoothing", 0, "share of the target spread evenly over a row, 0 to 1").between(0, 1);

  auto scale = exp(select(logit_scale() > most, most, logit_scale()));
  if (negatives.is("gathered")) {
    auto k = axis("M", "pairs of all devices");
    auto all_image = tensor("all_image", {k, d}, "the images of every device");
    auto all_text = tensor("all_text", {k, d}, "the texts of every device");
    auto own = scale * dot(d, image(i, d), text(i, d));
    auto way = [&](Tensor from, Tensor all) {
      auto s = scale * dot(d, from(i, d), all(k, d));
      return logsumexp(k, s) - (1 - eps) * own - select(eps > 0, eps * mean(k, s), 0);
    };
    return loss_per(i, 0.5 * (way(image, all_text) + way(text, all_image)));
  }
  auto group = labels("group", {i}, "only rows of equal group meet (machines of a node); any integer").optional();
  auto s = scale * dot(d, image(i, d), text(j, d));
  Mask met = group.given() ? Mask(group(i) == group(j)) : Mask();
  auto both = [&](Expr of_row, Expr of_column) { return 0.5 * (of_row + at(of_column, j, i)); };
  auto smooth = select(eps > 0, eps * both(mean(j, s, met), mean(i, s, met)), 0);
  loss_per(i, both(logsumexp(j, s, met), logsumexp(i, s, met)) - (1 - eps) * at(s, j, i) - smooth);
}
