#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(supcon_out, "contrastive") {
  about({
      .title = "Supervised contrastive loss, L_out",
      .paper = "Khosla et al. 2020 (Supervised Contrastive Learning), eq. 2",
      .equation = "s_ij = cos(z_i, z_j) / t; P(i) = {j != i: y_j = y_i}; "
                  "L_i = -1/|P(i)| sum_{p in P(i)} (s_ip - log sum_{j != i} exp s_ij)",
      .edges =
          "A row without positives is dropped (the authors' code divides 0 by 0). A zero embedding has cosine 0 with "
          "everything and gradient 0.",
      .note = "Several views of an item are rows of equal label.",
  });
  auto [i, j] = batch_pair("N", "anchors: items times views");
  auto d = axis("D", "features");
  auto scale =
      option("scale", {"off", "base"}, "multiply by temperature / base_temperature, as the authors' code, or not").at_runtime();
  auto z = tensor("embedding", {i, d}, "one row per view; normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  auto t = param("temperature", 0.1, "divides the cosines; > 0").positive();
  auto base = param("base_temperature", 0.07, "used by scale = base only; > 0").positive();

  auto s = cosine(d, z(i, d), z(j, d)) / t;
  auto other = i != j, pos = other && y(i) == y(j);
  auto n = count(j, pos);
  auto loss = logsumexp(j, s, other) - sum(j, s, pos) / n;
  loss_per(i, select(scale.chosen("base"), t / base, 1) * loss, n > 0);
}
