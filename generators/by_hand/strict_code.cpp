#include "generators/by_hand/strict_code.h"

#include <functional>
#include <map>
#include <set>

#include "generators/lower/strict.h"

namespace lossc::by_hand {
namespace {

using namespace Halide::Internal;
using Halide::Expr;
namespace ours = lossc::lower::strict;

using Args = const std::vector<Expr>&;
using Build = Expr (*)(Args x, math::Env env);

Expr constant(const Expr& like, double value) { return make_const(like.type(), value); }

const std::map<std::string, Build>& functions() {
  static const std::map<std::string, Build> all = {
      {"exp", [](Args x, math::Env env) { return math::exp(x[0], env); }},
      {"log", [](Args x, math::Env) { return math::log(x[0]); }},
      {"pow", [](Args x, math::Env env) { return math::pow(x[0], x[1], env); }},
      {"sqrt", [](Args x, math::Env) { return math::sqrt(x[0]); }},
      {"tanh", [](Args x, math::Env env) { return math::tanh(x[0], env); }},
      {"sin", [](Args x, math::Env) { return math::sin(x[0]); }},
      {"cos", [](Args x, math::Env) { return math::cos(x[0]); }},
      {"tan", [](Args x, math::Env) { return ours::div(math::sin(x[0]), math::cos(x[0])); }},
      {"asin", [](Args x, math::Env) { return math::asin(x[0]); }},
      {"acos", [](Args x, math::Env) { return math::acos(x[0]); }},
      {"atan", [](Args x, math::Env) { return math::atan2(x[0], constant(x[0], 1)); }},
      {"atan2", [](Args x, math::Env) { return math::atan2(x[0], x[1]); }},
      {"fast_inverse", [](Args x, math::Env) { return ours::div(constant(x[0], 1), x[0]); }},
      {"fast_inverse_sqrt", [](Args x, math::Env) { return math::rsqrt(x[0]); }},
      {"is_nan", [](Args x, math::Env) { return ours::is_nan(x[0]); }},
      {"is_finite", [](Args x, math::Env) { return ours::is_finite(x[0]); }},
      {"is_inf", [](Args x, math::Env) { return !ours::is_finite(x[0]) && !ours::is_nan(x[0]); }},
      {"lossc_expm1", [](Args x, math::Env env) { return math::expm1(x[0], env); }},
      {"lossc_log1p", [](Args x, math::Env) { return math::log1p(x[0]); }},
      {"lossc_sigmoid", [](Args x, math::Env env) { return math::sigmoid(x[0], env); }},
      {"lossc_softplus", [](Args x, math::Env env) { return math::softplus(x[0], env); }},
      {"lossc_erf", [](Args x, math::Env env) { return math::erf(x[0], env); }},
      {"lossc_erfc", [](Args x, math::Env env) { return math::erfc(x[0], env); }},
      {"lossc_lgamma", [](Args x, math::Env) { return math::lgamma(x[0]); }},
      {"lossc_digamma", [](Args x, math::Env) { return math::digamma(x[0]); }},
      {"lossc_trigamma", [](Args x, math::Env) { return math::trigamma(x[0]); }}};
  return all;
}

// Exact in any order and with any NaN, or libm's.
const std::set<std::string>& left_alone() {
  static const std::set<std::string> all = {"floor", "ceil", "trunc", "nearbyint", "sinh", "cosh", "asinh", "acosh", "atanh"};
  return all;
}

class Strict : public IRGraphMutator {
 public:
  explicit Strict(math::Env env) : env_(env) {}

 private:
  using IRGraphMutator::visit;
  template <class Op>
  Expr both(const Op* op, Expr (*build)(const Expr&, const Expr&)) {
    return op->a.type().is_float() ? build(mutate(op->a), mutate(op->b)) : IRGraphMutator::visit(op);
  }
  Expr visit(const Add* op) override { return both(op, ours::add); }
  Expr visit(const Sub* op) override {
    // Halide writes -x as 0 - x, which is 0 and not -0 at 0.
    if (op->type.is_float() && is_const_zero(op->a)) return ours::neg(mutate(op->b));
    return both(op, ours::sub);
  }
  Expr visit(const Mul* op) override { return both(op, ours::mul); }
  Expr visit(const Div* op) override { return both(op, ours::div); }
  Expr visit(const Min* op) override { return both(op, ours::min_nan); }
  Expr visit(const Max* op) override { return both(op, ours::max_nan); }
  Expr visit(const EQ* op) override { return both(op, ours::eq); }
  Expr visit(const NE* op) override { return both(op, +[](const Expr& a, const Expr& b) { return !ours::eq(a, b); }); }
  Expr visit(const LT* op) override { return both(op, ours::lt); }
  Expr visit(const LE* op) override { return both(op, ours::le); }
  Expr visit(const GT* op) override { return both(op, +[](const Expr& a, const Expr& b) { return ours::lt(b, a); }); }
  Expr visit(const GE* op) override { return both(op, +[](const Expr& a, const Expr& b) { return ours::le(b, a); }); }
  Expr visit(const Select* op) override {
    if (!op->type.is_float()) return IRGraphMutator::visit(op);
    return ours::select(mutate(op->condition), mutate(op->true_value), mutate(op->false_value));
  }
  Expr visit(const Call* op) override {
    const bool floats = !op->args.empty() && op->args[0].type().is_float();
    if (floats && op->is_intrinsic(Call::abs)) return ours::abs(mutate(op->args[0]));
    if (op->is_intrinsic(Call::strict_le)) return ours::le(mutate(op->args[0]), mutate(op->args[1]));
    if (op->is_intrinsic(Call::strict_min)) return ours::min_nan(mutate(op->args[0]), mutate(op->args[1]));
    if (op->is_intrinsic(Call::strict_max)) return ours::max_nan(mutate(op->args[0]), mutate(op->args[1]));
    if (op->is_intrinsic(Call::strict_sub) && is_const_zero(op->args[0])) return ours::neg(mutate(op->args[1]));
    const auto it = functions().find(function_of(op->name));
    if (!floats || !op->is_extern() || it == functions().end()) return IRGraphMutator::visit(op);
    return it->second(mutate(op->args), env_);
  }

  const math::Env env_;
};

}  // namespace

Expr strict(const Expr& value, math::Env env) { return Strict(env).mutate(value); }
IRMutator* strict_pass(math::Env env) { return new Strict(env); }
bool knows_function(const std::string& name) { return functions().count(name) || left_alone().count(name); }
std::string function_of(const std::string& name) {
  const bool typed = name.ends_with("_f32") || name.ends_with("_f64");
  return typed ? name.substr(0, name.size() - 4) : name;
}

}  // namespace lossc::by_hand
