// What stands for operands and coordinates while a writer's function is only being looked at.
#pragma once
#include <fmt/format.h>

#include <string>

#include "Halide.h"
#include "dsl/ir.h"

namespace lossc::by_hand {

inline Halide::Type type_of(ir::Type type, int bits) {
  return type == ir::Type::Float ? Halide::Float(bits) : type == ir::Type::Int ? Halide::Int(32) : Halide::Bool();
}
inline const std::string kPlaceholder = "lossc_";
inline std::string operand_name(size_t k) { return fmt::format("{}operand{}", kPlaceholder, k); }
// An element of operand k.
inline Halide::Expr placeholder(size_t k, ir::Type type, int bits) {
  return Halide::Internal::Variable::make(type_of(type, bits), operand_name(k));
}
// An extent or a coordinate. A param, for an RDom may end at nothing else.
inline Halide::Expr integer(const std::string& name) {
  const Halide::Type type = Halide::Int(32);
  return Halide::Internal::Variable::make(type, kPlaceholder + name, Halide::Parameter(type, false, 0, kPlaceholder + name));
}

}  // namespace lossc::by_hand
