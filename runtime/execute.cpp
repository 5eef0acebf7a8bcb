// The executor: walks a variant's passes. Knows buffers, panels and workers, and no loss.
#include <algorithm>
#include <atomic>
#include <limits>

#include "runtime/halide_abi.h"
#include "runtime/kernel_heap.h"
#include "runtime/plan.h"
#include "runtime/pool.h"
#include "runtime/walk.h"

namespace lossc::rt {
namespace {

constexpr int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

// One call of a kernel: which worker's memory, which rows, which piece of the written box.
struct Call {
  int worker = 0;
  bool in_panel = false;
  const Bits* partial = nullptr;  // accumulators that this pass sums: each worker has its own
  int32_t row0 = 0, row1 = 0;
  int32_t cut0 = 0, cut1 = 0;  // what local tensors hold along the dimension that is cut: the panel's rows, or a piece's
  int piece = 0, pieces = 1;
  int split_dim = -1;             // along which pieces are cut
  int32_t over0 = 0, over1 = 0;   // instead: what this part of a step reduces over; over1 = 0: all of it
  int32_t over = 0;               // as many
  int32_t place[kMaxLoops] = {};  // of the recurrences around
};

struct Executor {
  const Run& run;
  const Variant& v = *run.form.variant;
  const IsaInfo& isa = run.plan.isa_info();
  std::atomic<int> error{0}, failed{-1};

  // ---- one call ---------------------------------------------------------------------------------------------------

  uint8_t* copy_of_worker(int b, int worker) const {
    const BufferLayout& l = run.form.buffers[b];
    const auto w = static_cast<size_t>(worker);
    return worker == 0 ? run.views[b].host : run.workspace + l.partials + (w - 1) * l.bytes;
  }

  void set_type(int b, HalideType* type) const {
    const Elem elem = v.buffers[b].elem;
    *type = {elem == Elem::Float   ? kHalideFloat
             : elem == Elem::Int32 ? kHalideInt
                                   : kHalideUInt,
             static_cast<uint8_t>(8 * run.form.buffers[b].elem_bytes), 1};
  }

  // The buffer as a kernel sees it: all of it, except that panel storage holds the panel's rows only, and that of what
  // is written the box is the work.
  void fill(const Step& step, const Arg& arg, bool cropped, const Call& call, HalideBuffer* out, HalideDim* dims) const {
    const int b = arg.id;
    const Buffer& buffer = v.buffers[b];
    const BufferLayout& l = run.form.buffers[b];
    const View& view = run.views[b];
    *out = {0, nullptr, view.host, 0, {}, buffer.ndim, dims, nullptr};
    set_type(b, &out->type);
    for (int d = 0; d < buffer.ndim; ++d) dims[d] = {0, l.extent[d], view.stride[d], 0};
    if (view.local) {  // in the caller's coordinates; what lies past the slice is not there
      const Slice slice{call.worker, cut_dim(step, arg, l, call.in_panel), call.cut0, call.cut1};
      int32_t stride[kMostDims];
      out->host = locate(run, b, slice, stride);
      for (int d = 0; d < buffer.ndim; ++d) dims[d].stride = stride[d];
      if (buffer.storage == Storage::Input) dims[slice.dim].extent = slice.end;
    }
    const bool own = buffer.storage == Storage::Panel && !view.lent;  // memory for a panel
    if (own) out->host += static_cast<size_t>(call.worker) * run.form.panel_stride;
    if (call.partial != nullptr && call.partial->test(b)) out->host = copy_of_worker(b, call.worker);
    for (int k = 0; k < kMaxLoops; ++k) {
      const int d = arg.place_dim[k];
      if (d < 0) continue;
      dims[d].min = call.place[k];
      dims[d].extent = 1;
      out->host += int64_t{dims[d].stride} * call.place[k] * l.elem_bytes;
    }
    if (!call.in_panel || l.row_dim == kNoRows || !(cropped || buffer.storage == Storage::Panel)) return;
    HalideDim& rows = dims[l.row_dim];
    rows.min = call.row0;
    rows.extent = call.row1 - call.row0;
    if (!own) out->host += int64_t{rows.stride} * call.row0 * l.elem_bytes;
  }

