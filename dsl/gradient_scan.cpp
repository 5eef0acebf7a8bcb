// The derivative of a recurrence is a recurrence in the other direction.
//
// With s(t) = F(t, s(t-1), x) and G(t) what flows back to the values s(t) from outside, what flows back to s(t) in all is
//   L(t) = G(t) + m(t),  m(t-1) = (dF(t)/ds)' L(t),  m = 0 behind the last place.
// m is carried backward. x then gets (dF(t)/dx)' L(t), and what the recurrence starts from gets m before the first place.
// F is linearised at the values that the forward recurrence kept.
//
// A fixed point s = F(s, x) has dL/dx = (dF/dx)' l with l = G + (dF/ds)' l (implicit function theorem): the same step, linearised
// at s alone, gone through as often again; l is a fixed point itself, so that a second derivative is found in the same way.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "gradient.h"

namespace lossc {

using ir::Id;
using ir::kNone;
using ir::Op;

// A value of each element by itself.
static bool elementwise(Op op) {
  switch (op) {
    case Op::Load: case Op::Reduce: case Op::At: case Op::Scatter: case Op::Order: case Op::Prefix: case Op::Scan: case Op::After:
    case Op::WholeByHand: return false;
    default: return true;
  }
}

// Within a step that is computed again places behind the last one count for nothing, whatever is read there: what is asked
// for all that flows back to a recurrence there, wherever it is in its course, holds for all that it does.
Id Differentiator::common_mask(Id node) {
  if (!single_) return kNone;
  std::vector<Id> common;
  const std::vector<Id>& masks = after_masks_[node];
  for (size_t k = 0; k < masks.size(); k++) {
    std::vector<Id> both, own = conjuncts(masks[k]);
    std::set_intersection(common.begin(), common.end(), own.begin(), own.end(), std::back_inserter(both));
    common = k == 0 ? own : both;
  }
  std::erase_if(common, [&](Id m) { return (g_.free(m) & ir::bit(g_.at(node).sym)) != 0; });
  return all_of(common);
}

// One step of a scan, differentiated: `flows` go back to its values, so far as the mask holds. What comes back to what is carried is left in
// tensor_; returned is what comes back to the rest of what the step reads, so far as it is active outside.
std::vector<Differentiator::Target> Differentiator::step_backward(const ir::Node& scan, const std::set<Id>& outer,
                                                                  Id mask, const std::vector<Id>& flows) {
  const uint64_t own = g_.carries_of(scan);
  const size_t n = flows.size();
  const std::vector<Id> next(scan.args.begin() + static_cast<long>(n), scan.args.end());
  std::vector<Id> order = ir::topological(g_, next);
  for (Id node : order) {
    const ir::Node& m = g_.at(node);
    bool active = false;
    if (!(m.carried & own)) active = outer.count(node) > 0;
    else if (m.op == Op::Load) active = true;
    else if (m.type == ir::Type::Float && m.op != Op::StopGradient)
      for (Id a : m.args) active |= active_.count(a) > 0;
    if (active) active_.insert(node);
  }
  for (size_t k = 0; k < n; k++)
    if (flows[k] != kNone) give(next[k], {mask, flows[k]}, g_.free(flows[k]) | g_.free(next[k]));
  std::vector<Target> targets;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const bool outside = !(g_.at(*it).carried & own) && !(through_elements_ && elementwise(g_.at(*it).op));
    if (outside && terms_.count(*it)) {
      targets.push_back({*it, combined(*it)});
      terms_.erase(*it);
    } else {
      visit(*it);
    }
  }
  return targets;
}

std::vector<std::pair<Id, Id>> Differentiator::read_at_carried_places(const ir::Node& scan) const {
  std::vector<std::pair<Id, Id>> out;
  for (const auto& [tensor, flow] : tensor_) {
    if (g_.carries_of(scan) >> tensor & 1) continue;
    if (g_.tensors[tensor].role == ir::TensorRole::Carried) refuse_carried_places(scan, tensor);
    out.emplace_back(tensor, flow);
  }
  return out;
}

