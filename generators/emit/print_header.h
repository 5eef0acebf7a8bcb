// lossc/losses/<id>.h: what a C or C++ program includes to call one loss by name.
#pragma once
#include <string>
#include <vector>

#include "generators/emit/tables.h"

namespace lossc::emit {

// Self-contained C99 and C++11: documentation, positions of everything as constants, and a struct with a named member
// for each input, param, option and output, with two inline functions that pass it on to lossc_plan_create and
// lossc_run; and two more for the Hessian products, if the library has them (`hessian`, else nullptr).
std::string print_header(const Interface& all, const Interface* hessian, const std::vector<int>& float_bits);

}  // namespace lossc::emit
