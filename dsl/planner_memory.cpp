// Which buffers share memory: panels whose lifetimes do not meet, and what an output is made of in place.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "planner.h"

namespace lossc::plan {

// Is the buffer read at another place than the one at hand, or in a reduction of which `again` says that it may come after that
// place was written over?
bool Planner::reads_elsewhere(const Step& step, int buffer, const std::function<bool(const ir::Node& reduce)>& again) const {
  bool elsewhere = false;
  std::set<std::pair<Id, bool>> seen;
  std::function<void(Id, bool)> visit = [&](Id node, bool reduced) {
    if (!seen.insert({node, reduced}).second) return;
    const ir::Node& n = g_.at(node);
    if (n.op == ir::Op::At) {
      elsewhere |= plan_.find(step, looked_up_in(g_, node)) == buffer;
      for (Id at : lookups_of(g_, node)) visit(g_.at(at).args[1], reduced);
      return;
    }
    if (const int b = plan_.find(step, node); b >= 0) {
      elsewhere |= reduced && b == buffer;
      return;
    }
    const bool inside = reduced || (n.op == ir::Op::Reduce && again(n));
    for (Id a : n.args) visit(a, inside);
  };
  for (Id node : step.nodes) visit(node, false);
  return elsewhere;
}

// May the step, which reads `buffer` last, have its output `out` in the same memory? It must read it at no other place than
// the one it writes; and what a reduction inside reads may be read again after it was written over.
bool Planner::may_write_over(const Step& step, int buffer, const Buffer& out) const {
  const Buffer& in = plan_.buffers[buffer];
  const bool read = std::find(step.reads.begin(), step.reads.end(), buffer) != step.reads.end();
  if (!read || step.kind != StepKind::Map || !(in.layout == out.layout) || in.elem != out.elem) return false;
  return !reads_elsewhere(step, buffer, [](const ir::Node&) { return true; });
}

// Panel buffers whose lifetimes do not meet share memory; an elementwise step writes over what it read last, so the
// panel stays the size of one matrix and hot in the cache.
void Planner::assign_slots() {
  for (const Pass& pass : plan_.passes) {
    for (const auto* list : {&pass.once, &pass.panel}) {
      std::map<int, size_t> last;
      for (size_t k = 0; k < list->size(); k++) {
        const Step& s = plan_.steps[(*list)[k]];
        for (const auto* bs : {&s.reads, &s.outputs, &s.scratch, &s.heap})
          for (int b : *bs) last[b] = k;
      }
      std::vector<int> owner;  // of each slot, in this loop
      auto place = [&](int b, size_t k, const Step& s, bool in_place_allowed) {
        Buffer& buffer = plan_.buffers[b];
        if (buffer.storage != Storage::Panel || buffer.slot >= 0 || buffer.continues >= 0) return;
        for (size_t slot = 0; slot < owner.size() && buffer.slot < 0; slot++) {
          const int o = owner[slot];
          const bool dead = o < 0 || last[o] < k;
          const bool same = o >= 0 && last[o] == k && in_place_allowed && may_write_over(s, o, buffer);
          if (dead || same) buffer.slot = static_cast<int>(slot);
        }
        if (buffer.slot < 0) {
          buffer.slot = static_cast<int>(owner.size());
          owner.push_back(b);
        }
        owner[buffer.slot] = b;
      };
      for (size_t k = 0; k < list->size(); k++) {
        const Step s = plan_.steps[(*list)[k]];
        for (int b : s.outputs) place(b, k, s, true);
        for (const auto* bs : {&s.scratch, &s.heap})
          for (int b : *bs) place(b, k, s, false);
      }
      plan_.slots = std::max(plan_.slots, static_cast<int>(owner.size()));
    }
  }
}

// What a recurrence has before a place is in the same memory as what it has after one.
void Planner::share_carried_slots() {
  for (Buffer& b : plan_.buffers)
    if (b.continues >= 0) b.slot = plan_.buffers[b.continues].slot;
}

// A panel buffer that an output is made of, element by element, may be in that output's memory until then.
void Planner::lend_outputs() {
  for (const Pass& pass : plan_.passes) {
    std::map<int, size_t> last;
    std::set<int> inside;  // a recurrence, or before the panels: at other rows than the panel's
    for (size_t k = 0; k < pass.panel.size(); k++)
      for (int b : plan_.steps[pass.panel[k]].reads) last[b] = k;
    for (int s = 0; s < static_cast<int>(plan_.steps.size()); s++) {
      const Step& step = plan_.steps[s];
      if (std::find(pass.panel.begin(), pass.panel.end(), s) != pass.panel.end() && step.kind != StepKind::Loop) continue;
      for (const auto* bs : {&step.reads, &step.outputs}) inside.insert(bs->begin(), bs->end());
    }
    for (size_t k = 0; k < pass.panel.size(); k++) {
      const Step& step = plan_.steps[pass.panel[k]];
      if (step.outputs.size() != 1) continue;
      const int out = step.outputs[0];
      const Buffer& target = plan_.buffers[out];
      const bool rows = set_of(target.layout.order) & ir::bit(plan_.row);
      if (target.storage != Storage::Output || target.layout.order.size() < 2 || !rows) continue;
      for (int b : step.reads) {
        Buffer& of = plan_.buffers[b];
        const bool panel = of.storage == Storage::Panel && of.scratch == Scratch::None && of.continues < 0 && !inside.count(b);
        if (!panel || last.at(b) != k || !may_write_over(step, b, target)) continue;
        of.lender = out;
        break;
      }
    }
  }
}

}  // namespace lossc::plan
