// Integers made of extents, for the runtime: lengths of axes that follow from others, conditions of a loss.
#pragma once
#include <vector>

#include "dsl/program.h"
#include "runtime/table.h"

namespace lossc::emit {

// In postfix, for the runtime's stack. `axes` and `options`: from ids of the program to those of the tables.
std::vector<rt::ShapeCode> shape_code(const Program& program, const std::vector<int>& axes, const std::vector<int>& options,
                                      ir::Id node);

}  // namespace lossc::emit
