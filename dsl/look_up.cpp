// A value at another place: what of it is looked up in memory, and what is computed there.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "builder.h"

namespace lossc {

using ir::Id;
using ir::Op;

namespace {

// Whether some tensor read in `node` has all of these indices: what is stored over them is no wider than that.
bool read_together(Id node, ir::IndexSet indices) {
  const ir::Graph& g = G();
  for (Id v : ir::topological(g, {node})) {
    const bool tensor = g.at(v).op == Op::Load || g.at(v).op == Op::After;
    if (tensor && !(indices & ~g.free(v))) return true;
  }
  return false;
}

// How many values of memory it reads at another place than its own.
size_t neighbours(Id node) {
  const ir::Graph& g = G();
  const auto plain = [&](Id place) { return g.plain_index(place) != ir::kNone; };
  std::set<Id> seen;
  size_t found = 0;
  std::function<void(Id)> visit = [&](Id v) {
    const ir::Node& n = g.at(v);
    if (!seen.insert(v).second || n.op == Op::Reduce) return;
    if (n.op == Op::At) found += !plain(n.args[1]);
    else if (n.op == Op::Load) found += !std::all_of(n.args.begin(), n.args.end(), plain);
    else std::for_each(n.args.begin(), n.args.end(), visit);
  };
  visit(node);
  return found;
}

// Neighbours of so many that are made of many themselves (an opening: the greatest of nine of the least of five) are as many
// as both multiplied, and what flows back goes as many ways: better looked up in what was computed once for all.
constexpr size_t kManyNeighbours = 3;

void refuse_bound(Id node, Id key) {
  const ir::Node& n = G().at(node);
  if (n.op == Op::Reduce && (G().free(key) & ir::bit(n.sym)))
    B().fail(fmt::format("at: `{}` uses index '{}', over which `{}` already reduces; use a twin", B().show(key),
                         G().indices[n.sym].name, B().show(node)));
}

// Of an order, a running sum or a lookup at its own index: a key that has that index means the one outside.
bool captures(const ir::Node& n, Id index, Id key) {
  const bool binds = n.op == Op::At || ir::whole_axis(n.op);
  return binds && n.sym != index && (G().free(key) & ir::bit(n.sym)) && (G().free(n.args[0]) & ir::bit(index));
}

// Several places at once: no key is looked up at the place of another, as it would be one after the other.
struct Place {
  Id index, key;
};
Id look_up_all(Id node, std::vector<Place> places) {
  auto& g = G();
  std::erase_if(places, [&](const Place& p) { return !(g.free(node) & ir::bit(p.index)); });
  if (places.empty()) return node;
  if (places.size() == 1) return look_up(node, places[0].index, places[0].key);
  const ir::Node n = g.at(node);
  ir::IndexSet indices = 0, keys = 0;
  for (const Place& p : places) indices |= ir::bit(p.index), keys |= g.free(p.key), refuse_bound(node, p.key);
  const bool whole = ir::makes_index(n.op) || n.op == Op::After || n.op == Op::WholeByHand;
  if (whole || (n.op == Op::Reduce && read_together(node, g.free(node)))) {
    for (Place& p : places) {  // under names that no key has
      g.indices.push_back(g.indices[p.index]);
      const Id fresh = static_cast<Id>(g.indices.size()) - 1;
      node = g.swap_indices(node, p.index, fresh);
      p.index = fresh;
    }
    for (const Place& p : places) node = g.at_index(node, p.index, p.key);
    return node;
  }
  if (n.op == Op::At) {
    const Id key = look_up_all(n.args[1], places);
    std::erase_if(places, [&](const Place& p) { return p.index == n.sym; });
    places.push_back({n.sym, key});
    return look_up_all(n.args[0], places);
  }
  std::vector<Id> args;
  for (Id a : n.args) args.push_back(look_up_all(a, places));
  return g.with_args(n, args);
}

}  // namespace

Id look_up(Id node, Id index, Id key) {
  auto& g = G();
  if (!(g.free(node) & ir::bit(index))) return node;
  const ir::Node n = g.at(node);
  if ((ir::whole_axis(n.op) && n.sym2 == index) || n.op == Op::Scatter) return g.at_index(node, index, key);
  if (n.op == Op::Load || n.op == Op::Index || n.op == Op::After || n.op == Op::WholeByHand) return g.at_index(node, index, key);
  if (!(g.free(node) & g.free(key))) {
    // All of it is looked up: the value is stored once, under the canonical index, whoever reads it.
    Id c = g.canonical(index);
    if (c != index && !(g.free(node) & ir::bit(c))) return g.at_index(g.swap_indices(node, index, c), c, key);
    return g.at_index(node, index, key);
  }
  // A neighbour of what is reduced is looked up, not reduced again, unless that would store pairs.
  if (n.op == Op::Reduce && (g.free(node) & g.free(key)) == ir::bit(index) && read_together(node, g.free(node)))
    return g.at_index(node, index, key);
  refuse_bound(node, key);
  const bool stencil = n.type == ir::Type::Float && n.op != Op::At && (g.free(node) & g.free(key)) == ir::bit(index);
  if (stencil && read_together(node, g.free(node)) && neighbours(node) >= kManyNeighbours) return g.at_index(node, index, key);
  if (captures(n, index, key)) {
    if (n.op != Op::At) return g.at_index(node, index, key);
    return look_up_all(n.args[0], {{index, key}, {n.sym, look_up(n.args[1], index, key)}});
  }
  std::vector<Id> args;
  for (Id a : n.args) {
    const bool elsewhere = n.op == Op::At && n.sym == index && args.empty();  // its index is where it is looked up
    args.push_back(elsewhere ? a : look_up(a, index, key));
  }
  return g.with_args(n, args);
}

}  // namespace lossc
