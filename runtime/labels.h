// Index tensors: every value is checked before a kernel uses it as an address.
#pragma once
#include "runtime/bind.h"

namespace lossc::rt {

// Checks that all values are in range, equal to the ignored value, or -1 where that is allowed, and that they do not
// decrease where that is wanted. i64 ones are copied to
// `to` as i32, densely, and *t then shows the copy.
lossc_status take_labels(const Loss& loss, const Argument& a, const Shapes& shapes, const double* params, int32_t* to,
                         Bound* t, int workers, lossc_error* err);

}  // namespace lossc::rt
