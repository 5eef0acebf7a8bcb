#include "planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace lossc::plan {

using ir::IndexSet;
using ir::kNone;
using ir::Op;
using ir::ReduceKind;
using ir::Type;

namespace {

std::vector<Id> members(IndexSet set) {
  std::vector<Id> out;
  for (Id k = 0; k < 64; k++)
    if (set & (IndexSet{1} << k)) out.push_back(k);
  return out;
}
IndexSet set_of(const std::vector<Id>& list) {
  IndexSet s = 0;
  for (Id k : list) s |= ir::bit(k);
  return s;
}
bool leaf(Op op) {
  return op == Op::Const || op == Op::Param || op == Op::Index || op == Op::Extent || op == Op::Load;
}
Elem elem_of(Type t) { return t == Type::Float ? Elem::Float : t == Type::Int ? Elem::Int32 : Elem::UInt8; }

}  // namespace

Planner::Planner(const Program& program, std::map<int, std::set<Id>> shared)
    : program_(program), g_(plan_.graph), shared_(std::move(shared)) {
  plan_.program = &program;
  plan_.graph = program.graph;
}

// ---- facts about nodes -----------------------------------------------------------------------------------------

// Rows of the loss, or, for a total, the outermost index it sums over; of several the one that most wide values have, for
// what is not cut into panels is stored whole.
Id Planner::choose_row(const std::vector<Id>& roots) const {
  if (!program_.rows.empty()) return program_.rows[0];
  std::vector<Id> sums;
  std::set<Id> seen;
  std::function<void(Id)> collect = [&](Id node) {
    if (!seen.insert(node).second) return;
    const ir::Node& n = g_.at(node);
    if (n.op == Op::Reduce) return sums.push_back(n.sym);
    for (Id a : n.args)
      if (g_.type(a) == Type::Float) collect(a);
  };
  collect(roots[0]);
  std::map<Id, int> wide;
  for (Id node : ir::topological(g_, roots)) {
    const std::vector<Id> free = members(g_.free(node));
    if (free.size() < 2 || like_a_tensor(g_.free(node))) continue;
    for (Id k : free) wide[k]++;
  }
  auto best = std::max_element(sums.begin(), sums.end(), [&](Id a, Id b) { return wide[a] < wide[b]; });
  return best == sums.end() ? kNone : *best;
}

bool Planner::needs_every_row(Id node) const {
  const ir::Node& n = g_.at(node);
  if (plan_.row == kNone) return false;
  return (n.op == Op::Reduce || n.op == Op::Scatter || n.op == Op::At || ir::whole_axis(n.op)) && n.sym == plan_.row;
}

// Passes, as late as the users allow: what a wide loop computes is then computed where it is used, and a cheap sum over
// rows that it needs (the divisor of a mean) gets a loop of its own before. As early as possible would read given
// logits twice: statistics in the first loop, gradient in the second.
//
// A value that does not depend on the row is ready "before loop p"; one that does is ready "in loop p".
void Planner::choose_passes(const std::vector<Id>& roots) {
  const std::vector<Id> order = ir::topological(g_, roots);
  std::map<Id, int> early;
  for (Id node : order) {
    int p = 0;
    for (Id a : g_.at(node).args) p = std::max(p, early[a]);
    early[node] = p + (needs_every_row(node) ? 1 : 0);
  }
  int last = 0;  // the last loop
  for (size_t k = 0; k < roots.size(); k++) {
    const bool in_loop = row_bound(roots[k]) || (k > 0 && root_rows_[k]);
    last = std::max(last, in_loop ? early[roots[k]] : early[roots[k]] - 1);
  }
  auto lower = [&](Id node, int p) {
    auto [it, fresh] = pass_.try_emplace(node, p);
    if (!fresh) it->second = std::min(it->second, p);
  };
  for (size_t k = 0; k < roots.size(); k++) lower(roots[k], row_bound(roots[k]) || root_rows_[k] ? last : last + 1);
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const ir::Node& n = g_.at(*it);
    for (size_t k = 0; k < n.args.size(); k++) {
      const bool complete = needs_every_row(*it) && (k == 0 || n.op != Op::At);
      // A row-free value that is read nowhere but in the loop of pass p is made before that loop.
      lower(n.args[k], pass_[*it] - (complete ? 1 : 0));
    }
  }
  gather_readers(order, early);
}

