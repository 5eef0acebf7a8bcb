// Map: every element on its own; and Scatter: rows taken in where their key points.
#include <fmt/format.h>

#include "../../schedules/loops.h"
#include "kernels.h"
#include "strict.h"

namespace lossc::lower {

using Halide::Expr;
using Halide::Func;
using Halide::Var;
using ir::Id;
using ir::kNone;
using plan::Storage;

void constrain_output(const Lowering& l, Func f, const std::vector<int>& buffers) {
  const auto images = f.output_buffers();
  for (size_t k = 0; k < images.size(); k++) {
    Halide::OutputImageParam image = images[k];
    const plan::Buffer& b = l.reader.plan.buffers[buffers[k]];
    if (b.layout.tiled || b.scratch != plan::Scratch::None) {
      image.dim(0).set_stride(1);
      if (k == 0) image.dim(0).set_bounds(0, l.tile);  // a tuple's buffers share their bounds
      if (b.layout.tiled) image.dim(1).set_stride(l.tile);
    } else if (b.storage == Storage::Output && image.dimensions() > 0) {
      image.dim(0).set_stride(Expr());
    }
  }
}

namespace {

bool reads_tiles_along(const Lowering& l, Id index) {
  for (int b : l.reader.step.reads) {
    const plan::Buffer& f = l.reader.plan.buffers[b];
    if (f.layout.tiled && l.reader.g.indices[f.layout.order[1]].axis == l.reader.g.indices[index].axis) return true;
  }
  return false;
}

// The caller's tensors may have any stride along the vectorised index; the fast versions of the loop are for dense ones.
Expr dense_outputs(const Lowering& l, Func f) {
  const auto images = f.output_buffers();
  Expr all;
  for (size_t k = 0; k < images.size(); k++) {
    if (l.reader.plan.buffers[l.reader.step.outputs[k]].storage != Storage::Output || images[k].dimensions() == 0) continue;
    Halide::OutputImageParam image = images[k];
    Expr here = image.dim(0).stride() == 1;
    all = all.defined() ? all && here : here;
  }
  return all;
}

// While exp and the like keep the cores busy, memory is idle: what is read is fetched meanwhile for the next panel, which
// is as many rows on as this call has, so that the pass over it that comes first (a maximum) finds it in the cache. Past
// the last row the address is nobody's; prefetching does not fault.
//
// Those exponentials are often written where an output is made of them in place, and waited for its lines, too. So the step that
// makes it, which leaves memory idle, fetches the next panel's: cross_entropy takes 1.52 times a copy rather than 1.60 at AVX2.
// With 64-byte vectors the exponentials do not keep the cores busy, and to have memory do one after the other takes longer: 1.54
// times rather than 1.42.
void fetch_next_panel(Lowering& l, Func f) {
  const StepReader& reader = l.reader;
  const std::vector<Id>& domain = reader.step.domain;
  const auto rows_on = [&](const Halide::OutputImageParam& image) { return image.dim(1).stride() * f.output_buffers()[0].dim(1).extent(); };
  if (reader.fetches_written() && l.isa.vector_bytes < 64) l.ahead.push_back({f.name(), f.name(), rows_on(f.output_buffers()[0])});
  if (!reader.computes(ir::transcendental)) return;
  std::set<int> matrices;
  reader.walk([&](Id node) {
    const ir::Node& n = reader.g.at(node);
    if (reader.buffer_of(node) >= 0 || n.op != ir::Op::Load || n.args.size() != 2) return;
    if (reader.g.plain_index(n.args[0]) == domain[0] && reader.g.plain_index(n.args[1]) == domain[1])
      matrices.insert(reader.buffer_of_tensor(n.sym));
  });
  for (int b : matrices) l.ahead.push_back({f.name(), l.image(b).name(), rows_on(l.image(b))});
}

std::vector<Expr> values(Lowering& l, const Positions& at) {
  std::vector<Expr> out;
  for (Id n : l.reader.step.nodes) out.push_back(l.stored(l.value(n, at)));
  return out;
}

Func tiled_map(Lowering& l) {
  const auto& order = l.reader.step.domain;
  Var ci("ci"), row("row"), co("co");
  Positions at;
  at[order[0]] = {row, Expr(), Expr()};
  at[order[1]] = {co * l.tile + ci, ci, co};
  Func f("map");
  f(ci, row, co) = Halide::Tuple(values(l, at));
  constrain_output(l, f, l.reader.step.outputs);
  for (auto& in : l.inner) schedules::inner_reduction(in.f, f, row, l.lanes);
  schedules::tile_loop(f, ci, row, co, l.tile, l.lanes);
  return f;
}

}  // namespace

std::vector<Func> map_kernel(Lowering& l) {
  if (l.reader.step.tiled) return {tiled_map(l)};
  const auto& domain = l.reader.step.domain;
  std::vector<Var> vars;
  Positions at;
  for (size_t k = domain.size(); k-- > 0;) {  // Halide counts dimensions from the innermost
    vars.emplace_back(fmt::format("x{}", vars.size()));
    at[domain[k]] = {vars.back(), Expr(), Expr()};
  }
  Func f("map");
  l.past_end = true;  // only inner Funcs are computed for whole chunks
  if (!domain.empty() && domain.back() != l.reader.plan.row && !l.reader.careful())
    l.whole = l.has_chunk(domain.back());
  if (l.reader.step.outputs.size() == 1) l.written = {f.name()};  // a tuple's have names that Halide makes
  f(vars) = Halide::Tuple(values(l, at));
  constrain_output(l, f, l.reader.step.outputs);
  if (vars.empty()) return {f};
  const bool in_tiles = reads_tiles_along(l, domain.back());
  const std::vector<Expr> fast = l.fast_cases(domain.back(), dense_outputs(l, f));
  if (!l.inner.empty()) {
    l.fetch_rest_ahead();
    std::vector<Expr> cases;
    for (const Expr& c : fast) cases.push_back(l.whole.defined() ? c && l.whole : c);
    // Loops over whole chunks are for where there is one, also if nothing is the caller's and so any stride known.
    if (fast.empty() && l.whole.defined()) cases.push_back(l.whole);
    schedules::chunk_loop(f, vars, {l.chunked(), l.chunk, l.several(), l.lanes, cases, l.whole.defined()});
    return {f};
  }
  // Any other stride goes element by element: as vectors it would be gathers, hardly faster, and a third of the time that
  // a kernel takes to compile.
  const int block = in_tiles ? l.tile : l.block;
  if (fast.empty()) schedules::dense_loop(f, vars[0], block, l.lanes);
  for (const Expr& c : fast) schedules::dense_loop(f.specialize(c), vars[0], block, l.lanes);
  if (vars.size() == 2) fetch_next_panel(l, f);
  return {f};
}

std::vector<Func> scatter_kernel(Lowering& l) {
  const plan::Step& step = l.reader.step;
  const ir::Node n = l.reader.g.at(step.nodes[0]);
  const plan::Buffer& out = l.reader.plan.buffers[step.outputs[0]];
  Halide::RDom rows(l.begin(step.over), l.end(step.over) - l.begin(step.over), "rows");
  Positions at;
  at[step.over] = {rows.x, Expr(), Expr()};
  std::vector<Var> vars;
  std::vector<Expr> target;
  std::vector<Id> order = out.layout.order;
  Expr key;
  for (size_t k = order.size(); k-- > 0;) {
    vars.emplace_back(fmt::format("x{}", vars.size()));
    if (order[k] == n.sym2)
      target.emplace_back();  // the key, below
    else {
      at[order[k]] = {vars.back(), Expr(), Expr()};
      target.push_back(vars.back());
    }
  }
  const Expr last = l.extent(n.sym2) - 1, place = l.value(n.args[1], at), inside = place >= 0 && place <= last;
  key = Halide::clamp(place, 0, Halide::max(last, 0));
  const Expr nothing = start(n.kind, l.type(out.elem))[0];
  Expr taken = l.value(n.args[0], at);
  // A key that is one for the whole row drops it by a branch. Keys along the vector differ from lane to lane; at a branch on
  // them Halide takes the vector apart, or fails to ("every name is unique"): there a dropped one takes in nothing, somewhere.
  if (l.reader.g.free(n.args[1]) & ir::bit(order.back())) {
    rows.where(last >= 0);
    taken = strict::select(inside, taken, nothing);
  } else {
    rows.where(inside);
  }
  for (Expr& t : target)
    if (!t.defined()) t = key;
  Func f("scatter");
  // Accumulators come filled by the runtime.
  f(vars) = step.accumulates ? Halide::undef(l.type(out.elem)) : nothing;
  f(target) = combine(n.kind, {f(target)}, {taken})[0];
  constrain_output(l, f, step.outputs);
  schedules::scatter_loop(f, vars, rows.x, order.back() != n.sym2, l.lanes);
  return {f};
}

}  // namespace lossc::lower
