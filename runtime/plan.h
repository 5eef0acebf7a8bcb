// A plan: one loss, bound to shapes, dtype, mode and machine; every variant that a run may need, laid out in memory.
#pragma once
#include <cstdint>

#include "runtime/bind.h"
#include "runtime/convert.h"

namespace lossc::rt {

inline constexpr int kMaxParams = 64, kMaxOutputs = 32, kMaxInputs = 32;

struct Bits {
  uint64_t words[kMaxBuffers / 64] = {};
  bool test(int i) const { return words[i / 64] >> (i % 64) & 1; }
  void set(int i) { words[i / 64] |= uint64_t{1} << (i % 64); }
  bool operator==(const Bits&) const = default;
};
static_assert(kMaxSteps <= kMaxBuffers);

// ---- prune.cpp: what has to run for what is asked -----------------------------------------------------------------

// Steps that lead to the buffers `roots`, when `available` ones need not be computed and of the Lent ones these are there;
// and the buffers those steps touch.
struct Active {
  Bits steps, buffers;
};
Active active_steps(const Variant& variant, const Bits& roots, const Bits& available, const Bits& lent = {});

// Buffers that hold the outputs asked for: bit k of `outputs` is Loss::outputs[k].
Bits output_buffers(const Variant& variant, uint32_t outputs);
// Small buffers that a forward run keeps for the backward run: computed for the loss, read by the gradients.
Bits saved_buffers(const Loss& loss, const Variant& variant, int reduction);

// Outputs that a mode can give, as a mask over Loss::outputs.
uint32_t outputs_of(const Loss& loss, int mode, int reduction);
int n_gradients(const Loss& loss);  // or products
// Forward or backward alone, with what is saved from the one to the other.
inline bool is_half(int mode) { return mode == LOSSC_FORWARD || mode == LOSSC_BACKWARD; }

// ---- layout.cpp: where everything is ------------------------------------------------------------------------------

inline constexpr size_t kAlign = 64, kNowhere = ~size_t{0};
// What a worker has at hand should live in its L2: half of the smallest of today's.
inline constexpr int64_t kPanelBytes = 256 << 10;
// No address space holds more; sums of sizes below it cannot overflow.
inline constexpr int64_t kMostElements = int64_t{1} << 44;
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// How a float tensor of the caller, of another type than kernels compute in, reaches them. Local: each worker has memory
// for its own rows (a panel's, or those of a piece of a step's output), so what crosses stays in its cache. Whole: once a
// run, before or after everything.
enum class Border : uint8_t { None, Local, Whole };

inline constexpr uint8_t kNoRows = kMostDims;
struct BufferLayout {
  int32_t extent[kMostDims];  // innermost first; Panel: of a full panel
  int32_t stride[kMostDims];  // in workspace; tensors of the caller bring their own
  uint8_t elem_bytes;
  uint8_t row_dim;    // dimension of kind Rows (of a local input: that which panels cut), kNoRows: none
  Border border;      // None: it is not there, or no run can need it
  int8_t arg_dim[kMostDims];  // Input, Output: dimension of the argument behind each one, -1: none (extent 1)
  size_t bytes;       // one copy
  size_t at;          // in the workspace: first copy; Panel, Local: that of worker 0. kNowhere: not there
  size_t partials;    // Accumulator: copies of the other workers
  size_t saved_at;    // in the saved buffer, or kNowhere
};

// The dimension along which a step touches no more of a caller's tensor than its own rows (Arg::own), -1: none.
inline int cut_dim(const Step& step, const Arg& arg, const BufferLayout& l, bool in_panel) {
  if (!arg.written) return arg.own;
  return !in_panel ? step.split_dim : l.row_dim != kNoRows ? l.row_dim : -1;
}

// Lanes of a reduction, one worker's memory (Scratch::Lanes of the compiler).
inline bool holds_lanes(const Buffer& b) { return b.ndim > 0 && b.dims[0].kind == DimKind::TileInner && b.dims[0].axis < 0; }

struct PassLayout {
  int32_t rows, panel_rows, n_panels;
  int workers;  // > 1 and not serial: parallel over panels
  bool serial;  // one panel after the other, steps split among `workers`
};

// A variant, laid out.
struct Form {
  const Variant* variant;
  BufferLayout* buffers;
  PassLayout* passes;
  float* step_ns;    // estimated work of each step, all rows
  int32_t* step_pieces;  // into which a step outside a panel loop is cut for the sake of local tensors; 0: it has none
  Active active;     // when everything that the mode gives is asked for, and nothing is lent
  uint32_t outputs;  // what that is: bit k is Loss::outputs[k]
  Bits saved;
  Bits divided;      // steps that may be cut along what they reduce over
  size_t parts_at, parts_stride;  // what parts but the first write, in the workspace: one after another, bytes of each
  size_t panel_stride, local_stride;  // bytes from one worker's panel buffers, or local tensors, to the next's
  size_t workspace_size, saved_size;
};

// Work below this runs on the calling thread: waking another costs a few microseconds, twice that under load.
inline constexpr float kSerialNs = 20e3f;
// Pieces worth splitting work into.
inline int pieces_for(float ns, int workers) {
  return ns < kSerialNs || workers <= 1                        ? 1
         : ns > 0.5f * kSerialNs * static_cast<float>(workers) ? workers
                                                               : static_cast<int>(ns / (0.5f * kSerialNs));
}

struct Plan {
  const Loss* loss;
  int mode, reduction, flags;
  int workers;     // most that any part uses
  int panel_rows;  // asked for; 0: analytic
  int isa;         // index into Build::isas
  Shapes shapes;
  DLDataType input_type[kMaxInputs];
  bool converts;  // a float input is not of the type that kernels compute in
  bool input_given[kMaxInputs];
  int32_t choice[kMaxInputs];          // of each option
  Argument rows;                       // the unreduced loss, in the form chosen
  Argument implicit[kImplicitInputs];  // row_weight, row_mask, grad_output over the same indices
  size_t labels_at[kMaxInputs];        // i64 index tensors are converted to i32 here; kNowhere: not needed
  size_t labels_size;                  // these come first in the workspace
  Form* forms;                         // those that differ only in what a run decides
  int n_forms;
  size_t workspace_size, saved_size;
  uint64_t digest;
  uint64_t saved_id;  // same for the forward and the backward plan of one desc
  char* explain;