// A wide matrix lives in one loop: whoever reads it does so there, if its other operands are ready, however late its
// own users would allow. Otherwise the matrix would be computed once more for it.
void Planner::gather_readers(const std::vector<Id>& order, const std::map<Id, int>& early) {
  std::function<void(Id, int)> settle = [&](Id node, int p) {
    if (pass_.at(node) <= p) return;
    pass_[node] = p;
    const ir::Node n = g_.at(node);
    for (size_t k = 0; k < n.args.size(); k++)
      settle(n.args[k], p - (needs_every_row(node) && (k == 0 || n.op != Op::At) ? 1 : 0));
  };
  for (Id node : order) {
    if (!row_bound(node)) continue;
    for (Id a : g_.at(node).args) {
      const IndexSet free = g_.free(a);
      const bool wide = row_bound(a) && members(free).size() >= 2 && reaches_buffer(a) && !like_a_tensor(free);
      if (wide && pass_.at(a) < pass_.at(node) && early.at(node) <= pass_.at(a)) settle(node, pass_.at(a));
    }
  }
}

int Planner::pass_of(Id node) const { return pass_.at(node); }

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

bool Planner::reaches_buffer(Id node) const {
  if (auto it = reaches_.find(node); it != reaches_.end()) return it->second;
  const ir::Node& n = g_.at(node);
  const bool yes = n.op == Op::Reduce || n.op == Op::At || n.op == Op::Scatter || ir::whole_axis(n.op) ||
                   std::any_of(n.args.begin(), n.args.end(), [&](Id a) { return reaches_buffer(a); });
  return reaches_[node] = yes;
}

// A reduction over a short inner axis of given data, computed again where it is used, a chunk of the vectorised axis at a
// time, and never stored: if the result is as wide as the vectorised axis (softmax over the classes of a pixel), or wider
// than any tensor (distance of two points of a set of sets, over the coordinates).
bool Planner::chunk_inline(Id reduce) const {
  const ir::Node& n = g_.at(reduce);
  const IndexSet domain = n.free | ir::bit(n.sym);
  if (n.sym == plan_.row || members(domain).size() < 3) return false;
  if (like_a_tensor(domain)) return natural_order(domain).back() != n.sym;
  return members(n.free).size() >= 3 && !like_a_tensor(n.free) && !reaches_buffer(n.args[0]);
}

// Outermost first: as in a tensor over these axes; without one, rows first, then in order of declaration.
std::vector<Id> Planner::natural_order(IndexSet set) const {
  const std::vector<Id> all = members(set);
  for (const ir::Tensor& t : g_.tensors) {
    std::vector<Id> order, left = all;
    for (Id d : t.dims) {
      auto it = std::find_if(left.begin(), left.end(), [&](Id k) { return g_.indices[k].axis == g_.indices[d].axis; });
      if (it == left.end()) continue;
      order.push_back(*it);
      left.erase(it);
    }
    if (left.empty() && order.size() == all.size() && t.dims.size() >= all.size()) return order;
  }
  std::vector<Id> order = all;
  std::stable_sort(order.begin(), order.end(), [&](Id a, Id b) { return (a == plan_.row) > (b == plan_.row); });
  return order;
}

Layout Planner::default_layout(Id node) const {
  const IndexSet free = g_.free(node);
  if (g_.at(node).op == Op::Scatter) return {false, natural_order(free)};  // its rows come in any order
  if (ir::whole_axis(g_.at(node).op)) return walk_layout(free, g_.at(node).sym2);
  if (auto it = tiles_.find(free); it != tiles_.end()) return it->second;
  return {false, natural_order(free)};
}

// What a walk reads and writes: the index walked innermost, in one piece.
Layout Planner::walk_layout(IndexSet free, Id index) const {
  std::vector<Id> order = natural_order(free & ~ir::bit(index));
  order.push_back(index);
  return {false, order};
}

