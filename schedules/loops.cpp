#include "loops.h"

namespace lossc::schedules {

using Halide::Func;
using Halide::MemoryType;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

void dense_loop(Halide::Stage f, Var x, int block, int lanes) {
  Var xo("xo"), xi("xi");
  f.split(x, xo, xi, block, TailStrategy::GuardWithIf).vectorize(xi, lanes).unroll(xi);
}

void tile_loop(Func f, Var ci, Var row, Var co, int tile, int lanes) {
  f.bound(ci, 0, tile).reorder(ci, row, co).vectorize(ci, lanes).unroll(ci);
}

namespace {

// Whole chunks, so that their loops have a known length and registers; what a chunk reads past the end of the caller's
// memory is clamped (Lowering::past_end).
Func per_chunk(const Chunked& c, int chunk, int lanes) {
  Func g = c.f;
  const Var x = g.args()[0];
  g.store_in(c.heap ? MemoryType::Heap : MemoryType::Stack).bound_storage(x, chunk);
  Var xo("xo"), xi("xi");
  g.split(x, xo, xi, 2 * lanes, TailStrategy::RoundUp).vectorize(xi, lanes).unroll(xi);
  if (g.has_update_definition()) {  // accumulators in registers: the walk inside
    Var uo("uo"), ui("ui");
    const RVar r = g.rvars()[0];
    g.update().split(x, uo, ui, 2 * lanes, TailStrategy::RoundUp).reorder(ui, r, uo).vectorize(ui, lanes).unroll(ui);
  }
  return g;
}

}  // namespace

void chunk_loop(Func f, const std::vector<Var>& vars, const std::vector<Chunked>& inner, int chunk, int lanes) {
  Var xo("xo"), xc("xc"), xm("xm"), xi("xi");
  f.split(vars[0], xo, xc, chunk, TailStrategy::GuardWithIf).split(xc, xm, xi, 2 * lanes);
  // x within the chunk, y, then chunks, then the rest.
  const size_t walked = vars.size() > 2 ? 2 : 1;
  std::vector<Halide::VarOrRVar> order{xi, xm};
  if (walked == 2) order.emplace_back(vars[1]);
  order.emplace_back(xo);
  for (size_t k = walked; k < vars.size(); k++) order.emplace_back(vars[k]);
  f.reorder(order).vectorize(xi, lanes).unroll(xi);
  for (const Chunked& c : inner) per_chunk(c, chunk, lanes).compute_at(f, c.every && walked == 2 ? vars[1] : xo);
}

void inner_reduction(Func inner, Func consumer, Var at, int lanes) {
  (void)lanes;
  inner.compute_at(consumer, at).store_in(MemoryType::Stack);
}

namespace {

void lanes_of(LaneSum& s) {
  s.part.bound(s.lane, 0, s.width).vectorize(s.lane, s.lanes).unroll(s.lane);
}

void fold_at(LaneSum& s, Var row) {
  int w = s.width / 2;
  for (Func f : s.folds) {
    if (s.outer.empty())
      f.compute_root();
    else
      f.compute_at(s.out, row);
    f.store_in(MemoryType::Stack);
    Var lane = f.args()[0];
    if (w > 1) f.vectorize(lane, std::min(w, s.lanes));
    if (w > s.lanes) f.unroll(lane);
    w /= 2;
  }
}

}  // namespace

void register_lanes(LaneSum& s) {
  lanes_of(s);
  const Var row = s.outer.empty() ? Var("none") : s.outer[0];
  if (s.outer.empty())
    s.part.compute_root();
  else
    s.part.compute_at(s.out, row);
  s.part.store_in(MemoryType::Stack);
  for (int u : {0, 1}) {
    std::vector<Halide::VarOrRVar> order{s.lane, s.tiles[u], s.loops[u]};
    s.part.update(u).reorder(order).vectorize(s.lane, s.lanes).unroll(s.lane);
  }
  fold_at(s, row);
}

void block_lanes(LaneSum& s) {
  constexpr int kRows = 16;  // lanes of 16 rows are 2 KiB at most, in L1 beside the 2 KiB of a tile that they read
  Var ro("ro"), ri("ri");
  const Var row = s.outer[0];
  s.out.split(row, ro, ri, kRows, TailStrategy::GuardWithIf);
  lanes_of(s);
  s.part.compute_at(s.out, ro).store_in(MemoryType::Stack).bound_storage(row, kRows);
  for (int u : {0, 1}) {
    std::vector<Halide::VarOrRVar> order{s.lane, row, s.tiles[u], s.loops[u]};
    s.part.update(u).reorder(order).vectorize(s.lane, s.lanes).unroll(s.lane);
  }
  fold_at(s, ri);
}

void scratch_lanes(LaneSum& s) {
  lanes_of(s);
  s.part.compute_root();
  for (int u : {0, 1}) {
    // Chunks outside the second index (classes), so that what is computed once a chunk serves them all.
    std::vector<Halide::VarOrRVar> order{s.lane, s.tiles[u], s.outer[0], s.loops[u]};
    for (size_t k = 1; k < s.outer.size(); k++) order.emplace_back(s.outer[k]);
    s.part.update(u).reorder(order).vectorize(s.lane, s.lanes).unroll(s.lane);
  }
  for (const Chunked& c : s.inner) {
    Func g = per_chunk(c, s.chunk, s.lanes);
    c.every ? g.compute_at(s.part, s.outer[0]) : g.compute_at(s.part, s.loops[c.update]);
  }
  fold_at(s, s.outer[0]);
}

void outside_sum(Func out, Func sum, const std::vector<Var>& vars, size_t vectorised, bool tiled, RVar r,
                 const std::vector<Chunked>& inner, int chunk, int lanes) {
  if (vars.empty()) {
    sum.compute_root().store_in(MemoryType::Stack);
    return;
  }
  const Var v = vars[vectorised];
  Var vo("vo"), vi("vi");
  Var at = vo;
  if (tiled) {
    out.bound(vars[0], 0, chunk).reorder(vars[0], vars[1], vars[2]).vectorize(vars[0], lanes).unroll(vars[0]);
    at = vars[1];
  } else {
    out.split(v, vo, vi, chunk, TailStrategy::GuardWithIf);
    std::vector<Halide::VarOrRVar> order{vi, vo};
    for (size_t k = 0; k < vars.size(); k++)
      if (k != vectorised) order.emplace_back(vars[k]);
    out.reorder(order).vectorize(vi, lanes).unroll(vi);
  }
  sum.compute_at(out, at).store_in(MemoryType::Stack).bound_extent(v, chunk);
  sum.vectorize(v, lanes).unroll(v);
  std::vector<Halide::VarOrRVar> order{v, r};
  for (size_t k = 0; k < vars.size(); k++)
    if (k != vectorised) order.emplace_back(vars[k]);
  sum.update().reorder(order).vectorize(v, lanes).unroll(v);
  for (const Chunked& c : inner) per_chunk(c, chunk, lanes).compute_at(sum, r);
}

void scatter_loop(Func f, const std::vector<Var>& vars, bool row_dense, int lanes) {
  if (vars.empty() || !row_dense) return;
  Var xo("xo"), xi("xi"), uo("uo"), ui("ui");
  f.split(vars[0], xo, xi, lanes, TailStrategy::GuardWithIf).vectorize(xi);
  f.update().split(vars[0], uo, ui, lanes, TailStrategy::GuardWithIf).vectorize(ui);
}

}  // namespace lossc::schedules
