// Recurrences: a loop over the places of an index, inside a panel of the rows or over all rows together.
#include "planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace lossc::plan {

using ir::IndexSet;
using ir::kNone;
using ir::Op;

// How many recurrences are around each.
void Planner::nest_scans(const std::vector<Id>& order) {
  for (auto it = order.rbegin(); it != order.rend(); ++it) {  // those around come before those inside
    const ir::Node& n = g_.at(*it);
    if (n.op != Op::Scan) continue;
    int depth = 0;
    for (const auto& [tensor, d] : scan_depth_)
      if (n.carried >> tensor & 1) depth = std::max(depth, d + 1);
    for (size_t k = 0; k < n.args.size() / 2; k++) {
      const Id tensor = n.sym2 + static_cast<Id>(k);
      scan_index_[tensor] = n.sym;
      scan_depth_[tensor] = depth;
    }
  }
}

bool carried_of_other_rows(const ir::Graph& g, Id node, Id row) {
  const ir::Node& n = g.at(node);
  if (n.op != Op::Load || g.tensors[n.sym].role != ir::TensorRole::Carried) return false;
  const std::vector<Id>& dims = g.tensors[n.sym].dims;
  const auto at = std::find(dims.begin(), dims.end(), row);
  return at != dims.end() && g.plain_index(n.args[static_cast<size_t>(at - dims.begin())]) != row;
}

// Which recurrences a node keeps from running row by row, as bits of ir::Node::carried: those around one that goes along the
// rows, sums over them or looks them up; and of a Scan its own, if one of them is so kept or has no rows.
uint64_t Planner::kept_together(Id node) const {
  const ir::Node& n = g_.at(node);
  if (carried_of_other_rows(g_, node, plan_.row)) return n.carried;
  const bool into_rows = n.op == Op::Scatter && n.sym2 == plan_.row;
  if (n.op != Op::Scan) return (ir::binds_index(n.op) && n.sym == plan_.row) || into_rows ? n.carried : 0;
  const uint64_t all = g_.carries_of(n) | n.carried;
  bool together = n.sym == plan_.row || (all & at_once_);
  for (size_t k = 0; k < n.args.size() / 2; k++)
    together |= !(set_of(g_.tensors[n.sym2 + static_cast<Id>(k)].dims) & ir::bit(plan_.row));
  return together ? all : 0;
}

// A recurrence runs inside the panels if every row goes its own way: nothing in its step reads another row, and all that
// it carries has rows. Otherwise its loop is outside, and each place does all rows.
void Planner::choose_scans(const std::vector<Id>& roots) {
  const std::vector<Id> order = ir::topological(g_, roots);
  nest_scans(order);
  if (plan_.row == kNone) return;
  for (uint64_t before = ~at_once_; before != at_once_;) {
    before = at_once_;
    for (Id node : order) at_once_ |= kept_together(node);
  }
}

bool Planner::at_once(Id node) const {
  const ir::Node& n = g_.at(node);
  if (n.op == Op::WholeByHand) return true;
  if (n.carried & at_once_) return true;
  if (n.op == Op::Scan) return (g_.carries_of(n) & at_once_) != 0;
  return n.op == Op::After && (at_once_ >> n.sym & 1);
}

// Indices of the loops that a value is made in, outermost first.
std::vector<Id> Planner::places(Id node) const {
  const ir::Node& n = g_.at(node);
  std::vector<std::pair<int, Id>> found;
  for (const auto& [tensor, index] : scan_index_)
    if ((n.carried >> tensor & 1) || (n.op == Op::After && n.sym == tensor)) found.emplace_back(scan_depth_.at(tensor), index);
  // A recurrence in another one: there is one place of that, too, also for what is carried by the inner one alone.
  int deepest = 0;
  for (const auto& [depth, index] : found) deepest = std::max(deepest, depth);
  for (const auto& [tensor, index] : scan_index_)
    if (scan_depth_.at(tensor) < deepest && (n.free & ir::bit(index))) found.emplace_back(scan_depth_.at(tensor), index);
  std::sort(found.begin(), found.end());
  std::vector<Id> out;
  for (const auto& [depth, index] : found)
    if (std::find(out.begin(), out.end(), index) == out.end()) out.push_back(index);
  return out;
}