// Which index pairs live in tiles, and with which index as the column: forced by the contractions they take part in.
void Planner::choose_tiles(const std::vector<Id>& roots) {
  for (Id node : ir::topological(g_, roots)) {
    const ir::Node& n = g_.at(node);
    if ((n.op == Op::At || ir::whole_axis(n.op)) && n.sym == plan_.row) whole_.insert(n.args[0]);
    Contraction c;
    if (!match_contraction(g_, node, &c)) continue;
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
  if (ir::whole_axis(n.op) && (needs_every_row(node) || n.sym2 == plan_.row)) return Storage::Whole;
  if (needs_every_row(node) && n.op != Op::At) return Storage::Accumulator;
  if (!row_bound(node) || members(n.free).size() <= 1 || whole_.count(node)) return Storage::Whole;
  if (n.op == Op::Reduce && like_a_tensor(n.free)) return Storage::Whole;
  return Storage::Panel;
}

// ---- building --------------------------------------------------------------------------------------------------

int Planner::add_buffer(Buffer b) {
  plan_.buffers.push_back(std::move(b));
  return static_cast<int>(plan_.buffers.size()) - 1;
}

int Planner::input(Id tensor) {
  auto [it, fresh] = inputs_.try_emplace(tensor, -1);
  if (fresh) {
    const ir::Tensor& t = g_.tensors[tensor];
    it->second = add_buffer({.name = t.name, .storage = Storage::Input, .elem = elem_of(t.type), .tensor = tensor,
                             .layout = {false, t.dims}});
  }
  return it->second;
}

// The buffer that holds `node` for a step of `pass`, made if need be (its own operands first, so that the lists of
// steps come out in order).
int Planner::require(Id node, int pass, const Layout* want) {
  const Storage storage = storage_of(node);
  const Layout layout = want ? *want : default_layout(node);
  const int key_pass = storage == Storage::Panel ? pass : -1;
  auto key = std::make_tuple(node, layout.order, layout.tiled, key_pass);
  if (auto it = made_.find(key); it != made_.end()) return it->second;
  if (!want)  // a reader takes whatever layout exists
    for (const auto& [k, b] : made_)
      if (std::get<0>(k) == node && std::get<3>(k) == key_pass) return b;
  Buffer b{.name = fmt::format("b{}", plan_.buffers.size()), .storage = storage, .elem = elem_of(g_.type(node)),
           .node = node, .layout = layout};
  if (g_.at(node).op == Op::Reduce) b.merge = g_.at(node).kind;
  const int id = add_buffer(b);
  made_[key] = id;
  const int at = storage == Storage::Panel ? pass : storage == Storage::Accumulator ? pass_of(node) - 1 : pass_of(node);
  build(node, id, at);
  return id;
}

void Planner::read(Kernel& k, int buffer) {
  auto& reads = k.step.reads;
  if (std::find(reads.begin(), reads.end(), buffer) == reads.end()) reads.push_back(buffer);
}

void Planner::add_step(Kernel k) {
  if (plan_.passes.size() <= static_cast<size_t>(k.pass)) plan_.passes.resize(k.pass + 1);
  auto& list = k.in_loop ? plan_.passes[k.pass].panel : plan_.passes[k.pass].once;
  list.push_back(static_cast<int>(plan_.steps.size()));
  plan_.steps.push_back(std::move(k.step));
}

// Rows of a panel cannot be columns of a tile (panels do not end on tile borders). A second, transposed copy of a whole
// matrix is therefore made between the loops, from the first.
void Planner::build_transposed(Id node, int buffer, int pass) {
  const Layout layout = plan_.buffers[buffer].layout;
  const Layout first{true, {layout.order[1], layout.order[0]}};
  Kernel k{.step = {.domain = layout.order, .tiled = true, .outputs = {buffer}, .nodes = {node}}, .pass = pass + 1,
           .in_loop = false};
  read(k, require(node, pass, &first));
  k.step.text = "transposed " + ir::print(g_, node, 4);
  add_step(std::move(k));
}

// A product is written in tiles; who wants it otherwise gets a copy.
void Planner::build_copy(Id node, int buffer, int pass) {
  Kernel k{.step = {.domain = plan_.buffers[buffer].layout.order, .outputs = {buffer}, .nodes = {node}}, .pass = pass,
           .in_loop = row_bound(node)};
  const Layout tiles = default_layout(node);
  read(k, require(node, pass, &tiles));
  k.step.text = "in rows " + ir::print(g_, node, 4);
  add_step(std::move(k));
}

void Planner::build(Id node, int buffer, int pass) {
  const Layout& wanted = plan_.buffers[buffer].layout;
  if (wanted.tiled && wanted.order[1] == plan_.row && row_bound(node)) return build_transposed(node, buffer, pass);
  Contraction c;
  if (match_contraction(g_, node, &c)) {
    if (wanted.tiled) return build_contraction(node, buffer, pass, c);
    return build_copy(node, buffer, pass);
  }
  const ir::Node n = g_.at(node);
  if (n.op == Op::Reduce) return build_reduce(node, buffer, pass);
  if (ir::whole_axis(n.op)) return build_walk(node, buffer, pass);
  const Layout layout = plan_.buffers[buffer].layout;
  Kernel k{.step = {.outputs = {buffer}, .nodes = {node}}, .pass = pass, .in_loop = row_bound(node)};
  if (n.op == Op::Scatter) {
    k.step.kind = StepKind::Scatter;
    k.step.over = n.sym;
    k.step.accumulates = n.sym == plan_.row;
    k.in_loop |= k.step.accumulates;
    k.step.domain = natural_order(g_.free(n.args[0]) | ir::bit(n.sym));
    scan(k, n.args[0], true);
    scan(k, n.args[1], false);  // an order is kept in memory, not computed inside
  } else {
    k.step.domain = layout.order;
    k.step.tiled = layout.tiled;
    scan(k, node, true);
  }
  k.step.text = ir::print(g_, node, 5);
  add_step(std::move(k));
}

// A contraction's operand in tiles. A plain twin lookup is the same memory under another index name.
int Planner::operand(Id node, int pass, Id row, Id column) {
  const ir::Node n = g_.at(node);
  if (n.op == Op::At && g_.plain_index(n.args[1]) != kNone && g_.type(n.args[0]) == Type::Float) {
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
  const Layout operand = walk_layout(g_.free(from), n.sym);
  if (rank) pass_.try_emplace(from, pass_of(node));
  Kernel k{.step = {.kind = StepKind::Walk, .domain = operand.order, .over = n.sym, .outputs = {buffer}, .nodes = {node}},
           .pass = pass, .in_loop = plan_.row != kNone && n.sym != plan_.row && row_bound(node)};
  read(k, require(from, pass, &operand));
  k.step.text = ir::print(g_, node, 5);
  add_step(std::move(k));
}

// The loop of a reduction goes through tiles if what it reads is kept in tiles over the same indices; given data is
// read in its own order (a column sum of an input walks rows, whatever its standardised form is kept in).
void Planner::build_reduce(Id node, int buffer, int pass) {
  const ir::Node n = g_.at(node);
  const IndexSet domain = n.free | ir::bit(n.sym);
  const bool in_loop = plan_.row != kNone && (domain & ir::bit(plan_.row));
  const bool accumulates = n.sym == plan_.row;
  const bool selects = n.kind == ReduceKind::ArgMax || n.kind == ReduceKind::ArgMin;
  if (accumulates && selects)
    throw DefinitionError(fmt::format("loss '{}': `{}` selects among the rows that are cut into panels; not supported yet",
                                      program_.name, ir::print(g_, node, 4)));
  Kernel k;
  auto tile = tiles_.find(domain);
  // Into tiles the columns of the result are what is vectorised.
  const Layout out = plan_.buffers[buffer].layout;
  const std::vector<Id> linear = out.tiled ? std::vector<Id>{out.order[0], n.sym, out.order[1]} : natural_order(domain);
  for (bool tiled : {false, true}) {
    k = Kernel{.step = {.kind = StepKind::Reduce, .over = n.sym, .accumulates = accumulates, .outputs = {buffer}, .nodes = {node}},
               .pass = pass, .in_loop = in_loop};
    k.step.tiled = tiled;
    k.step.domain = tiled ? tile->second.order : linear;
    scan(k, n.args[0], false);
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
                                           .elem = elem, .node = node, .layout = {false, rest}, .scratch = true}));
    };
    lanes(elem_of(g_.type(n.args[0])));
    if (selects) lanes(Elem::Int32);
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
  scan(k, node, false);
  k.step.text = name + " = " + ir::print(g_, node, 5);
  add_step(std::move(k));
}

