// Elementary functions as Halide expressions.
//
// Every function takes and returns Float(32) or Float(64) of any lane count (anything else: std::invalid_argument) and
// is straight-line arithmetic: no extern call, no table, no branch, so it vectorizes as whatever surrounds it. Why not
// Halide's own: without FMA its exp is 68 ulp off; exp(NaN) = exp(inf) = 0; log(inf) = 88.7; tanh, sin and everything
// in double are scalar libm calls.
//
// Common to all, under Halide's default fast-math flags (the strict_float target is not needed, and would forbid FMA):
//  - accuracy: accuracy.h, per function, type and ISA level;
//  - the same bits in every kernel of a level, whatever else it computes (in vectors: one number at a time erfc, lgamma and
//    digamma may differ in the last place), so that a maximum is equal to the element that it was, computed again;
//  - NaN in any argument gives NaN (two exceptions, by IEEE: pow(NaN, 0) = pow(1, NaN) = 1);
//  - infinities, poles and domain errors as in C99 Annex F, with the exceptions noted below;
//  - subnormal arguments and results are right, but for exp_ftz (the caller must not have set FTZ or DAZ);
//  - the sign of a zero result is not promised, as everywhere under fast math, nor is a NaN's payload.
//
// A Func must not be called sin, asin, pow and so on: Halide resolves such a name to its own function.
#pragma once

#include "Halide.h"

namespace lossc::math {

// What a function may assume about the target. `fma`: a*b + c is contracted to one rounding, as on avx2 and avx512
// (arm-64 and CUDA contract too, but have not been measured). It saves two instructions of an exponential's 19; true on
// a target without FMA it costs up to 70 ulp (510 in f64), false on one with FMA only the time.
struct Env {
  bool fma = false;
};

// 17 vector instructions in f32 with FMA. What is 0 takes no longer than others.
Halide::Expr exp(Halide::Expr x, Env env = {});
// For the terms of a softmax, where x is the difference from the maximum: 12 instructions. The error grows with |x|, as that of
// the difference, rounded, does to e^x (half an ulp of x): next to that it is small. The result is 0 below 2^-126.5 or so (f64:
// 2^-1022.5), infinite above 2^127.5 (2^1023.5), and never takes longer for underflow, except between 2^-126.5 and 2^-126.
Halide::Expr exp_ftz(Halide::Expr x, Env env = {});
Halide::Expr expm1(Halide::Expr x, Env env = {});
Halide::Expr log(Halide::Expr x);
Halide::Expr log1p(Halide::Expr x);

Halide::Expr tanh(Halide::Expr x, Env env = {});
Halide::Expr sigmoid(Halide::Expr x, Env env = {});      // 1 / (1 + e^-x), subnormal for x near -100, not 0
Halide::Expr softplus(Halide::Expr x, Env env = {});     // log(1 + e^x)
Halide::Expr log_sigmoid(Halide::Expr x, Env env = {});  // -log(1 + e^-x)

Halide::Expr erf(Halide::Expr x, Env env = {});
Halide::Expr erfc(Halide::Expr x, Env env = {});

// All of C99 Annex F, negative x with integer y included. A constant y is converted to x's type.
Halide::Expr pow(Halide::Expr x, Halide::Expr y, Env env = {});
Halide::Expr sqrt(Halide::Expr x);   // correctly rounded
Halide::Expr rsqrt(Halide::Expr x);  // 1 / sqrt(x) by division, not the hardware's 12-bit estimate

// |x| <= 1e5. Beyond, the result is arbitrary within [-1, 1]; at infinity it is NaN. In f32 the range reduction is done
// in double, so the relative error holds next to the zeros too; in f64, next to a zero, the absolute error is below
// 1e-25 for |x| <= 1e5.
Halide::Expr sin(Halide::Expr x);
Halide::Expr cos(Halide::Expr x);
Halide::Expr asin(Halide::Expr x);
Halide::Expr acos(Halide::Expr x);
Halide::Expr atan2(Halide::Expr y, Halide::Expr x);

// Each is the derivative of the one before. At the poles 0, -1, -2, ... lgamma and trigamma are inf, digamma is NaN, but
// -inf at 0 and inf at -0; lgamma(-inf) = inf, the others are NaN there. The error of digamma, and of lgamma below 0, is
// not relative to the result near its zeros: accuracy.h has the floor.
Halide::Expr lgamma(Halide::Expr x);
Halide::Expr digamma(Halide::Expr x);
Halide::Expr trigamma(Halide::Expr x);

// NaN in either operand gives NaN; Halide's min(x, 1) and max(x, 1) are 1 at NaN. clamp_nan(NaN, lo, hi) is NaN; its
// bounds must not be. Halide's abs, floor, ceil, round and trunc already keep NaN and need no replacement.
Halide::Expr min_nan(Halide::Expr a, Halide::Expr b);
Halide::Expr max_nan(Halide::Expr a, Halide::Expr b);
Halide::Expr clamp_nan(Halide::Expr x, Halide::Expr lo, Halide::Expr hi);

}  // namespace lossc::math
