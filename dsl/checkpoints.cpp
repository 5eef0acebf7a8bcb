// Recurrences of which checkpoints are kept, cut into segments.
//
//   s(t) = F(t, s(t-1)), t < T  becomes, with t = c K + p,  S(c) = s(c, K-1),  s(c, p) = t < T ? F(t, s(c, p-1)) : s(c, p-1)
//
// that is a recurrence over the segments c, whose step is one over the places p of a segment that starts from S(c-1). Of the
// inner one a single segment is there at a time. Places behind the last one change nothing. A value that is read elsewhere than
// after the last place is collected segment by segment, as another carried value, which is not read by the step.
//
// The derivative goes back through the outer recurrence with its values, the checkpoints, at hand, and in the step computes
// the inner one again (gradient_checkpoints.cpp).
#include <fmt/format.h>

#include <algorithm>

#include "program.h"

namespace lossc {
namespace {

using ir::Id;
using ir::Op;

// A step as it is within a segment.
class Moved {
 public:
  // Reads of what is carried become those of as many tensors from `inner` on, over the place, the segment and the rest.
  Moved(ir::Graph& graph, const ir::Node& scan, ir::Segments segments, Id inner, Id place)
      : g_(graph), along_(scan.sym), s_(segments), place_(place) {
    for (size_t k = 0; k < scan.args.size() / 2; k++) renamed_[scan.sym2 + static_cast<Id>(k)] = inner + static_cast<Id>(k);
  }

  Id at(Id node) {
    const ir::Node n = g_.at(node);
    if (!(n.free & ir::bit(along_)) && !reads(n)) return node;
    if (auto it = done_.find(node); it != done_.end()) return it->second;
    return done_[node] = made(n, node);
  }

 private:
  bool reads(const ir::Node& n) const {
    return std::any_of(renamed_.begin(), renamed_.end(), [&](const auto& r) { return n.carried >> r.first & 1; });
  }

  Id made(const ir::Node& n, Id node) {
    if (n.op == Op::Index) return place_;
    if (n.op == Op::Load && renamed_.count(n.sym)) return load(n);
    // What is in memory in any case, and does not change with what is carried.
    const bool whole = n.op == Op::After || n.op == Op::WholeByHand || ir::makes_index(n.op);
    if (whole && !reads(n)) return g_.at_index(node, along_, place_);
    if (n.op == Op::WholeByHand)
      throw DefinitionError(fmt::format("scan: `{}`, of what is carried, has no place in a segment; wanted Storage::AllSteps", ir::print(g_, node, 3)));
    if (n.op == Op::Scan) return inner_scan(n);
    if (n.op == Op::After) {
      const Id scan = at(n.args[0]);
      return g_.after(scan, renamed_.at(n.sym));
    }
    std::vector<Id> args = n.args;
    for (size_t k = 0; k < args.size(); k++)
      if (!(n.op == Op::At && k == 0 && n.sym == along_)) args[k] = at(args[k]);
    return g_.with_args(n, args);
  }

  Id load(const ir::Node& n) {
    const std::vector<Id> dims = g_.tensors[n.sym].dims;
    std::vector<Id> to;
    for (size_t k = 0; k < dims.size(); k++) {
      if (dims[k] == along_) to.push_back(g_.index(s_.place)), to.push_back(g_.index(s_.segment));
      else to.push_back(at(n.args[k]));
    }
    return g_.load(renamed_.at(n.sym), to);
  }

