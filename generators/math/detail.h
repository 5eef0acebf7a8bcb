// Building blocks shared by the primitives; nothing outside generators/math includes this file.
//
// Halide sets nnan ninf nsz reassoc contract afn on every float operation, except on its strict_* intrinsics, each of
// which is one operation without flags. Four rules follow, and every function in this folder keeps them:
//
//  1. A step whose rounding error is the point of the step (range reduction, error terms) is strict. LLVM may fold
//     (x*c + magic) - magic to x*c, (x - n*hi) - n*lo to x - n*(hi+lo), and (x - C1)*C2 to x*C2 - C1*C2; Halide's own
//     exp loses 60 ulp without FMA to the second of these.
//  2. Polynomials are ordinary arithmetic: in Horner form there is nothing to reassociate, and only ordinary
//     arithmetic is contracted to FMA (strict operations never are).
//  3. A comparison or min/max that may see a NaN is strict. The strict forms are exactly x86 minps/maxps/cmpps with
//     the operand order kept, so this costs nothing.
//  4. A product of three or a sum of three has its brackets from strict operations. Else LLVM sets them as suits the code
//     around, and what two kernels compute of the same operand differs. A strict product that is no summand costs nothing.
//     The sum in log_core, which would cost an FMA, is the exception; PrimitiveTest would show it if LLVM changed its mind.
#pragma once

#include <initializer_list>

#include "Halide.h"
#include "generators/math/math.h"

namespace lossc::math::detail {

using Halide::Expr;

// The layout of an IEEE binary32 or binary64 element.
struct Format {
  explicit Format(const Halide::Type& t);
  Halide::Type type;  // with lanes
  Halide::Type bits;  // unsigned integer of the same width and lanes
  int mantissa;       // explicit mantissa bits: 23 or 52
  int bias;           // 127 or 1023
};

// Throws std::invalid_argument, naming `function`, unless x is Float(32) or Float(64).
Format check(const char* function, const Expr& x);

// The same, and hides from Halide's bounds analysis what it knows of *x. That analysis takes four products for every
// product of two ranges; unless the ends are constants and fold, a polynomial of degree 22 in clamp(x, a, b) keeps it
// busy for hours. Two exclusive-ors with the same number do it (a mere round trip through the bits is simplified away
// too early), and LLVM removes them. For the same reason: magnitude(), not abs(), whose range has an unfolded end.
Format accept(const char* function, Expr* x);

// y as an operand next to x: a constant is converted; anything else must have x's type already.
Expr operand(const char* function, const Expr& x, const Expr& y);

// Bind shared subexpressions to names. Every public function ends with this: Halide's passes walk expression trees,
// not graphs, and a polynomial mentions its argument once per degree.
Expr share(const Expr& e);

// A constant of the type of `like`. `f32` and `f64` are used as they stand; give both where they differ.
Expr lit(const Expr& like, double value);
Expr lit(const Expr& like, double f32, double f64);
Expr infinity(const Expr& like);
Expr nan(const Expr& like);

// One operation, no fast-math flags; the operands keep theirs.
Expr s_add(const Expr& a, const Expr& b);
Expr s_sub(const Expr& a, const Expr& b);
Expr s_mul(const Expr& a, const Expr& b);
Expr s_div(const Expr& a, const Expr& b);
Expr s_lt(const Expr& a, const Expr& b);
Expr s_le(const Expr& a, const Expr& b);
Expr s_eq(const Expr& a, const Expr& b);
Expr s_min(const Expr& a, const Expr& b);  // a < b ? a : b, so a NaN in b comes through
Expr s_max(const Expr& a, const Expr& b);  // a > b ? a : b, so a NaN in b comes through

Expr to_bits(const Expr& x);
Expr from_bits(const Expr& like, const Expr& bits);
Expr magnitude(const Expr& x);
Expr flip_sign(const Expr& x, const Expr& sign_source);  // x with its sign bit xor-ed with that of sign_source

// Coefficients of a polynomial, constant term first, for each element type.
//
// Every one in this folder was fitted by weighted Remez exchange (60-digit arithmetic, 401 Chebyshev points), the
// lowest free coefficient then rounded to the element type and the others fitted again, until all were rounded. "err"
// is the largest relative error of the function's value after that, evaluated exactly.
struct Coefficients {
  std::initializer_list<double> f32, f64;
};
// c0 + c1 x + c2 x^2 + ...; the innermost step reads `x_first` in place of x.
Expr polynomial(const Expr& x, const Coefficients& c, const Expr& x_first = Expr());

// x with the low half of its mantissa cleared, so that the product of two such is exact.
Expr high_half(const Expr& x);

struct Pair {
  Expr hi, lo;
};
Pair two_product(const Expr& a, const Expr& b);  // a b = hi + lo

// ln 2 = ln2_hi + ln2_lo, with ln2_hi short enough for an exact product with a binary exponent.
Expr ln2_hi(const Expr& like);
Expr ln2_lo(const Expr& like);

// u = 2^k m, sqrt(1/2) <= m < sqrt(2).
struct Split {
  Expr k;          // as a float
  Expr m_minus_1;  // exact
  Expr k_shifted;  // k << mantissa, as bits
};
Split split_normal(const Expr& u);    // normal u > 0; for anything else some finite k and m
Split split_positive(const Expr& u);  // subnormals too; k_shifted is undefined

// Cores without special cases. `x` must lie where the comment says; NaN propagates.
Expr zero_below(const Expr& x);  // for exp_core: of what has the exponential 0, an argument that costs no more than others
Expr exp_core(const Expr& x, const Env& env);  // inside about +-1.4 * log(max), so that both over- and underflow work
Expr exp_sum_core(const Expr& x, const Expr& lo, const Env& env);  // e^(x + lo), |lo| <= 2^-16
Expr expm1_core(const Expr& x, const Env& env);                    // from -40 to just past log(max)
Expr log_core(const Expr& x);                                      // 0 < x < inf
Expr log1p_fraction(const Expr& f);                                // log(1 + f), f in [sqrt(1/2)-1, sqrt(2)-1]
Expr log1p_fraction(const Expr& f, const Expr& counts);            // the same; counts: f, or 0 where f^2 is nothing next to f
Expr log1p_unit(const Expr& e);                                    // log(1 + e), e in [0, 1]

}  // namespace lossc::math::detail
