// lgamma and its derivatives, digamma and trigamma.

#include "generators/math/detail.h"

namespace lossc::math {

using namespace detail;

namespace {

// lgamma(1+t) / (t (t-1)) on [0, 1]: the zeros at 1 and 2 are factors, so they keep their relative accuracy.
// err 1.2e-8 (f32), 1.0e-17 (f64).
const Coefficients kLgamma = {
    {0.577215672f, -0.245252118f, 0.155447215f, -0.115203328f, 0.0920299366f, -0.0745215565f, 0.0552477352f,
     -0.0322392806f, 0.0122144138f, -0.00215435866f},
    {0.57721566490153287,   -0.24525136852258017,   0.15543426586372205,    -0.11514654254402706,
     0.092239007716492113,  -0.077318152346043265,  0.066731501421743306,   -0.058775727501535563,
     0.052540539580833344,  -0.047458108267288503,  0.043056275586500194,   -0.038775914963194442,
     0.033911813381091324,  -0.027849981282818573,  0.020591242799982101,   -0.013086077013940548,
     0.0068058837287922197, -0.0027394405326473486, 0.00079224142959908228, -0.00014546661583881998,
     1.2678278092832485e-05}};
// Stirling's remainder, (lgamma(x) - (x - 1/2)(log x - 1) - (log 2pi - 1)/2) x, in 1/x^2, for x >= 4 (f32), 8 (f64).
// err 1.0e-10 (f32), 1.5e-21 (f64) of lgamma.
const Coefficients kStirling = {
    {0.0833332986f, -0.00277494802f, 0.000722945784f},
    {0.083333333333333315, -0.0027777777777506594, 0.00079365077968651871, -0.00059523460133385179,
     0.00084127369095963567, -0.0018808599364601374, 0.0048860115962982079}};
// (log x - 1/(2x) - digamma(x)) x^2 in 1/x^2, for x >= 6 (f32), 10 (f64). err 1.1e-11 (f32), 7.2e-22 (f64) of digamma.
const Coefficients kDigamma = {
    {0.0833333135f, -0.00832945388f, 0.00374386157f},
    {0.083333333333333315, -0.0083333333332923174, 0.0039682539368007409, -0.0041666550316721007, 0.0075734166041616967,
     -0.020828410153287364, 0.067272131100075919}};
// (trigamma(x) - 1/x - 1/(2 x^2)) x^3 in 1/x^2, for x >= 5 (f32), 8 (f64). err 6.0e-10 (f32), 4.9e-19 (f64) of trigamma.
const Coefficients kTrigamma = {
    {0.166666344f, -0.0332828127f, 0.0215316545f},
    {0.16666666666666402, -0.033333333328926601, 0.023809521326466694, -0.033332667854712186, 0.075661456134344121,
     -0.24535223747749915, 0.82720006735222318}};
// |f| <= 1/2, z = f^2. (sin(pi f)/(pi f) - 1) / z: err 6.3e-9 (f32), 3.4e-19 (f64).
const Coefficients kSinPi = {{-1.64493334f, 0.811715841f, -0.190443262f, 0.0247162692f},
                             {-1.6449340668482264, 0.81174242528334617, -0.19075182412167532, 0.026147847807942558,
                              -0.0023460809132878832, 0.00014842791655233101, -6.9722672309415297e-06,
                              2.4518318739853382e-07}};

constexpr double kPi = 0x1.921fb54442d18p+1;

// sin(pi f) / pi for |f| <= 1/2.
Expr sine_over_pi(const Expr& f) {
  const Expr z = s_mul(f, f);
  return f + s_mul(f, z) * polynomial(z, kSinPi);
}

// The reflection formulas lead from x < 0 to 1 - x, whose rounding matters as little as that of x: what is added to the
// value there has all of the poles, and needs the distance from them alone, which is exact.
struct Reflection {
  explicit Reflection(const Expr& x)
      : negative(s_lt(x, lit(x, 0))),
        argument(Halide::select(negative, s_sub(lit(x, 1), x), x)),
        distance(s_sub(x, Halide::round(x))),
        pole(s_le(x, lit(x, 0)) && s_eq(distance, lit(x, 0))),
        ordinary(s_lt(magnitude(x), infinity(x)) && !pole) {}
  Expr negative;
  Expr argument;  // > 0
  Expr distance;  // of x from the nearest whole number
  Expr pole;      // x = 0, -1, -2, ...
  Expr ordinary;  // x is finite and no pole
};

// sum over j < count of 1/(x+j), with one division.
Expr harmonic_sum(const Expr& x, int count) {
  Expr numerator = lit(x, 1), denominator = x;
  for (int j = 1; j < count; j++) {
    const Expr factor = s_add(x, lit(x, j));
    numerator = numerator * factor + denominator;
    denominator = s_mul(denominator, factor);
  }
  return s_div(numerator, denominator);
}

// sum over 1 <= j < count of 1/(x+j)^2, likewise.
Expr square_sum(const Expr& x, int count) {
  Expr numerator = lit(x, 0), denominator = lit(x, 1);
  for (int j = 1; j < count; j++) {
    const Expr term = s_add(x, lit(x, j)), factor = s_mul(term, term);
    numerator = numerator * factor + denominator;
    denominator = s_mul(denominator, factor);
  }
  return s_div(numerator, denominator);
}

// Of 0 < x < inf.
//
// Below the threshold lgamma(x) = lgamma(1+t) + log((x-1)(x-2)...(1+t)) with t = x - floor(x), or lgamma(1+x) - log(x)
// below 1; above it Stirling's series. Both need one logarithm, of different arguments.
Expr lgamma_core(const Expr& x) {
  const int threshold = x.type().bits() == 32 ? 4 : 8;
  const Expr one = lit(x, 1);
  const Expr below_one = s_lt(x, one), near_zero = s_lt(x, lit(x, threshold));
  Expr product = one;
  for (int j = 1; j < threshold - 1; j++) {
    product = s_mul(product, Halide::select(s_le(lit(x, j + 1), x), s_sub(x, lit(x, j)), one));
  }
  const Expr log_of = log_core(Halide::select(below_one || !near_zero, x, product));

  const Expr t = s_sub(x, Halide::floor(x));
  const Expr shifted = s_mul(s_mul(t, s_sub(t, one)), polynomial(t, kLgamma));
  const Expr below = s_add(shifted, Halide::select(below_one, -log_of, log_of));

  const Expr inverse = s_div(one, x);
  const Expr series = inverse * polynomial(s_mul(inverse, inverse), kStirling) + lit(x, 0.41893853320467274);
  const Expr above = s_add(s_mul(s_sub(x, lit(x, 0.5)), s_sub(log_of, one)), series);
  return Halide::select(near_zero, below, above);
}

// Of 0 < x < inf: digamma(x) = digamma(x+n) - 1/x - 1/(x+1) - ... - 1/(x+n-1) brings small x to where the asymptotic
// series holds.
Expr digamma_core(const Expr& x) {
  const int threshold = x.type().bits() == 32 ? 6 : 10;
  const Expr small = s_lt(x, lit(x, threshold));
  const Expr y = Halide::select(small, s_add(x, lit(x, threshold)), x);
  const Expr inverse = s_div(lit(x, 1), y);
  const Expr z = s_mul(inverse, inverse);
  const Expr series = s_sub(log_core(y), s_mul(lit(x, 0.5), inverse) + z * polynomial(z, kDigamma));
  return s_sub(series, Halide::select(small, harmonic_sum(x, threshold), lit(x, 0)));
}

// Of 0 < x < inf, in the same way. 1/x^2, which may overflow, stays out of the common denominator, which then does not.
Expr trigamma_core(const Expr& x) {
  const int threshold = x.type().bits() == 32 ? 5 : 8;
  const Expr one = lit(x, 1), small = s_lt(x, lit(x, threshold));
  const Expr inverse = s_div(one, Halide::select(small, s_add(x, lit(x, threshold)), x));
  const Expr z = s_mul(inverse, inverse);
  const Expr series = inverse + z * (lit(x, 0.5) + inverse * polynomial(z, kTrigamma));
  const Expr first = s_div(one, x);
  return Halide::select(small, s_add(s_mul(first, first), s_add(square_sum(x, threshold), series)), series);
}

}  // namespace

// log(pi / |sin(pi x)|) - lgamma(1-x) for x < 0.
Expr lgamma(Expr x) {
  accept("lgamma", &x);
  const Reflection r(x);
  const Expr value = lgamma_core(r.argument), sine = magnitude(sine_over_pi(r.distance));
  const Expr reflected = s_sub(-log_core(Halide::select(s_eq(sine, lit(x, 0)), lit(x, 1), sine)), value);
  const Expr outside = Halide::select(r.pole || s_eq(magnitude(x), infinity(x)), infinity(x), x);
  return share(Halide::select(r.ordinary, Halide::select(r.negative, reflected, value), outside));
}

// digamma(1-x) - pi / tan(pi x) for x < 0.
Expr digamma(Expr x) {
  accept("digamma", &x);
  const Reflection r(x);
  const Expr value = digamma_core(r.argument);
  const Expr cosine = s_mul(lit(x, kPi), sine_over_pi(s_sub(lit(x, 0.5), magnitude(r.distance))));
  const Expr reflected = s_sub(value, s_div(cosine, sine_over_pi(r.distance)));
  const Expr outside = Halide::select(s_eq(x, lit(x, 0)), s_div(lit(x, -1), x), r.negative, nan(x), x);
  return share(Halide::select(r.ordinary, Halide::select(r.negative, reflected, value), outside));
}

// (pi / sin(pi x))^2 - trigamma(1-x) for x < 0.
Expr trigamma(Expr x) {
  accept("trigamma", &x);
  const Reflection r(x);
  const Expr value = trigamma_core(r.argument), inverse_sine = s_div(lit(x, 1), sine_over_pi(r.distance));
  const Expr reflected = s_sub(s_mul(inverse_sine, inverse_sine), value);
  const Expr outside = Halide::select(r.pole, infinity(x), s_eq(x, infinity(x)), lit(x, 0), nan(x));
  return share(Halide::select(r.ordinary, Halide::select(r.negative, reflected, value), outside));
}

}  // namespace lossc::math
