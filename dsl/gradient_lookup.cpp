// What flows back through a lookup: to the place that it looks up. Where a place is looked up from one other place at most, the
// adjoint is a lookup again; else it is gathered in a scatter.
#include "gradient.h"

namespace lossc {

using ir::Id;
using ir::IndexSet;
using ir::kNone;
using ir::Op;

namespace {

// A value with index `k` at `place`, which solves target = +-k + rest. What changes with the place's other indices anyway (a
// window's weight times what it weighs) is computed there: stored for all places of all windows, to be looked up, it would be as
// large as the image is times the window. What does not is stored as it is, without them.
struct Moved {
  ir::Graph& g;
  Id k, place, target, rest;
  int sign;
  std::map<Id, Id> done;

  Id take(Id v) {
    if (!(g.free(v) & ir::bit(k))) return v;
    if (auto it = done.find(v); it != done.end()) return it->second;
    return done[v] = taken(v);
  }

  Id taken(Id v) {
    const ir::Node n = g.at(v);
    if (n.op == Op::Index) return place;
    if (adds_up(n)) return target;
    const bool stored = n.op == Op::Reduce || n.op == Op::After || n.op == Op::Scan || n.op == Op::WholeByHand || ir::makes_index(n.op);
    const bool along = n.op == Op::Load || n.type != ir::Type::Float || (g.free(v) & g.free(place) & ~ir::bit(k));
    const bool captures = n.op == Op::At && (n.sym == k || g.free(place) & ir::bit(n.sym));
    if (stored || !along || (captures && n.sym != k && g.free(n.args[0]) & ir::bit(k))) return g.at_index(v, k, place);
    std::vector<Id> args = n.args;
    for (size_t a = 0; a < args.size(); a++)
      if (!(captures && a == 0)) args[a] = take(args[a]);
    return g.with_args(n, args);
  }

  // +-k + rest itself, which comes to the target.
  bool adds_up(const ir::Node& n) const {
    if (n.op != Op::Add || n.type != ir::Type::Int || sign < 0 || rest == kNone) return false;
    return (g.plain_index(n.args[0]) == k && n.args[1] == rest) || (g.plain_index(n.args[1]) == k && n.args[0] == rest);
  }
};

// A value with two indices at the places of one of an axis as long as both. What has further indices (what flows into each feature)
// is computed there: stored for each pair, it would be as large as all that is looked up. What has none is stored as it is.
struct Paired {
  ir::Graph& g;
  Id high, low, pair;
  std::map<Id, Id> done;

