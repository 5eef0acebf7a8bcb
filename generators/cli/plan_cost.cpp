#include "generators/cli/plan_cost.h"

#include <algorithm>
#include <map>
#include <set>

#include "generators/lower/lower.h"

namespace lossc::cli {
namespace {

class Counter {
 public:
  Counter(const plan::Plan& plan, const Form& form, const CallOptions& options)
      : plan_(plan), form_(form), options_(options) {}

  PlanCost count() {
    const std::vector<int> needed = needed_steps(plan_, options_.mode);
    for (size_t k = 0; k < plan_.passes.size(); k++) {
      touched_.clear();
      for (bool panel : {false, true}) {
        for (int s : plan_.flat(panel ? plan_.passes[k].panel : plan_.passes[k].once)) {
          if (plan_.steps[s].kind != plan::StepKind::Loop && std::find(needed.begin(), needed.end(), s) != needed.end()) add(s, static_cast<int>(k), panel);
        }
      }
      for (int buffer : touched_) cost_.memory_bytes += bytes(buffer);
    }
    for (int b : seen_) cost_.buffers.push_back({b, bytes(b)});
    for (const auto& [node, steps] : computed_)
      if (steps.size() > 1) cost_.recomputed.push_back({node, static_cast<int>(steps.size())});
    return std::move(cost_);
  }

 private:
  double extent(ir::Id index) const {
    auto it = form_.extents.find(plan_.graph.axes[plan_.graph.indices[index].axis].name);
    return it == form_.extents.end() ? 1 : static_cast<double>(it->second);
  }
  double bytes(int buffer) const {
    const plan::Buffer& b = plan_.buffers[buffer];
    const bool callers = b.storage == plan::Storage::Input || b.storage == plan::Storage::Output;
    const int real = (callers ? options_.dtype.type.bits : options_.dtype.bits) / 8;
    double n = b.elem == plan::Elem::Float ? real : b.elem == plan::Elem::Int32 ? 4 : 1;
    for (ir::Id i : b.layout.order) n *= extent(i);
    return n;
  }

  void add(int index, int pass, bool panel) {
    const plan::Step& s = plan_.steps[index];
    StepCost c{index, pass, panel, lower::signature(plan_, index).flops, 0, 0};
    std::vector<ir::Id> domain = s.domain;
    if (s.over != ir::kNone && !std::count(domain.begin(), domain.end(), s.over)) domain.push_back(s.over);
    for (ir::Id i : domain) c.flops *= extent(i);
    for (int b : s.reads) c.bytes_read += bytes(b), touch(b);
    for (int b : s.outputs) c.bytes_written += bytes(b), touch(b);
    for (const auto& [node, b] : s.left)
      if (options_.mode == (LOSSC_FORWARD | LOSSC_BACKWARD)) c.bytes_written += bytes(b), touch(b);
    const bool product = s.kind == plan::StepKind::ContractNN || s.kind == plan::StepKind::ContractTN;
    (product ? cost_.product_flops : cost_.other_flops) += c.flops;
    if (!product)
      for (ir::Id n : s.nodes) walk(s, index, n, true);
    cost_.steps.push_back(c);
  }

  void touch(int buffer) {
    seen_.insert(buffer);
    const plan::Storage storage = plan_.buffers[buffer].storage;
    if (storage != plan::Storage::Panel && storage != plan::Storage::Lent) touched_.insert(buffer);
  }

  // Expressions that a step computes inline, down to the buffers at which they stop.
  void walk(const plan::Step& s, int index, ir::Id node, bool root) {
    if (!root && plan_.find(s, node) >= 0) return;
    if (expensive(plan_.graph.at(node)) && !computed_[node].insert(index).second) return;
    for (ir::Id a : plan_.graph.at(node).args) walk(s, index, a, false);
  }
  static bool expensive(const ir::Node& n) {
    return ir::transcendental(n.op) || n.op == ir::Op::Sqrt || n.op == ir::Op::Reduce;
  }

  const plan::Plan& plan_;
  const Form& form_;
  const CallOptions& options_;
  PlanCost cost_;
  std::set<int> touched_, seen_;  // in this pass, in all
  std::map<ir::Id, std::set<int>> computed_;
};

}  // namespace

PlanCost plan_cost(const plan::Plan& plan, const Form& form, const CallOptions& options) {
  return Counter(plan, form, options).count();
}

}  // namespace lossc::cli
