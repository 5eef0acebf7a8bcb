// The steps themselves: a node and the layout wanted of it become a kernel, or a step of the runtime, and what that reads.
#include "planner.h"

#include <fmt/format.h>

#include <algorithm>

namespace lossc::plan {

using ir::IndexSet;
using ir::kNone;
using ir::Op;
using ir::ReduceKind;
using ir::Type;

namespace {

Elem elem_of(Type t) { return t == Type::Float ? Elem::Float : t == Type::Int ? Elem::Int32 : Elem::UInt8; }

// As many as the caller counts, or a number of the definition's; or as what follows from such: the places of a square window.
bool few_places(const ir::Graph& g, Id axis) {
  const Id length = g.axes[axis].length;
  return length != kNone && axes_of(g, length).empty();
}

}  // namespace

int Planner::add_buffer(Buffer b) {
  plan_.buffers.push_back(std::move(b));
  return static_cast<int>(plan_.buffers.size()) - 1;
}

int Planner::input(Id tensor) {
  if (g_.tensors[tensor].role == ir::TensorRole::Carried) return before_.at(tensor);
  auto [it, fresh] = inputs_.try_emplace(tensor, -1);
  if (fresh) {
    const ir::Tensor& t = g_.tensors[tensor];
    it->second = add_buffer({.name = t.name, .storage = Storage::Input, .elem = elem_of(t.type), .tensor = tensor,
                             .layout = {false, t.dims}});
  }
  return it->second;
}

// Where a value serves: what is kept of a panel, in its pass; what a step of a recurrence makes, in the loop at hand, for
// another pass may go through the same recurrence again; all else everywhere.
int Planner::made_for(Id node, Storage storage, int pass) const {
  const int loop = loop_of(node);
  return loop >= 0 ? kForAll - 1 - loop : storage == Storage::Panel ? pass : kForAll;
}

// The buffer that holds `node` for a step of `pass`, made if need be (its own operands first, so that the lists of
// steps come out in order).
int Planner::require(Id node, int pass, const Layout* want) {
  const Storage storage = storage_of(node);
  const Layout layout = want ? *want : default_layout(node);
  const int key_pass = made_for(node, storage, pass);
  auto key = std::make_tuple(node, layout.order, layout.tiled, key_pass);
  if (auto it = made_.find(key); it != made_.end()) return it->second;
  if (!want)  // a reader takes whatever layout exists
    for (const auto& [k, b] : made_)
      if (std::get<0>(k) == node && std::get<3>(k) == key_pass) return b;
  Buffer b{.name = fmt::format("b{}", plan_.buffers.size()), .storage = storage, .elem = elem_of(g_.type(node)),
           .node = node, .layout = layout};
  if (g_.at(node).op == Op::Reduce || g_.at(node).op == Op::Scatter) b.merge = g_.at(node).kind;
  const Layout written = written_layout(node, layout);
  const bool copy = written != layout;
  if (copy && storage == Storage::Accumulator) b.storage = Storage::Whole;  // of what is complete
  const int id = add_buffer(b);
  made_[key] = id;
  const int at = key_pass != kForAll ? pass : b.storage == Storage::Accumulator ? pass_of(node) - 1 : pass_of(node);
  if (copy)
    build_copy(node, id, at, written);
  else
    build(node, id, at);
  return id;
}

void Planner::read(Kernel& k, int buffer) {
  auto& reads = k.step.reads;
  if (std::find(reads.begin(), reads.end(), buffer) == reads.end()) reads.push_back(buffer);
}

// The list that a step belongs to.
std::vector<int>& Planner::list_of(const Kernel& k) {
  if (k.loop >= 0) return plan_.steps[k.loop].body;
  if (plan_.passes.size() <= static_cast<size_t>(k.pass)) plan_.passes.resize(k.pass + 1);
  return k.in_loop ? plan_.passes[k.pass].panel : plan_.passes[k.pass].once;
}

void Planner::add_step(Kernel k) {
  if (k.loop < 0) k.loop = loop_of(k.step.nodes[0]);
  if (k.loop >= 0) {
    k.step.places = plan_.steps[k.loop].places;
    k.step.places.push_back(plan_.steps[k.loop].over);
  }
  list_of(k).push_back(static_cast<int>(plan_.steps.size()));
  plan_.steps.push_back(std::move(k.step));
}

// The layout in which the node's own step writes it, where that cannot write the wanted one. A product is written in
// tiles; what comes in any order (a scatter) or through the runtime (a walk) is written in rows.
Layout Planner::written_layout(Id node, const Layout& wanted) const {
  if (columns_are_rows(node, wanted)) return {true, {wanted.order[1], wanted.order[0]}};
  const Layout own = default_layout(node);
  const ir::Node& n = g_.at(node);
  if (product(node, nullptr)) {
    if (!wanted.tiled) return own;
    // A whole matrix that is there the other way round is transposed, not multiplied out again (W'W, with either side's
    // derivative).
    const Layout other{true, {wanted.order[1], wanted.order[0]}};
    return !row_bound(node) && !n.carried && made_.count({node, other.order, true, kForAll}) ? other : wanted;
  }
  if (n.op == Op::Scatter) return wanted.tiled ? own : wanted;
  return ir::whole_axis(n.op) || n.op == Op::After || n.op == Op::WholeByHand ? own : wanted;
}

// Rows of a panel cannot be columns of a tile (panels do not end on tile borders). A second, transposed copy of a whole
// matrix is therefore made between the loops, from the first.
bool Planner::columns_are_rows(Id node, const Layout& layout) const {
  return layout.tiled && layout.order[1] == plan_.row && row_bound(node);
}

void Planner::build_copy(Id node, int buffer, int pass, const Layout& from) {
  const Layout to = plan_.buffers[buffer].layout;
  const bool transposed = columns_are_rows(node, to);
  Kernel k{.step = {.domain = to.order, .tiled = to.tiled, .outputs = {buffer}, .nodes = {node}},
           .pass = transposed ? pass + 1 : pass, .in_loop = !transposed && row_bound(node)};
  read(k, require(node, pass, &from));
  k.step.text = (transposed ? "transposed " : to.tiled ? "in tiles " : "in rows ") + ir::print(g_, node, 4);
  add_step(std::move(k));
}

void Planner::build(Id node, int buffer, int pass) {
  Contraction c;
  if (product(node, &c)) return build_contraction(node, buffer, pass, c);
  const ir::Node n = g_.at(node);
  if (n.op == Op::After) return build_scan(node, buffer, pass);
  if (n.op == Op::Reduce) return build_reduce(node, buffer, pass);
  if (ir::whole_axis(n.op)) return build_walk(node, buffer, pass);
  const Layout layout = plan_.buffers[buffer].layout;
  Kernel k{.step = {.outputs = {buffer}, .nodes = {node}}, .pass = pass, .in_loop = row_bound(node) && !at_once(node)};
  if (n.op == Op::Scatter) {
    k.step.kind = StepKind::Scatter;
    k.step.over = n.sym;
    k.step.accumulates = n.sym == plan_.row && !at_once(node);
    // Into rows: any of them may be pointed at, so all are made at once. Out of rows: each panel adds its own.
    k.in_loop = (k.in_loop && n.sym2 != plan_.row) || k.step.accumulates;
    k.step.domain = ordered(node, g_.free(n.args[0]) | g_.free(n.args[1]) | ir::bit(n.sym));
    find_reads(k, n.args[0], false);  // a sum over rows is kept in memory, and so is
    find_reads(k, n.args[1], false);  // an order: neither is computed inside
  } else {
    k.step.domain = layout.order;
    k.step.tiled = layout.tiled;
    find_reads(k, node, true);
  }
  k.step.text = ir::print(g_, node, 5);
  add_step(std::move(k));
}

// A contraction's operand in tiles. A plain twin lookup is the same memory under another index name; one in another lookup
// is not, for what that gives is in no memory of its own.
int Planner::operand(Id node, int pass, Id row, Id column) {
  const ir::Node n = g_.at(node);
  const bool in_memory = n.op == Op::At && looked_up_in(g_, node) == n.args[0];
  if (in_memory && g_.plain_index(n.args[1]) != kNone && g_.type(n.args[0]) == Type::Float) {
    const Id twin = g_.plain_index(n.args[1]);
    const Layout layout{true, {row == twin ? n.sym : row, column == twin ? n.sym : column}};
    return require(n.args[0], pass, &layout);
  }
  const Layout layout{true, {row, column}};
  return require(node, pass, &layout);
}

void Planner::build_contraction(Id node, int buffer, int pass, const Contraction& c) {
  const Layout out = plan_.buffers[buffer].layout;
  const bool a_rows = c.x == out.order[0];
  const Id a = a_rows ? c.a : c.b, b = a_rows ? c.b : c.a;
  const Id row = out.order[0], column = out.order[1];
  Kernel k{.step = {.domain = {row, column, c.k}, .tiled = true, .over = c.k, .outputs = {buffer}, .nodes = {node}},
           .pass = pass, .in_loop = row_bound(node) || c.k == plan_.row};
  k.step.accumulates = c.k == plan_.row;
  k.step.kind = k.step.accumulates ? StepKind::ContractTN : StepKind::ContractNN;
  const int left = k.step.accumulates ? operand(a, pass, c.k, row) : operand(a, pass, row, c.k);
  const int right = operand(b, pass, c.k, column);
  k.step.reads = {left, right};
  k.step.text = ir::print(g_, node, 4);
  add_step(std::move(k));
}

// A library step of the runtime: from the operand, in memory, to the result.
void Planner::build_walk(Id node, int buffer, int pass) {
  const ir::Node n = g_.at(node);
  // A rank is the order the other way round.
  const bool rank = n.op == Op::Order && n.value != 0;
  const Id from = rank ? g_.order(n.args[0], n.sym, n.sym, false) : n.args[0];
  const Layout operand = walk_layout(from, n.sym);
  if (rank) pass_.try_emplace(from, pass_of(node));
  Kernel k{.step = {.kind = StepKind::Walk, .domain = operand.order, .over = n.sym, .outputs = {buffer}, .nodes = {node}},
           .pass = pass, .in_loop = plan_.row != kNone && n.sym != plan_.row && row_bound(node) && !at_once(node)};
  read(k, require(from, pass, &operand));
  k.step.text = ir::print(g_, node, 5);
  add_step(std::move(k));
}

// The loop of a reduction goes through tiles if what it reads is kept in tiles over the same indices; given data is
// read in its own order (a column sum of an input walks rows, whatever its standardised form is kept in).
void Planner::build_reduce(Id node, int buffer, int pass) {
  const ir::Node n = g_.at(node);
  const IndexSet domain = n.free | ir::bit(n.sym);
  const bool of_all_rows = selects_row(node), in_panels = !at_once(node) && !of_all_rows;
  const bool in_loop = plan_.row != kNone && (domain & ir::bit(plan_.row)) && in_panels;
  const bool accumulates = n.sym == plan_.row && in_panels;
  // What is selected of all rows is made in a loop over them that is over by then, whatever it is.
  const bool from_memory = (of_all_rows && row_bound(n.args[0]) && !as_given(n.args[0])) || sums_walks(n);
  if (from_memory) summed_.insert(n.args[0]);
  Kernel k;
  auto tile = n.carried ? tiles_.end() : tiles_.find(domain);
  // Into tiles the columns of the result are what is vectorised.
  const Layout out = plan_.buffers[buffer].layout;
  std::vector<Id> linear = out.tiled ? std::vector<Id>{out.order[0], n.sym, out.order[1]} : ordered(node, domain);
  if (!out.tiled && linear.back() == n.sym) {  // a sum along the innermost index is written where its other loops are
    linear = out.order;
    linear.push_back(n.sym);
    // Of a few elements each sum is done in no time: lanes for all of them would be many times what they are made of.
    if (linear.size() >= 3 && few_places(g_, g_.indices[n.sym].axis)) std::swap(linear[linear.size() - 2], linear.back());
  }
  for (bool tiled : {false, true}) {
    k = Kernel{.step = {.kind = StepKind::Reduce, .over = n.sym, .accumulates = accumulates, .outputs = {buffer}, .nodes = {node}},
               .pass = pass, .in_loop = in_loop};
    k.step.tiled = tiled;
    k.step.domain = tiled ? tile->second.order : linear;
    if (from_memory)
      read(k, require(n.args[0], pass));
    else
      find_reads(k, n.args[0], false);
    auto in_tiles = [&](int b) {
      return plan_.buffers[b].layout.tiled && g_.free(plan_.buffers[b].node) == domain;
    };
    if (tile == tiles_.end() || std::none_of(k.step.reads.begin(), k.step.reads.end(), in_tiles)) break;
  }
  // Lane accumulators for every combination of the outer indices: more than registers hold, so they get memory.
  if (k.step.domain.back() == n.sym && k.step.domain.size() >= 3) {
    std::vector<Id> rest = k.step.domain;
    rest.pop_back();
    auto lanes = [&](Elem elem) {
      k.step.scratch.push_back(add_buffer({.name = fmt::format("lanes{}", plan_.buffers.size()), .storage = Storage::Panel,
                                           .elem = elem, .node = node, .layout = {false, rest}, .scratch = Scratch::Lanes}));
    };
    lanes(elem_of(g_.type(n.args[0])));
    if (selects(n.kind)) lanes(Elem::Int32);
  }
  k.step.text = ir::print(g_, node, 5);
  add_step(std::move(k));
}

void Planner::build_root(Id node, Id output, const std::vector<Id>& dims, const std::string& name) {
  const int buffer = add_buffer({.name = name, .storage = Storage::Output, .elem = elem_of(g_.type(node)), .node = node,
                                 .tensor = output, .layout = {false, dims}});
  const bool in_loop = plan_.row != kNone && (set_of(dims) & ir::bit(plan_.row));
  Kernel k{.step = {.domain = dims, .outputs = {buffer}, .nodes = {node}}, .pass = pass_of(node), .in_loop = in_loop};
  // Stops at once where the node itself is kept in a buffer: then the step is a copy into the caller's tensor.
  find_reads(k, node, false);
  k.step.text = name + " = " + ir::print(g_, node, 5);
  add_step(std::move(k));
}

// An operand of a step by hand, in rows: the caller's tensor as it stands, or stored for it.
int Planner::read_at_will(const ir::Node& step, size_t operand, int pass) {
  const Id node = step.args[operand];
  if (as_given(node)) return input(g_.at(node).sym);
  Layout rows{false, {}};
  for (Id d : g_.whole[static_cast<size_t>(step.sym2)].operands[operand])
    if (g_.free(node) & ir::bit(d)) rows.order.push_back(d);
  return require(node, pass, &rows);
}

// Walks an expression down to what it reads.
void Planner::find_reads(Kernel& k, Id node, bool root) {
  if (!k.seen.insert(node).second) return;
  const ir::Node n = g_.at(node);
  // At each place of a recurrence again: not out of tiles, which are for products.
  const bool again = g_.at(k.step.nodes[0]).carried != 0;
  const auto in_memory = [&](Id value) {
    const Layout rows = again ? Layout{false, default_layout(value).tiled ? natural_order(g_.free(value)) : default_layout(value).order} : Layout{};
    read(k, require(value, k.pass, again ? &rows : nullptr));
  };
  if (!root && boundary(k, node)) return in_memory(node);
  if (n.op == Op::Load) read(k, input(n.sym));
  if (n.op == Op::At) {
    for (Id at : lookups_of(g_, node)) find_reads(k, g_.at(at).args[1], false);
    return in_memory(looked_up_in(g_, node));
  }
  if (n.op == Op::WholeByHand) {
    for (size_t o = 0; o < n.args.size(); o++) read(k, read_at_will(n, o, k.pass));
    return;
  }
  if (ir::transcendental(g_.at(node).op) && k.step.domain.size() == 2 && members(n.free).size() == 2 && k.in_loop)
    inlined_[k.pass][node].insert(k.step.outputs[0]);
  for (Id a : n.args) find_reads(k, a, false);
}

}  // namespace lossc::plan
