// Code of a writer's own that reads its operands at will.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dsl/ir.h"
#include "generators/by_hand/reference.h"
#include "lossc/halide.h"

namespace lossc::by_hand {

class Step : public ir::ByHand {
 public:
  // By operand the step that is its adjoint; null: none was given, or it is no float.
  using Adjoints = std::vector<std::shared_ptr<const Step>>;
  Step(std::string name, std::string text, HalideBody body, std::vector<ir::Type> types, std::vector<size_t> ranks, size_t out_rank,
       Adjoints adjoints);

  std::string text() const override { return text_; }
  std::shared_ptr<const ir::ByHand> derivative(size_t operand) const override { return adjoints_.empty() ? nullptr : adjoints_[operand]; }
  void evaluate(const std::vector<Elements>& operands, const std::vector<int64_t>& shape, double* out, const Round& round) const override;

  Halide::Expr lower(const HalideStep& step) const { return body_(step); }

 private:
  const std::string text_;
  const HalideBody body_;
  const Adjoints adjoints_;
  const Reference reference_;
};

// The element nearest to these coordinates, of memory with those extents.
std::vector<Halide::Expr> nearest(const std::vector<Halide::Expr>& at, const std::vector<Halide::Expr>& extents);

}  // namespace lossc::by_hand
