// Sums of products between sides of two indices each, such as the similarities of all views of all items, or of rows and all
// centres of all classes, as products of matrices: the pair of indices is one of an axis as long as both,
//
//   sum_d a(n, v, d) b(c, d)  becomes  at(sum_d a(p / V, p % V, d) b(c, d), p := n V + v),
//
// which the planner takes for a product, and so what flows back through it. And where keys are a table of two indices, the
// classes of all tokens of all rows, there is an axis as long as both for what flows back to what they look up
// (Differentiator::collect).
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "builder.h"

namespace lossc {

namespace {

using ir::Id;
using ir::IndexSet;
using ir::kNone;
using ir::Op;
using ir::Type;

struct Side {
  IndexSet indices = 0;  // besides the one summed over
  std::vector<Id> factors;
};

void factors_of(const ir::Graph& g, Id node, std::vector<Id>* out) {
  const ir::Node& n = g.at(node);
  if (n.op != Op::Mul) return out->push_back(node);
  for (Id a : n.args) factors_of(g, a, out);
}

class Folder {
 public:
  explicit Folder(ir::Graph& g) : g_(g) {}

  Id rewrite(Id node) {
    if (auto it = done_.find(node); it != done_.end()) return it->second;
    const ir::Node n = g_.at(node);
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(rewrite(a));
    const Id same = args == n.args ? node : g_.with_args(n, args);
    name_pairs_of_keys(same);
    return done_[node] = folded(same);
  }

 private:
  // Factors that share an index are of one side.
  std::vector<Side> sides_of(Id product, IndexSet summed) const {
    std::vector<Id> factors;
    factors_of(g_, product, &factors);
    std::vector<Side> sides;
    for (Id f : factors) {
      Side merged{g_.free(f) & ~summed, {f}};
      for (size_t s = sides.size(); s-- > 0;) {
        if (!(sides[s].indices & merged.indices)) continue;
        merged.indices |= sides[s].indices;
        merged.factors.insert(merged.factors.begin(), sides[s].factors.begin(), sides[s].factors.end());
        sides.erase(sides.begin() + static_cast<long>(s));
      }
      sides.push_back(merged);
    }
    return sides;
  }

  void name_pairs_of_keys(Id node) {
    const ir::Node n = g_.at(node);
    if (n.type != Type::Float || n.carried || g_.indices.size() >= kPlenty) return;
    if (n.op != Op::At && (n.op != Op::Load || !g_.tensors[n.sym].differentiable)) return;
    const size_t first = n.op == Op::At ? 1 : 0;
    IndexSet kept = first ? g_.free(n.args[0]) : 0;  // of the result, so that they are not summed over
    for (size_t k = first; k < n.args.size(); k++)
      if (const Id index = g_.plain_index(n.args[k]); index != kNone) kept |= ir::bit(index);
    for (size_t k = first; k < n.args.size(); k++)
      if (const auto [high, low] = pair_of_keys(g_, n.args[k], g_.free(n.args[k]) & ~kept); high != kNone && foldable(ir::bit(high) | ir::bit(low)))
        index_of(high, low, 0);
  }

  // One index or two, of axes that every call has, as they are.
  bool foldable(IndexSet side) const {
    const std::vector<Id> indices = ir::members(side);
    return !indices.empty() && indices.size() <= 2 && std::all_of(indices.begin(), indices.end(), [&](Id k) {
      return !g_.axes[g_.indices[k].axis].flat && !g_.axes[g_.indices[k].axis].optional;
    });
  }

  Id folded(Id node) {
    const ir::Node n = g_.at(node);
    if (n.op != Op::Reduce || n.kind != ir::ReduceKind::Sum || n.carried || g_.short_axis(n.sym) || g_.indices.size() >= kPlenty) return node;
    const std::vector<Side> sides = sides_of(n.args[0], ir::bit(n.sym));
    if (sides.size() != 2 || !foldable(sides[0].indices) || !foldable(sides[1].indices) || ir::members(n.free).size() < 3) return node;
    std::vector<std::pair<Id, Id>> places;  // of the product's new indices
    Id product = kNone;
    for (const Side& side : sides) {
      Id operand = kNone;
      for (Id f : side.factors) operand = operand == kNone ? f : g_.binary(Op::Mul, operand, f);
      if (const std::vector<Id> pair = as_they_lie(operand, side.indices); pair.size() == 2) operand = as_one(operand, pair[0], pair[1], &places);
      product = product == kNone ? operand : g_.binary(Op::Mul, product, operand);
    }
    Id result = g_.reduce(ir::ReduceKind::Sum, n.sym, product);
    for (const auto& [index, key] : places) result = g_.at_index(result, index, key);
    return result;
  }

