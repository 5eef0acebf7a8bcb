// What every plan must satisfy whatever its loss: a step reads what is there by then, in a form that its kind can read.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "planner.h"

namespace lossc::plan {
namespace {

using ir::kNone;
using ir::Op;

class Walker {
 public:
  explicit Walker(const Plan& plan) : p_(plan) {}

  std::string run() {
    for (const Pass& pass : p_.passes) note_loops(pass.once, {}), note_loops(pass.panel, {});
    for (const Pass& pass : p_.passes) {
      for (int s : pass.once) check(s, false);
      for (int s : pass.panel) check(s, true);
      for (int s : pass.panel) {  // what a panel wrote of its own is gone, what it wrote of a whole is whole
        for (int b : p_.steps[s].outputs) p_.buffers[b].storage == Storage::Panel ? there_.erase(b) : there_.insert(b).second;
        for (const auto& [node, b] : p_.steps[s].left) there_.insert(b);
      }
      here_.clear();
    }
    return wrong_;
  }

 private:
  bool row_bound(int b) const {
    const std::vector<Id>& order = p_.buffers[b].layout.order;
    return p_.row != kNone && std::find(order.begin(), order.end(), p_.row) != order.end();
  }
  void fail(int step, const std::string& name, const char* what) {
    if (wrong_.empty()) wrong_ = fmt::format("step {} ({}): {} {}", step, p_.steps[step].text, name, what);
  }
  void fail(int step, int buffer, const char* what) { fail(step, p_.buffers[buffer].name, what); }

  // Calls `visit` for each node that the step computes; of lookups in each other for the outermost. A walk computes none.
  void each_node(const Step& step, const std::function<void(Id)>& visit) const {
    if (step.kind == StepKind::Walk) return;
    std::set<Id> seen;
    std::function<void(Id)> walk = [&](Id node) {
      if (!seen.insert(node).second || p_.find(step, node) >= 0) return;
      const ir::Node& n = p_.graph.at(node);
      if (n.op == Op::At) {
        visit(node);
        for (Id at : lookups_of(p_.graph, node)) walk(p_.graph.at(at).args[1]);
        return;
      }
      visit(node);
      for (Id a : n.args) walk(a);
    };
    for (Id node : step.nodes) walk(node);
  }

  // Buffers that the step reads at other places than its own row.
  std::set<int> looked_up(const Step& step) const {
    std::set<int> found;
    each_node(step, [&](Id node) {
      if (carried_of_other_rows(p_.graph, node, p_.row))
        for (int b : step.reads)
          if (p_.buffers[b].node == kNone && p_.buffers[b].tensor == p_.graph.at(node).sym) found.insert(b);
      for (Id at : lookups_of(p_.graph, node))
        if (p_.graph.at(at).sym == p_.row) found.insert(p_.find(step, looked_up_in(p_.graph, node)));
    });
    if (step.kind == StepKind::Walk && step.over == p_.row) found.insert(step.reads[0]);
    return found;
  }

  // A place is kept within the memory that is looked up in, but for a plain index, and nothing else that goes by it is.
  void check_lookups(int s) {
    const ir::Graph& g = p_.graph;
    const auto too_long = [&](Id place, Id index) {
      const Id plain = g.plain_index(place);
      return plain != kNone && !never_longer(g, g.indices[plain].axis, g.indices[index].axis, true);
    };
    each_node(p_.steps[s], [&](Id node) {
      const ir::Node& n = g.at(node);
      if (n.op == Op::Load)
        for (size_t k = 0; k < n.args.size(); k++)
          if (too_long(n.args[k], g.tensors[n.sym].dims[k])) fail(s, g.tensors[n.sym].name, "is read by an index of another axis");
      ir::IndexSet bound = 0, within = 0;
      for (Id at : lookups_of(g, node)) {
        const Id place = g.at(at).args[1], index = g.at(at).sym;
        const int memory = p_.find(p_.steps[s], looked_up_in(g, node));
        if (memory < 0) return fail(s, "a lookup", "is in no memory that the step reads");
        const std::string& name = p_.buffers[memory].name;
        const bool renamed = g.plain_index(place) != kNone && (g.free(place) & within);
        if ((g.free(place) & bound) && !renamed) fail(s, name, "is looked up at a place that goes by that of a lookup around it");
        if (too_long(place, index)) fail(s, name, "is looked up by an index of another axis");
        bound |= ir::bit(index);
        if (!says_its_bounds(g, place)) continue;
        within |= ir::bit(index);
        if (p_.find(p_.steps[s], place) >= 0 || p_.find(p_.steps[s], g.at(place).args[0]) >= 0) fail(s, name, "is looked up at a place out of memory that nothing keeps within");
      }
    });
  }

