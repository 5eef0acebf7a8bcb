// Elementwise code of a writer's own, as Halide expressions of placeholders.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "Halide.h"
#include "dsl/ir.h"
#include "generators/by_hand/reference.h"
#include "generators/math/math.h"

namespace lossc::by_hand {

// The value for kernels that compute in float32 and in float64, and both as text.
struct Value {
  Halide::Expr f32, f64;
  std::string text;
};

class Pointwise : public ir::ByHand {
 public:
  // By operand its derivative; null: none was given, or it is no float.
  using Slopes = std::vector<std::shared_ptr<const Pointwise>>;
  Pointwise(std::string name, std::vector<ir::Type> operands, const Value& value, Slopes slopes);

  std::string text() const override { return text_; }
  std::shared_ptr<const ir::ByHand> derivative(size_t operand) const override { return slopes_.empty() ? nullptr : slopes_[operand]; }
  void evaluate(const std::vector<Elements>& operands, const std::vector<int64_t>& shape, double* out, const Round& round) const override;

  // In a kernel, of these operands.
  Halide::Expr lower(const std::vector<Halide::Expr>& operands, int bits, math::Env env) const;

 private:
  const Value value_;
  const Slopes slopes_;
  const std::string text_;
  const Reference reference_;
};

}  // namespace lossc::by_hand