  // In the order of a tensor that has them both: its elements are then read one after another.
  std::vector<Id> as_they_lie(Id operand, IndexSet side) const {
    std::vector<Id> pair = ir::members(side);
    if (pair.size() != 2) return pair;
    for (Id node : ir::topological(g_, {operand})) {
      if (g_.at(node).op != Op::Load) continue;
      std::vector<Id> found;
      for (Id place : g_.at(node).args)
        if (const Id index = g_.plain_index(place); index == pair[0] || index == pair[1]) found.push_back(index);
      if (found.size() == 2) return found;
    }
    return pair;
  }

  Id as_one(Id operand, Id high, Id low, std::vector<std::pair<Id, Id>>* places) {
    const Id length = g_.extent(g_.indices[low].axis), p = index_of(high, low, places->size()), at = g_.index(p);
    operand = g_.at_index(operand, high, g_.binary(Op::Div, at, length));
    operand = g_.at_index(operand, low, g_.binary(Op::Mod, at, length));
    places->emplace_back(p, g_.binary(Op::Add, g_.binary(Op::Mul, g_.index(high), length), g_.index(low)));
    return operand;
  }

  // The first or second index of the axis that is as long as both together.
  Id index_of(Id high, Id low, size_t which) {
    const Id a = g_.indices[high].axis, b = g_.indices[low].axis, length = g_.binary(Op::Mul, g_.extent(a), g_.extent(b));
    Id axis = kNone;
    for (Id k = 0; k < static_cast<Id>(g_.axes.size()) && axis == kNone; k++)
      if (g_.axes[k].length == length) axis = k;
    if (axis == kNone) {
      axis = static_cast<Id>(g_.axes.size());
      std::string name = fmt::format("{}*{}", g_.axes[a].name, g_.axes[b].name);
      while (std::any_of(g_.axes.begin(), g_.axes.end(), [&](const ir::Axis& other) { return other.name == name; })) name += "'";
      g_.axes.push_back({.name = name,
                         .doc = fmt::format("{} and {} as one", g_.axes[a].name, g_.axes[b].name), .length = length});
      B().axes_at.push_back(Where());
    }
    for (Id k = 0; k < static_cast<Id>(g_.indices.size()); k++)
      if (g_.indices[k].axis == axis && which-- == 0) return k;
    do {
      g_.indices.push_back({fmt::format("{}{}{}", g_.indices[high].name, g_.indices[low].name, g_.indices.size()), axis});
    } while (which-- > 0);
    return static_cast<Id>(g_.indices.size()) - 1;
  }

  static constexpr size_t kPlenty = 40;  // of the names that there are, the derivative wants some, too
  ir::Graph& g_;
  std::map<Id, Id> done_;
};

}  // namespace

std::pair<Id, Id> pair_of_keys(const ir::Graph& g, Id key, IndexSet among) {
  for (Id node : ir::topological(g, {key})) {
    const ir::Node& n = g.at(node);
    if (n.op != Op::Load) continue;
    std::vector<Id> pair;
    for (Id place : n.args)
      if (const Id index = g.plain_index(place); index != kNone && (among & ir::bit(index))) pair.push_back(index);
    if (pair.size() == 2 && pair[0] != pair[1]) return {pair[0], pair[1]};
  }
  return {kNone, kNone};
}

std::vector<Id> fold_sides(ir::Graph& graph, const std::vector<Id>& roots) {
  Folder folder(graph);
  std::vector<Id> out;
  for (Id r : roots) out.push_back(r == kNone ? r : folder.rewrite(r));
  return out;
}

}  // namespace lossc
