#include <lossc/loss.h>

#include <cmath>

using namespace lossc;

LOSSC_LOSS(neural_ndcg, "ranking") {
  about({
      .title = "NeuralNDCG",
      .paper = "Pobrotyn and Bialobrzeski 2021 (NeuralNDCG), eqs. 7 to 10; NeuralSort: Grover et al. 2019, eq. 4",
      .equation = "P_ij = softmax_j(((n + 1 - 2 i) s_j - sum_k |s_j - s_k|) / T); columns, then rows of P scaled to sum 1, "
                  "iterations times; L = -sum_{i <= cutoff} (P g)_i / log2(i + 1) / (maxDCG + 1e-10), g = 2^y - 1 or y",
      .edges = "A list whose gains are all 0 has no DCG to gain and is dropped, as is one that the mask empties. Items that the "
               "mask drops are not there. |s_j - s_k| has slope 0 at ties.",
      .note = "With noise (Gumbel, -log(-log u)) the scores are log(s - min s + 1e-10) + beta noise, or s + beta noise; for several "
              "samples of a list, repeat it. Stopping by tolerance is up to each list, and min s is the list's own (allRank: the batch's).",
  });
  auto b = axis("B", "lists"), i = axis("N", "items of a list"), j = twin(i, "j"), k = twin(i, "k"),
       times = count_axis("iterations", 50, "of Sinkhorn's scaling");
  auto gain = option("gain", {"power", "linear"}, "2^y - 1, or y").at_runtime();
  auto log_scores = option("log_scores", {"on", "off"}, "noise is added to log(s - min s), or to s").at_runtime();
  auto scores = tensor("scores", {b, i}, "any real");
  auto relevance = tensor("relevance", {b, i}, ">= 0").constant();
  auto present = mask("mask", {b, i}, "1 where there is an item; absent: everywhere").optional();
  auto T = param("temperature", 1, "softness of the sort; > 0").positive();
  auto cutoff = param("cutoff", 0, "places of the list that count; 0: all").at_least(0).integer();
  auto tolerance = param("tolerance", 0, "scaling stops where columns sum to 1 within this; >= 0").at_least(0);
  auto beta = param("beta", 0.1, "factor of the noise; >= 0").at_least(0);
  auto noise = tensor("noise", {b, i}, "Gumbel noise, one draw for each item; none if absent").optional().constant();

  auto here = [&](Index k) { return present.given() ? Expr(present(b, k)) : k >= 0; };
  auto g = select(here(i), select(gain.chosen("power"), pow(2, relevance(b, i)) - 1, relevance(b, i)), 0);
  auto first = cutoff == 0 || i < cutoff;
  auto weight = std::log(2) / log(2.0 + number(i));
  auto best = sum(i, sort_descending(i, g) * weight, first);
  auto least = min(i, scores(b, i), here(i));
  auto sampled = [&](Expr s) {
    auto above = select(s == least, 0, s - least);  // the least stays so: no slopes of 1e10 that cancel
    return select(log_scores.chosen("on"), log(above + 1e-10), s) + beta * noise(b, i);
  };
  // What is dropped is 0 from here on, so that nothing of it is in the scaling.
  Expr s = select(here(i) && best > 0, noise.given() ? sampled(scores(b, i)) : scores(b, i), 0), n = count(i, here(i));
  auto apart = at(sum(k, abs(s - at(s, i, k)), here(k)), i, j);
  auto counts = number(i) < n;
  auto P = softmax(j, ((n - 1 - 2 * number(i)) * at(s, i, j) - apart) / T, here(j) && counts);
  auto scale = iterate(times, {{{b, i}, 1.0}, {{b, j}, 1.0}}, [&](const std::vector<Expr>& was) {
    auto mass = was[1] * sum(i, P * was[0]);
    auto done = times > 0 && max(j, abs(mass - 1), here(j)) < tolerance;
    auto column = select(done || mass == 0, was[1], was[1] / max(mass, 1e-10));
    auto sum_of_row = was[0] * sum(j, P * column);
    auto row = select(done || sum_of_row == 0, was[0], was[0] / max(sum_of_row, 1e-10));
    return std::vector<Expr>{row, column};
  });
  auto dcg = sum(i, scale[0] * sum(j, P * scale[1] * at(g, i, j), here(j)) * weight, first && counts);
  loss_per(b, -dcg / (best + 1e-10), best > 0);
}
