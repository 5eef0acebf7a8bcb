// In which loop over the rows each value is complete, and which index the rows are.
#include "planner.h"

#include <algorithm>
#include <functional>

namespace lossc::plan {

using ir::IndexSet;
using ir::kNone;
using ir::Op;

// Reductions over `row` to what several other indices have, product of matrices aside: in panels of such rows each would be a
// loop of its own, with a partial result as large as a tensor.
bool Planner::reduces_widely(const std::vector<Id>& roots, Id row) const {
  const std::vector<Id> nodes = ir::topological(g_, roots);
  return std::any_of(nodes.begin(), nodes.end(), [&](Id node) {
    const ir::Node& n = g_.at(node);
    return n.op == Op::Reduce && n.sym == row && members(n.free).size() >= 2 && (g_.free(n.args[0]) & ir::bit(row)) && !product(node, nullptr);
  });
}

// A ratio for each class of sums over images and pixels of a softmax over the classes: cut into classes, the softmax has to
// look at all of them, cut into images, only small sums do. So an index that is summed over, with no such reductions.
Id Planner::better_row(const std::vector<Id>& roots, Id row) const {
  std::set<Id> sums;
  for (Id node : ir::topological(g_, roots)) {
    const ir::Node& n = g_.at(node);
    if (n.op == Op::Reduce && n.kind == ir::ReduceKind::Sum && n.sym != row && members(n.free).size() == 1) sums.insert(n.sym);
  }
  const auto index = std::find_if(sums.begin(), sums.end(), [&](Id k) { return !reduces_widely(roots, k); });
  return index == sums.end() ? row : *index;
}

// Rows of the loss, or, for a total, the outermost index it sums over; of several the one that most wide values have, for
// what is not cut into panels is stored whole.
Id Planner::choose_row(const std::vector<Id>& roots) const {
  if (!program_.rows.empty()) {
    const Id row = program_.rows[0];
    return reduces_widely(roots, row) ? better_row(roots, row) : row;
  }
  std::vector<Id> sums;
  std::set<Id> seen;
  std::function<void(Id)> collect = [&](Id node) {
    if (!seen.insert(node).second) return;
    const ir::Node& n = g_.at(node);
    if (n.op == Op::Reduce) return sums.push_back(n.sym);
    for (Id a : n.args)
      if (g_.type(a) == ir::Type::Float) collect(a);
  };
  collect(roots[0]);
  std::map<Id, int> wide;
  std::set<Id> selected;
  for (Id node : ir::topological(g_, roots)) {
    const ir::Node& n = g_.at(node);
    if (n.op == Op::Reduce && selects(n.kind)) selected.insert(n.sym);
    const std::vector<Id> free = members(g_.free(node));
    if (free.size() < 2 || like_a_tensor(g_.free(node))) continue;
    for (Id k : free) wide[k]++;
  }
  // Which of the rows an argmax chose cannot be told from those of the panels: such rows are not cut.
  std::erase_if(sums, [&](Id k) { return selected.count(k) > 0; });
  auto best = std::max_element(sums.begin(), sums.end(), [&](Id a, Id b) { return wide[a] < wide[b]; });
  return best == sums.end() ? kNone : *best;
}

bool Planner::needs_every_row(Id node) const {
  const ir::Node& n = g_.at(node);
  if (plan_.row == kNone || at_once(node)) return false;
  return ir::binds_index(n.op) && n.op != Op::Scan && n.sym == plan_.row;
}

bool Planner::selects_row(Id node) const {
  const ir::Node& n = g_.at(node);
  return n.op == Op::Reduce && selects(n.kind) && needs_every_row(node);
}

// Is it an input at its own indices, to be read where the caller has it? Looked up by computed keys it is none: the keys
// may be made in a loop over the rows.
bool Planner::as_given(Id node) const {
  const ir::Node& n = g_.at(node);
  if (n.op != Op::Load) return false;
  IndexSet plain = 0;
  for (Id a : n.args)
    if (const Id index = g_.plain_index(a); index != kNone) plain |= ir::bit(index);
  return members(plain).size() == n.args.size();
}

// Is the operand wanted for all rows, so that the loop over them that makes it must be over?
bool Planner::completes(Id node, size_t operand) const {
  const ir::Node& n = g_.at(node);
  const Id a = n.args[operand];
  if (at_once(node)) {
    // A step by hand gets its operands in memory, also numbers of rows; a loop over places makes those itself.
    const bool there = as_given(a) || (g_.at(a).op == Op::Index && n.op != Op::WholeByHand);
    return !at_once(a) && row_bound(a) && !there;
  }
  return needs_every_row(node) && (operand == 0 || n.op != Op::At);
}

// Passes, as late as the users allow: what a wide loop computes is then computed where it is used, and a cheap sum over
// rows that it needs (the divisor of a mean) gets a loop of its own before. As early as possible would read given
// logits twice: statistics in the first loop, gradient in the second.
//
// A value that does not depend on the row is ready "before loop p"; one that does is ready "in loop p".
void Planner::choose_passes(const std::vector<Id>& roots) {
  const std::vector<Id> order = ir::topological(g_, roots);
  std::map<Id, int> early;
  for (Id node : order) {
    int p = 0;
    const std::vector<Id>& args = g_.at(node).args;
    for (size_t k = 0; k < args.size(); k++) p = std::max(p, early[args[k]] + (at_once(node) && completes(node, k) ? 1 : 0));
    early[node] = p + (needs_every_row(node) ? 1 : 0);
  }
  int last = 0;  // the last loop
  for (size_t k = 0; k < roots.size(); k++) {
    const bool in_loop = row_bound(roots[k]) || (k > 0 && root_rows_[k]);
    last = std::max(last, in_loop ? early[roots[k]] : early[roots[k]] - 1);
  }
  auto lower = [&](Id node, int p) {
    auto [it, fresh] = pass_.try_emplace(node, p);
    if (!fresh) it->second = std::min(it->second, p);
  };
  for (size_t k = 0; k < roots.size(); k++) lower(roots[k], row_bound(roots[k]) || root_rows_[k] ? last : last + 1);
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const ir::Node& n = g_.at(*it);
    for (size_t k = 0; k < n.args.size(); k++) {
      // A row-free value that is read nowhere but in the loop of pass p is made before that loop.
      lower(n.args[k], pass_[*it] - (completes(*it, k) ? 1 : 0));
    }
  }
  gather_readers(order, early);
}

// A wide matrix lives in one loop: whoever reads it does so there, if its other operands are ready, however late its
// own users would allow. Otherwise the matrix would be computed once more for it.
void Planner::gather_readers(const std::vector<Id>& order, const std::map<Id, int>& early) {
  std::function<void(Id, int)> settle = [&](Id node, int p) {
    if (pass_.at(node) <= p) return;
    pass_[node] = p;
    const ir::Node n = g_.at(node);
    for (size_t k = 0; k < n.args.size(); k++)
      settle(n.args[k], p - (completes(node, k) ? 1 : 0));
  };
  for (Id node : order) {
    if (!row_bound(node)) continue;
    for (Id a : g_.at(node).args) {
      const IndexSet free = g_.free(a);
      const bool wide = row_bound(a) && members(free).size() >= 2 && reaches_buffer(a) && !like_a_tensor(free);
      if (wide && pass_.at(a) < pass_.at(node) && early.at(node) <= pass_.at(a)) settle(node, pass_.at(a));
    }
  }
}

// All that a recurrence carries is there with the first of it that is wanted.
int Planner::pass_of(Id node) const {
  const ir::Node& n = g_.at(node);
  return pass_.at(n.op == Op::After ? n.args[0] : node);
}

}  // namespace lossc::plan
