#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(listmle, "ranking") {
  about({
      .title = "ListMLE",
      .paper = "Xia et al. 2008 (Listwise Approach to Learning to Rank), section 4.3; weights: Lan et al. 2014 (Position-Aware "
               "ListMLE)",
      .equation = "sum_k w_k [log sum_{l >= k} exp(s_pi(l)) - s_pi(k)], pi by descending relevance; k = 1 to n of the n items there; "
                  "w_k = 1, 1 / log2(1 + k), or (2^(n-k) - 1) / (2^n - 1 - n)",
      .edges =
          "Equal relevances keep the order of the input; shuffle the items for the random order of the paper. Items that "
          "the mask drops are not there; a list without items is dropped. The order has no gradient. Of one item exponential weights are 0, as is the loss.",
  });
  auto b = axis("B", "lists"), k = axis("N", "items of a list");
  auto places = option("position_weight", {"none", "logarithmic", "exponential"}, "w_k, by which earlier places count more").at_runtime();
  auto scores = tensor("scores", {b, k}, "any real");
  auto relevance = tensor("relevance", {b, k}, "larger is better").constant();
  auto present = mask("mask", {b, k}, "1 where there is an item; absent: everywhere").optional();

  Expr here = present.given() ? present(b, k) : k >= 0;
  auto n = count(k, here);
  auto in = number(k) < n;
  auto s = at(scores(b, k), k, argsort_descending(k, relevance(b, k), here));
  // (2^(n-k) - 1) / (2^n - 1 - n) in halves: powers of 2 of long lists overflow.
  auto half = [](Expr times) { return exp(times * -0.6931471805599453); };
  auto exponential = (half(k + 1) - half(n)) / (1 - (1 + n) * half(n));
  auto weight = select(places.chosen("logarithmic"), 0.6931471805599453 / log(number(k + 2)),
                       select(places.chosen("exponential"), select(n > 1, exponential, 0), 1));
  loss_per(b, sum(k, weight * (cumlogsumexp_from(k, s, in) - s), in), any(k, here));
}
