#include "strict.h"

namespace lossc::lower::strict {
namespace {

class Comparisons : public Halide::Internal::IRGraphMutator {
  using IRGraphMutator::visit;
  Expr visit(const Call* op) override {
    if (op->name != kLt && op->name != kEq) return IRGraphMutator::visit(op);
    return make(op->name == kLt ? Call::strict_lt : Call::strict_eq, op->type, mutate(op->args[0]), mutate(op->args[1]));
  }
};

}  // namespace

Halide::Internal::IRMutator* comparisons_pass() { return new Comparisons; }

}  // namespace lossc::lower::strict