  // A recurrence in the step: what it carries is there for each place of a segment.
  Id inner_scan(const ir::Node& n) {
    const size_t carried = n.args.size() / 2;
    const Id first = static_cast<Id>(g_.tensors.size());
    if (g_.tensors.size() + carried > 63) throw DefinitionError("scan: more than 63 tensors and carried values");
    for (size_t k = 0; k < carried; k++) {
      const Id tensor = n.sym2 + static_cast<Id>(k);
      ir::Tensor t = g_.tensors[tensor];
      if (const auto it = std::find(t.dims.begin(), t.dims.end(), along_); it != t.dims.end())
        t.dims.insert(t.dims.erase(it), {s_.place, s_.segment});
      g_.tensors.push_back(t);
      renamed_[tensor] = first + static_cast<Id>(k);
    }
    if (g_.recomputed.count(n.sym2)) g_.recomputed.insert(first);
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(at(a));
    return g_.scan(n.sym, ir::course(n), first, args);
  }

  ir::Graph& g_;
  const Id along_;
  const ir::Segments s_;
  const Id place_;
  std::map<Id, Id> renamed_;  // carried tensor -> what it is within a segment
  std::map<Id, Id> done_;
};

class Cutter {
 public:
  explicit Cutter(ir::Graph& graph) : g_(graph) {}

  std::vector<Id> run(const std::vector<Id>& roots) {
    for (Id node : ir::topological(g_, roots)) {
      const bool last = g_.at(node).op == Op::At && at_last(node);
      for (Id a : g_.at(node).args)
        if (!last) everywhere_.insert(a);
    }
    everywhere_.insert(roots.begin(), roots.end());
    std::vector<Id> out;
    for (Id r : roots) out.push_back(rewrite(r));
    return out;
  }

 private:
  struct Cut {
    Id outer;                    // the recurrence over the segments
    std::map<Id, Id> at_end, all;  // carried tensor -> that of its value at the end of each segment, at each of its places
  };

  bool cut(const ir::Node& n) const { return n.op == Op::Scan && g_.checkpoints.count(n.sym2); }
  Id end(const ir::Node& scan, Id index) { return g_.last_place(ir::course(scan), index); }

  // Does it look up what a recurrence comes to in the end?
  bool at_last(Id node) {
    const ir::Node n = g_.at(node), value = g_.at(n.args[0]);
    if (value.op != Op::After) return false;
    const ir::Node scan = g_.at(value.args[0]);
    return cut(scan) && n.sym == scan.sym && g_.is_last_place(n.args[1], ir::course(scan), scan.sym);
  }

  Id rewrite(Id node) {
    if (auto it = done_.find(node); it != done_.end()) return it->second;
    const ir::Node n = g_.at(node);
    if (n.op == Op::At && at_last(node)) return done_[node] = read_end(g_.at(n.args[0]));
    if (n.op == Op::After && cut(g_.at(n.args[0]))) return done_[node] = read_anywhere(n);
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(rewrite(a));
    return done_[node] = args == n.args ? node : g_.with_args(n, args);
  }

  Id read_end(const ir::Node& after) {
    const ir::Node scan = g_.at(after.args[0]);
    const Cut& c = cut_of(after.args[0]);
    const Id segment = g_.checkpoints.at(scan.sym2).segment;
    return g_.at_index(g_.after(c.outer, c.at_end.at(after.sym)), segment, end(scan, segment));
  }

  Id read_anywhere(const ir::Node& after) {
    const ir::Node scan = g_.at(after.args[0]);
    const Cut& c = cut_of(after.args[0]);
    const ir::Segments s = g_.checkpoints.at(scan.sym2);
    const Id t = g_.index(scan.sym), length = g_.extent(g_.indices[s.place].axis);
    const Id values = g_.at_index(g_.after(c.outer, c.all.at(after.sym)), s.segment, g_.binary(Op::Div, t, length));
    return g_.at_index(values, s.place, g_.binary(Op::Mod, t, length));
  }

  // A tensor for what is carried, over those indices and the rest of the other one's.
  void carry(Id like, std::vector<Id> dims, const char* suffix) {
    ir::Tensor t = g_.tensors[like];
    t.name += suffix;
    dims.insert(dims.end(), t.dims.begin() + 1, t.dims.end());
    t.dims = dims;
    g_.tensors.push_back(t);
    if (g_.tensors.size() > 63) throw DefinitionError("scan: more than 63 tensors and carried values");
  }
  Id load_all(Id tensor) {
    std::vector<Id> at;
    for (Id d : g_.tensors[tensor].dims) at.push_back(g_.index(d));
    return g_.load(tensor, at);
  }

