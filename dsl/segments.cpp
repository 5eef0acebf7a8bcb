// Words of sets: what the elements along one index amount to in each segment, a number that each of them has. All of them are
// scatters (ir.h) and lookups, whose derivatives are lookups and scatters again.
#include <fmt/format.h>

#include "builder.h"

namespace lossc {

using ir::Id;
using ir::Op;
using ir::ReduceKind;
using ir::Type;

namespace {

// Elements along `over`, and which of them are in which segment.
class Segments {
 public:
  Segments(const char* word, Index over, Arg key, Index segment, Mask where)
      : word_(word), over_(over), segment_(segment), key_(B().as_int(key)), where_(where.node) {
    if (where_ >= 0) B().as_bool(Expr::of(where_));
    if (over.id == segment.id)
      B().fail(fmt::format("{}: the segments are numbered by '{}', along which the elements are; use a twin", word, name(over.id)));
    check(key_, "the key"), check(where_, "the mask");
  }

  Id reduce(ReduceKind kind, Id x) const {
    auto& g = G();
    check(x, "the operand");
    const Id none = g.constant(ir::identity(kind));
    if (where_ >= 0) x = g.select(where_, x, none);
    if (B().absent(segment_.id)) {  // one segment, 0
      x = g.select(g.binary(Op::Eq, key_, g.constant(0, Type::Int)), x, none);
      return B().absent(over_.id) ? x : g.reduce(kind, over_.id, along(x));
    }
    if (B().absent(over_.id)) return g.select(g.binary(Op::Eq, key_, g.index(segment_.id)), x, none);
    return g.scatter(x, over_.id, ((g.free(x) | g.free(key_)) & ir::bit(over_.id)) ? key_ : along(key_), segment_.id, kind);
  }

  // For each element what its segment has; nothing sensible where it is dropped.
  Id of_own(Id per_segment) const { return B().absent(segment_.id) ? per_segment : look_up(per_segment, segment_.id, key_); }
  Id kept() const {
    auto& g = G();
    const Id length = B().absent(segment_.id) ? g.constant(1, Type::Int) : g.extent(g.indices[segment_.id].axis);
    const Id inside = g.binary(Op::And, g.binary(Op::Le, g.constant(0, Type::Int), key_), g.binary(Op::Lt, key_, length));
    return where_ < 0 ? inside : g.binary(Op::And, inside, where_);
  }

 private:
  static const std::string& name(Id index) { return G().indices[index].name; }
  void check(Id node, const char* what) const {
    if (node >= 0 && (G().free(node) & ir::bit(segment_.id)))
      B().fail(fmt::format("{}: {} `{}` depends on '{}', which numbers the segments; use a twin, or look it up at the key", word_, what,
                           B().show(node), name(segment_.id)));
  }
  // What is the same for all elements counts for each of them.
  Id along(Id node) const {
    auto& g = G();
    if (g.free(node) & ir::bit(over_.id)) return node;
    const Id zero = g.binary(Op::Mul, g.constant(0, Type::Int), g.index(over_.id));
    return g.type(node) == Type::Int ? g.binary(Op::Add, node, zero) : g.binary(Op::Add, node, g.unary(Op::ToFloat, zero));
  }

