// Which elements of an input a step reads: only those beside what it writes, or any.
#pragma once
#include "dsl/plan.h"

namespace lossc::emit {

// The dimension of `buffer` (an input, dimensions counted from the innermost) along which the step reads only at its
// own rows: inside the panel loop the panel's, before it those of the piece that a worker writes. -1: it may read
// anywhere. What is derived here from the plan, the runtime goes by when it converts tensors piece by piece.
int own_dim(const plan::Plan& plan, int step, int buffer);

}  // namespace lossc::emit
