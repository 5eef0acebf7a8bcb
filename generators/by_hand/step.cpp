#include "generators/by_hand/step.h"

#include <stdexcept>

namespace lossc::by_hand {
namespace {

std::string text_of(std::string text, const Step::Adjoints& adjoints) {
  for (const auto& a : adjoints) text += a ? "adjoint " + a->text() : "none\n";
  return text;
}

}  // namespace

Step::Step(std::string name, std::string text, HalideBody body, std::vector<ir::Type> types, std::vector<size_t> ranks, size_t out_rank,
           Adjoints adjoints)
    : ByHand(std::move(name)), text_(text_of(std::move(text), adjoints)), body_(std::move(body)), adjoints_(std::move(adjoints)),
      reference_(std::move(types), std::move(ranks), out_rank, body_) {}

void Step::evaluate(const std::vector<Elements>& operands, const std::vector<int64_t>& shape, double* out, const Round& round) const {
  reference_.evaluate(operands, shape, out, round);
}

std::vector<Halide::Expr> nearest(const std::vector<Halide::Expr>& at, const std::vector<Halide::Expr>& extents) {
  std::vector<Halide::Expr> out;
  for (size_t d = 0; d < at.size(); d++) out.push_back(Halide::clamp(at[d], 0, Halide::max(extents[d] - 1, 0)));
  return out;
}

}  // namespace lossc::by_hand