// What flows back to them would be scattered within the step of the outer recurrence, place by place of this one.
void Differentiator::refuse_carried_places(const ir::Node& scan, Id tensor) const {
  throw DefinitionError(fmt::format("{}: loss '{}': scan: the recurrence along '{}' reads what the one around it carries, along '{}', at places "
                                    "that depend on what it carries itself: that has no derivative here; read it at places that follow from the indices",
                                    place_of(scan), p_.name, g_.indices[scan.sym].name, g_.indices[g_.tensors[tensor].dims[0]].name));
}

// What the recurrence has in `tensor` before the place, at these positions, as an expression for outside of its step: its
// values are those after the place before, or at the first place what it starts from.
Id Differentiator::before(const ir::Node& scan, Id node, Id tensor, const std::vector<Id>& at) {
  const std::vector<Id> dims = g_.tensors[tensor].dims;
  const Id t = g_.index(scan.sym), one = g_.constant(1, ir::Type::Int), zero = g_.constant(0, ir::Type::Int);
  const bool back = ir::course(scan) == ir::Course::Backward, fixed = ir::course(scan) == ir::Course::ToFixedPoint;
  const Id last = g_.binary(Op::Sub, g_.extent(g_.indices[scan.sym].axis), one);
  const Id place = fixed ? last : g_.binary(back ? Op::Add : Op::Sub, t, one);
  const Id start = g_.binary(Op::Eq, t, back ? last : zero);
  Id value = g_.at_index(g_.after(node, tensor), scan.sym, place), first = scan.args[static_cast<size_t>(tensor - scan.sym2)];
  const auto move = [&](Id from, Id to) { value = g_.at_index(value, from, to), first = g_.at_index(first, from, to); };
  // By way of fresh names, for a position may be said in terms of another dimension's index.
  std::vector<std::pair<Id, Id>> later;
  for (size_t k = 1; k < dims.size(); k++) {
    if (g_.plain_index(at[k]) == dims[k]) continue;
    const bool clash = std::any_of(dims.begin() + 1, dims.end(), [&](Id d) { return d != dims[k] && (g_.free(at[k]) & ir::bit(d)); });
    if (!clash) {
      later.emplace_back(dims[k], at[k]);
      continue;
    }
    ir::IndexSet taken = g_.free(value) | g_.free(first) | targets_of(dims);
    for (Id place : at) taken |= g_.free(place);
    for (const auto& [from, to] : later) taken |= ir::bit(from) | g_.free(to);
    const Id name = fresh(dims[k], taken);
    move(dims[k], g_.index(name));
    later.emplace_back(name, at[k]);
  }
  for (const auto& [from, to] : later) move(from, to);
  return fixed ? value : g_.select(start, first, value);
}

// An expression with something else in place of what it reads of these carried tensors.
Id Differentiator::replaced(Id value, uint64_t carries, const Replacement& load, Replaced& done) {
  if (!(g_.at(value).carried & (carries | done.carried))) return value;
  if (auto it = done.nodes.find(value); it != done.nodes.end()) return it->second;
  const ir::Node n = g_.at(value);
  if (n.op == Op::Scan) return done.nodes[value] = replaced_scan(n, carries, load, done);
  std::vector<Id> args;
  for (Id a : n.args) args.push_back(replaced(a, carries, load, done));
  const auto renamed = n.op == Op::Load || n.op == Op::After ? done.tensors.find(n.sym) : done.tensors.end();
  const bool own = n.op == Op::Load && (carries >> n.sym & 1);
  Id out;
  if (own) out = load(n.sym, args);
  else if (renamed != done.tensors.end()) out = n.op == Op::Load ? g_.load(renamed->second, args) : g_.after(args[0], renamed->second);
  else out = g_.with_args(n, args);
  return done.nodes[value] = out;
}

// A recurrence in a step: with something else to read it is another one. What it carries gets tensors of its own, for whatever
// depends on that alone would pass for a value of the first.
Id Differentiator::replaced_scan(const ir::Node& n, uint64_t carries, const Replacement& load, Replaced& done) {
  const Id first = n.sym2 < done.own_from ? carry_like(n, "", true) : n.sym2;
  for (size_t k = 0; k < n.args.size() / 2; k++) done.tensors[n.sym2 + static_cast<Id>(k)] = first + static_cast<Id>(k);
  done.carried |= g_.carries_of(n);
  if (g_.recomputed.count(n.sym2)) g_.recomputed.insert(first);
  std::vector<Id> args;
  for (Id a : n.args) args.push_back(replaced(a, carries, load, done));
  return g_.scan(n.sym, ir::course(n), first, args);
}

