// pow.
//
// x^y = e^(y log x) turns an absolute error of y log x, which reaches 745 (104 in f32), into a relative one, so log x
// has to carry ten (seven) more bits than its type: a pair hi + lo. Nothing here needs FMA: a factor whose low half is
// cleared multiplies exactly, as in fdlibm's e_pow.c.

#include "generators/math/detail.h"

namespace lossc::math {

using namespace detail;

namespace {

// (log((1+s)/(1-s)) / s - 2) / s^2 in s^2, |s| <= 0.1717, err 2.5e-11 (f32), 9.1e-21 (f64).
const Coefficients kLogPair = {{0.666666627f, 0.400009722f, 0.284987777f, 0.24279502f},
                               {0.66666666666666663, 0.40000000000004937, 0.28571428569404106, 0.22222222608304165,
                                0.18181778232617471, 0.15386994732019421, 0.13252006683489292, 0.13236125625279568}};

Pair fast_two_sum(const Expr& a, const Expr& b) {  // |a| >= |b| or a = 0
  const Expr hi = s_add(a, b);
  return {hi, s_sub(b, s_sub(hi, a))};
}

// log(x) for 0 < x < inf: x = 2^k (1+f), s = f / (2+f) = s_hi + s_lo with s_hi short, log(1+f) = 2s + s^3 R(s^2).
Pair log_pair(const Expr& x) {
  const Split part = split_positive(x);
  const Expr f = part.m_minus_1, two = lit(x, 2);
  const Expr u = s_add(two, f);
  const Expr u_lo = s_sub(f, s_sub(u, two));
  const Expr inverse = s_div(lit(x, 1), u);
  const Expr s_hi = high_half(s_mul(f, inverse));
  const Expr u_top = high_half(u);
  const Expr u_rest = s_add(s_sub(u, u_top), u_lo);
  const Expr remainder = s_sub(s_sub(f, s_mul(s_hi, u_top)), s_mul(s_hi, u_rest));
  const Expr s_lo = s_mul(remainder, inverse);
  const Expr s = s_add(s_hi, s_lo);
  const Expr z = s_mul(s, s);
  const Expr tail = s_add(s_mul(two, s_lo), s_mul(s_mul(s, z), polynomial(z, kLogPair)));
  const Pair sum = fast_two_sum(s_mul(part.k, ln2_hi(x)), s_mul(two, s_hi));
  return fast_two_sum(sum.hi, s_add(sum.lo, s_add(s_mul(part.k, ln2_lo(x)), tail)));
}

// |x|^y for |x| not 0 or inf and y finite.
Expr pow_core(const Expr& magnitude, const Expr& y, const Env& env) {
  const Pair log = log_pair(magnitude);
  const Pair product = two_product(y, log.hi);
  const Expr lo = s_add(product.lo, s_mul(y, log.lo));
  const Expr zero = lit(y, 0);
  // Where the product overflows its error term is inf - inf.
  const Expr in_range = s_lt(Halide::abs(product.hi), lit(y, 120, 800));
  const Expr clamped = s_min(lit(y, 89, 710), s_max(lit(y, -104, -746), product.hi));
  return exp_sum_core(clamped, Halide::select(in_range, lo, zero), env);
}

}  // namespace

// The special cases are those of C99 Annex F.
Expr pow(Expr x, Expr y, Env env) {
  check("pow", x);
  check("pow", y);
  const Expr zero = lit(x, 0), one = lit(x, 1), inf = infinity(x);
  const Expr ax = Halide::abs(x);
  const Expr half = s_mul(y, lit(y, 0.5));
  const Expr is_integer = s_eq(Halide::floor(y), y);
  const Expr is_odd = is_integer && !s_eq(Halide::floor(half), half);

  // |x|^y where x or y is 0 or inf: 1 for |x| = 1, else inf or 0.
  const Expr at_edge = s_eq(ax, zero) || s_eq(ax, inf) || s_eq(Halide::abs(y), inf);
  const Expr grows = s_lt(one, ax) == s_lt(zero, y);
  const Expr edge = Halide::select(s_eq(ax, one), one, grows, inf, zero);
  const Expr magnitude = Halide::select(at_edge, edge, pow_core(ax, y, env));

  const Expr is_complex = s_lt(x, zero) && s_lt(-inf, x) && !is_integer;
  const Expr is_invalid = is_complex || Halide::is_nan(x) || Halide::is_nan(y);
  const Expr with_sign = Halide::select(is_odd, flip_sign(magnitude, x), magnitude);
  const Expr is_one = s_eq(y, zero) || s_eq(x, one);
  return share(Halide::select(is_one, one, is_invalid, nan(x), with_sign));
}

}  // namespace lossc::math
