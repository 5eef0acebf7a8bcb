#include <lossc/loss.h>

#include <cmath>

using namespace lossc;

LOSSC_LOSS(approx_ndcg, "ranking") {
  about({
      .title = "ApproxNDCG",
      .paper = "Qin, Liu and Li 2010 (A General Approximation Framework for Direct Optimization of IR Measures), eq. 12; "
               "Bruch et al. 2019",
      .equation = "-1/maxDCG sum_i (2^y_i - 1) / log2(1 + r_i), r_i = 1 + sum_{j != i} sigmoid(-alpha (s_i - s_j))",
      .edges = "A list whose relevances are all 0 has no DCG to gain and is dropped, as is one that the mask empties.",
  });
  auto b = axis("B", "lists"), i = axis("N", "items of a list"), j = twin(i, "j");
  auto scores = tensor("scores", {b, i}, "any real");
  auto relevance = tensor("relevance", {b, i}, ">= 0").constant();
  auto present = mask("mask", {b, i}, "1 where there is an item; absent: everywhere").optional();
  auto alpha = param("alpha", 1, "steepness of the smooth rank; > 0").positive();

  auto here = [&](Index k) { return present.given() ? Expr(present(b, k)) : k >= 0; };
  auto gain = [&](Expr y) { return pow(2, y) - 1; };
  auto best = sort_descending(i, select(here(i), relevance(b, i), 0));
  auto dcg = sum(i, gain(best) * std::log(2) / log(2.0 + number(i)));
  auto r = 1 + sum(j, sigmoid(-alpha * (scores(b, i) - scores(b, j))), i != j && here(j));
  loss_per(b, -sum(i, gain(relevance(b, i)) * std::log(2) / log1p(r), here(i)) / dcg, dcg > 0);
}