// An expression of the step's, for outside of it.
Id Differentiator::outside_of(const ir::Node& scan, Id node, Id value, Replaced& done) {
  return replaced(value, g_.carries_of(scan), [&](Id tensor, const std::vector<Id>& at) { return before(scan, node, tensor, at); }, done);
}

// Tensors as a recurrence carries them, one for each of `scan`'s, with or without its places. Returns the first.
Id Differentiator::carry_like(const ir::Node& scan, const char* prefix, bool places) {
  const size_t n = scan.args.size() / 2;
  const Id first = static_cast<Id>(g_.tensors.size());
  if (g_.tensors.size() + n > 63) throw DefinitionError(fmt::format("loss '{}': more than 63 tensors and carried values", p_.name));
  for (size_t k = 0; k < n; k++) {
    ir::Tensor t = g_.tensors[scan.sym2 + static_cast<Id>(k)];
    t.name = prefix + t.name;
    if (!places) t.dims.erase(t.dims.begin());
    g_.tensors.push_back(t);
  }
  return first;
}

Id Differentiator::load_all(Id tensor) {
  const std::vector<Id> dims = g_.tensors[tensor].dims;
  std::vector<Id> at;
  for (Id d : dims) at.push_back(g_.index(d));
  return g_.load(tensor, at);
}

// The value that an expression has at one place of the recurrence; what is kept of all of them is looked up.
Id Differentiator::at_place(Id value, Id index, Id place) {
  if (!(g_.free(value) & ir::bit(index))) return value;
  const ir::Node n = g_.at(value);
  if (n.op == Op::Index) return place;
  if (n.op == Op::After || ir::makes_index(n.op)) return g_.at_index(value, index, place);
  std::vector<Id> args = n.args;
  for (size_t k = 0; k < args.size(); k++)
    if (!(n.op == Op::At && k == 0 && n.sym == index)) args[k] = at_place(args[k], index, place);
  return g_.with_args(n, args);
}

// The step is differentiated without its places, for tensors that stand for the fixed point and for l; those are replaced
// afterwards, l by the carried value in the step that finds it, and by what that came to in what the rest gets.
void Differentiator::through_fixed_point(Id node) {
  const ir::Node scan = g_.at(node);
  const size_t n = scan.args.size() / 2;
  const auto tensor_of = [](Id first, size_t k) { return first + static_cast<Id>(k); };
  const Id point = carry_like(scan, "", false), flow = carry_like(scan, "d_", false), carried = carry_like(scan, "d_", true);
  const auto bits = [&](Id first) { return ((uint64_t{1} << n) - 1) << first; };
  const auto with_place = [](Id place, std::vector<Id> at) { return at.insert(at.begin(), place), at; };
  const Id t = g_.index(scan.sym), length = g_.extent(g_.indices[scan.sym].axis);
  const Id end = g_.binary(Op::Sub, length, g_.constant(1, ir::Type::Int));  // nothing else is read

  ir::Node step_at_point = scan;
  step_at_point.sym2 = point;
  Replaced to_point, settled, in_step, outside;
  for (size_t k = 0; k < n; k++)
    step_at_point.args[n + k] = replaced(scan.args[n + k], g_.carries_of(scan), [&](Id tensor, std::vector<Id> at) {
      return at.erase(at.begin()), g_.load(point + tensor - scan.sym2, at);
    }, to_point);
  std::vector<Id> flows, operands(n, g_.constant(0));
  for (size_t k = 0; k < n; k++) {
    const auto given = after_[node].find(tensor_of(scan.sym2, k));
    const Id l = load_all(tensor_of(flow, k));
    flows.push_back(given == after_[node].end() ? l : g_.binary(Op::Add, at_place(given->second, scan.sym, end), l));
  }
  Differentiator step(p_);
  step.single_ = single_;
  const std::vector<Target> targets = step.step_backward(step_at_point, active_, common_mask(node), flows);
  const auto settle = [&](Id value) {
    return replaced(value, bits(point), [&](Id tensor, const std::vector<Id>& at) {
      return before(scan, node, scan.sym2 + tensor - point, with_place(t, at));
    }, settled);
  };
  for (size_t k = 0; k < n; k++) {
    const auto to = step.tensor_.find(tensor_of(point, k));
    operands.push_back(to == step.tensor_.end() ? g_.constant(0) : replaced(settle(to->second), bits(flow), [&](Id tensor, const std::vector<Id>& at) {
      return g_.load(carried + tensor - flow, with_place(t, at));
    }, in_step));
  }
  const Id back = g_.scan(scan.sym, ir::Course::ToFixedPoint, carried, operands);
  const ir::Node back_scan = g_.at(back);
  const auto last = [&](Id value) {
    return value == kNone ? kNone : replaced(settle(value), bits(flow), [&](Id tensor, const std::vector<Id>& at) {
      return before(back_scan, back, carried + tensor - flow, with_place(t, at));
    }, outside);
  };
  // Without places there is no last one.
  const Id any = g_.binary(Op::Lt, g_.constant(0, ir::Type::Int), length);
  for (const Target& to : targets) {
    const Id mask = last(to.flow.mask);
    give(to.node, {mask == kNone ? any : g_.binary(Op::And, any, mask), last(to.flow.value)}, g_.free(to.node));
  }
  for (const auto& [tensor, to] : step.read_at_carried_places(step_at_point)) add_to_tensor(tensor, masked({any, last(to)}));
}

