// Reverse mode over the graph, same IR out. The rules of each operation are in gradient_rules.cpp; here is what is
// common: masks, broadcasting, lookups and loads.
//
// An adjoint is a pair (mask, value): it counts only where the mask holds. A Select adds its condition to the mask
// instead of multiplying by 0, and local derivatives multiply the value under the mask, so an element that a mask
// drops contributes exactly 0 even where its derivative is Inf or NaN (the "double where", done here once).
#include <fmt/format.h>

#include <algorithm>

#include "gradient.h"

namespace lossc {

using ir::Id;
using ir::IndexSet;
using ir::kNone;
using ir::Op;

Differentiator::Differentiator(Program& program) : p_(program), g_(program.graph) {}

std::vector<Gradient> Differentiator::run(Id value, Id seed, Id mask) {
  std::vector<Id> order = ir::topological(g_, {value});
  std::reverse(order.begin(), order.end());
  mark_active(order);
  // Every row has the value, also where it does not depend on the row: then all of them flow into one.
  give(value, {g_.at(mask).op == Op::Const ? kNone : mask, seed}, g_.free(seed) | g_.free(mask));
  for (Id node : order) visit(node);
  std::vector<Gradient> out;
  for (Id t = 0; t < static_cast<Id>(g_.tensors.size()); t++)
    if (g_.tensors[t].differentiable && !absent(t)) out.push_back({t, tensor_.count(t) ? tensor_[t] : g_.constant(0)});
  return out;
}

void Differentiator::visit(Id node) {
  if (after_.count(node)) return through_scan(node);
  if (!terms_.count(node) || !active_.count(node)) return;
  const Flow a = combined(node);
  terms_.erase(node);
  const ir::Node n = g_.at(node);
  if (n.op == Op::Load)
    into_tensor(node, a);
  else if (n.op == Op::After)
    after_[n.args[0]][n.sym] = masked(a);
  else
    propagate(node, a);
}

bool Differentiator::absent(Id tensor) const {
  return std::find(p_.facts.begin(), p_.facts.end(), Fact{Fact::TensorGiven, tensor, 0}) != p_.facts.end();
}

// Nodes through which a derivative can reach a differentiable tensor; what only feeds masks, counts or stopped values
// never gets an adjoint.
void Differentiator::mark_active(const std::vector<Id>& order) {
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const ir::Node& n = g_.at(*it);
    if (n.type != ir::Type::Float || n.op == Op::StopGradient) continue;
    bool active = n.op == Op::Load && g_.tensors[n.sym].differentiable;
    for (Id a : n.args) active |= active_.count(a) > 0;
    if (active) active_.insert(*it);
  }
}

Id Differentiator::masked(const Flow& a) {
  return a.mask == kNone ? a.value : g_.select(a.mask, a.value, g_.constant(0));
}

