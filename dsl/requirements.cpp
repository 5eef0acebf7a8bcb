// Extents: those that follow from others, and whether they meet what a loss requires.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "program.h"

namespace lossc {
namespace {

using ir::Id;
using ir::Op;

int64_t floor_div(int64_t a, int64_t b) { return b == 0 ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// The node is over integers and truth values alone (require() sees to it).
int64_t value(const ir::Graph& g, Id node, const std::vector<int64_t>& extents, const std::vector<double>& params = {}) {
  const ir::Node& n = g.at(node);
  const auto arg = [&](size_t k) { return value(g, n.args[k], extents, params); };
  switch (n.op) {
    case Op::Param: return static_cast<int64_t>(params.at(static_cast<size_t>(n.sym)));
    case Op::Const: return static_cast<int64_t>(n.value);
    case Op::Extent: return extents[n.sym];
    case Op::Neg: return -arg(0);
    case Op::Not: return !arg(0);
    case Op::Sqrt: return static_cast<int64_t>(std::sqrt(static_cast<double>(std::max<int64_t>(arg(0), 0))));
    case Op::Add: return arg(0) + arg(1);
    case Op::Sub: return arg(0) - arg(1);
    case Op::Mul: return arg(0) * arg(1);
    case Op::Div: return floor_div(arg(0), arg(1));
    case Op::Mod: return arg(0) - floor_div(arg(0), arg(1)) * arg(1);
    case Op::Max: return std::max(arg(0), arg(1));
    case Op::Min: return std::min(arg(0), arg(1));
    case Op::Lt: return arg(0) < arg(1);
    case Op::Le: return arg(0) <= arg(1);
    case Op::Eq: return arg(0) == arg(1);
    case Op::Ne: return arg(0) != arg(1);
    case Op::And: return arg(0) && arg(1);
    case Op::Or: return arg(0) || arg(1);
    default: throw std::logic_error("requirement");
  }
}

void add_axes(const ir::Graph& g, Id node, std::vector<Id>* axes) {
  const ir::Node& n = g.at(node);
  if (n.op == Op::Extent && std::find(axes->begin(), axes->end(), n.sym) == axes->end()) axes->push_back(n.sym);
  for (Id a : n.args) add_axes(g, a, axes);
}

bool at_most(const ir::Graph& g, Id length, Id axis, bool parts) {
  const ir::Node& n = g.at(length);
  if (n.op == Op::Extent) return n.sym == axis;
  if (n.op != Op::Sub && (n.op != Op::Div || !parts)) return false;
  const ir::Node& by = g.at(n.args[1]);
  return by.op == Op::Const && by.value >= (n.op == Op::Sub ? 0 : 1) && at_most(g, n.args[0], axis, parts);
}

}  // namespace

std::vector<double> default_params(const Program& p) {
  std::vector<double> out;
  for (const ir::Param& q : p.graph.params) out.push_back(q.fallback);
  return out;
}

void derive_extents(const ir::Graph& g, const std::vector<double>& params, std::vector<int64_t>* extents) {
  for (size_t a = 0; a < g.axes.size(); a++)  // a length is made of earlier axes alone
    if (g.axes[a].length != ir::kNone) (*extents)[a] = std::max<int64_t>(value(g, g.axes[a].length, *extents, params), 0);
}

bool never_longer(const ir::Graph& g, Id axis, Id other, bool parts) {
  return axis == other || (g.axes[axis].length != ir::kNone && at_most(g, g.axes[axis].length, other, parts));
}

const Requirement* unmet(const Program& p, const std::vector<int64_t>& extents) {
  for (const Requirement& r : p.requirements)
    if (value(p.graph, r.node, extents) == 0) return &r;
  return nullptr;
}

std::vector<Id> axes_of(const Program& p, const Requirement& r) {
  std::vector<Id> axes;
  add_axes(p.graph, r.node, &axes);
  return axes;
}

}  // namespace lossc
