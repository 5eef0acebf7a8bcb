#include "generators/by_hand/words.h"

#include "dsl/words/entry.h"
#include "lossc/halide.h"

namespace lossc::by_hand {
namespace {

using namespace lossc::words;

const Group kByHand = {"Halide by hand (<lossc/halide.h>)", "that of the operands together", "its operations, as part of the loop around it"};

}  // namespace

const std::vector<Word>& words() {
  static const std::vector<Word> all = {
      {.name = "halide_expr", .group = &kByHand, .takes = "halide_expr(name, {operands}, value, derivatives)",
       .means = "One element of each operand in, one float out, by Halide code for what no word says: `value` and `derivatives` are "
                "functions of a list of Halide expressions, one for each operand, a float as wide as the kernel computes, an int32 or "
                "a truth value. They are made of these alone, read no Func, and obey the rules of kernels: nothing is reordered, NaN "
                "and infinity are data, min, max and clamp keep NaN, exp and the like are lossc's own; expm1, log1p, sigmoid, "
                "softplus, lossc::erf, lgamma and digamma are there, too. literal(0.1, v[0]) is a constant in the operands' type.",
       .derivative = "as given, one for each operand (Halide::Expr() for one that is no float), times what flows back; differences check "
                     "it. Of that in turn none, unless a fifth argument has the rows of second derivatives",
       .example = VALUE(halide_expr("cube", {x(c)}, [](HalideOperands v) { return v[0] * v[0] * v[0]; }, [](HalideOperands v) -> std::vector<Halide::Expr> { return {3 * v[0] * v[0]}; })),
       .shown = {{{-1, 0, 2}, {}, {-1, 0, 8}, {3, 0, 12}},
                 {{kInf, -kInf}, {}, {kInf, -kInf}, {kInf, kInf}},
                 {{kNaN, 1}, {}, {kNaN, 1}, {kNaN, 3}},
                 {}}}};
  return all;
}

}  // namespace lossc::by_hand
