// exp, expm1, log, log1p.
//
// Every polynomial in this folder was fitted by weighted Remez exchange (60-digit arithmetic, 401 Chebyshev points),
// the lowest free coefficient then rounded to the element type and the others fitted again, until all were rounded.
// "err" is the largest relative error of the function value after that rounding.

#include "generators/math/detail.h"

namespace lossc::math {

namespace detail {

namespace {

// e^r on |r| <= 1.0005 ln 2, constant term fixed at 1. err 3.6e-8 (f32), 7.2e-17 (f64).
const Coefficients kExp = {
    {1, 1.00000036f, 0.500000358f, 0.166661114f, 0.0416610055f, 0.00835429784f, 0.00141115498f, 0.000177222741f},
    {1, 0.99999999999999956, 0.49999999999999956, 0.16666666666669258, 0.041666666666692061, 0.0083333333328944464,
     0.0013888888884918437, 0.00019841270155240707, 2.4801590040576814e-05, 2.7557208664654584e-06,
     2.7556353921227147e-07, 2.5070918289505125e-08, 2.1045405788872443e-09, 1.4864434734314804e-10}};

// (e^r - 1 - r) / r^2 on |r| <= 1.001 ln(2)/2, weighted for e^r - 1. err 4.9e-10 (f32), 3.6e-18 (f64).
const Coefficients kExpm1 = {
    {0.5f, 0.166666657f, 0.0416664667f, 0.00833364297f, 0.00139351375f, 0.000196648441f},
    {0.50000000000000011, 0.16666666666666671, 0.041666666666648422, 0.0083333333333271524, 0.0013888888897397123,
     0.00019841269870869287, 2.4801571085936734e-05, 2.755726002030831e-06, 2.7570822127913751e-07,
     2.5103506863794312e-08, 1.6807019579145658e-09}};

// f32: (log(1+f) - f + f^2/2) / f^3, weighted for log(1+f), f as in log1p_fraction. err 9.0e-10.
// f64: (log((1+s)/(1-s)) / s - 2) / s^2 in s^2, weighted likewise, s = f / (2+f). err 1.6e-18.
const Coefficients kLog = {{0.333333135f, -0.250000119f, 0.20002073f, -0.166675702f, 0.142197117f, -0.1241583f,
                            0.119013809f, -0.116106562f, 0.0662497729f},
                           {0.66666666666667351, 0.39999999999409352, 0.28571428743686816, 0.22222198428878698,
                            0.18183572333461967, 0.15313837440380754, 0.14798103925072273}};

// ln 2 in two parts. Without FMA the first must have few enough bits that n*hi is exact (15 for |n| < 2^8 in f32,
// 41 for |n| < 2^11 in f64, with a bit to spare); with FMA it is simply the nearest.
struct Ln2 {
  double f32_hi, f32_lo, f64_hi, f64_lo;
};
constexpr Ln2 kLn2Short = {0x1.62e4p-1, 0x1.7f7d1cp-20, 0x1.62e42fefa3p-1, 0x1.3de6af278ece6p-42};
constexpr Ln2 kLn2Nearest = {0x1.62e43p-1, -0x1.05c61p-29, 0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

}  // namespace

// n = round(x / step) by the magic-number addition, which leaves n in the low bits of t, so that the scale is one
// shift; putting the exponent bias into the magic number saves the addition of it.
//
// With FMA, r = (x - n*hi) - n*lo is two instructions, if LLVM can be kept from folding it to x - n*(hi+lo) (5 ulp in
// f32). Strict operations are no help: they are not contracted, and cost two more. But an intermediate value with
// a second use is not reassociated; the callers give x - n*hi that use as the argument of their polynomial's innermost
// step, where n*lo, below 2^-21, is far too small to matter. PrimitiveTest would show it if LLVM changed its mind.
ExpReduction reduce_exp(const Expr& x, Step step, int scale_bias, const Env& env) {
  const Format f(x.type());
  const double k = step == Step::kLn2 ? 1 : 2;
  const Expr magic = lit(x, std::ldexp(1.5, f.mantissa) + f.bias + scale_bias);
  const Expr t = x * lit(x, 0x1.715476p0 / k, 0x1.71547652b82fep0 / k) + magic;
  const Expr n = s_sub(t, magic);
  const Ln2& c = env.fma ? kLn2Nearest : kLn2Short;
  const Expr hi = lit(x, k * c.f32_hi, k * c.f64_hi);
  const Expr lo = lit(x, k * c.f32_lo, k * c.f64_lo);

  ExpReduction out;
  out.scale = from_bits(x, to_bits(t) << f.mantissa);
  if (env.fma) {
    out.r_coarse = x - n * hi;
    out.r = out.r_coarse - n * lo;
  } else {
    out.r_coarse = s_sub(x, s_mul(n, hi));
    out.r = s_sub(out.r_coarse, s_mul(n, lo));
  }
  return out;
}

// x = 2 ln2 m + r, and e^x = (e^r 2^m) 2^m: two multiplications reach from below the smallest subnormal (one rounding,
// in the last multiplication, as it should be) to infinity, with no select. Adding n to the exponent field instead is
// as many instructions, needs only |r| <= ln(2)/2 (one polynomial degree less), and is wrong for subnormals and for
// n = 128; putting those right costs more than the degree.
Expr exp_core(const Expr& x, const Env& env) {
  const ExpReduction red = reduce_exp(x, Step::kTwoLn2, 0, env);
  return s_mul(s_mul(polynomial(red.r, kExp, red.r_coarse), red.scale), red.scale);
}

// 2^n (e^r - 1) + (2^n - 1), at half size so that n = 128 is in range. 2^n - 1 is exact wherever it matters, and n = 0
// gives e^r - 1 itself.
Expr expm1_core(const Expr& x, const Env& env) {
  const ExpReduction red = reduce_exp(x, Step::kLn2, -1, env);
  const Expr q = red.r + red.r * red.r * polynomial(red.r, kExpm1, red.r_coarse);
  const Expr half = s_add(s_mul(q, red.scale), s_sub(red.scale, lit(x, 0.5)));
  return s_mul(half, lit(x, 2));
}

// f32 has room for a polynomial in f; for f64 that would need degree 22, so it divides, as fdlibm's e_log.c does:
// log(1+f) = f - (f^2/2 - s (f^2/2 + R(s^2))) loses nothing for small f.
Expr log1p_fraction(const Expr& f) {
  const Expr square = f * f;
  if (f.type().bits() == 32) {
    return f + square * (f * polynomial(f, kLog) - lit(f, 0.5));
  }
  const Expr s = f / (lit(f, 2) + f);
  const Expr half_square = lit(f, 0.5) * square;
  const Expr z = s * s;
  return f - (half_square - s * (half_square + z * polynomial(z, kLog)));
}

Expr log1p_unit(const Expr& e) {
  const Expr big = s_lt(lit(e, 0.41421354), e);
  const Expr f = Halide::select(big, s_mul(s_sub(e, lit(e, 1)), lit(e, 0.5)), e);
  return log1p_fraction(f) + Halide::select(big, lit(e, 0.6931471805599453), lit(e, 0));
}

}  // namespace detail

using namespace detail;

namespace {

// u = 2^k m with sqrt(1/2) <= m < sqrt(2), for normal u > 0. Anything else gives some finite k and m.
struct Split {
  Expr k;          // as a float
  Expr m_minus_1;  // exact
  Expr k_shifted;  // k << mantissa, as bits
};

Split split_exponent(const Expr& u) {
  const Format f(u.type());
  const bool single = f.mantissa == 23;
  const uint64_t one = single ? 0x3f800000ull : 0x3ff0000000000000ull;
  const uint64_t root_half = single ? 0x3f3504f3ull : 0x3fe6a09e667f3bcdull;
  const uint64_t mantissa_mask = (uint64_t(1) << f.mantissa) - 1;
  const auto bits = [&](uint64_t v) { return Halide::Internal::make_const(f.bits, v); };

  // Adding (one - root_half) carries into the exponent field exactly when m >= sqrt(2) after the shift of origin.
  const Expr biased = to_bits(u) + bits(one - root_half);
  const Expr field = biased >> f.mantissa;
  // AVX2 has neither a 64-bit arithmetic shift nor int64 -> double: or the field into 2^mantissa instead.
  const Expr magic = lit(u, std::ldexp(1.0, f.mantissa));
  Split out;
  out.k = s_sub(from_bits(u, field | to_bits(magic)), lit(u, std::ldexp(1.0, f.mantissa) + f.bias));
  out.m_minus_1 = s_sub(from_bits(u, (biased & bits(mantissa_mask)) + bits(root_half)), lit(u, 1));
  out.k_shifted = (biased & bits(~mantissa_mask)) - bits(one);
  return out;
}

// One constant for ln 2, not two: fast math would fold two to one anyway, and it adds at most 0.1 ulp.
Expr ln2_times(const Expr& k) { return k * lit(k, 0x1.62e43p-1, 0x1.62e42fefa39efp-1); }

// The value of log at u, given `y` for 0 < u < inf.
Expr log_special_cases(const Expr& u, const Expr& y) {
  const Expr zero = lit(u, 0);
  const Expr negative_or_zero = Halide::select(s_eq(u, zero), -infinity(u), nan(u));
  // +inf and NaN are their own logarithms.
  const Expr outside = Halide::select(s_le(u, zero), negative_or_zero, u);
  return Halide::select(s_lt(zero, u) && s_lt(u, infinity(u)), y, outside);
}

}  // namespace

Expr exp(Expr x, Env env) {
  check("exp", x);
  // The bounds only have to lie outside the range of finite nonzero results, and inside that of exp_core.
  const Expr above_zero = s_max(lit(x, -104, -746), x);
  return share(exp_core(s_min(lit(x, 89, 710), above_zero), env));
}

Expr exp_nonpositive(Expr x, Env env) {
  check("exp_nonpositive", x);
  return share(exp_core(s_max(lit(x, -104, -746), x), env));
}

Expr expm1(Expr x, Env env) {
  check("expm1", x);
  return share(expm1_core(s_min(lit(x, 89, 710), s_max(lit(x, -40), x)), env));
}

Expr log(Expr x) {
  check("log", x);
  const int mantissa = Format(x.type()).mantissa;
  const Expr subnormal = s_lt(x, lit(x, 0x1p-126, 0x1p-1022));
  const Expr normal = Halide::select(subnormal, s_mul(x, lit(x, std::ldexp(1.0, mantissa))), x);
  const Split part = split_exponent(normal);
  const Expr k = Halide::select(subnormal, s_sub(part.k, lit(x, mantissa)), part.k);
  return share(log_special_cases(x, log1p_fraction(part.m_minus_1) + ln2_times(k)));
}

// 1 + x = u + c exactly, c being the rounding error of u; so 1 + x = 2^k (m + c 2^-k). Where 2^-k would leave the
// exponent range c is 0.
Expr log1p(Expr x) {
  const Format format = check("log1p", x);
  const Expr one = lit(x, 1);
  const Expr u = s_add(one, x);
  const Expr c = s_sub(x, s_sub(u, one));
  const Split part = split_exponent(u);
  const Expr inverse_scale = from_bits(x, to_bits(one) - part.k_shifted);
  const Expr correction =
      Halide::select(s_lt(u, lit(x, std::ldexp(1.0, format.mantissa + 2))), s_mul(c, inverse_scale), lit(x, 0));
  const Expr f = s_add(part.m_minus_1, correction);
  return share(log_special_cases(u, log1p_fraction(f) + ln2_times(part.k)));
}

}  // namespace lossc::math
