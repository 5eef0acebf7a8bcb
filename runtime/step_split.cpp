#include "runtime/step_split.h"

#include "runtime/pool.h"

namespace lossc::rt {
namespace {

// `from` is packed.
template <class T>
void merge_box(Merge merge, const HalideBuffer& to, const HalideBuffer& from, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    int64_t place = 0;
    for (int d = 0; d < to.dimensions; ++d) place += i / from.dim[d].stride % std::max(to.dim[d].extent, 1) * to.dim[d].stride;
    T& t = reinterpret_cast<T*>(to.host)[place];
    t = merged(merge, t, reinterpret_cast<const T*>(from.host)[i]);
  }
}

}  // namespace

const Arg& Splitter::first_written(const Step& step) const {
  const Arg* arg = v.args + step.first_arg;
  while (!arg->written || holds_lanes(v.buffers[arg->id])) ++arg;
  return *arg;
}

int64_t Splitter::split_extent(const Step& step, const Call& call) const {
  const BufferLayout& l = run.form.buffers[first_written(step).id];
  return call.in_panel && step.split_dim == l.row_dim ? call.row1 - call.row0 : l.extent[step.split_dim];
}

void Splitter::run_parts(int s, int pieces, const Call& call) {
  struct Shared {
    Splitter* self;
    int step;
    const Call& call;
    int64_t extent, blocks, parts;
  } shared{this, s, call, run.plan.shapes.extent[v.steps[s].over_axis], 0, 0};
  shared.blocks = ceil_div(shared.extent, chunk());
  shared.parts = std::min<int64_t>(pieces, shared.blocks);
  if (shared.parts < 2) return run_step(s, call);
  run_tasks(
      static_cast<size_t>(shared.parts),
      [](void* context, size_t i) {
        const auto& s = *static_cast<Shared*>(context);
        const int64_t part = static_cast<int64_t>(i), chunk = s.self->chunk();
        Call call = s.call;
        call.piece = static_cast<int>(i);
        call.over0 = static_cast<int32_t>(s.blocks * part / s.parts * chunk);
        call.over = static_cast<int32_t>(std::min(s.blocks * (part + 1) / s.parts * chunk, s.extent)) - call.over0;
        s.self->run_step(s.step, call);
      },
      &shared);
  merge_parts(v.steps[s], call, static_cast<int>(shared.parts));
}

void Splitter::merge_parts(const Step& step, const Call& call, int parts) const {
  size_t at = 0;
  for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
    const Arg& arg = v.args[k];
    if (arg.kind != ArgKind::Buffer || !arg.written || holds_lanes(v.buffers[arg.id])) continue;
    HalideBuffer to, from;
    HalideDim to_dims[kMostDims], from_dims[kMostDims];
    fill(step, arg, true, call, &to, to_dims);
    fill(step, arg, true, call, &from, from_dims);
    const int64_t size = pack(&from);
    for (int part = 1; part < parts; ++part) {
      from.host = run.workspace + run.form.parts_at + static_cast<size_t>(part - 1) * run.form.parts_stride + at;
      with_type(arg.id, [&](auto zero) { merge_box<decltype(zero)>(arg.merge, to, from, size); });
    }
    at += static_cast<size_t>(round_up(size * run.form.buffers[arg.id].elem_bytes, kAlign));
  }
}

void Splitter::run_split(int s, float ns, Call call) {
  if (!call.in_panel && run.form.step_pieces[s] > 0) return run_pieces(s, ns, call);
  const Step& step = v.steps[s];
  const int pieces = pieces_for(ns, run.plan.workers);
  if (step.split_dim < 0 || pieces == 1) return run_step(s, call);
  const bool few = split_extent(step, call) < pieces;
  if (few && run.form.divided.test(s)) return run_parts(s, pieces, call);
  call.split_dim = few && step.inner ? 0 : step.split_dim;
  call.pieces = pieces;
  struct Shared {
    Splitter* self;
    int step;
    const Call* call;
  } shared{this, s, &call};
  run_tasks(
      static_cast<size_t>(call.pieces),
      [](void* context, size_t i) {
        const auto& shared = *static_cast<Shared*>(context);
        Call call = *shared.call;
        call.piece = static_cast<int>(i);
        shared.self->run_step(shared.step, call);
      },
      &shared);
}

void Splitter::run_piece(int s, Call call) {
  const Step& step = v.steps[s];
  const auto cross_args = [&](bool out) {
    for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
      const Arg& arg = v.args[k];
      if (arg.kind != ArgKind::Buffer || arg.written != out || !run.views[arg.id].local) continue;
      const Slice slice{call.worker, cut_dim(step, arg, run.form.buffers[arg.id], false), call.cut0, call.cut1};
      cross_slice(run, out, arg.id, slice);
    }
  };
  const int b = first_written(step).id, d = step.split_dim;
  call.split_dim = d;
  int64_t begin, end;
  piece_range(step, call, run.form.buffers[b].extent[d], &begin, &end);
  if (begin >= end) return;
  if (v.buffers[b].dims[d].kind == DimKind::TileOuter) {
    const int64_t tile = isa.tile_columns[run.plan.double_index()];
    begin *= tile;
    end = std::min<int64_t>(end * tile, run.plan.shapes.extent[v.buffers[b].dims[d].axis]);
  }
  call.cut0 = static_cast<int32_t>(begin), call.cut1 = static_cast<int32_t>(end);
  cross_args(false);
  run_step(s, call);
  cross_args(true);
}

void Splitter::run_pieces(int s, float ns, Call call) {
  call.pieces = run.form.step_pieces[s];
  struct Shared {
    Splitter* self;
    int step, workers;
    const Call& call;
  } shared{this, s, std::min(pieces_for(ns, run.plan.workers), call.pieces), call};
  run_tasks(
      static_cast<size_t>(shared.workers),
      [](void* context, size_t i) {
        const auto& s = *static_cast<Shared*>(context);
        Call call = s.call;
        const int64_t pieces = call.pieces;
        call.worker = static_cast<int>(i);
        for (int64_t p = pieces * call.worker / s.workers; p < pieces * (call.worker + 1) / s.workers; ++p) {
          call.piece = static_cast<int>(p);
          s.self->run_piece(s.step, call);
        }
      },
      &shared);
}

}  // namespace lossc::rt
