#include "step_reader.h"

#include <algorithm>

namespace lossc::lower {

using ir::Id;
using ir::kNone;
using ir::Op;
using plan::StepKind;
using plan::Storage;
using rt::ArgKind;

std::vector<Id> StepReader::expressions() const {
  if (step.kind == StepKind::Map) return step.nodes;
  if (step.kind == StepKind::Walk) return {};  // the runtime's own
  if (step.kind == StepKind::Scatter) return g.at(step.nodes[0]).args;
  std::vector<Id> out;
  for (Id n : step.nodes) out.push_back(g.at(n).args[0]);
  return out;
}

void StepReader::walk(Id node, std::set<Id>& seen, const std::function<void(Id)>& visit) const {
  if (!seen.insert(node).second) return;
  const ir::Node& n = g.at(node);
  if (buffer_of(node) < 0) {
    if (n.op == Op::At) {
      walk(n.args[1], seen, visit);
      if (buffer_of(n.args[0]) < 0) walk(n.args[0], seen, visit);  // a lookup in a lookup; else the operand is a buffer
    } else
      for (Id a : n.args) walk(a, seen, visit);
  }
  visit(node);
}

void StepReader::walk(const std::function<void(Id)>& visit) const {
  std::set<Id> seen;
  for (Id e : expressions()) walk(e, seen, visit);
}

bool StepReader::computes(const std::function<bool(Op)>& what) const {
  bool any = false;
  walk([&](Id node) { any |= buffer_of(node) < 0 && what(g.at(node).op); });
  return any;
}

bool StepReader::careful() const {
  if (step.kind != StepKind::Map || step.tiled || !plan.in_place(step)) return false;
  return step.domain.size() >= 3 || !step.kept.empty() || computes([](Op op) { return op == Op::Reduce; });
}

bool StepReader::fetches_written() const {
  return step.kind == StepKind::Map && step.domain.size() == 2 && plan.in_place(step) && !computes(ir::transcendental);
}

int StepReader::buffer_of_tensor(Id tensor) const {
  for (int b : step.reads)
    if ((plan.buffers[b].storage == Storage::Input || plan.buffers[b].continues >= 0) && plan.buffers[b].tensor == tensor) return b;
  return -1;
}

std::vector<Id> StepReader::positions(Id load) const {
  const ir::Node& n = g.at(load);
  const std::vector<Id>& dims = g.tensors[n.sym].dims;
  std::vector<Id> out;
  for (Id d : plan.buffers[buffer_of_tensor(n.sym)].layout.order)
    out.push_back(n.args[static_cast<size_t>(std::find(dims.begin(), dims.end(), d) - dims.begin())]);
  return out;
}

Uses StepReader::uses() const {
  std::set<Id> params, extents;
  Uses u;
  auto range = [&](Id index) {
    if (index == plan.row && plan.in_panel(static_cast<int>(&step - plan.steps.data())))
      u.row_range = true;
    else
      extents.insert(g.indices[index].axis);
  };
  walk([&](Id node) {
    const ir::Node& n = g.at(node);
    if (buffer_of(node) >= 0) return;
    if (n.op == Op::Param) params.insert(n.sym);
    if (n.op == Op::Extent) extents.insert(n.sym);
    if (n.op == Op::Reduce) range(n.sym);
    if (n.op == Op::WholeByHand) {  // coordinates end where the axes do
      const ir::Whole& over = g.whole[static_cast<size_t>(n.sym2)];
      for (Id d : over.out) extents.insert(g.indices[d].axis);
      for (const auto& dims : over.operands)
        for (Id d : dims) extents.insert(g.indices[d].axis);
    }
  });
  if (step.over != kNone) range(step.over);
  if (step.kind == StepKind::Scatter) extents.insert(g.indices[g.at(step.nodes[0]).sym2].axis);
  u.params.assign(params.begin(), params.end());
  u.extents.assign(extents.begin(), extents.end());
  return u;
}

std::vector<KernelArg> StepReader::args() const {
  std::vector<KernelArg> out;
  if (step.kind == StepKind::Walk) {
    out = {{ArgKind::Buffer, step.reads[0], false}, {ArgKind::Buffer, step.outputs[0], true}};
    for (int b : step.heap) out.push_back({ArgKind::Heap, b, false});
    return out;
  }
  for (int b : step.reads) out.push_back({ArgKind::Buffer, b, false});
  for (const auto& [node, b] : step.left) out.push_back({ArgKind::Left, b, false});
  if (contract()) {
    if (step.kind == StepKind::ContractTN)
      out.push_back({ArgKind::Buffer, step.outputs[0], false});
    else
      out.push_back({ArgKind::Extent, g.indices[step.over].axis, false});
    out.push_back({ArgKind::Buffer, step.outputs[0], true});
    return out;
  }
  if (reads_old())
    for (int b : step.outputs) out.push_back({ArgKind::Buffer, b, false});
  const Uses u = uses();
  for (Id p : u.params) out.push_back({g.params[p].integer ? ArgKind::IntParam : ArgKind::Param, p, false});
  for (Id a : u.extents) out.push_back({ArgKind::Extent, a, false});
  if (u.row_range) {
    out.push_back({ArgKind::RowBegin, 0, false});
    out.push_back({ArgKind::RowEnd, 0, false});
  }
  for (int b : step.scratch) out.push_back({ArgKind::Buffer, b, true});
  for (int b : step.outputs) out.push_back({ArgKind::Buffer, b, true});
  for (int b : step.heap) out.push_back({ArgKind::Heap, b, false});
  return out;
}

}  // namespace lossc::lower
