// What is kept in memory, where, and in which order its elements lie.
#include "planner.h"

#include <algorithm>

namespace lossc::plan {

using ir::IndexSet;
using ir::kNone;
using ir::Op;

// Do the axes of these indices occur together in some tensor? Then storing a value over them costs no more than that
// tensor did; otherwise it is wide.
bool Planner::like_a_tensor(IndexSet set) const {
  for (const ir::Tensor& t : g_.tensors) {
    std::vector<Id> axes;
    for (Id d : t.dims) axes.push_back(g_.indices[d].axis);
    bool all = true;
    for (Id k : members(set)) {
      auto it = std::find(axes.begin(), axes.end(), g_.indices[k].axis);
      if (it == axes.end()) {
        all = false;
        break;
      }
      axes.erase(it);
    }
    if (all) return true;
  }
  return false;
}

namespace {

// What an expression reads rather than computes, in most steps.
bool in_memory(Op op) {
  return op == Op::Reduce || op == Op::At || op == Op::After || op == Op::WholeByHand || ir::makes_index(op);
}

}  // namespace

bool Planner::reaches_buffer(Id node) const {
  if (auto it = reaches_.find(node); it != reaches_.end()) return it->second;
  const ir::Node& n = g_.at(node);
  const bool yes = in_memory(n.op) || std::any_of(n.args.begin(), n.args.end(), [&](Id a) { return reaches_buffer(a); });
  return reaches_[node] = yes;
}

// A product of matrices for each of further indices (the Gram matrix of each image): as dear as that of two alone.
bool Planner::multiplies(const ir::Node& reduce) const {
  const ir::Node& m = g_.at(reduce.args[0]);
  if (reduce.kind != ir::ReduceKind::Sum || m.op != Op::Mul) return false;
  const IndexSet a = g_.free(m.args[0]), b = g_.free(m.args[1]);
  return (a & b & ir::bit(reduce.sym)) && (a & b & ~ir::bit(reduce.sym)) && (a & ~b) && (b & ~a);
}

// A reduction over a short inner axis of given data, computed again where it is used, a chunk of the vectorised axis at a
// time, and never stored: if the result is as wide as the vectorised axis (softmax over the classes of a pixel), or wider
// than any tensor (distance of two points of a set of sets, over the coordinates).
bool Planner::chunk_inline(Id reduce) const {
  const ir::Node& n = g_.at(reduce);
  const IndexSet domain = n.free | ir::bit(n.sym);
  if (n.sym == plan_.row || n.carried || members(domain).size() < 3) return false;
  for (const auto& [tensor, index] : scan_index_)
    if (index == n.sym) return false;  // in a loop over it, it would be summed at every place
  if (like_a_tensor(domain)) return natural_order(domain).back() != n.sym;
  return members(n.free).size() >= 3 && !like_a_tensor(n.free) && !reaches_buffer(n.args[0]) && !multiplies(n);
}

// A sum of what takes a walk of its own for each element (the loss of all pixels, each with its softmax): there is no loop
// over chunks in it in which the walk would be done for many at once, as there is in a map. So it reads a map's results.
bool Planner::sums_walks(const ir::Node& reduce) const {
  const IndexSet domain = reduce.free | ir::bit(reduce.sym);
  if (members(domain).size() != 2) return false;
  const auto walks = [&](Id node) {
    return g_.at(node).op == Op::Reduce && !(g_.free(node) & ~domain) && chunk_inline(node);
  };
  const auto nodes = ir::topological(g_, {reduce.args[0]});
  return std::any_of(nodes.begin(), nodes.end(), walks);
}

// The axis whose length alone makes that of this one: the height of which a row less are differences; or itself. Not axes_of,
// which goes on to what those are made of: a recurrence's segments follow from its length and that of a segment, and stood for
// the recurrence's axis beside the places of one, which are all that does (twice the memory of what flows back through them).
Id Planner::made_of(Id axis) const {
  std::set<Id> lengths;
  if (g_.axes[axis].length == kNone) return axis;
  for (Id node : ir::topological(g_, {g_.axes[axis].length}))
    if (g_.at(node).op == Op::Extent) lengths.insert(g_.at(node).sym);
  return lengths.size() == 1 ? made_of(*lengths.begin()) : axis;
}

// Outermost first: as in a tensor over these axes; without one, rows first, then in order of declaration. Short axes do not count,
// and do not come last: vectors go along an image's rows, not along the places of a window.
std::vector<Id> Planner::natural_order(IndexSet set) const {
  const std::vector<Id> all = members(set);
  for (const ir::Tensor& t : g_.tensors) {
    std::vector<Id> order, left = all;
    for (Id d : t.dims) {
      auto it = std::find_if(left.begin(), left.end(), [&](Id k) { return made_of(g_.indices[k].axis) == made_of(g_.indices[d].axis); });
      if (it == left.end()) continue;
      order.push_back(*it);
      left.erase(it);
    }
    if (left.empty() && order.size() == all.size() && t.dims.size() >= all.size()) return order;
  }
  std::vector<Id> order = all;
  std::stable_sort(order.begin(), order.end(), [&](Id a, Id b) { return (a == plan_.row) > (b == plan_.row); });
  const auto is_short = [&](Id k) { return k != plan_.row && g_.short_axis(k); };
  const auto few = std::stable_partition(order.begin(), order.end(), [&](Id k) { return !is_short(k); });
  const bool has_wide = std::any_of(order.begin(), few, [&](Id k) { return k != plan_.row; });
  if (few == order.end() || !has_wide) return order;
  std::vector<Id> around = natural_order(set_of({order.begin(), few}));
  around.insert(around.end() - 1, few, order.end());
  return around;
}

Layout Planner::default_layout(Id node) const {
  const IndexSet free = g_.free(node);
  if (g_.at(node).op == Op::Scatter) return {false, ordered(node, free)};  // its rows come in any order
  if (ir::whole_axis(g_.at(node).op)) return walk_layout(node, g_.at(node).sym2);
  if (g_.at(node).op == Op::WholeByHand) return {false, g_.whole[static_cast<size_t>(g_.at(node).sym2)].out};
  if (g_.at(node).carried || g_.at(node).op == Op::After) return {false, ordered(node, free)};
  if (auto it = tiles_.find(free); it != tiles_.end()) return it->second;
  return {false, natural_order(free)};
}

// What a walk reads and writes: the index walked innermost, in one piece.
Layout Planner::walk_layout(Id node, Id index) const {
  std::vector<Id> order = ordered(node, g_.free(node) & ~ir::bit(index));
  order.push_back(index);
  return {false, order};
}

// Which index pairs live in tiles, and with which index as the column: forced by the contractions they take part in.
void Planner::choose_tiles(const std::vector<Id>& roots) {
  for (Id node : ir::topological(g_, roots)) {
    const ir::Node& n = g_.at(node);
    if (n.op == Op::At && n.sym == plan_.row) whole_.insert(looked_up_in(g_, node));
    if (n.op == Op::At && says_its_bounds(g_, n.args[1])) within_.insert({n.args[1], g_.at(n.args[1]).args[0]});
    if ((ir::whole_axis(n.op) && n.sym == plan_.row) || selects_row(node)) whole_.insert(n.args[0]);
    for (size_t k = 0; at_once(node) && k < n.args.size(); k++)
      if (completes(node, k)) whole_.insert(n.args[k]);
    Contraction c;
    if (!product(node, &c)) continue;
    plan_.contracts = true;
    if (c.y == plan_.row) std::swap(c.a, c.b), std::swap(c.x, c.y);
    if (c.k == plan_.row && like_a_tensor(g_.free(c.a)) && !like_a_tensor(g_.free(c.b))) {
      std::swap(c.a, c.b), std::swap(c.x, c.y);
    }
    auto tile = [&](Id row, Id column) { tiles_.try_emplace(ir::bit(row) | ir::bit(column), Layout{true, {row, column}}); };
    tile(c.x, c.y);
    if (c.k == plan_.row) {
      tile(c.k, c.x);
      tile(c.k, c.y);
    } else {
      tile(c.x, c.k);
    }
  }
}

Storage Planner::storage_of(Id node) const {
  const ir::Node& n = g_.at(node);
  if (at_once(node) || selects_row(node)) return Storage::Whole;
  if (ir::whole_axis(n.op) && (needs_every_row(node) || n.sym2 == plan_.row)) return Storage::Whole;
  if (needs_every_row(node) && n.op != Op::At) return Storage::Accumulator;
  if (n.op == Op::Scatter && n.sym2 == plan_.row) return Storage::Whole;
  if (!row_bound(node) || members(n.free).size() <= 1 || whole_.count(node)) return Storage::Whole;
  if (n.op == Op::Reduce && like_a_tensor(n.free)) return Storage::Whole;
  return Storage::Panel;
}

// Cheaply made of indices and extents alone?
bool Planner::of_positions(Id node) const {
  const ir::Node& n = g_.at(node);
  if (leaf(n.op)) return n.op != Op::Load;
  return !reaches_buffer(node) && !ir::transcendental(n.op) &&
         std::all_of(n.args.begin(), n.args.end(), [&](Id a) { return of_positions(a); });
}

// Would a step that computes it inside do so for each place of an index that it does not have? Where a walk is done a chunk at a
// time, what the walked index does not change is computed once (Lowering::once_a_chunk).
bool Planner::made_again(const Step& step, IndexSet free) const {
  if (step.domain.size() < 3 || step.kind == StepKind::Scatter) return false;
  const IndexSet domain = set_of(step.domain);
  if (free & ~domain) return false;  // of a reduction inside, which is there for all of them or none
  IndexSet others = domain & ~free;
  if (step.over == kNone || step.over == step.domain.back()) others &= ~ir::bit(step.domain[step.domain.size() - 2]);
  return others != 0;
}

// Does it take a root or a transcendental function of what is in memory, for each place of some index?
bool Planner::dear(Id node) const {
  if (auto it = dear_.find(node); it != dear_.end()) return it->second;
  const ir::Node& n = g_.at(node);
  const bool itself = n.free && (ir::transcendental(n.op) || n.op == Op::Sqrt || n.op == Op::ZeroRecip);
  return dear_[node] = !in_memory(n.op) && (itself || std::any_of(n.args.begin(), n.args.end(), [&](Id a) { return dear(a); }));
}

// Is all that a step of all rows would read, to compute this in place, there for all of them?
bool Planner::of_all_rows(Id node) const {
  const ir::Node& n = g_.at(node);
  const auto operands = [&] { return std::all_of(n.args.begin(), n.args.end(), [&](Id a) { return of_all_rows(a); }); };
  if (n.op == Op::At) {
    bool places = true;
    for (Id at : lookups_of(g_, node)) places = places && of_all_rows(g_.at(at).args[1]);
    return places && storage_of(looked_up_in(g_, node)) != Storage::Panel;
  }
  if (n.op == Op::Reduce && chunk_inline(node)) return storage_of(node) != Storage::Panel && operands();
  if (in_memory(n.op) || (n.op != Op::Load && whole_.count(node))) return storage_of(node) != Storage::Panel;
  return operands();
}

// Is the node kept in a buffer that this step reads, rather than computed inside it?
bool Planner::boundary(const Kernel& k, Id node) const {
  const ir::Node& n = g_.at(node);
  const bool all_rows = at_once(k.step.nodes[0]) || (k.loop >= 0 && !k.in_loop);
  if (n.op == Op::Load || n.op == Op::At) return all_rows && whole_.count(node) && !of_all_rows(node);
  if (leaf(n.op) || within_.count(node)) return false;
  if (ir::makes_index(n.op) || n.op == Op::After || n.op == Op::WholeByHand || whole_.count(node) || summed_.count(node))
    return true;  // in memory in any case
  if (n.op == Op::Reduce) {
    if (k.step.kind == StepKind::Scatter) return true;  // it goes row by row, in whatever order the keys are
    // A kernel computes it for places of its own loop: not for those of another reduction inside, whose operand it is.
    const bool in_loop = !(n.free & ~set_of(k.step.domain));
    const bool wide_enough = !k.step.domain.empty() && (n.free & ir::bit(k.step.domain.back()));
    return !(in_loop && wide_enough && k.step.domain.size() >= 2 && chunk_inline(node) && !made_again(k.step, n.free));
  }
  if (auto it = shared_.find(k.pass); it != shared_.end() && k.in_loop && it->second.count(node)) return true;
  if (k.step.domain.empty() || (all_rows && storage_of(node) == Storage::Panel)) return false;
  // A place made of indices alone is made again; and in memory it would not be seen to be within what is looked up there
  // (Settler::under_fresh_name).
  if (n.type == ir::Type::Int && of_positions(node)) return false;
  // Stored, it would be there for all places of the loop.
  if ((n.free & places_of(k)) && of_positions(node)) return false;
  // What is the same at each place is made before the loop, if that is dear (the matrix that Sinkhorn's iterations scale).
  if (n.free && places_of(k) && !(n.free & places_of(k)) && !n.carried && n.type == ir::Type::Float && dear(node)) return true;
  const IndexSet inner = ir::bit(k.step.domain.back());
  if ((n.free & inner) && members(n.free).size() >= 2 && n.type == ir::Type::Float && made_again(k.step, n.free) && dear(node)) return true;
  // What the vectorised index does not touch is computed once per row, not once per element; in a loop over rows alone
  // only what some earlier step left in memory is worth a buffer (a number for all rows).
  if (k.step.domain.size() >= 2 && !(n.free & inner)) return n.free != 0 || reaches_buffer(node);
  if (!n.free) return reaches_buffer(node);
  const bool rows_here = plan_.row != kNone && (set_of(k.step.domain) & ir::bit(plan_.row));
  return k.step.domain.size() >= 2 && rows_here && !row_bound(node) && ir::transcendental(g_.at(node).op);
}

}  // namespace lossc::plan
