#include <cstdlib>

#include "../../schedules/contract.h"
#include "../by_hand/strict_code.h"
#include "assemble.h"
#include "kernels.h"
#include "left.h"
#include "mask.h"
#include "strict.h"

namespace lossc::lower {
namespace {

// Without Halide's description of the arguments, which would be a third of a small kernel: tables describe them.
void compile(Halide::Pipeline pipeline, const std::vector<Halide::Argument>& args, const std::string& symbol,
             const Halide::Target& target, bool prefetches, const Output& output) {
  const std::string text = output.object + ".s";
  std::map<Halide::OutputFileType, std::string> files;
  if (prefetches)
    files[Halide::OutputFileType::assembly] = text;
  else
    files[Halide::OutputFileType::object] = output.object;
  if (!output.stmt.empty()) files[Halide::OutputFileType::stmt] = output.stmt;
  pipeline.compile_to_module(args, symbol, target, Halide::LinkageType::ExternalPlusArgv).compile(files);
  if (prefetches) assemble(text, output.object);
}

}  // namespace

void compile(const plan::Plan& plan, int step, int float_bits, const schedules::Isa& isa, Code code,
             const std::string& symbol, const Output& output) try {
  // LLVM reads it once, when Halide first needs LLVM; hence the process of its own. Without strength reduction code is
  // shorter; looking for scalar code to vectorise finds next to nothing (0.05 % of the bytes) in 3 % of the time.
  if (code == Code::Small) setenv("HL_LLVM_ARGS", "-disable-lsr -vectorize-slp=false", 1);
  const plan::StepKind kind = plan.steps[step].kind;
  if (kind >= plan::StepKind::ContractNN) {
    const auto form = kind == plan::StepKind::ContractNN ? schedules::ContractForm::NN : schedules::ContractForm::TNAcc;
    schedules::ContractKernel k = schedules::build_contract(form, Halide::Float(float_bits), isa);
    return compile(Halide::Pipeline(k.out), k.args, symbol, schedules::aot_target(isa), false, output);
  }
  Lowering l(plan, step, float_bits, isa, code);
  const std::vector<Halide::Func> outputs = kind == plan::StepKind::Map      ? map_kernel(l)
                                            : kind == plan::StepKind::Reduce ? reduce_kernel(l)
                                                                             : scatter_kernel(l);
  Halide::Pipeline pipeline(outputs);
  pipeline.add_custom_lowering_pass(prefetch_pass(l.ahead));
  pipeline.add_custom_lowering_pass(mask_pass(isa));
  if (l.leaves.defined()) pipeline.add_custom_lowering_pass(left_pass(isa, l.chunk));
  Halide::Target target = schedules::aot_target(isa);
  if (plan.graph.at(plan.steps[step].nodes[0]).op == ir::Op::WholeByHand) {
    // A writer's Funcs cannot be made strict one operation after the other. Under strict_float nothing is contracted.
    target = target.with_feature(Halide::Target::StrictFloat);
    pipeline.add_custom_lowering_pass(by_hand::strict_pass(math::Env{false}));
  }
  pipeline.add_custom_lowering_pass(strict::shown_pass());
  compile(pipeline, l.arguments(), symbol, target, !l.ahead.empty(), output);
} catch (const Halide::Error& e) {
  throw std::runtime_error(e.what());  // Halide's own is no std::exception
}

}  // namespace lossc::lower
