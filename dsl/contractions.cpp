// Recognises matrix products among the sums: sum_k (factors) where, apart from k, the factors fall into two groups of
// one index each. What does not depend on k is pulled out (it multiplies the result), so that a scale inside an adjoint
// does not hide the product from the planner.
#include <algorithm>
#include <map>
#include <optional>

#include "plan.h"

namespace lossc::plan {
namespace {

using ir::IndexSet;
using ir::kNone;
using ir::Op;

struct Factors {
  std::vector<Id> times, over, masks;  // masks: select(mask, product, 0)
  bool negative = false;
};

bool single(IndexSet s) { return s && !(s & (s - 1)); }

// Takes a product apart only as far as it mixes indices: what has one index besides k is an operand as it stands, so
// that the same matrix of scores is recognised on both sides of the derivative.
void flatten(const ir::Graph& g, Id node, bool inverse, IndexSet k, Factors& out) {
  const ir::Node& n = g.at(node);
  const IndexSet rest = g.free(node) & ~k;
  const bool mixed = rest && !single(rest);
  if (mixed && n.op == Op::Neg) {
    out.negative = !out.negative;
    return flatten(g, n.args[0], inverse, k, out);
  }
  // The mask moves to one factor. A dropped element then multiplies 0 by the other factor: the same unless that is not
  // finite, and then the features of a whole row are not. To keep exactly such pairs out, every product would be a loop with
  // a test in it; what the mask says of one index alone is kept out (share_masks), and the rest is said in the README.
  if (mixed && n.op == Op::Select && !inverse && g.is_const(n.args[2], 0)) {
    out.masks.push_back(n.args[0]);
    return flatten(g, n.args[1], inverse, k, out);
  }
  if (mixed && n.op == Op::Mul) {
    flatten(g, n.args[0], inverse, k, out);
    return flatten(g, n.args[1], inverse, k, out);
  }
  if (mixed && n.op == Op::Div) {
    flatten(g, n.args[0], inverse, k, out);
    return flatten(g, n.args[1], !inverse, k, out);
  }
  (inverse ? out.over : out.times).push_back(node);
}

class Normaliser {
 public:
  explicit Normaliser(ir::Graph& g) : g_(g) {}

  Id rewrite(Id node) {
    if (auto it = done_.find(node); it != done_.end()) return it->second;
    const ir::Node n = g_.at(node);
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(rewrite(a));
    Id result = args == n.args ? node : g_.with_args(n, args);
    const ir::Node& r = g_.at(result);
    // In the step of a recurrence a sum is a loop, not a product of matrices (Planner::product): it stays as it is written.
    if (r.op == Op::Reduce && r.kind == ir::ReduceKind::Sum && !r.carried) result = product_form(result);
    return done_[node] = result;
  }

 private:
  Id product(const std::vector<Id>& list) {
    Id p = kNone;
    for (Id f : list) p = p == kNone ? f : g_.binary(Op::Mul, p, f);
    return p;
  }

  // What one operand's mask says of k alone drops whole columns of it, so the other operand's rows there are dropped
  // too; what it says of its own index alone drops whole results. Else 0 * NaN would bring back a row that is masked
  // out, such as the embedding of an ignored token.
  Id share_masks(Id operand, IndexSet k, Id& other, Id outer) {
    const ir::Node n = g_.at(operand);
    if (n.op != Op::Select || !g_.is_const(n.args[2], 0)) return outer;
    std::vector<Id> todo{n.args[0]};
    while (!todo.empty()) {
      const Id m = todo.back();
      todo.pop_back();
      const IndexSet free = g_.free(m);
      if (g_.at(m).op == Op::And)
        todo.insert(todo.end(), g_.at(m).args.begin(), g_.at(m).args.end());
      else if (free == k)
        other = g_.select(m, other, g_.constant(0));
      else if (free && !(free & k))
        outer = outer == kNone ? m : g_.binary(Op::And, outer, m);
    }
    return outer;
  }

  // The operand whose elements have the indices of one side: what is multiplied over what divides.
  Id quotient(const Factors& side) {
    const Id p = product(side.times), d = product(side.over);
    return d == kNone ? p : g_.binary(Op::Div, p == kNone ? g_.constant(1) : p, d);
  }

