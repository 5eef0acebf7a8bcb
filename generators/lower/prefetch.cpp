#include "prefetch.h"

#include <map>
#include <set>
#include <utility>

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

// Places are 64-bit sums of 32-bit ones, which do not overflow; the simplifier does not look into the casts.
class WidenedFirst : public Halide::Internal::IRMutator {
  using IRMutator::visit;
  Expr visit(const Halide::Internal::Cast* op) override {
    const Expr& of = op->value;
    const auto wide = [&](const Expr& e) { return mutate(Halide::cast(op->type, e)); };
    if (!op->type.is_int() || !of.type().is_int() || of.type().bits() > op->type.bits()) return op;
    if (const auto* add = of.as<Halide::Internal::Add>()) return wide(add->a) + wide(add->b);
    if (const auto* sub = of.as<Halide::Internal::Sub>()) return wide(sub->a) - wide(sub->b);
    if (const auto* mul = of.as<Halide::Internal::Mul>()) return wide(mul->a) * wide(mul->b);
    return op;
  }
};

class Prefetches : public Halide::Internal::IRMutator {
 public:
  explicit Prefetches(std::vector<Ahead> list) : list_(std::move(list)) {}

 private:
  using IRMutator::visit;

  struct Fetch {
    std::string loop;  // of the Func in whose loops it is: "name.s"
    Expr base, place;
    Halide::Type type;
  };

  // Halide binds what it reads in statements around the store, so both are looked at; whose they are, the loop says. A
  // fetch moves out of the loops that do not change its place: labels of pixels are read again for every class.
  Stmt visit(const For* op) override {
    loops_.push_back(op->name);
    std::vector<Fetch> before = std::exchange(pending_, {});
    Stmt body = mutate(op->body);
    loops_.pop_back();
    std::vector<Fetch> inside;
    for (Fetch& f : pending_) {
      const bool ours = !loops_.empty() && loops_.back().rfind(f.loop, 0) == 0;
      const bool moves = Halide::Internal::expr_uses_var(f.place, op->name);
      add(moves || !ours ? inside : before, std::move(f));
    }
    pending_ = std::move(before);
    return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api, with(inside, body));
  }
  Stmt visit(const Store* op) override {
    find(op->value);
    const Ramp* ramp = op->index.as<Ramp>();
    for (const Ahead& a : list_) {
      if (a.image != op->name || !ramp || !Halide::Internal::is_const_one(ramp->stride)) continue;
      const Expr place = ramp->base + Halide::cast(ramp->base.type(), a.elements);
      add(pending_, {a.func + ".s", Variable::make(Halide::type_of<void*>(), a.image), place, op->value.type().element_of()});
    }
    return op;
  }
  Stmt visit(const LetStmt* op) override {
    find(op->value);
    std::vector<Fetch> before = std::exchange(pending_, {});
    Stmt body = mutate(op->body);
    for (Fetch& f : pending_) {
      f.place = Halide::Internal::substitute(op->name, op->value, f.place);
      add(before, std::move(f));
    }
    pending_ = std::move(before);
    return LetStmt::make(op->name, op->value, body);
  }

  void find(const Expr& value) {
    if (loops_.empty()) return;
    const std::string& loop = loops_.back();
    for (const Ahead& a : list_) {
      std::string owner = a.func + ".s";
      if (a.func.empty()) {
        owner = first_.try_emplace(a.image, loop.substr(0, loop.find(".s") + 2)).first->second;
      }
      if (loop.rfind(owner, 0) != 0) continue;
      DenseLoads loads(a.image);
      value.accept(&loads);
      for (const Load* l : loads.found) {
        const Expr first = l->index.as<Ramp>()->base;
        const Expr base = a.to.empty() ? Variable::make(Halide::type_of<void*>(), a.image, l->param)
                                       : Variable::make(Halide::type_of<void*>(), a.to);
        Expr place = first + Halide::cast(first.type(), a.elements);
        for (int d = 0; d < a.dimensions; d++) place += moved(a, d, first.type());
        add(pending_, {owner, base, place, l->type.element_of()});
      }
    }
  }

  // Not where the line is asked for already, by a vector next to it.
  static void add(std::vector<Fetch>& list, Fetch f) {
    for (const Fetch& g : list) {
      if (!Halide::Internal::equal(f.base, g.base)) continue;
      const auto apart = Halide::Internal::as_const_int(Halide::Internal::simplify(WidenedFirst().mutate(f.place - g.place)));
      if (apart && std::abs(*apart) * f.type.bytes() < 64) return;
    }
    list.push_back(std::move(f));
  }

  static Stmt with(const std::vector<Fetch>& list, Stmt s) {
    for (const Fetch& f : list) {
      const Expr e = Call::make(f.type, Call::prefetch, {f.base, f.place, 1, 64 / f.type.bytes()}, Call::Intrinsic);
      s = Halide::Internal::Block::make(Halide::Internal::Evaluate::make(e), s);
    }
    return s;
  }

  // The box of one image begins elsewhere than that of the other.
  static Expr moved(const Ahead& a, int d, Halide::Type type) {
    auto of = [&](const std::string& image, const char* what) {
      return Halide::cast(type, Variable::make(Halide::Int(32), image + what + std::to_string(d)));
    };
    const Expr apart = of(a.image, ".min.") - of(a.to, ".min.");
    return d == 0 ? apart : apart * of(a.to, ".stride.");  // dense, as the vector found
  }

  std::vector<std::string> loops_;
  std::vector<Fetch> pending_;
  std::map<std::string, std::string> first_;  // image -> the loops that read it first
  std::vector<Ahead> list_;
};

}  // namespace

Halide::Internal::IRMutator* prefetch_pass(std::vector<Ahead> list) { return new Prefetches(std::move(list)); }

}  // namespace lossc::lower
