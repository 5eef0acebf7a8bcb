#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(listmle, "ranking") {
  about({
      .title = "ListMLE",
      .paper = "Xia et al. 2008 (Listwise Approach to Learning to Rank), section 4.3",
      .equation = "sum_k [log sum_{l >= k} exp(s_pi(l)) - s_pi(k)], pi by descending relevance",
      .edges =
          "Equal relevances keep the order of the input; shuffle the items for the random order of the paper. Items that "
          "the mask drops are not there; a list without items is dropped. The order has no gradient.",
  });
  auto b = axis("B", "lists"), k = axis("N", "items of a list");
  auto scores = tensor("scores", {b, k}, "any real");
  auto relevance = tensor("relevance", {b, k}, "larger is better").constant();
  auto present = mask("mask", {b, k}, "1 where there is an item; absent: everywhere").optional();

  Expr here = present.given() ? present(b, k) : k >= 0;
  auto in = number(k) < count(k, here);
  auto s = at(scores(b, k), k, argsort_descending(k, relevance(b, k), here));
  loss_per(b, sum(k, cumlogsumexp_from(k, s, in) - s, in), any(k, here));
}
