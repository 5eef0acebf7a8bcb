// erf and erfc.

#include "generators/math/detail.h"

namespace lossc::math {

using namespace detail;

namespace {

// -log(erfc(a)) / a on [0, 3.95] (f32), [0, 5.95] (f64), where erf rounds to 1; weighted for erf: err 5.5e-8 (f32,
// nearly all of it the rounding of 2/sqrt(pi)), 8.7e-17 (f64).
const Coefficients kErf = {
    {1.12837923f, 0.636614978f, 0.10283348f, -0.0194071177f, 0.000383606646f, 0.00106004137f, -0.000271631841f,
     9.62187551e-06f, 3.43321722e-06f},
    {1.1283791670955126,      0.63661977236760348,     0.10277260330026816,     -0.019128446964778879,
     -0.0002091952319243555,  0.0016962106498587097,   -0.00059014776017968598, 2.595932121966898e-05,
     6.4278192388343927e-05,  -2.9299363454441567e-05, 2.7592028830964027e-06,  3.6069318851516359e-06,
     -2.4673741069446689e-06, 8.7975206816653336e-07,  -1.8820525176856622e-07, 1.4349071702131801e-08,
     5.8148805283788292e-09,  -2.6560115140017316e-09, 5.8667829224149249e-10,  -8.2457951806588551e-11,
     7.4908061016364361e-12,  -4.0440030304969693e-13, 9.9070896420045909e-15}};

// erfc(a) = e^(-a^2) E(q) / (1 + 2a), q = (a-k) / (a+k), k = 2 for f32 and 4 for f64, so that a in [0, inf) becomes q
// in [-1, 1); E is fitted up to where erfc is 0, weighted by 1/E: err 7.8e-8 (f32), 4.5e-17 (f64).
const Coefficients kErfc = {
    {1.27697837f, -0.0927641317f, -0.166030049f, 0.164057538f, -0.0542172194f, -0.00807158742f, 0.00867771078f,
     0.00134930841f, -0.00128282502f, -0.000445214129f},
    {1.2329951186255526,      -0.13962111684056289,    0.015379652102605506,    0.068097054254731129,
     -0.10103906603556442,    0.093732834997239875,    -0.066330365827294943,   0.037167515551305354,
     -0.016197733899057359,   0.0050319698913266989,   -0.00075777427148187952, -0.00019925642355507906,
     0.00015062550024007014,  -2.4399452782244825e-05, -1.1231655545355993e-05, 5.7086246934437881e-06,
     3.0945186249923083e-07,  -8.2125774160916068e-07, 5.8843772777744363e-08,  1.0380379838529404e-07,
     -8.9813424090552201e-09, -9.5938995975748479e-09, -2.9919352534669359e-10}};

}  // namespace

// With g(a) = -log(erfc(a)), erf|x| = 1 - e^-g = -expm1(-g): one formula without cases, and its error is the relative
// error of g times g e^-g / (1 - e^-g), at most 1, so the rounding of a long polynomial disappears as erf nears 1.
Expr erf(Expr x, Env env) {
  accept("erf", &x);
  const Expr a = s_min(lit(x, 3.95, 5.95), magnitude(x));
  const Expr g = s_mul(a, polynomial(a, kErf));
  return share(flip_sign(-expm1_core(s_max(lit(x, -40), -g), env), x));
}

// e^-(a^2) has to know a^2, which reaches 745, beyond its last place.
Expr erfc(Expr x, Env env) {
  accept("erfc", &x);
  const Expr a = s_min(lit(x, 10.2, 27.3), magnitude(x));
  const Expr k = lit(x, 2, 4);
  const Expr q = s_div(s_sub(a, k), s_add(a, k));
  const Pair square = two_product(a, a);
  const Expr scaled = s_div(polynomial(q, kErfc), s_add(lit(x, 1), s_mul(lit(x, 2), a)));
  const Expr tail = s_mul(exp_sum_core(-square.hi, -square.lo, env), scaled);
  return share(Halide::select(s_lt(x, lit(x, 0)), s_sub(lit(x, 2), tail), tail));
}

}  // namespace lossc::math
