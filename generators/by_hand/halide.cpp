// The words of <lossc/halide.h>: the writer's functions, called and their results looked at while the definition is built.
#include "lossc/halide.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "dsl/builder.h"
#include "generators/by_hand/pointwise.h"
#include "generators/by_hand/strict_code.h"

namespace lossc {
namespace {

using by_hand::Pointwise;
using by_hand::Value;
using Halide::Internal::Call;
using Halide::Internal::Variable;

// What an expression may not have, in words; empty: nothing.
class Foreign : public Halide::Internal::IRGraphVisitor {
 public:
  explicit Foreign(size_t operands) : operands_(operands) {}
  std::string found;

 private:
  using IRGraphVisitor::visit;
  void visit(const Variable* op) override {
    for (size_t k = 0; k < operands_; k++)
      if (op->name == by_hand::placeholder(k, ir::Type::Float, 32).as<Variable>()->name) return;
    if (!bound_.count(op->name)) found = fmt::format("depends on '{}', which is none of its operands", op->name);
  }
  void visit(const Halide::Internal::Let* op) override {
    bound_.insert(op->name);
    IRGraphVisitor::visit(op);
  }
  void visit(const Call* op) override {
    IRGraphVisitor::visit(op);
    if (op->call_type == Call::Halide || op->call_type == Call::Image) {
      found = fmt::format("reads '{}': a step of halide_expr is made of its operands alone", op->name);
    } else if (op->is_extern() && !by_hand::knows_function(by_hand::function_of(op->name))) {
      found = fmt::format("calls '{}', of which the kernels have no code", op->name);
    } else if (op->is_intrinsic({Call::random, Call::return_second, Call::undef, Call::require, Call::memoize_expr})) {
      found = fmt::format("uses {}(), which is no value of its operands", op->name);
    }
  }
  const size_t operands_;
  std::set<std::string> bound_;
};

// Bound names counted anew, for Halide's differ from one call to the next and the text of a step may not.
class Renamed : public Halide::Internal::IRMutator {
  using IRMutator::visit;
  Halide::Expr visit(const Halide::Internal::Let* op) override {
    const Halide::Expr value = mutate(op->value);
    const std::string name = fmt::format("shared{}", names_.size());
    const auto outer = names_.find(op->name);
    const std::string before = outer == names_.end() ? "" : outer->second;
    names_[op->name] = name;
    const Halide::Expr body = mutate(op->body);
    if (!before.empty()) names_[op->name] = before;
    return Halide::Internal::Let::make(name, value, body);
  }
  Halide::Expr visit(const Variable* op) override {
    const auto it = names_.find(op->name);
    return it == names_.end() ? Halide::Expr(op) : Variable::make(op->type, it->second);
  }
  std::map<std::string, std::string> names_;
};

class Reader {
 public:
  Reader(const char* name, std::initializer_list<Arg> operands, const Where& where) : where_(where), name_(name) {
    if (name_.empty()) fail("a step wants a name");
    if (operands.size() == 0) fail("no operands");
    for (const Arg& a : operands) args.push_back(a.node), types_.push_back(b_.program.graph.type(a.node));
  }

  std::vector<ir::Id> args;

