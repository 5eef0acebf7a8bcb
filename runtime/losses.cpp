// What a loss says of itself. The tables begin with the structs that lossc.h shows: pointers are handed out as they
// are.
#include <cstddef>

#include "lossc/lossc.h"
#include "runtime/table.h"

namespace lossc::rt {
namespace {

static_assert(offsetof(lossc_arg, name) == offsetof(Argument, name) &&
              offsetof(lossc_arg, doc) == offsetof(Argument, doc) &&
              offsetof(lossc_arg, role) == offsetof(Argument, role) &&
              offsetof(lossc_arg, differentiable) == offsetof(Argument, differentiable) &&
              offsetof(lossc_arg, optional) == offsetof(Argument, optional) &&
              offsetof(lossc_arg, integer) == offsetof(Argument, integer) &&
              offsetof(lossc_arg, fallback) == offsetof(Argument, fallback) &&
              offsetof(lossc_arg, low) == offsetof(Argument, low) &&
              offsetof(lossc_arg, high) == offsetof(Argument, high) &&
              offsetof(lossc_arg, low_open) == offsetof(Argument, low_open) &&
              offsetof(lossc_arg, high_open) == offsetof(Argument, high_open));
static_assert(offsetof(lossc_axis, doc) == offsetof(Axis, doc) &&
              offsetof(lossc_axis, optional) == offsetof(Axis, optional) &&
              offsetof(lossc_axis, flat) == offsetof(Axis, flat));
static_assert(offsetof(lossc_option, doc) == offsetof(Option, doc) &&
              offsetof(lossc_option, choices) == offsetof(Option, choices) &&
              offsetof(lossc_option, n_choices) == offsetof(Option, n_choices) &&
              offsetof(lossc_option, fallback) == offsetof(Option, fallback) &&
              sizeof(Choice) == sizeof(const char*));
static_assert(offsetof(lossc_doc, family) == offsetof(Loss, family) &&
              offsetof(lossc_doc, title) == offsetof(Loss, title) &&
              offsetof(lossc_doc, paper) == offsetof(Loss, paper) &&
              offsetof(lossc_doc, equation) == offsetof(Loss, equation) &&
              offsetof(lossc_doc, edges) == offsetof(Loss, edges));
static_assert(static_cast<int>(Role::Input) == LOSSC_INPUT && static_cast<int>(Role::Param) == LOSSC_PARAM &&
              static_cast<int>(Role::Output) == LOSSC_OUTPUT);
static_assert(static_cast<int>(Isa::Sse41) + 1 == LOSSC_ISA_SSE41 &&
              static_cast<int>(Isa::Avx512) + 1 == LOSSC_ISA_AVX512);

const Loss& table(const lossc_loss* loss) { return *reinterpret_cast<const Loss*>(loss); }

// The reduced and the unreduced loss are one output to the caller: the unreduced one's shape says more.
size_t outputs(const Loss& loss) { return loss.n_outputs > 0 ? loss.n_outputs - 1u : 0; }

}  // namespace
}  // namespace lossc::rt

using namespace lossc::rt;

extern "C" {

uint32_t lossc_abi_version(void) { return LOSSC_ABI_VERSION; }

const char* lossc_loss_name(const lossc_loss* loss) { return loss == nullptr ? "" : table(loss).name; }

const lossc_loss* lossc_loss_hvp(const lossc_loss* loss) {
  return loss == nullptr ? nullptr : reinterpret_cast<const lossc_loss*>(table(loss).hessian);
}

const lossc_doc* lossc_loss_doc(const lossc_loss* loss) { return reinterpret_cast<const lossc_doc*>(loss); }

size_t lossc_loss_arg_count(const lossc_loss* loss) {
  return loss == nullptr ? 0 : table(loss).n_inputs + table(loss).n_params + outputs(table(loss));
}

const lossc_arg* lossc_loss_arg(const lossc_loss* loss, size_t i) {
  if (i >= lossc_loss_arg_count(loss)) return nullptr;
  const Loss& t = table(loss);
  const Argument* found;
  if (i < t.n_inputs) {
    found = t.inputs + i;
  } else if ((i -= t.n_inputs) < t.n_params) {
    found = t.params + i;
  } else {
    found = t.outputs + 1 + (i - t.n_params);
  }
  return reinterpret_cast<const lossc_arg*>(found);
}

size_t lossc_loss_axis_count(const lossc_loss* loss) { return loss == nullptr ? 0 : table(loss).n_axes; }

const lossc_axis* lossc_loss_axis(const lossc_loss* loss, size_t i) {
  return i < lossc_loss_axis_count(loss) ? reinterpret_cast<const lossc_axis*>(table(loss).axes + i) : nullptr;
}

size_t lossc_loss_option_count(const lossc_loss* loss) { return loss == nullptr ? 0 : table(loss).n_options; }

const lossc_option* lossc_loss_option(const lossc_loss* loss, size_t i) {
  return i < lossc_loss_option_count(loss) ? reinterpret_cast<const lossc_option*>(table(loss).options + i) : nullptr;
}

}  // extern "C"