  Id take(Id v) {
    const IndexSet both = ir::bit(high) | ir::bit(low);
    if (!(g.free(v) & both)) return v;
    if (auto it = done.find(v); it != done.end()) return it->second;
    const ir::Node n = g.at(v);
    const bool elementwise = !ir::makes_index(n.op) && !ir::binds_index(n.op) && !ir::transcendental(n.op) && n.op != Op::Load &&
                             n.op != Op::Index && n.op != Op::After && n.op != Op::WholeByHand;
    if (!elementwise || !(g.free(v) & ~both)) {
      const Id t = g.index(pair), length = g.extent(g.indices[low].axis);
      return done[v] = g.at_index(g.at_index(v, high, g.binary(Op::Div, t, length)), low, g.binary(Op::Mod, t, length));
    }
    std::vector<Id> args;
    for (Id a : n.args) args.push_back(take(a));
    return done[v] = g.with_args(n, args);
  }
};

}  // namespace

// e looked up at `key`: what flows back is gathered per place of e. A plain twin index only renames.
void Differentiator::through_lookup(const ir::Node& n, const Flow& a) {
  const Id key = n.args[1];
  if (through_folded(n, a)) return;
  if (g_.plain_index(key) == kNone && g_.free(key) & ir::bit(n.sym)) {
    const Id w = masked(a);
    const Id t = fresh(n.sym, g_.free(w) | g_.free(key) | g_.free(n.args[0]));
    const Id v = collect(w, key, t, (g_.free(n.args[0]) & ~ir::bit(n.sym)) | ir::bit(t));
    return give(n.args[0], {kNone, g_.at_index(v, t, g_.index(n.sym))}, 0);
  }
  // A mask that does not concern the place looked up (a dropped row) holds for what is looked up, too.
  std::vector<Id> kept;
  // Under a plain twin one that does is renamed with it, for the slope at a place that it drops may be NaN.
  const IndexSet other = g_.free(key) | ir::bit(n.sym) | ~g_.free(n.args[0]);
  const Id plain = g_.plain_index(key), twin = plain != kNone && same_axis(plain, n.sym) ? plain : kNone;
  const IndexSet renamed = twin == kNone ? 0 : ir::bit(twin) | (g_.free(n.args[0]) & ~ir::bit(n.sym));
  const bool renames = twin != kNone && !(g_.free(n.args[0]) & ir::bit(twin));
  for (Id m : conjuncts(a.mask)) {
    if (!(g_.free(m) & other)) kept.push_back(m);
    else if (renames && !(g_.free(m) & ~renamed)) kept.push_back(g_.swap_indices(m, twin, n.sym));
  }
  give(n.args[0], {all_of(kept), collect(masked(a), key, n.sym, g_.free(n.args[0]))}, 0);
}

// Two dimensions i and k read as one: e at i = t / extent(k) and k = t % extent(k). What flows back is that of
// t = i * extent(k) + k.
bool Differentiator::through_folded(const ir::Node& n, const Flow& a) {
  const ir::Node inner = g_.at(n.args[0]), low = g_.at(n.args[1]);
  if (inner.op != Op::At || low.op != Op::Mod) return false;
  const ir::Node high = g_.at(inner.args[1]);
  const Id t = g_.plain_index(low.args[0]), length = g_.extent(g_.indices[n.sym].axis), e = inner.args[0];
  const bool folds = t != kNone && high.op == Op::Div && high.args == low.args && low.args[1] == length;
  if (!folds || n.sym == t || inner.sym == t || (g_.free(e) & ir::bit(t))) return false;
  const Id v = masked(a), place = g_.binary(Op::Add, g_.binary(Op::Mul, g_.index(inner.sym), length), g_.index(n.sym));
  if (g_.free(v) & (ir::bit(n.sym) | ir::bit(inner.sym))) return false;
  const Id there = g_.binary(Op::Lt, place, g_.extent(g_.indices[t].axis));
  give(e, {kNone, g_.select(there, g_.at_index(v, t, place), g_.constant(0))}, 0);
  return true;
}

// Two dimensions looked up by keys that share an index, one of which would be dense along it: where some axis is as long as both
// together, they are one key of that. kNone is the axis where there is none.
Id Differentiator::axis_of_both(Id a, Id b) const {
  const auto is_product = [&](Id length) {
    if (length == kNone || g_.at(length).op != Op::Mul) return false;
    std::vector<Id> axes;
    for (Id e : g_.at(length).args) axes.push_back(g_.at(e).op == Op::Extent ? g_.at(e).sym : kNone);
    const Id x = g_.indices[a].axis, y = g_.indices[b].axis;
    return (axes[0] == x && axes[1] == y) || (axes[0] == y && axes[1] == x);
  };
  for (Id k = 0; k < static_cast<Id>(g_.indices.size()); k++)
    if (is_product(g_.axes[g_.indices[k].axis].length)) return k;
  return kNone;
}

Id Differentiator::through_two_keys(const ir::Node& n, Id v, IndexSet kept, std::vector<size_t>* computed, std::vector<Id>* renamed,
                                    IndexSet* left) {
  if (computed->size() != 2) return v;
  const size_t a = std::min((*computed)[0], (*computed)[1]), b = std::max((*computed)[0], (*computed)[1]);
  const std::vector<Id>& dims = g_.tensors[n.sym].dims;
  const IndexSet of_keys = g_.free(n.args[a]) | g_.free(n.args[b]);
  const Id both = axis_of_both(dims[a], dims[b]), length = g_.extent(g_.indices[dims[b]].axis);
  if (both == kNone || !(g_.free(n.args[a]) & g_.free(n.args[b]) & ~kept)) return v;
  const ir::Node high = g_.at(n.args[a]), low = g_.at(n.args[b]);
  const bool folds = high.op == Op::Div && low.op == Op::Mod && high.args == low.args && low.args[1] == length;
  const Id key = folds ? high.args[0] : g_.binary(Op::Add, g_.binary(Op::Mul, n.args[a], length), n.args[b]);
  const auto unused = [&](Id like, IndexSet taken) { return taken & ir::bit(like) ? fresh(like, taken | targets_of(dims)) : like; };
  IndexSet taken = g_.free(v) | kept | of_keys;
  const Id t = fresh(both, taken | targets_of(dims));
  v = collect(v, key, t, kept);
  taken |= g_.free(v) | ir::bit(t);
  const Id i = unused(dims[a], taken), k = unused(dims[b], taken | ir::bit(i));
  v = g_.at_index(v, t, g_.binary(Op::Add, g_.binary(Op::Mul, g_.index(i), length), g_.index(k)));
  (*renamed)[a] = i, (*renamed)[b] = k;
  *left &= ~of_keys;
  computed->clear();
  return v;
}

// A plain index renames only along its own axis; another one's values end elsewhere.
bool Differentiator::same_axis(Id a, Id b) const { return g_.indices[a].axis == g_.indices[b].axis; }

// v summed over those of its positions where `key` equals the index `target`; `keep` are the indices the result may
// have. This is the adjoint of a gather.
Id Differentiator::collect(Id v, Id key, Id target, IndexSet keep) {
  if (Id plain = g_.plain_index(key); plain != kNone && same_axis(plain, target) && !((g_.free(v) & ir::bit(target)) | (keep & ir::bit(plain))))
    return g_.free(v) & ir::bit(plain) ? g_.at_index(v, plain, g_.index(target)) : v;
  if (g_.at(v).op == Op::Neg) return g_.unary(Op::Neg, collect(g_.at(v).args[0], key, target, keep));
  const IndexSet lost = g_.free(key) & ~keep & ~ir::bit(target);
  if (!lost) return g_.select(g_.binary(Op::Eq, g_.index(target), key), v, g_.constant(0));
  IndexSet left = lost;
  if (const Id moved = strided(v, key, target, &left); moved != kNone) return sum_over(left, moved);
  // The one index that is solved for is the longer one, if that can be told: the sum goes over a window's places, not over all
  // windows that there are.
  std::vector<Id> longest_first = ir::members(lost);
  std::stable_sort(longest_first.begin(), longest_first.end(), [&](Id a, Id b) { return !g_.short_axis(a) && g_.short_axis(b); });
  for (Id k : longest_first)
    if (const Id moved = shifted(v, key, k, target); moved != kNone) return sum_over(lost & ~ir::bit(k), moved);
  if (const Id whole = collect_pairs(v, key, target, keep, lost); whole != kNone) return whole;
  Id first = kNone;
  for (Id k = 0; k < static_cast<Id>(g_.indices.size()) && first == kNone; k++)
    if (lost & ir::bit(k)) first = k;
  return sum_over(lost & ~ir::bit(first), g_.scatter(v, first, key, target));
}

// Of keys of two indices each pair is one place of an axis as long as both, scattered once. One index after the other would be a
// scatter along the first for each of the second: as much memory as that is long times all that is looked up in. kNone where
// there is no such axis.
Id Differentiator::collect_pairs(Id v, Id key, Id target, IndexSet keep, IndexSet lost) {
  const auto [high, low] = pair_of_keys(g_, key, lost);
  if (high == kNone || g_.at(v).carried || g_.at(key).carried) return kNone;
  const Id both = axis_of_both(high, low);
  if (both == kNone) return kNone;
  const IndexSet taken = g_.free(v) | g_.free(key) | keep | ir::bit(target);
  const Id pair = taken & ir::bit(both) ? fresh(both, taken) : both;
  Paired at{g_, high, low, pair, {}};
  return collect(at.take(v), at.take(key), target, keep);
}

// What a key is as a sum: the sign with which `index` stands in it alone (0: not so), and the rest.
int Differentiator::split_key(Id key, Id index, Id* rest) {
  const ir::Node n = g_.at(key);
  *rest = kNone;
  if (g_.plain_index(key) == index) return 1;
  if (!(g_.free(key) & ir::bit(index)) || (n.op != Op::Add && n.op != Op::Sub && n.op != Op::Neg)) return 0;
  if (n.op == Op::Neg) {
    const int s = split_key(n.args[0], index, rest);
    if (*rest != kNone) *rest = g_.unary(Op::Neg, *rest);
    return -s;
  }
  const bool left = g_.free(n.args[0]) & ir::bit(index), right = g_.free(n.args[1]) & ir::bit(index);
  if (left && right) return 0;
  Id inner = kNone;
  const int s = split_key(n.args[left ? 0 : 1], index, &inner);
  if (s == 0) return 0;
  const bool minus = n.op == Op::Sub;
  const Id other = n.args[left ? 1 : 0];
  if (left)
    *rest = inner == kNone ? (minus ? g_.unary(Op::Neg, other) : other) : g_.binary(n.op, inner, other);
  else if (minus)
    *rest = inner == kNone ? other : g_.binary(Op::Sub, other, inner);
  else
    *rest = inner == kNone ? other : g_.binary(Op::Add, other, inner);
  return left || !minus ? s : -s;
}

// key = i * extent(k) + k goes through the places one after another, so v at target t is that of i = t / extent(k) and
// k = t % extent(k); if something is added to it, of t less that. kNone where the key is not of that form.
Id Differentiator::strided(Id v, Id key, Id target, IndexSet* lost) {
  Id t = g_.index(target);
  const auto alone = [&](Id e) { return !(g_.free(e) & *lost); };
  ir::Node sum = g_.at(key);
  while ((sum.op == Op::Add || sum.op == Op::Sub) && (alone(sum.args[1]) || (sum.op == Op::Add && alone(sum.args[0])))) {
    const size_t rest = alone(sum.args[1]) ? 1 : 0;
    t = g_.binary(sum.op == Op::Add ? Op::Sub : Op::Add, t, sum.args[rest]);
    key = sum.args[1 - rest], sum = g_.at(key);
  }
  if (sum.op != Op::Add) return kNone;
  for (size_t a : {0, 1}) {
    const Id k = g_.plain_index(sum.args[a]);
    const ir::Node product = g_.at(sum.args[1 - a]);
    if (k == kNone || product.op != Op::Mul || !(*lost & ir::bit(k))) continue;
    const Id length = g_.extent(g_.indices[k].axis);
    for (size_t b : {0, 1}) {
      const Id i = g_.plain_index(product.args[b]);
      if (i == kNone || i == k || product.args[1 - b] != length || !(*lost & ir::bit(i))) continue;
      *lost &= ~(ir::bit(i) | ir::bit(k));
      const Id row = g_.binary(Op::Div, t, length), zero = g_.constant(0, ir::Type::Int);
      const Id there = g_.at_index(g_.at_index(v, i, row), k, g_.binary(Op::Mod, t, length));
      Id inside = g_.binary(Op::Lt, row, g_.extent(g_.indices[i].axis));
      if (g_.plain_index(t) == kNone) inside = g_.binary(Op::And, g_.binary(Op::Le, zero, t), inside);
      return g_.select(inside, there, g_.constant(0));
    }
  }
  return kNone;
}

// A neighbour's adjoint is the neighbour on the other side: where key = +-k + rest, the one k that points at the target
// is known, and v is looked up there instead of being scattered. kNone where the key is not of that form.
Id Differentiator::shifted(Id v, Id key, Id k, Id target) {
  Id rest = kNone;
  const int sign = split_key(key, k, &rest);
  if (sign == 0 || (rest != kNone && (g_.free(rest) & ir::bit(k)))) return kNone;
  const Id t = g_.index(target);
  Id place = rest == kNone ? t : sign > 0 ? g_.binary(Op::Sub, t, rest) : g_.binary(Op::Sub, rest, t);
  if (rest == kNone && sign < 0) place = g_.unary(Op::Neg, t);
  const Id zero = g_.constant(0, ir::Type::Int), length = g_.extent(g_.indices[k].axis);
  const Id inside = g_.binary(Op::And, g_.binary(Op::Le, zero, place), g_.binary(Op::Lt, place, length));
  return g_.select(inside, Moved{g_, k, place, t, rest, sign, {}}.take(v), g_.constant(0));
}

}  // namespace lossc
