#include "strict.h"

namespace lossc::lower::strict {
namespace {

class Shown : public Halide::Internal::IRGraphMutator {
  using IRGraphMutator::visit;
  Expr visit(const Call* op) override { return op->name == kHidden ? mutate(op->args[0]) : IRGraphMutator::visit(op); }
};

}  // namespace

Halide::Internal::IRMutator* shown_pass() { return new Shown; }

}  // namespace lossc::lower::strict
