#include "generators/by_hand/reference.h"

#include <cmath>
#include <map>
#include <numeric>
#include <stdexcept>

#include "dsl/oracle_nest.h"
#include "generators/by_hand/step.h"
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
  return ::lgamma_r(x, &sign);
}

using Function = double (*)(double);
// Of <lossc/halide.h>; Halide's own functions are libm's in float64.
const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> all = {
      {"lossc_expm1_f64", [](double x) { return std::expm1(x); }},
      {"lossc_log1p_f64", [](double x) { return std::log1p(x); }},
      {"lossc_erf_f64", [](double x) { return std::erf(x); }},
      {"lossc_erfc_f64", [](double x) { return std::erfc(x); }},
      {"lossc_sigmoid_f64", sigmoid}, {"lossc_softplus_f64", softplus}, {"lossc_lgamma_f64", lgamma},
      {"lossc_digamma_f64", oracle::digamma}, {"lossc_trigamma_f64", oracle::trigamma},
      {"lossc_round", round_one}};
  return all;
}

// What the target's strict_float does not do: min and max keep NaN, and -x, which Halide writes as 0 - x, is -0 at 0. And
// rounding, where asked for. A pass over the lowered code, where strict operations are calls.
class Rules : public Halide::Internal::IRGraphMutator {
 public:
  explicit Rules(bool rounds) : rounds_(rounds) {}

 private:
  using IRGraphMutator::visit;
  Expr rounded(const Expr& e) const {
    return rounds_ && e.type() == Halide::Float(64) ? Call::make(e.type(), "lossc_round", {e}, Call::PureExtern) : e;
  }
  static Expr less(const Expr& a, const Expr& b) { return Call::make(Halide::Bool(), Call::strict_lt, {a, b}, Call::PureIntrinsic); }
  static Expr first_if(const Expr& wins, const Expr& a, const Expr& b) { return Halide::select(Halide::is_nan(a) || wins, a, b); }
  Expr visit(const Halide::Internal::Min* op) override {
    if (!op->type.is_float()) return IRGraphMutator::visit(op);
    const Expr a = mutate(op->a), b = mutate(op->b);
    return first_if(less(a, b), a, b);
  }
  Expr visit(const Halide::Internal::Max* op) override {
    if (!op->type.is_float()) return IRGraphMutator::visit(op);
    const Expr a = mutate(op->a), b = mutate(op->b);
    return first_if(less(b, a), a, b);
  }
  Expr visit(const Call* op) override {
    if (op->is_intrinsic({Call::strict_min, Call::strict_max})) {
      const Expr a = mutate(op->args[0]), b = mutate(op->args[1]);
      return first_if(op->is_intrinsic(Call::strict_min) ? less(a, b) : less(b, a), a, b);
    }
    if (op->is_intrinsic(Call::strict_sub) && Halide::Internal::is_const_zero(op->args[0])) {
      const Expr minus = Halide::Internal::make_const(op->type, -1);
      return Call::make(op->type, Call::strict_mul, {minus, mutate(op->args[1])}, Call::PureIntrinsic);
    }
    const Expr e = IRGraphMutator::visit(op);
    const bool rounding = op->is_extern() || op->is_intrinsic({Call::strict_add, Call::strict_sub, Call::strict_mul, Call::strict_div});
    return rounding ? rounded(e) : e;
  }

  const bool rounds_;
};

}  // namespace

Reference::Reference(std::vector<ir::Type> types, std::vector<size_t> ranks, size_t out_rank, HalideBody body)
    : types_(std::move(types)), ranks_(std::move(ranks)), out_rank_(out_rank), body_(std::move(body)) {}

// All operands one after the other in one image, for a Callable takes a number of arguments that the program knows; the
// result is one row, too. Their extents are those of an image that nobody reads, for an RDom may end at such a number.
Halide::Callable Reference::compile(bool rounds) const {
  Halide::ImageParam numbers(Halide::Float(64), 1, "numbers"), sizes(Halide::Int(32), static_cast<int>(std::accumulate(ranks_.begin(), ranks_.end(), out_rank_)), "sizes");
  Halide::Var i("i");
  int at = 0;
  Expr begin = 0;
  HalideStep step;
  for (size_t k = 0; k < types_.size(); k++) {
    HalideReader reader;
    for (size_t d = 0; d < ranks_[k]; d++) reader.extent.push_back(sizes.dim(at++).extent());
    reader.read = [=, extents = reader.extent, type = types_[k]](const std::vector<Expr>& place) {
      Expr linear = 0;
      const std::vector<Expr> inside = nearest(place, extents);
      for (size_t d = 0; d < inside.size(); d++) linear = linear * extents[d] + inside[d];
      const Expr value = numbers(Halide::clamp(begin + linear, 0, numbers.dim(0).extent() - 1));
      return type == ir::Type::Int ? Halide::cast<int32_t>(value) : type == ir::Type::Bool ? value != Expr(0.0) : value;
    };
    step.in.push_back(reader);
    Expr count = 1;
    for (const Expr& extent : reader.extent) count = count * extent;
    begin = begin + count;
  }
  for (size_t d = 0; d < out_rank_; d++) step.extent.push_back(sizes.dim(at++).extent());
  Expr rest = i;
  for (size_t d = out_rank_; d-- > 0;) step.at.insert(step.at.begin(), rest % step.extent[d]), rest = rest / step.extent[d];
  Halide::Func f("by_hand_reference");
  f(i) = body_(step);
  Halide::Pipeline pipeline(f);
  pipeline.add_custom_lowering_pass(new Rules(rounds));
  std::map<std::string, Halide::JITExtern> externs;
  for (const auto& [name, function] : functions()) externs.emplace(name, Halide::JITExtern(function));
  pipeline.set_jit_externs(externs);
  const Halide::Target target = schedules::jit_target(schedules::kSse41).with_feature(Halide::Target::StrictFloat);
  return pipeline.compile_to_callable({numbers, sizes}, target);
}

void Reference::evaluate(const std::vector<ir::ByHand::Elements>& operands, const std::vector<int64_t>& shape, double* out,
                         const ir::ByHand::Round& round) const try {
  int32_t n = 1;
  for (int64_t extent : shape) n *= static_cast<int32_t>(extent);
  if (n == 0) return;
  std::vector<double> numbers;
  std::vector<int32_t> sizes;
  for (const auto& operand : operands) {
    size_t count = 1;
    for (int64_t extent : operand.shape) count *= static_cast<size_t>(extent), sizes.push_back(static_cast<int32_t>(extent));
    numbers.insert(numbers.end(), operand.data, operand.data + count);
  }
  if (numbers.empty()) numbers.push_back(0);  // a reader stays within memory, even where there is nothing to read
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  std::optional<Halide::Callable>& compiled = round ? compiled_->rounding : compiled_->exact;
  {
    const std::lock_guard<std::mutex> lock(compiled_->mutex);
    if (!compiled) compiled = compile(static_cast<bool>(round));
  }
  Halide::Buffer<double> in(numbers.data(), static_cast<int>(numbers.size())), result(out, n);
  int32_t nobody_reads = 0;
  Halide::Buffer<int32_t> extents(&nobody_reads, sizes);
  rounding = &round;
  (*compiled)(in, extents, result);
} catch (const Halide::Error& e) {
  throw std::runtime_error(e.what());  // Halide's own is no std::exception
}

}  // namespace lossc::by_hand
