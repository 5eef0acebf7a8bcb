// exp and expm1.

#include <cmath>

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

// 2^r on |r| <= 0.5005, constant term fixed at 1. err 9.6e-8 (f32), 2.6e-17 (f64): in f32 a degree less than exp has for its
// accuracy.
const Coefficients kExp2 = {
    {1, 0.69314694f, 0.24022242f, 0.055507537f, 0.009671635f, 0.0013264902f},
    {1, 0.6931471805599453, 0.2402265069591013, 0.05550410866482007, 0.009618129107593847, 0.0013333558146777357,
     0.0001540353045749216, 1.5252733491266401e-05, 1.3215435077382067e-06, 1.0178200030564713e-07,
     7.0738208112442624e-09, 4.43474840667805e-10}};

// (e^r - 1 - r) / r^2 on |r| <= 1.001 ln(2)/2, weighted for e^r - 1. err 4.9e-10 (f32), 3.6e-18 (f64).
const Coefficients kExpm1 = {
    {0.5f, 0.166666657f, 0.0416664667f, 0.00833364297f, 0.00139351375f, 0.000196648441f},
    {0.50000000000000011, 0.16666666666666671, 0.041666666666648422, 0.0083333333333271524, 0.0013888888897397123,
     0.00019841269870869287, 2.4801571085936734e-05, 2.755726002030831e-06, 2.7570822127913751e-07,
     2.5103506863794312e-08, 1.6807019579145658e-09}};

// ln 2 in two parts. Without FMA the first must have few enough bits that n*hi is exact (15 for |n| < 2^8 in f32,
// 41 for |n| < 2^11 in f64, with a bit to spare); with FMA it is simply the nearest.
struct Ln2 {
  double f32_hi, f32_lo, f64_hi, f64_lo;
};
constexpr Ln2 kLn2Short = {0x1.62e4p-1, 0x1.7f7d1cp-20, 0x1.62e42fefa3p-1, 0x1.3de6af278ece6p-42};
constexpr Ln2 kLn2Nearest = {0x1.62e43p-1, -0x1.05c61p-29, 0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

// x = n * step + r with n an integer, |r| <= step/2.
struct Reduction {
  Expr scale;  // 2^(n + scale_bias)
  Expr r;
  Expr r_coarse;  // r to 2^-21 absolute; for the innermost step of the polynomial in r
};
enum class Step { kLn2, kTwoLn2 };

// n = round(x / step) by the magic-number addition, which leaves n in the low bits of t, so that the scale is one
// shift; putting the exponent bias into the magic number saves the addition of it.
Expr magic_number(const Expr& x, int scale_bias) {
  const Format f(x.type());
  return lit(x, std::ldexp(1.5, f.mantissa) + f.bias + scale_bias);
}
Expr scale_of(const Expr& t) { return from_bits(t, to_bits(t) << Format(t.type()).mantissa); }

constexpr double kLog2e32 = 0x1.715476p0, kLog2e64 = 0x1.71547652b82fep0;

// With FMA, r = (x - n*hi) - n*lo is two instructions, if LLVM can be kept from folding it to x - n*(hi+lo) (5 ulp in
// f32). Strict operations are no help: they are not contracted, and cost two more. But an intermediate value with
// a second use is not reassociated; the callers give x - n*hi that use as the argument of their polynomial's innermost
// step, where n*lo, below 2^-21, is far too small to matter. PrimitiveTest would show it if LLVM changed its mind.
Reduction reduce(const Expr& x, Step step, int scale_bias, const Env& env) {
  const double k = step == Step::kLn2 ? 1 : 2;
  const Expr magic = magic_number(x, scale_bias);
  const Expr t = x * lit(x, kLog2e32 / k, kLog2e64 / k) + magic;
  const Expr n = s_sub(t, magic);
  const Ln2& c = env.fma ? kLn2Nearest : kLn2Short;
  const Expr hi = lit(x, k * c.f32_hi, k * c.f64_hi);
  const Expr lo = lit(x, k * c.f32_lo, k * c.f64_lo);

  const Expr scale = scale_of(t);
  if (env.fma) {
    const Expr coarse = x - n * hi;
    return {scale, coarse - n * lo, coarse};
  }
  const Expr r = s_sub(s_sub(x, s_mul(n, hi)), s_mul(n, lo));
  return {scale, r, r};
}

}  // namespace

