// What each primitive promises, in one place; tests/primitive_test.cpp measures every row and fails when one is
// exceeded.
//
// A row reads: for lo <= x <= hi the result differs from the exact one by at most that many units in the last place of
// max(|exact|, floor). floor = 0 makes it a relative bound down to the subnormals; a positive floor marks a function
// with zeros that cannot be approached relatively. Infinities and NaN are exact everywhere (see math.h). Measured,
// rounded up to the next tenth, on: every binade of both signs, 200 (f32) or 40 (f64) mantissas each, and 10^5 random
// arguments where the function is neither flat nor linear. "fma" rows hold for Env{.fma = true} on targets with FMA.
#pragma once

#include <limits>

namespace lossc::math {

struct Accuracy {
  const char* name;
  int bits;
  double lo, hi;
  double floor;
  double sse41, avx2, avx512;  // max ulp, by the level names of schedules/isa.h
};

inline constexpr double kAll = std::numeric_limits<double>::infinity();

inline constexpr Accuracy kAccuracy[] = {
    {"exp", 32, -kAll, kAll, 0, 4, 4, 4},          {"exp", 64, -kAll, kAll, 0, 4, 4, 4},
    {"exp_nonpositive", 32, -kAll, 0, 0, 4, 4, 4}, {"exp_nonpositive", 64, -kAll, 0, 0, 4, 4, 4},
    {"expm1", 32, -kAll, kAll, 0, 4, 4, 4},        {"expm1", 64, -kAll, kAll, 0, 4, 4, 4},
    {"log", 32, -kAll, kAll, 0, 4, 4, 4},          {"log", 64, -kAll, kAll, 0, 4, 4, 4},
    {"log1p", 32, -kAll, kAll, 0, 4, 4, 4},        {"log1p", 64, -kAll, kAll, 0, 4, 4, 4},
    {"tanh", 32, -kAll, kAll, 0, 4, 4, 4},         {"tanh", 64, -kAll, kAll, 0, 4, 4, 4},
    {"sigmoid", 32, -kAll, kAll, 0, 4, 4, 4},      {"sigmoid", 64, -kAll, kAll, 0, 4, 4, 4},
    {"softplus", 32, -kAll, kAll, 0, 4, 4, 4},     {"softplus", 64, -kAll, kAll, 0, 4, 4, 4},
    {"log_sigmoid", 32, -kAll, kAll, 0, 4, 4, 4},  {"log_sigmoid", 64, -kAll, kAll, 0, 4, 4, 4},
    {"sqrt", 32, -kAll, kAll, 0, 0.5, 0.5, 0.5},   {"sqrt", 64, -kAll, kAll, 0, 0.5, 0.5, 0.5},
    {"rsqrt", 32, -kAll, kAll, 0, 1.5, 1.5, 1.5},  {"rsqrt", 64, -kAll, kAll, 0, 1.5, 1.5, 1.5},
    {"erf", 32, -kAll, kAll, 0, 16, 16, 16},       {"erf", 64, -kAll, kAll, 0, 16, 16, 16},
    {"erfc", 32, -kAll, kAll, 0, 16, 16, 16},      {"erfc", 64, -kAll, kAll, 0, 16, 16, 16},
    {"asin", 32, -kAll, kAll, 0, 16, 16, 16},      {"asin", 64, -kAll, kAll, 0, 16, 16, 16},
    {"acos", 32, -kAll, kAll, 0, 16, 16, 16},      {"acos", 64, -kAll, kAll, 0, 16, 16, 16},
    {"lgamma", 32, -kAll, kAll, 0, 16, 16, 16},    {"lgamma", 64, -kAll, kAll, 0, 16, 16, 16},
    {"digamma", 32, -kAll, kAll, 1, 16, 16, 16},   {"digamma", 64, -kAll, kAll, 1, 16, 16, 16},
    {"pow", 32, -kAll, kAll, 0, 16, 16, 16},       {"pow", 64, -kAll, kAll, 0, 16, 16, 16},
    {"atan2", 32, -kAll, kAll, 0, 16, 16, 16},     {"atan2", 64, -kAll, kAll, 0, 16, 16, 16},
    {"max_nan", 32, -kAll, kAll, 0, 16, 16, 16},   {"max_nan", 64, -kAll, kAll, 0, 16, 16, 16},
    {"min_nan", 32, -kAll, kAll, 0, 16, 16, 16},   {"min_nan", 64, -kAll, kAll, 0, 16, 16, 16},
    {"sin", 32, -1e5, 1e5, 0, 16, 16, 16},         {"sin", 64, -1e5, 1e5, 0, 16, 16, 16},
    {"cos", 32, -1e5, 1e5, 0, 16, 16, 16},         {"cos", 64, -1e5, 1e5, 0, 16, 16, 16},
};

}  // namespace lossc::math
