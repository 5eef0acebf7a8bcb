// Software prefetch, inserted into the lowered loops.
//
// Not Func::prefetch: Halide 21's SplitPrefetch multiplies an extent by abs(stride), whose type the simplifier may turn
// from int32 into uint32; then it aborts (seen with strides that are not constant, that is, with any caller's tensor).
// Going by the loads themselves also asks for exactly the lines that will be read, and for none where a load is a gather.
#pragma once
#include <string>
#include <vector>

#include "Halide.h"

namespace lossc::lower {

struct Ahead {
  std::string func;       // in whose loops; empty: of the first that reads it
  std::string image;      // what is read there, or written
  Halide::Expr elements;  // so far ahead
  std::string to;         // fetched at the same place: another image of as many dimensions and the same strides; empty: image
  int dimensions = 0;     // of `to`
};

// For Pipeline::add_custom_lowering_pass, which takes ownership.
Halide::Internal::IRMutator* prefetch_pass(std::vector<Ahead> list);

}  // namespace lossc::lower
