#include <lossc/halide.h>

using namespace lossc;

LOSSC_LOSS(cubed_error, "regression") {
  about({.title = "Cubed absolute error", .paper = "none", .equation = "|target - input|^3", .edges = "none"});
  auto i = axis("N", "elements");
  auto f = tensor("input", {i}, "prediction");
  auto y = tensor("target", {i}, "observation");
  loss_per(i, halide_expr("cube", {abs(y(i) - f(i))}, [](HalideOperands v) { return v[0] * v[0] * v[0]; },
                          [](HalideOperands v) -> std::vector<Halide::Expr> { return {3 * v[0] * v[0]}; }));
}
