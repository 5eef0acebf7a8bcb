// pow.
//
// x^y = e^(y log x) turns an absolute error of y log x, which reaches 745 (104 in f32), into a relative one, so log x
// has to carry ten (seven) more bits than its type: a pair hi + lo. Nothing here needs FMA: a factor whose low half is
// cleared multiplies exactly, as in fdlibm's e_pow.c.

#include "generators/math/detail.h"

namespace lossc::math {

using namespace detail;

namespace {

// f32: (log((1+s)/(1-s)) / s - 2) / s^2, in s^2, |s| <= 0.1717. err 2.5e-11.
// f64: (log((1+s)/(1-s)) / s - 2 - 2/3 s^2) / s^4, likewise. err 1.1e-20.
const Coefficients kLogPair = {{0.666666627f, 0.400009722f, 0.284987777f, 0.24279502f},
                               {0.40000000000002273, 0.28571428570091195, 0.22222222521478574, 0.18181784226554135,
                                0.15386763988531532, 0.13256658855771447, 0.13197836756464573}};

Pair fast_two_sum(const Expr& a, const Expr& b) {  // |a| >= |b| or a = 0
  const Expr hi = s_add(a, b);
  return {hi, s_sub(b, s_sub(hi, a))};
}

// s = f / (2+f) for f in [sqrt(1/2)-1, sqrt(2)-1]; hi has a short mantissa. u = 2+f is inexact by u_lo.
Pair log_argument(const Expr& f) {
  const Expr two = lit(f, 2);
  const Expr u = s_add(two, f);
  const Expr u_lo = s_sub(f, s_sub(u, two));
  const Expr inverse = s_div(lit(f, 1), u);
  const Expr hi = high_half(s_mul(f, inverse));
  const Expr u_top = high_half(u);
  const Expr u_rest = s_add(s_sub(u, u_top), u_lo);
  const Expr remainder = s_sub(s_sub(f, s_mul(hi, u_top)), s_mul(hi, u_rest));
  return {hi, s_mul(remainder, inverse)};
}

// 2/3 s^3; z = s^2, rounded.
Pair cubic_term(const Pair& s, const Expr& z) {
  const Expr square_hi = s_mul(s.hi, s.hi);  // exact
  const Expr top = high_half(square_hi);
  const Expr rest = s_add(s_sub(square_hi, top), s_mul(s_add(s_mul(lit(s.hi, 2), s.hi), s.lo), s.lo));
  const Expr cube_rest = s_add(s_mul(s.hi, rest), s_mul(s.lo, z));
  const Expr two_thirds = lit(s.hi, 0x1.5555555555555p-1);
  const Pair cube = two_product(s_mul(s.hi, top), two_thirds);
  const Expr lo = s_add(s_mul(cube_rest, two_thirds), s_mul(cube.hi, lit(s.hi, 0x1p-54)));
  return {cube.hi, s_add(cube.lo, lo)};
}

// log(x) for 0 < x < inf: x = 2^k (1+f), log(1+f) = 2s + 2/3 s^3 + s^5 R(s^2). s^3 is up to 1% of it, and rounding that
// as usual leaves log x seven bits better than its type: enough for f32 (4 ulp), but 25 ulp in f64.
Pair log_pair(const Expr& x) {
  const Split part = split_positive(x);
  const Pair s = log_argument(part.m_minus_1);
  const Expr sum = s_add(s.hi, s.lo);
  const Expr z = s_mul(sum, sum);
  Expr tail = s_mul(s_mul(sum, z), polynomial(z, kLogPair));
  Pair head = fast_two_sum(s_mul(part.k, ln2_hi(x)), s_mul(lit(x, 2), s.hi));
  if (x.type().bits() == 64) {
    const Pair cubic = cubic_term(s, z);
    const Pair with_cubic = fast_two_sum(head.hi, cubic.hi);
    head = {with_cubic.hi, s_add(with_cubic.lo, s_add(head.lo, cubic.lo))};
    tail = s_mul(tail, z);
  }
  tail = s_add(s_mul(lit(x, 2), s.lo), tail);
  return fast_two_sum(head.hi, s_add(head.lo, s_add(s_mul(part.k, ln2_lo(x)), tail)));
}

// |x|^y for |x| not 0 or inf and y finite.
Expr pow_core(const Expr& ax, const Expr& y, const Env& env) {
  const Pair log = log_pair(ax);
  const Pair product = two_product(y, log.hi);
  const Expr lo = s_add(product.lo, s_mul(y, log.lo));
  const Expr zero = lit(y, 0);
  // Where the product overflows its error term is inf - inf.
  const Expr in_range = s_lt(magnitude(product.hi), lit(y, 120, 800));
  const Expr clamped = s_min(lit(y, 89, 710), s_max(lit(y, -104, -746), product.hi));
  return exp_sum_core(clamped, Halide::select(in_range, lo, zero), env);
}

}  // namespace

// The special cases are those of C99 Annex F.
Expr pow(Expr x, Expr y, Env env) {
  y = operand("pow", x, y);
  accept("pow", &x);
  accept("pow", &y);
  const Expr zero = lit(x, 0), one = lit(x, 1), inf = infinity(x);
  const Expr ax = magnitude(x);
  const Expr half = s_mul(y, lit(y, 0.5));
  const Expr is_integer = s_eq(Halide::floor(y), y);
  const Expr is_odd = is_integer && !s_eq(Halide::floor(half), half);

  // |x|^y where x or y is 0 or inf: 1 for |x| = 1, else inf or 0.
  const Expr at_edge = s_eq(ax, zero) || s_eq(ax, inf) || s_eq(magnitude(y), inf);
  const Expr grows = s_lt(one, ax) == s_lt(zero, y);
  const Expr edge = Halide::select(s_eq(ax, one), one, grows, inf, zero);
  const Expr unsigned_power = Halide::select(at_edge, edge, pow_core(ax, y, env));

  const Expr is_complex = s_lt(x, zero) && s_lt(-inf, x) && !is_integer;
  const Expr is_invalid = is_complex || Halide::is_nan(x) || Halide::is_nan(y);
  const Expr with_sign = Halide::select(is_odd, flip_sign(unsigned_power, x), unsigned_power);
  const Expr is_one = s_eq(y, zero) || s_eq(x, one);
  return share(Halide::select(is_one, one, is_invalid, nan(x), with_sign));
}

}  // namespace lossc::math
