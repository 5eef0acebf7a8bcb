#include "generators/math/detail.h"

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace lossc::math::detail {

namespace {

using Halide::Internal::Call;

Expr strict(Call::IntrinsicOp op, const Halide::Type& result, const Expr& a, const Expr& b) {
  return Call::make(result, op, {a, b}, Call::PureIntrinsic);
}

Halide::Type bool_like(const Expr& a) { return Halide::Bool(a.type().lanes()); }

}  // namespace

Format::Format(const Halide::Type& t)
    : type(t),
      bits(Halide::UInt(t.bits(), t.lanes())),
      mantissa(t.bits() == 32 ? 23 : 52),
      bias(t.bits() == 32 ? 127 : 1023) {}

Format check(const char* function, const Expr& x) {
  const Halide::Type t = x.type();
  if (t.is_float() && !t.is_bfloat() && (t.bits() == 32 || t.bits() == 64)) return Format(t);
  throw std::invalid_argument(std::string("lossc::math::") + function + ": wanted Float(32) or Float(64), got " +
                              Halide::type_to_c_type(t, false));
}

Format accept(const char* function, Expr* x) {
  const Format f = check(function, *x);
  const Expr any = Halide::Internal::make_const(f.bits, 0x5a5a5a5a);
  *x = from_bits(*x, (to_bits(*x) ^ any) ^ any);
  return f;
}

Expr operand(const char* function, const Expr& x, const Expr& y) {
  if (y.type() == x.type()) return y;
  if (Halide::Internal::is_const(y)) return Halide::cast(x.type(), y);
  throw std::invalid_argument(std::string("lossc::math::") + function + ": the arguments have different types");
}

Expr share(const Expr& e) { return Halide::Internal::common_subexpression_elimination(e); }

Expr lit(const Expr& like, double value) { return Halide::Internal::make_const(like.type(), value); }

Expr lit(const Expr& like, double f32, double f64) { return lit(like, like.type().bits() == 32 ? f32 : f64); }

Expr infinity(const Expr& like) { return lit(like, INFINITY); }

Expr nan(const Expr& like) {
  const Format f(like.type());
  const uint64_t quiet = f.mantissa == 23 ? 0x7fc00000ull : 0x7ff8000000000000ull;
  return from_bits(like, Halide::Internal::make_const(f.bits, quiet));
}

Expr s_add(const Expr& a, const Expr& b) { return strict(Call::strict_add, a.type(), a, b); }
Expr s_sub(const Expr& a, const Expr& b) { return strict(Call::strict_sub, a.type(), a, b); }
Expr s_mul(const Expr& a, const Expr& b) { return strict(Call::strict_mul, a.type(), a, b); }
Expr s_div(const Expr& a, const Expr& b) { return strict(Call::strict_div, a.type(), a, b); }
Expr s_lt(const Expr& a, const Expr& b) { return strict(Call::strict_lt, bool_like(a), a, b); }
Expr s_le(const Expr& a, const Expr& b) { return strict(Call::strict_le, bool_like(a), a, b); }
Expr s_eq(const Expr& a, const Expr& b) { return strict(Call::strict_eq, bool_like(a), a, b); }
Expr s_min(const Expr& a, const Expr& b) { return strict(Call::strict_min, a.type(), a, b); }
Expr s_max(const Expr& a, const Expr& b) { return strict(Call::strict_max, a.type(), a, b); }

Expr to_bits(const Expr& x) { return Halide::reinterpret(Format(x.type()).bits, x); }

Expr from_bits(const Expr& like, const Expr& bits) { return Halide::reinterpret(like.type(), bits); }

Expr magnitude(const Expr& x) {
  const Format f(x.type());
  return from_bits(x, to_bits(x) & Halide::Internal::make_const(f.bits, ~uint64_t(0) >> (65 - f.type.bits())));
}

Expr flip_sign(const Expr& x, const Expr& sign_source) {
  const Format f(x.type());
  const Expr sign = Halide::Internal::make_const(f.bits, uint64_t(1) << (f.type.bits() - 1));
  return from_bits(x, to_bits(x) ^ (to_bits(sign_source) & sign));
}

Expr high_half(const Expr& x) {
  const Format f(x.type());
  const uint64_t keep = f.mantissa == 23 ? 0xfffff000ull : ~0x7ffffffull;
  return from_bits(x, to_bits(x) & Halide::Internal::make_const(f.bits, keep));
}

Pair two_product(const Expr& a, const Expr& b) {
  const Expr ah = high_half(a), bh = high_half(b);
  const Expr al = s_sub(a, ah), bl = s_sub(b, bh);
  const Expr hi = s_mul(a, b);
  const Expr head = s_sub(s_mul(ah, bh), hi);
  return {hi, s_add(s_add(s_add(head, s_mul(ah, bl)), s_mul(al, bh)), s_mul(al, bl))};
}

Expr polynomial(const Expr& x, const Coefficients& c, const Expr& x_first) {
  const std::vector<double> k = x.type().bits() == 32 ? c.f32 : c.f64;
  Expr sum = lit(x, k.back()) * (x_first.defined() ? x_first : x) + lit(x, k[k.size() - 2]);
  for (size_t i = k.size() - 2; i-- > 0;) {
    sum = sum * x + lit(x, k[i]);
  }
  return sum;
}

}  // namespace lossc::math::detail
