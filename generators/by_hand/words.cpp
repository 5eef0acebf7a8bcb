#include "generators/by_hand/words.h"

#include "dsl/words/entry.h"
#include "lossc/halide.h"

namespace lossc::by_hand {
namespace {

using namespace lossc::words;

const Group kByHand = {"Halide by hand, lossc/halide.h", "that of the operands together", "its operations, as part of the loop around it"};

}  // namespace

std::vector<Word> words() {
  return {
      {.name = "halide_expr", .group = &kByHand, .takes = "halide_expr(name, {operands}, value, derivatives)",
       .means = "One element of each operand in, one float out, by Halide code for what no word says: `value` and `derivatives` are "
                "functions of a list of Halide expressions, one for each operand, a float as wide as the kernel computes, an int32 or "
                "a truth value. They are made of these alone, read no Func, and obey the rules of kernels: nothing is reordered, NaN "
                "and infinity are data, min, max and clamp keep NaN, exp and the like are lossc's own; expm1, log1p, sigmoid, "
                "softplus, lossc::erf, erfc, lgamma, digamma and trigamma are there, too. literal(0.1, v[0]) is a constant in the operands' type.",
       .derivative = "as given, one for each operand (Halide::Expr() for one that is no float), times what flows back; differences check "
                     "it. Of that in turn none, unless a fifth argument has the rows of second derivatives",
       .example = VALUE(halide_expr("cube", {x(c)}, [](HalideOperands v) { return v[0] * v[0] * v[0]; }, [](HalideOperands v) -> std::vector<Halide::Expr> { return {3 * v[0] * v[0]}; })),
       .shown = {{{-1, 0, 2}, {}, {-1, 0, 8}, {3, 0, 12}},
                 {{kInf, -kInf}, {}, {kInf, -kInf}, {kInf, kInf}},
                 {{kNaN, 1}, {}, {kNaN, 1}, {kNaN, 3}},
                 {}},
       .forms = {FORM('f', "ff", "", Nothing, halide_expr("bend", {a[0], a[1]}, [](HalideOperands o) { return tanh(o[0]) + literal(0.1, o[0]) * o[0] * sigmoid(o[1]); }, [](HalideOperands o) -> std::vector<Halide::Expr> { const auto t = tanh(o[0]), s = sigmoid(o[1]), k = literal(0.1, o[0]); return {1 - t * t + k * s, k * o[0] * s * (1 - s)}; })),
                 FORM('f', "fbk", "", Nothing, halide_expr("turn", {a[0], a[1], a[2]}, [](HalideOperands o) { return select(o[1], log1p(o[0] * o[0]), select(o[2] % 2 == 0, o[0], -o[0])); }, [](HalideOperands o) -> std::vector<Halide::Expr> { const auto one = literal(1, o[0]); return {select(o[1], 2 * o[0] / (1 + o[0] * o[0]), select(o[2] % 2 == 0, one, -one)), Halide::Expr(), Halide::Expr()}; }))}},
      {.name = "halide_step", .group = &kByHand, .takes = "halide_step(name, {{operand, indices}, ...}, indices, body, {adjoints})",
       .means = "Where an element of the result is made of many of the operands, and no reduction or lookup says of which. `body` gets "
                "readers of the operands, called with integer coordinates in the order of their indices (beyond the ends they read "
                "the nearest element), the coordinates of one element of the result, and its extents; RDoms and Funcs of its own "
                "are computed for that element. Numbers obey the rules that they do in halide_expr. It cannot be part of a scan's "
                "step, and a call in which a reader finds no element is refused.",
       .derivative = "the adjoints: for each operand a body that makes one element of its gradient, of the operands and, as the last of "
                     "the readers, what flows back to the result; differences check them. Of these in turn none",
       .example = VALUE(halide_step("before", {{x(c), c}}, c, [](const HalideStep& s) { return s.in[0](s.at[0] - 1); }, {[](const HalideStep& s) { const auto g = s.in[1]; return select(s.at[0] + 1 < s.extent[0], g(s.at[0] + 1), literal(0, g(0))) + select(s.at[0] == 0, g(0), literal(0, g(0))); }})),
       .shown = {{{1, 2, 3}, {}, {1, 1, 2}, {2, 1, 0}},
                 {{kInf, 1}, {}, {kInf, kInf}, {2, 0}},
                 {{kNaN, 1}, {}, {kNaN, kNaN}, {2, 0}},
                 {}},
       .forms = {FORM('f', "f", "NC", Scans, halide_step("lean", {{a[0], {n[0], n[1]}}}, {n[0], n[1]}, [](const HalideStep& s) { return s.in[0](s.at[0], s.at[1]) + tanh(s.in[0](s.at[0], s.at[1] - 1)); }, {[](const HalideStep& s) { const auto x = s.in[0], g = s.in[1]; const auto t = tanh(x(s.at[0], s.at[1])), none = literal(0, t), own = g(s.at[0], s.at[1]); return own + (1 - t * t) * (select(s.at[1] + 1 < s.extent[1], g(s.at[0], s.at[1] + 1), none) + select(s.at[1] == 0, own, none)); }})),
                 FORM('f', "f", "*", Scans, halide_step("soft_rank", {{a[0], n[0]}}, n[0], [](const HalideStep& s) { const auto x = s.in[0]; Halide::RDom r(0, s.extent[0]); return Halide::sum(sigmoid(x(r.x) - x(s.at[0]))); }, {[](const HalideStep& s) { const auto x = s.in[0], g = s.in[1]; Halide::RDom r(0, s.extent[0]); const auto p = sigmoid(x(r.x) - x(s.at[0])); return Halide::sum(p * (1 - p) * (g(r.x) - g(s.at[0]))); }}))},
       .shape = "the indices named", .cost = "a pass over memory of its own: operands and result are stored whole"}};
}

}  // namespace lossc::by_hand
