// Making a plan: shapes, variants, machine level, memory.
#include "runtime/plan.h"

#include <algorithm>
#include <cstdlib>

#include "runtime/cpu.h"
#include "runtime/pool.h"

namespace lossc::rt {
namespace {

// ---- the description ----------------------------------------------------------------------------------------------

lossc_status check_numbers(const Loss& loss, const lossc_plan_desc& desc, lossc_error* err) {
  if (desc.mode < 1 || desc.mode > 4)
    return fail(err, LOSSC_E_ARGUMENT, "mode is %d, want LOSSC_FORWARD (1), LOSSC_BACKWARD (2), both (3) or LOSSC_HVP (4)",
                desc.mode);
  if (desc.reduction < 0 || desc.reduction > 2)
    return fail(err, LOSSC_E_ARGUMENT, "reduction is %d, want LOSSC_REDUCE_NONE (0), SUM (1) or MEAN (2)",
                desc.reduction);
  if (desc.shard != LOSSC_SHARD_NONE)
    return fail(err, LOSSC_E_UNSUPPORTED, "shard is %d, this library has LOSSC_SHARD_NONE (0) only", desc.shard);
  if (desc.flags & ~(LOSSC_PLAN_EXACT | LOSSC_PLAN_REPRODUCIBLE | LOSSC_PLAN_F64))
    return fail(err, LOSSC_E_ARGUMENT,
                "flags is %d, want a sum of LOSSC_PLAN_EXACT (1), LOSSC_PLAN_REPRODUCIBLE (2) and LOSSC_PLAN_F64 (4)",
                desc.flags);
  if (desc.flags & LOSSC_PLAN_EXACT)
    return fail(err, LOSSC_E_UNSUPPORTED,
                "flags asks for LOSSC_PLAN_EXACT, but %s has no schedule of its own for this shape", loss.name);
  if (desc.device.device_type != kDLCPU)
    return fail(err, LOSSC_E_UNSUPPORTED, "device type is %d, this library has kernels for the CPU (1) only",
                static_cast<int>(desc.device.device_type));
  if (desc.threads < 0 || desc.panel_rows < 0)
    return fail(err, LOSSC_E_ARGUMENT, "threads is %d, panel_rows is %d, want 0 or more", desc.threads,
                desc.panel_rows);
  if (desc.reserved != 0) return fail(err, LOSSC_E_ABI, "lossc_plan_desc: reserved is %d, want 0", desc.reserved);
  if (desc.n_inputs != loss.n_inputs || (desc.inputs == nullptr && loss.n_inputs > 0))
    return fail(err, LOSSC_E_ARGUMENT, "inputs: %zu given, %s has %d", desc.inputs == nullptr ? 0 : desc.n_inputs,
                loss.name, loss.n_inputs);
  if (desc.mode == LOSSC_BACKWARD && n_gradients(loss) == 0)
    return fail(err, LOSSC_E_UNSUPPORTED, "mode is LOSSC_BACKWARD, but %s has no gradient", loss.name);
  return LOSSC_OK;
}

lossc_status check_options(const Loss& loss, const lossc_plan_desc& desc, int32_t* choice, lossc_error* err) {
  for (int i = 0; i < loss.n_options; ++i) choice[i] = loss.options[i].n_choices == 0 ? loss.options[i].fallback : 0;
  if (desc.options == nullptr && desc.n_options == 0) return LOSSC_OK;
  if (desc.options == nullptr || desc.n_options != loss.n_options)
    return fail(err, LOSSC_E_ARGUMENT, "options: %zu given, %s has %d", desc.options == nullptr ? 0 : desc.n_options,
                loss.name, loss.n_options);
  for (int i = 0; i < loss.n_options; ++i) {
    const Option& option = loss.options[i];
    if (option.n_choices == 0 && desc.options[i] < 0)
      return fail(err, LOSSC_E_ARGUMENT, "option %s is %d, want 0 or more", option.name, desc.options[i]);
    if (option.n_choices > 0 && (desc.options[i] < 0 || static_cast<size_t>(desc.options[i]) >= option.n_choices)) {
      return fail(err, LOSSC_E_ARGUMENT, "option %s is %d, want 0 to %zu", option.name, desc.options[i],
                  option.n_choices - 1);
    }
    choice[i] = desc.options[i];
  }
  return LOSSC_OK;
}

// ---- which level, which variants ------------------------------------------------------------------------------------

lossc_status pick_isa(const Loss& loss, int wanted, int* isa, lossc_error* err) {
  const Build& build = *loss.build;
  const uint8_t have = cpu_features();
  *isa = -1;
  for (int i = 0; i < build.n_isas; ++i) {  // ascending
    if (wanted != LOSSC_ISA_BEST && static_cast<int>(build.isas[i].isa) + 1 != wanted) continue;
    if ((build.isas[i].features & ~have) == 0) *isa = i;
  }
  if (*isa >= 0) return LOSSC_OK;
  if (wanted == LOSSC_ISA_BEST)
    return fail(err, LOSSC_E_UNSUPPORTED, "this machine (features %#x) can run none of the library's ISA levels", have);
  return fail(err, LOSSC_E_UNSUPPORTED,
              "isa is %d: this library has no such level, or this machine (features %#x) cannot run it", wanted, have);
}

enum class Match { No, Yes, DecidedByRun };

Match match(const Plan& plan, const Fact& fact) {
  int value = 0;
  switch (fact.kind) {
    case FactKind::Option:
      value = plan.choice[fact.id];
      break;
    case FactKind::AxisGiven:
      value = present(*plan.loss, plan.shapes, fact.id);
      break;
    case FactKind::InputGiven:
      if (fact.id >= plan.loss->n_inputs) return Match::DecidedByRun;
      value = plan.input_given[fact.id];
      break;
    case FactKind::ParamZero:
      return Match::DecidedByRun;
  }
  return value == fact.value ? Match::Yes : Match::No;
}

bool may_run(const Plan& plan, const Variant& v) {
  if (v.dtype_bits != plan.shapes.dtype_bits) return false;
  for (int f = 0; f < v.n_facts; ++f) {
    if (match(plan, v.facts[f]) == Match::No) return false;
  }
  return true;
}

lossc_status check_limits(const Plan& plan, const Variant& v, lossc_error* err) {
  bool fits = v.n_buffers <= kMaxBuffers && v.n_steps <= kMaxSteps && v.n_slots <= kMaxBuffers;
  for (int s = 0; s < v.n_steps; ++s) fits = fits && v.steps[s].n_args <= kMaxStepArgs;
  if (!fits)
    return fail(err, LOSSC_E_INTERNAL, "%s: a plan of it is larger than the runtime's tables", plan.loss->name);
  for (int k = 0; k < v.n_kernels; ++k) {
    if (v.kernels[k]->by_isa[plan.isa] == nullptr)
      return fail(err, LOSSC_E_UNSUPPORTED, "%s: kernel %s was not compiled for %s", plan.loss->name,
                  v.kernels[k]->name, plan.isa_info().name);
  }
  return LOSSC_OK;
}

// ---- building -------------------------------------------------------------------------------------------------------

// What is over the loss's own rows: the unreduced loss and the implicit inputs. Options may change what a row is (an
// image and class, or a class), so the form says it, not the loss.
Argument rows_argument(const Loss& loss, const Variant& form) {
  Argument a = loss.outputs[1];
  if (form.n_rows < 0) return a;
  a.ndim = static_cast<uint8_t>(form.n_rows);
  std::copy_n(form.rows, form.n_rows, a.dims);
  return a;
}

Argument implicit_argument(const Argument& rows, const char* name, const char* dtypes) {
  Argument a = rows;
  a.name = name;
  a.dtypes = dtypes;
  a.integer = 0;
  a.optional = 1;
  a.range_axis = a.ignore_param = -1;
  return a;
}

lossc_status bind_inputs(const lossc_plan_desc& desc, Plan* plan, lossc_error* err) {
  const Loss& loss = *plan->loss;
  LOSSC_TRY(bind_shapes(loss, desc.inputs, plan->choice, &plan->shapes, err));
  if (desc.flags & LOSSC_PLAN_F64) plan->shapes.dtype_bits = 64;
  for (int i = 0; i < loss.n_inputs; ++i) {
    plan->labels_at[i] = kNowhere;
    const DLTensor* t = desc.inputs[i];
    plan->input_given[i] = t != nullptr;
    if (t == nullptr) continue;
    plan->input_type[i] = t->dtype;
    if (Float type; float_of(t->dtype, &type)) plan->converts |= type != plan->real();
    Bound bound;
    LOSSC_TRY(bind_tensor(loss, loss.inputs[i], *t, plan->shapes, true, &bound, err));
    if (elem_of(loss.inputs[i]) != Elem::Int32 || t->dtype.bits == 32) continue;
    size_t elements = 1;
    for (int d = 0; d < bound.ndim; ++d) elements *= static_cast<size_t>(bound.extent[d]);
    plan->labels_at[i] = plan->labels_size;
    plan->labels_size += (elements * sizeof(int32_t) + kAlign - 1) / kAlign * kAlign;
  }
  return LOSSC_OK;
}

// Directions come after the loss's own inputs, one for each differentiable one.
lossc_status check_directions(const Plan& plan, lossc_error* err) {
  const Loss& loss = *plan.loss;
  for (int i = 0, d = loss.n_inputs - n_gradients(loss); plan.mode == LOSSC_HVP && d < loss.n_inputs; ++i) {
    if (!loss.inputs[i].differentiable) continue;
    if (plan.input_given[d] && !plan.input_given[i])
      return fail(err, LOSSC_E_ARGUMENT, "%s: given, but %s is NULL", loss.inputs[d].name, loss.inputs[i].name);
    ++d;
  }
  return LOSSC_OK;
}

void set_rows(Plan* plan) {
  plan->rows = rows_argument(*plan->loss, *plan->forms[0].variant);
  plan->implicit[kRowWeight] = implicit_argument(plan->rows, "row_weight", "f16 bf16 f32 f64");
  plan->implicit[kRowMask] = implicit_argument(plan->rows, "row_mask", "bool u8");
  plan->implicit[kGradOutput] = implicit_argument(plan->rows, "grad_output", "f16 bf16 f32 f64");
}

// Everything but the plan itself in one allocation, found by walking twice: first to count, then to give out.
struct Arena {
  char* memory = nullptr;
  size_t used = 0;
  template <class T>
  T* take(size_t n) {
    T* here = memory == nullptr ? nullptr : reinterpret_cast<T*>(memory + used);
    used += (n * sizeof(T) + kAlign - 1) / kAlign * kAlign;
    return here;
  }
};

void carve(Plan* plan, Arena* arena) {
  plan->forms = arena->take<Form>(static_cast<size_t>(plan->n_forms));
  int n = 0;
  for (int k = 0; k < plan->loss->n_variants; ++k) {
    const Variant& v = plan->loss->variants[k];
    if (!may_run(*plan, v)) continue;
    auto* buffers = arena->take<BufferLayout>(v.n_buffers);
    auto* passes = arena->take<PassLayout>(v.n_passes);
    auto* step_ns = arena->take<float>(v.n_steps);
    auto* step_pieces = arena->take<int32_t>(v.n_steps);
    if (arena->memory == nullptr) continue;
    plan->forms[n].variant = &v;
    plan->forms[n].buffers = buffers;
    plan->forms[n].passes = passes;
    plan->forms[n].step_ns = step_ns;
    plan->forms[n].step_pieces = step_pieces;
    ++n;
  }
}

lossc_status no_form(const Plan& plan, lossc_error* err) {
  char buffer[256];
  Text choices{buffer, sizeof buffer};
  choices.add("dtype f%d", plan.shapes.dtype_bits);
  for (int i = 0; i < plan.loss->n_options; ++i)
    if (plan.loss->options[i].n_choices > 0)
      choices.add(", %s %s", plan.loss->options[i].name, plan.loss->options[i].choices[plan.choice[i]].name);
  for (int i = 0; i < plan.loss->n_inputs; ++i) {
    if (plan.loss->inputs[i].optional)
      choices.add(", %s %s", plan.loss->inputs[i].name, plan.input_given[i] ? "given" : "absent");
  }
  return fail(err, LOSSC_E_UNSUPPORTED, "%s: not compiled for %s", plan.loss->name, buffer);
}

struct Hash {
  uint64_t value = 0xcbf29ce484222325u;  // FNV-1a
  void add(uint64_t x) {
    for (int i = 0; i < 8; ++i) value = (value ^ (x >> 8 * i & 0xff)) * 0x100000001b3u;
  }
};

// What the contents of the saved buffer depend on.
Hash hash_of_problem(const Plan& plan) {
  Hash hash;
  for (const char* c = plan.loss->name; *c != 0; ++c) hash.add(static_cast<unsigned char>(*c));
  for (const int x : {plan.reduction, static_cast<int>(plan.isa_info().isa), plan.shapes.dtype_bits})
    hash.add(static_cast<uint64_t>(x));
  for (int a = 0; a < plan.loss->n_axes; ++a) hash.add(static_cast<uint64_t>(plan.shapes.extent[a]));
  for (int o = 0; o < plan.loss->n_options; ++o) hash.add(static_cast<uint64_t>(plan.choice[o]));
  return hash;
}

uint64_t digest_of(const Plan& plan) {
  Hash hash = hash_of_problem(plan);
  hash.add(static_cast<uint64_t>(plan.mode));
  hash.add(static_cast<uint64_t>(plan.flags));
  for (int i = 0; i < plan.loss->n_inputs; ++i) {
    if (plan.input_given[i]) hash.add(uint64_t{plan.input_type[i].code} << 8 | plan.input_type[i].bits);
  }
  for (int f = 0; f < plan.n_forms; ++f) {
    const Form& form = plan.forms[f];
    hash.add(form.variant->digest);
    for (int p = 0; p < form.variant->n_passes; ++p) {
      hash.add(static_cast<uint64_t>(form.passes[p].panel_rows));
      hash.add(static_cast<uint64_t>(form.passes[p].serial ? 0 : form.passes[p].workers));
    }
  }
  return hash.value;
}

}  // namespace

bool Plan::accepts(Float type) const {
  if (type == real()) return true;
  for (int i = 0; i < loss->n_inputs; ++i) {
    if (Float f; input_given[i] && float_of(input_type[i], &f) && f == type) return true;
  }
  return false;
}

namespace {

lossc_status lay_out_all(Plan* plan, lossc_error* err) {
  for (int k = 0; k < plan->loss->n_variants; ++k) plan->n_forms += may_run(*plan, plan->loss->variants[k]);
  if (plan->n_forms == 0) return no_form(*plan, err);
  Arena arena;
  carve(plan, &arena);
  arena.memory = static_cast<char*>(calloc(1, arena.used));
  if (arena.memory == nullptr) return fail(err, LOSSC_E_MEMORY, "plan: %zu bytes", arena.used);
  arena.used = 0;
  carve(plan, &arena);
  set_rows(plan);
  for (int f = 0; f < plan->n_forms; ++f) {
    LOSSC_TRY(check_limits(*plan, *plan->forms[f].variant, err));
    LOSSC_TRY(check_requirements(*plan->loss, *plan->forms[f].variant, plan->shapes, plan->choice, err));
    LOSSC_TRY(lay_out(*plan, &plan->forms[f], err));
    plan->workspace_size = std::max(plan->workspace_size, plan->forms[f].workspace_size);
    plan->saved_size = std::max(plan->saved_size, plan->forms[f].saved_size);
  }
  return LOSSC_OK;
}

// Only a plan that has use for threads starts them.
void start_threads_for(const Plan& plan) {
  int most = 1;
  for (int f = 0; f < plan.n_forms; ++f) {
    const Form& form = plan.forms[f];
    for (int p = 0; p < form.variant->n_passes; ++p) most = std::max(most, form.passes[p].workers);
    for (int s = 0; s < form.variant->n_steps; ++s) {
      if (form.active.steps.test(s)) most = std::max(most, pieces_for(form.step_ns[s], plan.workers));
    }
  }
  if (most > 1) start_threads(plan.workers);
}

lossc_status make_text(Plan* plan, lossc_error* err) {
  Text count;
  explain(*plan, &count);
  plan->explain = static_cast<char*>(malloc(count.size + 1));
  if (plan->explain == nullptr) return fail(err, LOSSC_E_MEMORY, "plan: %zu bytes", count.size + 1);
  Text text{plan->explain, count.size + 1};
  explain(*plan, &text);
  return LOSSC_OK;
}

lossc_status create(const Loss& loss, const lossc_plan_desc& desc, Plan* plan, lossc_error* err) {
  LOSSC_TRY(check_numbers(loss, desc, err));
  plan->loss = &loss;
  plan->mode = desc.mode;
  plan->reduction = desc.reduction;
  plan->flags = desc.flags;
  plan->panel_rows = desc.panel_rows;
  plan->workers = desc.threads > 0 ? std::min(desc.threads, thread_count()) : thread_count();
  LOSSC_TRY(check_options(loss, desc, plan->choice, err));
  LOSSC_TRY(pick_isa(loss, desc.isa, &plan->isa, err));
  LOSSC_TRY(bind_inputs(desc, plan, err));
  LOSSC_TRY(check_directions(*plan, err));
  LOSSC_TRY(lay_out_all(plan, err));
  plan->saved_id = hash_of_problem(*plan).value;
  plan->digest = digest_of(*plan);
  LOSSC_TRY(make_text(plan, err));
  start_threads_for(*plan);
  return LOSSC_OK;
}

lossc_status check_loss(const Loss& loss, lossc_error* err) {
  if (loss.build == nullptr || loss.build->version != kRegistryVersion)
    return fail(err, LOSSC_E_ABI, "loss: its tables are not of this library's version");
  const bool fits = loss.n_axes <= kMaxAxes && loss.n_inputs <= kMaxInputs && loss.n_options <= kMaxInputs &&
                    loss.n_outputs <= kMaxOutputs && loss.n_params + kImplicitParams + loss.n_options <= kMaxParams;
  return fits ? LOSSC_OK : fail(err, LOSSC_E_INTERNAL, "%s: larger than the runtime's tables", loss.name);
}

// A loss and its Hessian products are tables of their own; either names the products.
lossc_status choose_tables(const Loss& loss, int mode, const Loss** out, lossc_error* err) {
  const bool products = loss.hessian == &loss;
  *out = mode == LOSSC_HVP ? loss.hessian : &loss;
  if (products && mode != LOSSC_HVP)
    return fail(err, LOSSC_E_ARGUMENT, "mode is %d, but lossc_hvp_%s is for LOSSC_HVP (%d)", mode, loss.name, LOSSC_HVP);
  if (*out == nullptr && loss.no_hessian != nullptr)
    return fail(err, LOSSC_E_UNSUPPORTED, "no Hessian products of %s: %s", loss.name, loss.no_hessian);
  if (*out == nullptr)
    return fail(err, LOSSC_E_UNSUPPORTED, "the Hessian products of %s are not linked: name lossc_hvp_%s (LOSSC_DECLARE_HVP)",
                loss.name, loss.name);
  return *out == &loss ? LOSSC_OK : check_loss(**out, err);
}

}  // namespace
}  // namespace lossc::rt