  void fill_empty(int b, HalideBuffer* out, HalideDim* dims) const {
    *out = {0, nullptr, nullptr, 0, {}, v.buffers[b].ndim, dims, nullptr};
    set_type(b, &out->type);
    std::fill_n(dims, v.buffers[b].ndim, HalideDim{});
  }

  // Rows that a contraction writes at a time; 1 elsewhere.
  int row_granule(const Step& step) const {
    const int t = run.plan.double_index();
    return step.kind == StepKind::ContractNN ? isa.nn_rows[t] : step.kind == StepKind::ContractTN ? isa.tn_rows[t] : 1;
  }

  // This call's piece of an extent that is split. Pieces begin at multiples of what a kernel does at a time, so that
  // every element is computed in the same place of a vector, hence to the same bits, however many pieces there are.
  void piece_range(const Step& step, const Call& call, int32_t extent, int64_t* begin, int64_t* end) const {
    const int64_t granule = call.split_dim == 1 ? row_granule(step) : call.split_dim > 0 ? 1 : step.inner ? chunk() : 64;
    const int64_t blocks = (extent + granule - 1) / granule;
    *begin = blocks * call.piece / call.pieces * granule;
    *end = std::min<int64_t>(blocks * (call.piece + 1) / call.pieces * granule, extent);
  }

  int64_t chunk() const { return isa.tile_columns[run.plan.double_index()] * kChunkTiles; }

  // Narrows a written box to this call's piece. Says whether anything is left.
  bool split(const Step& step, const Call& call, int b, HalideBuffer* out) const {
    const Buffer& buffer = v.buffers[b];
    HalideDim& dim = out->dim[call.split_dim + holds_lanes(buffer)];
    int64_t begin, end;
    piece_range(step, call, dim.extent, &begin, &end);
    if (begin >= end) return false;
    out->host += begin * dim.stride * run.form.buffers[b].elem_bytes;
    dim.min += static_cast<int32_t>(begin);
    dim.extent = static_cast<int32_t>(end - begin);
    return true;
  }

  // A part of a step that is cut along what it reduces over: where what it reads begins, and memory of its own for what it
  // writes, packed, for all but the first.
  void narrow(const Arg& arg, const Call& call, size_t* part, HalideBuffer* out) const {
    const int64_t bytes = run.form.buffers[arg.id].elem_bytes;
    if (arg.over_dim >= 0) {
      HalideDim& dim = out->dim[arg.over_dim];
      out->host += int64_t{dim.stride} * call.over0 * bytes;
      dim.extent = call.over;
    }
    if (!arg.written || call.piece == 0) return;
    if (holds_lanes(v.buffers[arg.id])) {
      out->host += static_cast<size_t>(call.piece) * run.form.panel_stride;
      return;
    }
    out->host = run.workspace + run.form.parts_at + static_cast<size_t>(call.piece - 1) * run.form.parts_stride + *part;
    *part += static_cast<size_t>(round_up(pack(out) * bytes, kAlign));
  }
  // Gives the box strides without gaps; says how many elements it has.
  static int64_t pack(HalideBuffer* box) {
    int64_t size = 1;
    for (int d = 0; d < box->dimensions; ++d) {
      box->dim[d].stride = static_cast<int32_t>(size);
      size *= std::max(box->dim[d].extent, 1);
    }
    return size;
  }

