#include "loops.h"

namespace lossc::schedules {

using Halide::Func;
using Halide::MemoryType;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

void dense_loop(Func f, Var x, int block, int lanes) {
  Var xo("xo"), xi("xi");
  f.split(x, xo, xi, block, TailStrategy::GuardWithIf).vectorize(xi, lanes).unroll(xi);
}

void tile_loop(Func f, Var ci, Var row, Var co, int tile, int lanes) {
  f.bound(ci, 0, tile).reorder(ci, row, co).vectorize(ci, lanes).unroll(ci);
}

namespace {

// A reduction as long as the vectorised index (its first argument), for one chunk of it. Guarded, not rounded up: it
// reads the caller's memory, which may end with the chunk's last valid element.
Func per_chunk(Func g, int chunk, int lanes) {
  const Var x = g.args()[0];
  g.store_in(MemoryType::Stack).bound_storage(x, chunk);
  g.vectorize(x, lanes, TailStrategy::GuardWithIf).update().vectorize(x, lanes, TailStrategy::GuardWithIf);
  return g;
}

}  // namespace

void chunk_loop(Func f, const std::vector<Var>& vars, const std::vector<Func>& inner, int chunk, int lanes) {
  Var xo("xo"), xi("xi");
  f.split(vars[0], xo, xi, chunk, TailStrategy::GuardWithIf);
  // x within the chunk, y, then chunks, then the rest.
  std::vector<Halide::VarOrRVar> order{xi};
  if (vars.size() > 1) order.emplace_back(vars[1]);
  order.emplace_back(xo);
  for (size_t k = 2; k < vars.size(); k++) order.emplace_back(vars[k]);
  f.reorder(order).vectorize(xi, lanes).unroll(xi);
  for (Func g : inner) per_chunk(g, chunk, lanes).compute_at(f, xo);
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
    std::vector<Halide::VarOrRVar> order{s.lane, s.loops[u]};
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
    std::vector<Halide::VarOrRVar> order{s.lane, row, s.loops[u]};
    s.part.update(u).reorder(order).vectorize(s.lane, s.lanes).unroll(s.lane);
  }
  fold_at(s, ri);
}

void scratch_lanes(LaneSum& s) {
  lanes_of(s);
  s.part.compute_root();
  for (int u : {0, 1}) {
    // Blocks outside the second index (classes), so that what a block computes once serves them all.
    std::vector<Halide::VarOrRVar> order{s.lane, s.outer[0], s.loops[u]};
    for (size_t k = 1; k < s.outer.size(); k++) order.emplace_back(s.outer[k]);
    s.part.update(u).reorder(order).vectorize(s.lane, s.lanes).unroll(s.lane);
  }
  for (auto& [g, update] : s.inner) per_chunk(g, s.width, s.lanes).compute_at(s.part, s.loops[update]);
  fold_at(s, s.outer[0]);
}

void outside_sum(Func out, Func sum, const std::vector<Var>& vars, size_t vectorised, bool tiled, RVar r,
                 const std::vector<Func>& inner, int chunk, int lanes) {
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
  for (Func g : inner) per_chunk(g, chunk, lanes).compute_at(sum, r);
}

void scatter_loop(Func f, const std::vector<Var>& vars, bool row_dense, int lanes) {
  if (vars.empty() || !row_dense) return;
  Var xo("xo"), xi("xi"), uo("uo"), ui("ui");
  f.split(vars[0], xo, xi, lanes, TailStrategy::GuardWithIf).vectorize(xi);
  f.update().split(vars[0], uo, ui, lanes, TailStrategy::GuardWithIf).vectorize(ui);
}

}  // namespace lossc::schedules
