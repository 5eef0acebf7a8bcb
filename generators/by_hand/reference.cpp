#include "generators/by_hand/reference.h"

#include <cmath>
#include <stdexcept>

#include "generators/by_hand/pointwise.h"
#include "schedules/isa.h"

namespace lossc::by_hand {
namespace {

using Halide::Expr;
using Halide::Internal::Call;

thread_local const ir::ByHand::Round* rounding = nullptr;
double round_one(double v) { return (*rounding)(v); }

double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::isnan(x) ? x : std::log1p(std::exp(-std::abs(x))) + std::fmax(x, 0); }
double lgamma(double x) {
  int sign;  // std::lgamma writes a global
  return x < 0 ? std::nan("") : ::lgamma_r(x, &sign);
}
double digamma(double x) {
  if (std::isnan(x) || x == INFINITY) return x;
  if (x <= 0) return x == 0 ? -INFINITY : std::nan("");
  double shift = 0;
  for (; x < 12; x++) shift -= 1 / x;  // from there the series' first term left out is below 1e-17 of the result
  const double r = 1 / (x * x);
  return shift + std::log(x) - 0.5 / x -
         r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132 - r * (691.0 / 32760 - r / 12))))));
}

using Function = double (*)(double);
// Of <lossc/halide.h>; Halide's own functions are libm's in float64.
const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> all = {
      {"lossc_expm1_f64", [](double x) { return std::expm1(x); }},
      {"lossc_log1p_f64", [](double x) { return std::log1p(x); }},
      {"lossc_erf_f64", [](double x) { return std::erf(x); }},
      {"lossc_sigmoid_f64", sigmoid}, {"lossc_softplus_f64", softplus}, {"lossc_lgamma_f64", lgamma}, {"lossc_digamma_f64", digamma},
      {"lossc_round", round_one}};
  return all;
}

// What the target's strict_float does not do: min and max keep NaN. And rounding, where asked for.
class Rules : public Halide::Internal::IRGraphMutator {
 public:
  explicit Rules(bool rounds) : rounds_(rounds) {}

 private:
  using IRGraphMutator::visit;
  Expr rounded(const Expr& e) const {
    return rounds_ && e.type().is_float() ? Call::make(e.type(), "lossc_round", {e}, Call::PureExtern) : e;
  }
  Expr visit(const Halide::Internal::Add* op) override { return rounded(IRGraphMutator::visit(op)); }
  Expr visit(const Halide::Internal::Sub* op) override {
    // Halide writes -x as 0 - x, which is 0 and not -0 at 0.
    if (op->type.is_float() && Halide::Internal::is_const_zero(op->a)) return Halide::Internal::make_const(op->type, -1) * mutate(op->b);
    return rounded(IRGraphMutator::visit(op));
  }
  Expr visit(const Halide::Internal::Mul* op) override { return rounded(IRGraphMutator::visit(op)); }
  Expr visit(const Halide::Internal::Div* op) override { return rounded(IRGraphMutator::visit(op)); }
  Expr visit(const Halide::Internal::Min* op) override {
    if (!op->type.is_float()) return IRGraphMutator::visit(op);
    const Expr a = mutate(op->a), b = mutate(op->b);
    return Halide::select(Halide::is_nan(a) || a < b, a, b);
  }
  Expr visit(const Halide::Internal::Max* op) override {
    if (!op->type.is_float()) return IRGraphMutator::visit(op);
    const Expr a = mutate(op->a), b = mutate(op->b);
    return Halide::select(Halide::is_nan(a) || b < a, a, b);
  }
  Expr visit(const Call* op) override {
    const Expr e = IRGraphMutator::visit(op);
    return op->is_extern() ? rounded(e) : e;
  }

  const bool rounds_;
};

}  // namespace

Reference::Reference(Expr value, std::vector<ir::Type> operands, bool rounds)
    : value_(std::move(value)), operands_(std::move(operands)), rounds_(rounds) {}

// One image with a row for each operand, for a Callable takes a number of arguments that the program knows.
Halide::Callable Reference::compile() const {
  Halide::ImageParam rows(Halide::Float(64), 2, "operands");
  Halide::Var i("i");
  Expr value = Rules(rounds_).mutate(value_);
  for (size_t k = 0; k < operands_.size(); k++) {
    Expr operand = rows(i, static_cast<int>(k));
    if (operands_[k] == ir::Type::Int) operand = Halide::cast<int32_t>(operand);
    if (operands_[k] == ir::Type::Bool) operand = operand != Halide::Internal::make_const(Halide::Float(64), 0);
    const Expr name = placeholder(k, operands_[k], 64);
    value = Halide::Internal::graph_substitute(name.as<Halide::Internal::Variable>()->name, operand, value);
  }
  Halide::Func f("by_hand_reference");
  f(i) = value;
  Halide::Pipeline pipeline(f);
  std::map<std::string, Halide::JITExtern> externs;
  for (const auto& [name, function] : functions()) externs.emplace(name, Halide::JITExtern(function));
  pipeline.set_jit_externs(externs);
  const Halide::Target target = schedules::jit_target(schedules::kSse41).with_feature(Halide::Target::StrictFloat);
  return pipeline.compile_to_callable({rows}, target);
}

void Reference::evaluate(const std::vector<const double*>& operands, int64_t n, double* out, const ir::ByHand::Round& round) const try {
  if (n == 0) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!compiled_) compiled_ = compile();
  }
  std::vector<double> rows;
  for (const double* operand : operands) rows.insert(rows.end(), operand, operand + n);
  Halide::Buffer<double> in(rows.data(), static_cast<int>(n), static_cast<int>(operands.size())), result(out, static_cast<int>(n));
  rounding = &round;
  (*compiled_)(in, result);
} catch (const Halide::Error& e) {
  throw std::runtime_error(e.what());  // Halide's own is no std::exception
}

}  // namespace lossc::by_hand