  void* scalar(const Step& step, const Arg& arg, const Call& call) const {
    const void* p = nullptr;
    switch (arg.kind) {
      case ArgKind::Param:
        p = static_cast<const char*>(run.params) + arg.id * (run.plan.shapes.dtype_bits / 8);
        break;
      case ArgKind::IntParam:
        p = run.int_params + arg.id;
        break;
      case ArgKind::Extent:
        p = call.over1 > 0 && arg.id == step.over_axis ? &call.over : run.plan.shapes.extent + arg.id;
        break;
      case ArgKind::RowBegin:
        p = &call.row0;
        break;
      case ArgKind::RowEnd:
        p = &call.row1;
        break;
      case ArgKind::Buffer:
      case ArgKind::Heap:
      case ArgKind::Left:
        break;
    }
    return const_cast<void*>(p);  // Halide's argv has no const; scalars are only read
  }

  // Pieces of one step run at once, each in another worker's panel memory.
  void lend(int b, const Call& call) const {
    const size_t worker = static_cast<size_t>(call.worker + call.piece);
    kernel_heap.regions[kernel_heap.n++] = {run.views[b].host + worker * run.form.panel_stride, run.form.buffers[b].bytes,
                                            false};
  }

  void run_step(int s, const Call& call) {
    const Step& step = v.steps[s];
    kernel_heap.n = 0;
    void* args[kMaxStepArgs];
    HalideBuffer buffers[kMaxStepArgs];
    HalideDim dims[kMaxStepArgs][kMostDims];
    size_t part = 0;
    for (int k = 0; k < step.n_args; ++k) {
      const Arg& arg = v.args[step.first_arg + k];
      if (arg.kind == ArgKind::Heap) {
        lend(arg.id, call);
        continue;
      }
      if (arg.kind != ArgKind::Buffer && arg.kind != ArgKind::Left) {
        args[k] = scalar(step, arg, call);
        continue;
      }
      args[k] = &buffers[k];
      if (arg.kind == ArgKind::Left && !run.active.buffers.test(arg.id)) {
        fill_empty(arg.id, &buffers[k], dims[k]);
        continue;
      }
      // The transposed contraction sums over the rows of its first argument's box.
      const bool cropped = arg.written || (step.kind == StepKind::ContractTN && k == 0) || step.kind == StepKind::Walk;
      fill(step, arg, cropped, call, &buffers[k], dims[k]);
      if (call.over1 > 0) narrow(arg, call, &part, &buffers[k]);
      if (!arg.written) continue;
      if (step.kind == StepKind::ContractNN || step.kind == StepKind::ContractTN)
        dims[k][1].extent = static_cast<int32_t>(round_up(dims[k][1].extent, row_granule(step)));
      if (call.pieces > 1 && !split(step, call, arg.id, &buffers[k])) return;
    }
    if (step.kind == StepKind::Walk)
      return walk(step.walk, buffers[0], step.walk_in, buffers[1], step.walk_out, kernel_heap.n ? kernel_heap.regions[0].memory : nullptr);
    const int code = v.kernels[step.kernel]->by_isa[run.plan.isa](args);
    if (code != 0 && error.exchange(code) == 0) failed.store(s);
  }

  const Arg& first_written(const Step& step) const {
    const Arg* arg = v.args + step.first_arg;
    while (!arg->written || holds_lanes(v.buffers[arg->id])) ++arg;
    return *arg;
  }

  // How many there are of what a step is usually cut along.
  int64_t split_extent(const Step& step, const Call& call) const {
    const BufferLayout& l = run.form.buffers[first_written(step).id];
    return call.in_panel && step.split_dim == l.row_dim ? call.row1 - call.row0 : l.extent[step.split_dim];
  }

  // A step in parts along what it reduces over, each with results of its own, which are then merged in their order.
  void run_parts(int s, int pieces, const Call& call) {
    struct Shared {
      Executor* self;
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
          call.over1 = static_cast<int32_t>(std::min(s.blocks * (part + 1) / s.parts * chunk, s.extent));
          call.over = call.over1 - call.over0;
          s.self->run_step(s.step, call);
        },
        &shared);
    merge_parts(v.steps[s], call, static_cast<int>(shared.parts));
  }

