#include "generators/by_hand/pointwise.h"

#include <fmt/format.h>

#include <sstream>

#include "generators/by_hand/strict_code.h"

namespace lossc::by_hand {
namespace {

using Halide::Expr;
using namespace Halide::Internal;

// Halide's printer shows six digits of a number; here all of them, for the text tells steps apart.
class Numbers : public IRGraphVisitor {
 public:
  std::string found;

 private:
  using IRGraphVisitor::visit;
  void visit(const FloatImm* op) override { found += fmt::format(" {:a}", op->value); }
};

std::string print(const Expr& e) {
  std::ostringstream out;
  Numbers numbers;
  e.accept(&numbers);
  out << e << numbers.found << "\n";
  return out.str();
}

std::string text_of(const Value& v, const Pointwise::Slopes& slopes) {
  std::string text = print(v.f32) + print(v.f64);
  for (const auto& s : slopes) text += s ? "derivative " + s->text() : "none\n";
  return text;
}

std::string name_of(size_t k) { return fmt::format("operand{}", k); }

}  // namespace

Expr placeholder(size_t k, ir::Type type, int bits) {
  const Halide::Type halide = type == ir::Type::Float ? Halide::Float(bits) : type == ir::Type::Int ? Halide::Int(32) : Halide::Bool();
  return Variable::make(halide, name_of(k));
}

Pointwise::Pointwise(std::string name, std::vector<ir::Type> operands, const Value& value, Slopes slopes)
    : ByHand(std::move(name)), operands_(std::move(operands)), value_(value), slopes_(std::move(slopes)),
      text_(text_of(value_, slopes_)), exact_(value_.f64, operands_, false), rounding_(value_.f64, operands_, true) {}

void Pointwise::evaluate(const std::vector<const double*>& operands, int64_t n, double* out, const Round& round) const {
  (round ? rounding_ : exact_).evaluate(operands, n, out, round);
}

Expr Pointwise::lower(const std::vector<Expr>& operands, int bits, math::Env env) const {
  Expr e = strict(value_.of(bits), env);
  for (size_t k = 0; k < operands.size(); k++) e = graph_substitute(name_of(k), operands[k], e);
  return e;
}

}  // namespace lossc::by_hand
