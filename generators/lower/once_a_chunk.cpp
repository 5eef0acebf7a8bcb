// What a kernel computes once for a chunk of its vectorised index, as Funcs of their own: see schedules::Chunked.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "expression.h"
#include "left.h"

namespace lossc::lower {

using Halide::Expr;
using ir::Id;
using ir::kNone;
using ir::Op;

namespace {

std::vector<Halide::Var> vars_of(const std::vector<Expr>& list) {
  std::vector<Halide::Var> out;
  for (const Expr& e : list) out.emplace_back(e.as<Halide::Internal::Variable>()->name);
  return out;
}

}  // namespace

// Kernels that walk one index several times for each chunk of the next (the last): see Step::kept. Maps also do so for what
// they reduce themselves.
bool Lowering::chunks() const {
  const plan::Step& s = reader.step;
  if (s.tiled || (s.over != kNone && s.over != s.domain.back())) return false;
  if (s.domain.size() >= 3) return true;
  const auto walk = [&](const auto& known) { return known.second && reader.g.at(known.first).op == Op::Reduce; };
  return s.domain.size() == 2 && s.over == kNone && std::any_of(reduces_.begin(), reduces_.end(), walk);
}

// A value that a walk does not change although it comes out of one: 1 / sum over the classes, for the pixel.
bool Lowering::once_a_chunk(Id node) const {
  const ir::Node& n = reader.g.at(node);
  const auto& domain = reader.step.domain;
  const auto has = [&](Id index) { return (n.free >> index & 1) != 0; };
  const auto it = reduces_.find(node);
  ir::IndexSet around = 0;
  for (Id k : domain) around |= ir::IndexSet{1} << k;
  if (n.free & ~around) return false;  // it changes with what an inner reduction runs over
  return n.op != Op::Reduce && it != reduces_.end() && it->second && has(domain.back()) && !has(domain[domain.size() - 2]);
}

// Weights and masks of the rows: dense, or a stand-in of stride 0. Read once a chunk, they need no version of the loops.
bool Lowering::stands_in(Id node) const {
  const ir::Node& n = reader.g.at(node);
  return n.op == Op::Load && reader.g.tensors[n.sym].role == ir::TensorRole::Implicit && !n.args.empty() &&
         reader.g.plain_index(n.args.back()) == reader.step.domain.back();
}

bool Lowering::dear(Id node) const {
  const Op op = reader.g.at(node).op;
  return op == Op::Div || op == Op::ZeroRecip || op == Op::Sqrt || ir::transcendental(op);
}

size_t Lowering::new_inner(Id node, bool heap, Positions* here) {
  const size_t id = inner.size();
  const ir::IndexSet free = reader.g.free(node);
  const Id along = reader.step.domain.back();
  inner.push_back({Halide::Func(fmt::format("inner{}", id)), {}, stage, heap});
  if (free >> along & 1) inner[id].indices.push_back(along);
  // The walked index next to the chunk, the rows outside.
  for (size_t k = reader.step.domain.size(); k-- > 0;)
    if (const Id index = reader.step.domain[k]; index != along && (free >> index & 1)) inner[id].indices.push_back(index);
  for (Id k : inner[id].indices) {
    Halide::Var v(fmt::format("v{}_{}", id, k));
    (*here)[k] = {v, Expr(), Expr(), past_end && k == along};
  }
  return id;
}

void Lowering::define_reduction(size_t id, Id node, Positions here) {
  const ir::Node n = reader.g.at(node);
  std::vector<Expr> at_vars;
  for (Id k : inner[id].indices) at_vars.push_back(here.at(k).value);
  Halide::RDom r(0, extent(n.sym), fmt::format("r{}", id));
  here[n.sym] = {r.x, Expr(), Expr()};
  std::vector<Expr> body{stored(value(n.args[0], here))};
  if (selects(n.kind)) body.push_back(r.x);
  Halide::Func f = inner[id].f;
  f(vars_of(at_vars)) = Halide::Tuple(start(n.kind, body[0].type()));
  std::vector<Expr> acc;
  for (size_t k = 0; k < body.size(); k++) acc.push_back(body.size() == 1 ? Expr(f(at_vars)) : Expr(f(at_vars)[k]));
  f(vars_of(at_vars)) = Halide::Tuple(combine(n.kind, acc, body));
}

void Lowering::define_value(size_t id, Id node, const Positions& here) {
  std::vector<Expr> at_vars;
  for (Id k : inner[id].indices) at_vars.push_back(here.at(k).value);
  Halide::Func f = inner[id].f;
  f(vars_of(at_vars)) = left_behind(node, stored(compute(node, here)), here);
}

// The value, also left where the step leaves it.
Expr Lowering::left_behind(Id node, const Expr& value, const Positions& at) {
  const auto it = reader.step.left.find(node);
  if (it == reader.step.left.end()) return value;
  leaves = images_.at(it->second).dim(0).extent() > 0;
  return leave(value, load(it->second, at), leaves);
}

std::vector<schedules::Chunked> Lowering::chunked() const {
  std::vector<schedules::Chunked> out;
  const auto& domain = reader.step.domain;
  const Id walked = domain.size() >= 2 ? domain[domain.size() - 2] : kNone;
  for (const Inner& in : inner) {
    const bool every = !in.heap && std::find(in.indices.begin(), in.indices.end(), walked) != in.indices.end();
    const bool along = !in.indices.empty() && in.indices[0] == domain.back();
    out.push_back({in.f, along, every, in.stage});
  }
  // What one that is there before the walk reads is there before it, too.
  for (bool moved = true; moved;) {
    moved = false;
    for (const schedules::Chunked& user : out) {
      if (user.every) continue;
      const auto reads = Halide::Internal::find_direct_calls(user.f.function());
      for (schedules::Chunked& c : out)
        if (c.every && reads.count(c.f.name())) c.every = false, moved = true;
    }
  }
  return out;
}

// Memory sees one chunk of each class after another; what a kept value reads of the caller's tensors in the order of the
// loop is fetched a chunk ahead, while the exponentials keep the core busy.
void Lowering::fetch_ahead(size_t id, Id node) {
  const auto& domain = reader.step.domain;
  std::set<int> found;
  for (Id each : ir::topological(reader.g, {node})) {
    const ir::Node& n = reader.g.at(each);
    if (n.op != Op::Load || n.args.size() != domain.size()) continue;
    bool plain = true;
    for (size_t k = 0; k < domain.size(); k++) plain = plain && reader.g.plain_index(n.args[k]) == domain[k];
    const int b = reader.buffer_of_tensor(n.sym);
    if (plain && b >= 0) found.insert(b);
  }
  for (int b : found) {
    ahead.push_back({inner[id].f.name(), images_.at(b).name(), chunk});
    // What the walk after it writes: a store to a line that is not there waits for it, and others behind it.
    for (const auto& out : written) ahead.push_back({inner[id].f.name(), images_.at(b).name(), 0, out, static_cast<int>(domain.size())});
  }
}

// What all walks read, such as the labels of pixels.
void Lowering::fetch_rest_ahead() {
  const auto& domain = reader.step.domain;
  std::set<int> found;
  reader.walk([&](Id node) {
    const ir::Node& n = reader.g.at(node);
    if (n.op != Op::Load || reader.buffer_of(node) >= 0 || n.args.empty() || n.args.size() >= domain.size()) return;
    if (reader.g.plain_index(n.args.back()) == domain.back()) found.insert(reader.buffer_of_tensor(n.sym));
  });
  for (int b : found) ahead.push_back({"", images_.at(b).name(), chunk});
}

// The node as a Func of its own, over its free indices.
Expr Lowering::from_inner(Id node, const Positions& at) {
  const ir::Node n = reader.g.at(node);
  auto [it, fresh] = inner_of_.try_emplace({node, stage}, 0);
  if (fresh) {
    const bool keep = std::find(reader.step.kept.begin(), reader.step.kept.end(), node) != reader.step.kept.end();
    Positions here;
    const bool walking = std::exchange(walking_, n.op == Op::Reduce || keep);
    // Its operands may need Funcs of their own, which come first: producers before consumers.
    const size_t id = new_inner(node, keep, &here);
    n.op == Op::Reduce ? define_reduction(id, node, here) : define_value(id, node, here);
    walking_ = walking;
    inner_of_[{node, stage}] = id;
    if (keep) fetch_ahead(id, node);
  }
  const Inner& f = inner[inner_of_.at({node, stage})];
  std::vector<Expr> args;
  for (Id k : f.indices) args.push_back(at.at(k).value);
  Halide::Func func = f.f;
  Expr e = selects(n.kind) && n.op == Op::Reduce ? Expr(func(args)[1]) : Expr(func(args));
  return n.type == ir::Type::Bool ? e != 0 : e;
}

}  // namespace lossc::lower
