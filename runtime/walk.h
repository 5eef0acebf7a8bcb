// Steps that take an axis as a whole: orders and running sums. Plain C++ rather than Halide: they are serial along the
// axis, and a sort is no loop nest.
#pragma once
#include "runtime/halide_abi.h"
#include "runtime/table.h"

namespace lossc::rt {

// `out` (its box) from `in`, along dimension `out_dim` of the one and `in_dim` of the other; the other dimensions
// correspond in their order. Orders, inverses and positions are int32, everything else has the type of `in`. `memory` is for
// Order: kOrderWords elements of `in` for each place.
void walk(Walk what, const HalideBuffer& in, int in_dim, const HalideBuffer& out, int out_dim, void* memory);

}  // namespace lossc::rt
