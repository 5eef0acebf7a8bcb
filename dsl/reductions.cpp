// Reductions, contractions and gathers: the words that bind or replace an index.
#include <fmt/format.h>

#include <functional>
#include <limits>

#include "builder.h"

namespace lossc {

using ir::Id;
using ir::Op;
using ir::ReduceKind;
using ir::Type;

namespace {

Id masked(Id e, Mask where, double otherwise) {
  return where.node < 0 ? e : G().select(B().as_bool(Expr::of(where.node)), e, G().constant(otherwise, G().type(e)));
}

// A body that is the same at every position of the index: no loop, but what n equal values reduce to.
Id reduce_constant(ReduceKind kind, Id n, Id body) {
  auto& g = G();
  const Id none = g.binary(Op::Eq, n, g.constant(0, Type::Int));
  switch (kind) {
    case ReduceKind::Sum: return g.binary(Op::Mul, g.unary(Op::ToFloat, n), body);
    case ReduceKind::Prod: return g.select(none, g.constant(1), g.binary(Op::Pow, body, g.unary(Op::ToFloat, n)));
    case ReduceKind::ArgMax: case ReduceKind::ArgMin: return g.constant(0, Type::Int);
    case ReduceKind::Any: return g.binary(Op::And, body, g.unary(Op::Not, none));
    case ReduceKind::All: return g.binary(Op::Or, body, none);
    case ReduceKind::Max: case ReduceKind::Min: case ReduceKind::MaxNum: case ReduceKind::LogSumExp: break;
  }
  return g.select(none, g.constant(ir::identity(kind)), body);
}

// An absent optional axis has one position: the reduction is its body.
Id reduce(ReduceKind kind, Index over, Id body) {
  if (B().absent(over.id))
    return selects(kind) ? G().constant(0, Type::Int) : body;
  if (!(G().free(body) & ir::bit(over.id))) return reduce_constant(kind, extent(over).node, body);
  return G().reduce(kind, over.id, body);
}

Expr masked_reduce(ReduceKind kind, Index over, Arg e, Mask where) {
  Id x = B().as_float(e);
  return Expr::of(reduce(kind, over, masked(x, where, ir::identity(kind))));
}

// max(i, e) of an integer without i was meant as the greater of two. Silence would make a wrong number of it.
Expr extremum(ReduceKind kind, const char* word, Index over, Arg e, Mask where) {
  const Id x = B().as_float(e);
  const ir::IndexSet present = G().free(x) | (where.node < 0 ? 0 : G().free(where.node));
  if (!B().absent(over.id) && G().type(e.node) == Type::Int && !(present & ir::bit(over.id))) {
    const std::string &index = G().indices[over.id].name, shown = B().show(e.node);
    B().fail(fmt::format("`{0}({1}, {2})` is over all {1}, but `{2}` does not depend on {1}; of the two numbers it is {0}({1} + 0, {2})",
                         word, index, shown), e.where);
  }
  return masked_reduce(kind, over, e, where);
}

// The parts of a stable log-sum-exp over `over`: shift, exponentials (0 where masked) and their sum.
struct Softmax {
  Id shift, e, total;
};
Softmax softmax_parts(Index over, Id x, Mask where) {
  const Id shift = softmax_shift(reduce(ReduceKind::MaxNum, over, masked(x, where, ir::identity(ReduceKind::MaxNum))));
  const Id e = masked(softmax_term(x, shift), where, 0);
  return {shift, e, reduce(ReduceKind::Sum, over, e)};
}

}  // namespace

// An infinite maximum (everything masked, or an infinite entry) must not meet x - inf = NaN.
Id softmax_shift(Id largest) {
  auto& g = G();
  return g.unary(Op::StopGradient, g.select(g.unary(Op::IsFinite, largest), largest, g.constant(0)));
}
Id softmax_term(Id x, Id shift) { return G().unary(Op::ExpFtz, G().binary(Op::Sub, x, shift)); }
Id log_of_sum(Id shift, Id total) {
  auto& g = G();
  const Id none = g.binary(Op::Eq, total, g.constant(0));
  return g.select(none, g.constant(ir::identity(ReduceKind::Max)), g.binary(Op::Add, shift, g.unary(Op::Log, total)));
}

Expr sum(Index over, Arg e, Mask m) { return masked_reduce(ReduceKind::Sum, over, e, m); }
Expr prod(Index over, Arg e, Mask m) { return masked_reduce(ReduceKind::Prod, over, e, m); }
Expr max(Index over, Arg e, Mask m) { return extremum(ReduceKind::Max, "max", over, e, m); }
Expr min(Index over, Arg e, Mask m) { return extremum(ReduceKind::Min, "min", over, e, m); }
Expr argmax(Index over, Arg e, Mask m) { return masked_reduce(ReduceKind::ArgMax, over, e, m); }
Expr argmin(Index over, Arg e, Mask m) { return masked_reduce(ReduceKind::ArgMin, over, e, m); }

Expr mean(Index over, Arg e, Mask m) {
  auto& g = G();
  const Id x = B().as_float(e);
  if (m.node < 0 && !(g.free(x) & ir::bit(over.id)))
    return B().absent(over.id) ? Expr::of(x) : select(extent(over) == 0, 0.0, Expr::of(x));
  Id n = m.node < 0 ? g.unary(Op::ToFloat, g.extent(g.indices[over.id].axis))
                    : reduce(ReduceKind::Sum, over, g.select(m.node, g.constant(1), g.constant(0)));
  if (m.node < 0 && B().absent(over.id)) n = g.constant(1);
  return sum(over, e, m) * Expr::of(g.unary(Op::ZeroRecip, n));
}

Expr count(Index over, Arg condition) {
  Id c = B().as_bool(condition);
  return Expr::of(reduce(ReduceKind::Sum, over, G().select(c, G().constant(1), G().constant(0))));
}
Expr any(Index over, Arg condition) { return Expr::of(reduce(ReduceKind::Any, over, B().as_bool(condition))); }
Expr all(Index over, Arg condition) { return Expr::of(reduce(ReduceKind::All, over, B().as_bool(condition))); }

Expr logsumexp(Index over, Arg e, Mask m) {
  const Softmax p = softmax_parts(over, B().as_float(e), m);
  return Expr::of(log_of_sum(p.shift, p.total));
}
Expr log_add_exp(std::initializer_list<Arg> terms) {
  return log_add_exp(std::vector<Expr>(terms.begin(), terms.end()));
}
Expr log_add_exp(const std::vector<Expr>& terms) {
  auto& g = G();
  if (terms.empty()) B().fail("log_add_exp: no terms");
  std::vector<Id> x;
  Id largest = ir::kNone, total = ir::kNone;
  for (Expr a : terms) x.push_back(B().as_float(a));
  for (Id a : x) largest = largest == ir::kNone ? a : g.binary(Op::Max, largest, a);
  const Id shift = softmax_shift(largest);
  for (Id a : x) {
    const Id e = softmax_term(a, shift);
    total = total == ir::kNone ? e : g.binary(Op::Add, total, e);
  }
  return Expr::of(log_of_sum(shift, total));
}
Expr softmax(Index over, Arg e, Mask m) {
  Softmax p = softmax_parts(over, B().as_float(e), m);
  return Expr::of(G().binary(Op::Mul, p.e, G().unary(Op::ZeroRecip, p.total)));
}
Expr log_softmax(Index over, Arg e, Mask m) { return Expr::of(B().as_float(e)) - logsumexp(over, e, m); }

namespace {
// The k-th greatest's place, and whether it is one: where nothing above -inf is left argmax gives 0, which may be taken
// already, or masked out.
struct Kth {
  Expr index, is_left;
};
Kth kth(Index over, int k, Arg e, Mask m) {
  Mask left = m;
  Kth found;
  std::vector<Expr> taken;
  for (int q = 1; q <= k; q++) {
    if (q > 1) left = left.node < 0 ? (over != taken.back()) : (Expr::of(left.node) && over != taken.back());
    taken.push_back(argmax(over, e, left));
  }
  found.index = taken.back();
  found.is_left = m.node < 0 ? Expr::of(G().constant(1, Type::Bool)) : at(Expr::of(m.node), over, found.index);
  for (int q = 0; q + 1 < k; q++) found.is_left = found.is_left && found.index != taken[static_cast<size_t>(q)];
  return found;
}
}  // namespace

Expr kth_argmax(Index over, int k, Arg e, Mask m) {
  if (k < 1 || k > 16) B().fail(fmt::format("kth_argmax: k is {}, wanted 1 to 16", k));
  return kth(over, k, e, m).index;
}
Expr kth_largest(Index over, int k, Arg e, Mask m) {
  if (k < 1 || k > 16) B().fail(fmt::format("kth_largest: k is {}, wanted 1 to 16", k));
  const Kth found = kth(over, k, e, m);
  const Expr n = m.node < 0 ? Expr::of(G().unary(Op::ToFloat, extent(over).node)) : count(over, Expr::of(m.node));
  return select(n >= static_cast<double>(k) && found.is_left, at(e, over, found.index), ir::identity(ReduceKind::Max));
}
Expr top_k_sum(Index over, int k, Arg e, Mask m) {
  if (k < 1 || k > 16) B().fail(fmt::format("top_k_sum: k is {}, wanted 1 to 16", k));
  Expr total = 0.0;
  const Expr n = m.node < 0 ? Expr::of(G().unary(Op::ToFloat, extent(over).node)) : count(over, Expr::of(m.node));
  for (int q = 1; q <= k; q++) total = total + select(n >= static_cast<double>(q), kth_largest(over, q, e, m), 0.0);
  return total;
}

// ---- order and sequence ------------------------------------------------------------------------------------------

namespace {
// The operand of a word over a whole axis. One that is the same everywhere is given the index: it is walked all the same.
Id along(Index over, Arg e, Mask where, double otherwise) {
  auto& g = G();
  const Id x = masked(B().as_float(e), where, otherwise);
  if (g.free(x) & ir::bit(over.id)) return x;
  return g.binary(Op::Add, x, g.binary(Op::Mul, g.constant(0), g.unary(Op::ToFloat, g.index(over.id))));
}
Expr running(ReduceKind kind, Index over, Arg e, Mask where, bool reversed) {
  const bool sums = kind == ReduceKind::Sum;
  if (B().absent(over.id)) return Expr::of(masked(B().as_float(e), where, sums ? 0 : ir::identity(ReduceKind::Max)));
  const Id x = along(over, e, where, sums ? 0 : kind == ReduceKind::ArgMin ? ir::identity(ReduceKind::Min) : ir::identity(ReduceKind::Max));
  return Expr::of(G().prefix(kind, x, over.id, over.id, reversed));
}
Id order_node(Index over, Arg e, Mask where, bool rank) {
  if (B().absent(over.id)) return G().constant(0, Type::Int);
  return G().order(along(over, e, where, ir::identity(ReduceKind::Min)), over.id, over.id, rank);
}
Expr lookup(Arg e, Index over, Expr key) {
  if (B().absent(over.id)) return Expr::of(e.node);
  return Expr::of(G().at_index(B().as_float(e), over.id, key.node));
}
}  // namespace

Expr argsort(Index over, Arg e, Mask m) { return Expr::of(order_node(over, e, m, false)); }
Expr rank(Index over, Arg e, Mask m) { return Expr::of(order_node(over, e, m, true)); }
Expr sort(Index over, Arg e, Mask m) {
  Expr x = Expr::of(masked(B().as_float(e), m, ir::identity(ReduceKind::Min)));
  return lookup(x, over, argsort(over, x));
}
Expr argsort_descending(Index over, Arg e, Mask m) { return argsort(over, -Expr::of(B().as_float(e)), m); }
Expr sort_descending(Index over, Arg e, Mask m) {
  Expr x = Expr::of(masked(B().as_float(e), m, ir::identity(ReduceKind::Max)));
  return lookup(x, over, argsort(over, -x));
}
Expr cumsum(Index over, Arg e, Mask m) { return running(ReduceKind::Sum, over, e, m, false); }
Expr cumsum_from(Index over, Arg e, Mask m) { return running(ReduceKind::Sum, over, e, m, true); }
Expr cumlogsumexp(Index over, Arg e, Mask m) { return running(ReduceKind::LogSumExp, over, e, m, false); }
Expr cumlogsumexp_from(Index over, Arg e, Mask m) { return running(ReduceKind::LogSumExp, over, e, m, true); }
Expr cummax(Index over, Arg e) {
  if (B().absent(over.id)) return Expr::of(B().as_float(e));
  return lookup(e, over, running(ReduceKind::ArgMax, over, e, {}, false));
}
Expr cummin(Index over, Arg e) {
  if (B().absent(over.id)) return Expr::of(B().as_float(e));
  return lookup(e, over, running(ReduceKind::ArgMin, over, e, {}, false));
}
Expr quantile(Index over, Arg e, Arg q) {
  const Expr x = sort(over, e);
  const Expr place = Expr::of(B().as_float(q)) * (Expr::of(B().as_float(extent(over))) - 1.0), low = floor(place);
  if (B().absent(over.id)) return x;
  const Expr a = at(x, over, to_int(low)), b = at(x, over, min(to_int(low) + 1, extent(over) - 1));
  // NaN comes last: if there is one, it is there, and is the result.
  const Expr last = at(x, over, extent(over) - 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return select(extent(over) == 0, nan, select(is_nan(last), last, a + (place - low) * (b - a)));
}

Expr dot(Index over, Arg a, Arg b) { return sum(over, Expr::of(B().as_float(a)) * Expr::of(B().as_float(b))); }
Expr norm(Index over, Arg a) { return sqrt(sum(over, sq(a))); }
Expr normalize(Index over, Arg a) { return Expr::of(a.node) * Expr::of(G().unary(Op::ZeroRecip, norm(over, a).node)); }
Expr cosine(Index over, Arg a, Arg b) { return dot(over, normalize(over, a), normalize(over, b)); }
Expr sqdist(Index over, Arg a, Arg b) {
  return relu(sum(over, sq(a)) + sum(over, sq(b)) - 2.0 * dot(over, a, b));
}

Expr at(Arg e, Index index, Arg key) {
  if (B().absent(index.id)) return Expr::of(e.node);
  Id k = B().as_int(key);
  if (G().free(e.node) & ir::bit(index.id)) B().check_key(k, index.id, fmt::format("at({}, {}, {})", B().show(e.node), G().indices[index.id].name, B().show(k)));
  return Expr::of(look_up(e.node, index.id, k));
}

}  // namespace lossc
