#pragma once

#include "Halide.h"

namespace lossc::math {

struct Env {
  bool fma = false;
};

Halide::Expr exp(Halide::Expr x, Env env = {});
Halide::Expr exp_nonpositive(Halide::Expr x, Env env = {});
Halide::Expr expm1(Halide::Expr x, Env env = {});
Halide::Expr log(Halide::Expr x);
Halide::Expr log1p(Halide::Expr x);
Halide::Expr tanh(Halide::Expr x, Env env = {});
Halide::Expr sigmoid(Halide::Expr x, Env env = {});
Halide::Expr softplus(Halide::Expr x, Env env = {});
Halide::Expr log_sigmoid(Halide::Expr x, Env env = {});
Halide::Expr erf(Halide::Expr x, Env env = {});
Halide::Expr erfc(Halide::Expr x, Env env = {});
Halide::Expr pow(Halide::Expr x, Halide::Expr y, Env env = {});
Halide::Expr sin(Halide::Expr x);
Halide::Expr cos(Halide::Expr x);
Halide::Expr asin(Halide::Expr x);
Halide::Expr acos(Halide::Expr x);
Halide::Expr atan2(Halide::Expr y, Halide::Expr x);
Halide::Expr lgamma(Halide::Expr x);
Halide::Expr digamma(Halide::Expr x);
Halide::Expr min_nan(Halide::Expr a, Halide::Expr b);
Halide::Expr max_nan(Halide::Expr a, Halide::Expr b);
Halide::Expr clamp_nan(Halide::Expr x, Halide::Expr lo, Halide::Expr hi);
Halide::Expr sqrt(Halide::Expr x);
Halide::Expr rsqrt(Halide::Expr x);

}  // namespace lossc::math
