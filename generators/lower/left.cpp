#include "left.h"

#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mask.h"

namespace lossc::lower {
namespace {

using Halide::Expr;
using namespace Halide::Internal;

constexpr const char* kLeft = "lossc_left";

class Leaves : public IRMutator {
 public:
  Leaves(const schedules::Isa& isa, int ahead) : least_masked_bits_(least_masked_bits(isa)), ahead_(ahead) {}

 private:
  using IRMutator::visit;

  struct Left {
    Expr value, made_of, place, when;
  };

  Stmt visit(const Store* op) override {
    std::vector<Left> before = std::exchange(found_, {});
    const Expr value = mutate(op->value);
    return with_stores(Store::make(op->name, value, op->index, op->param, op->predicate, op->alignment), std::move(before));
  }
  // What a store's value has twice is bound in a statement around it.
  Stmt visit(const LetStmt* op) override {
    std::vector<Left> before = std::exchange(found_, {});
    const Expr value = mutate(op->value);
    std::vector<Left> here = std::exchange(found_, {});
    lets_[op->name] = value;
    const Stmt body = mutate(op->body);
    lets_.erase(op->name);
    found_ = std::move(here);
    return with_stores(LetStmt::make(op->name, value, body), std::move(before));
  }
  Expr visit(const Let* op) override {
    const Expr value = mutate(op->value);
    lets_[op->name] = value;
    around_.emplace_back(op->name, value);
    const Expr body = mutate(op->body);
    around_.pop_back();
    lets_.erase(op->name);
    return Let::make(op->name, value, body);
  }
  Expr visit(const Call* op) override {
    if (op->name != kLeft) return IRMutator::visit(op);
    const Expr made_of = mutate(op->args[0]);
    const Expr value = Variable::make(made_of.type(), unique_name("left"));
    found_.push_back({value, bound(made_of), op->args[1], bound(scalar(op->args[2]))});
    return value;
  }

  // The statement, after which what was found in it is stored, too.
  Stmt with_stores(Stmt s, std::vector<Left> before) {
    for (auto left = found_.rbegin(); left != found_.rend(); ++left) {
      const Load* place = load_of(left->place);
      if (place == nullptr || !separate(place)) throw std::logic_error("values are to be left at what are not so many elements");
      Stmt there = Store::make(place->name, left->value, bound(place->index), place->param, place->predicate, place->alignment);
      if (const Ramp* ramp = place->index.as<Ramp>()) there = Block::make(fetch(place, ramp->base), there);
      if (!is_const_one(left->when)) there = IfThenElse::make(left->when, there);
      s = LetStmt::make(left->value.as<Variable>()->name, left->made_of, Block::make(there, s));
    }
    found_ = std::move(before);
    return s;
  }
  // Outside of the lets inside an expression that it is in.
  Expr bound(Expr e) const {
    for (auto let = around_.rbegin(); let != around_.rend(); ++let)
      if (expr_uses_var(e, let->first)) e = Let::make(let->first, let->second, e);
    return e;
  }

  // Lanes past the end are clamped to the last element. Either they are masked, as what they are made of is: then they hold
  // nobody's values, and must not be stored. Or nothing is, and all of those lanes hold what the last element has.
  bool separate(const Load* place) const {
    return place->index.type().is_scalar() || place->index.as<Ramp>() != nullptr || place->type.bits() < least_masked_bits_;
  }

  Stmt fetch(const Load* place, const Expr& first) const {
    const Halide::Type type = place->type.element_of();
    const Expr base = Variable::make(Halide::type_of<void*>(), place->name, place->param);
    return Evaluate::make(Call::make(type, Call::prefetch, {base, first + make_const(first.type(), ahead_), 1, 64 / type.bytes()}, Call::Intrinsic));
  }

  const Load* load_of(Expr e) const {
    while (const Variable* v = e.as<Variable>()) {
      const auto it = lets_.find(v->name);
      if (it == lets_.end()) return nullptr;
      e = it->second;
    }
    return e.as<Load>();
  }
  static Expr scalar(const Expr& e) {
    const Broadcast* all = e.as<Broadcast>();
    return all ? all->value : e;
  }

  std::vector<Left> found_;                          // in the statement at hand
  std::map<std::string, Expr> lets_;                 // all that is bound here
  std::vector<std::pair<std::string, Expr>> around_;  // inside the expression at hand
  const int least_masked_bits_, ahead_;
};

}  // namespace

Expr leave(const Expr& value, const Expr& place, const Expr& there) {
  return Call::make(value.type(), kLeft, {value, place, there}, Call::PureExtern);
}

IRMutator* left_pass(const schedules::Isa& isa, int ahead) { return new Leaves(isa, ahead); }

}  // namespace lossc::lower
