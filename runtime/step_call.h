// One call of a kernel: what it is handed, of which worker's memory, of which rows.
#pragma once
#include <algorithm>
#include <atomic>

#include "runtime/halide_abi.h"
#include "runtime/plan.h"

namespace lossc::rt {

// One call of a kernel: which worker's memory, which rows, which piece of the written box.
struct Call {
  int worker = 0;
  bool in_panel = false;
  const Bits* partial = nullptr;  // accumulators that this pass sums: each worker has its own
  int32_t row0 = 0, row1 = 0;
  int32_t cut0 = 0, cut1 = 0;  // what local tensors hold along the dimension that is cut: the panel's rows, or a piece's
  int piece = 0, pieces = 1;
  int split_dim = -1;             // along which pieces are cut
  int32_t over0 = 0, over = 0;    // instead: where what this part of a step reduces over begins, how many; 0: all of it
  int32_t place[kMaxLoops] = {};  // of the recurrences around
};

template <class T>
T merged(Merge merge, T a, T b) {
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

struct Caller {
  const Run& run;
  const Variant& v = *run.form.variant;
  const IsaInfo& isa = run.plan.isa_info();
  std::atomic<int> error{0}, failed{-1};

  void run_step(int s, const Call& call);

  uint8_t* copy_of_worker(int b, int worker) const {
    const BufferLayout& l = run.form.buffers[b];
    const auto w = static_cast<size_t>(worker);
    return worker == 0 ? run.views[b].host : run.workspace + l.partials + (w - 1) * l.bytes;
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

  // The buffer as a kernel sees it: all of it, except that panel storage holds the panel's rows only, and that of what
  // is written the box is the work.
  void fill(const Step& step, const Arg& arg, bool cropped, const Call& call, HalideBuffer* out, HalideDim* dims) const;
  // Rows that a contraction writes at a time; 1 elsewhere.
  int row_granule(const Step& step) const;
  // This call's piece of an extent that is split. Pieces begin at multiples of what a kernel does at a time, so that
  // every element is computed in the same place of a vector, hence to the same bits, however many pieces there are.
  void piece_range(const Step& step, const Call& call, int32_t extent, int64_t* begin, int64_t* end) const;
  int64_t chunk() const { return isa.tile_columns[run.plan.double_index()] * kChunkTiles; }
  // Gives the box strides without gaps; says how many elements it has.
  static int64_t pack(HalideBuffer* box);

 private:
  void set_type(int b, HalideType* type) const;
  void fill_empty(int b, HalideBuffer* out, HalideDim* dims) const;
  // Narrows a written box to this call's piece. Says whether anything is left.
  bool split(const Step& step, const Call& call, int b, HalideBuffer* out) const;
  // A part of a step that is cut along what it reduces over: where what it reads begins, and memory of its own for what it
  // writes, packed, for all but the first.
  void narrow(const Arg& arg, const Call& call, size_t* part, HalideBuffer* out) const;
  void* scalar(const Step& step, const Arg& arg, const Call& call) const;
  // Pieces of one step run at once, each in another worker's panel memory.
  void lend(int b, const Call& call) const;
};

}  // namespace lossc::rt