// Outermost first: the places of the loops around, and then as it would be without them.
std::vector<Id> Planner::ordered(Id node, IndexSet set) const {
  std::vector<Id> order;
  for (Id place : places(node))
    if (set & ir::bit(place)) order.push_back(place);
  for (Id k : natural_order(set & ~set_of(order))) order.push_back(k);
  return order;
}

// The innermost loop being made that the value depends on; -1: none.
int Planner::loop_of(Id node) const {
  int loop = -1, depth = -1;
  for (const auto& [tensor, step] : open_)
    if ((g_.at(node).carried >> tensor & 1) && scan_depth_.at(tensor) > depth) depth = scan_depth_.at(tensor), loop = step;
  return loop;
}

// The places that the step being built has one of.
IndexSet Planner::places_of(const Kernel& k) const {
  const int loop = k.loop >= 0 || k.step.nodes.empty() ? k.loop : loop_of(k.step.nodes[0]);
  if (loop < 0) return 0;
  return set_of(plan_.steps[static_cast<size_t>(loop)].places) | ir::bit(plan_.steps[static_cast<size_t>(loop)].over);
}

// All carried values of the recurrence at once, whichever is asked for.
void Planner::build_scan(Id node, int buffer, int pass) {
  const Id scan = g_.at(node).args[0];
  const ir::Node s = g_.at(scan);
  const size_t n = s.args.size() / 2;
  const int loop = static_cast<int>(plan_.steps.size());
  const Kernel around{.step = {}, .pass = pass, .in_loop = row_bound(node) && !at_once(node), .seen = {}, .loop = loop_of(node)};
  plan_.steps.push_back({.kind = StepKind::Loop, .over = s.sym, .backward = ir::course(s) == ir::Course::Backward});
  if (around.loop >= 0) {
    plan_.steps[loop].places = plan_.steps[around.loop].places;
    plan_.steps[loop].places.push_back(plan_.steps[around.loop].over);
  }
  const Storage storage = plan_.buffers[buffer].storage;
  std::vector<int> after;
  for (size_t k = 0; k < n; k++) {
    const Id value = g_.after(scan, s.sym2 + static_cast<Id>(k));
    pass_.try_emplace(value, pass_.at(node));
    const Layout layout = default_layout(value);
    auto [it, fresh] = made_.try_emplace(std::make_tuple(value, layout.order, false, made_for(value, storage, pass)), -1);
    if (fresh)
      it->second = add_buffer({.name = fmt::format("b{}", plan_.buffers.size()), .storage = storage,
                               .node = value, .layout = layout});
    after.push_back(it->second);
  }
  start_loop(scan, loop, after, pass);
  for (size_t k = 0; k < n; k++) {
    Kernel step{.step = {.domain = plan_.buffers[after[k]].layout.order, .outputs = {after[k]}, .nodes = {s.args[n + k]}},
                .pass = pass, .in_loop = around.in_loop, .seen = {}, .loop = loop};
    find_reads(step, s.args[n + k], false);
    step.step.text = fmt::format("{} = {}", g_.tensors[s.sym2 + static_cast<Id>(k)].name, ir::print(g_, s.args[n + k], 5));
    add_step(std::move(step));
  }
  for (size_t k = 0; k < n; k++) open_.erase(s.sym2 + static_cast<Id>(k));
  plan_.steps[loop].text = fmt::format("for each {}{}", g_.indices[s.sym].name, ir::course(s) == ir::Course::Backward ? ", from the last" : "");
  list_of(around).push_back(loop);
}

