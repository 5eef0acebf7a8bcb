// sin, cos, asin, acos, atan2.

#include <cmath>

#include "generators/math/detail.h"

namespace lossc::math {

using namespace detail;

namespace {

// |r| <= 1.002 pi/4, z = r^2. (sin(r)/r - 1) / z: err 4.2e-9 (f32), 3.8e-18 (f64).
const Coefficients kSin = {{-0.166666538f, 0.00833210628f, -0.000195078843f},
                           {-0.1666666666666663, 0.0083333333333218407, -0.00019841269829360572, 2.7557313541240854e-06,
                            -2.5050735229610676e-08, 1.5895507168867221e-10}};
// (cos(r) - 1 + z/2) / z^2: err 1.2e-10 (f32), 6.9e-20 (f64).
const Coefficients kCos = {{0.0416666456f, -0.00138873083f, 2.44321018e-05f},
                           {0.041666666666666588, -0.0013888888888872186, 2.4801587288295383e-05,
                            -2.7557314015062367e-07, 2.0875678062823319e-09, -1.1357335199664316e-11}};
// |s| <= 1/2, z = s^2. (asin(s)/s - 1) / z: err 4.9e-9 (f32), 1.0e-18 (f64).
const Coefficients kAsin = {
    {0.166667521f, 0.0749530941f, 0.0454691499f, 0.0241847783f, 0.0421583056f},
    {0.1666666666666676, 0.074999999999708661, 0.044642857174561387, 0.030381942709819598, 0.022372214937284932,
     0.0173516128401426, 0.013980811155131398, 0.01139898804990786, 0.010779813894621855, 0.0037082024922436502,
     0.021702532941859799, -0.020991014102837637, 0.032622714617177119}};
// |t| <= 1, z = t^2. (atan(t)/t - 1) / z: err 1.7e-8 (f32), 1.1e-18 (f64).
const Coefficients kAtan = {
    {-0.333331525f, 0.199937671f, -0.142110065f, 0.106658302f, -0.075519219f, 0.0432095826f, -0.0163672902f,
     0.00292071956f},
    {-0.33333333333333287,   0.19999999999990617,   -0.14285714285044898,    0.1111111108666552,
     -0.090909085508553519,  0.076922997521270339,  -0.066665840467601878,   0.058817180851740335,
     -0.052594425318496764,  0.047449565359392404,  -0.042864724482756349,   0.038211736733106946,
     -0.032788010979465099,  0.026154555278740162,  -0.01861633125441315,    0.011318350766162446,
     -0.0056119617988283181, 0.0021508937560658793, -0.00059247943820371282, 0.00010374556210020607,
     -8.6378655911395827e-06}};

constexpr double kPi = 0x1.921fb54442d18p+1;

struct Quadrant {
  Expr r;     // x - n pi/2, in [-pi/4, pi/4]
  Expr bits;  // n modulo 4 in its two low bits
};

// pi/2 in parts of 33 bits, so that n times a part is exact for n < 2^20; the differences are then exact too until the
// last part matters.
Quadrant reduce_f64(const Expr& x) {
  const Expr magic = lit(x, 0x1.8p52);
  const Expr t = s_add(s_mul(x, lit(x, 2 / kPi)), magic);
  const Expr n = s_sub(t, magic);
  const Expr first = s_sub(x, s_mul(n, lit(x, 0x1.921fb544p+0)));
  const Expr second = s_sub(first, s_mul(n, lit(x, 0x1.0b4611a6p-34)));
  return {s_sub(second, s_mul(n, lit(x, 0x1.3198a2e037073p-69))), to_bits(t)};
}

// Reduction in f32 would need five parts of eight bits, and still be wrong next to multiples of pi/2 (f32 comes within
// 5e-9 of one below 1e5). In f64 two parts are right to the last bit; widening and narrowing cost less than that.
Quadrant reduce_f32(const Expr& x) {
  const Expr wide = Halide::cast(Halide::Float(64, x.type().lanes()), x);
  const Expr magic = lit(wide, 0x1.8p52);
  const Expr n = s_sub(s_add(s_mul(wide, lit(wide, 2 / kPi)), magic), magic);
  const Expr first = s_sub(wide, s_mul(n, lit(wide, 0x1.921fb544p+0)));
  const Expr r = s_sub(first, s_mul(n, lit(wide, 0x1.0b4611a626331p-34)));
  const Expr n32 = s_add(Halide::cast(x.type(), n), lit(x, 0x1.8p23));
  return {Halide::cast(x.type(), r), to_bits(n32)};
}

// sin(x + quarter_turns * pi/2).
Expr sine(const Expr& x, int quarter_turns) {
  const Format f(x.type());
  const auto bits = [&](uint64_t v) { return Halide::Internal::make_const(f.bits, v); };
  const Quadrant q = f.mantissa == 23 ? reduce_f32(x) : reduce_f64(x);
  // Beyond the documented range r may be anything: keep the result within [-1, 1], and NaN NaN.
  const Expr r = s_min(lit(x, 0.79), s_max(lit(x, -0.79), q.r));
  const Expr z = s_mul(r, r);
  const Expr sin_r = r + s_mul(r, z) * polynomial(z, kSin);
  const Expr cos_r = s_sub(lit(x, 1), s_mul(lit(x, 0.5), z)) + s_mul(z, z) * polynomial(z, kCos);
  const Expr n = q.bits + bits(quarter_turns);
  const Expr value = Halide::select((n & bits(1)) == bits(0), sin_r, cos_r);
  return from_bits(x, to_bits(value) ^ ((n & bits(2)) << (f.type.bits() - 2)));
}

// asin(s) for |s| <= 1/2.
Expr asin_core(const Expr& s) {
  const Expr z = s_mul(s, s);
  return s + s_mul(s, z) * polynomial(z, kAsin);
}

// For |x| > 1/2, asin|x| = pi/2 - 2 asin(sqrt((1-|x|)/2)); |x| > 1 becomes NaN in the square root.
struct ArcSine {
  Expr big;   // |x| > 1/2
  Expr core;  // asin of x (of its magnitude when big: of sqrt((1-|x|)/2))
};

ArcSine arc_sine(const Expr& x) {
  const Expr ax = magnitude(x);
  const Expr big = s_lt(lit(x, 0.5), ax);
  const Expr root = Halide::sqrt(s_mul(s_sub(lit(x, 1), ax), lit(x, 0.5)));
  return {big, asin_core(Halide::select(big, root, x))};
}

Expr sign_bit(const Expr& x) {
  const Format f(x.type());
  return Halide::reinterpret(Halide::Int(f.type.bits(), f.type.lanes()), x) <
         Halide::Internal::make_zero(Halide::Int(f.type.bits(), f.type.lanes()));
}

}  // namespace

Expr sin(Expr x) {
  accept("sin", &x);
  return share(sine(x, 0));
}

Expr cos(Expr x) {
  accept("cos", &x);
  return share(sine(x, 1));
}

Expr asin(Expr x) {
  accept("asin", &x);
  const ArcSine a = arc_sine(x);
  const Expr big = flip_sign(s_sub(lit(x, kPi / 2), s_mul(lit(x, 2), a.core)), x);
  return share(Halide::select(a.big, big, a.core));
}

Expr acos(Expr x) {
  accept("acos", &x);
  const ArcSine a = arc_sine(x);
  const Expr twice = s_mul(lit(x, 2), a.core);
  const Expr big = Halide::select(s_lt(x, lit(x, 0)), s_sub(lit(x, kPi), twice), twice);
  return share(Halide::select(a.big, big, s_sub(lit(x, kPi / 2), a.core)));
}

// One polynomial over [0, 1]: the usual second reduction at tan(pi/8) saves half its terms, but adds numerator and
// denominator, which overflows for large arguments and needs a rescaling.
Expr atan2(Expr y, Expr x) {
  x = operand("atan2", y, x);
  accept("atan2", &y);
  accept("atan2", &x);
  const Expr zero = lit(x, 0), one = lit(x, 1), inf = infinity(x);
  const Expr ax = magnitude(x), ay = magnitude(y);
  const Expr small = s_min(ax, ay), large = s_max(ax, ay);
  const Expr quotient = s_div(small, Halide::select(s_eq(large, zero), one, large));
  const Expr t = Halide::select(s_eq(small, inf), one, quotient);  // inf / inf
  const Expr z = s_mul(t, t);
  const Expr octant = t + s_mul(t, z) * polynomial(z, kAtan);
  const Expr quadrant = Halide::select(s_lt(ax, ay), s_sub(lit(x, kPi / 2), octant), octant);
  const Expr half = Halide::select(sign_bit(x), s_sub(lit(x, kPi), quadrant), quadrant);
  const Expr either_nan = Halide::is_nan(x) || Halide::is_nan(y);
  return share(Halide::select(either_nan, nan(x), flip_sign(half, y)));
}

}  // namespace lossc::math