Expr ln2_hi(const Expr& like) { return lit(like, kLn2Short.f32_hi, kLn2Short.f64_hi); }

Expr ln2_lo(const Expr& like) { return lit(like, kLn2Short.f32_lo, kLn2Short.f64_lo); }

// x = 2 ln2 m + r, and e^x = (e^r 2^m) 2^m: two multiplications reach from below the smallest subnormal (one rounding,
// in the last multiplication, as it should be) to infinity, with no select. Adding n to the exponent field instead is
// as many instructions, needs only |r| <= ln(2)/2 (one polynomial degree less), and is wrong for subnormals and for
// n = 128; putting those right costs more than the degree.
Expr exp_core(const Expr& x, const Env& env) {
  const Reduction red = reduce(x, Step::kTwoLn2, 0, env);
  return s_mul(s_mul(polynomial(red.r, kExp, red.r_coarse), red.scale), red.scale);
}

// Arithmetic whose result is too small for a normal number takes some 50 times as long on Intel processors, also where it is
// rounded to 0; and most of what a softmax or a plan of transport adds up may be 0. The scale of what is sent to `none` here is
// 2^-127 less its only bit, 0, and a product with that takes no longer than others.
Expr zero_below(const Expr& x) {
  const Expr least = lit(x, -104, -746), none = lit(x, -176, -1418);
  return Halide::select(s_lt(x, least), none, x);
}

Expr exp_sum_core(const Expr& x, const Expr& lo, const Env& env) {
  const Reduction red = reduce(x, Step::kTwoLn2, 0, env);
  return s_mul(s_mul(polynomial(s_add(red.r, lo), kExp, red.r_coarse), red.scale), red.scale);
}

// 2^n (e^r - 1) + (2^n - 1), at half size so that n = 128 is in range. 2^n - 1 is exact wherever it matters, and n = 0
// gives e^r - 1 itself.
Expr expm1_core(const Expr& x, const Env& env) {
  const Reduction red = reduce(x, Step::kLn2, -1, env);
  const Expr q = red.r + s_mul(red.r, red.r) * polynomial(red.r, kExpm1, red.r_coarse);
  const Expr half = s_add(s_mul(q, red.scale), s_sub(red.scale, lit(x, 0.5)));
  return s_mul(half, lit(x, 2));
}

}  // namespace detail

using namespace detail;

Expr exp(Expr x, Env env) {
  accept("exp", &x);
  // The bound only has to lie outside the range of finite results, and inside that of exp_core.
  return share(exp_core(s_min(lit(x, 89, 710), zero_below(x)), env));
}

// x = (n + r) ln 2, of a product with 1/ln 2 that is off by up to |x| eps: as is x, a difference, itself. n = -127, at the lower
// bound, has the scale 0 by itself, so that nothing underflows, and n = 128 has infinity.
Expr exp_ftz(Expr x, Env env) {
  accept("exp_ftz", &x);
  x = s_min(lit(x, 88.7, 709.7), s_max(lit(x, -88, -709), x));
  const Expr magic = magic_number(x, 0), log2e = lit(x, kLog2e32, kLog2e64);
  Expr t, r;
  if (env.fma) {  // two products, each within an operation: the same one would be made first, and rounded
    t = x * lit(x, 0x1.715474p0, 0x1.71547652b82fdp0) + magic;
    r = x * log2e - s_sub(t, magic);
  } else {
    const Expr z = s_mul(x, log2e);
    t = s_add(z, magic);
    r = s_sub(z, s_sub(t, magic));
  }
  return share(s_mul(polynomial(r, kExp2), scale_of(t)));
}

Expr expm1(Expr x, Env env) {
  accept("expm1", &x);
  return share(expm1_core(s_min(lit(x, 89, 710), s_max(lit(x, -40), x)), env));
}

}  // namespace lossc::math
