// Reductions over one index.
#include "dsl/words/entry.h"

namespace lossc::words {

const Group kReduction = {"reductions",
                          "what e has, without the index. A mask may have any indices. What does not depend on the index "
                          "counts once for each of its values.",
                          "one pass over the elements, shared with other reductions of the same level"};
namespace {
std::vector<Shown> rows() { return {{{1, 2, 3}}, {{2, 2, 1}}, {{1, kInf}}, {{1, -kInf}}, {{1, kNaN}}, {}}; }
constexpr const char* kNone = "0: what it gives does not change by a little";
}  // namespace

std::vector<Word> reductions() {
  return {
      {.name = "sum", .group = &kReduction, .takes = "sum(over, e, mask)", .means = "Sum; of nothing 0.",
       .derivative = "1 for each element, 0 where masked out, whatever the element is",
       .example = VALUE(sum(c, x(c))), .shown = rows(),
       .forms = {FORM('f', "f", "*", Reduces, sum(n[0], a[0])), FORM('f', "fb", "*", Reduces, sum(n[0], a[0], a[1]))}},
      {.name = "mean", .group = &kReduction, .takes = "mean(over, e, mask)",
       .means = "Sum divided by how many there are, those that the mask lets through; of nothing 0.",
       .derivative = "1/n for each element, 0 where masked out; 0 of nothing",
       .example = VALUE(mean(c, x(c))), .shown = rows(),
       .forms = {FORM('f', "f", "*", Reduces, mean(n[0], a[0])), FORM('f', "fb", "*", Reduces, mean(n[0], a[0], a[1]))}},
      {.name = "prod", .group = &kReduction, .takes = "prod(over, e, mask)", .means = "Product; of nothing 1.",
       .derivative = "the product of the others, also where one of them is 0",
       .example = VALUE(prod(c, x(c))),
       .shown = {{{1, 2, 3}}, {{0, 2, 3}}, {{0, 0, 3}}, {{1, kInf}}, {{1, -kInf}}, {{1, kNaN}}, {}},
       .forms = {FORM('f', "fb", "*", Reduces, prod(n[0], 1.2 * tanh(a[0]), a[1]))}},
      {.name = "max", .group = &kReduction, .takes = "max(over, e, mask)",
       .means = "The greatest, NaN if any is; of nothing -inf.",
       .derivative = "1 for the greatest; equal ones share it equally", .example = VALUE(max(c, x(c))), .shown = rows(),
       .forms = {FORM('f', "f", "*", Reduces, max(n[0], a[0])),
                 FORM('f', "fb", "*", Reduces, clamp(max(n[0], a[0], a[1]), -4.0, 4.0))}},
      {.name = "min", .group = &kReduction, .takes = "min(over, e, mask)",
       .means = "The least, NaN if any is; of nothing inf.",
       .derivative = "1 for the least; equal ones share it equally", .example = VALUE(min(c, x(c))), .shown = rows(),
       .forms = {FORM('f', "f", "*", Reduces, min(n[0], a[0]))}},
      {.name = "logsumexp", .group = &kReduction, .takes = "logsumexp(over, e, mask)",
       .means = "log(sum(over, exp(e))), shifted by the maximum so that nothing overflows; of nothing -inf.",
       .derivative = "softmax(over, e); 0 where there is nothing, or nothing but -inf",
       .example = VALUE(logsumexp(c, x(c))), .shown = [] {
         std::vector<Shown> all = rows();
         all.push_back({{1000, 1000}});
         all.push_back({{-kInf, -kInf}});
         return all;
       }(),
       .forms = {FORM('f', "f", "*", Reduces, logsumexp(n[0], a[0])),
                 FORM('f', "fb", "*", Reduces, clamp(logsumexp(n[0], a[0], a[1]), -8.0, 8.0))},
       .cost = "an exp an element, and a pass before for the maximum unless both are one"},
      {.name = "softmax", .group = &kReduction, .takes = "softmax(over, e, mask)",
       .means = "exp(e) as a share of the sum of all; where masked out, or where all is -inf, 0.",
       .derivative = "p (g - sum(over, p g)) for upstream g",
       .example = VALUE(softmax(c, x(c)) * y(c)),
       .shown = {{{1, 2, 3}, {1, 0, 0}}, {{2, 2}, {1, 3}}, {{1, -kInf}, {1, 2}}, {{-kInf, -kInf}, {1, 2}}, {{1, kInf}, {1, 2}}, {{1, kNaN}, {1, 2}}, {}},
       .forms = {FORM('f', "f", "*", Along, softmax(n[0], a[0])), FORM('f', "fb", "*", Along, softmax(n[0], a[0], a[1]))},
       .shape = "that of e: its value at the index itself",
       .cost = "an exp an element, twice where the row is not kept"},
      {.name = "log_softmax", .group = &kReduction, .takes = "log_softmax(over, e, mask)",
       .means = "e - logsumexp(over, e, mask).",
       .derivative = "1 - softmax at the element itself, -softmax at the others",
       .example = VALUE(log_softmax(c, x(c)) * y(c)),
       .shown = {{{1, 2, 3}, {1, 0, 0}}, {{2, 2}, {1, 3}}, {{1, -kInf}, {1, 2}}, {{1, kInf}, {1, 2}}, {{1, kNaN}, {1, 2}}, {}},
       .forms = {FORM('f', "f", "*", Along, log_softmax(n[0], a[0]))},
       .shape = "that of e: its value at the index itself", .cost = "an exp an element"},
      {.name = "count", .group = &kReduction, .takes = "count(over, condition)",
       .means = "For how many values of the index it holds, as a float; of nothing 0.",
       .derivative = kNone, .example = VALUE(count(c, x(c) > 1)), .shown = rows(),
       .forms = {FORM('f', "b", "*", Reduces, count(n[0], a[0]))}},
      {.name = "any", .group = &kReduction, .takes = "any(over, condition)", .means = "Whether it holds somewhere; of nothing false.",
       .derivative = kNone, .example = VALUE(number(any(c, x(c) > 2))), .shown = rows(),
       .forms = {FORM('b', "b", "*", Reduces, any(n[0], a[0]))}},
      {.name = "all", .group = &kReduction, .takes = "all(over, condition)", .means = "Whether it holds everywhere; of nothing true.",
       .derivative = kNone, .example = VALUE(number(all(c, x(c) > 0))), .shown = rows(),
       .forms = {FORM('b', "b", "*", Reduces, all(n[0], a[0]))}},
      {.name = "argmax", .group = &kReduction, .takes = "argmax(over, e, mask)",
       .means = "Where the greatest is, an integer; of equal ones the lowest index, of nothing 0; a NaN counts as greatest. "
                "at(e, over, argmax(...)) is the value, and passes its derivative to that one element.",
       .derivative = kNone, .example = VALUE(number(argmax(c, x(c)))), .shown = rows(),
       .forms = {FORM('k', "f", "*", Reduces, argmax(n[0], a[0])), FORM('k', "fb", "*", Reduces, argmax(n[0], a[0], a[1]))}},
      {.name = "argmin", .group = &kReduction, .takes = "argmin(over, e, mask)",
       .means = "Where the least is, an integer; of equal ones the lowest index, of nothing 0; a NaN counts as least.",
       .derivative = kNone, .example = VALUE(number(argmin(c, x(c)))), .shown = rows(),
       .forms = {FORM('k', "f", "*", Reduces, argmin(n[0], a[0]))}},
      {.name = "kth_argmax", .group = &kReduction, .takes = "kth_argmax(over, k, e, mask)",
       .means = "Where the k-th greatest is (k = 1: argmax), of equal ones the lowest index first. k is 1 to 16 and fixed "
                "when the loss is compiled.",
       .derivative = kNone, .example = VALUE(number(kth_argmax(c, 2, x(c)))), .shown = rows(),
       .forms = {FORM('k', "f", "*", Reduces, kth_argmax(n[0], 2, a[0]))}, .cost = "k passes: for large k use sort"},
      {.name = "kth_largest", .group = &kReduction, .takes = "kth_largest(over, k, e, mask)",
       .means = "The k-th greatest; of fewer than k -inf.",
       .derivative = "1 for that element; of equal ones the lowest index first",
       .example = VALUE(kth_largest(c, 2, x(c))), .shown = rows(),
       .forms = {FORM('f', "f", "*", Reduces, kth_largest(n[0], 2, a[0]))}, .cost = "k passes: for large k use sort"},
      {.name = "top_k_sum", .group = &kReduction, .takes = "top_k_sum(over, k, e, mask)",
       .means = "Sum of the k greatest, of all if there are fewer.",
       .derivative = "1 for each of them; of equal ones the lowest index first",
       .example = VALUE(top_k_sum(c, 2, x(c))), .shown = rows(),
       .forms = {FORM('f', "f", "*", Reduces, top_k_sum(n[0], 2, a[0]))}, .cost = "k passes: for large k use sort"},
  };
}

}  // namespace lossc::words
