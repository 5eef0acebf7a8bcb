#include "generators/cli/ir_text.h"

#include <fmt/format.h>

namespace lossc::cli {
namespace {

bool leaf(const ir::Node& n) {
  switch (n.op) {
    case ir::Op::Const:
    case ir::Op::Param:
    case ir::Op::Index:
    case ir::Op::Extent:
      return true;
    default:
      return false;
  }
}

// A load is short enough to be repeated, unless what it is read at is not.
bool repeat(const ir::Graph& g, const ir::Node& n) {
  if (leaf(n)) return true;
  if (n.op != ir::Op::Load) return false;
  for (ir::Id a : n.args)
    if (!leaf(g.at(a))) return false;
  return true;
}

std::string indices(const ir::Graph& g, ir::Id node) {
  std::string text;
  for (ir::Id i = 0; i < static_cast<ir::Id>(g.indices.size()); i++)
    if (g.free(node) & ir::bit(i)) text += (text.empty() ? "" : ",") + g.indices[i].name;
  return text.empty() ? "" : "[" + text + "]";
}

}  // namespace

// In a copy, a shared node becomes a param of its name once it has been printed, so that its users print the name.
std::string ir_text(ir::Graph g, const Roots& roots) {
  constexpr int kWhole = 10000;
  std::vector<ir::Id> ids;
  for (const auto& [name, node] : roots)
    if (node != ir::kNone) ids.push_back(node);
  const std::vector<ir::Id> order = ir::topological(g, ids);
  std::vector<int> uses(g.nodes.size());
  for (ir::Id n : order)
    for (ir::Id a : g.at(n).args) uses[a]++;
  std::string text;
  int count = 0;
  for (ir::Id n : order) {
    if (uses[n] < 2 || repeat(g, g.at(n))) continue;
    const std::string name = fmt::format("t{}{}", ++count, indices(g, n));
    text += fmt::format("  {} = {}\n", name, ir::print(g, n, kWhole));
    ir::Node named{.op = ir::Op::Param, .type = g.type(n), .sym = static_cast<ir::Id>(g.params.size())};
    named.free = g.free(n);
    g.params.push_back({.name = name});
    g.nodes[n] = named;
  }
  for (const auto& [name, node] : roots)
    if (node != ir::kNone) text += fmt::format("  {}{} = {}\n", name, indices(g, node), ir::print(g, node, kWhole));
  return text;
}

std::string value_text(const Program& p) {
  Roots roots = {{"value", p.value}, {"valid", p.valid}, {"mean_weight", p.mean_weight}};
  for (const NamedOutput& o : p.outputs) roots.push_back({o.name, o.node});
  return ir_text(p.graph, roots);
}

std::string gradient_text(const Program& p) {
  Roots roots;
  for (const Gradient& g : p.gradients) roots.push_back({"grad_" + p.graph.tensors[g.tensor].name, g.node});
  return ir_text(p.graph, roots);
}

}  // namespace lossc::cli
