// Two indices over one batch axis (i, j) mostly read the same features from two sides: normalize(z(i,d)) and
// normalize(z(j,d)). Written as one stored value looked up at j, the value is computed once and, in the derivative,
// what flows back from both sides meets before it goes further: half the work, and the transposed contraction
// (sum_i G(i,j) z(i,d)) keeps its own index until then, which is what lets the plan run it inside the row panel.
#include <map>

#include "program.h"

namespace lossc {
namespace {

using ir::Id;
using ir::IndexSet;
using ir::Op;

class Sharer {
 public:
  explicit Sharer(ir::Graph& graph) : g_(graph) {}

  Id rewrite(Id node) {
    if (auto it = done_.find(node); it != done_.end()) return it->second;
    if (const Id same = over_canonical(node); same != node) return done_[node] = rewrite(same);
    const ir::Node n = g_.at(node);
    Id result = lookup(node);
    if (result == ir::kNone) {
      std::vector<Id> args;
      for (Id a : n.args) args.push_back(rewrite(a));
      result = args == n.args ? node : g_.with_args(n, args);
    }
    return done_[node] = result;
  }

 private:
  // A reduction over a twin of what has nothing of the other one is the same over that. What is reduced would be stored to be
  // looked up: of the second filter of two (one along rows, one along columns), all places of all windows.
  Id over_canonical(Id node) {
    const ir::Node& n = g_.at(node);
    if (n.op != Op::Reduce || n.carried || g_.canonical(n.sym) == n.sym) return node;
    const Id c = g_.canonical(n.sym);
    return g_.free(n.args[0]) & ir::bit(c) ? node : g_.swap_indices(node, n.sym, c);
  }

  // The node as a lookup at(canonical form, i := j), or kNone where that would not help: leaves, integers and truth
  // values are cheaper to read or recompute than to store.
  Id lookup(Id node) {
    const ir::Node n = g_.at(node);
    if (n.type != ir::Type::Float || n.op == Op::Load || n.op == Op::At || n.op == Op::Const || n.op == Op::After ||
        n.op == Op::Scan || n.op == Op::WholeByHand)
      return ir::kNone;
    if (n.carried) return ir::kNone;  // of a step: there is nothing to share, what is carried is there at its place alone
    Id twin = ir::kNone;
    for (Id k = 0; k < static_cast<Id>(g_.indices.size()); k++)
      if (g_.free(node) & ir::bit(k) && g_.canonical(k) != k) {
        if (twin != ir::kNone) return ir::kNone;
        twin = k;
      }
    if (twin == ir::kNone) return ir::kNone;
    const Id c = g_.canonical(twin);
    if (g_.free(node) & ir::bit(c)) return ir::kNone;
    return g_.at_index(rewrite(g_.swap_indices(node, twin, c)), c, g_.index(twin));
  }

  ir::Graph& g_;
  std::map<Id, Id> done_;
};

}  // namespace

std::vector<Id> share_twins(ir::Graph& graph, const std::vector<Id>& roots) {
  Sharer sharer(graph);
  std::vector<Id> out;
  for (Id r : roots) out.push_back(sharer.rewrite(r));
  return out;
}

}  // namespace lossc
