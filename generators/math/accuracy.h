// What each primitive promises, in one place; tests/primitive_test.cpp measures every row and fails if one is exceeded.
//
// A row reads: for lo <= x <= hi the result differs from the exact one by at most that many units in the last place of
// max(|exact|, floor). floor = 0 makes it a relative bound, down to and including the subnormals; the zeros of digamma,
// and of lgamma below 0, where two terms as large as log|x| cancel, are approached absolutely. pow, atan2, min_nan and
// max_nan have no range: their rows hold for all pairs.
//
// Measured against libm in double (f32) or long double (f64) at 8 (f32) and 9 (f64) million arguments per row, over
// every binade of both signs and densely where functions bend (the test's own sweep, of 200 thousand, made longer),
// then rounded up to the next tenth. The avx2 and avx512 columns are with Env{.fma = true}, sse41 without.
#pragma once

#include <limits>

namespace lossc::math {

struct Accuracy {
  const char* name;
  int bits;
  double lo, hi;
  double floor;
  double sse41, avx2, avx512;  // max ulp, by the levels of schedules/isa.h
};

inline constexpr double kAll = std::numeric_limits<double>::infinity();

inline constexpr Accuracy kAccuracy[] = {
    {"exp", 32, -kAll, kAll, 0, 2.2, 2, 2},
    {"exp", 64, -kAll, kAll, 0, 2.4, 2, 2},
    {"exp_ftz", 32, -1, 1, 0, 2.9, 2.4, 2.4},
    {"exp_ftz", 32, -16, 16, 0, 14.5, 5, 5},
    {"exp_ftz", 32, -87.3, 88.37, 0, 64, 21, 21},
    {"exp_ftz", 32, -kAll, 88.37, 0x1p-102, 64, 21, 21},
    {"exp_ftz", 64, -1, 1, 0, 1.6, 1.1, 1.1},
    {"exp_ftz", 64, -16, 16, 0, 13.5, 2.8, 2.8},
    {"exp_ftz", 64, -708.3, 709.4, 0, 450, 95, 95},
    {"exp_ftz", 64, -kAll, 709.4, 0x1p-969, 450, 95, 95},
    {"expm1", 32, -kAll, kAll, 0, 1.4, 1.4, 1.4},
    {"expm1", 64, -kAll, kAll, 0, 2, 1.9, 1.9},
    {"log", 32, -kAll, kAll, 0, 1.9, 1.6, 1.6},
    {"log", 64, -kAll, kAll, 0, 2.3, 2.2, 2.2},
    {"log1p", 32, -kAll, kAll, 0, 1.9, 1.7, 1.7},
    {"log1p", 64, -kAll, kAll, 0, 3, 2.6, 2.6},
    {"tanh", 32, -kAll, kAll, 0, 2.5, 2.5, 2.5},
    {"tanh", 64, -kAll, kAll, 0, 2.5, 2.6, 2.6},
    {"sigmoid", 32, -kAll, kAll, 0, 3.6, 3.1, 3.1},
    {"sigmoid", 64, -kAll, kAll, 0, 4, 3.4, 3.4},
    {"softplus", 32, -kAll, kAll, 0, 3.2, 2.5, 2.5},
    {"softplus", 64, -kAll, kAll, 0, 3.6, 3.5, 3.5},
    {"log_sigmoid", 32, -kAll, kAll, 0, 3.2, 2.6, 2.6},
    {"log_sigmoid", 64, -kAll, kAll, 0, 3.8, 3, 3},
    {"sqrt", 32, -kAll, kAll, 0, 0.5, 0.5, 0.5},
    {"sqrt", 64, -kAll, kAll, 0, 0.5, 0.5, 0.5},
    {"rsqrt", 32, -kAll, kAll, 0, 1.5, 1.5, 1.5},
    {"rsqrt", 64, -kAll, kAll, 0, 1.5, 1.5, 1.5},
    {"erf", 32, -kAll, kAll, 0, 3.1, 2.9, 2.9},
    {"erf", 64, -kAll, kAll, 0, 2.9, 3, 3},
    {"erfc", 32, -kAll, kAll, 0, 5.2, 4.8, 4.8},
    {"erfc", 64, -kAll, kAll, 0, 5.8, 5.5, 5.5},
    {"asin", 32, -kAll, kAll, 0, 2.4, 2.4, 2.4},
    {"asin", 64, -kAll, kAll, 0, 2.2, 2.2, 2.2},
    {"acos", 32, -kAll, kAll, 0, 1.3, 1.3, 1.3},
    {"acos", 64, -kAll, kAll, 0, 1.2, 1.2, 1.2},
    {"lgamma", 32, 0, kAll, 0, 4.9, 4.9, 4.9},
    {"lgamma", 64, 0, kAll, 0, 6.1, 6.1, 6.1},
    {"lgamma", 32, -kAll, 0, 1, 20.4, 20.4, 20.4},
    {"lgamma", 64, -kAll, 0, 1, 25, 22.3, 22.3},
    {"digamma", 32, 0, kAll, 1, 10.6, 9.1, 9.1},
    {"digamma", 64, 0, kAll, 1, 19.6, 15.1, 15.1},
    {"digamma", 32, -kAll, 0, 1, 26.6, 23, 23},
    {"digamma", 64, -kAll, 0, 1, 72.6, 34.8, 34.8},
    {"trigamma", 32, -kAll, kAll, 0, 5.2, 4.7, 4.7},
    {"trigamma", 64, -kAll, kAll, 0, 4.9, 4.6, 4.6},
    {"pow", 32, -kAll, kAll, 0, 4.8, 4.3, 4.3},
    {"pow", 64, -kAll, kAll, 0, 2.8, 2.5, 2.5},
    {"atan2", 32, -kAll, kAll, 0, 2.1, 2, 2},
    {"atan2", 64, -kAll, kAll, 0, 1.8, 1.6, 1.6},
    {"max_nan", 32, -kAll, kAll, 0, 0, 0, 0},
    {"max_nan", 64, -kAll, kAll, 0, 0, 0, 0},
    {"min_nan", 32, -kAll, kAll, 0, 0, 0, 0},
    {"min_nan", 64, -kAll, kAll, 0, 0, 0, 0},
    {"clamp_nan", 32, -kAll, kAll, 0, 0, 0, 0},
    {"clamp_nan", 64, -kAll, kAll, 0, 0, 0, 0},
    {"sin", 32, -1e5, 1e5, 0, 1.6, 1.6, 1.6},
    {"sin", 64, -1e5, 1e5, 0, 2.2, 2.3, 2.3},
    {"cos", 32, -1e5, 1e5, 0, 1.6, 1.6, 1.6},
    {"cos", 64, -1e5, 1e5, 0, 2.3, 2.3, 2.3},
};

}  // namespace lossc::math