// Walks an expression down to what it reads.
void Planner::scan(Kernel& k, Id node, bool root) {
  if (!k.seen.insert(node).second) return;
  const ir::Node n = g_.at(node);
  if (n.op == Op::Load) read(k, input(n.sym));
  if (n.op == Op::At) {
    read(k, require(n.args[0], k.pass));
    return scan(k, n.args[1], false);
  }
  if (!root && boundary(k, node)) return read(k, require(node, k.pass));
  if (ir::transcendental(g_.at(node).op) && k.step.domain.size() == 2 && members(n.free).size() == 2 && k.in_loop)
    inlined_[k.pass][node].insert(k.step.outputs[0]);
  for (Id a : n.args) scan(k, a, false);
}

// Is the node kept in a buffer that this step reads, rather than computed inside it?
bool Planner::boundary(const Kernel& k, Id node) const {
  const ir::Node& n = g_.at(node);
  if (leaf(n.op)) return false;
  if (n.op == Op::Scatter || ir::whole_axis(n.op) || whole_.count(node)) return true;  // in memory in any case
  if (n.op == Op::Reduce) {
    const bool wide_enough = !k.step.domain.empty() && (n.free & ir::bit(k.step.domain.back()));
    return !(wide_enough && k.step.domain.size() >= 2 && chunk_inline(node));
  }
  if (auto it = shared_.find(k.pass); it != shared_.end() && k.in_loop && it->second.count(node)) return true;
  if (k.step.domain.empty()) return false;
  const IndexSet inner = ir::bit(k.step.domain.back());
  // What the vectorised index does not touch is computed once per row, not once per element; in a loop over rows alone
  // only what some earlier step left in memory is worth a buffer (a number for all rows).
  if (k.step.domain.size() >= 2 && !(n.free & inner)) return n.free != 0 || reaches_buffer(node);
  if (!n.free) return reaches_buffer(node);
  const bool rows_here = plan_.row != kNone && (set_of(k.step.domain) & ir::bit(plan_.row));
  return k.step.domain.size() >= 2 && rows_here && !row_bound(node) && ir::transcendental(g_.at(node).op);
}

