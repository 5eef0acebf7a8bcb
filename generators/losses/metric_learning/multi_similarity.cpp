#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(multi_similarity, "metric_learning") {
  about({
      .title = "Multi-similarity loss with its miner",
      .paper =
          "Wang et al. 2019 (Multi-Similarity Loss with General Pair Weighting), section 4 and eq. 15; defaults of "
          "the authors' code (paper: beta 50, base 1)",
      .equation =
          "S = cos(z_i, z_j); keep negatives with S > min_pos S - epsilon, positives with S < max_neg S + epsilon; "
          "L_i = 1/alpha log(1 + sum_pos exp(-alpha (S - base))) + 1/beta log(1 + sum_neg exp(beta (S - base)))",
      .edges =
          "Positives with S >= 1 - 1e-5 (duplicates) do not exist. With the miner a row whose kept positives or kept "
          "negatives are none contributes 0 but counts in the mean; without it an empty set gives log 1 = 0. A zero embedding has S = 0 with everything and gradient 0.",
  });
  auto [i, j] = batch_pair("N", "anchors");
  auto d = axis("D", "features");
  auto miner = option("miner", {"on", "off"}, "keep only pairs that are hard next to the row's hardest opposite pair");
  auto z = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto y = labels("label", {i}, "class of each row; any integer");
  auto alpha = param("alpha", 2, "sharpness of the positives; > 0").positive();
  auto beta = param("beta", 40, "sharpness of the negatives; > 0").positive();
  auto base = param("base", 0.5, "cosine from which a pair counts as similar; -1 to 1").between(-1, 1);
  auto epsilon = param("epsilon", 0.1, "slack of the miner, a cosine; >= 0").at_least(0);

  auto s = cosine(d, z(i, d), z(j, d));
  // In negations, so that NaN is kept and seen.
  Expr same = y(i) == y(j), pos = same && i != j && !(s >= 1 - 1e-5), neg = !same;
  if (miner.is("on")) {
    auto easiest = stop_gradient(min(j, s, pos)), hardest = stop_gradient(max(j, s, neg));
    pos = pos && !(s >= hardest + epsilon);
    neg = neg && !(s <= easiest - epsilon);
  }
  // log(1 + sum exp) is the softplus of a log-sum-exp.
  auto loss =
      softplus(logsumexp(j, -alpha * (s - base), pos)) / alpha + softplus(logsumexp(j, beta * (s - base), neg)) / beta;
  loss_per(i, miner.is("on") ? select(any(j, pos) && any(j, neg), loss, 0) : loss);
}