using namespace lossc::rt;

extern "C" lossc_status lossc_plan_create(const lossc_loss* loss, const lossc_plan_desc* given, lossc_plan** out,
                                          lossc_error* err) {
  if (out == nullptr) return fail(err, LOSSC_E_ARGUMENT, "out is NULL");
  *out = nullptr;
  if (loss == nullptr) return fail(err, LOSSC_E_ARGUMENT, "loss is NULL");
  const Loss& table = *reinterpret_cast<const Loss*>(loss);
  LOSSC_TRY(check_loss(table, err));
  lossc_plan_desc desc;
  LOSSC_TRY(read_sized(given, &desc, sizeof desc, offsetof(lossc_plan_desc, options), "lossc_plan_desc", err));
  const Loss* of_mode;
  LOSSC_TRY(choose_tables(table, desc.mode, &of_mode, err));
  auto* plan = static_cast<lossc_plan*>(calloc(1, sizeof(lossc_plan)));
  if (plan == nullptr) return fail(err, LOSSC_E_MEMORY, "plan: %zu bytes", sizeof(lossc_plan));
  const lossc_status status = create(*of_mode, desc, plan, err);
  if (status != LOSSC_OK) {
    lossc_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return LOSSC_OK;
}

extern "C" void lossc_plan_destroy(lossc_plan* plan) {
  if (plan == nullptr) return;
  free(plan->forms);  // the head of all that carve() gave out
  free(plan->explain);
  free(plan);
}

extern "C" size_t lossc_plan_workspace_size(const lossc_plan* plan) {
  return plan == nullptr ? 0 : plan->workspace_size;
}
extern "C" size_t lossc_plan_saved_size(const lossc_plan* plan) { return plan == nullptr ? 0 : plan->saved_size; }
extern "C" uint64_t lossc_plan_digest(const lossc_plan* plan) { return plan == nullptr ? 0 : plan->digest; }
extern "C" const char* lossc_plan_explain(const lossc_plan* plan) { return plan == nullptr ? "" : plan->explain; }
extern "C" size_t lossc_plan_stage_count(const lossc_plan* plan) { return plan == nullptr ? 0 : 1; }
