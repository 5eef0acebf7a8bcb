// Derivatives without a derivative: central differences of the oracle. Nothing here knows how gradients are derived.
#pragma once
#include <limits>
#include <vector>

#include "oracle.h"
#include "program.h"

namespace lossc {

inline constexpr double kAllElements = std::numeric_limits<double>::infinity();

struct Difference {
  double value = 0;
  double error = 0;     // bound on what truncation and rounding do to it; see finite_difference.cpp
  bool smooth = false;  // false: at or next to a kink, or not finite; `value` then means nothing
  bool taken = true;    // false: left out, see below; not smooth
};

// d(sum over kept rows of grad_output * row_weight * scale * value)/d(each element of the tensor): what
// Program::gradients holds. The factors and the set of kept rows count as constants, and so does what stop_gradient
// covers; straight_through counts as its surrogate.
//
// Each element takes some evaluations of the whole. Where oracle_work() of one, times the elements, is more than `most_work`,
// only some are taken, spread over the tensor: 2e7 is seconds.
std::vector<Difference> finite_difference(const Program& program, const Inputs& inputs, ir::Id tensor,
                                          double most_work = kAllElements);
// d(node)/d(each element of the tensor), for a scalar of the program's graph.
std::vector<Difference> finite_difference_of(const ir::Graph& graph, ir::Id node, const Inputs& inputs, ir::Id tensor,
                                             double most_work = kAllElements);

}  // namespace lossc
