#include "loops.h"

#include <map>

namespace lossc::schedules {

using Halide::Expr;
using Halide::Func;
using Halide::MemoryType;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

// Halide takes a loop apart, into its first places, its last ones and those between, wherever that makes a clamped or
// guarded access plain. Along the vectorised index this turns gathers and masks into dense vectors. Along any other loop
// it saves a scalar min a turn and multiplies all that is inside: maps over windows had up to twice the copies of their
// body, and no gain was measured. So each schedule says where it is allowed.
namespace {

Halide::Stage& only_along(Halide::Stage& s, const std::vector<Halide::VarOrRVar>& loops) {
  s.never_partition_all();
  for (const Halide::VarOrRVar& v : loops) s.partition(v, Halide::Partition::Auto);
  return s;
}

}  // namespace

void dense_loop(Halide::Stage f, Var x, int block, int lanes) {
  Var xo("xo"), xi("xi");
  f.split(x, xo, xi, block, TailStrategy::GuardWithIf).vectorize(xi, lanes).unroll(xi);
  only_along(f, {xo});
}

void tile_loop(Func f, Var ci, Var row, Var co, int tile, int lanes) {
  f.bound(ci, 0, tile).reorder(ci, row, co).vectorize(ci, lanes).unroll(ci);
  f.never_partition(row);
}

namespace {

// Unrolled in the first case of `fast` only: with other strides vectors are gathers, which are long, and each further case
// would be as much code again. Where none of the cases holds loops are not taken apart either, for the same reason.
void vectorise(Halide::Stage f, const Halide::VarOrRVar& x, int lanes, const std::vector<Halide::VarOrRVar>& along,
               const std::vector<Expr>& fast) {
  for (size_t k = 0; k < fast.size(); k++) {
    Halide::Stage s = f.specialize(fast[k]).vectorize(x, lanes);
    if (k == 0) s.unroll(x);
    only_along(s, along);
  }
  only_along(f.vectorize(x, lanes), fast.empty() ? along : std::vector<Halide::VarOrRVar>());
  if (fast.empty()) f.unroll(x);
}

// Which other one alone reads each: it is computed for a block of that one's loop. Of a sum that is divided by, the division
// of a block then goes on beside the sum of the next; in a loop of its own, nothing would be done beside the divisions.
std::vector<int> only_readers(const std::vector<Chunked>& inner, const std::vector<Func>& consumers) {
  std::vector<int> out(inner.size(), -1);
  std::map<std::string, Halide::Internal::Function> by_consumer;
  for (const Func& f : consumers) by_consumer.merge(Halide::Internal::find_direct_calls(f.function()));
  for (size_t k = 0; k < inner.size(); k++) {
    std::vector<int> readers;
    for (size_t r = 0; r < inner.size(); r++)
      if (r != k && Halide::Internal::find_direct_calls(inner[r].f.function()).count(inner[k].f.name())) readers.push_back(static_cast<int>(r));
    if (readers.size() != 1 || by_consumer.count(inner[k].f.name())) continue;
    const Chunked &own = inner[k], &reader = inner[static_cast<size_t>(readers[0])];
    const bool alike = own.along && reader.along && own.every == reader.every && own.f.args().size() == reader.f.args().size();
    if (alike && !reader.f.has_update_definition()) out[k] = readers[0];
  }
  return out;
}

// Whole chunks, so that their loops have a known length and registers; what a chunk reads past the end of the caller's
// memory is clamped (Lowering::past_end). On the stack, too, what is as long as a walk: Halide then takes the memory once
// a call, not once a chunk.
class PerChunk {
 public:
  PerChunk(const std::vector<Chunked>& inner, const std::vector<Func>& consumers, int chunk, int block, int lanes)
      : inner_(inner), reader_(only_readers(inner, consumers)), chunk_(chunk), block_(block), lanes_(lanes) {}

