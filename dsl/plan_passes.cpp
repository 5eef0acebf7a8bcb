// What is done to a plan once its steps are known: reductions over the same loop become one kernel, what nobody reads
// is dropped, what is computed in several walks is kept a chunk at a time.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "planner.h"

namespace lossc::plan {

using ir::kNone;
using ir::ReduceKind;

namespace {

bool selects(const ir::Graph& g, const Step& s) {
  return std::any_of(s.nodes.begin(), s.nodes.end(), [&](Id n) {
    return g.at(n).op == ir::Op::Reduce && selects(g.at(n).kind);
  });
}

bool by_hand(const ir::Graph& g, const Step& s) {
  return std::any_of(s.nodes.begin(), s.nodes.end(), [&](Id n) { return g.at(n).op == ir::Op::WholeByHand; });
}

}  // namespace

// One loop for several reductions over the same elements, and one for the small per-row results: a pass over memory
// each is saved, and a kernel to compile.
bool Planner::mergeable(const Step& a, const Step& b) const {
  constexpr size_t kMost = 6;  // lane accumulators of one loop that still fit the 16 registers of AVX2, two each
  if (a.kind == StepKind::Loop || a.kind != b.kind || a.domain != b.domain || a.over != b.over || a.tiled != b.tiled || a.accumulates != b.accumulates)
    return false;
  if (a.outputs.size() + b.outputs.size() > kMost) return false;
  if (by_hand(g_, a) || by_hand(g_, b)) return false;  // its kernel is compiled under rules of its own
  if (a.kind == StepKind::Reduce)
    return !selects(g_, a) && !selects(g_, b) && plan_.buffers[a.outputs[0]].layout == plan_.buffers[b.outputs[0]].layout;
  return a.kind == StepKind::Map && a.domain.size() <= 1;
}

void Planner::merge_list(std::vector<int>& list) {
  for (size_t j = 0; j < list.size(); j++) {
    const Step& b = plan_.steps[list[j]];
    for (size_t i = 0; i < j; i++) {
      if (!mergeable(plan_.steps[list[i]], b)) continue;
      bool free = true;  // nothing that b reads is made at i or after
      for (size_t m = i; m < j && free; m++)
        for (int o : plan_.steps[list[m]].outputs) free &= std::find(b.reads.begin(), b.reads.end(), o) == b.reads.end();
      if (!free) continue;
      Step& a = plan_.steps[list[i]];
      a.outputs.insert(a.outputs.end(), b.outputs.begin(), b.outputs.end());
      a.nodes.insert(a.nodes.end(), b.nodes.begin(), b.nodes.end());
      a.scratch.insert(a.scratch.end(), b.scratch.begin(), b.scratch.end());
      for (int r : b.reads)
        if (std::find(a.reads.begin(), a.reads.end(), r) == a.reads.end()) a.reads.push_back(r);
      a.text += "; " + b.text;
      list.erase(list.begin() + static_cast<long>(j));
      j--;
      break;
    }
  }
}

// Keeps the steps that lead to an output, and the buffers that they touch; renumbers both.
void Planner::drop_unused() {
  std::set<int> wanted;
  std::set<int> steps;
  for (auto pass = plan_.passes.rbegin(); pass != plan_.passes.rend(); ++pass) {
    auto keep = [&](std::vector<int>& list) {
      for (auto it = list.rbegin(); it != list.rend(); ++it) {
        const Step& s = plan_.steps[*it];
        const bool used = std::any_of(s.outputs.begin(), s.outputs.end(), [&](int o) {
          return plan_.buffers[o].storage == Storage::Output || wanted.count(o);
        });
        if (!used) continue;
        for (int inside : plan_.flat({*it})) steps.insert(inside);
        wanted.insert(s.reads.begin(), s.reads.end());
        wanted.insert(s.outputs.begin(), s.outputs.end());
        wanted.insert(s.scratch.begin(), s.scratch.end());
      }
      std::erase_if(list, [&](int s) { return !steps.count(s); });
    };
    keep(pass->panel);
    keep(pass->once);
  }
  std::map<int, int> step_id, buffer_id;
  Plan next = std::move(plan_);
  std::vector<Buffer> buffers;
  for (int b : wanted) {
    buffer_id[b] = static_cast<int>(buffers.size());
    buffers.push_back(next.buffers[b]);
  }
  for (Buffer& b : buffers)
    if (b.continues >= 0) b.continues = buffer_id.at(b.continues);
  for (int s : steps) step_id.emplace(s, static_cast<int>(step_id.size()));
  std::vector<Step> kept;
  for (int s : steps) {
    Step step = next.steps[s];
    for (auto* list : {&step.outputs, &step.reads, &step.scratch})
      for (int& b : *list) b = buffer_id[b];
    for (auto* list : {&step.first, &step.body})
      for (int& k : *list) k = step_id.at(k);
    kept.push_back(std::move(step));
  }
  next.buffers = std::move(buffers);
  next.steps = std::move(kept);
  for (Pass& p : next.passes)
    for (auto* list : {&p.once, &p.panel})
      for (int& s : *list) s = step_id[s];
  plan_ = std::move(next);
}

// A loop touches what its steps touch.
void Planner::sum_up_loops() {
  std::vector<int> loops;
  for (size_t k = 0; k < plan_.steps.size(); k++)
    if (plan_.steps[k].kind == StepKind::Loop) loops.push_back(static_cast<int>(k));
  std::stable_sort(loops.begin(), loops.end(),  // those inside before those around them
                   [&](int a, int b) { return plan_.steps[a].places.size() > plan_.steps[b].places.size(); });
  for (int l : loops) {
    std::set<int> outputs, reads, scratch, heap;
    for (const auto* list : {&plan_.steps[l].first, &plan_.steps[l].body})
      for (int k : *list) {
        const Step& s = plan_.steps[k];
        outputs.insert(s.outputs.begin(), s.outputs.end());
        reads.insert(s.reads.begin(), s.reads.end());
        scratch.insert(s.scratch.begin(), s.scratch.end());
        heap.insert(s.heap.begin(), s.heap.end());
      }
    for (int b : outputs) reads.erase(b);
    Step& loop = plan_.steps[l];
    loop.outputs.assign(outputs.begin(), outputs.end());
    loop.reads.assign(reads.begin(), reads.end());
    loop.scratch.assign(scratch.begin(), scratch.end());
    loop.heap.assign(heap.begin(), heap.end());
  }
}

// A softmax over the classes of pixels walks the classes of a chunk of pixels three times: maximum, sum, and its own
// loop over them. Which exponentials would each walk compute again?
std::vector<Id> Planner::worth_keeping(const Step& step) const {
  const size_t rank = step.domain.size();
  if (rank < 3 || step.tiled || (step.kind != StepKind::Map && step.kind != StepKind::Reduce)) return {};
  if (step.over != kNone && step.over != step.domain.back()) return {};
  const ir::IndexSet walked = ir::bit(step.domain[rank - 2]) | ir::bit(step.domain[rank - 1]);
  std::vector<Id> kept;
  for (;;) {
    std::map<Id, std::set<Id>> walks;  // node -> inner reductions (kNone: the kernel's own loop) that compute it
    std::set<std::pair<Id, Id>> seen;
    std::function<void(Id, Id)> visit = [&](Id node, Id walk) {
      if (plan_.find(step, node) >= 0 || !seen.insert({node, walk}).second) return;
      const ir::Node& n = g_.at(node);
      if (n.op == ir::Op::At) {
        for (Id at : lookups_of(g_, node)) visit(g_.at(at).args[1], walk);
        return;
      }
      const bool here = !(n.free & ~set_of(step.domain));  // or it belongs to an index that an inner reduction runs over
      if (ir::transcendental(n.op) && here && (n.free & walked) == walked) walks[node].insert(walk);
      if (std::find(kept.begin(), kept.end(), node) != kept.end()) walk = node;
      for (Id a : n.args) visit(a, n.op == ir::Op::Reduce ? node : walk);
    };
    for (Id node : step.nodes)
      if (step.kind == StepKind::Reduce) visit(g_.at(node).args[0], kNone);
      else visit(node, kNone);
    Id next = kNone;
    for (const auto& [node, by] : walks)
      if (by.size() >= 2 && std::find(kept.begin(), kept.end(), node) == kept.end()) next = std::max(next, node);
    if (next == kNone) return kept;
    kept.push_back(next);
  }
}

void Planner::add_heaps() {
  for (Step& step : plan_.steps) {
    if (step.kind == StepKind::Walk && g_.at(step.nodes[0]).op == ir::Op::Order && g_.at(step.nodes[0]).value == 0)
      step.heap.push_back(add_buffer({.name = fmt::format("order{}", plan_.buffers.size()), .storage = Storage::Panel,
                                      .node = step.nodes[0], .layout = {false, {step.over}}, .scratch = Scratch::Order}));
    step.kept = worth_keeping(step);
    for (Id node : step.kept)
      step.heap.push_back(add_buffer({.name = fmt::format("chunk{}", plan_.buffers.size()), .storage = Storage::Panel,
                                      .node = node, .layout = {false, {step.domain[step.domain.size() - 2]}}, .scratch = Scratch::Chunk}));
  }
}

int Plan::find(const Step& step, Id node) const {
  for (int b : step.reads)
    if (buffers[b].node == node && buffers[b].scratch == Scratch::None) return b;
  return -1;
}

bool Plan::in_place(const Step& step) const {
  for (int out : step.outputs)
    for (int in : step.reads) {
      const bool slots = buffers[out].slot >= 0 && buffers[out].slot == buffers[in].slot;
      if (slots || buffers[in].lender == out) return true;
    }
  return false;
}

bool Plan::in_panel(int step) const {
  for (const Pass& p : passes) {
    const std::vector<int> all = flat(p.panel);
    if (std::find(all.begin(), all.end(), step) != all.end()) return true;
  }
  return false;
}

std::vector<int> Plan::flat(const std::vector<int>& list) const {
  std::vector<int> out;
  for (int s : list) {
    out.push_back(s);
    for (const auto* inside : {&steps[s].first, &steps[s].body}) {
      const std::vector<int> all = flat(*inside);
      out.insert(out.end(), all.begin(), all.end());
    }
  }
  return out;
}

Id looked_up_in(const ir::Graph& g, Id at) {
  while (g.at(at).op == ir::Op::At) at = g.at(at).args[0];
  return at;
}

namespace {

std::string index_list(const Plan& p, const std::vector<Id>& list) {
  std::string out;
  for (Id k : list) out += (out.empty() ? "" : ", ") + p.graph.indices[k].name;
  return out;
}

std::string describe(const Plan& p, int b) {
  static const char* kStorage[] = {"in", "out", "whole", "sum", "panel", "lent"};
  const Buffer& buffer = p.buffers[b];
  std::string where = kStorage[static_cast<int>(buffer.storage)];
  if (buffer.slot >= 0) where += fmt::format(" {}", buffer.slot);
  if (buffer.lender >= 0) where += (buffer.storage == Storage::Lent ? " by " : " or ") + p.buffers[buffer.lender].name;
  return fmt::format("{}[{}{}: {}]", buffer.name, where, buffer.layout.tiled ? ", tiled" : "", index_list(p, buffer.layout.order));
}

}  // namespace

std::string print(const Plan& p) {
  static const char* kKind[] = {"map", "reduce", "scatter", "walk", "loop", "contract A B", "contract A' B"};
  std::string out;
  std::function<void(int, const std::string&)> line = [&](int s, const std::string& indent) {
    const Step& step = p.steps[s];
    if (step.kind == StepKind::Loop) {
      out += indent + step.text + "\n";
      for (int k : step.first) line(k, indent + "  once  ");
      for (int k : step.body) line(k, indent + "  ");
      return;
    }
    out += fmt::format("{}{} over ({}{}{})", indent, kKind[static_cast<int>(step.kind)], index_list(p, step.domain),
                       step.over == kNone ? "" : "; sum ", step.over == kNone ? "" : p.graph.indices[step.over].name);
    for (size_t k = 0; k < step.outputs.size(); k++) out += fmt::format("{} {}", k ? "," : " ->", describe(p, step.outputs[k]));
    out += " <-";
    for (int b : step.reads) out += " " + p.buffers[b].name;
    out += "\n" + indent + "    " + step.text + "\n";
    for (Id n : step.kept) out += indent + "    once a chunk: " + ir::print(p.graph, n, 4) + "\n";
    for (const auto& [n, left] : step.left) out += indent + "    leaves " + ir::print(p.graph, n, 4) + " in " + describe(p, left) + "\n";
    if (step.with >= 0) out += indent + "    where " + p.buffers[step.with].name + " is there\n";
    if (step.without >= 0) out += indent + "    where " + p.buffers[step.without].name + " is not there\n";
  };
  for (size_t k = 0; k < p.passes.size(); k++) {
    out += fmt::format("pass {}\n", k);
    for (int s : p.passes[k].once) line(s, "  once  ");
    if (!p.passes[k].panel.empty()) out += fmt::format("  for each panel of {}\n", p.graph.indices[p.row].name);
    for (int s : p.passes[k].panel) line(s, "    ");
  }
  return out;
}

}  // namespace lossc::plan
