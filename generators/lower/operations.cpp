// What single operations become, and the steps of running reductions.
#include <fmt/format.h>

#include <algorithm>

#include "../math/math.h"
#include "expression.h"
#include "strict.h"

namespace lossc::lower {

using Halide::Expr;
using ir::Op;
using ir::ReduceKind;

math::Env Lowering::env() const { return {isa.features.find("fma") != std::string_view::npos}; }

Expr Lowering::unary(Op op, Expr x, ir::Type operand) {
  auto c = [&](double v) { return Halide::Internal::make_const(x.type(), v); };
  switch (op) {
    case Op::Neg: return strict::neg(x);
    case Op::Abs: return strict::abs(x);
    case Op::Sign:
      return Halide::select(strict::is_nan(x), x, strict::lt(c(0), x), c(1), strict::lt(x, c(0)), c(-1), c(0));
    case Op::Exp: return math::exp(x, env());
    case Op::ExpFtz: return math::exp_ftz(x, env());
    case Op::Expm1: return math::expm1(x, env());
    case Op::Log: return math::log(x);
    case Op::Log1p: return math::log1p(x);
    case Op::Sqrt: return math::sqrt(x);
    case Op::Tanh: return math::tanh(x, env());
    case Op::Sigmoid: return math::sigmoid(x, env());
    case Op::Softplus: return math::softplus(x, env());
    case Op::Erf: return math::erf(x, env());
    case Op::Erfc: return math::erfc(x, env());
    case Op::Sin: return math::sin(x);
    case Op::Cos: return math::cos(x);
    case Op::Acos: return math::acos(x);
    case Op::Asin: return math::asin(x);
    case Op::Lgamma: return math::lgamma(x);
    case Op::Digamma: return math::digamma(x);
    case Op::Trigamma: return math::trigamma(x);
    case Op::Floor: return Halide::floor(x);
    case Op::Round: return Halide::round(x);
    case Op::ZeroRecip: return strict::select(strict::eq(x, c(0)), c(0), strict::div(c(1), x));
    case Op::IsNan: return strict::is_nan(x);
    case Op::IsFinite: return strict::is_finite(x);
    case Op::Not: return !x;
    case Op::ToInt:
      return Halide::select(strict::is_nan(x), -1, Halide::cast<int32_t>(Halide::floor(
                 strict::max_nan(strict::min_nan(strict::select(strict::is_nan(x), c(0), x), c(0x1p30)), c(-0x1p30)))));
    case Op::ToFloat: return operand == ir::Type::Float ? x : Halide::cast(real, x);
    default: break;
  }
  throw std::runtime_error(fmt::format("`{}` has no code generation yet", ir::name(op)));
}

Expr Lowering::binary(Op op, Expr a, Expr b) {
  switch (op) {
    case Op::Add: return strict::add(a, b);
    case Op::Sub: return strict::sub(a, b);
    case Op::Mul: return strict::mul(a, b);
    case Op::Div: return strict::div(a, b);
    case Op::Mod: return a % b;
    case Op::Pow: return math::pow(a, b, env());
    case Op::Atan2: return math::atan2(a, b);
    case Op::Max: return a.type().is_float() ? strict::max_nan(a, b) : Halide::max(a, b);
    case Op::Min: return a.type().is_float() ? strict::min_nan(a, b) : Halide::min(a, b);
    case Op::Lt: return strict::lt(a, b);
    case Op::Le: return strict::le(a, b);
    case Op::Eq: return strict::eq(a, b);
    case Op::Ne: return !strict::eq(a, b);
    case Op::And: return a && b;
    case Op::Or: return a || b;
    default: break;
  }
  throw std::runtime_error(fmt::format("`{}` has no code generation yet", ir::name(op)));
}

std::vector<Expr> start(ReduceKind kind, Halide::Type value) {
  Expr id = Halide::Internal::make_const(value, ir::identity(kind));
  if (selects(kind)) return {id, Expr(0)};
  return {id};
}

std::vector<Expr> combine(ReduceKind kind, const std::vector<Expr>& acc, const std::vector<Expr>& next) {
  const Expr a = acc[0], x = next[0];
  switch (kind) {
    case ReduceKind::Sum: return {strict::add(a, x)};  // lanes are written out: nothing is left to reassociate
    case ReduceKind::Prod: return {strict::mul(a, x)};
    case ReduceKind::Any: return {a | x};
    case ReduceKind::All: return {a & x};
    case ReduceKind::MaxNum: return {strict::select(strict::lt(a, x), x, a)};  // NaN loses
    case ReduceKind::Max: return {strict::max_nan(a, x)};
    case ReduceKind::Min: return {strict::min_nan(a, x)};
    default: {
      // Strictly better, or the first NaN; on a tie the lower index (partial results meet in any order).
      const Expr x_nan = strict::is_nan(x), a_nan = strict::is_nan(a);
      const Expr better = kind == ReduceKind::ArgMax ? strict::lt(a, x) : strict::lt(x, a);
      const Expr tie = (strict::eq(x, a) || (x_nan && a_nan)) && next[1] < acc[1];
      // An untouched accumulator holds the identity and index 0, which is the answer for an empty row too.
      const Expr take = (better && !a_nan) || (x_nan && !a_nan) || tie;
      return {strict::select(take, x, a), Halide::select(take, next[1], acc[1])};
    }
  }
}

}  // namespace lossc::lower
