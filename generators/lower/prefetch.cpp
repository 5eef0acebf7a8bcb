#include "prefetch.h"

#include <set>

namespace lossc::lower {
namespace {

using Halide::Expr;
using Halide::Internal::Call;
using Halide::Internal::For;
using Halide::Internal::Let;
using Halide::Internal::LetStmt;
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
    bound_.insert(op->name);
    op->body.accept(this);
  }
  void visit(const Variable* op) override { uses_bound_ |= bound_.count(op->name) > 0; }
  void visit(const Load* op) override {
    const Ramp* ramp = op->index.as<Ramp>();
    if (op->name != image_ || !ramp || !Halide::Internal::is_const_one(ramp->stride)) return IRVisitor::visit(op);
    uses_bound_ = false;
    ramp->base.accept(this);
    if (!uses_bound_) found.push_back(op);
  }
  const std::string& image_;
  std::set<std::string> bound_;
  bool uses_bound_ = false;
};

class Prefetches : public Halide::Internal::IRMutator {
 public:
  explicit Prefetches(std::vector<Ahead> list) : list_(std::move(list)) {}

 private:
  using IRMutator::visit;
  // Halide binds what it reads in statements around the store, so both are looked at; whose they are, the loop says.
  Stmt visit(const For* op) override {
    loops_.push_back(op->name);
    Stmt s = IRMutator::visit(op);
    loops_.pop_back();
    return s;
  }
  Stmt visit(const Store* op) override { return with_prefetches(op->value, op); }
  Stmt visit(const LetStmt* op) override { return with_prefetches(op->value, IRMutator::visit(op)); }

  Stmt with_prefetches(const Expr& value, Stmt out) {
    for (const Ahead& a : list_) {
      if (loops_.empty() || loops_.back().rfind(a.func + ".s", 0) != 0) continue;
      DenseLoads loads(a.image);
      value.accept(&loads);
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
  std::vector<std::string> loops_;
  std::vector<Ahead> list_;
};

}  // namespace

Halide::Internal::IRMutator* prefetch_pass(std::vector<Ahead> list) { return new Prefetches(std::move(list)); }

}  // namespace lossc::lower
