#include "generators/emit/reach.h"

#include "generators/lower/step_reader.h"

namespace lossc::emit {
namespace {

using ir::Id;
using ir::kNone;

// The index whose range is cut: the panel's rows, or the dimension at which a step's outputs are split.
Id cut_index(const plan::Plan& plan, int step) {
  if (plan.in_panel(step)) return plan.row;
  const int split = lower::signature(plan, step).split_dim;
  if (split < 0) return kNone;
  const plan::Layout& layout = plan.buffers[plan.steps[step].outputs[0]].layout;
  if (layout.tiled) return layout.order[split == 2 ? 1 : 0];
  return layout.order[layout.order.size() - 1 - static_cast<size_t>(split)];
}

}  // namespace

int own_dim(const plan::Plan& plan, int step, int buffer) {
  const plan::Buffer& b = plan.buffers[buffer];
  const Id cut = cut_index(plan, step);
  // A walk goes along a whole axis, and has no expression to look at.
  const bool walk = plan.steps[step].kind == plan::StepKind::Walk;
  // Outside of panels a place of a recurrence is not converted in pieces: it comes again and again.
  const bool again = !plan.steps[step].places.empty() && !plan.in_panel(step);
  if (b.storage != plan::Storage::Input || cut == kNone || walk || again) return -1;
  const size_t rank = b.layout.order.size();
  std::vector<bool> own(rank, true);
  const lower::StepReader reader(plan, step);
  for (Id node : plan.steps[step].nodes)
    if (plan.graph.at(node).op == ir::Op::WholeByHand) return -1;  // read anywhere
  reader.walk([&](Id node) {
    const ir::Node& n = plan.graph.at(node);
    const bool elsewhere = n.op == ir::Op::Reduce && n.sym == cut;  // a loop over all of them inside the step
    if (!elsewhere && (n.op != ir::Op::Load || reader.buffer_of_tensor(n.sym) != buffer)) return;
    for (size_t k = 0; k < rank; k++)
      if (elsewhere || plan.graph.plain_index(n.args[k]) != cut) own[k] = false;
  });
  if (plan.steps[step].over == cut && !plan.in_panel(step)) return -1;
  for (size_t k = 0; k < rank; k++)
    if (own[k]) return static_cast<int>(rank - 1 - k);
  return -1;
}

}  // namespace lossc::emit