  const char* word_;
  Index over_, segment_;
  Id key_, where_;
};

// The parts of a stable log-sum-exp of each segment: shift, exponentials of the elements (0 where dropped: there the shift is
// another segment's, and what comes of it may be anything) and their sum.
struct Parts {
  Id shift, e, total;
};
Parts softmax_parts(const Segments& s, Id x) {
  auto& g = G();
  const Id shift = softmax_shift(s.reduce(ReduceKind::Max, x));
  const Id e = g.select(s.kept(), softmax_term(x, s.of_own(shift)), g.constant(0));
  return {shift, e, s.reduce(ReduceKind::Sum, e)};
}

}  // namespace

Expr segment_sum(Index over, Arg e, Arg key, Index segment, Mask m) {
  const Segments s("segment_sum", over, key, segment, m);
  return Expr::of(s.reduce(ReduceKind::Sum, B().as_float(e)));
}
Expr segment_count(Index over, Arg key, Index segment, Mask m) {
  const Segments s("segment_count", over, key, segment, m);
  return Expr::of(s.reduce(ReduceKind::Sum, G().constant(1)));
}
Expr segment_mean(Index over, Arg e, Arg key, Index segment, Mask m) {
  const Segments s("segment_mean", over, key, segment, m);
  const Id n = s.reduce(ReduceKind::Sum, G().constant(1));
  return Expr::of(s.reduce(ReduceKind::Sum, B().as_float(e))) * Expr::of(G().unary(Op::ZeroRecip, n));
}
Expr segment_max(Index over, Arg e, Arg key, Index segment, Mask m) {
  const Segments s("segment_max", over, key, segment, m);
  return Expr::of(s.reduce(ReduceKind::Max, B().as_float(e)));
}
Expr segment_min(Index over, Arg e, Arg key, Index segment, Mask m) {
  const Segments s("segment_min", over, key, segment, m);
  return Expr::of(s.reduce(ReduceKind::Min, B().as_float(e)));
}
Expr segment_logsumexp(Index over, Arg e, Arg key, Index segment, Mask m) {
  const Parts p = softmax_parts(Segments("segment_logsumexp", over, key, segment, m), B().as_float(e));
  return Expr::of(log_of_sum(p.shift, p.total));
}
Expr segment_softmax(Index over, Arg e, Arg key, Index segment, Mask m) {
  auto& g = G();
  const Segments s("segment_softmax", over, key, segment, m);
  const Parts p = softmax_parts(s, B().as_float(e));
  const Id share = g.binary(Op::Mul, p.e, s.of_own(g.unary(Op::ZeroRecip, p.total)));
  return Expr::of(g.select(s.kept(), share, g.constant(0)));
}

Expr segment_of(Index over, Arg offset, Index ends) {
  constexpr int kMost = 1 << 24;  // whole numbers as f32 holds them
  B().program.requirements.push_back({(extent(ends) <= kMost).node, fmt::format("at most {} segment ends", kMost)});
  const Expr begun = cumsum(over, segment_count(ends, offset, over));
  const Expr s = to_int(begun) - 1;
  return select(s < extent(ends) - 1, s, -1);
}

namespace {

void check_bins(const char* word, Index bin, std::initializer_list<Arg> operands) {
  for (const Arg& a : operands)
    if (G().free(a.node) & ir::bit(bin.id))
      B().fail(fmt::format("{}: `{}` depends on '{}', which numbers the bins; use a twin", word, B().show(a.node), G().indices[bin.id].name));
}

}  // namespace

Expr bin_of(Arg e, Index bin, Arg low, Arg high) {
  const Expr x = Expr::of(B().as_float(e)), from = Expr::of(B().as_float(low)), to = Expr::of(B().as_float(high)), bins = number(extent(bin));
  // Rounding may take what is hardly below the upper end there.
  const Expr k = min(to_int((x - from) / (to - from) * bins), extent(bin) - 1);
  return select(x >= from && x < to, k, select(x == to, extent(bin) - 1, -1));
}
Expr histogram(Index over, Arg e, Index bin, Arg low, Arg high, Mask m) {
  check_bins("histogram", bin, {e, low, high});
  return segment_count(over, bin_of(e, bin, low, high), bin, m);
}
Expr soft_histogram(Index over, Arg e, Index bin, Arg low, Arg high, Mask m) {
  check_bins("soft_histogram", bin, {e, low, high});
  const Expr x = Expr::of(B().as_float(e)), from = Expr::of(B().as_float(low)), to = Expr::of(B().as_float(high));
  const Expr place = (x - from) / (to - from) * (number(extent(bin)) - 1.0), below = floor(place), above = place - below;
  const Expr shared = segment_sum(over, 1.0 - above, to_int(below), bin, m) + segment_sum(over, above, to_int(below) + 1, bin, m);
  // A NaN has no place, and is near every centre as far as anyone knows.
  const Expr nan = select(is_nan(x), x * x, 0.0);
  return shared + sum(over, nan, m);
}

}  // namespace lossc
