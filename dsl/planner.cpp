// A plan from beginning to end: the graph is brought into a form that shows its products, rows and tiles are chosen, every
// node gets its pass (planner_order.cpp), and then each output asks for what it reads, and that in turn for what it is
// made of (planner_build.cpp), kept in memory as planner_layout.cpp says. What can be mended afterwards is in
// plan_passes.cpp and planner_left.cpp.
#include "planner.h"

#include <algorithm>
#include <stdexcept>

namespace lossc::plan {

using ir::kNone;

bool leaf(ir::Op op) {
  return op == ir::Op::Const || op == ir::Op::Param || op == ir::Op::Index || op == ir::Op::Extent || op == ir::Op::Load;
}

Planner::Planner(const Program& program, std::map<int, std::set<Id>> shared)
    : program_(program), g_(plan_.graph), shared_(std::move(shared)) {
  plan_.program = &program;
  plan_.graph = program.graph;
}

Plan Planner::run() {
  const bool per_row = program_.loss_rows != kNone;
  std::vector<Id> roots{program_.loss};
  if (per_row) roots.push_back(program_.loss_rows);
  for (const Gradient& gr : program_.gradients) roots.push_back(gr.node);
  for (const NamedOutput& o : program_.outputs) roots.push_back(o.node);
  roots = settle_lookups(g_, normalise_contractions(g_, roots));
  plan_.row = choose_row(roots);
  choose_scans(roots);
  choose_tiles(roots);
  root_rows_ = {false};
  const auto has_rows = [&](const std::vector<Id>& dims) { return plan_.row != kNone && (set_of(dims) & ir::bit(plan_.row)); };
  if (per_row) root_rows_.push_back(has_rows(program_.rows));
  for (const Gradient& gr : program_.gradients) root_rows_.push_back(has_rows(g_.tensors[gr.tensor].dims));
  for (const NamedOutput& o : program_.outputs) root_rows_.push_back(has_rows(o.indices));
  choose_passes(roots);
  size_t root = 0;
  build_root(roots[root++], 0, {}, "loss");
  if (per_row) build_root(roots[root++], 1, program_.rows, "loss_rows");
  Id output = 2;
  for (const Gradient& gr : program_.gradients) {
    const ir::Tensor t = g_.tensors[gr.tensor];
    build_root(roots[root++], output++, t.dims, "d_" + t.name);
  }
  for (const NamedOutput& o : program_.outputs) build_root(roots[root++], output++, o.indices, o.name);
  sum_up_loops();
  drop_unused();
  for (Pass& p : plan_.passes) merge_list(p.once), merge_list(p.panel);
  for (Step& s : plan_.steps) merge_list(s.first), merge_list(s.body);
  drop_unused();
  roll_over();
  add_heaps();
  sum_up_loops();
  assign_slots();
  share_carried_slots();
  lend_outputs();
  leave_kept();
  return std::move(plan_);
}

std::map<int, std::set<Id>> Planner::worth_sharing(const ir::Graph& graph) const {
  std::map<int, std::set<Id>> out;
  for (const auto& [pass, nodes] : inlined_) {
    for (const auto& [node, steps] : nodes) {
      if (steps.size() < 2) continue;
      // Covered by a stored node above it in every step that uses it: then it is not computed twice.
      bool covered = false;
      for (const auto& [above, its] : nodes) {
        if (above == node || its.size() < 2 || !std::includes(its.begin(), its.end(), steps.begin(), steps.end())) continue;
        const auto below = ir::topological(graph, {above});
        covered |= std::find(below.begin(), below.end(), node) != below.end();
      }
      if (!covered) out[pass].insert(node);
    }
  }
  return out;
}

Plan make_plan(const Program& program) {
  // Which nodes several steps would compute is known only once the steps are: so once to find out, once for good.
  Planner scout(program, {});
  const Plan first = scout.run();
  auto shared = scout.worth_sharing(first.graph);
  Plan plan = Planner(program, std::move(shared)).run();
  // Rather no kernels than such that read what nobody wrote.
  if (const std::string wrong = unsound(plan); !wrong.empty()) throw std::logic_error("unsound plan of " + program.name + ": " + wrong);
  return plan;
}

}  // namespace lossc::plan
