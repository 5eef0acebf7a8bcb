// log and log1p.

#include <cmath>

#include "generators/math/detail.h"

namespace lossc::math {

namespace detail {

namespace {

// f32: (log(1+f) - f + f^2/2) / f^3, weighted for log(1+f), f as in log1p_fraction. err 9.0e-10.
// f64: (log((1+s)/(1-s)) / s - 2) / s^2 in s^2, weighted likewise, s = f / (2+f). err 1.6e-18.
const Coefficients kLog = {{0.333333135f, -0.250000119f, 0.20002073f, -0.166675702f, 0.142197117f, -0.1241583f,
                            0.119013809f, -0.116106562f, 0.0662497729f},
                           {0.66666666666667351, 0.39999999999409352, 0.28571428743686816, 0.22222198428878698,
                            0.18183572333461967, 0.15313837440380754, 0.14798103925072273}};

// One constant for ln 2, not two: fast math would fold two to one anyway, and it adds at most 0.1 ulp.
Expr ln2_times(const Expr& k) { return k * lit(k, 0x1.62e43p-1, 0x1.62e42fefa39efp-1); }

}  // namespace

Split split_normal(const Expr& u) {
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

Split split_positive(const Expr& u) {
  const int mantissa = Format(u.type()).mantissa;
  const Expr subnormal = s_lt(u, lit(u, 0x1p-126, 0x1p-1022));
  Split part = split_normal(Halide::select(subnormal, s_mul(u, lit(u, std::ldexp(1.0, mantissa))), u));
  part.k = Halide::select(subnormal, s_sub(part.k, lit(u, mantissa)), part.k);
  return part;
}

// f32 has room for a polynomial in f; for f64 that would need degree 22, so it divides, as fdlibm's e_log.c does:
// log(1+f) = f - (f^2/2 - s (f^2/2 + R(s^2))) loses nothing for small f.
Expr log1p_fraction(const Expr& f) { return log1p_fraction(f, f); }

Expr log1p_fraction(const Expr& f, const Expr& counts) {
  const Expr square = s_mul(counts, counts);
  if (f.type().bits() == 32) {
    return f + square * (counts * polynomial(counts, kLog) - lit(f, 0.5));
  }
  const Expr s = counts / (lit(f, 2) + counts);
  const Expr half_square = s_mul(lit(f, 0.5), square);
  const Expr z = s_mul(s, s);
  return s_sub(f, half_square - s * (half_square + z * polynomial(z, kLog)));
}

Expr log1p_unit(const Expr& e) {
  const Expr big = s_lt(lit(e, 0.41421354), e);
  const Expr f = Halide::select(big, s_mul(s_sub(e, lit(e, 1)), lit(e, 0.5)), e);
  // The square of what is less than a rounding error of 1 changes nothing, but takes its time where it underflows (zero_below()).
  const Expr counts = Halide::select(s_lt(e, lit(e, 0x1p-30, 0x1p-60)), lit(e, 0), f);
  return s_add(log1p_fraction(f, counts), Halide::select(big, lit(e, 0.6931471805599453), lit(e, 0)));
}

Expr log_core(const Expr& x) {
  const Split part = split_positive(x);
  return log1p_fraction(part.m_minus_1) + ln2_times(part.k);
}

}  // namespace detail

using namespace detail;

namespace {

// The value of log at u, given `y` for 0 < u < inf.
Expr log_special_cases(const Expr& u, const Expr& y) {
  const Expr zero = lit(u, 0);
  const Expr negative_or_zero = Halide::select(s_eq(u, zero), -infinity(u), nan(u));
  // +inf and NaN are their own logarithms.
  const Expr outside = Halide::select(s_le(u, zero), negative_or_zero, u);
  return Halide::select(s_lt(zero, u) && s_lt(u, infinity(u)), y, outside);
}

}  // namespace

Expr log(Expr x) {
  accept("log", &x);
  return share(log_special_cases(x, log_core(x)));
}

// 1 + x = u + c exactly, c being the rounding error of u; so 1 + x = 2^k (m + c 2^-k). Where 2^-k would leave the
// exponent range c is 0.
Expr log1p(Expr x) {
  const Format format = accept("log1p", &x);
  const Expr one = lit(x, 1);
  const Expr u = s_add(one, x);
  const Expr c = s_sub(x, s_sub(u, one));
  const Split part = split_normal(u);
  const Expr inverse_scale = from_bits(x, to_bits(one) - part.k_shifted);
  const Expr correction =
      Halide::select(s_lt(u, lit(x, std::ldexp(1.0, format.mantissa + 2))), s_mul(c, inverse_scale), lit(x, 0));
  const Expr f = s_add(part.m_minus_1, correction);
  return share(log_special_cases(u, log1p_fraction(f) + ln2_times(part.k)));
}

}  // namespace lossc::math
