#include "runtime/step_call.h"

#include "runtime/kernel_heap.h"
#include "runtime/walk.h"

namespace lossc::rt {

void Caller::set_type(int b, HalideType* type) const {
  const Elem elem = v.buffers[b].elem;
  *type = {elem == Elem::Float   ? kHalideFloat
           : elem == Elem::Int32 ? kHalideInt
                                 : kHalideUInt,
           static_cast<uint8_t>(8 * run.form.buffers[b].elem_bytes), 1};
}

void Caller::fill(const Step& step, const Arg& arg, bool cropped, const Call& call, HalideBuffer* out, HalideDim* dims) const {
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

void Caller::fill_empty(int b, HalideBuffer* out, HalideDim* dims) const {
  *out = {0, nullptr, nullptr, 0, {}, v.buffers[b].ndim, dims, nullptr};
  set_type(b, &out->type);
  std::fill_n(dims, v.buffers[b].ndim, HalideDim{});
}

int Caller::row_granule(const Step& step) const {
  const int t = run.plan.double_index();
  return step.kind == StepKind::ContractNN ? isa.nn_rows[t] : step.kind == StepKind::ContractTN ? isa.tn_rows[t] : 1;
}

void Caller::piece_range(const Step& step, const Call& call, int32_t extent, int64_t* begin, int64_t* end) const {
  const int64_t granule = call.split_dim == 1 ? row_granule(step) : call.split_dim > 0 ? 1 : step.inner ? chunk() : 64;
  const int64_t blocks = ceil_div(extent, granule);
  *begin = blocks * call.piece / call.pieces * granule;
  *end = std::min<int64_t>(blocks * (call.piece + 1) / call.pieces * granule, extent);
}

bool Caller::split(const Step& step, const Call& call, int b, HalideBuffer* out) const {
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

void Caller::narrow(const Arg& arg, const Call& call, size_t* part, HalideBuffer* out) const {
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

int64_t Caller::pack(HalideBuffer* box) {
  int64_t size = 1;
  for (int d = 0; d < box->dimensions; ++d) {
    box->dim[d].stride = static_cast<int32_t>(size);
    size *= std::max(box->dim[d].extent, 1);
  }
  return size;
}

void* Caller::scalar(const Step& step, const Arg& arg, const Call& call) const {
  const void* p = nullptr;
  switch (arg.kind) {
    case ArgKind::Param:
      p = static_cast<const char*>(run.params) + arg.id * (run.plan.shapes.dtype_bits / 8);
      break;
    case ArgKind::IntParam:
      p = run.int_params + arg.id;
      break;
    case ArgKind::Extent:
      p = call.over > 0 && arg.id == step.over_axis ? &call.over : run.plan.shapes.extent + arg.id;
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

void Caller::lend(int b, const Call& call) const {
  const size_t worker = static_cast<size_t>(call.worker + call.piece);
  kernel_heap.regions[kernel_heap.n++] = {run.views[b].host + worker * run.form.panel_stride, run.form.buffers[b].bytes,
                                          false};
}

void Caller::run_step(int s, const Call& call) {
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
    if (call.over > 0) narrow(arg, call, &part, &buffers[k]);
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

}  // namespace lossc::rt
