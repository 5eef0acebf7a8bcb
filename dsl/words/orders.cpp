// Order and sequence: of one index as a whole.
#include "dsl/words/entry.h"

namespace lossc::words {

const Group kOrder = {"order and sequence", "that of e: a function of the index again",
                      "one walk along the axis: the row is written to memory, walked by one thread, and read back"};
namespace {
std::vector<Shown> rows() { return {{{2, 3, 1}, {1, 0, 0}}, {{2, 2, 1}, {1, 2, 3}}, {{kInf, 1, -kInf}, {1, 2, 3}}, {{kNaN, 1, 0}, {1, 2, 3}}, {}}; }
constexpr const char* kSort = "n log n comparisons, one row to a thread";
constexpr const char* kNone = "0: a place does not change by a little";
}  // namespace

std::vector<Word> orders() {
  return {
      {.name = "argsort", .group = &kOrder, .takes = "argsort(over, e, mask)",
       .means = "At place k: which element comes there, an integer. Ascending, NaN last, equals by position; what is masked "
                "out counts as +inf.",
       .derivative = kNone, .example = VALUE(number(argsort(c, x(c)))), .shown = rows(),
       .forms = {FORM('k', "f", "*", Along, argsort(n[0], a[0]))}, .cost = kSort},
      {.name = "argsort_descending", .group = &kOrder, .takes = "argsort_descending(over, e, mask)",
       .means = "As argsort, the greatest first, NaN last still, equals by position; what is masked out counts as -inf.",
       .derivative = kNone, .example = VALUE(number(argsort_descending(c, x(c)))), .shown = rows(),
       .forms = {FORM('k', "fb", "*", Along, argsort_descending(n[0], a[0], a[1]))}, .cost = kSort},
      {.name = "rank", .group = &kOrder, .takes = "rank(over, e, mask)",
       .means = "Of each element: its place in ascending order, from 0. The inverse of argsort.",
       .derivative = kNone, .example = VALUE(number(rank(c, x(c)))), .shown = rows(),
       .forms = {FORM('k', "f", "*", Along, rank(n[0], a[0]))}, .cost = kSort},
      {.name = "sort", .group = &kOrder, .takes = "sort(over, e, mask)",
       .means = "The elements in ascending order, NaN last; what is masked out as inf.",
       .derivative = "each place's goes to the element that stands there; of equal ones the first in position stands first",
       .example = VALUE(sort(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, sort(n[0], a[0]))}, .cost = kSort},
      {.name = "sort_descending", .group = &kOrder, .takes = "sort_descending(over, e, mask)",
       .means = "The elements from the greatest down, NaN last; what is masked out as -inf.",
       .derivative = "as of sort", .example = VALUE(sort_descending(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, sort_descending(n[0], a[0]))}, .cost = kSort},
      {.name = "quantile", .group = &kOrder, .takes = "quantile(over, e, q)",
       .means = "The value at place q (n - 1) of the sorted elements, 0 <= q <= 1, linear between the two places around it: "
                "q = 0.5 is the median. Of nothing NaN.",
       .derivative = "shared by the two elements around the place, in proportion",
       .example = VALUE(quantile(c, x(c), 0.25)), .shown = {{{2, 3, 1, 6}}, {{2, 2, 1}}, {{kInf, 1, 0}}, {{kNaN, 1, 0}}, {}},
       .forms = {FORM('f', "f", "*", Reduces, quantile(n[0], a[0], 0.3))}, .shape = "what e has, without the index",
       .cost = kSort},
      {.name = "cumsum", .group = &kOrder, .takes = "cumsum(over, e, mask)", .means = "Sum of the elements up to and with this one.",
       .derivative = "cumsum_from of the upstream", .example = VALUE(cumsum(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, cumsum(n[0], a[0])), FORM('f', "fb", "*", Along, cumsum(n[0], a[0], a[1]))}},
      {.name = "cumsum_from", .group = &kOrder, .takes = "cumsum_from(over, e, mask)",
       .means = "Sum of this element and those after it.",
       .derivative = "cumsum of the upstream", .example = VALUE(cumsum_from(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, cumsum_from(n[0], a[0]))}},
      {.name = "cumlogsumexp", .group = &kOrder, .takes = "cumlogsumexp(over, e, mask)",
       .means = "logsumexp of the elements up to and with this one, without overflow; of nothing but -inf that.",
       .derivative = "exp(e - the result) of each element, summed over the places from it on",
       .example = VALUE(cumlogsumexp(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, cumlogsumexp(n[0], a[0]))}},
      {.name = "cumlogsumexp_from", .group = &kOrder, .takes = "cumlogsumexp_from(over, e, mask)",
       .means = "logsumexp of this element and those after it.",
       .derivative = "as of cumlogsumexp, over the places up to it",
       .example = VALUE(cumlogsumexp_from(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, cumlogsumexp_from(n[0], a[0]))}},
      {.name = "cummax", .group = &kOrder, .takes = "cummax(over, e)", .means = "The greatest so far; NaN from the first NaN on.",
       .derivative = "to the first element that is the greatest so far",
       .example = VALUE(cummax(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, cummax(n[0], a[0]))}},
      {.name = "cummin", .group = &kOrder, .takes = "cummin(over, e)", .means = "The least so far; NaN from the first NaN on.",
       .derivative = "to the first element that is the least so far",
       .example = VALUE(cummin(c, x(c)) * y(c)), .shown = rows(),
       .forms = {FORM('f', "f", "*", Along, cummin(n[0], a[0]))}},
  };
}

}  // namespace lossc::words
