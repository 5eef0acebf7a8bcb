// Sums of products between sides of two indices each, such as the similarities of all views of all items, or of rows and all
// centres of all classes, as products of matrices: the pair of indices is one of an axis as long as both,
//
//   sum_d a(n, v, d) b(c, d)  becomes  at(sum_d a(p / V, p % V, d) b(c, d), p := n V + v),
//
// which the planner takes for a product, and so what flows back through it. So is a sum over two indices of products of which
// both sides have them both, such as the covariance of features over all places of all images:
//
//   sum_n sum_p a(n, p, d) b(n, p, e)  becomes  sum_r a(r / P, r % P, d) b(r / P, r % P, e).
//
// And where keys are a table of two indices, the classes of all tokens of all rows, there is an axis as long as both for what
// flows back to what they look up (Differentiator::collect).
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

// Of a product all of which, or some factors, a mask lets through or makes 0.
struct MaskedProduct {
  std::vector<Id> factors, masks;
};
void take_apart(const ir::Graph& g, Id node, MaskedProduct* out) {
  const ir::Node& n = g.at(node);
  if (n.op == Op::Mul) {
    for (Id a : n.args) take_apart(g, a, out);
  } else if (n.op == Op::Select && g.is_const(n.args[2], 0)) {
    out->masks.push_back(n.args[0]);
    take_apart(g, n.args[1], out);
  } else {
    out->factors.push_back(node);
  }
}

class Folder {
 public:
  Folder(ir::Graph& g, const std::vector<Id>& roots) : g_(g) {
    for (Id node : ir::topological(g, roots))
      for (Id a : g.at(node).args) uses_[a]++;
    for (Id r : roots) uses_[r]++;
  }

  Id rewrite(Id node) {
    if (auto it = done_.find(node); it != done_.end()) return it->second;
    if (const Id one = one_sum(node); one != node) return done_[node] = rewrite(one);
    const ir::Node n = g_.at(node);
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(rewrite(a));
    const Id same = args == n.args ? node : g_.with_args(n, args);
    name_pairs_of_keys(same);
    return done_[node] = folded(same);
  }

 private:
  static constexpr size_t kPlenty = 40;  // of the names that there are, the derivative wants some, too

  // Factors that share an index are of one side.
  std::vector<Side> sides_of(const std::vector<Id>& factors, IndexSet summed) const {
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
    for (size_t k = first; k < n.args.size(); k++) {
      const auto [high, low] = pair_of_keys(g_, n.args[k], g_.free(n.args[k]) & ~kept);
      if (high != kNone && foldable(ir::bit(high) | ir::bit(low))) index_of(high, low, 0);
    }
  }

  bool is_long_sum(Id node) const {
    const ir::Node& n = g_.at(node);
    return n.op == Op::Reduce && n.kind == ir::ReduceKind::Sum && !n.carried && !g_.short_axis(n.sym);
  }
  // Of axes that every call has, as they are.
  bool plain(IndexSet indices) const {
    const std::vector<Id> all = ir::members(indices);
    return std::all_of(all.begin(), all.end(), [&](Id k) {
      return !g_.axes[g_.indices[k].axis].flat && !g_.axes[g_.indices[k].axis].optional;
    });
  }
  bool foldable(IndexSet side) const { return side && ir::members(side).size() <= 2 && plain(side); }

  // The operand of a sum, with that of each sum in it in the sum's place, and what those are over: the sum of a sum of it, and
  // of it times a factor, is a sum over both. A sum that is read elsewhere, too, stays.
  Id without_sums(Id node, std::vector<Id>* over) {
    const ir::Node n = g_.at(node);
    if (is_long_sum(node) && uses_[node] <= 1) {
      over->push_back(n.sym);
      return without_sums(n.args[0], over);
    }
    if (n.op == Op::Select && g_.is_const(n.args[2], 0)) return g_.select(n.args[0], without_sums(n.args[1], over), n.args[2]);
    if (n.op != Op::Mul) return node;
    for (size_t k = 0; k < 2; k++) {
      const size_t before = over->size();
      const Id inner = without_sums(n.args[k], over);
      if (over->size() > before) return g_.binary(Op::Mul, inner, n.args[1 - k]);
    }
    return node;
  }

  // Whether it is a product of two sides, apart from what is summed over, and both have all of that: nothing of it can be summed
  // before they are multiplied.
  bool is_product(Id body, IndexSet summed) const {
    MaskedProduct product;
    take_apart(g_, body, &product);
    size_t count = 0;
    const std::vector<Side> sides = sides_of(product.factors, summed);
    for (const Side& side : sides) {
      if (!side.indices) continue;
      IndexSet has = 0;
      for (Id f : side.factors) has |= g_.free(f);
      const std::vector<Id> own = ir::members(side.indices);
      const bool any_short = std::any_of(own.begin(), own.end(), [&](Id k) { return g_.short_axis(k); });
      if ((has & summed) != summed || !foldable(side.indices) || any_short) return false;
      count++;
    }
    const auto of_one_side = [&](Id mask) {
      const IndexSet free = g_.free(mask) & ~summed;
      return std::any_of(sides.begin(), sides.end(), [&](const Side& side) { return !(free & ~side.indices); });
    };
    return count == 2 && std::all_of(product.masks.begin(), product.masks.end(), of_one_side);
  }

