// Lookups as a kernel can make them. A lookup keeps its place within the memory that it reads; what it reads nothing of, it
// cannot keep within. So no place may go by that of a lookup around it:
//
//   at(at(e, k := p(j)), j := q)  becomes  at(e, k := p(q)),  where p, if it is in memory, is a lookup of its own,
//
// and an index that runs along another axis is kept within the one looked up. (What the oracle says of a place out of range,
// NaN, no kernel promises: see Oracle::round_like.)
#include <algorithm>
#include <map>

#include "planner.h"

namespace lossc::plan {
namespace {

using ir::kNone;
using ir::Op;

struct Place {
  Id index, key;
};

class Settler {
 public:
  explicit Settler(ir::Graph& g) : g_(g) {}

  Id rewrite(Id node) {
    if (auto it = done_.find(node); it != done_.end()) return it->second;
    const ir::Node n = g_.at(node);
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(rewrite(a));
    if (n.op == Op::Load)
      for (size_t k = 0; k < args.size(); k++) args[k] = within(args[k], g_.tensors[n.sym].dims[k]);
    if (n.op == Op::At) return done_[node] = look_up(args[0], n.sym, within(args[1], n.sym));
    return done_[node] = args == n.args ? node : g_.with_args(n, args);
  }

 private:
  // A plain index is read without a look at where the memory ends: right for its own axis, and for one that is no shorter.
  Id within(Id key, Id index) {
    const Id plain = g_.plain_index(key), axis = g_.indices[index].axis;
    if (plain == kNone || never_longer(g_, g_.indices[plain].axis, axis, true)) return key;
    return g_.binary(Op::Min, key, g_.binary(Op::Sub, g_.extent(axis), g_.constant(1, ir::Type::Int)));
  }

  // Made of leaves alone, and cheaper to compute at the place wanted than to store at all places.
  bool cheap(Id node) const {
    const ir::Node& n = g_.at(node);
    if (n.op == Op::At || n.op == Op::Reduce || n.op == Op::After || n.op == Op::Scan || ir::makes_index(n.op)) return false;
    if (ir::transcendental(n.op) || n.op == Op::ByHand || n.op == Op::WholeByHand) return false;
    return std::all_of(n.args.begin(), n.args.end(), [&](Id a) { return cheap(a); });
  }

  // The place of a lookup, itself at another place.
  Id moved(Id place, Id index, Id key) {
    if (!(g_.free(place) & ir::bit(index))) return place;
    const ir::Node n = g_.at(place);
    if (n.op == Op::Index) return key;
    if (n.op != Op::Load && !cheap(place)) return look_up(place, index, key);
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(moved(a, index, key));
    return g_.with_args(n, args);
  }

  // at(e, index := key), where the lookups in e are as wanted already.
  Id look_up(Id e, Id index, Id key) {
    if (g_.at(e).op == Op::Load) return moved(e, index, key);
    std::vector<Place> places;  // outermost first
    Id value = e;
    for (; g_.at(value).op == Op::At; value = g_.at(value).args[0]) places.push_back({g_.at(value).sym, g_.at(value).args[1]});
    const auto goes_by = [&](const Place& p) { return (g_.free(p.key) & ir::bit(index)) != 0; };
    if (std::none_of(places.begin(), places.end(), goes_by)) return g_.at_index(e, index, key);
    for (Place& p : places) p.key = moved(p.key, index, key);
    const bool bound = std::any_of(places.begin(), places.end(), [&](const Place& p) { return p.index == index; });
    if (!bound && (g_.free(value) & ir::bit(index))) places.push_back({index, key});
    return all_at_once(value, places);
  }

  // Each key means what its indices are outside of all these lookups: it goes around those that bind one of them.
  Id all_at_once(Id value, std::vector<Place> places) {
    std::vector<Place> renamed;
    while (!places.empty()) {
      const auto free_of_others = [&](const Place& p) {
        return std::none_of(places.begin(), places.end(), [&](const Place& q) { return q.index != p.index && (g_.free(p.key) & ir::bit(q.index)); });
      };
      auto next = std::find_if(places.rbegin(), places.rend(), free_of_others);
      const bool each_by_another = next == places.rend();
      if (each_by_another) next = places.rbegin();
      value = each_by_another ? under_fresh_name(value, *next, renamed) : g_.at_index(value, next->index, next->key);
      places.erase(std::next(next).base());
    }
    for (const Place& p : renamed) value = g_.at_index(value, p.index, p.key);
    return value;
  }

  // The lookup with a name that no key has, which can therefore be bound around all of them. As what it reads nothing of, it
  // must be within the axis by itself.
  Id under_fresh_name(Id value, const Place& p, std::vector<Place>& renamed) {
    const Id last = g_.binary(Op::Sub, g_.extent(g_.indices[p.index].axis), g_.constant(1, ir::Type::Int));
    if (g_.indices.size() > 63) throw DefinitionError("a lookup at places that go by each other needs more than 63 indices; not supported yet");
    g_.indices.push_back(g_.indices[p.index]);
    renamed.push_back({static_cast<Id>(g_.indices.size()) - 1, g_.binary(Op::Max, g_.binary(Op::Min, p.key, last), g_.constant(0, ir::Type::Int))});
    return g_.at_index(value, p.index, g_.index(renamed.back().index));
  }

  ir::Graph& g_;
  std::map<Id, Id> done_;
};

}  // namespace

std::vector<Id> lookups_of(const ir::Graph& g, Id at) {
  std::vector<Id> out;
  for (; g.at(at).op == Op::At; at = g.at(at).args[0]) out.push_back(at);
  return out;
}

bool says_its_bounds(const ir::Graph& g, Id place) {  // as under_fresh_name makes it
  return g.at(place).op == Op::Max && g.at(g.at(place).args[0]).op == Op::Min;
}

std::vector<Id> settle_lookups(ir::Graph& graph, const std::vector<Id>& roots) {
  Settler settler(graph);
  std::vector<Id> out;
  for (Id r : roots) out.push_back(settler.rewrite(r));
  return out;
}

}  // namespace lossc::plan
