// What a loss wants of the extents of a call, seen to before a plan is laid out.
#include "runtime/plan.h"
#include "runtime/shape_code.h"

namespace lossc::rt {
lossc_status check_requirements(const Loss& loss, const Variant& v, const Shapes& shapes, const int32_t* choice, lossc_error* err) {
  for (int k = 0; k < v.n_requirements; ++k) {
    const Requirement& r = v.requirements[k];
    if (evaluate(r.code, r.n_code, shapes.extent, choice) != 0) continue;
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
