#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(supcon_out, "contrastive") {
  about({
      .title = "Supervised contrastive loss, L_out",
      .paper = "Khosla et al. 2020 (Supervised Contrastive Learning), eq. 2; activation = relu: Kini et al. 2024 (Symmetric "
               "Neural-Collapse Representations with Supervised Contrastive Loss)",
      .equation = "s_ij = cos(z_i, z_j) / t, relu: cos(max(z_i, 0), max(z_j, 0)) / t; P(i) = {j != i: y_j = y_i}; "
                  "L_i = -1/|P(i)| sum_{p in P(i)} (s_ip - log sum_{j != i} exp s_ij)",
      .edges =
          "A row without positives is dropped (the authors' code divides 0 by 0). A zero embedding has cosine 0 with "
          "everything and gradient 0, as with relu an embedding without a positive feature (where its formula is 0/0).",
      .note = "Several views of an item are rows of equal label. Batch binding, of the source of relu, appends to the batch one "
              "row for each class, the same in every batch.",
  });
  auto [i, j] = batch_pair("N", "anchors: items times views");
  auto d = axis("D", "features");
  auto scale =
      option("scale", {"off", "base"}, "multiply by temperature / base_temperature, as the authors' code, or not").at_runtime();
  auto activation = option("activation", {"none", "relu"}, "of the embeddings, before they are normalised").at_runtime();
  auto z = tensor("embedding", {i, d}, "one row per view; normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  auto t = param("temperature", 0.1, "divides the cosines; > 0").positive();
  auto base = param("base_temperature", 0.07, "used by scale = base only; > 0").positive();

  auto h = [&](Index k) { return select(activation.chosen("relu"), relu(z(k, d)), z(k, d)); };
  auto s = cosine(d, h(i), h(j)) / t;
  auto other = i != j, pos = other && y(i) == y(j);
  auto n = count(j, pos);
  auto loss = logsumexp(j, s, other) - sum(j, s, pos) / n;
  loss_per(i, select(scale.chosen("base"), t / base, 1) * loss, n > 0);
}
