// What the loss makes of given data and the gradient would make again is left in the gradient's memory: the exponentials of a
// softmax over the classes of pixels. They are half of such a loss's arithmetic, and where they are left nothing else is until
// the gradient is written over them, element by element.
//
// Only where a run wants that gradient, and with dense rows: else each step makes its own, as it does in a run backward alone,
// which has the sums from the run forward. So the step that writes the gradient is there twice (Step::with, without).
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "planner.h"

namespace lossc::plan {

using ir::kNone;
using ir::Op;

// Does the step compute `node` for each element of `domain`, in a loop over chunks of its last index? A sum keeps it a chunk at a
// time; a map of one index less computes it in a reduction of its own (the log-sum-exp of a pixel), if that is the only one.
bool Planner::makes(const Step& step, Id node, const std::vector<Id>& domain) const {
  if (!step.places.empty() || step.tiled) return false;
  if (step.kind == StepKind::Reduce)
    return step.domain == domain && std::find(step.kept.begin(), step.kept.end(), node) != step.kept.end();
  if (step.kind != StepKind::Map || step.domain.size() != 2 || step.domain.back() != domain.back()) return false;
  std::set<Id> reductions;
  std::set<std::pair<Id, Id>> seen;
  std::function<void(Id, Id)> visit = [&](Id at, Id reduction) {
    if (!seen.insert({at, reduction}).second || plan_.find(step, at) >= 0) return;
    const ir::Node& n = g_.at(at);
    if (at == node) reductions.insert(reduction);
    if (n.op == Op::At) return;  // of other elements
    for (Id a : n.args) visit(a, n.op == Op::Reduce ? at : reduction);
  };
  for (Id root : step.nodes) visit(root, kNone);
  if (reductions.size() != 1 || *reductions.begin() == kNone) return false;
  const ir::Node& r = g_.at(*reductions.begin());
  return (r.free & ir::bit(step.domain.back())) && (r.free | ir::bit(r.sym)) == set_of(domain);
}

// The earlier step that makes `node` for all that `reader` does; -1: none.
int Planner::leaver(int reader, Id node) const {
  for (const Pass& pass : plan_.passes)
    for (const auto* list : {&pass.once, &pass.panel})
      for (int s : *list) {
        if (s == reader) return -1;
        if (makes(plan_.steps[s], node, plan_.steps[reader].domain)) return s;
      }
  return -1;
}

// Of what the step reads, what its expressions still come to.
std::vector<int> Planner::still_read(const Step& step) const {
  std::set<int> found;
  std::set<Id> seen;
  std::function<void(Id)> visit = [&](Id node) {
    if (!seen.insert(node).second) return;
    const ir::Node& n = g_.at(node);
    if (const int b = plan_.find(step, node); b >= 0) {
      found.insert(b);
      return;
    }
    if (n.op == Op::Load)
      for (int b : step.reads)
        if (plan_.buffers[b].storage == Storage::Input && plan_.buffers[b].tensor == n.sym) found.insert(b);
    if (n.op == Op::At) {
      found.insert(plan_.find(step, looked_up_in(g_, node)));
      for (Id at : lookups_of(g_, node)) visit(g_.at(at).args[1]);
      return;
    }
    for (Id a : n.args) visit(a);
  };
  for (Id node : step.nodes) visit(node);
  std::vector<int> reads;
  for (int b : step.reads)
    if (found.count(b)) reads.push_back(b);
  return reads;
}

bool Planner::loads(Id node, Id tensor) const {
  const std::vector<Id> below = ir::topological(g_, {node});
  return std::any_of(below.begin(), below.end(), [&](Id n) { return g_.at(n).op == Op::Load && g_.at(n).sym == tensor; });
}

bool Planner::leave_for(int reader, Id node) {
  const int maker = leaver(reader, node);
  const int out = plan_.steps[reader].outputs[0];
  if (maker < 0 || plan_.steps[maker].left.count(node)) return false;
  const int left = add_buffer({.name = plan_.buffers[out].name + "_until_written", .storage = Storage::Lent, .node = node,
                               .layout = plan_.buffers[out].layout, .lender = out});
  const Step& without = plan_.steps[reader];
  Step with = without;
  with.reads.push_back(left);
  with.reads = still_read(with);
  with.kept = worth_keeping(with);
  with.heap.clear();
  // What a chunk reduces before its walk begins to write is read in time.
  const Id walked = with.domain[with.domain.size() - 2];
  const auto late = [&](const ir::Node& reduce) { return reduce.sym != walked || (reduce.free & ir::bit(walked)); };
  // Where it has to look at all of the given data again, for a maximum, reading the values as well takes longer than making them.
  bool good = !reads_elsewhere(with, left, late) && std::none_of(with.reads.begin(), with.reads.end(), [&](int b) {
    return plan_.buffers[b].storage == Storage::Input && plan_.buffers[b].layout.order.size() == with.domain.size() && loads(node, plan_.buffers[b].tensor);
  });
  for (Id kept : with.kept) {
    const auto it = std::find(without.kept.begin(), without.kept.end(), kept);
    good = good && it != without.kept.end();
    if (good) with.heap.push_back(without.heap[static_cast<size_t>(it - without.kept.begin())]);
  }
  if (!good) {
    plan_.buffers.pop_back();
    return false;
  }
  with.with = left;
  plan_.steps[maker].left[node] = left;
  plan_.steps[reader].without = left;
  const int twin = static_cast<int>(plan_.steps.size());
  plan_.steps.push_back(std::move(with));
  for (Pass& pass : plan_.passes)
    for (auto* list : {&pass.once, &pass.panel})
      if (const auto it = std::find(list->begin(), list->end(), reader); it != list->end()) list->insert(it + 1, twin);
  return true;
}

void Planner::leave_kept() {
  std::set<int> lenders;
  for (const Buffer& b : plan_.buffers)
    if (b.lender >= 0) lenders.insert(b.lender);
  for (int s = 0, n = static_cast<int>(plan_.steps.size()); s < n; s++) {
    const Step step = plan_.steps[s];
    if (step.kind != StepKind::Map || step.outputs.size() != 1 || step.tiled || !step.places.empty()) continue;
    const Buffer& out = plan_.buffers[step.outputs[0]];
    if (out.storage != Storage::Output || out.elem != Elem::Float || out.layout.order != step.domain || lenders.count(step.outputs[0])) continue;
    // The one that is made of the others, if there are several.
    std::vector<Id> kept = step.kept;
    std::sort(kept.rbegin(), kept.rend());
    for (Id node : kept)
      if (g_.free(node) == set_of(step.domain) && leave_for(s, node)) break;
  }
}

}  // namespace lossc::plan