  std::shared_ptr<const Pointwise> read(const HalideValue& value, const HalideDerivatives& derivatives, const HalideSecond& second) const {
    if (!value) fail("no function for the value");
    if (!derivatives) fail("no function for the derivatives");
    const Value v = both("the value", [&](HalideOperands x) { return value(x); });
    const std::vector<Value> slopes = list("the derivatives", derivatives);
    Pointwise::Slopes made(args.size());
    for (size_t k = 0; k < args.size(); k++) {
      if (!is_float(k)) continue;
      Pointwise::Slopes curvature;
      if (second) curvature = row(second, k);
      made[k] = std::make_shared<Pointwise>(fmt::format("{}_d{}", name_, k), types_, slopes[k], std::move(curvature));
    }
    return std::make_shared<Pointwise>(name_, types_, v, std::move(made));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { b_.fail(fmt::format("halide_expr \"{}\": {}", name_, what), where_); }
  bool is_float(size_t k) const { return types_[k] == ir::Type::Float; }

  Pointwise::Slopes row(const HalideSecond& second, size_t k) const {
    const std::string what = fmt::format("the second derivatives, row {}", k);
    const std::vector<Value> values = list(what, [&](HalideOperands x) {
      const auto rows = second(x);
      if (rows.size() != args.size()) fail(fmt::format("the second derivatives are {} rows for {} operands", rows.size(), args.size()));
      return rows[k];
    });
    Pointwise::Slopes out(args.size());
    for (size_t l = 0; l < args.size(); l++)
      if (is_float(l)) out[l] = std::make_shared<Pointwise>(fmt::format("{}_d{}d{}", name_, k, l), types_, values[l], Pointwise::Slopes());
    return out;
  }

  // One for each operand, undefined for those that have no derivative.
  std::vector<Value> list(const std::string& what, const HalideDerivatives& function) const {
    std::vector<Value> out(args.size());
    for (int bits : {32, 64}) {
      const std::vector<Halide::Expr> all = guarded(what, [&] { return function(operands(bits)); });
      if (all.size() != args.size())
        fail(fmt::format("{} are {} expressions for {} operands; want one each, Halide::Expr() for an integer or a truth value", what,
                         all.size(), args.size()));
      for (size_t k = 0; k < args.size(); k++)
        if (is_float(k)) (bits == 32 ? out[k].f32 : out[k].f64) = checked(fmt::format("{}, number {},", what, k), all[k], bits);
    }
    return out;
  }

  Value both(const std::string& what, const HalideValue& function) const {
    Value v;
    for (int bits : {32, 64})
      (bits == 32 ? v.f32 : v.f64) = checked(what, guarded(what, [&] { return function(operands(bits)); }), bits);
    return v;
  }

  std::vector<Halide::Expr> operands(int bits) const {
    std::vector<Halide::Expr> out;
    for (size_t k = 0; k < types_.size(); k++) out.push_back(by_hand::placeholder(k, types_[k], bits));
    return out;
  }

  template <class F>
  auto guarded(const std::string& what, F f) const -> decltype(f()) {
    try {
      return f();
    } catch (const Halide::Error& e) {
      std::string text = e.what();
      text.erase(text.find_last_not_of(" \n") + 1);
      fail(fmt::format("{}: Halide says: {}", what, text));
    }
  }

  Halide::Expr checked(const std::string& what, const Halide::Expr& e, int bits) const {
    if (!e.defined()) fail(what + " is an undefined Halide::Expr");
    if (e.type() != Halide::Float(bits)) {
      std::ostringstream type;
      type << e.type();
      const char* hint = e.type() == Halide::Float(64) ? "; a constant is literal(0.1, x), for Halide::Expr(0.1) makes all float64" : "";
      fail(fmt::format("{} is {} where the operands are float{}{}", what, type.str(), bits, hint));
    }
    Foreign foreign(types_.size());
    e.accept(&foreign);
    if (!foreign.found.empty()) fail(fmt::format("{} {}", what, foreign.found));
    // Shared parts get names: what walks the expression later walks a tree, and Newton's iteration is a large one.
    return Renamed().mutate(Halide::Internal::common_subexpression_elimination(e));
  }

  Builder& b_ = Builder::current();
  const Where where_;
  const std::string name_;
  std::vector<ir::Type> types_;
};

Halide::Expr function(const char* name, const Halide::Expr& x) {
  if (!x.defined() || !x.type().is_float() || x.type().bits() < 32)
    throw DefinitionError(fmt::format("{} of a Halide::Expr that is no float32 or float64", name));
  return Call::make(x.type(), fmt::format("lossc_{}_f{}", name, x.type().bits()), {x}, Call::PureExtern);
}

}  // namespace

Expr halide_expr(const char* name, std::initializer_list<Arg> operands, const HalideValue& value, const HalideDerivatives& derivatives,
                 const HalideSecond& second, Where where) {
  const Reader reader(name, operands, where);
  Builder& b = Builder::current();
  b.locate(where);
  return {b.program.graph.step_by_hand(reader.read(value, derivatives, second), reader.args)};
}

Halide::Expr literal(double value, const Halide::Expr& like) {
  if (!like.defined() || !like.type().is_float()) throw DefinitionError("literal(value, like): `like` is no float expression");
  return Halide::Internal::make_const(like.type(), value);
}
Halide::Expr expm1(const Halide::Expr& x) { return function("expm1", x); }
Halide::Expr log1p(const Halide::Expr& x) { return function("log1p", x); }
Halide::Expr sigmoid(const Halide::Expr& x) { return function("sigmoid", x); }
Halide::Expr softplus(const Halide::Expr& x) { return function("softplus", x); }
Halide::Expr erf(const Halide::Expr& x) { return function("erf", x); }
Halide::Expr lgamma(const Halide::Expr& x) { return function("lgamma", x); }
Halide::Expr digamma(const Halide::Expr& x) { return function("digamma", x); }

}  // namespace lossc
