// A plan as text: what will run, on how many threads, in how much memory.
#include "runtime/plan.h"

namespace lossc::rt {
namespace {

void explain_step(const Form& form, int s, Text* text) {
  const Step& step = form.variant->steps[s];
  if (step.kind == StepKind::Loop) return text->add("    %s, %d steps that follow:\n", step.text, step.n_body);
  const char* kind = step.kind == StepKind::ContractNN   ? "contract  "
                     : step.kind == StepKind::ContractTN ? "contract' "
                                                         : "";
  text->add("    %s%s", kind, step.text);
  text->add("  (%s, ~%.3g us)\n", step.kernel < 0 ? "in the runtime" : form.variant->kernels[step.kernel]->name,
            1e-3 * static_cast<double>(form.step_ns[s]));
}

void explain_pass(const Form& form, int p, const Axis* axes, Text* text) {
  const Pass& pass = form.variant->passes[p];
  const PassLayout& l = form.passes[p];
  bool any = false;
  for (int s = pass.first_once; s < pass.first_once + pass.n_once; ++s) any |= form.active.steps.test(s);
  if (any) text->add("  once:\n");
  for (int s = pass.first_once; s < pass.first_once + pass.n_once; ++s) {
    if (form.active.steps.test(s)) explain_step(form, s, text);
  }
  any = false;
  for (int s = pass.first_panel; s < pass.first_panel + pass.n_panel; ++s) any |= form.active.steps.test(s);
  if (!any || pass.row_axis < 0) return;
  text->add("  %d panels of %d of the %d rows (%s), %s%d worker%s:\n", l.n_panels, l.panel_rows, l.rows,
            axes[pass.row_axis].name, l.serial ? "one after another, steps split among " : "", l.workers,
            l.workers == 1 ? "" : "s");
  for (int s = pass.first_panel; s < pass.first_panel + pass.n_panel; ++s) {
    if (form.active.steps.test(s)) explain_step(form, s, text);
  }
}

void explain_facts(const Plan& plan, const Variant& v, Text* text) {
  for (int k = 0; k < v.n_facts; ++k) {
    const Fact& f = v.facts[k];
    const int n = plan.loss->n_inputs;
    switch (f.kind) {
      case FactKind::Option:
        text->add(", %s %s", plan.loss->options[f.id].name, plan.loss->options[f.id].choices[f.value].name);
        break;
      case FactKind::InputGiven:
        text->add(", %s %s", f.id < n ? plan.loss->inputs[f.id].name : plan.implicit[f.id - n].name,
                  f.value ? "given" : "absent");
        break;
      case FactKind::AxisGiven:
        text->add(", axis %s %s", plan.loss->axes[f.id].name, f.value ? "given" : "absent");
        break;
      case FactKind::ParamZero:
        text->add(", %s %s", plan.loss->params[f.id].name, f.value ? "zero" : "not zero");
        break;
    }
  }
}

// Which tensors, if they are of another type than is computed in, are converted how.
void explain_borders(const Form& form, Border which, const char* how, Text* text) {
  bool any = false;
  for (int b = 0; b < form.variant->n_buffers; ++b) {
    if (form.buffers[b].border != which) continue;
    if (!any) text->add("  converted %s:", how);
    text->add(any ? ", %s" : " %s", form.variant->buffers[b].name);
    any = true;
  }
  if (any) text->add("\n");
}

void explain_types(const Plan& plan, Text* text) {
  if (!plan.converts) return;
  text->add("inputs");
  for (int i = 0; i < plan.loss->n_inputs; ++i) {
    if (!plan.input_given[i]) continue;
    text->add(" %s ", plan.loss->inputs[i].name);
    add_dtype(*text, plan.input_type[i]);
  }
  text->add(", computed in f%d\n", plan.shapes.dtype_bits);
}

}  // namespace

void explain(const Plan& plan, Text* text) {
  const char* modes[] = {"", "forward", "backward", "forward and backward", "Hessian product"};
  const char* reductions[] = {"none", "sum", "mean"};
  text->add("%s f%d %s, reduction %s, %s, at most %d thread%s\n", plan.loss->name, plan.shapes.dtype_bits,
            modes[plan.mode], reductions[plan.reduction], plan.isa_info().name, plan.workers,
            plan.workers == 1 ? "" : "s");
  for (int a = 0; a < plan.loss->n_axes; ++a) {
    text->add(a > 0 ? ", %s=%d" : "%s=%d", plan.loss->axes[a].name, plan.shapes.extent[a]);
    if (!present(*plan.loss, plan.shapes, a)) text->add(" (absent)");
  }
  text->add("\nworkspace %zu bytes, saved %zu bytes, digest %016llx\n", plan.workspace_size, plan.saved_size,
            static_cast<unsigned long long>(plan.digest));
  explain_types(plan, text);
  for (int f = 0; f < plan.n_forms; ++f) {
    const Form& form = plan.forms[f];
    text->add("form %016llx", static_cast<unsigned long long>(form.variant->digest));
    explain_facts(plan, *form.variant, text);
    text->add(": workspace %zu bytes\n", form.workspace_size);
    explain_borders(form, Border::Local, "in pieces", text);
    explain_borders(form, Border::Whole, "whole", text);
    for (int p = 0; p < form.variant->n_passes; ++p) explain_pass(form, p, plan.loss->axes, text);
  }
}

}  // namespace lossc::rt
