// Which steps of a variant have to run.
#include <algorithm>

#include "runtime/plan.h"

namespace lossc::rt {
namespace {

// Walks the steps from the last to the first. A buffer once needed stays so: later steps may write it in parts.
struct Backwards {
  const Variant& variant;
  const Bits& available;
  const Bits& lent;
  Bits needed;
  Active active;

  bool writes_needed(const Step& step) const {
    for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
      const Arg& arg = variant.args[k];
      const bool writes = (arg.kind == ArgKind::Buffer && arg.written) || arg.kind == ArgKind::Left;
      if (writes && needed.test(arg.id)) return true;
    }
    return false;
  }

  // A step, or the steps of a recurrence, which is run as a whole: each of them feeds the next place.
  void visit(int first, int last) {
    const Step& step = variant.steps[first];
    if ((step.with >= 0 && !lent.test(step.with)) || (step.without >= 0 && lent.test(step.without))) return;
    bool any = false;
    for (int s = first; s <= last; ++s) any |= writes_needed(variant.steps[s]);
    for (int s = last; any && s >= first; --s) take(s);
  }

  // Steps [first, first + n), from the last on. Those of a loop follow it.
  void visit_list(int first, int n) {
    int16_t outermost[kMaxSteps];  // the loop that a step is in, or is; itself: none
    for (int s = first; s < first + n; ++s) {
      const Step& step = variant.steps[s];
      const int last = step.kind == StepKind::Loop ? s + step.n_first + step.n_body : s;
      std::fill(outermost + s, outermost + last + 1, static_cast<int16_t>(s));
      s = last;
    }
    for (int s = first + n - 1; s >= first; --s) {
      const int from = outermost[s];
      visit(from, s);
      s = from;
    }
  }

  void take(int s) {
    const Step& step = variant.steps[s];
    active.steps.set(s);
    for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
      const Arg& arg = variant.args[k];
      if (arg.kind == ArgKind::Left && lent.test(arg.id)) active.buffers.set(arg.id);
      if (!names_buffer(arg.kind)) continue;
      active.buffers.set(arg.id);
      if (arg.kind == ArgKind::Buffer && !arg.written && !available.test(arg.id)) needed.set(arg.id);
    }
  }
};

}  // namespace

Active active_steps(const Variant& variant, const Bits& roots, const Bits& available, const Bits& lent) {
  Backwards walk{variant, available, lent, roots, {}};
  for (int p = variant.n_passes - 1; p >= 0; --p) {
    const Pass& pass = variant.passes[p];
    walk.visit_list(pass.first_panel, pass.n_panel);
    walk.visit_list(pass.first_once, pass.n_once);
  }
  return walk.active;
}

Bits output_buffers(const Variant& variant, uint32_t outputs) {
  Bits bits;
  for (int b = 0; b < variant.n_buffers; ++b) {
    const Buffer& buffer = variant.buffers[b];
    if (buffer.storage == Storage::Output && (outputs >> buffer.tensor & 1)) bits.set(b);
  }
  return bits;
}

int n_gradients(const Loss& loss) {
  int n = 0;
  for (int i = 0; i < loss.n_inputs; ++i) n += loss.inputs[i].differentiable != 0;
  return n;
}

uint32_t outputs_of(const Loss& loss, int mode, int reduction) {
  const int gradients = n_gradients(loss);
  uint32_t mask = 0;
  if (mode == LOSSC_HVP) return 1u | ((1u << gradients) - 1) << 2;  // the slope is a sum over rows in any reduction
  for (int k = 0; k < loss.n_outputs; ++k) {
    const bool gradient = k >= 2 && k < 2 + gradients;
    if (k < 2 && k != (reduction == LOSSC_REDUCE_NONE ? 1 : 0)) continue;
    if (mode & (gradient ? LOSSC_BACKWARD : LOSSC_FORWARD)) mask |= 1u << k;
  }
  return mask;
}

namespace {

// Small buffers of the workspace that the active steps write.
Bits small_written(const Variant& variant, const Bits& steps) {
  Bits bits;
  for (int s = 0; s < variant.n_steps; ++s) {
    if (!steps.test(s)) continue;
    const Step& step = variant.steps[s];
    for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
      const Arg& arg = variant.args[k];
      if (arg.kind != ArgKind::Buffer || !arg.written || !variant.buffers[arg.id].saved) continue;
      const Storage storage = variant.buffers[arg.id].storage;
      if (storage == Storage::Whole || storage == Storage::Accumulator) bits.set(arg.id);
    }
  }
  return bits;
}

}  // namespace

Bits saved_buffers(const Loss& loss, const Variant& variant, int reduction) {
  const uint32_t value = outputs_of(loss, LOSSC_FORWARD, reduction) & 3u;
  const Bits gradients = output_buffers(variant, outputs_of(loss, LOSSC_BACKWARD, reduction));
  Bits candidates = small_written(variant, active_steps(variant, output_buffers(variant, value), {}).steps);
  for (;;) {
    const Active backward = active_steps(variant, gradients, candidates);
    // A step of the backward run that writes a candidate beside something else would write into what was saved: then
    // the backward run computes both.
    const Bits rewritten = small_written(variant, backward.steps);
    Bits saved, kept;
    for (int b = 0; b < variant.n_buffers; ++b) {
      if (!candidates.test(b) || rewritten.test(b)) continue;
      kept.set(b);
      if (backward.buffers.test(b)) saved.set(b);
    }
    if (kept == candidates) return saved;
    candidates = kept;
  }
}

}  // namespace lossc::rt
