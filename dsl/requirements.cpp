// Extents: those that follow from others, and whether they meet what a loss requires.
#include <algorithm>
#include <cmath>
#include <set>
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
  if (n.op == Op::Extent && g.axes[n.sym].length != ir::kNone) return add_axes(g, g.axes[n.sym].length, axes);
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

bool meets(const Program& p, const Requirement& r, const std::vector<int64_t>& extents) { return value(p.graph, r.node, extents) != 0; }

const Requirement* unmet(const Program& p, const std::vector<int64_t>& extents) {
  for (const Requirement& r : p.requirements)
    if (!meets(p, r, extents)) return &r;
  return nullptr;
}

ir::Id other_than_extents(const ir::Graph& g, Id node) {
  const ir::Node& n = g.at(node);
  switch (n.op) {
    case Op::Const: case Op::Extent: case Op::Neg: case Op::Not: case Op::Add: case Op::Sub: case Op::Mul: case Op::Div:
    case Op::Mod: case Op::Max: case Op::Min: case Op::Lt: case Op::Le: case Op::Eq: case Op::Ne: case Op::And: case Op::Or:
      if (n.type != ir::Type::Float) break;
      [[fallthrough]];
    default: return node;
  }
  for (Id a : n.args)
    if (const Id other = other_than_extents(g, a); other != ir::kNone) return other;
  return ir::kNone;
}

std::vector<int64_t> lengths_met_by(const Program& p, Id tensor, const std::vector<int64_t>& extents) {
  const ir::Graph& g = p.graph;
  const auto is_label = [&](Id node) { return g.at(node).op == Op::Load && g.at(node).sym == tensor; };
  std::set<int64_t> found;
  for (const ir::Node& n : g.nodes) {
    if (n.op != Op::Lt && n.op != Op::Le) continue;
    for (const size_t k : {0, 1}) {
      if (!is_label(n.args[k]) || other_than_extents(g, n.args[1 - k]) != ir::kNone) continue;
      if (const int64_t length = value(g, n.args[1 - k], extents); length > 0) found.insert(length);
    }
  }
  return {found.begin(), found.end()};
}

std::vector<Id> axes_of(const ir::Graph& g, Id node) {
  std::vector<Id> axes;
  add_axes(g, node, &axes);
  return axes;
}

}  // namespace lossc