  // Sums in one another of a product as one sum, over an index of an axis as long as theirs together.
  Id one_sum(Id node) {
    if (!is_long_sum(node) || g_.indices.size() >= kPlenty) return node;
    std::vector<Id> over{g_.at(node).sym};
    Id body = without_sums(g_.at(node).args[0], &over);
    IndexSet summed = 0;
    for (Id k : over) summed |= ir::bit(k);
    if (over.size() < 2 || ir::members(summed).size() != over.size() || !plain(summed) || !is_product(body, summed)) return node;
    over = as_they_lie(body, summed);
    Id low = over.back();
    for (size_t k = over.size() - 1; k-- > 0;) {
      const Id pair = index_of(over[k], low, names_in(body));
      body = factors_at_pair(body, over[k], low, pair);
      low = pair;
    }
    return g_.reduce(ir::ReduceKind::Sum, low, body);
  }

  Id folded(Id node) {
    const ir::Node n = g_.at(node);
    if (!is_long_sum(node) || g_.indices.size() >= kPlenty) return node;
    std::vector<Id> factors;
    factors_of(g_, n.args[0], &factors);
    const std::vector<Side> sides = sides_of(factors, ir::bit(n.sym));
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

  // In the order of a tensor that has them all: its elements are then read one after another.
  std::vector<Id> as_they_lie(Id operand, IndexSet side) const {
    const std::vector<Id> all = ir::members(side);
    if (all.size() < 2) return all;
    for (Id node : ir::topological(g_, {operand})) {
      if (g_.at(node).op != Op::Load) continue;
      std::vector<Id> found;
      for (Id place : g_.at(node).args)
        if (const Id index = g_.plain_index(place); std::find(all.begin(), all.end(), index) != all.end()) found.push_back(index);
      if (found.size() == all.size()) return found;
    }
    return all;
  }

  Id as_one(Id operand, Id high, Id low, std::vector<std::pair<Id, Id>>* places) {
    IndexSet taken = names_in(operand);
    for (const auto& [index, key] : *places) taken |= ir::bit(index);
    const Id p = index_of(high, low, taken);
    places->emplace_back(p, g_.binary(Op::Add, g_.binary(Op::Mul, g_.index(high), g_.extent(g_.indices[low].axis)), g_.index(low)));
    return at_pair(operand, high, low, p);
  }
  Id at_pair(Id operand, Id high, Id low, Id pair) {
    const Id length = g_.extent(g_.indices[low].axis), at = g_.index(pair);
    operand = g_.at_index(operand, high, g_.binary(Op::Div, at, length));
    return g_.at_index(operand, low, g_.binary(Op::Mod, at, length));
  }

  // The same in each factor and mask of a product.
  Id factors_at_pair(Id node, Id high, Id low, Id pair) {
    const ir::Node n = g_.at(node);
    const auto inside = [&](Id a) { return factors_at_pair(a, high, low, pair); };
    if (n.op == Op::Mul) return g_.binary(Op::Mul, inside(n.args[0]), inside(n.args[1]));
    if (n.op == Op::Select && g_.is_const(n.args[2], 0)) return g_.select(inside(n.args[0]), inside(n.args[1]), n.args[2]);
    return at_pair(node, high, low, pair);
  }

  // Of all that an expression is made of, free or not: another name in its place must be none of them.
  IndexSet names_in(Id node) const {
    IndexSet names = 0;
    for (Id part : ir::topological(g_, {node})) {
      const ir::Node& n = g_.at(part);
      names |= n.free;
      if (ir::binds_index(n.op) && n.sym != kNone) names |= ir::bit(n.sym);
    }
    return names;
  }

  // The first index, of those not taken, of the axis that is as long as both together.
  Id index_of(Id high, Id low, IndexSet taken) {
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
      if (g_.indices[k].axis == axis && !(taken & ir::bit(k))) return k;
    g_.indices.push_back({fmt::format("{}{}{}", g_.indices[high].name, g_.indices[low].name, g_.indices.size()), axis});
    return static_cast<Id>(g_.indices.size()) - 1;
  }

  ir::Graph& g_;
  std::map<Id, Id> done_;
  std::map<Id, int> uses_;
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
  std::vector<Id> present, out;
  for (Id r : roots)
    if (r != kNone) present.push_back(r);
  Folder folder(graph, present);
  for (Id r : roots) out.push_back(r == kNone ? r : folder.rewrite(r));
  return out;
}

}  // namespace lossc