  struct Sorted {
    Id a = kNone, b = kNone, outer = kNone;
  };
  // Masks by what they are about: one operand's indices, the other's, or nothing that is summed over; none if one mixes them.
  // Of several conditions in one, each may be of a side. But not where something is divided: what one condition keeps out may be
  // a division by 0 that another hides.
  std::optional<Sorted> sort(std::vector<Id> masks, IndexSet k, IndexSet fa, IndexSet fb, bool divides) {
    Sorted out;
    for (size_t i = 0; i < masks.size(); i++) {
      const ir::Node& m = g_.at(masks[i]);
      const bool mixed = (m.free & k) && (m.free & ~fa) && (m.free & ~fb);
      if (mixed && (m.op != Op::And || divides)) return {};
      if (mixed) {
        masks.insert(masks.end(), m.args.begin(), m.args.end());
        continue;
      }
      Id& all = !(m.free & k) ? out.outer : !(m.free & ~fa) ? out.a : out.b;
      all = all == kNone ? masks[i] : g_.binary(Op::And, all, masks[i]);
    }
    return out;
  }

  Id product_form(Id node) {
    const ir::Node n = g_.at(node);
    const IndexSet k = ir::bit(n.sym);
    Factors f, outer, only_k;
    flatten(g_, n.args[0], false, k, f);
    std::map<IndexSet, Factors> sides;
    auto of = [&](Id t) -> Factors& {
      const IndexSet free = g_.free(t);
      return !(free & k) ? outer : free == k ? only_k : sides[free & ~k];
    };
    for (Id t : f.times) of(t).times.push_back(t);
    for (Id t : f.over) of(t).over.push_back(t);
    if (sides.size() != 2 || !single(sides.begin()->first) || !single(sides.rbegin()->first)) return node;
    Factors &first = sides.begin()->second, &second = sides.rbegin()->second;
    first.times.insert(first.times.end(), only_k.times.begin(), only_k.times.end());
    const IndexSet fa = sides.begin()->first | k, fb = sides.rbegin()->first | k;
    // Where a mask hides a division by 0, the quotient is in the operand that the mask goes to: 0 * inf would be NaN.
    auto masked = [&](IndexSet side) {
      return std::any_of(f.masks.begin(), f.masks.end(), [&](Id m) { return g_.free(m) == side; });
    };
    Factors& divided = masked(fb) ? second : first;
    divided.over.insert(divided.over.end(), only_k.over.begin(), only_k.over.end());
    if ((masked(fa) && !second.over.empty()) || (masked(fb) && !first.over.empty())) return node;
    Id a = quotient(first), b = quotient(second);
    const bool by_row = std::any_of(outer.over.begin(), outer.over.end(), [&](Id d) { return g_.free(d) != 0; });
    const std::optional<Sorted> masks = sort(f.masks, k, fa, fb, by_row || !first.over.empty() || !second.over.empty());
    if (!masks) return node;
    if (masks->a != kNone) a = g_.select(masks->a, a, g_.constant(0));
    if (masks->b != kNone) b = g_.select(masks->b, b, g_.constant(0));
    Id outer_mask = masks->outer;
    const Id own_a = a, own_b = b;
    outer_mask = share_masks(own_a, k, b, outer_mask);
    outer_mask = share_masks(own_b, k, a, outer_mask);
    Id result = g_.reduce(ir::ReduceKind::Sum, n.sym, g_.binary(Op::Mul, a, b));
    if (Id o = product(outer.times); o != kNone) result = g_.binary(Op::Mul, result, o);
    if (Id d = product(outer.over); d != kNone) result = g_.binary(Op::Div, result, d);
    if (f.negative) result = g_.unary(Op::Neg, result);
    return outer_mask == kNone ? result : g_.select(outer_mask, result, g_.constant(0));
  }

  ir::Graph& g_;
  std::map<Id, Id> done_;
};

}  // namespace

std::vector<Id> normalise_contractions(ir::Graph& graph, const std::vector<Id>& roots) {
  Normaliser normaliser(graph);
  std::vector<Id> out;
  for (Id r : roots) out.push_back(normaliser.rewrite(r));
  return out;
}

bool match_contraction(const ir::Graph& g, Id node, Contraction* out) {
  const ir::Node& n = g.at(node);
  if (n.op != Op::Reduce || n.kind != ir::ReduceKind::Sum) return false;
  const ir::Node& m = g.at(n.args[0]);
  if (m.op != Op::Mul) return false;
  const IndexSet k = ir::bit(n.sym), fa = g.free(m.args[0]), fb = g.free(m.args[1]);
  if (!(fa & k) || !(fb & k) || !single(fa & ~k) || !single(fb & ~k) || fa == fb) return false;
  auto only = [](IndexSet s) { return static_cast<Id>(__builtin_ctzll(s)); };
  if (out) *out = {m.args[0], m.args[1], only(fa & ~k), only(fb & ~k), n.sym};
  return true;
}

}  // namespace lossc::plan