// What a mask asks for, term by term, each once.
std::vector<Id> Differentiator::conjuncts(Id mask) {
  std::vector<Id> out, todo{mask};
  while (!todo.empty()) {
    const Id m = todo.back();
    todo.pop_back();
    if (m == kNone) continue;
    if (g_.at(m).op == Op::And)
      todo.insert(todo.end(), g_.at(m).args.begin(), g_.at(m).args.end());
    else if (std::find(out.begin(), out.end(), m) == out.end())
      out.push_back(m);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Id Differentiator::all_of(const std::vector<Id>& list) {
  Id m = kNone;
  for (Id c : list) m = m == kNone ? c : g_.binary(Op::And, m, c);
  return m;
}

Flow Differentiator::combined(Id node) {
  // What every term's mask asks for stays a mask; only the rest of each is folded into its value.
  const std::vector<Flow>& terms = terms_[node];
  std::vector<Id> common = conjuncts(terms[0].mask);
  for (const Flow& t : terms) {
    std::vector<Id> both, own = conjuncts(t.mask);
    std::set_intersection(common.begin(), common.end(), own.begin(), own.end(), std::back_inserter(both));
    common = both;
  }
  Flow sum{all_of(common), kNone};
  Id some = kNone;  // where at least one of them counts; kNone: everywhere
  bool everywhere = false;
  for (const Flow& t : terms) {
    std::vector<Id> rest, own = conjuncts(t.mask);
    std::set_difference(own.begin(), own.end(), common.begin(), common.end(), std::back_inserter(rest));
    const Id mask = all_of(rest), v = masked({mask, t.value});
    sum.value = sum.value == kNone ? v : g_.binary(Op::Add, sum.value, v);
    everywhere |= mask == kNone;
    if (!everywhere) some = some == kNone ? mask : g_.binary(Op::Or, some, mask);
  }
  if (!everywhere) sum.mask = sum.mask == kNone ? some : g_.binary(Op::And, sum.mask, some);
  return sum;
}

Id Differentiator::sum_over(IndexSet set, Id v) {
  // Highest index first: rows, declared first, end up outermost, where the panel loop is.
  for (Id k = static_cast<Id>(g_.indices.size()) - 1; k >= 0; k--) {
    if (!(set & ir::bit(k))) continue;
    if (g_.free(v) & ir::bit(k))
      v = g_.reduce(ir::ReduceKind::Sum, k, v);
    else
      v = g_.binary(Op::Mul, g_.unary(Op::ToFloat, g_.extent(g_.indices[k].axis)), v);
  }
  return v;
}

// The indices over which a user of `child` was replicated must be summed away.
void Differentiator::give(Id child, Flow a, IndexSet domain) {
  if (!active_.count(child)) return;
  if (IndexSet extra = domain & ~g_.free(child)) {
    // Which elements of the child count at all is still a mask: its own derivative may be NaN where they do not. A
    // tensor has none.
    std::vector<Id> kept;
    if (g_.at(child).op != Op::Load)
      for (Id m : conjuncts(a.mask))
        if (!(g_.free(m) & extra)) kept.push_back(m);
    a = {all_of(kept), sum_over(extra, masked(a))};
  }
  terms_[child].push_back(a);
}

// e looked up at `key`: what flows back is gathered per place of e. A plain twin index only renames.
void Differentiator::through_lookup(const ir::Node& n, const Flow& a) {
  const Id key = n.args[1];
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
  const Id twin = g_.plain_index(key);
  const IndexSet renamed = twin == kNone ? 0 : ir::bit(twin) | (g_.free(n.args[0]) & ~ir::bit(n.sym));
  const bool renames = twin != kNone && !(g_.free(n.args[0]) & ir::bit(twin));
  for (Id m : conjuncts(a.mask)) {
    if (!(g_.free(m) & other)) kept.push_back(m);
    else if (renames && !(g_.free(m) & ~renamed)) kept.push_back(g_.swap_indices(m, twin, n.sym));
  }
  give(n.args[0], {all_of(kept), collect(masked(a), key, n.sym, g_.free(n.args[0]))}, 0);
}

// v summed over those of its positions where `key` equals the index `target`; `keep` are the indices the result may
// have. This is the adjoint of a gather.
Id Differentiator::collect(Id v, Id key, Id target, IndexSet keep) {
  if (Id plain = g_.plain_index(key); plain != kNone && !((g_.free(v) & ir::bit(target)) | (keep & ir::bit(plain))))
    return g_.free(v) & ir::bit(plain) ? g_.at_index(v, plain, g_.index(target)) : v;
  const IndexSet lost = g_.free(key) & ~keep & ~ir::bit(target);
  if (!lost) return g_.select(g_.binary(Op::Eq, g_.index(target), key), v, g_.constant(0));
  IndexSet left = lost;
  if (const Id moved = strided(v, key, target, &left); moved != kNone) return sum_over(left, moved);
  for (Id k = 0; k < static_cast<Id>(g_.indices.size()); k++)
    if (const Id moved = (lost & ir::bit(k)) ? shifted(v, key, k, target) : kNone; moved != kNone)
      return sum_over(lost & ~ir::bit(k), moved);
  Id first = kNone;
  for (Id k = 0; k < static_cast<Id>(g_.indices.size()) && first == kNone; k++)
    if (lost & ir::bit(k)) first = k;
  return sum_over(lost & ~ir::bit(first), g_.scatter(v, first, key, target));
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
// k = t % extent(k). kNone where the key is not of that form.
Id Differentiator::strided(Id v, Id key, Id target, IndexSet* lost) {
  const ir::Node sum = g_.at(key);
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
      const Id t = g_.index(target), row = g_.binary(Op::Div, t, length);
      const Id there = g_.at_index(g_.at_index(v, i, row), k, g_.binary(Op::Mod, t, length));
      return g_.select(g_.binary(Op::Lt, row, g_.extent(g_.indices[i].axis)), there, g_.constant(0));
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
  return g_.select(inside, g_.at_index(v, k, place), g_.constant(0));
}

void Differentiator::into_tensor(Id node, const Flow& a) {
  const ir::Node n = g_.at(node);
  const std::vector<Id>& dims = g_.tensors[n.sym].dims;
  std::vector<Id> args = n.args;
  Id v = masked(a);
  IndexSet kept = 0;  // indices that are dimensions as they stand
  std::vector<size_t> computed;
  for (size_t k = 0; k < args.size(); k++) {
    const Id plain = g_.plain_index(args[k]);
    if (plain != kNone && !(kept & ir::bit(plain)))
      kept |= ir::bit(plain);
    else
      computed.push_back(k);
  }
  // A scatter consumes an index that other keys may use as well, so only the last computed place is scattered; those
  // before it stay dense (one-hot). Keys of kept indices need no scatter and come first.
  std::stable_sort(computed.begin(), computed.end(),
                   [&](size_t x, size_t y) { return !(g_.free(args[x]) & ~kept) && (g_.free(args[y]) & ~kept); });
  std::vector<Id> renamed(args.size(), kNone);
  IndexSet left = n.free & ~kept;  // to be summed away
  for (size_t k : computed) {
    const IndexSet taken = g_.free(v) | kept | g_.free(args[k]);
    const Id target = taken & ir::bit(dims[k]) ? fresh(dims[k], taken | targets_of(dims) | targets_of(renamed)) : dims[k];
    const bool last = k == computed.back();
    const IndexSet keep = kept | targets_of(renamed) | (last ? 0 : g_.free(args[k]));
    v = collect(v, args[k], target, keep);
    if (last) left &= ~g_.free(args[k]);
    renamed[k] = target;
  }
  v = sum_over(left, v);
  for (size_t k = 0; k < args.size(); k++)
    if (renamed[k] == kNone) renamed[k] = g_.plain_index(args[k]);
  v = to_dims(v, renamed, dims);
  auto [it, first] = tensor_.try_emplace(n.sym, v);
  if (!first) it->second = g_.binary(Op::Add, it->second, v);
}

IndexSet Differentiator::targets_of(const std::vector<Id>& list) {
  IndexSet set = 0;
  for (Id k : list)
    if (k != kNone) set |= ir::bit(k);
  return set;
}

// A name that is not among those taken. A set of indices has 64 bits, and a stencil needs a name for each of its neighbours:
// when they get scarce, those made before serve again.
Id Differentiator::fresh(Id like, IndexSet taken) {
  constexpr size_t kPlenty = 40, kMost = 63;
  if (g_.indices.size() >= kPlenty)
    for (Id k : fresh_)
      if (g_.indices[k].axis == g_.indices[like].axis && !(taken & ir::bit(k))) return k;
  g_.indices.push_back({fmt::format("{}{}", g_.indices[like].name, g_.indices.size()), g_.indices[like].axis});
  if (g_.indices.size() > kMost)
    throw DefinitionError(fmt::format("loss '{}': the derivative needs more than {} indices; not supported yet", p_.name, kMost));
  fresh_.push_back(static_cast<Id>(g_.indices.size() - 1));
  return fresh_.back();
}

// Renames from[k] to dims[k]; where the new name is taken by another dimension the two are exchanged.
Id Differentiator::to_dims(Id v, std::vector<Id> from, const std::vector<Id>& dims) {
  for (size_t k = 0; k < dims.size(); k++) {
    if (from[k] == dims[k]) continue;
    if (g_.free(v) & ir::bit(dims[k]))
      v = g_.swap_indices(v, from[k], dims[k]);
    else if (g_.free(v) & ir::bit(from[k]))
      v = g_.at_index(v, from[k], g_.index(dims[k]));
    for (size_t m = k + 1; m < dims.size(); m++)
      if (from[m] == dims[k]) from[m] = from[k];
  }
  return v;
}

std::vector<Gradient> differentiate(Program& program, Id value, Id seed, Id mask) {
  return Differentiator(program).run(value, seed, mask);
}

}  // namespace lossc
