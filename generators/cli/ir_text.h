// A graph as lines of text: what is used more than once gets a name.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "dsl/program.h"

namespace lossc::cli {

using Roots = std::vector<std::pair<std::string, ir::Id>>;  // name, node
std::string ir_text(ir::Graph graph, const Roots& roots);

std::string value_text(const Program& program);     // the loss of a row, which rows count, further outputs
std::string gradient_text(const Program& program);  // the derivative for each input

}  // namespace lossc::cli
