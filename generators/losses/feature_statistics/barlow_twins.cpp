#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(barlow_twins, "feature_statistics") {
  about({
      .title = "Barlow Twins",
      .paper = "Zbontar et al. 2021 (Barlow Twins), eqs. 1 and 2",
      .equation = "u, v: columns of z1, z2 less their mean, over their standard deviation; C_ab = 1/N sum_n u_na v_nb; "
                  "L = scale (sum_a (1 - C_aa)^2 + lambda sum_{a != b} C_ab^2)",
      .edges =
          "A constant column (so every column if N = 1) has zero variance and counts as zero after standardisation, "
          "with gradient 0.",
  });
  auto n = axis("N", "batch"), a = axis("D", "features"), b = twin(a, "b");
  auto variance = option("variance", {"biased", "unbiased"}, "the variance divides by N or by N - 1; C by N always").at_runtime();
  auto z1 = tensor("z1", {n, a}, "embedding of the first view; any real, standardised here");
  auto z2 = tensor("z2", {n, a}, "embedding of the second view; any real, standardised here");
  auto lambda_ = param("lambda", 0.005, "weight of the off-diagonal terms; >= 0").at_least(0);
  auto scale = param("scale", 1, "factor of the loss; > 0").positive();

  // A column over its norm is the column over its standard deviation, up to sqrt(N): the products below are free of it.
  // Rounding leaves a constant column not quite zero after centring, hence the comparison.
  auto unit = [&](Expr z) { return select(max(n, z) == min(n, z), 0, normalize(n, z - mean(n, z))); };
  Expr r = dot(n, unit(z1(n, a)), unit(z2(n, b)));
  r = select(variance.chosen("unbiased"), r * (extent(n) - 1) / extent(n), r);
  loss_total(scale * sum(a, sum(b, select(a == b, sq(r - 1), lambda_ * sq(r)))));
}