  const Cut& cut_of(Id node) {
    if (auto it = cuts_.find(node); it != cuts_.end()) return it->second;
    ir::Node scan = g_.at(node);
    for (Id& a : scan.args) a = rewrite(a);
    const ir::Segments s = g_.checkpoints.at(scan.sym2);
    const size_t n = scan.args.size() / 2;
    const auto numbered = [](Id first, size_t k) { return first + static_cast<Id>(k); };
    Cut cut;
    const Id ends = static_cast<Id>(g_.tensors.size());
    for (size_t k = 0; k < n; k++) {
      carry(numbered(scan.sym2, k), {s.segment}, "_end");
      cut.at_end[numbered(scan.sym2, k)] = numbered(ends, k);
    }
    for (size_t k = 0; k < n; k++) {
      const Id tensor = numbered(scan.sym2, k);
      if (!everywhere_.count(g_.after(node, tensor))) continue;
      cut.all[tensor] = static_cast<Id>(g_.tensors.size());
      carry(tensor, {s.segment, s.place}, "_all");
    }
    const Id inner = segment(scan, s, ends);
    std::vector<Id> start(scan.args.begin(), scan.args.begin() + static_cast<long>(n)), next;
    for (size_t k = 0; k < n; k++) next.push_back(g_.at_index(inner_after(inner, k), s.place, end(scan, s.place)));
    for (const auto& [tensor, all] : cut.all) {
      start.push_back(g_.constant(0));
      next.push_back(inner_after(inner, static_cast<size_t>(tensor - scan.sym2)));
    }
    start.insert(start.end(), next.begin(), next.end());
    cut.outer = g_.scan(s.segment, ir::course(scan), ends, start);
    g_.recomputed.insert(ends);
    return cuts_[node] = cut;
  }

  Id inner_after(Id inner, size_t k) { return g_.after(inner, g_.at(inner).sym2 + static_cast<Id>(k)); }

  // The recurrence over the places of a segment, from what the one before came to.
  Id segment(const ir::Node& scan, ir::Segments s, Id ends) {
    const size_t n = scan.args.size() / 2;
    const Id inner = static_cast<Id>(g_.tensors.size());
    for (size_t k = 0; k < n; k++) carry(scan.sym2 + static_cast<Id>(k), {s.place, s.segment}, "_here");
    const Id here = g_.binary(Op::Add, g_.binary(Op::Mul, g_.index(s.segment), g_.extent(g_.indices[s.place].axis)), g_.index(s.place));
    const Id there = g_.binary(Op::Lt, here, g_.extent(g_.indices[scan.sym].axis));
    Moved moved(g_, scan, s, inner, here);
    std::vector<Id> operands;
    for (size_t k = 0; k < n; k++) operands.push_back(load_all(ends + static_cast<Id>(k)));
    for (size_t k = 0; k < n; k++) {
      const Id next = moved.at(scan.args[n + k]);
      operands.push_back(g_.select(there, next, load_all(inner + static_cast<Id>(k))));
    }
    return g_.scan(s.place, ir::course(scan), inner, operands);
  }

  ir::Graph& g_;
  std::set<Id> everywhere_;  // nodes that are read otherwise than at the end of a recurrence
  std::map<Id, Id> done_;
  std::map<Id, Cut> cuts_;
};

}  // namespace

std::vector<Id> cut_at_checkpoints(ir::Graph& graph, const std::vector<Id>& roots) {
  if (graph.checkpoints.empty()) return roots;
  std::vector<Id> out = Cutter(graph).run(roots);
  graph.checkpoints.clear();
  return out;
}

}  // namespace lossc
