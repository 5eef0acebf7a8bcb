// From the shapes of tensors to the extents of a loss's axes.
#pragma once
#include "runtime/tensor.h"

namespace lossc::rt {

inline constexpr int kMaxAxes = 32;

// What all tensors of a plan agree on.
struct Shapes {
  int32_t extent[kMaxAxes];  // 1 for absent axes
  bool given[kMaxAxes];      // false: an axis that the tensors lack (flat ones are always given: see present)
  const char* from[kMaxAxes];  // the argument that fixed the extent; nullptr: none so far
  int flat_ndim[kMaxAxes];     // flat axes: the dimensions they stand for
  int64_t flat_shape[kMaxAxes][kMaxRank];
  int dtype_bits;  // that kernels compute in: 64 if an input has f64 or the plan is told to, else 32
};

// Whether the tensors have dimensions for the axis; one without counts as an extent of 1.
inline bool present(const Loss& loss, const Shapes& shapes, int axis) {
  return shapes.given[axis] && !(loss.axes[axis].flat && shapes.flat_ndim[axis] == 0);
}

// Fixes the axes by the options' choices and the inputs that are given (tensors[i] may be nullptr), then those whose length
// follows from others.
lossc_status bind_shapes(const Loss& loss, const DLTensor* const* tensors, const int32_t* choice, Shapes* shapes,
                         lossc_error* err);

// Sees a tensor through an argument's dimensions; checks shape, NULL data (unless shape_only) and alignment. dtype is
// the caller's to check.
lossc_status bind_tensor(const Loss& loss, const Argument& argument, const DLTensor& t, const Shapes& shapes,
                         bool shape_only, Bound* bound, lossc_error* err);

}  // namespace lossc::rt
