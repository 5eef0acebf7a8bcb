#include "generators/by_hand/pointwise.h"

#include "generators/by_hand/placeholder.h"
#include "generators/by_hand/strict_code.h"

namespace lossc::by_hand {
namespace {

using Halide::Expr;

std::string text_of(const Value& v, const Pointwise::Slopes& slopes) {
  std::string text = v.text;
  for (const auto& s : slopes) text += s ? "derivative " + s->text() : "none\n";
  return text;
}

Expr with_operands(Expr value, const std::vector<Expr>& operands) {
  for (size_t k = 0; k < operands.size(); k++) value = Halide::Internal::graph_substitute(operand_name(k), operands[k], value);
  return value;
}

// One element after the other.
Reference reference_of(const Expr& value, std::vector<ir::Type> types) {
  const std::vector<size_t> ranks(types.size(), 1);
  return Reference(std::move(types), ranks, 1, [value](const HalideStep& s) {
    std::vector<Expr> operands;
    for (const HalideReader& in : s.in) operands.push_back(in(s.at[0]));
    return with_operands(value, operands);
  });
}

}  // namespace

Pointwise::Pointwise(std::string name, std::vector<ir::Type> operands, const Value& value, Slopes slopes)
    : ByHand(std::move(name)), value_(value), slopes_(std::move(slopes)), text_(text_of(value_, slopes_)),
      reference_(reference_of(value_.f64, std::move(operands))) {}

void Pointwise::evaluate(const std::vector<Elements>& operands, const std::vector<int64_t>& shape, double* out, const Round& round) const {
  reference_.evaluate(operands, shape, out, round);
}

Expr Pointwise::lower(const std::vector<Expr>& operands, int bits, math::Env env) const {
  return with_operands(strict(bits == 32 ? value_.f32 : value_.f64, env), operands);
}

}  // namespace lossc::by_hand
