// tanh and the logistic family.

#include "generators/math/detail.h"

namespace lossc::math {

using namespace detail;

namespace {

// The exponential that the logistic functions share: it cannot overflow.
Expr exp_minus_abs(const Expr& x, const Env& env) { return exp_core(zero_below(-magnitude(x)), env); }

}  // namespace

// tanh|x| = -t / (2 + t) with t = e^(-2|x|) - 1, which keeps its relative accuracy to the smallest x.
Expr tanh(Expr x, Env env) {
  accept("tanh", &x);
  const Expr t = expm1_core(s_max(lit(x, -40), s_mul(lit(x, -2), magnitude(x))), env);
  return share(flip_sign(s_div(-t, s_add(lit(x, 2), t)), x));
}

Expr sigmoid(Expr x, Env env) {
  accept("sigmoid", &x);
  const Expr e = exp_minus_abs(x, env);
  const Expr numerator = Halide::select(s_lt(x, lit(x, 0)), e, lit(x, 1));
  return share(s_div(numerator, s_add(lit(x, 1), e)));
}

Expr softplus(Expr x, Env env) {
  accept("softplus", &x);
  return share(s_add(s_max(lit(x, 0), x), log1p_unit(exp_minus_abs(x, env))));
}

Expr log_sigmoid(Expr x, Env env) {
  accept("log_sigmoid", &x);
  return share(s_sub(s_min(lit(x, 0), x), log1p_unit(exp_minus_abs(x, env))));
}

}  // namespace lossc::math
