// The tables that the compiler emits and the runtime reads: losses, variants, plans, kernels. Constant data only.
//
// A plan is data (a list of steps over named buffers); the executor walks it and knows no loss. The emitter prints
// these structs as C++ initialisers (registry.cpp), so everything here is an aggregate of integers, doubles and
// pointers to constants: no constructors, no relocations beyond pointers, nothing that runs before main.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>

namespace lossc::rt {

// ---- buffers ---------------------------------------------------------------------------------------------------

// Float is what the plan computes in, f32 or f64: the runtime converts tensors of other float types. Masks are UInt8.
enum class Elem : uint8_t { Float, Int32, UInt8 };

enum class Storage : uint8_t {
  Input,        // the caller's tensor `tensor` (declared inputs first, then the implicit ones, see ImplicitInput)
  Output,       // the caller's tensor: outputs[`tensor`]
  Whole,        // workspace, all rows
  Accumulator,  // workspace, all elements, summed over panels: one partial per worker, then merged
  Panel,        // workspace, one per worker, `slot` says which memory (buffers that share a slot live one after another)
  Lent,         // in the memory of an output (`lender`) until that is written, where a run has it so; else nowhere
};

// How one dimension of a buffer (innermost first) is laid out over an axis of the loss.
enum class DimKind : uint8_t {
  Full,       // extent of the axis
  Rows,       // the panel's rows [row0, row0+n) for outputs of a panel step and for Panel storage, else all of the axis
  TileInner,  // the tile width of this dtype and ISA (columns of one tile)
  TileOuter,  // ceil(axis / tile width)
  Chunk,      // kChunkTiles tiles: what a kernel keeps of a walked axis at a time
  OrderWords, // kOrderWords: what an order keeps for each element
};
// A chunk is 1 KiB of one class at AVX-512: sequential enough for memory, and 40 classes of it fit L1. Half as much takes
// as long, twice as much 6 % longer (4 to 64 classes).
inline constexpr int kChunkTiles = 8;
inline constexpr int kOrderWords = 4;  // two Keyed of order.h, in elements of the float type
struct Dim {
  DimKind kind;
  int8_t axis;  // index into Loss::axes
};

enum class Merge : uint8_t { None, Sum, Max, Min, Prod, Or, And };

// Of a form and of a step of it: a run keeps its state on the stack.
inline constexpr int kMaxBuffers = 512, kMaxSteps = 512, kMaxStepArgs = 128;
// Of an argument, as a loss declares it.
inline constexpr int kMaxDims = 6;
// Of a buffer, and loops of a step: a window over a volume, and its derivative, loop over the places of both at once.
inline constexpr int kMostDims = 8;

struct Buffer {
  const char* name;
  Storage storage;
  Elem elem;
  Merge merge;     // Accumulator only: identity to start from, operation to merge with
  uint8_t ndim;
  Dim dims[kMostDims];  // innermost first. Tiled matrices are {TileInner c, Full|Rows r, TileOuter c}
  int16_t tensor;  // Input, Output: which
  int16_t slot;    // Panel: memory slot, counted from 0
  bool saved;      // small (at most one axis): may be kept from forward to backward instead of computed again
  // What a recurrence has before each place: the memory of buffer `continues`, which holds what is there after each, one
  // place earlier along dimension `place_dim`, or (backward) later. -1: memory of its own.
  int16_t continues = -1;
  int8_t place_dim = -1;
  bool backward = false;
  uint8_t rolling = 0;  // bit d: of dimension d, places of a recurrence, there is one at a time
  // Panel, Lent: in the memory of this output, all rows of it, where the caller gave that with stride 1 and in the type
  // computed in. -1: of no output. It lies as that does, and the step that writes that writes over it.
  int16_t lender = -1;
};

// ---- steps -----------------------------------------------------------------------------------------------------

inline constexpr int kMaxLoops = 3;  // recurrences in each other

enum class ArgKind : uint8_t {
  Buffer,    // halide_buffer_t*
  Param,     // scalar of the plan's float type: params[id]
  IntParam,  // int32: params[id]
  Extent,    // int32: extent of axis id
  RowBegin,  // int32: first row of the panel (0 in a step outside a panel loop)
  RowEnd,    // int32: one past its last row (the row axis' extent outside a panel loop)
  Heap,      // not passed: the kernel asks halide_malloc for this buffer's memory; a Walk is handed it
  Left,      // halide_buffer_t* of a Lent buffer, in which the kernel leaves what it makes anyway; empty where that is not there
};
inline bool names_buffer(ArgKind kind) { return kind == ArgKind::Buffer || kind == ArgKind::Heap; }
struct Arg {
  ArgKind kind;
  int16_t id;
  bool written;  // Buffer: an output of this step (a buffer that accumulates appears twice: read, then written)
  // Input read: the dimension along which the step looks only at its own rows, the panel's or (outside a panel loop)
  // those of the piece at hand along split_dim. Such an input can be converted piece by piece. -1: it looks anywhere.
  int8_t own = -1;
  // Of what is written (or walked) in loops over places: the dimension that each of them goes along, from the outermost.
  int8_t place_dim[kMaxLoops] = {-1, -1, -1};
  // Of a step that may be cut along what it sums over (Step::over_axis). Read: the dimension that this is, -1: none. Written:
  // how results of two parts become one.
  int8_t over_dim = -1;
  Merge merge = Merge::None;
};

// A Loop has the steps that follow it: n_first at the place where it begins, n_body at each place along place_axis.
enum class StepKind : uint8_t { Kernel, ContractNN, ContractTN, Walk, Loop };
// What a Walk step, the runtime's own code, does along one axis of its two arguments (walk.h).
enum class Walk : uint8_t { None, Order, Inverse, Sum, SumBack, LogSumExp, LogSumExpBack, ArgMax, ArgMaxBack, ArgMin, ArgMinBack };
struct Step {
  const char* text;  // what it computes, for `lossc explain`
  StepKind kind;
  int16_t kernel;    // index into Variant::kernels; a Walk has none: -1
  uint16_t first_arg, n_args;  // in Variant::args
  // Parallel steps: dimension of every written buffer that may be cropped to split the work (-1: run by one worker).
  // Buffers that begin with lanes ({TileInner, -1}) have it one further out.
  int8_t split_dim;
  int8_t k_axis;           // Contract*: axis summed over (its extent is the NN form's k_extent)
  float flops;             // per element of the iteration domain, transcendental functions counted as 10
  uint8_t n_domain;        // axes of the iteration domain (reduced ones included), for cost and explain
  int8_t domain[kMostDims];
  Walk walk;
  int8_t walk_in, walk_out;  // the dimension walked, of the buffer read and of the one written
  // Loop. `depth`: loops around it.
  int8_t place_axis = -1, depth = 0;
  bool backward = false;
  uint16_t n_first = 0, n_body = 0;
  int16_t with = -1, without = -1;  // runs only where this Lent buffer is there, is not there
  // Where there are fewer rows than workers, a step is cut elsewhere: along dimension 0 of what it writes, by whole chunks, if
  // `inner`; or along the axis that it reduces over, whose parts are sums of their own (-1: it cannot).
  bool inner = false;
  int8_t over_axis = -1;
};

// Once steps run before the panel loop, each split among the workers; then the loop over row panels of `row_axis`.
struct Pass {
  uint16_t first_once, n_once;
  uint16_t first_panel, n_panel;
  int8_t row_axis;  // -1: no panel loop
};

using KernelFn = int (*)(void** args);  // Halide's argv form

struct Kernel {
  const char* name;             // structure and content hash
  const KernelFn* by_isa;       // [n_isas], in the order of Registry::isas
};

// ---- losses ----------------------------------------------------------------------------------------------------

enum class FactKind : uint8_t {
  Option,      // structural option `id` has choice `value`
  InputGiven,  // optional input `id` is given (1) or absent (0)
  AxisGiven,   // optional axis `id` is present (1) or absent (0: extent 1, the tensors lack the dimension)
  ParamZero,   // param `id` is zero (1) or not (0); known only when run
};
struct Fact {
  FactKind kind;
  int8_t id;
  int8_t value;
};

// An integer made of extents, a length or a condition, in postfix: each entry pushes, or takes its operands from the stack and pushes the result.
// Sqrt is rounded down.
enum class ShapeOp : uint8_t { Const, Extent, Option, Neg, Not, Add, Sub, Mul, Div, Mod, Max, Min, Lt, Le, Eq, Ne, And, Or, Sqrt };
struct ShapeCode {
  ShapeOp op;
  int32_t value;  // Const: itself; Extent: of this axis; Option: this one's choice
  auto operator<=>(const ShapeCode&) const = default;
};
inline constexpr int kMaxShapeCode = 64;
struct Requirement {
  const char* text;  // "wants " + text
  const ShapeCode* code;
  uint16_t n_code;
};

// One compiled form of a loss: a dtype and one value for each structural fact.
struct Variant {
  uint8_t dtype_bits;  // 32 or 64
  const Fact* facts;
  uint16_t n_facts;
  const Buffer* buffers;
  uint16_t n_buffers;
  const Step* steps;
  uint16_t n_steps;
  const Arg* args;
  const Pass* passes;
  uint16_t n_passes;
  const Kernel* const* kernels;
  uint16_t n_kernels;
  uint16_t n_slots;
  bool contracts;        // has contract steps: the panel is sized for them
  uint64_t digest;       // of the plan
  const Requirement* requirements;  // of the extents
  uint16_t n_requirements;
  // The axes of a row, outermost first: an option may change what a row is. -1: those of outputs[1].
  int8_t n_rows = -1;
  int8_t rows[kMaxDims] = {};
};

// Argument, Axis, Option and Loss begin with what lossc.h shows of them (lossc_arg, ...), member for member: a pointer
// to one is a pointer to the other. Hence int32_t and size_t where a bool or a byte would do.
enum class Role : int32_t { Input, Param, Output };
struct Argument {
  const char *name, *shape, *dtypes, *doc;  // dtypes: words of "f32 f64 i32 i64 u8 bool"
  Role role;
  int32_t differentiable, optional, integer;
  double fallback, low, high;     // params: default (NaN: none) and valid range (inclusive unless open)
  int32_t low_open, high_open;
  uint8_t ndim;                   // tensors: outermost first, as the shape is written
  int8_t dims[kMaxDims];          // axes
  int8_t range_axis;              // index tensors: values must lie in [0, extent) or equal ignore_param; -1: any value
  int8_t ignore_param;            // index into the params, -1: none
  bool allow_minus_one;           // index tensors: -1 means "none"
  bool range_inclusive = false;   // ... and the extent of range_axis is allowed, too
  bool ascending = false;         // ... and along the last dimension they do not decrease
};

struct Axis {
  const char* name;
  const char* doc;
  int32_t optional;
  int32_t flat;  // stands for any number of trailing dimensions, flattened (zero of them: extent 1)
  // What the extent is, made of those of earlier axes; none: the tensors say it.
  const ShapeCode* length;
  uint16_t n_length;
};

struct Choice { const char* name; };
struct Option {
  const char *name, *doc;
  const Choice* choices;
  size_t n_choices;  // choice 0 is the default. 0: a count, any number from 0 on
  int32_t fallback, reserved;  // of a count
};

// Implicit inputs, after the declared ones: each over the loss's own indices, innermost last as the loss is.
enum ImplicitInput : int { kRowWeight, kRowMask, kGradOutput, kImplicitInputs };
// Implicit params, after the declared ones.
// After them the choice of each option, for the forms that leave it to the run.
enum ImplicitParam : int { kReduction /* int: 0 none, 1 sum, 2 mean */, kDenominator /* <= 0: the sum of weights */, kImplicitParams };

enum class Isa : uint8_t { Sse41, Avx2, Avx512, Count };
struct IsaInfo {
  Isa isa;
  const char* name;
  uint8_t features;          // of the running machine that it needs: see cpu.h
  uint8_t tile_columns[2];   // [0] f32, [1] f64
  uint8_t nn_rows[2], tn_rows[2];  // register tile rows of the contractions
};

// What the kernels were compiled for, the same for every loss of a library. Each loss points to it, so that making a
// plan needs no registry: a program that names one loss links one, and tests bring tables of their own.
struct Build {
  uint32_t version;     // kRegistryVersion: of the structs in this file; the runtime refuses another
  const IsaInfo* isas;  // ascending, as in Kernel::by_isa (where nullptr: not compiled for this one)
  uint8_t n_isas;
};

struct Loss {
  const char *name, *family, *title, *paper, *equation, *edges;
  const Axis* axes;
  uint8_t n_axes;
  const Argument* inputs;
  uint8_t n_inputs;
  const Argument* params;
  uint8_t n_params;
  // outputs[0] is the reduced loss (scalar), outputs[1] the unreduced one over the loss's indices, then one gradient
  // per differentiable input in their order, then auxiliary outputs and new state.
  const Argument* outputs;
  uint8_t n_outputs;
  const Option* options;
  uint8_t n_options;
  const Variant* variants;
  uint16_t n_variants;
  const Build* build;
  // The tables of its Hessian products: a loss of their own, with a direction for each differentiable input after the
  // inputs, slope and products for outputs, and kernels for one level. Each is an object of its own, too, to which this is
  // a weak reference: nullptr where nothing else in the program names it. Of the products themselves: what it is in.
  const Loss* hessian = nullptr;
  const char* no_hessian = nullptr;  // why there are none in this library; nullptr: there are
};

struct Registry {
  uint32_t version;  // of these structs; the runtime refuses another
  const char* build_info;
  const IsaInfo* isas;  // ascending
  uint8_t n_isas;
  const Loss* const* losses;
  uint16_t n_losses;
  const Loss* const* hessians;  // named, and so linked, wherever all losses are
  uint16_t n_hessians;
};
inline constexpr uint32_t kRegistryVersion = 9;

// Each loss is an object of its own, `lossc_loss_<id>`, in an object file of its own, so that a program which names one
// loss links that one, without its Hessian products (lossc_hvp_<id>); only enumeration (lossc_loss_at, lossc_loss_find) pulls the registry and with it all of them.
extern "C" const Registry lossc_registry;  // defined by the emitted registry.cpp of liblossc

}  // namespace lossc::rt
