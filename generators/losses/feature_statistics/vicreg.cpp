#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(vicreg, "feature_statistics") {
  about({
      .title = "VICReg: variance, invariance, covariance",
      .paper = "Bardes, Ponce and LeCun 2022 (VICReg), eqs. 1 to 6",
      .equation = "L = lambda mean (z1 - z2)^2 + mu (v(z1) + v(z2)) + nu (c(z1) + c(z2)); v = mean_a max(0, gamma - "
                  "sqrt(Var_a + eps)), c = 1/D sum_{a != b} Cov_ab^2; Var and Cov divide by N - 1",
      .edges = "One row alone has variance and covariance 0. Without z2 the terms of z1 remain, a regulariser.",
      .note = "The authors' code halves the variance terms, which is mu = 12.5 here.",
  });
  auto n = axis("N", "batch"), a = axis("D", "features"), b = twin(a, "b");
  auto z1 = tensor("z1", {n, a}, "embedding of the first view; any real");
  auto z2 = tensor("z2", {n, a}, "embedding of the second view; any real").optional();
  auto lambda_ = param("lambda", 25, "weight of the invariance term; >= 0").at_least(0);
  auto mu = param("mu", 25, "weight of the variance terms; >= 0").at_least(0);
  auto nu = param("nu", 1, "weight of the covariance terms; >= 0").at_least(0);
  auto gamma = param("gamma", 1, "standard deviation wanted of each feature; > 0").positive();
  auto eps = param("eps", 1e-4, "added to the variance under the root; > 0").positive();

  auto degrees = max(number(extent(n)) - 1, 1);
  auto spread = [&](Tensor z) {
    auto centred = z(n, a) - mean(n, z(n, a));
    auto cov = dot(n, centred, at(centred, a, b)) / degrees;
    auto deviation = sqrt(sum(n, sq(centred)) / degrees + eps);
    return mu * mean(a, relu(gamma - deviation)) + nu * sum(a, sum(b, sq(cov), a != b)) / extent(a);
  };
  if (z2.given())
    loss_total(lambda_ * mean(n, mean(a, sq(z1(n, a) - z2(n, a)))) + spread(z1) + spread(z2));
  else
    loss_total(spread(z1));
}