  const IsaInfo& isa_info() const { return loss->build->isas[isa]; }
  int double_index() const { return shapes.dtype_bits == 64 ? 1 : 0; }
  Float real() const { return float_of_bits(shapes.dtype_bits); }
  // Types that what is known only at a run (outputs, weights, the upstream gradient) may have: what kernels compute in,
  // and what the inputs have. The plan has room to convert those, and a plan of one type pays for no room.
  bool accepts(Float type) const;
};

// Sizes and offsets of one form. Its arrays are there, its variant is set.
lossc_status lay_out(const Plan& plan, Form* form, lossc_error* err);

// ---- explain.cpp ---------------------------------------------------------------------------------------------------
void explain(const Plan& plan, Text* text);

// ---- execute.cpp ----------------------------------------------------------------------------------------------------

// Where a buffer is in this run, all of it; partials and panels are found from it by BufferLayout.
struct View {
  uint8_t* host;
  int32_t stride[kMostDims];
  bool local;  // host is worker 0's memory for its own rows
  bool lent;   // in an output's memory: host is that of row 0
};

// A tensor of the caller whose buffer is in the workspace, in the type that kernels compute in.
struct Crossing {
  int16_t buffer;
  bool out;
  Side caller;  // dimensions as the buffer's
};

// Whether the extents are what the form wants.
lossc_status check_requirements(const Loss& loss, const Variant& v, const Shapes& shapes, const int32_t* choice,
                                lossc_error* err);

struct Run {
  const Plan& plan;
  const Form& form;
  const Active& active;
  const View* views;
  uint8_t* workspace;
  const void* params;  // of the plan's float type, declared, implicit, choices of the options
  const int32_t* int_params;
  const Crossing* crossings;
  int n_crossings;
};
// 0, or what the first kernel that failed returned; *failed is its step.
int execute(const Run& run, int* failed);

// ---- border.cpp -----------------------------------------------------------------------------------------------------

// How each float tensor that may be of another type reaches the kernels of a form: BufferLayout::border, the pieces of
// steps outside panel loops, and the bytes that a local tensor needs for those.
void choose_borders(const Plan& plan, Form* form);
// Of n rows along a dimension of a tensor, in the type that is computed in.
size_t slice_bytes(const Form& form, int buffer, int dim, int64_t n);

// What a worker has at hand: the elements [begin, end) along a dimension of a tensor (-1: all of the tensor).
struct Slice {
  int worker, dim;
  int32_t begin, end;
};
// A local tensor's place in the worker's memory, which holds the slice densely: strides, and where element 0 would be.
uint8_t* locate(const Run& run, int buffer, const Slice& slice, int32_t* stride);
// Conversion, in or out: of a local tensor's slice, if its type is another in this run; of a panel's rows of the local
// tensors among `which`, by several workers if it is worth it and `split` allows it; of the whole tensors.
void cross_slice(const Run& run, bool out, int buffer, const Slice& slice);
void cross_panel(const Run& run, bool out, const Bits& which, int worker, int32_t row0, int32_t row1, bool split);
void cross_whole(const Run& run, bool out);

}  // namespace lossc::rt

struct lossc_plan : lossc::rt::Plan {};
