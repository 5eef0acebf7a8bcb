// Reverse mode over the graph, same IR out. The rules of each operation are in gradient_rules.cpp, those of a lookup in
// gradient_lookup.cpp; here is what is common: masks, broadcasting and loads.
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
    after_[n.args[0]][n.sym] = masked(a), after_masks_[n.args[0]].push_back(a.mask);
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

// A sign stays outside, also of what is looked up then (collect): both sides of a difference of neighbours have the same value
// to look up.
Id Differentiator::masked(const Flow& a) {
  if (a.mask == kNone) return a.value;
  const ir::Node& n = g_.at(a.value);
  if (n.op == Op::Neg) return g_.unary(Op::Neg, masked({a.mask, n.args[0]}));
  return g_.select(a.mask, a.value, g_.constant(0));
}

// What a mask asks for without these indices.
Id Differentiator::asked_without(IndexSet indices, Id mask) {
  std::vector<Id> kept = conjuncts(mask);
  std::erase_if(kept, [&](Id m) { return (g_.free(m) & indices) != 0; });
  return all_of(kept);
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

// Whether `what` holds wherever all of `given` do, so far as their form tells: both sides of an And, one of an Or, and of an
// any(i, q) that q holds at the i at hand.
bool Differentiator::implied(const std::vector<Id>& given, Id what) const {
  if (std::binary_search(given.begin(), given.end(), what)) return true;
  const ir::Node& n = g_.at(what);
  const auto holds = [&](Id a) { return implied(given, a); };
  if (n.op == Op::And) return std::all_of(n.args.begin(), n.args.end(), holds);
  if (n.op == Op::Or) return std::any_of(n.args.begin(), n.args.end(), holds);
  return n.op == Op::Reduce && n.kind == ir::ReduceKind::Any && holds(n.args[0]);
}

// What every term's mask asks for, in so many words or because it follows from what it says: so a class without rows is
// seen to be out of a sum over its rows and of one over the others, where the one is asked to have a row, any(i, y(i) == c),
// and the other has one at hand, y(i) == c.
std::vector<Id> Differentiator::asked_by_all(const std::vector<Flow>& terms) {
  std::vector<std::vector<Id>> own;
  std::set<Id> asked;
  for (const Flow& t : terms) {
    own.push_back(conjuncts(t.mask));
    asked.insert(own.back().begin(), own.back().end());
  }
  std::vector<Id> common;
  for (Id m : asked)
    if (std::all_of(own.begin(), own.end(), [&](const std::vector<Id>& mask) { return implied(mask, m); })) common.push_back(m);
  return common;
}

Flow Differentiator::combined(Id node) {
  // What every term's mask asks for stays a mask; only the rest of each is folded into its value.
  const std::vector<Flow>& terms = terms_[node];
  const std::vector<Id> common = asked_by_all(terms);
  Flow sum{all_of(common), kNone};
  Id some = kNone;  // where at least one of them counts; kNone: everywhere
  bool everywhere = false;
  std::vector<Flow> optional;  // an option or a parameter says whether they count
  for (const Flow& t : terms) {
    std::vector<Id> rest, own = conjuncts(t.mask);
    std::set_difference(own.begin(), own.end(), common.begin(), common.end(), std::back_inserter(rest));
    const Id mask = all_of(rest);
    everywhere |= mask == kNone;
    if (!everywhere) some = some == kNone ? mask : g_.binary(Op::Or, some, mask);
    if (mask != kNone && g_.free(mask) == 0) {
      optional.push_back({mask, t.value});
      continue;
    }
    const Id v = masked({mask, t.value});
    sum.value = sum.value == kNone ? v : g_.binary(Op::Add, sum.value, v);
  }
  // Chosen between with and without, so that no element is added a 0 where the choice is known.
  for (const Flow& t : optional)
    sum.value = sum.value == kNone ? masked(t) : g_.select(t.mask, g_.binary(Op::Add, sum.value, t.value), sum.value);
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
  if (IndexSet extra = domain & ~g_.free(child) & ~single_) {
    // Which elements of the child count at all is still a mask: its own derivative may be NaN where they do not. A
    // tensor has none.
    a = {g_.at(child).op == Op::Load ? kNone : asked_without(extra, a.mask), sum_over(extra, masked(a))};
  }
  terms_[child].push_back(a);
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
    if (plain != kNone && same_axis(plain, dims[k]) && !(kept & ir::bit(plain)))
      kept |= ir::bit(plain);
    else
      computed.push_back(k);
  }
  // A lookup or scatter consumes an index, so one that a later key uses as well stays until then, and the key before it is
  // dense (one-hot) along it; a neighbour in two directions has an index for each and is dense along neither. Keys of kept
  // indices need no scatter and come first.
  std::stable_sort(computed.begin(), computed.end(),
                   [&](size_t x, size_t y) { return !(g_.free(args[x]) & ~kept) && (g_.free(args[y]) & ~kept); });
  std::vector<Id> renamed(args.size(), kNone);
  IndexSet left = n.free & ~kept;  // to be summed away
  v = through_two_keys(n, v, kept, &computed, &renamed, &left);
  for (size_t at = 0; at < computed.size(); at++) {
    const size_t k = computed[at];
    IndexSet later = 0;
    for (size_t m = at + 1; m < computed.size(); m++) later |= g_.free(args[computed[m]]);
    const IndexSet taken = g_.free(v) | kept | g_.free(args[k]) | later;
    const Id target = taken & ir::bit(dims[k]) ? fresh(dims[k], taken | targets_of(dims) | targets_of(renamed)) : dims[k];
    v = collect(v, args[k], target, kept | targets_of(renamed) | later);
    left &= ~(g_.free(args[k]) & ~later);
    renamed[k] = target;
  }
  v = sum_over(left, v);
  for (size_t k = 0; k < args.size(); k++)
    if (renamed[k] == kNone) renamed[k] = g_.plain_index(args[k]);
  add_to_tensor(n.sym, to_dims(v, renamed, dims));
}

void Differentiator::add_to_tensor(Id tensor, Id v) {
  auto [it, first] = tensor_.try_emplace(tensor, v);
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
