#include "left.h"

#include "mask.h"

#include <map>
#include <stdexcept>
#include <string>

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

  Stmt visit(const LetStmt* op) override {
    lets_[op->name] = op->value;
    Stmt out = IRMutator::visit(op);
    lets_.erase(op->name);
    return out;
  }

  Stmt visit(const Store* op) override {
    const Call* left = op->value.as<Call>();
    if (left == nullptr || left->name != kLeft) return IRMutator::visit(op);
    const Expr& value = left->args[0];
    const std::string name = unique_name("left");
    const Expr again = Variable::make(value.type(), name);
    const Stmt own = Store::make(op->name, again, op->index, op->param, op->predicate, op->alignment);
    const Load* place = load_of(left->args[1]);
    if (place == nullptr || !separate(place)) throw std::logic_error("values are to be left at what are not so many elements");
    Stmt there = Store::make(place->name, again, place->index, place->param, place->predicate, place->alignment);
    if (const Ramp* ramp = place->index.as<Ramp>()) there = Block::make(fetch(place, ramp->base), there);
    const Expr when = scalar(left->args[2]);
    if (!is_const_one(when)) there = IfThenElse::make(when, there);
    return LetStmt::make(name, value, Block::make(own, there));
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

  std::map<std::string, Expr> lets_;
  const int least_masked_bits_, ahead_;
};

}  // namespace

Expr leave(const Expr& value, const Expr& place, const Expr& there) {
  return Call::make(value.type(), kLeft, {value, place, there}, Call::PureExtern);
}

IRMutator* left_pass(const schedules::Isa& isa, int ahead) { return new Leaves(isa, ahead); }

}  // namespace lossc::lower