  // All of them: `place` says where one that is not inside another is computed.
  template <typename Place, typename Cases>
  void schedule(Place place, Cases cases) {
    for (size_t k = 0; k < inner_.size(); k++) {
      Func g = inner_[k].f;
      g.store_in(MemoryType::Stack);
      if (inner_[k].along) loops(k, cases(inner_[k]));
      if (reader_[k] < 0)
        place(inner_[k]);
      else
        g.compute_at(inner_[static_cast<size_t>(reader_[k])].f, xo_);
    }
  }

 private:
  void loops(size_t k, const std::vector<Expr>& fast) {
    Func g = inner_[k].f;
    const Var x = g.args()[0];
    const int length = reader_[k] < 0 ? chunk_ : block_;
    g.bound_storage(x, length);
    if (reader_[k] >= 0) g.bound_extent(x, length);
    Var xi("xi"), uo("uo"), ui("ui");
    vectorise(g.split(x, xo_, xi, block_, TailStrategy::RoundUp), xi, lanes_, {xo_}, fast);
    // Accumulators in registers: the walk inside.
    if (g.has_update_definition()) vectorise(g.update().split(x, uo, ui, block_, TailStrategy::RoundUp).reorder(ui, g.rvars()[0], uo), ui, lanes_, {uo}, fast);
  }
  const std::vector<Chunked>& inner_;
  std::vector<int> reader_;
  int chunk_, block_, lanes_;
  Var xo_{"xo"};
};

}  // namespace

void chunk_loop(Func f, const std::vector<Var>& vars, const ChunkLoop& loop) {
  Var xo("xo"), xc("xc"), xm("xm"), xi("xi");
  // x within the chunk, y, then chunks, then the rest.
  const size_t walked = vars.size() > 2 ? 2 : 1;
  std::vector<Halide::VarOrRVar> order{xi, xm};
  if (walked == 2) order.emplace_back(vars[1]);
  order.emplace_back(xo);
  for (size_t k = walked; k < vars.size(); k++) order.emplace_back(vars[k]);
  auto loops = [&](Halide::Stage s, bool fast, bool unrolled) {
    s.split(vars[0], xo, xc, loop.chunk, fast && loop.whole ? TailStrategy::ShiftInwards : TailStrategy::GuardWithIf)
        .split(xc, xm, xi, loop.block)
        .reorder(order)
        .vectorize(xi, loop.lanes);
    if (unrolled) s.unroll(xi);
    only_along(s, !fast && loop.whole ? std::vector<Halide::VarOrRVar>() : std::vector<Halide::VarOrRVar>{xo, xm});
  };
  for (size_t k = 0; k < loop.fast.size(); k++) loops(f.specialize(loop.fast[k]), true, k == 0);
  loops(f, loop.fast.empty(), loop.fast.empty());
  PerChunk(loop.inner, {f}, loop.chunk, loop.block, loop.lanes)
      .schedule([&](const Chunked& c) { Func(c.f).compute_at(f, c.every && walked == 2 ? vars[1] : xo); },
                [&](const Chunked&) { return loop.fast; });
}

void inner_reduction(Func inner, Func consumer, Var at, int lanes) {
  (void)lanes;
  inner.compute_at(consumer, at).store_in(MemoryType::Stack);
}

namespace {

void lanes_of(LaneSum& s) {
  s.part.bound(s.lane, 0, s.width).vectorize(s.lane, s.lanes).unroll(s.lane);
}

// What is left of a row behind the whole blocks is read lane by lane whatever its stride: one version will do.
std::vector<Expr> cases(const LaneSum& s, int update) { return update == 0 ? s.fast : std::vector<Expr>(); }

// The loops over what is summed.
std::vector<Halide::VarOrRVar> summed(const LaneSum& s, int update) {
  if (update == 0) return {s.loops[0]};
  return {s.tiles, s.loops[1]};
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
    std::vector<Halide::VarOrRVar> order = summed(s, u);
    order.insert(order.begin(), s.lane);
    vectorise(s.part.update(u).reorder(order), s.lane, s.lanes, summed(s, u), cases(s, u));
  }
  s.out.never_partition_all();
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
    std::vector<Halide::VarOrRVar> order = summed(s, u);
    order.insert(order.begin(), {s.lane, row});
    vectorise(s.part.update(u).reorder(order), s.lane, s.lanes, {s.loops[u]}, cases(s, u));
  }
  s.out.never_partition_all();
  fold_at(s, ri);
}

