// The derivative of a recurrence is a recurrence in the other direction.
//
// With s(t) = F(t, s(t-1), x) and G(t) what flows back to the values s(t) from outside, what flows back to s(t) in all is
//   L(t) = G(t) + m(t),  m(t-1) = (dF(t)/ds)' L(t),  m = 0 behind the last place.
// m is carried backward. x then gets (dF(t)/dx)' L(t), and what the recurrence starts from gets m before the first place.
// F is linearised at the values that the forward recurrence kept.
#include <fmt/format.h>

#include <algorithm>

#include "gradient.h"

namespace lossc {

using ir::Id;
using ir::kNone;
using ir::Op;

// One step of a scan, differentiated: `flows` go back to its values. What comes back to what is carried is left in
// tensor_; returned is what comes back to the rest of what the step reads, so far as it is active outside.
std::vector<Differentiator::Target> Differentiator::step_backward(const ir::Node& scan, const std::set<Id>& outside,
                                                                  const std::vector<Id>& flows) {
  const uint64_t own = g_.carries_of(scan);
  const size_t n = flows.size();
  const std::vector<Id> next(scan.args.begin() + static_cast<long>(n), scan.args.end());
  std::vector<Id> order = ir::topological(g_, next);
  for (Id node : order) {
    const ir::Node& m = g_.at(node);
    bool active = false;
    if (!(m.carried & own)) active = outside.count(node) > 0;
    else if (m.op == Op::Load) active = true;
    else if (m.type == ir::Type::Float && m.op != Op::StopGradient)
      for (Id a : m.args) active |= active_.count(a) > 0;
    if (active) active_.insert(node);
  }
  for (size_t k = 0; k < n; k++) give(next[k], {kNone, flows[k]}, g_.free(flows[k]) | g_.free(next[k]));
  std::vector<Target> targets;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    if (!(g_.at(*it).carried & own) && terms_.count(*it)) {
      targets.push_back({*it, combined(*it)});
      terms_.erase(*it);
    } else {
      visit(*it);
    }
  }
  return targets;
}

// What the recurrence has in `tensor` before the place, at these positions, as an expression for outside of its step: its
// values are those after the place before, or at the first place what it starts from.
Id Differentiator::before(const ir::Node& scan, Id node, Id tensor, const std::vector<Id>& at) {
  const std::vector<Id> dims = g_.tensors[tensor].dims;
  const Id t = g_.index(scan.sym), one = g_.constant(1, ir::Type::Int), zero = g_.constant(0, ir::Type::Int);
  const bool back = scan.value != 0;
  const Id place = g_.binary(back ? Op::Add : Op::Sub, t, one);
  const Id start = g_.binary(Op::Eq, t, back ? g_.binary(Op::Sub, g_.extent(g_.indices[scan.sym].axis), one) : zero);
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
    const Id name = fresh(dims[k]);
    move(dims[k], g_.index(name));
    later.emplace_back(name, at[k]);
  }
  for (const auto& [from, to] : later) move(from, to);
  return g_.select(start, first, value);
}

// An expression of the step's, for outside of it.
Id Differentiator::outside_of(const ir::Node& scan, Id node, Id value, std::map<Id, Id>& done) {
  if (!(g_.at(value).carried & g_.carries_of(scan))) return value;
  if (auto it = done.find(value); it != done.end()) return it->second;
  const ir::Node n = g_.at(value);
  std::vector<Id> args;
  for (Id a : n.args) args.push_back(outside_of(scan, node, a, done));
  const Id out = n.op == Op::Load ? before(scan, node, n.sym, args) : g_.with_args(n, args);
  return done[value] = out;
}

void Differentiator::through_scan(Id node) {
  const ir::Node scan = g_.at(node);
  const size_t n = scan.args.size() / 2;
  const Id first_tensor = static_cast<Id>(g_.tensors.size());
  if (g_.tensors.size() + n > 63) throw DefinitionError(fmt::format("loss '{}': more than 63 tensors and carried values", p_.name));
  std::vector<Id> flows, zeros(n, g_.constant(0));
  for (size_t k = 0; k < n; k++) {
    const Id tensor = scan.sym2 + static_cast<Id>(k);
    ir::Tensor m = g_.tensors[tensor];
    m.name = "d_" + m.name;
    std::vector<Id> at;
    for (Id d : m.dims) at.push_back(g_.index(d));
    g_.tensors.push_back(m);
    const Id carried = g_.load(first_tensor + static_cast<Id>(k), at);
    auto given = after_[node].find(tensor);
    flows.push_back(given == after_[node].end() ? carried : g_.binary(Op::Add, given->second, carried));
  }
  Differentiator step(p_);
  const std::vector<Target> targets = step.step_backward(scan, active_, flows);
  std::map<Id, Id> forward, both;
  std::vector<Id> operands = zeros;
  for (size_t k = 0; k < n; k++) {
    auto to = step.tensor_.find(scan.sym2 + static_cast<Id>(k));
    operands.push_back(to == step.tensor_.end() ? g_.constant(0) : outside_of(scan, node, to->second, forward));
  }
  const Id back = g_.scan(scan.sym, scan.value == 0, first_tensor, operands);
  const ir::Node back_scan = g_.at(back);
  const auto outside = [&](Id value) {
    return value == kNone ? kNone : outside_of(back_scan, back, outside_of(scan, node, value, forward), both);
  };
  for (const Target& t : targets) give(t.node, {outside(t.flow.mask), outside(t.flow.value)}, g_.free(t.node));
  // What starts the recurrence gets what comes back to before its first place.
  const Id length = g_.extent(g_.indices[scan.sym].axis), one = g_.constant(1, ir::Type::Int), zero = g_.constant(0, ir::Type::Int);
  const Id place = scan.value != 0 ? g_.binary(Op::Sub, length, one) : zero;
  for (size_t k = 0; k < n; k++) {
    const Id v = g_.at_index(g_.after(back, first_tensor + static_cast<Id>(k)), scan.sym, place);
    give(scan.args[k], {kNone, g_.select(g_.binary(Op::Lt, zero, length), v, g_.constant(0))}, g_.free(v));
  }
}

}  // namespace lossc
