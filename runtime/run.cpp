// One run: checks what the caller gives, finds every buffer, hands over to the executor.
#include <cmath>
#include <iterator>

#include "runtime/labels.h"
#include "runtime/plan.h"

namespace lossc::rt {
namespace {

// What absent row weights, masks and upstream gradients are, where a kernel reads them all the same.
constexpr float kOneF32[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
constexpr double kOneF64[8] = {1, 1, 1, 1, 1, 1, 1, 1};
constexpr uint8_t kOneU8[8] = {1, 1, 1, 1, 1, 1, 1, 1};
// An absent input that a kernel reads is a direction of a Hessian product: zero, in either type.
constexpr double kZero[8] = {};

struct SavedHeader {
  uint64_t magic, variant, problem;
};
constexpr uint64_t kMagic = 0x6c6f737363207631u;

struct Runner {
  const Plan& plan;
  const lossc_run_args& args;
  lossc_error* err;
  const Loss& loss = *plan.loss;

  // Not initialised: a small loss takes less time than clearing these would.
  Bound inputs[kMaxInputs + kImplicitInputs];
  Bound outputs[kMaxOutputs];
  bool given[kMaxInputs + kImplicitInputs] = {};
  uint32_t asked = 0;  // of Loss::outputs
  double params[kMaxParams];
  float params_f32[kMaxParams];
  int32_t int_params[kMaxParams];
  const Form* form = nullptr;
  View views[kMaxBuffers];
  Crossing crossings[kMaxInputs + kImplicitInputs + kMaxOutputs];
  int n_crossings = 0;

  Runner(const Plan& p, const lossc_run_args& a, lossc_error* e) : plan(p), args(a), err(e) {}

  // ---- arguments --------------------------------------------------------------------------------------------------

  lossc_status check_memory(const char* name, const void* memory, size_t size, size_t want) const {
    if (memory == nullptr && want > 0) return fail(err, LOSSC_E_WORKSPACE, "%s is NULL, want %zu bytes", name, want);
    if (size < want) return fail(err, LOSSC_E_WORKSPACE, "%s_size is %zu, want %zu", name, size, want);
    if (reinterpret_cast<uintptr_t>(memory) % kAlign != 0)
      return fail(err, LOSSC_E_WORKSPACE, "%s is %p, want it aligned to %zu bytes", name, memory, kAlign);
    return LOSSC_OK;
  }

  lossc_status bind_inputs() {
    if (args.n_inputs != loss.n_inputs || (args.inputs == nullptr && loss.n_inputs > 0))
      return fail(err, LOSSC_E_ARGUMENT, "inputs: %zu given, %s has %d", args.inputs == nullptr ? 0 : args.n_inputs,
                  loss.name, loss.n_inputs);
    for (int i = 0; i < loss.n_inputs; ++i) {
      const Argument& a = loss.inputs[i];
      const DLTensor* t = args.inputs[i];
      given[i] = t != nullptr;
      if (given[i] != plan.input_given[i])
        return fail(err, LOSSC_E_ARGUMENT, "%s: %s here, but the plan was made %s it", a.name,
                    given[i] ? "given" : "NULL", given[i] ? "without" : "with");
      if (!given[i]) continue;
      if (!same_dtype(t->dtype, plan.input_type[i])) {
        char buffer[128];
        Text text{buffer, sizeof buffer};
        add_dtype(text, t->dtype);
        text.add(", but the plan was made for ");
        add_dtype(text, plan.input_type[i]);
        return fail(err, LOSSC_E_ARGUMENT, "%s: dtype is %s", a.name, buffer);
      }
      LOSSC_TRY(bind_tensor(loss, a, *t, plan.shapes, false, &inputs[i], err));
    }
    return LOSSC_OK;
  }

  // The type of a float tensor that the plan did not know of.
  lossc_status check_float(const DLTensor& t, const Argument& a) const {
    Float type;
    if (elem_of(a) != Elem::Float || !float_of(t.dtype, &type) || plan.accepts(type)) return LOSSC_OK;
    char got_buffer[32], want_buffer[64];
    Text got{got_buffer, sizeof got_buffer}, want{want_buffer, sizeof want_buffer};
    add_dtype(got, t.dtype);
    int n = 0;
    for (const Float f : {Float::F16, Float::BF16, Float::F32, Float::F64}) {
      if (!plan.accepts(f)) continue;
      if (n++ > 0) want.add(" or ");
      add_dtype(want, type_of(f));
    }
    if (n == 1)
      return fail(err, LOSSC_E_ARGUMENT, "%s: dtype is %s, but the other tensors are %s", a.name, got_buffer,
                  want_buffer);
    return fail(err, LOSSC_E_ARGUMENT, "%s: dtype is %s, want %s, as the inputs have or the plan computes in", a.name,
                got_buffer, want_buffer);
  }

  // A tensor of one element counts as 0-d: [1] is common.
  static DLTensor as_scalar(DLTensor t) {
    bool single = true;
    for (int d = 0; d < t.ndim; ++d) single = single && t.shape[d] == 1;
    if (single) t.ndim = 0;
    return t;
  }

  lossc_status bind_implicit(int which, const DLTensor* t) {
    const int i = loss.n_inputs + which;
    const Argument& a = plan.implicit[which];
    given[i] = t != nullptr;
    if (t == nullptr) return LOSSC_OK;
    LOSSC_TRY(check_tensor(*t, a.name, err));
    LOSSC_TRY(check_dtype(*t, a, err));
    LOSSC_TRY(check_float(*t, a));
    const DLTensor scalar = as_scalar(*t);
    if (t->ndim > 0 && (a.ndim > 0 || scalar.ndim > 0))
      return bind_tensor(loss, a, *t, plan.shapes, false, &inputs[i], err);
    // One value for all rows.
    Argument one = a;
    one.ndim = 0;
    LOSSC_TRY(bind_tensor(loss, one, scalar, plan.shapes, false, &inputs[i], err));
    inputs[i].ndim = a.ndim;
    for (int d = 0; d < a.ndim; ++d) inputs[i].extent[d] = plan.shapes.extent[a.dims[d]];
    return LOSSC_OK;
  }

  lossc_status bind_params() {
    if (args.n_params != 0 && (args.n_params != loss.n_params || args.params == nullptr))
      return fail(err, LOSSC_E_ARGUMENT, "params: %zu given, %s has %d", args.params == nullptr ? 0 : args.n_params,
                  loss.name, loss.n_params);
    for (int i = 0; i < loss.n_params; ++i) {
      const Argument& a = loss.params[i];
      const double x = params[i] = args.n_params != 0 ? args.params[i] : a.fallback;
      if (args.n_params == 0 && std::isnan(x))
        return fail(err, LOSSC_E_ARGUMENT, "%s: must be given, it has no default", a.name);
      const bool in_range = (a.low_open ? x > a.low : x >= a.low) && (a.high_open ? x < a.high : x <= a.high);
      const bool whole = !a.integer || (x == std::floor(x) && std::fabs(x) <= 2147483647.0);
      if (in_range && whole) continue;
      return fail(err, LOSSC_E_ARGUMENT, "%s: is %g, want %s in %c%g, %g%c", a.name, x,
                  a.integer ? "a whole number" : "a number", a.low_open ? '(' : '[', a.low, a.high,
                  a.high_open ? ')' : ']');
    }
    if (!(args.denominator >= 0))
      return fail(err, LOSSC_E_ARGUMENT, "denominator: is %g, want a positive number, or 0 for the sum of the weights",
                  args.denominator);
    params[loss.n_params + kReduction] = plan.reduction;
    params[loss.n_params + kDenominator] = args.denominator;
    const int choices = loss.n_params + kImplicitParams;
    for (int o = 0; o < loss.n_options; ++o) params[choices + o] = plan.choice[o];
    for (int i = 0; i < choices + loss.n_options; ++i) {
      params_f32[i] = static_cast<float>(params[i]);
      int_params[i] = std::fabs(params[i]) <= 2147483647.0 ? static_cast<int32_t>(params[i]) : 0;
    }
    return LOSSC_OK;
  }

  lossc_status bind_output(int k, const DLTensor& t) {
    const Argument& a = k == 1 ? plan.rows : loss.outputs[k];
    if (!(outputs_of(loss, plan.mode, plan.reduction) >> k & 1))
      return fail(err, LOSSC_E_ARGUMENT, "%s: asked for, but the plan's mode (%d) does not compute it", a.name,
                  plan.mode);
    LOSSC_TRY(check_tensor(t, a.name, err));
    LOSSC_TRY(check_dtype(t, a, err));
    LOSSC_TRY(check_float(t, a));
    if (elem_of(a) == Elem::Int32 && t.dtype.bits != 32)
      return fail(err, LOSSC_E_UNSUPPORTED, "%s: dtype is i64, this output is i32", a.name);
    LOSSC_TRY(bind_tensor(loss, a, a.ndim == 0 ? as_scalar(t) : t, plan.shapes, false, &outputs[k], err));
    if (!injective(outputs[k]))
      return fail(err, LOSSC_E_ARGUMENT, "%s: its strides put several elements into one place", a.name);
    asked |= 1u << k;
    return LOSSC_OK;
  }

  lossc_status bind_outputs() {
    const size_t most = loss.n_outputs - 1u;
    if (args.n_outputs > most || (args.outputs == nullptr && args.n_outputs > 0))
      return fail(err, LOSSC_E_ARGUMENT, "outputs: %zu given, %s has %zu", args.outputs == nullptr ? 0 : args.n_outputs,
                  loss.name, most);
    for (size_t i = 0; i < args.n_outputs; ++i) {
      // The tables have the reduced and the unreduced loss; the caller has one of them.
      const bool per_row = plan.reduction == LOSSC_REDUCE_NONE && plan.mode != LOSSC_HVP;
      const int k = i > 0 ? static_cast<int>(i) + 1 : per_row ? 1 : 0;
      if (args.outputs[i] != nullptr) LOSSC_TRY(bind_output(k, *args.outputs[i]));
    }
    return LOSSC_OK;
  }

  // ---- overlap ----------------------------------------------------------------------------------------------------

  const char* input_name(int i) const {
    return i < loss.n_inputs ? loss.inputs[i].name : plan.implicit[i - loss.n_inputs].name;
  }

  static Bound block(const void* memory, size_t size) {
    Bound b{};
    b.host = static_cast<uint8_t*>(const_cast<void*>(memory));
    b.extent[0] = static_cast<int64_t>(memory == nullptr ? 0 : size);
    b.stride[0] = b.ndim = b.elem_bytes = 1;
    return b;
  }

  lossc_status check_overlap() const {
    const auto overlap = [&](const char* a, const char* b) {
      return fail(err, LOSSC_E_ARGUMENT, "%s: shares memory with %s", a, b);
    };
    const Bound workspace = block(args.workspace, plan.workspace_size), saved = block(args.saved, plan.saved_size);
    if (!disjoint(workspace, saved)) return overlap("workspace", "saved");
    for (int i = 0; i < loss.n_inputs + kImplicitInputs; ++i) {
      if (!given[i]) continue;
      if (!disjoint(inputs[i], workspace)) return overlap(input_name(i), "workspace");
      if (plan.mode == LOSSC_FORWARD && !disjoint(inputs[i], saved)) return overlap(input_name(i), "saved");
    }
    for (int k = 0; k < loss.n_outputs; ++k) {
      if (!(asked >> k & 1)) continue;
      const char* name = loss.outputs[k].name;
      if (!disjoint(outputs[k], workspace)) return overlap(name, "workspace");
      if (!disjoint(outputs[k], saved)) return overlap(name, "saved");
      for (int i = 0; i < loss.n_inputs + kImplicitInputs; ++i) {
        if (given[i] && !disjoint(outputs[k], inputs[i])) return overlap(name, input_name(i));
      }
      for (int j = 0; j < k; ++j) {
        if ((asked >> j & 1) && !disjoint(outputs[k], outputs[j])) return overlap(name, loss.outputs[j].name);
      }
    }
    return LOSSC_OK;
  }

  // ---- form and buffers -------------------------------------------------------------------------------------------

  bool holds(const Fact& fact) const {
    switch (fact.kind) {
      case FactKind::ParamZero:
        return (params[fact.id] == 0) == (fact.value != 0);
      case FactKind::InputGiven:
        return given[fact.id] == (fact.value != 0);
      default:
        return true;  // decided by the plan
    }
  }

  lossc_status choose_form() {
    for (int f = 0; f < plan.n_forms && form == nullptr; ++f) {
      const Variant& v = *plan.forms[f].variant;
      bool fits = true;
      for (int k = 0; k < v.n_facts && fits; ++k) fits = holds(v.facts[k]);
      if (fits) form = &plan.forms[f];
    }
    if (form != nullptr) return LOSSC_OK;
    return fail(err, LOSSC_E_UNSUPPORTED,
                "%s: not compiled for this choice of row_weight, row_mask, grad_output and zero params", loss.name);
  }

  static void fill_zero(const Bound& t) {
    int64_t at[kMaxDims] = {};
    for (int d = t.ndim;;) {
      if (d == t.ndim) {
        int64_t offset = 0;
        for (int k = 0; k < t.ndim; ++k) offset += at[k] * t.stride[k];
        memset(t.host + offset * t.elem_bytes, 0, static_cast<size_t>(t.elem_bytes));
        --d;
      }
      while (d >= 0 && ++at[d] == t.extent[d]) at[d--] = 0;
      if (d < 0) return;
      d = t.ndim;
    }
  }

  // Outputs that this form does not have: gradients of absent inputs and outputs of another option are mistakes, and
  // the gradient of an input that this form never looks at is zero.
  lossc_status check_form_has(int k) const {
    if (form->outputs >> k & 1) return LOSSC_OK;
    int i = -1;
    for (int left = k - 1; left > 0 && i + 1 < loss.n_inputs;) left -= loss.inputs[++i].differentiable != 0;
    const bool gradient = k >= 2 && k < 2 + n_gradients(loss);
    if (gradient && !given[i])
      return fail(err, LOSSC_E_ARGUMENT, "%s: asked for, but %s is NULL", loss.outputs[k].name, loss.inputs[i].name);
    if (!gradient)
      return fail(err, LOSSC_E_ARGUMENT, "%s: asked for, but the plan's options do not have it", loss.outputs[k].name);
    const Span span = span_of(outputs[k]);
    if (span.low != span.high) fill_zero(outputs[k]);
    return LOSSC_OK;
  }

  lossc_status check_saved() {
    if (form->saved_size == 0) return LOSSC_OK;
    const SavedHeader mine{kMagic, form->variant->digest, plan.saved_id};
    if (plan.mode == LOSSC_FORWARD) {
      if (args.saved != nullptr) memcpy(args.saved, &mine, sizeof mine);
      return LOSSC_OK;
    }
    if (memcmp(args.saved, &mine, sizeof mine) == 0) return LOSSC_OK;
    return fail(err, LOSSC_E_ARGUMENT,
                "saved: not written by a forward run of the same plan description with the same row_weight, row_mask "
                "and zero params");
  }

  void view_workspace(int b) {
    const BufferLayout& l = form->buffers[b];
    views[b].host = static_cast<uint8_t*>(args.workspace) + l.at;
    memcpy(views[b].stride, l.stride, sizeof l.stride);
    views[b].local = l.border == Border::Local;
    views[b].lent = false;
  }

  void view_crossing(int b, const Bound& t, Float type) {
    const BufferLayout& l = form->buffers[b];
    Crossing& c = crossings[n_crossings++];
    c = {static_cast<int16_t>(b), form->variant->buffers[b].storage == Storage::Output, {t.host, {}, type}};
    for (int d = 0; d < form->variant->buffers[b].ndim; ++d)
      c.caller.stride[d] = l.arg_dim[d] < 0 ? 0 : t.stride[l.arg_dim[d]];
    view_workspace(b);
  }

  void view_tensor(int b, const Bound& t) {
    const BufferLayout& l = form->buffers[b];
    Float type;
    if (float_of(t.dtype, &type) && type != plan.real()) return view_crossing(b, t, type);
    views[b].local = views[b].lent = false;
    views[b].host = t.host;
    for (int d = 0; d < form->variant->buffers[b].ndim; ++d) {
      views[b].stride[d] = l.arg_dim[d] < 0 ? 0 : static_cast<int32_t>(t.stride[l.arg_dim[d]]);
      // Whatever stride an extent of 1 came with, kernels prefer a dense one.
      if (d == 0 && l.extent[0] == 1) views[b].stride[0] = 1;
    }
  }

  void view_absent(int b, int tensor, Elem elem) {
    const void* one = tensor < loss.n_inputs       ? static_cast<const void*>(kZero)
                      : elem == Elem::UInt8            ? static_cast<const void*>(kOneU8)
                      : plan.shapes.dtype_bits == 64 ? static_cast<const void*>(kOneF64)
                                                     : kOneF32;
    views[b].host = static_cast<uint8_t*>(const_cast<void*>(one));
    for (int32_t& stride : views[b].stride) stride = 0;
    views[b].local = views[b].lent = false;
  }

  void view(int b) {
    const Buffer& buffer = form->variant->buffers[b];
    const BufferLayout& l = form->buffers[b];
    const int t = buffer.tensor;
    if (buffer.storage == Storage::Input) return given[t] ? view_tensor(b, inputs[t]) : view_absent(b, t, buffer.elem);
    if (buffer.storage == Storage::Output && (asked >> t & 1)) return view_tensor(b, outputs[t]);
    view_workspace(b);
    if (l.saved_at != kNowhere && args.saved != nullptr)
      views[b].host = static_cast<uint8_t*>(args.saved) + l.saved_at;
  }

  // Is the output that the buffer may be in there, in a form in which it can be? Then the buffer is.
  bool view_lent(int b) {
    const int lender = form->variant->buffers[b].lender;
    if (!(asked >> form->variant->buffers[lender].tensor & 1) || form->buffers[lender].border != Border::None) return false;
    view(lender);
    if (views[lender].stride[0] != 1) return false;
    views[b] = views[lender];
    views[b].lent = true;
    return true;
  }

  // Lent buffers that are there: in a run of both halves, for what a run forward leaves may be gone by the run backward.
  Bits lent_buffers() {
    Bits lent;
    for (int b = 0; b < form->variant->n_buffers && plan.mode == (LOSSC_FORWARD | LOSSC_BACKWARD); ++b) {
      if (form->variant->buffers[b].storage == Storage::Lent && view_lent(b)) lent.set(b);
    }
    return lent;
  }

  lossc_status run() {
    Active some;
    const Active* active = &form->active;
    const bool keeps = plan.mode == LOSSC_FORWARD && args.saved != nullptr && form->saved_size > 0;
    const bool drops = plan.mode == LOSSC_FORWARD && form->saved_size > 0 && !keeps;
    const Bits lent = lent_buffers();
    if ((asked & form->outputs) != form->outputs || drops || lent != Bits{}) {
      Bits roots = output_buffers(*form->variant, asked);
      for (size_t w = 0; keeps && w < std::size(roots.words); ++w) roots.words[w] |= form->saved.words[w];
      some = active_steps(*form->variant, roots, plan.mode == LOSSC_BACKWARD ? form->saved : Bits{}, lent);
      active = &some;
    }
    for (int b = 0; b < form->variant->n_buffers; ++b) {
      if (active->buffers.test(b) && form->variant->buffers[b].storage != Storage::Lent) view(b);
    }
    for (int b = 0; b < form->variant->n_buffers; ++b) {  // after all others
      const int lender = form->variant->buffers[b].lender;
      if (lender >= 0 && active->buffers.test(b) && active->buffers.test(lender)) view_lent(b);
    }
    const void* floats = plan.shapes.dtype_bits == 64 ? static_cast<const void*>(params) : params_f32;
    int failed;
    const int code = execute({plan, *form, *active, views, static_cast<uint8_t*>(args.workspace), floats, int_params,
                              crossings, n_crossings},
                             &failed);
    if (code == 0) return LOSSC_OK;
    return fail(err, LOSSC_E_INTERNAL, "%s: step %d (%s) failed with %d", loss.name, failed,
                failed >= 0 ? form->variant->steps[failed].text : "?", code);
  }
};

lossc_status run_plan(const Plan& plan, const lossc_run_args& args, lossc_error* err) {
  Runner r(plan, args, err);
  LOSSC_TRY(r.check_memory("workspace", args.workspace, args.workspace_size, plan.workspace_size));
  const bool needs_saved = plan.mode == LOSSC_BACKWARD || args.saved != nullptr || args.saved_size > 0;
  LOSSC_TRY(r.check_memory("saved", args.saved, args.saved_size, needs_saved ? plan.saved_size : 0));
  if (args.allreduce != nullptr) return fail(err, LOSSC_E_ARGUMENT, "allreduce: given, but the plan is not sharded");
  LOSSC_TRY(r.bind_inputs());
  LOSSC_TRY(r.bind_implicit(kRowWeight, args.row_weight));
  LOSSC_TRY(r.bind_implicit(kRowMask, args.row_mask));
  LOSSC_TRY(r.bind_implicit(kGradOutput, args.grad_output));
  LOSSC_TRY(r.bind_params());
  LOSSC_TRY(r.bind_outputs());
  LOSSC_TRY(r.check_overlap());
  LOSSC_TRY(r.choose_form());
  for (int i = 0; i < plan.loss->n_inputs; ++i) {
    if (!r.given[i] || elem_of(plan.loss->inputs[i]) != Elem::Int32) continue;
    int32_t* const to = plan.labels_at[i] == kNowhere
                            ? nullptr
                            : reinterpret_cast<int32_t*>(static_cast<char*>(args.workspace) + plan.labels_at[i]);
    LOSSC_TRY(take_labels(*plan.loss, plan.loss->inputs[i], plan.shapes, r.params, to, &r.inputs[i],
                          plan.workers, err));
  }
  for (int k = 0; k < plan.loss->n_outputs; ++k) {
    if (r.asked >> k & 1) LOSSC_TRY(r.check_form_has(k));
  }
  LOSSC_TRY(r.check_saved());
  return r.run();
}

}  // namespace
}  // namespace lossc::rt

using namespace lossc::rt;

extern "C" lossc_status lossc_run(const lossc_plan* plan, const lossc_run_args* given, lossc_error* err) {
  if (plan == nullptr) return fail(err, LOSSC_E_ARGUMENT, "plan is NULL");
  lossc_run_args args;
  LOSSC_TRY(read_sized(given, &args, sizeof args, offsetof(lossc_run_args, row_weight), "lossc_run_args", err));
  return run_plan(*plan, args, err);
}

extern "C" lossc_status lossc_run_stage(const lossc_plan* plan, size_t k, const lossc_run_args* args, DLTensor*,
                                        int32_t*, lossc_error* err) {
  if (k != 0) return fail(err, LOSSC_E_ARGUMENT, "k is %zu, but a plan that is not sharded has one stage", k);
  return lossc_run(plan, args, err);  // nothing to reduce after it
}