void scratch_lanes(LaneSum& s) {
  lanes_of(s);
  s.part.compute_root();
  for (int u : {0, 1}) {
    // Chunks outside the second index (classes), so that what is computed once a chunk serves them all.
    std::vector<Halide::VarOrRVar> order{s.lane};
    if (u == 1) order.emplace_back(s.tiles);
    order.insert(order.end(), {s.outer[0], s.loops[u]});
    for (size_t k = 1; k < s.outer.size(); k++) order.emplace_back(s.outer[k]);
    vectorise(s.part.update(u).reorder(order), s.lane, s.lanes, u == 1 ? std::vector<Halide::VarOrRVar>{s.tiles} : std::vector<Halide::VarOrRVar>(), cases(s, u));
  }
  Func sum = s.chunk_sum;
  sum.compute_at(s.part, s.outer[0]).store_in(MemoryType::Stack).bound(s.lane, 0, s.width).vectorize(s.lane, s.lanes).unroll(s.lane);
  vectorise(sum.update().reorder(s.lane, s.chunk_tiles), s.lane, s.lanes, {s.chunk_tiles}, s.fast);
  PerChunk(s.inner, {sum, s.part}, s.chunk, s.block, s.lanes)
      .schedule(
          [&](const Chunked& c) {
            Func g = c.f;
            c.every ? g.compute_at(s.part, s.outer[0]) : g.compute_at(s.part, s.loops[c.update]);
          },
          [&](const Chunked& c) { return cases(s, c.update); });
  fold_at(s, s.outer[0]);
}

void outside_sum(Func out, Func sum, const std::vector<Var>& vars, size_t vectorised, bool tiled, RVar r,
                 const std::vector<Chunked>& inner, int chunk, int block, int lanes,
                 const std::vector<Expr>& fast) {
  if (vars.empty()) {
    sum.compute_root().store_in(MemoryType::Stack);
    return;
  }
  const Var v = vars[vectorised];
  Var vo("vo"), vi("vi");
  Var at = vo;
  if (tiled) {
    out.bound(vars[0], 0, chunk).reorder(vars[0], vars[1], vars[2]).vectorize(vars[0], lanes).unroll(vars[0]);
    out.never_partition(vars[1]);
    at = vars[1];
  } else {
    out.split(v, vo, vi, chunk, TailStrategy::GuardWithIf);
    std::vector<Halide::VarOrRVar> order{vi, vo};
    for (size_t k = 0; k < vars.size(); k++)
      if (k != vectorised) order.emplace_back(vars[k]);
    Halide::Stage loops = out;
    only_along(loops.reorder(order).vectorize(vi, lanes).unroll(vi), {vo});
  }
  sum.compute_at(out, at).store_in(MemoryType::Stack).bound_extent(v, chunk);
  sum.vectorize(v, lanes).unroll(v);
  std::vector<Halide::VarOrRVar> order{v, r};
  for (size_t k = 0; k < vars.size(); k++)
    if (k != vectorised) order.emplace_back(vars[k]);
  vectorise(sum.update().reorder(order), v, lanes, {}, fast);
  PerChunk(inner, {sum}, chunk, block, lanes)
      .schedule([&](const Chunked& c) { Func(c.f).compute_at(sum, r); }, [&](const Chunked&) { return fast; });
}

void scatter_loop(Func f, const std::vector<Var>& vars, RVar rows, bool row_dense, int lanes) {
  if (vars.empty() || !row_dense) return;
  Var xo("xo"), xi("xi"), uo("uo"), ui("ui");
  f.split(vars[0], xo, xi, lanes, TailStrategy::GuardWithIf).vectorize(xi);
  // A row is read and taken in as a whole: its key is looked at once, and memory is read in order.
  f.update().split(vars[0], uo, ui, lanes, TailStrategy::GuardWithIf).reorder(ui, uo, rows).vectorize(ui);
}

}  // namespace lossc::schedules