  void merge_parts(const Step& step, const Call& call, int parts) const {
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
  // `from` is packed.
  template <class T>
  static void merge_box(Merge merge, const HalideBuffer& to, const HalideBuffer& from, int64_t size) {
    for (int64_t i = 0; i < size; ++i) {
      int64_t place = 0;
      for (int d = 0; d < to.dimensions; ++d) place += i / from.dim[d].stride % std::max(to.dim[d].extent, 1) * to.dim[d].stride;
      T& t = reinterpret_cast<T*>(to.host)[place];
      t = merged(merge, t, reinterpret_cast<const T*>(from.host)[i]);
    }
  }

  // A step by several workers, when it is worth it.
  void run_split(int s, float ns, Call call) {
    if (!call.in_panel && run.form.step_pieces[s] > 0) return run_pieces(s, ns, call);
    const Step& step = v.steps[s];
    const int pieces = pieces_for(ns, run.plan.workers);
    if (step.split_dim < 0 || pieces == 1) return run_step(s, call);
    const bool few = split_extent(step, call) < pieces;
    if (few && run.form.divided.test(s)) return run_parts(s, pieces, call);
    call.split_dim = few && step.inner ? 0 : step.split_dim;
    call.pieces = pieces;
    struct Shared {
      Executor* self;
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

  // ---- accumulators -----------------------------------------------------------------------------------------------

  template <class T>
  static T identity(Merge merge) {
    using Limits = std::numeric_limits<T>;
    switch (merge) {
      case Merge::Max:
        return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
      case Merge::Min:
        return Limits::has_infinity ? Limits::infinity() : Limits::max();
      case Merge::Prod:
      case Merge::And:
        return 1;
      default:
        return 0;
    }
  }
  template <class T>
  static T merged(Merge merge, T a, T b) {
    switch (merge) {
      case Merge::Max:
        return a != a || a > b ? a : b;  // NaN wins, as in the kernels
      case Merge::Min:
        return a != a || a < b ? a : b;
      case Merge::Prod:
        return static_cast<T>(a * b);
      case Merge::Or:
        return static_cast<T>(a != 0 || b != 0);
      case Merge::And:
        return static_cast<T>(a != 0 && b != 0);
      default:
        return static_cast<T>(a + b);
    }
  }

  // f(T*, count) with the element type of a buffer.
  template <class F>
  void with_type(int b, F f) const {
    switch (v.buffers[b].elem) {
      case Elem::Int32:
        return f(int32_t{});
      case Elem::UInt8:
        return f(uint8_t{});
      case Elem::Float:
        return run.plan.shapes.dtype_bits == 64 ? f(double{}) : f(float{});
    }
  }

  void reset(int b, int worker) const {
    const BufferLayout& l = run.form.buffers[b];
    with_type(b, [&](auto zero) {
      using T = decltype(zero);
      std::fill_n(reinterpret_cast<T*>(copy_of_worker(b, worker)), l.bytes / sizeof(T),
                  identity<T>(v.buffers[b].merge));
    });
  }

  // Adds the partials of workers 1 ... n-1 to that of worker 0, always in this order, elements [begin, end).
  template <class T>
  void merge_range(int b, int workers, size_t begin, size_t end) const {
    T* const to = reinterpret_cast<T*>(copy_of_worker(b, 0));
    for (int w = 1; w < workers; ++w) {
      const T* const from = reinterpret_cast<const T*>(copy_of_worker(b, w));
      if (v.buffers[b].merge == Merge::Sum) {
        for (size_t i = begin; i < end; ++i) to[i] = static_cast<T>(to[i] + from[i]);
      } else {
        for (size_t i = begin; i < end; ++i) to[i] = merged(v.buffers[b].merge, to[i], from[i]);
      }
    }
  }

  void merge(int b, int workers) {
    struct Shared {
      const Executor* self;
      int buffer, workers;
      size_t pieces;
    } shared{this, b, workers, run.form.buffers[b].bytes >= (256 << 10) ? static_cast<size_t>(workers) : 1};
    run_tasks(
        shared.pieces,
        [](void* context, size_t i) {
          const auto& s = *static_cast<Shared*>(context);
          s.self->with_type(s.buffer, [&](auto zero) {
            using T = decltype(zero);
            const size_t n = s.self->run.form.buffers[s.buffer].bytes / sizeof(T), line = kAlign / sizeof(T);
            const size_t lines = n / line;
            s.self->template merge_range<T>(s.buffer, s.workers, lines * i / s.pieces * line,
                                            lines * (i + 1) / s.pieces * line);
          });
        },
        &shared);
  }

  // Accumulators that active steps [first, first + n) write.
  Bits accumulators(int first, int n) const {
    Bits bits;
    for (int s = first; s < first + n; ++s) {
      if (!run.active.steps.test(s)) continue;
      const Step& step = v.steps[s];
      for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
        const Arg& arg = v.args[k];
        if (arg.kind == ArgKind::Buffer && arg.written && v.buffers[arg.id].storage == Storage::Accumulator)
          bits.set(arg.id);
      }
    }
    return bits;
  }
  template <class F>
  void each(const Bits& bits, F f) const {
    for (int b = 0; b < v.n_buffers; ++b) {
      if (bits.test(b)) f(b);
    }
  }

  // ---- tensors of another float type --------------------------------------------------------------------------------

  // A step outside a panel loop, piece by piece: what its output needs comes in, what it writes goes out.
  void run_piece(int s, Call call) {
    const Step& step = v.steps[s];
    const auto cross_args = [&](bool out) {
      for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
        const Arg& arg = v.args[k];
        if (arg.kind != ArgKind::Buffer || arg.written != out || !run.views[arg.id].local) continue;
        const Slice slice{call.worker, cut_dim(step, arg, run.form.buffers[arg.id], false), call.cut0, call.cut1};
        cross_slice(run, out, arg.id, slice);
      }
    };
    int out = step.first_arg;
    while (!v.args[out].written) ++out;
    const int b = v.args[out].id, d = step.split_dim;
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

  void run_pieces(int s, float ns, Call call) {
    call.pieces = run.form.step_pieces[s];
    struct Shared {
      Executor* self;
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

  // Buffers that the active steps of a panel loop touch.
  Bits touched(const Pass& pass) const {
    Bits bits;
    for (int s = pass.first_panel; s < pass.first_panel + pass.n_panel; ++s) {
      if (!run.active.steps.test(s)) continue;
      const Step& step = v.steps[s];
      for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k)
        if (v.args[k].kind == ArgKind::Buffer) bits.set(v.args[k].id);
    }
    return bits;
  }

  // ---- lists of steps ---------------------------------------------------------------------------------------------

  // f(step, call, share) for the active steps [first, first + n), those of a loop for each of its places; share: the part of
  // a step's work that is done each time.
  template <class F>
  void run_list(int first, int n, const Call& call, float share, const F& f) {
    for (int s = first; s < first + n; ++s) {
      const Step& step = v.steps[s];
      if (step.kind == StepKind::Loop) {
        if (run.active.steps.test(s)) run_loop(s, call, share, f);
        s += step.n_first + step.n_body;
      } else if (run.active.steps.test(s)) {
        f(s, call, share);
      }
    }
  }

  template <class F>
  void run_loop(int s, Call call, float share, const F& f) {
    const Step& loop = v.steps[s];
    const int32_t n = run.plan.shapes.extent[loop.place_axis];
    if (n == 0) return;
    share /= static_cast<float>(n);
    int32_t& place = call.place[loop.depth];
    place = loop.backward ? n - 1 : 0;
    run_list(s + 1, loop.n_first, call, share, f);
    for (int32_t k = 0; k < n; ++k) {
      place = loop.backward ? n - 1 - k : k;
      run_list(s + 1 + loop.n_first, loop.n_body, call, share, f);
    }
  }

  // ---- passes -----------------------------------------------------------------------------------------------------

  Call panel_call(const PassLayout& l, const Bits& sums, int panel, int worker) const {
    Call call;
    call.worker = worker;
    call.in_panel = true;
    call.partial = &sums;
    call.row0 = panel * l.panel_rows;
    call.row1 = std::min<int64_t>(l.rows, int64_t{call.row0} + l.panel_rows);
    call.cut0 = call.row0, call.cut1 = call.row1;
    return call;
  }

  // One worker's share: a run of consecutive panels, the same for any number of threads that do the work.
  void run_panels(const Pass& pass, const PassLayout& l, const Bits& sums, int worker) {
    const Bits border = run.n_crossings > 0 ? touched(pass) : Bits{};
    if (worker > 0) each(sums, [&](int b) { reset(b, worker); });
    const int64_t n = l.n_panels;
    for (int64_t p = n * worker / l.workers; p < n * (worker + 1) / l.workers; ++p) {
      const Call call = panel_call(l, sums, static_cast<int>(p), worker);
      cross_panel(run, false, border, worker, call.row0, call.row1, false);
      run_list(pass.first_panel, pass.n_panel, call, 1, [&](int s, const Call& c, float) { run_step(s, c); });
      cross_panel(run, true, border, worker, call.row0, call.row1, false);
    }
  }

  void run_parallel(const Pass& pass, const PassLayout& l, const Bits& sums) {
    if (l.workers == 1) return run_panels(pass, l, sums, 0);
    struct Shared {
      Executor* self;
      const Pass& pass;
      const PassLayout& layout;
      const Bits& sums;
    } shared{this, pass, l, sums};
    run_tasks(
        static_cast<size_t>(l.workers),
        [](void* context, size_t i) {
          const auto& s = *static_cast<Shared*>(context);
          s.self->run_panels(s.pass, s.layout, s.sums, static_cast<int>(i));
        },
        &shared);
    each(sums, [&](int b) { merge(b, l.workers); });
  }

  void run_serial(const Pass& pass, const PassLayout& l, const Bits& sums) {
    const auto split = [&](int s, const Call& c, float share) { run_split(s, run.form.step_ns[s] * share, c); };
    const Bits border = run.n_crossings > 0 ? touched(pass) : Bits{};
    for (int p = 0; p < l.n_panels; ++p) {
      const Call call = panel_call(l, sums, p, 0);
      const float share = static_cast<float>(call.row1 - call.row0) / static_cast<float>(l.rows);
      cross_panel(run, false, border, 0, call.row0, call.row1, true);
      run_list(pass.first_panel, pass.n_panel, call, share, split);
      cross_panel(run, true, border, 0, call.row0, call.row1, true);
    }
  }

  void run_pass(int p, Bits* started) {
    const Pass& pass = v.passes[p];
    const PassLayout& l = run.form.passes[p];
    const Bits sums = accumulators(pass.first_panel, pass.n_panel), once = accumulators(pass.first_once, pass.n_once);
    const auto start = [&](int b) {
      if (!started->test(b)) reset(b, 0);
      started->set(b);
    };
    each(once, start);
    each(sums, start);
    Call call;
    if (pass.row_axis >= 0) call.row1 = run.plan.shapes.extent[pass.row_axis];
    run_list(pass.first_once, pass.n_once, call, 1,
             [&](int s, const Call& c, float share) { run_split(s, run.form.step_ns[s] * share, c); });
    l.serial ? run_serial(pass, l, sums) : run_parallel(pass, l, sums);
  }
};

}  // namespace

int execute(const Run& run, int* failed) {
  Executor executor{run};
  Bits started;
  cross_whole(run, false);
  for (int p = 0; p < run.form.variant->n_passes; ++p) executor.run_pass(p, &started);
  cross_whole(run, true);
  *failed = executor.failed.load();
  return executor.error.load();
}

}  // namespace lossc::rt