Plan Planner::run() {
  std::vector<Id> roots{program_.loss, program_.loss_rows};
  for (const Gradient& gr : program_.gradients) roots.push_back(gr.node);
  for (const NamedOutput& o : program_.outputs) roots.push_back(o.node);
  roots = normalise_contractions(g_, roots);
  plan_.row = choose_row(roots);
  choose_tiles(roots);
  root_rows_ = {false, true};
  for (const Gradient& gr : program_.gradients)
    root_rows_.push_back(plan_.row != kNone && (set_of(g_.tensors[gr.tensor].dims) & ir::bit(plan_.row)));
  for (const NamedOutput& o : program_.outputs)
    root_rows_.push_back(plan_.row != kNone && (set_of(o.indices) & ir::bit(plan_.row)));
  if (program_.rows.empty()) root_rows_[1] = false;
  choose_passes(roots);
  build_root(roots[0], 0, {}, "loss");
  build_root(roots[1], 1, program_.rows, "loss_rows");
  Id at = 2;
  for (const Gradient& gr : program_.gradients) {
    const ir::Tensor t = g_.tensors[gr.tensor];
    build_root(roots[at], at, t.dims, "d_" + t.name);
    at++;
  }
  for (const NamedOutput& o : program_.outputs) {
    build_root(roots[at], at, o.indices, o.name);
    at++;
  }
  drop_unused();
  for (Pass& p : plan_.passes) merge_list(p.once), merge_list(p.panel);
  drop_unused();
  keep_in_chunks();
  assign_slots();
  return std::move(plan_);
}

std::map<int, std::set<Id>> Planner::worth_sharing(const ir::Graph& graph) const {
  std::map<int, std::set<Id>> out;
  for (const auto& [pass, nodes] : inlined_) {
    for (const auto& [node, steps] : nodes) {
      if (steps.size() < 2) continue;
      // Covered by a stored node above it in every step that uses it: then it is not computed twice.
      bool covered = false;
      for (const auto& [above, its] : nodes) {
        if (above == node || its.size() < 2 || !std::includes(its.begin(), its.end(), steps.begin(), steps.end())) continue;
        const auto below = ir::topological(graph, {above});
        covered |= std::find(below.begin(), below.end(), node) != below.end();
      }
      if (!covered) out[pass].insert(node);
    }
  }
  return out;
}

Plan make_plan(const Program& program) {
  // Which nodes several steps would compute is known only once the steps are: so once to find out, once for good.
  Planner scout(program, {});
  const Plan first = scout.run();
  auto shared = scout.worth_sharing(first.graph);
  return Planner(program, std::move(shared)).run();
}

}  // namespace lossc::plan
