// min, max, clamp that keep NaN; square roots.

#include "generators/math/detail.h"

namespace lossc::math {

using namespace detail;

// s_min(a, b) is `a < b ? a : b`: it already returns b when either is NaN, so only a NaN in `a` needs a select.
Expr min_nan(Expr a, Expr b) {
  check("min_nan", a);
  b = operand("min_nan", a, b);
  return share(Halide::select(Halide::is_nan(a), a, s_min(a, b)));
}

Expr max_nan(Expr a, Expr b) {
  check("max_nan", a);
  b = operand("max_nan", a, b);
  return share(Halide::select(Halide::is_nan(a), a, s_max(a, b)));
}

Expr clamp_nan(Expr x, Expr lo, Expr hi) {
  check("clamp_nan", x);
  return share(s_min(operand("clamp_nan", x, hi), s_max(operand("clamp_nan", x, lo), x)));
}

Expr sqrt(Expr x) {
  check("sqrt", x);
  return Halide::sqrt(x);
}

Expr rsqrt(Expr x) {
  check("rsqrt", x);
  return s_div(lit(x, 1), Halide::sqrt(x));
}

}  // namespace lossc::math
