#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(nt_xent, "contrastive") {
  about({
      .title = "NT-Xent (SimCLR)",
      .paper = "Chen et al. 2020 (SimCLR), eq. 1; negatives by pseudo-label: Chakraborty et al. 2020 (G-SimCLR)",
      .equation = "s_ij = cos(z_i, z_j) / t; L_i = log sum_{j != i} exp s_ij - s_{i,p(i)}",
      .edges =
          "A row that is its own positive (N = 1, or an index that says so) is dropped. A zero embedding has cosine "
          "0 with everything and gradient 0.",
  });
  auto [i, j] = batch_pair("N", "views");
  auto d = axis("D", "features");
  auto positives =
      option("positives", {"offset", "index"}, "the positive of row i is row (i + N/2) mod N, or as given");
  auto z = tensor("embedding", {i, d}, "one row per view; normalised here");
  auto group = labels("group", {i}, "pseudo-label: rows of equal group are no negatives of each other").optional();
  auto t = param("temperature", 0.5, "divides the cosines; > 0").positive();

  if (positives.is("offset")) require(extent(i) % 2 == 0, "an even N: rows i and i + N/2 are views of one item");
  auto p = positives.is("offset") ? (i + extent(i) / 2) % extent(i)
                                  : labels("positive", {i}, "row that is the positive of each row").in_range(i)(i);
  auto s = cosine(d, z(i, d), z(j, d)) / t;
  Expr others = i != j;
  if (group.given()) others = others && (group(i) != group(j) || j == p);
  loss_per(i, logsumexp(j, s, others) - at(s, j, p), p != i);
}
