// Arithmetic between the primitives, without fast-math flags.
//
// Halide marks every float operation nnan ninf: LLVM may then assume that no operand or result is NaN, and it does: an
// argmax over `a + b` loses its test for NaN, `!(s >= t + eps)` turns into `s < t + eps`. In a loss NaN is data. Each
// operation here is one strict intrinsic (Halide::strict_float() would reach into its operands and take the FMAs out
// of a polynomial inside); the primitives in generators/math keep their own house.
#pragma once
#include "Halide.h"

namespace lossc::lower::strict {

using Halide::Expr;
using Halide::Internal::Call;

inline Expr make(Call::IntrinsicOp op, Halide::Type type, const Expr& a, const Expr& b) {
  return Call::make(type, op, {a, b}, Call::PureIntrinsic);
}
inline Expr add(const Expr& a, const Expr& b) { return a.type().is_float() ? make(Call::strict_add, a.type(), a, b) : a + b; }
inline Expr sub(const Expr& a, const Expr& b) { return a.type().is_float() ? make(Call::strict_sub, a.type(), a, b) : a - b; }
inline Expr mul(const Expr& a, const Expr& b) { return a.type().is_float() ? make(Call::strict_mul, a.type(), a, b) : a * b; }
inline Expr div(const Expr& a, const Expr& b) { return a.type().is_float() ? make(Call::strict_div, a.type(), a, b) : a / b; }
// One side of a comparison is hidden until the kernel is lowered (shown_pass). Where Halide asks for the bounds of a comparison,
// strict or not, it reasons as if of real numbers, and finds z < z + 1 and z == z true of a scalar that is NaN, or too large for
// its 1; rows behind the last whole vector (PartitionLoops) counted for that. The comparison itself has to be seen: in a kernel
// without a strict operation LLVM is told that there are no NaNs.
constexpr const char* kHidden = "lossc_hidden";
inline Expr compare(Call::IntrinsicOp op, const Expr& a, const Expr& b) {
  return make(op, Halide::Bool(a.type().lanes()), a, Call::make(b.type(), kHidden, {b}, Call::PureExtern));
}
inline Expr lt(const Expr& a, const Expr& b) { return a.type().is_float() ? compare(Call::strict_lt, a, b) : a < b; }
inline Expr eq(const Expr& a, const Expr& b) { return a.type().is_float() ? compare(Call::strict_eq, a, b) : a == b; }
// Not strict_le: Halide makes !(b < a) of it, which holds for NaN.
inline Expr le(const Expr& a, const Expr& b) { return a.type().is_float() ? lt(a, b) || eq(a, b) : a <= b; }
// The last of the passes. For Pipeline::add_custom_lowering_pass, which takes ownership.
Halide::Internal::IRMutator* shown_pass();
// By the bits: `x != x` and fcmp uno are folded to false where x comes out of a flagged select.
inline Expr is_nan(const Expr& x) {
  const bool f32 = x.type().bits() == 32;
  const Halide::Type bits = Halide::UInt(x.type().bits(), x.type().lanes());
  const uint64_t infinity = f32 ? 0x7f800000u : 0x7ff0000000000000u, sign = f32 ? 0x7fffffffu : 0x7fffffffffffffffu;
  return (Halide::reinterpret(bits, x) & Halide::Internal::make_const(bits, sign)) > Halide::Internal::make_const(bits, infinity);
}
inline Expr is_finite(const Expr& x) {
  const bool f32 = x.type().bits() == 32;
  const Halide::Type bits = Halide::UInt(x.type().bits(), x.type().lanes());
  const uint64_t infinity = f32 ? 0x7f800000u : 0x7ff0000000000000u;
  return (Halide::reinterpret(bits, x) & Halide::Internal::make_const(bits, infinity)) != Halide::Internal::make_const(bits, infinity);
}
// On the bits, too: a flagged select may be turned into a max that drops NaN (`x <= 0 ? 0 : x`). The casts cost nothing.
inline Expr select(const Expr& c, const Expr& a, const Expr& b) {
  if (!a.type().is_float()) return Halide::select(c, a, b);
  const Halide::Type bits = Halide::UInt(a.type().bits(), a.type().lanes());
  return Halide::reinterpret(a.type(), Halide::select(c, Halide::reinterpret(bits, a), Halide::reinterpret(bits, b)));
}
// The sign bit alone, because 0 - x would be flagged, and -x == inf folded to false.
inline Expr sign_bit(const Halide::Type& t) {
  return Halide::Internal::make_const(Halide::UInt(t.bits(), t.lanes()), uint64_t{1} << (t.bits() - 1));
}
inline Expr neg(const Expr& x) {
  if (!x.type().is_float()) return -x;
  return Halide::reinterpret(x.type(), Halide::reinterpret(sign_bit(x.type()).type(), x) ^ sign_bit(x.type()));
}
inline Expr abs(const Expr& x) {
  if (!x.type().is_float()) return Halide::abs(x);
  return Halide::reinterpret(x.type(), Halide::reinterpret(sign_bit(x.type()).type(), x) & ~sign_bit(x.type()));
}
inline Expr max_nan(const Expr& a, const Expr& b) { return strict::select(strict::is_nan(a) || lt(b, a), a, b); }
inline Expr min_nan(const Expr& a, const Expr& b) { return strict::select(strict::is_nan(a) || lt(a, b), a, b); }

}  // namespace lossc::lower::strict
