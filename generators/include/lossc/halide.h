// A step of a definition as Halide code, for what no word of <lossc/loss.h> says: a second header, because it needs
// Halide's own, which takes some seconds to read.
//
//   auto softsign_power = halide_expr("softsign_power", {x(i), p},
//       [](HalideOperands v) { return v[0] / pow(1 + pow(abs(v[0]), v[1]), 1 / v[1]); },
//       [](HalideOperands v) -> std::vector<Halide::Expr> { return {..., ...}; });
//
// The function is called when the definition is built, with one Halide expression for each operand: a float as wide as the
// kernel computes (once 32 and once 64 bits), an int32, a truth value. What it returns becomes part of whatever loop the
// step lands in, and is as wide as that loop's vectors.
//
// - The gradient is the derivative given, times what flows back. Finite differences of the value check it in `lossc check`,
//   like every derivative.
// - Numbers mean what they mean in the rest of a kernel: nothing is reordered, NaN and infinity are data, min, max and
//   clamp keep NaN (Halide's give a bound). exp, log, pow, sqrt, tanh, sin, cos, tan, asin, acos, atan, atan2 are lossc's own,
//   with the errors that generators/math states; sinh, cosh, asinh, acosh, atanh are libm's, one element at a time.
// - A constant that is no float32, such as 0.1, is `literal(0.1, v[0])`: Halide takes 0.1f, and Halide::Expr(0.1) makes all of
//   it float64.
// - Of its operands alone: no Func, no image, no RDom, nothing random. halide_step, below, reads at will.
//
// Every error is a DefinitionError that names the loss and the line.
#pragma once
#include <Halide.h>
#include <lossc/loss.h>

namespace lossc {

using HalideOperands = const std::vector<Halide::Expr>&;
using HalideValue = std::function<Halide::Expr(HalideOperands)>;
// d(value)/d(operand) for each operand in turn; an undefined Expr() for one that is an integer or a truth value.
using HalideDerivatives = std::function<std::vector<Halide::Expr>(HalideOperands)>;
// Of each of those its derivatives in turn.
using HalideSecond = std::function<std::vector<std::vector<Halide::Expr>>(HalideOperands)>;

// `name` is what plans and messages call the step. Without `second` a second derivative (a Hessian-vector product) is refused.
Expr halide_expr(const char* name, std::initializer_list<Arg> operands, const HalideValue& value,
                 const HalideDerivatives& derivatives, const HalideSecond& second = {}, Where where = Where::current());

// ---- a step that reads at will -------------------------------------------------------------------------------------
// Where one element of the result is made of many of the operands, and no reduction or lookup says of which:
//
//   auto blurred = halide_step("blur", {{x(i, p), {i, p}}}, {i, p},
//       [](const HalideStep& s) { return (s.in[0](s.at[0], s.at[1] - 1) + s.in[0](s.at[0], s.at[1] + 1)) / 2; }, {...});
//
// The operands are in memory as a whole before the step begins, and its result is after it: what an elementwise step may keep
// in registers costs a pass here, and is as wide as its indices. The body is called with readers and the coordinates of one
// element of the result; it may use RDoms and Funcs of its own, unscheduled: they are computed for the element, and a Func of
// whose elements it is not known how many there are asks for memory in the run.

// How an operand is read: at integer coordinates in the order of its indices; beyond the ends, the nearest element.
struct HalideReader {
  std::function<Halide::Expr(const std::vector<Halide::Expr>&)> read;
  std::vector<Halide::Expr> extent;  // along each coordinate
  template <class... At>
  Halide::Expr operator()(At... at) const {
    return read(std::vector<Halide::Expr>{Halide::Expr(at)...});
  }
};
struct HalideStep {
  std::vector<HalideReader> in;            // the operands
  std::vector<Halide::Expr> at, extent;  // of the result, in the order of its indices
};
using HalideBody = std::function<Halide::Expr(const HalideStep&)>;
struct HalideOperand {
  Arg value;
  Indices indices;
};

// The adjoint of an operand makes one element of its gradient: `in` are the operands and, last, what flows back to the result,
// over its indices; `at` is a place of the operand. One for each operand, an empty HalideBody() for an integer or a truth
// value. There are no second derivatives. It is no step of a recurrence, and a call whose operands are empty is refused.
Expr halide_step(const char* name, std::initializer_list<HalideOperand> operands, Indices indices, const HalideBody& body,
                 std::vector<HalideBody> adjoints, Where where = Where::current());

// The number in the float type of an operand.
Halide::Expr literal(double value, const Halide::Expr& like);
// Functions that Halide lacks, or has in float32 alone. erf is written lossc::erf(x) there, for Halide has one, too.
Halide::Expr expm1(const Halide::Expr& x);
Halide::Expr log1p(const Halide::Expr& x);
Halide::Expr sigmoid(const Halide::Expr& x);
Halide::Expr softplus(const Halide::Expr& x);
Halide::Expr erf(const Halide::Expr& x);
Halide::Expr erfc(const Halide::Expr& x);
Halide::Expr lgamma(const Halide::Expr& x);
Halide::Expr digamma(const Halide::Expr& x);
Halide::Expr trigamma(const Halide::Expr& x);

}  // namespace lossc
