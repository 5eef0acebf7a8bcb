// What a loss wants of the extents of a call: its conditions in postfix, seen to before a plan is laid out.
#include "runtime/plan.h"

namespace lossc::rt {
namespace {

int64_t floor_div(int64_t a, int64_t b) { return b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0)); }

int64_t apply(ShapeOp op, int64_t a, int64_t b) {
  switch (op) {
    case ShapeOp::Neg: return -b;
    case ShapeOp::Not: return !b;
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
    case ShapeOp::Extent: break;
  }
  return 0;
}

bool holds(const Requirement& r, const Shapes& shapes) {
  int64_t stack[kMaxShapeCode + 1] = {};  // the emitter keeps conditions shorter, and its postfix is whole
  int n = 0;
  for (int k = 0; k < r.n_code; ++k) {
    const ShapeCode c = r.code[k];
    if (c.op == ShapeOp::Const || c.op == ShapeOp::Extent) {
      stack[n++] = c.op == ShapeOp::Const ? c.value : shapes.extent[c.value];
      continue;
    }
    const bool one = c.op == ShapeOp::Neg || c.op == ShapeOp::Not;
    if (!one) --n;
    stack[n - 1] = apply(c.op, stack[n - 1], one ? stack[n - 1] : stack[n]);
  }
  return stack[0] != 0;
}

}  // namespace

lossc_status check_requirements(const Loss& loss, const Variant& v, const Shapes& shapes, lossc_error* err) {
  for (int k = 0; k < v.n_requirements; ++k) {
    const Requirement& r = v.requirements[k];
    if (holds(r, shapes)) continue;
    char buffer[128] = "";
    Text extents{buffer, sizeof buffer};
    uint32_t said = 0;
    for (int i = 0; i < r.n_code; ++i) {
      const int axis = r.code[i].value;
      if (r.code[i].op != ShapeOp::Extent || said >> axis & 1) continue;
      extents.add("%s%s is %d", said != 0 ? ", " : "", loss.axes[axis].name, shapes.extent[axis]);
      said |= 1u << axis;
    }
    return fail(err, LOSSC_E_ARGUMENT, "%s: wants %s; %s", loss.name, r.text, buffer);
  }
  return LOSSC_OK;
}

}  // namespace lossc::rt
