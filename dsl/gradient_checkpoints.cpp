// The derivative of a recurrence over segments (checkpoints.cpp): what its step does is computed again at each place.
//
// What flows back is carried as in gradient_scan.cpp, and so is what there was before each place, from one checkpoint to the
// one before: so that all that the step computes hangs on something carried, and is there for one place at a time. For the same
// reason what comes back to the rest of what the step reads is found within the loop: where that differs from place to place
// it is kept of each, else it is summed up as another carried value.
#include <fmt/format.h>

#include <algorithm>

#include "gradient.h"

namespace lossc {

using ir::Id;
using ir::IndexSet;
using ir::kNone;
using ir::Op;

// What the derivative carries, in the order of its tensors. The values are those of the step, of the recurrence's own tensors
// and of those that stand for what flows back.
struct Differentiator::Again {
  struct Value {
    std::string name;
    std::vector<Id> dims;
    Id first, next;
    bool sums = false;  // `next` is added to what there is
  };
  Id node;  // the recurrence
  ir::Node scan;
  IndexSet row = 0;
  std::vector<Value> values = {};
  std::map<Id, size_t> stands_for = {};  // of those tensors, which value it is
  Id first_tensor = kNone;  // before there are any: those from here on are made for the derivative

  bool forward() const { return ir::course(scan) == ir::Course::Forward; }
  Id tensor(size_t k) const { return scan.sym2 + static_cast<Id>(k); }
  size_t size() const { return scan.args.size() / 2; }
};

// The row of the loss, if every row goes its own way in all that the recurrence does: it does so in the derivative, too, and
// what comes back is summed over the rows outside.
IndexSet Differentiator::row_apart(const ir::Node& scan) {
  if (p_.rows.empty()) return 0;
  const Id row = p_.rows[0];
  const auto has = [&](Id tensor) {
    const std::vector<Id>& dims = g_.tensors[tensor].dims;
    return std::find(dims.begin(), dims.end(), row) != dims.end();
  };
  for (size_t k = 0; k < scan.args.size() / 2; k++)
    if (!has(scan.sym2 + static_cast<Id>(k))) return 0;
  for (Id node : ir::topological(g_, {scan.args.begin() + static_cast<long>(scan.args.size() / 2), scan.args.end()})) {
    const ir::Node& n = g_.at(node);
    if (!n.carried && n.op != Op::Scan) continue;
    const bool here = (ir::binds_index(n.op) && n.sym == row) || (ir::makes_index(n.op) && n.sym2 == row);
    if (here || n.op == Op::WholeByHand) return 0;
    if (n.op != Op::Load || g_.tensors[n.sym].role != ir::TensorRole::Carried) continue;
    for (size_t k = 0; k < n.args.size(); k++)
      if ((g_.tensors[n.sym].dims[k] == row) != (g_.plain_index(n.args[k]) == row)) return 0;
    if (!has(n.sym)) return 0;
  }
  return ir::bit(row);
}

// What comes back to something that the step reads. Its mask goes with it so far as it is not known outside.
void Differentiator::carry_target(Again& again, const Target& target) {
  const Id place = again.scan.sym;
  const bool each = g_.free(target.node) & ir::bit(place);
  std::vector<Id> inside;
  for (Id m : conjuncts(target.flow.mask))
    if (each ? g_.at(m).carried != 0 : (g_.free(m) & ir::bit(place)) != 0) inside.push_back(m);
  const Id mask = all_of(inside), value = masked({mask, target.flow.value});
  std::vector<Id> dims{place};
  for (Id k = 0; k < static_cast<Id>(g_.indices.size()); k++)
    if (k != place && (g_.free(value) & ir::bit(k))) dims.push_back(k);
  again.values.push_back({"to", dims, g_.constant(0), value, !each});
  if (!each || mask == kNone) return;
  dims = {place};
  for (Id k = 0; k < static_cast<Id>(g_.indices.size()); k++)
    if (k != place && (g_.free(mask) & ir::bit(k))) dims.push_back(k);
  again.values.push_back({"whether_to", dims, g_.constant(0), g_.select(mask, g_.constant(1), g_.constant(0))});
}

// What there was before each place, of those values that any other reads.
void Differentiator::carry_checkpoints(Again& again) {
  const ir::Node& scan = again.scan;
  const auto number = [&](int v) { return g_.constant(v, ir::Type::Int); };
  const Id t = g_.index(scan.sym), length = g_.extent(g_.indices[scan.sym].axis);
  uint64_t read = 0;
  for (const Again::Value& v : again.values) read |= g_.at(v.next).carried;
  for (size_t k = 0; k < again.size(); k++) {
    const Id tensor = again.tensor(k), start = scan.args[k];
    if (!(read >> tensor & 1)) continue;
    // The value after the place, or what the recurrence starts from.
    const auto after = [&](Id place, Id none) {
      return g_.select(none, start, g_.at_index(g_.after(again.node, tensor), scan.sym, place));
    };
    const Id first = again.forward() ? after(g_.binary(Op::Sub, length, number(2)), g_.binary(Op::Le, length, number(1)))
                                     : after(number(1), g_.binary(Op::Le, length, number(1)));
    const Id next = again.forward() ? after(g_.binary(Op::Sub, t, number(2)), g_.binary(Op::Le, t, number(1)))
                                    : after(g_.binary(Op::Add, t, number(2)), g_.binary(Op::Le, g_.binary(Op::Sub, length, number(2)), t));
    again.stands_for[tensor] = again.values.size();
    again.values.push_back({"again", g_.tensors[tensor].dims, first, next});
  }
}

// The recurrence in the other direction.
Id Differentiator::scan_back(Again& again) {
  Replaced done{.own_from = again.first_tensor};
  again.first_tensor = static_cast<Id>(g_.tensors.size());
  if (g_.tensors.size() + again.values.size() > 63)
    throw DefinitionError(fmt::format("loss '{}': more than 63 tensors and carried values", p_.name));
  for (const Again::Value& v : again.values)
    g_.tensors.push_back({.name = fmt::format("{}{}", v.name, g_.tensors.size()), .type = ir::Type::Float,
                          .role = ir::TensorRole::Carried, .dims = v.dims, .differentiable = false});
  uint64_t stand_ins = 0;
  for (const auto& [tensor, value] : again.stands_for) stand_ins |= uint64_t{1} << tensor;
  std::vector<Id> operands, next;
  for (size_t k = 0; k < again.values.size(); k++) {
    const Again::Value& v = again.values[k];
    operands.push_back(v.first);
    const Id value = replaced(v.next, stand_ins, [&](Id tensor, const std::vector<Id>& at) {
      return g_.load(again.first_tensor + static_cast<Id>(again.stands_for.at(tensor)), at);
    }, done);
    next.push_back(v.sums ? g_.binary(Op::Add, load_all(again.first_tensor + static_cast<Id>(k)), value) : value);
  }
  operands.insert(operands.end(), next.begin(), next.end());
  g_.recomputed.insert(again.first_tensor);
  return g_.scan(again.scan.sym, again.forward() ? ir::Course::Backward : ir::Course::Forward, again.first_tensor, operands);
}

void Differentiator::through_again(Id node) {
  Again again{.node = node, .scan = g_.at(node)};
  again.first_tensor = static_cast<Id>(g_.tensors.size());
  const ir::Node& scan = again.scan;
  again.row = row_apart(scan);
  uint64_t read = 0;
  for (size_t k = 0; k < again.size(); k++) read |= g_.at(scan.args[again.size() + k]).carried;
  std::vector<Id> flows, stand_in(again.size(), kNone);
  for (size_t k = 0; k < again.size(); k++) {
    const auto given = after_[node].find(again.tensor(k));
    Id flow = given == after_[node].end() ? kNone : given->second;
    if (read >> again.tensor(k) & 1) {
      stand_in[k] = static_cast<Id>(g_.tensors.size());
      if (stand_in[k] > 62) throw DefinitionError(fmt::format("loss '{}': more than 63 tensors and carried values", p_.name));
      g_.tensors.push_back(g_.tensors[again.tensor(k)]);
      const Id carried = load_all(stand_in[k]);
      flow = flow == kNone ? carried : g_.binary(Op::Add, flow, carried);
    }
    flows.push_back(flow);
  }
  Differentiator step(p_);
  step.single_ = single_ | again.row | ir::bit(scan.sym);
  step.through_elements_ = true;
  const std::vector<Target> targets = step.step_backward(scan, active_, common_mask(node), flows);
  for (const auto& [tensor, flow] : step.read_at_carried_places(scan))
    if (g_.tensors[tensor].differentiable)
      throw DefinitionError(fmt::format("loss '{}': scan: '{}' is read at a place that depends on what is carried, of which checkpoints are kept: not "
                                        "supported yet; wanted Storage::AllSteps", p_.name, g_.tensors[tensor].name));
  std::vector<size_t> started(again.size(), SIZE_MAX);
  for (size_t k = 0; k < again.size(); k++) {
    const auto to = step.tensor_.find(again.tensor(k));
    if (!(read >> again.tensor(k) & 1)) continue;
    again.stands_for[stand_in[k]] = started[k] = again.values.size();
    again.values.push_back({"d", g_.tensors[again.tensor(k)].dims, g_.constant(0), to == step.tensor_.end() ? g_.constant(0) : to->second});
  }
  size_t value = again.values.size();
  for (const Target& t : targets) carry_target(again, t);
  carry_checkpoints(again);
  const Id back = scan_back(again);
  for (const Target& t : targets) give_target(again, back, t, value);
  for (size_t k = 0; k < again.size(); k++)
    if (started[k] != SIZE_MAX) {
      const Id v = at_end(again, back, started[k]);
      give(scan.args[k], {kNone, v}, g_.free(v));
    }
}

// What a carried value of the derivative comes to.
Id Differentiator::at_end(const Again& again, Id back, size_t value) {
  const Id length = g_.extent(g_.indices[again.scan.sym].axis), one = g_.constant(1, ir::Type::Int), zero = g_.constant(0, ir::Type::Int);
  const Id place = again.forward() ? zero : g_.binary(Op::Sub, length, one);
  const Id v = g_.at_index(g_.after(back, again.first_tensor + static_cast<Id>(value)), again.scan.sym, place);
  return g_.select(g_.binary(Op::Lt, zero, length), v, g_.constant(0));
}

// `value`: the first one that carry_target made of it; then the one behind.
void Differentiator::give_target(const Again& again, Id back, const Target& target, size_t& value) {
  const IndexSet place = ir::bit(again.scan.sym), domain = g_.free(target.node) | again.row;
  const bool each = g_.free(target.node) & place;
  std::vector<Id> known;
  bool whether = false;
  for (Id m : conjuncts(target.flow.mask)) {
    const bool inside = each ? g_.at(m).carried != 0 : (g_.free(m) & place) != 0;
    whether |= inside && each;
    if (!inside) known.push_back(m);
  }
  const auto after = [&](size_t k) { return g_.after(back, again.first_tensor + static_cast<Id>(k)); };
  const Id v = each ? after(value) : at_end(again, back, value);
  value++;
  if (whether) known.push_back(g_.binary(Op::Lt, g_.constant(0.5), after(value++)));
  give(target.node, {all_of(known), v}, domain);
}

}  // namespace lossc
