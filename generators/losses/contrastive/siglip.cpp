#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(siglip, "contrastive") {
  about({
      .title = "SigLIP, pairwise sigmoid loss",
      .paper = "Zhai et al. 2023 (Sigmoid Loss for Language Image Pre-Training), section 3.2, algorithm 1",
      .equation = "z_ij = exp(log_scale) x_i . y_j + bias; L_i = -sum_j log sigmoid(+z_ij if i = j, else -z_ij)",
      .edges = "The mean divides by the number of images N, not of pairs. Image i matches text i; where M < N the last "
               "images have negatives only. The bias has the sign of the paper's code, which its formula turns round. "
               "Over several devices each image meets the texts of one after another, those of its own with pairs = all: "
               "values and gradients of the blocks sum to the whole's, the means where each divides by its images.",
  });
  auto i = axis("N", "images"), j = axis("M", "texts"), d = axis("D", "features");
  auto pairs = option("pairs", {"all", "negatives"}, "negatives: no text is of these images, z_ii neither").at_runtime();
  auto image = tensor("image", {i, d}, "one row per image, of norm 1; not normalised here");
  auto text = tensor("text", {j, d}, "one row per text, of norm 1; not normalised here");
  auto log_scale = tensor("log_scale", {}, "logarithm of the inverse temperature; starts at log 10 = 2.302585");
  auto bias = tensor("bias", {}, "added to every logit; starts at -10");

  auto z = exp(log_scale()) * dot(d, image(i, d), text(j, d)) + bias();
  loss_per(i, sum(j, softplus(select(pairs.chosen("all") && i == j, -z, z))));
}
