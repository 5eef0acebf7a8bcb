#include "prefetch.h"

#include <set>

namespace lossc::lower {
namespace {

using Halide::Expr;
using Halide::Internal::Call;
using Halide::Internal::Let;
using Halide::Internal::Load;
using Halide::Internal::Ramp;
using Halide::Internal::Stmt;
using Halide::Internal::Store;
using Halide::Internal::Variable;

// Dense vector loads of one image in an expression, but for those whose place is computed inside the expression.
class DenseLoads : public Halide::Internal::IRVisitor {
 public:
  explicit DenseLoads(const std::string& image) : image_(image) {}
  std::vector<const Load*> found;

 private:
  using IRVisitor::visit;
  void visit(const Let* op) override {
    op->value.accept(this);
    inside_++;
    op->body.accept(this);
    inside_--;
  }
  void visit(const Load* op) override {
    IRVisitor::visit(op);
    const Ramp* ramp = op->index.as<Ramp>();
    if (op->name == image_ && inside_ == 0 && ramp && Halide::Internal::is_const_one(ramp->stride)) found.push_back(op);
  }
  const std::string& image_;
  int inside_ = 0;
};

class Prefetches : public Halide::Internal::IRMutator {
 public:
  explicit Prefetches(std::vector<Ahead> list) : list_(std::move(list)) {}

 private:
  using IRMutator::visit;
  Stmt visit(const Store* op) override {
    Stmt out = op;
    for (const Ahead& a : list_) {
      if (op->name != a.func) continue;
      DenseLoads loads(a.image);
      op->value.accept(&loads);
      for (const Load* l : loads.found) {
        const Expr first = l->index.as<Ramp>()->base;
        const Expr base = Variable::make(Halide::type_of<void*>(), a.image, l->param);
        const Expr e = Call::make(l->type.element_of(), Call::prefetch,
                                  {base, first + Halide::cast(first.type(), a.elements), 1, 64 / l->type.bytes()},
                                  Call::Intrinsic);
        out = Halide::Internal::Block::make(Halide::Internal::Evaluate::make(e), out);
      }
    }
    return out;
  }
  std::vector<Ahead> list_;
};

}  // namespace

Halide::Internal::IRMutator* prefetch_pass(std::vector<Ahead> list) { return new Prefetches(std::move(list)); }

}  // namespace lossc::lower