void Differentiator::through_scan(Id node) {
  const ir::Node scan = g_.at(node);
  const size_t n = scan.args.size() / 2;
  if (ir::course(scan) == ir::Course::ToFixedPoint) return through_fixed_point(node);
  if (g_.recomputed.count(scan.sym2)) return through_again(node);
  const Id first_tensor = carry_like(scan, "d_", true);
  Replaced forward{.own_from = static_cast<Id>(g_.tensors.size())}, both;
  std::vector<Id> flows, zeros(n, g_.constant(0));
  for (size_t k = 0; k < n; k++) {
    const Id carried = load_all(first_tensor + static_cast<Id>(k));
    const auto given = after_[node].find(scan.sym2 + static_cast<Id>(k));
    flows.push_back(given == after_[node].end() ? carried : g_.binary(Op::Add, given->second, carried));
  }
  Differentiator step(p_);
  step.single_ = single_;
  const std::vector<Target> targets = step.step_backward(scan, active_, common_mask(node), flows);
  std::vector<Id> operands = zeros;
  for (size_t k = 0; k < n; k++) {
    auto to = step.tensor_.find(scan.sym2 + static_cast<Id>(k));
    operands.push_back(to == step.tensor_.end() ? g_.constant(0) : outside_of(scan, node, to->second, forward));
  }
  const bool forward_was = ir::course(scan) == ir::Course::Forward;
  const Id back = g_.scan(scan.sym, forward_was ? ir::Course::Backward : ir::Course::Forward, first_tensor, operands);
  const ir::Node back_scan = g_.at(back);
  const auto outside = [&](Id value) {
    return value == kNone ? kNone : outside_of(back_scan, back, outside_of(scan, node, value, forward), both);
  };
  for (const Target& t : targets) give(t.node, {outside(t.flow.mask), outside(t.flow.value)}, g_.free(t.node));
  for (const auto& [tensor, flow] : step.read_at_carried_places(scan)) add_to_tensor(tensor, outside(flow));
  // What starts the recurrence gets what comes back to before its first place.
  const Id length = g_.extent(g_.indices[scan.sym].axis), one = g_.constant(1, ir::Type::Int), zero = g_.constant(0, ir::Type::Int);
  const Id place = ir::course(scan) == ir::Course::Backward ? g_.binary(Op::Sub, length, one) : zero;
  for (size_t k = 0; k < n; k++) {
    const Id v = g_.at_index(g_.after(back, first_tensor + static_cast<Id>(k)), scan.sym, place);
    give(scan.args[k], {kNone, g_.select(g_.binary(Op::Lt, zero, length), v, g_.constant(0))}, g_.free(v));
  }
}

}  // namespace lossc
