// With step h, D(h) = (f(x+h) - f(x-h)) / 2h is off by f''' h^2 / 6 and by the rounding of f over h. Richardson's
// (4 D(h/2) - D(h)) / 3 takes the h^2 term away; |D(h) - D(h/2)|, which is most of that term, is kept as the bound on
// what remains. Rounding: values pass through some tens of operations, each off by eps/2 of its size, hence
// 32 eps * size / h. What is large on the way to a value and cancels, such as the surrogate of a straight_through less
// what it was, rounds by more: a few evaluations in which every operation is off by eps show how much. eps^(1/4) is
// near the best h for a function of size and scale 1; as nobody knows the scale (a logit of 1000 still acts on the
// scale of 1), smaller steps are tried and the least bound is kept.
#include "finite_difference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace lossc {
namespace {

using ir::Id;
using ir::Op;
constexpr double kEps = std::numeric_limits<double>::epsilon();

// The scalar whose derivative Program::gradients is.
Id objective(Program& p) {
  ir::Graph& g = p.graph;
  std::vector<Id> at;
  for (Id r : p.rows) at.push_back(g.index(r));
  const Id keep = g.unary(Op::StopGradient, g.binary(Op::And, p.valid, g.load(p.row_mask, at)));
  Id node = g.select(keep, g.binary(Op::Mul, g.unary(Op::StopGradient, p.seed), p.value), g.constant(0));
  for (Id r : p.rows) node = g.reduce(ir::ReduceKind::Sum, r, node);
  return node;
}

// How far rounding moves the value. A jump is none of it: of a comparison that the errors turn round, as rounding
// itself does not where operands are equal.
double noise_of(const ir::Graph& graph, Id objective, const Inputs& inputs, Oracle& base, double center) {
  double noise = 0;
  for (unsigned seed = 1; seed <= 3; seed++) {
    Oracle rounding(graph, inputs);
    rounding.freeze_at(base);
    rounding.round_like(kEps, false, seed);
    const double moved = std::abs(rounding.scalar(objective) - center);
    if (moved < 1e-9 * (1 + std::abs(center))) noise = std::max(noise, moved);
  }
  return noise;
}

// So many elements as that is enough for, and some in any case.
size_t affordable(const ir::Graph& graph, Id objective, const Inputs& inputs, double most_work) {
  constexpr double kFewest = 16, kAll = 1e9;
  const double each = oracle_work(graph, ir::topological(graph, {objective}), inputs.extents);
  return static_cast<size_t>(std::clamp(most_work / each, kFewest, kAll));
}

class Differencer {
 public:
  Differencer(Oracle& oracle, Id objective, Id tensor) : oracle_(oracle), objective_(objective), tensor_(tensor) {
    center_ = oracle_.scalar(objective_);
  }
  double center() const { return center_; }
  void expect(double noise) { noise_ = noise; }

  Difference at(size_t element) {
    const double x = oracle_.inputs().tensors[tensor_][element];
    Difference best{.error = std::numeric_limits<double>::infinity()};
    if (std::isfinite(x) && std::isfinite(center_)) {
      double h = std::sqrt(std::sqrt(kEps)) * std::max(1.0, std::abs(x));
      for (int attempt = 0; attempt < 4; attempt++, h /= 8) {
        const Difference d = with_step(element, x, h);
        if (d.error < best.error) best = d;
      }
    }
    oracle_.set(tensor_, element, x);
    return best;
  }

 private:
  double value(size_t element, double x) {
    oracle_.set(tensor_, element, x);
    return oracle_.scalar(objective_);
  }

  Difference with_step(size_t element, double x, double h) {
    auto slopes = [&](double step) {  // to the right and to the left, by the step that x +- step really has
      const double up = x + step, down = x - step;
      return std::pair((value(element, up) - center_) / (up - x), (center_ - value(element, down)) / (x - down));
    };
    const auto [right, left] = slopes(h);
    const auto [right2, left2] = slopes(h / 2);
    const double wide = (right + left) / 2, narrow = (right2 + left2) / 2;
    Difference d{.value = (4 * narrow - wide) / 3};
    const double size = 1 + std::abs(center_) + std::abs(x * d.value);
    const double rounding = std::max(32 * kEps * size, 4 * noise_) / h;
    d.error = std::abs(wide - narrow) + rounding;
    // Where f is smooth, the two sides differ by f'' h, so half as much at half the step; at a kink by the same.
    const double bend = std::abs(right - left), bend2 = std::abs(right2 - left2);
    d.smooth = std::isfinite(d.error) && (bend2 <= 0.75 * bend + rounding || bend2 <= 4 * rounding);
    if (!std::isfinite(d.error)) d.error = std::numeric_limits<double>::infinity();
    return d;
  }

  Oracle& oracle_;
  Id objective_, tensor_;
  double center_, noise_ = 0;
};

}  // namespace

std::vector<Difference> finite_difference(const Program& program, const Inputs& inputs, Id tensor, double most_work) {
  Program p = program;
  const Id node = objective(p);
  return finite_difference_of(p.graph, node, inputs, tensor, most_work);
}

std::vector<Difference> finite_difference_of(const ir::Graph& graph, Id node, const Inputs& inputs, Id tensor, double most_work) {
  Oracle base(graph, inputs), oracle(graph, inputs);
  oracle.freeze_at(base);
  Differencer differencer(oracle, node, tensor);
  differencer.expect(noise_of(graph, node, inputs, base, differencer.center()));
  const size_t n = inputs.tensors[tensor].size(), most = affordable(graph, node, inputs, most_work);
  std::mt19937 random(1);  // a stride would take the same columns of each row
  std::vector<Difference> out;
  for (size_t k = 0; k < n; k++) {
    const bool taken = n <= most || random() % n < most;
    out.push_back(taken ? differencer.at(k) : Difference{.taken = false});
  }
  return out;
}

}  // namespace lossc
