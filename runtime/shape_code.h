// Integers made of extents: lengths of axes that follow from others, conditions of a loss.
#pragma once
#include "runtime/table.h"

namespace lossc::rt {

inline int64_t floor_div(int64_t a, int64_t b) { return b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// Rounded down; of what is not positive 0.
inline int64_t square_root(int64_t a) {
  int64_t root = 0;
  for (int bit = 30; bit >= 0; --bit) {
    const int64_t next = root + (int64_t{1} << bit);
    if (next * next <= a) root = next;
  }
  return root;
}

inline int64_t apply(ShapeOp op, int64_t a, int64_t b) {
  switch (op) {
    case ShapeOp::Neg: return -b;
    case ShapeOp::Not: return !b;
    case ShapeOp::Sqrt: return square_root(b);
    case ShapeOp::Add: return a + b;
    case ShapeOp::Sub: return a - b;
    case ShapeOp::Mul: return a * b;
    case ShapeOp::Div: return floor_div(a, b);
    case ShapeOp::Mod: return a - floor_div(a, b) * b;
    case ShapeOp::Max: return a > b ? a : b;
    case ShapeOp::Min: return a < b ? a : b;
    case ShapeOp::Lt: return a < b;
    case ShapeOp::Le: return a <= b;
    case ShapeOp::Eq: return a == b;
    case ShapeOp::Ne: return a != b;
    case ShapeOp::And: return a && b;
    case ShapeOp::Or: return a || b;
    case ShapeOp::Const:
    case ShapeOp::Extent:
    case ShapeOp::Option: break;
  }
  return 0;
}

// `choice`: of each option.
inline int64_t evaluate(const ShapeCode* code, int n_code, const int32_t* extent, const int32_t* choice) {
  int64_t stack[kMaxShapeCode + 1] = {};  // the emitter keeps codes shorter, and its postfix is whole
  int n = 0;
  for (int k = 0; k < n_code; ++k) {
    const ShapeCode c = code[k];
    if (c.op == ShapeOp::Const || c.op == ShapeOp::Extent || c.op == ShapeOp::Option) {
      stack[n++] = c.op == ShapeOp::Const ? c.value : c.op == ShapeOp::Extent ? extent[c.value] : choice[c.value];
      continue;
    }
    const bool one = c.op == ShapeOp::Neg || c.op == ShapeOp::Not || c.op == ShapeOp::Sqrt;
    if (!one) --n;
    stack[n - 1] = apply(c.op, stack[n - 1], one ? stack[n - 1] : stack[n]);
  }
  return stack[0];
}

}  // namespace lossc::rt
