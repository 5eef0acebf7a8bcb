#include <lossc/loss.h>

#include <cmath>

using namespace lossc;

LOSSC_LOSS(ndcg_loss2, "ranking") {
  about({
      .title = "NDCG-Loss2 and NDCG-Loss2++",
      .paper = "Wang et al. 2018 (The LambdaLoss Framework for Ranking Metric Optimization), sections 4.2 and 4.3",
      .equation =
          "-sum_{y_i > y_j} w_ij log2 sigmoid(sigma (s_i - s_j)), G = (2^y - 1) / maxDCG, D_r = log2(1 + r), "
          "w = |G_i - G_j| |1/D_{|r_i-r_j|} - 1/D_{|r_i-r_j|+1}|; plus_plus: |G_i - G_j| (mu that + |1/D_{r_i} - 1/D_{r_j}|); "
          "cutoff k: pairs with r_i <= k or r_j <= k, maxDCG of k places",
      .edges =
          "Ranks and weights have no gradient; equal scores rank in the order of the input. A list whose relevances are all 0 "
          "has no DCG to gain and is dropped, as is one that the mask empties.",
      .note = "With the natural logarithm of the sigmoid the loss is ln 2 times this. The paper's pairs (eq. 18) are those of "
              "which either item is within the cutoff; allRank's, of which both are, so that what is beyond k stays there.",
  });
  auto b = axis("B", "lists"), i = axis("N", "items of a list"), j = twin(i, "j");
  auto form = option("form", {"loss2", "plus_plus"}, "the weights of NDCG-Loss2 or of NDCG-Loss2++");
  auto truncation = option("truncation", {"either", "both"}, "which item of a pair is to be within the cutoff").at_runtime();
  auto scores = tensor("scores", {b, i}, "any real");
  auto relevance = tensor("relevance", {b, i}, ">= 0").constant();
  auto present = mask("mask", {b, i}, "1 where there is an item; absent: everywhere").optional();
  auto sigma = param("sigma", 1, "steepness of the sigmoid; > 0").positive();
  auto mu = param("mu", 10, "weight of NDCG-Loss2's part in plus_plus; >= 0").at_least(0);
  auto cutoff = param("cutoff", 0, "places of the list that count; 0: all").at_least(0).integer();

  auto here = [&](Index k) { return present.given() ? Expr(present(b, k)) : k >= 0; };
  auto gain = [&](Expr y) { return pow(2, y) - 1; };
  auto discount = [&](Expr r) { return std::log(2) / log1p(r); };  // 1 / D_r
  auto best = sort_descending(i, select(here(i), relevance(b, i), 0));
  auto dcg = sum(i, gain(best) * discount(1.0 + number(i)), cutoff == 0 || i < cutoff);
  auto place = rank(i, -scores(b, i), here(i));
  auto first = cutoff == 0 || place < cutoff, other = at(first, i, j);
  auto r = 1.0 + number(place);
  auto far = abs(r - at(r, i, j));
  auto step = select(far > 0, abs(discount(max(far, 1)) - discount(far + 1)), 0);
  auto w = form.is("loss2") ? step : mu * step + abs(discount(r) - discount(at(r, i, j)));
  auto pull = w * abs(gain(relevance(b, i)) - gain(relevance(b, j))) / dcg;
  auto pair = relevance(b, i) > relevance(b, j) && here(i) && here(j) &&
              ((first && other) || (truncation.chosen("either") && (first || other)));
  auto fit = -log_sigmoid(sigma * (scores(b, i) - scores(b, j))) / std::log(2);
  loss_per(b, sum(i, sum(j, stop_gradient(pull) * fit, pair)), dcg > 0);
}