// Memory for what is there before each place, and the steps that say what is there before the first.
void Planner::start_loop(Id scan, int loop, const std::vector<int>& after, int pass) {
  const ir::Node s = g_.at(scan);
  for (size_t k = 0; k < after.size(); k++) {
    const Id tensor = s.sym2 + static_cast<Id>(k);
    Buffer b = plan_.buffers[after[k]];
    b.name = fmt::format("before{}", plan_.buffers.size());
    b.node = kNone;
    b.tensor = tensor;
    b.continues = after[k];
    before_[tensor] = add_buffer(b);
    Kernel first{.step = {.domain = b.layout.order, .outputs = {before_[tensor]}, .nodes = {s.args[k]}},
                 .pass = pass, .in_loop = row_bound(g_.after(scan, tensor)) && !at_once(scan), .seen = {}, .loop = loop};
    find_reads(first, s.args[k], false);
    first.step.text = fmt::format("{} starts from {}", g_.tensors[tensor].name, ir::print(g_, s.args[k], 5));
    first.step.places = plan_.steps[loop].places;
    first.step.places.push_back(s.sym);
    plan_.steps[loop].first.push_back(static_cast<int>(plan_.steps.size()));
    plan_.steps.push_back(std::move(first.step));
  }
  // Open only now: what a recurrence starts from is made outside of it.
  for (size_t k = 0; k < after.size(); k++) open_[s.sym2 + static_cast<Id>(k)] = loop;
}

// Is this carried value a sum, to which each place adds something that does not depend on it, and of which only what it comes to
// in the end is read? Then there need be memory for one: each place adds to what is there.
bool Planner::sums_up(Id after) const {
  const ir::Node scan = g_.at(g_.at(after).args[0]);
  const Id tensor = g_.at(after).sym, along = scan.sym;
  const size_t n = scan.args.size() / 2, own = n + static_cast<size_t>(tensor - scan.sym2);
  const auto reads = [&](Id node) { return (g_.at(node).carried >> tensor & 1) != 0; };
  for (size_t k = n; k < 2 * n; k++)
    if (k != own && reads(scan.args[k])) return false;
  const ir::Node sum = g_.at(scan.args[own]);
  if (sum.op != ir::Op::Add) return false;
  const auto itself = [&](Id node) {
    const ir::Node& load = g_.at(node);
    if (load.op != ir::Op::Load || load.sym != tensor) return false;
    for (size_t d = 0; d < load.args.size(); d++)
      if (g_.plain_index(load.args[d]) != g_.tensors[tensor].dims[d]) return false;
    return true;
  };
  const size_t other = itself(sum.args[0]) ? 1 : 0;
  if (!itself(sum.args[1 - other]) || reads(sum.args[other])) return false;
  return only_end_is_read(after, along, ir::course(scan));
}

bool Planner::only_end_is_read(Id after, Id along, ir::Course course) const {
  std::set<Id> seen;
  bool only = true;
  const auto at_end = [&](const ir::Node& lookup) { return lookup.sym == along && g_.is_last_place(lookup.args[1], course, along); };
  std::function<void(Id)> visit = [&](Id node) {
    if (!only || !seen.insert(node).second) return;
    const ir::Node& n = g_.at(node);
    for (size_t k = 0; k < n.args.size(); k++) {
      if (n.args[k] == after) only &= n.op == ir::Op::At && k == 0 && at_end(n);
      visit(n.args[k]);
    }
  };
  for (const Step& step : plan_.steps)
    for (Id node : step.nodes) {
      only &= node != after;
      visit(node);
    }
  return only;
}

// What a step of a recurrence makes is read at the same place only, for nothing reads what is carried at another; of the
// values after each place, which are read at all of them unless they are sums, that holds for the loops further out.
void Planner::roll_over() {
  for (const Step& step : plan_.steps) {
    if (step.kind == StepKind::Loop || step.places.empty()) continue;
    for (int b : step.outputs) {
      Buffer& buffer = plan_.buffers[b];
      const Id after = buffer.continues >= 0 ? plan_.buffers[buffer.continues].node : buffer.node;
      const bool kept = g_.at(after).op == ir::Op::After && !sums_up(after);
      buffer.rolling = set_of(step.places) & ~(kept ? ir::bit(step.places.back()) : 0);
    }
    for (int b : step.scratch) plan_.buffers[b].rolling = set_of(step.places);
  }
}

}  // namespace lossc::plan
