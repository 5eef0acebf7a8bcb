// Recurrences: the words scan, scan_back and iterate.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "builder.h"

namespace lossc {

using ir::Id;
using ir::Op;

namespace {

void check_free(const char* what, Id node, ir::IndexSet allowed) {
  if (const ir::IndexSet extra = G().free(node) & ~allowed)
    B().fail(fmt::format("scan: the {} `{}` depends on {}; list it among the carried value's indices, or reduce over it", what,
                         B().show(node), B().list(extra)));
}

// One place at a time: what is carried is not there yet for the places to come.
void check_step(Id node, Id along, uint64_t own, std::vector<char>& seen) {
  const ir::Node n = G().at(node);
  if (seen[static_cast<size_t>(node)]++ || !(n.carried & own)) return;
  if ((ir::binds_index(n.op) && n.sym == along) || (ir::makes_index(n.op) && n.sym2 == along))
    B().fail(fmt::format("scan: `{}` wants what is carried at other places of '{}' than the one before", B().show(node),
                         G().indices[along].name));
  const bool carried = n.op == Op::Load && (own >> n.sym & 1);
  if (carried && G().plain_index(n.args[0]) != along)
    B().fail(fmt::format("scan: `{}` reads what is carried along '{}' at '{}', where only the values of the place before are there; carry "
                         "what is wanted of other places as well, with an index for them, or read the result, outside of the step",
                         B().show(node), G().indices[along].name, B().show(n.args[0])));
  for (Id a : n.args) check_step(a, along, own, seen);
}

// Whether a step's expression reads the place otherwise than by what is carried to it.
bool depends_on(Id node, Id along, std::set<Id>& seen) {
  const ir::Node n = G().at(node);
  if (!seen.insert(node).second || !(n.free & ir::bit(along)) || (n.op == Op::Load && G().tensors[n.sym].role == ir::TensorRole::Carried)) return false;
  if (n.op == Op::Index && n.sym == along) return true;
  return std::any_of(n.args.begin(), n.args.end(), [&](Id a) { return depends_on(a, along, seen); });
}

struct Recurrence {
  std::vector<Id> first, next;
  std::vector<std::vector<Id>> dims;
  Id tensor = ir::kNone;
};

// Declares what is carried and asks the writer for one step of it. `around`: places of the recurrences around this one that
// its values turned out to depend on, and are carried for.
Recurrence make(Index along, const std::vector<Carried>& carried, const ScanStep& step, ir::IndexSet around) {
  Recurrence r;
  r.tensor = static_cast<Id>(G().tensors.size());
  if (carried.empty()) B().fail("scan: nothing is carried");
  if (G().tensors.size() + carried.size() > 60) B().fail("scan: more than 60 tensors and carried values");
  std::vector<Expr> before;
  for (const Carried& c : carried) {
    std::vector<Id> dims = B().present(c.indices);
    r.first.push_back(B().as_float(c.first));
    if (ir::set_of(dims) & ir::bit(along.id))
      B().fail(fmt::format("scan: a carried value has index '{}', along which it is carried", G().indices[along.id].name));
    for (Id k : B().places)
      if (around & ~ir::set_of(dims) & ir::bit(k)) dims.insert(dims.begin(), k);
    check_free("start", r.first.back(), ir::set_of(dims));
    if (dims.size() > kMostTensorDims - 1)  // and one of its places
      B().fail(fmt::format("scan: a carried value has {} indices; at most {} are supported", dims.size(), kMostTensorDims - 1));
    if (!B().absent(along.id)) dims.insert(dims.begin(), along.id);
    r.dims.push_back(std::move(dims));
  }
  if (B().absent(along.id)) {  // one place
    for (Id first : r.first) before.push_back(Expr::of(first));
  } else {
    for (size_t k = 0; k < carried.size(); k++)
      G().tensors.push_back({.name = fmt::format("carried{}", r.tensor + static_cast<Id>(k)), .type = ir::Type::Float,
                             .role = ir::TensorRole::Carried, .dims = r.dims[k], .differentiable = false});
    for (size_t k = 0; k < carried.size(); k++) {
      std::vector<Id> at;
      for (Id d : r.dims[k]) at.push_back(G().index(d));
      before.push_back(Expr::of(G().load(r.tensor + static_cast<Id>(k), at)));
    }
  }
  B().places.push_back(along.id);
  const std::vector<Expr> next = step(before);
  B().places.pop_back();
  if (next.size() != carried.size())
    B().fail(fmt::format("scan: the step returns {} values, but {} are carried", next.size(), carried.size()));
  for (const Expr& e : next) r.next.push_back(B().as_float(e));
  return r;
}

// An axis that follows from another. Recurrences along one that are cut alike share it.
Id cut_axis(const std::string& name, const std::string& index, const std::string& doc, Id length, const Where& where) {
  ir::Graph& g = G();
  for (Id k = 0; k < static_cast<Id>(g.indices.size()); k++)
    if (g.axes[g.indices[k].axis].name == name) return k;
  g.axes.push_back({.name = name, .doc = doc, .length = length});
  B().axes_at.push_back(where);
  g.indices.push_back({index, static_cast<Id>(g.axes.size() - 1)});
  return static_cast<Id>(g.indices.size() - 1);
}

// So many places in a segment, and so many segments that they hold all places; the last one may not be full.
ir::Segments cut(Id along, Storage storage, const Where& where) {
  ir::Graph& g = G();
  const Id axis = g.indices[along].axis, length = g.extent(axis), one = g.constant(1, ir::Type::Int);
  const Id root = g.binary(Op::Add, one, g.unary(Op::Sqrt, g.binary(Op::Sub, length, one)));  // rounded up
  const Id every = storage.root ? root : g.binary(Op::Min, g.constant(storage.every, ir::Type::Int), g.binary(Op::Max, length, one));
  const std::string by = storage.root ? "" : fmt::format(" by {}", storage.every), name = g.axes[axis].name, index = g.indices[along].name;
  ir::Segments s;
  s.place = cut_axis(fmt::format("place in {}{}", name, by), index + "_place", "places from one checkpoint to the next", every, where);
  const Id places = g.extent(g.indices[s.place].axis), rest = g.binary(Op::Sub, places, one);
  s.segment = cut_axis(fmt::format("segment of {}{}", name, by), index + "_segment", "checkpoints",
                       g.binary(Op::Div, g.binary(Op::Add, length, rest), places), where);
  return s;
}

std::vector<Expr> run(Index along, const std::vector<Carried>& carried, const ScanStep& step, ir::Course course, Storage storage,
                      Where where) {
  B().locate(where);
  if (storage.every < 1 && !storage.root) B().fail(fmt::format("scan: checkpoints every {} places; wanted 1 or more", storage.every));
  ir::IndexSet around = 0;
  for (const Carried& c : carried) around |= G().free(B().as_float(c.first)) & ir::set_of(B().places);
  Recurrence r = make(along, carried, step, around);
  for (;;) {  // what one value depends on, another may by the step
    ir::IndexSet more = 0;
    for (Id next : r.next) more |= G().free(next) & ir::set_of(B().places);
    if (!(more & ~around)) break;
    around |= more;
    G().tensors.resize(static_cast<size_t>(r.tensor));  // what was carried without them
    r = make(along, carried, step, around);
  }
  B().locate(where);
  std::vector<Expr> out;
  for (size_t k = 0; k < r.next.size(); k++) check_free("value after a place", r.next[k], ir::set_of(r.dims[k]) | ir::bit(along.id));
  if (course == ir::Course::ToFixedPoint)
    for (Id next : r.next)
      if (std::set<Id> seen; depends_on(next, along.id, seen))
        B().fail(fmt::format("iterate: the step `{}` depends on '{}'; what changes from place to place has no fixed point",
                             B().show(next), G().indices[along.id].name));
  if (B().absent(along.id)) {
    for (Id next : r.next) out.push_back(Expr::of(next));
    return out;
  }
  const uint64_t own = ((uint64_t{1} << r.next.size()) - 1) << r.tensor;
  std::vector<char> seen(G().nodes.size(), 0);
  for (Id next : r.next) check_step(next, along.id, own, seen);
  std::vector<Id> operands = r.first;
  operands.insert(operands.end(), r.next.begin(), r.next.end());
  const Id scan = G().scan(along.id, course, r.tensor, operands);
  if (storage.every != 1) G().checkpoints[r.tensor] = cut(along.id, storage, where);
  for (size_t k = 0; k < r.next.size(); k++) out.push_back(Expr::of(G().after(scan, r.tensor + static_cast<Id>(k))));
  return out;
}

}  // namespace

std::vector<Expr> scan(Index along, std::vector<Carried> carried, const ScanStep& step, Storage storage, Where w) {
  return run(along, carried, step, ir::Course::Forward, storage, w);
}
std::vector<Expr> scan_back(Index along, std::vector<Carried> carried, const ScanStep& step, Storage storage, Where w) {
  return run(along, carried, step, ir::Course::Backward, storage, w);
}

namespace {

std::vector<Expr> last_of(Index times, const std::vector<Carried>& carried, std::vector<Expr> out) {
  if (B().absent(times.id)) return out;
  const Expr last = extent(times) - 1;
  for (size_t k = 0; k < out.size(); k++)
    out[k] = select(extent(times) > 0, Expr::of(G().at_index(out[k].node, times.id, last.node)), carried[k].first);
  return out;
}

}  // namespace

std::vector<Expr> iterate(Index times, std::vector<Carried> carried, const ScanStep& step, Derivative how, Where w) {
  const ir::Course course = how == Derivative::OfFixedPoint ? ir::Course::ToFixedPoint : ir::Course::Forward;
  return last_of(times, carried, run(times, carried, step, course, Storage::AllSteps, w));
}
std::vector<Expr> iterate(Index times, std::vector<Carried> carried, const ScanStep& step, Storage storage, Where w) {
  return last_of(times, carried, run(times, carried, step, ir::Course::Forward, storage, w));
}

}  // namespace lossc
