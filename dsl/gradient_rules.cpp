// The local derivative of every operation. Kinks follow PyTorch: abs'(0) = 0, sqrt'(0) = 0 (never Inf), a tie of
// max/min shares equally, floor, round and sign have derivative 0.
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "gradient.h"

namespace lossc {

using ir::Id;
using ir::kNone;
using ir::Op;
using ir::ReduceKind;

// d(node)/d(operand), elementwise; kNone where it is identically 0.
Id Differentiator::slope(Id node, size_t operand) {
  const ir::Node n = g_.at(node);
  const Id x = n.args[0], y = n.args.size() > 1 ? n.args[1] : kNone;
  auto c = [&](double v) { return g_.constant(v); };
  auto mul = [&](Id a, Id b) { return g_.binary(Op::Mul, a, b); };
  auto add = [&](Id a, Id b) { return g_.binary(Op::Add, a, b); };
  auto sub = [&](Id a, Id b) { return g_.binary(Op::Sub, a, b); };
  auto div = [&](Id a, Id b) { return g_.binary(Op::Div, a, b); };
  auto un = [&](Op op, Id a) { return g_.unary(op, a); };
  auto tie = [&](Id wins) {  // of max and min: 1 where this operand wins, 1/2 on a tie, 1 where it is NaN
    Id own = operand == 0 ? x : y;
    return g_.select(g_.binary(Op::Eq, x, y), c(0.5),
                     g_.select(g_.binary(Op::Or, wins, un(Op::IsNan, own)), c(1), c(0)));
  };
  switch (n.op) {
    case Op::Abs: return un(Op::Sign, x);
    case Op::Exp: case Op::ExpFtz: return node;
    case Op::Expm1: return un(Op::Exp, x);
    case Op::Log: return div(c(1), x);
    case Op::Log1p: return div(c(1), add(c(1), x));
    case Op::Sqrt: return mul(c(0.5), un(Op::ZeroRecip, node));
    case Op::Tanh: return sub(c(1), mul(node, node));
    case Op::Sigmoid: return mul(node, un(Op::Sigmoid, un(Op::Neg, x)));  // 1 - s would cancel near 1
    case Op::Softplus: return un(Op::Sigmoid, x);
    case Op::Erf: return mul(c(2 / std::sqrt(M_PI)), un(Op::Exp, un(Op::Neg, mul(x, x))));
    case Op::Erfc: return mul(c(-2 / std::sqrt(M_PI)), un(Op::Exp, un(Op::Neg, mul(x, x))));
    case Op::Sin: return un(Op::Cos, x);
    case Op::Cos: return un(Op::Neg, un(Op::Sin, x));
    case Op::Acos: return un(Op::Neg, un(Op::ZeroRecip, un(Op::Sqrt, sub(c(1), mul(x, x)))));
    case Op::Asin: return un(Op::ZeroRecip, un(Op::Sqrt, sub(c(1), mul(x, x))));
    case Op::Lgamma: return un(Op::Digamma, x);
    case Op::Digamma: return un(Op::Trigamma, x);
    case Op::ZeroRecip: return un(Op::Neg, mul(node, node));
    case Op::Mul: return operand == 0 ? y : x;
    case Op::Div: return operand == 0 ? div(c(1), y) : un(Op::Neg, div(node, y));
    case Op::Pow:
      if (operand == 0)
        return g_.select(g_.binary(Op::Eq, y, c(0)), c(0), mul(y, g_.binary(Op::Pow, x, sub(y, c(1)))));
      return g_.select(g_.binary(Op::Eq, x, c(0)), c(0), mul(node, un(Op::Log, x)));
    case Op::Atan2: {
      Id d = un(Op::ZeroRecip, add(mul(x, x), mul(y, y)));
      return operand == 0 ? mul(y, d) : un(Op::Neg, mul(x, d));
    }
    case Op::Max: return tie(operand == 0 ? g_.binary(Op::Lt, y, x) : g_.binary(Op::Lt, x, y));
    case Op::Min: return tie(operand == 0 ? g_.binary(Op::Lt, x, y) : g_.binary(Op::Lt, y, x));
    case Op::ByHand: return slope_by_hand(n, operand);
    case Op::Floor: case Op::Round: case Op::Sign: case Op::StopGradient: return kNone;
    default:
      throw DefinitionError(fmt::format("loss '{}': `{}` has no derivative here", p_.name, ir::print(g_, node, 4)));
  }
}

// The line that the writer wrote it in.
std::string Differentiator::place_of(const ir::Node& n) const {
  const std::string& file = g_.files[static_cast<size_t>(n.file)];
  return fmt::format("{}:{}", file.substr(file.find_last_of('/') + 1), n.line);
}

// The writer's own derivative; of that in turn only if it was given, too.
Id Differentiator::slope_by_hand(const ir::Node& n, size_t operand, Id flow) {
  const std::shared_ptr<const ir::ByHand> code = g_.by_hand[static_cast<size_t>(n.sym)];
  if (std::shared_ptr<const ir::ByHand> slope = code->derivative(operand)) {
    const int line = std::exchange(g_.line, n.line), file = std::exchange(g_.file, n.file);  // it comes from where the step does
    Id made = kNone;
    if (n.op == Op::ByHand) {
      made = g_.step_by_hand(std::move(slope), n.args);
    } else {  // the adjoint reads what the step does, and what flows back to it
      ir::Whole over = g_.whole[static_cast<size_t>(n.sym2)];
      std::vector<Id> args = n.args;
      args.push_back(flow);
      over.operands.push_back(std::exchange(over.out, over.operands[operand]));
      made = g_.step_by_hand(std::move(slope), args, over);
    }
    g_.line = line, g_.file = file;
    return made;
  }
  throw DefinitionError(fmt::format("{}: loss '{}': `{}` has no derivative by its operand {}: the step was given without; a second "
                                    "derivative comes after the first in halide_expr(name, operands, value, derivatives, second), and halide_step has none",
                                    place_of(n), p_.name, code->name, operand));
}

void Differentiator::through_whole(const ir::Node& n, const Flow& a) {
  const Id flow = masked(a);
  for (size_t k = 0; k < n.args.size(); k++) {
    if (!active_.count(n.args[k])) continue;
    const Id back = slope_by_hand(n, k, flow);
    give(n.args[k], {kNone, back}, g_.free(back));
  }
}

void Differentiator::propagate(Id node, const Flow& a) {
  const ir::Node n = g_.at(node);
  switch (n.op) {
    case Op::Neg: return give(n.args[0], {a.mask, g_.unary(Op::Neg, a.value)}, n.free);
    case Op::Add:
    case Op::Sub:
      give(n.args[0], a, n.free);
      return give(n.args[1], {a.mask, n.op == Op::Add ? a.value : g_.unary(Op::Neg, a.value)}, n.free);
    case Op::Select: {
      const Id c = n.args[0], not_c = g_.unary(Op::Not, c);
      auto both = [&](Id m) { return a.mask == kNone ? m : g_.binary(Op::And, a.mask, m); };
      give(n.args[1], {both(c), a.value}, n.free);
      return give(n.args[2], {both(not_c), a.value}, n.free);
    }
    case Op::StraightThrough: return give(n.args[1], a, n.free);
    case Op::Reduce: return through_reduce(node, a);
    case Op::At: return through_lookup(n, a);
    case Op::Scatter: return through_scatter(n, node, a);
    case Op::Prefix: return through_prefix(n, node, a);
    case Op::WholeByHand: return through_whole(n, a);
    case Op::Div:  // v / y rather than v * (1 / y): one rounding less
      give(n.args[0], {a.mask, g_.binary(Op::Div, a.value, n.args[1])}, n.free);
      if (active_.count(n.args[1])) give(n.args[1], {a.mask, g_.binary(Op::Mul, a.value, slope(node, 1))}, n.free);
      return;
    case Op::Log: return give(n.args[0], {a.mask, g_.binary(Op::Div, a.value, n.args[0])}, n.free);
    case Op::Mul:
      if (n.args[0] == n.args[1])  // of a square once, not half of it twice
        return give(n.args[0], {a.mask, g_.binary(Op::Mul, g_.constant(2), g_.binary(Op::Mul, a.value, n.args[0]))}, n.free);
      [[fallthrough]];
    default:
      for (size_t k = 0; k < n.args.size(); k++) {
        if (!active_.count(n.args[k])) continue;
        Id s = slope(node, k);
        if (s != kNone) give(n.args[k], {a.mask, g_.binary(Op::Mul, a.value, s)}, n.free);
      }
  }
}

// v at its place gets what arrived at target = key, if the key is one. Of a maximum, if v is it; ties share.
void Differentiator::through_scatter(const ir::Node& n, Id node, const Flow& a) {
  const Id v = n.args[0], key = n.args[1];
  const ir::IndexSet own = n.sym == kNone ? 0 : ir::bit(n.sym);
  const Id inside = g_.binary(Op::And, g_.binary(Op::Le, g_.constant(0, ir::Type::Int), key),
                              g_.binary(Op::Lt, key, g_.extent(g_.indices[n.sym2].axis)));
  Id mask = inside, arrived = masked(a);
  if (n.kind != ReduceKind::Sum) {
    const Id best = g_.at_index(node, n.sym2, key);
    const Id tied = g_.binary(Op::Or, g_.binary(Op::Eq, v, best), g_.unary(Op::IsNan, v));
    mask = g_.binary(Op::And, inside, tied);
    const Id ties = g_.scatter(g_.select(tied, g_.constant(1), g_.constant(0)), n.sym, key, n.sym2);
    arrived = g_.binary(Op::Mul, arrived, g_.unary(Op::ZeroRecip, ties));
  }
  // What is left out of the target is so of its elements, whose slopes may be NaN.
  for (Id m : conjuncts(a.mask)) mask = g_.binary(Op::And, mask, g_.free(m) & ir::bit(n.sym2) ? g_.at_index(m, n.sym2, key) : m);
  give(v, {mask, g_.at_index(arrived, n.sym2, key)}, (n.free & ~ir::bit(n.sym2)) | own | g_.free(v) | g_.free(key));
}

// e(i) takes part in every place from i on: what comes back is a walk in the other direction.
void Differentiator::through_prefix(const ir::Node& n, Id node, const Flow& a) {
  if (n.kind != ReduceKind::Sum && n.kind != ReduceKind::LogSumExp) return;  // selections carry no gradient
  const bool back = n.value == 0;
  const Id body = n.args[0], kept = asked_without(ir::bit(n.sym2), a.mask);
  Id v = masked(a);
  if (!(g_.free(v) & ir::bit(n.sym2)))  // the same for every place, and yet to be summed over the places
    v = g_.binary(Op::Add, v, g_.binary(Op::Mul, g_.constant(0), g_.unary(Op::ToFloat, g_.index(n.sym2))));
  if (n.kind == ReduceKind::Sum) {
    const Id sum = g_.prefix(ReduceKind::Sum, v, n.sym2, n.sym, back);
    return give(body, {kept, sum}, g_.free(sum));
  }
  // sum_p v_p exp(e_i - L_p), by logarithms, because exp(-L_p) alone overflows; once for each sign of v. Where L_p is that
  // of nothing but -inf, nothing flows, as in logsumexp.
  const Id none = g_.constant(ir::identity(ReduceKind::Max)), zero = g_.constant(0);
  v = g_.select(g_.binary(Op::Eq, node, none), zero, v);
  auto half = [&](Id part) {
    const Id term = g_.select(g_.binary(Op::Eq, part, zero), none, g_.binary(Op::Sub, g_.unary(Op::Log, part), node));
    const Id all = g_.prefix(ReduceKind::LogSumExp, term, n.sym2, n.sym, back);
    const Id nothing = g_.binary(Op::Eq, all, none);  // inf - inf would be NaN
    return g_.select(nothing, zero, g_.unary(Op::Exp, g_.binary(Op::Add, body, all)));
  };
  const Id plus = half(g_.select(g_.binary(Op::Le, v, zero), zero, v));
  const Id minus = half(g_.select(g_.binary(Op::Le, zero, v), zero, g_.unary(Op::Neg, v)));
  const Id flow = g_.binary(Op::Sub, plus, minus);
  give(body, {kept, flow}, g_.free(flow));
}

void Differentiator::through_reduce(Id node, const Flow& a) {
  const ir::Node n = g_.at(node);
  const Id body = n.args[0];
  const ir::IndexSet domain = n.free | ir::bit(n.sym);
  auto both = [&](Id m) { return a.mask == kNone ? m : g_.binary(Op::And, a.mask, m); };
  switch (n.kind) {
    case ReduceKind::Sum: return give(body, a, domain);
    case ReduceKind::Max:
    case ReduceKind::Min: {
      // A NaN is the maximum, though not equal to it.
      Id tied = g_.binary(Op::Or, g_.binary(Op::Eq, body, node), g_.unary(Op::IsNan, body));
      Id ties = g_.reduce(ReduceKind::Sum, n.sym, g_.select(tied, g_.constant(1), g_.constant(0)));
      return give(body, {both(tied), g_.binary(Op::Div, a.value, ties)}, domain);
    }
    case ReduceKind::Prod: {
      // The product of the others, not product/body: a single zero has a derivative.
      const Id t = fresh(n.sym, domain | g_.free(a.value) | (a.mask == kNone ? 0 : g_.free(a.mask)));
      const Id self = g_.binary(Op::Eq, g_.index(t), g_.index(n.sym));
      const Id others = g_.reduce(ReduceKind::Prod, t, g_.select(self, g_.constant(1), g_.swap_indices(body, n.sym, t)));
      return give(body, {a.mask, g_.binary(Op::Mul, a.value, others)}, domain);
    }
    default: return;  // MaxNum, ArgMax, ArgMin, Any, All: selections carry no gradient
  }
}

}  // namespace lossc
