// What a step's expressions use: shared by the signature (which names and orders arguments) and the compiler (which
// makes Halide objects of them), so that the two cannot disagree.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lower.h"

namespace lossc::lower {

struct Uses {
  std::vector<ir::Id> params;   // ascending
  std::vector<ir::Id> extents;  // axes, ascending
  bool row_range = false;       // the panel's first and one-past-last row
};

class StepReader {
 public:
  StepReader(const plan::Plan& plan, int step) : plan(plan), g(plan.graph), step(plan.steps[step]) {}

  const plan::Plan& plan;
  const ir::Graph& g;
  const plan::Step& step;

  bool contract() const { return step.kind >= plan::StepKind::ContractNN; }
  // The expressions evaluated: bodies of reductions, value and key of a scatter, else the nodes themselves.
  std::vector<ir::Id> expressions() const;
  // The buffer at which evaluation of `node` stops, or -1. (A step's own node is computed, unless the step copies it.)
  int buffer_of(ir::Id node) const { return plan.find(step, node); }
  int buffer_of_tensor(ir::Id tensor) const;
  // The positions that a Load reads at, in the order of its buffer's dimensions, outermost first.
  std::vector<ir::Id> positions(ir::Id load) const;
  Uses uses() const;
  // Calls `visit` for every node evaluated inside the step, operands before users.
  void walk(const std::function<void(ir::Id)>& visit) const;
  // Is there such an operation among those evaluated inside the step?
  bool computes(const std::function<bool(ir::Op)>& what) const;
  // Does it write over what it reads, in loops that compute some elements twice where that is not so (map_kernel)?
  bool careful() const;
  // Does it write over what it reads, with little to compute meanwhile?
  bool fetches_written() const;
  bool reads_old() const { return step.kind == plan::StepKind::Reduce && step.accumulates; }
  std::vector<KernelArg> args() const;

 private:
  void walk(ir::Id node, std::set<ir::Id>& seen, const std::function<void(ir::Id)>& visit) const;
};

// Operations per element of the step's domain; a transcendental function counts 10.
float cost(const StepReader& r);

}  // namespace lossc::lower
