// A writer's code as text, and whether it is such that it can become part of a kernel.
#pragma once
#include <string>

#include "Halide.h"

namespace lossc::by_hand {

struct Description {
  // Equal for equal code, whatever Halide called its parts this time; different if a number differs in its last bit.
  std::string text;
  std::string wrong;  // what it may not have, completing "the value ..."; empty: nothing
};

// `reads`: it may have Funcs of its own and reductions. Placeholders are what placeholder.h says.
Description describe(const Halide::Expr& value, bool reads);

}  // namespace lossc::by_hand
