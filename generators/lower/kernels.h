// The three kinds of kernels that are not contractions: their algorithm as Halide Funcs. Loops, vectors and storage are
// decided in schedules/loops.h.
#pragma once
#include "expression.h"

namespace lossc::lower {

// Output Funcs in argument order (scratch first), scheduled.
std::vector<Halide::Func> map_kernel(Lowering& l);
std::vector<Halide::Func> reduce_kernel(Lowering& l);
std::vector<Halide::Func> scatter_kernel(Lowering& l);

// Shared: constraints of an output's buffers as the runtime passes them.
void constrain_output(const Lowering& l, Halide::Func f, const std::vector<int>& buffers);

}  // namespace lossc::lower