  void check(int s, bool in_panel) {
    const Step& step = p_.steps[s];
    if (step.kind == StepKind::Loop) {
      for (const auto* inside : {&step.first, &step.body})
        for (int k : *inside) check(k, in_panel);
      return;
    }
    const std::set<int> elsewhere = looked_up(step);
    for (int b : step.reads) {
      if (p_.buffers[b].storage == Storage::Input || there_.count(b)) continue;
      if (!here_.count(b)) fail(s, b, "is read before it is written");
      else if (!in_panel) fail(s, b, "is read between loops, but only a panel of it is there");
      else if (elsewhere.count(b)) fail(s, b, "is read at other rows, but only a panel of it is there");
      else if (p_.buffers[b].storage == Storage::Accumulator) fail(s, b, "is read before all rows are summed");
    }
    check_places(s);
    check_lookups(s);
    check_layouts(s);
    check_lent(s);
    for (const auto& [node, b] : step.left) (in_panel ? here_ : there_).insert(b);
    for (int b : step.outputs) {
      if (in_panel) here_.insert(b);
      else there_.insert(b);
      if (in_panel && p_.buffers[b].storage != Storage::Accumulator && !row_bound(b) && !step.accumulates)
        fail(s, b, "is written again by every panel");
      if (in_panel && step.kind == StepKind::Scatter && !step.accumulates && p_.graph.at(step.nodes[0]).sym2 == p_.row)
        fail(s, b, "gets rows of other panels");
      if (p_.buffers[b].storage == Storage::Panel && !in_panel) fail(s, b, "is a panel's, outside of the loop");
    }
  }

  // What is in an output's memory is gone when that is written.
  void check_lent(int s) {
    const Step& step = p_.steps[s];
    const std::set<int> elsewhere = looked_up(step);
    for (int b : step.reads) {
      const int lender = p_.buffers[b].lender;
      if (lender < 0) continue;
      if (written_.count(lender)) fail(s, b, "is read after the output that it shares memory with was written");
      const bool writes = std::find(step.outputs.begin(), step.outputs.end(), lender) != step.outputs.end();
      if (writes && elsewhere.count(b)) fail(s, b, "is written over where it is still to be read");
      if (!(p_.buffers[lender].layout == p_.buffers[b].layout)) fail(s, b, "does not lie as the output whose memory it shares");
    }
    if (step.without < 0) written_.insert(step.outputs.begin(), step.outputs.end());  // or its twin writes them
  }

  // What is there for one place of a loop at a time is read in that loop, or is a sum that each place adds to.
  void check_places(int s) {
    for (int b : p_.steps[s].reads)
      for (int w = 0; w < static_cast<int>(p_.steps.size()); w++) {
        const std::vector<int>& written = p_.steps[w].outputs;
        if (p_.steps[w].kind == StepKind::Loop || std::find(written.begin(), written.end(), b) == written.end()) continue;
        for (int loop : loops_.at(w)) {
          const Id place = p_.steps[loop].over;
          const bool rolls = p_.buffers[b].rolling & ir::bit(place), sum = is_after(p_.buffers[b].node, place);
          if (rolls && !sum && std::find(loops_.at(s).begin(), loops_.at(s).end(), loop) == loops_.at(s).end())
            fail(s, b, "is read outside of the loop that makes it, at each place anew");
        }
      }
  }
  bool is_after(Id node, Id place) const {
    return node != kNone && p_.graph.at(node).op == Op::After && p_.graph.at(p_.graph.at(node).args[0]).sym == place;
  }
  void note_loops(const std::vector<int>& list, std::vector<int> around) {
    for (int s : list) {
      loops_[s] = around;
      if (p_.steps[s].kind != StepKind::Loop) continue;
      std::vector<int> inside = around;
      inside.push_back(s);
      note_loops(p_.steps[s].first, inside);
      note_loops(p_.steps[s].body, inside);
    }
  }

  void check_layouts(int s) {
    const Step& step = p_.steps[s];
    const bool contract = step.kind == StepKind::ContractNN || step.kind == StepKind::ContractTN;
    const bool rows_only = step.kind == StepKind::Walk || step.kind == StepKind::Scatter;
    for (int b : step.outputs) {
      const bool tiled = p_.buffers[b].layout.tiled;
      if (contract && !tiled) fail(s, b, "is a product, but not in tiles");
      if (rows_only && tiled) fail(s, b, "is in tiles, but the step writes rows");
    }
    if (step.kind == StepKind::Reduce && step.domain.back() == step.over) {
      const std::vector<Id> walked(step.domain.begin(), step.domain.end() - 1);
      for (int b : step.outputs)
        if (!p_.buffers[b].layout.tiled && p_.buffers[b].layout.order != walked) fail(s, b, "is in another order than the step writes");
    }
    if (contract)
      for (int b : step.reads)
        if (!p_.buffers[b].layout.tiled) fail(s, b, "is multiplied, but not in tiles");
    if (step.kind == StepKind::Walk && p_.buffers[step.reads[0]].layout.tiled) fail(s, step.reads[0], "is walked, but in tiles");
    for (int b : step.outputs) {
      const Layout& l = p_.buffers[b].layout;
      if (l.tiled && l.order[1] == p_.row && p_.in_panel(s)) fail(s, b, "has rows of a panel as columns of tiles");
    }
  }

  const Plan& p_;
  std::map<int, std::vector<int>> loops_;  // around each step, outermost first
  std::set<int> there_, here_;  // buffers that are complete; written in this loop
  std::set<int> written_;       // in any
  std::string wrong_;
};

}  // namespace

std::string unsound(const Plan& plan) { return Walker(plan).run(); }

}  // namespace lossc::plan
