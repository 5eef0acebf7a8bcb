// A loss along a line through its inputs, as a picture.
#pragma once
#include <string>

#include "dsl/program.h"

namespace lossc::cli {

// Through a random call of the program, all float inputs with a gradient moved by t times a random direction of length 1
// each; `along`: only this one. Above the value, below its slope: the derived gradient times the direction, and differences
// of the value, which should be one curve but next to a kink, and where the loss stops a gradient or has one of its own. Throws UsageError for an unknown input.
std::string plot(const Program& program, const std::string& along);

}  // namespace lossc::cli
