/* lossc.h - stable C ABI of the compiled loss libraries. C99 and C++11.
 *
 * Use: find a loss, describe the tensors once (lossc_plan_create), run as often as wanted (lossc_run).
 *
 * Threads: any function, any thread. A plan is immutable: many threads may run it at once, each with its own outputs,
 *   workspace and saved buffer. lossc_set_num_threads and lossc_set_task_runner are for start-up.
 * Memory: no caller pointer is kept after a call, except by work queued on a CUDA stream. lossc_run neither allocates,
 *   synchronises a stream, nor throws; all it writes is the outputs, the workspace and the saved buffer.
 * Structs: set struct_size, zero the rest, then fill in. They grow at the end only; a library refuses (LOSSC_E_ABI)
 *   non-zero bytes that it does not know, so old programs work with new libraries and new ones fail cleanly with old.
 * Types: a float tensor is f16, bf16, f32 or f64, each input its own. A plan computes in f64 if an input has f64 or
 *   LOSSC_PLAN_F64 is set, else in f32: sums and intermediates are never narrower. Other tensors are converted on their
 *   way in (exactly) and out (to nearest, ties to even; beyond the largest number infinity). What is first seen by
 *   lossc_run (outputs, row_weight, grad_output) may be of the type that is computed in or of any that an input has, so
 *   a gradient may be f32 while its input is bf16. Index tensors are i32 or i64, masks bool or u8; params are double.
 * Errors: every function that can fail returns a status and writes one sentence to the caller's lossc_error: which
 *   argument, what was wanted, what came. err may be NULL. On failure outputs hold what they held or partial results.
 */
#ifndef LOSSC_H_
#define LOSSC_H_

#include <dlpack/dlpack.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(LOSSC_SHARED)
#define LOSSC_API __declspec(dllimport)
#elif defined(__GNUC__)
#define LOSSC_API __attribute__((visibility("default")))
#else
#define LOSSC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LOSSC_ABI_VERSION 1u                  /* bumped only by an incompatible change */
LOSSC_API uint32_t lossc_abi_version(void);   /* of the library actually linked */
LOSSC_API const char *lossc_build_info(void); /* version, git, Halide, LLVM, targets */

typedef int32_t lossc_status; /* values are never renumbered or reused; unknown ones are failures */
enum {
  LOSSC_OK = 0,
  LOSSC_E_ARGUMENT = 1,    /* an argument is wrong: shape, dtype, range, NULL, aliasing */
  LOSSC_E_UNSUPPORTED = 2, /* right, but not in this library: dtype, device, option, layout, ISA level */
  LOSSC_E_WORKSPACE = 3,   /* workspace or saved buffer missing, too small or not 64-byte aligned */
  LOSSC_E_MEMORY = 4,      /* out of memory (never from lossc_run) */
  LOSSC_E_DEVICE = 5,      /* the device failed */
  LOSSC_E_COMM = 6,        /* the allreduce callback failed */
  LOSSC_E_ABI = 7,         /* struct_size is wrong, or a field is set that this library does not know */
  LOSSC_E_INTERNAL = 8     /* a bug in this library */
};
LOSSC_API const char *lossc_status_name(lossc_status status); /* never NULL */

typedef struct {
  char text[512]; /* always terminated */
} lossc_error;

/* ---- Losses: static tables, valid for the life of the process, never freed. ------------------------------------- */

typedef struct lossc_loss lossc_loss;
/* Each loss is also an object that can be named: LOSSC_DECLARE(huber); ... lossc_plan_create(&lossc_loss_huber, ...).
 * That needs no lookup, and the linker says so if the loss is not there. <lossc/losses/NAME.h> declares it, too. */
#define LOSSC_DECLARE(name) extern LOSSC_API const lossc_loss lossc_loss_##name

/* The same for its Hessian products (LOSSC_HVP): lossc_hvp_huber is lossc_loss_hvp(&lossc_loss_huber). A static link has
 * them only if it is named somewhere, so that who does not want them has no code for them; lossc_loss_find names all. */
#define LOSSC_DECLARE_HVP(name) extern LOSSC_API const lossc_loss lossc_hvp_##name

LOSSC_API size_t lossc_loss_count(void);
LOSSC_API const lossc_loss *lossc_loss_at(size_t i);           /* NULL past the end */
LOSSC_API const lossc_loss *lossc_loss_find(const char *name); /* NULL if absent */
LOSSC_API const char *lossc_loss_name(const lossc_loss *loss);
/* The loss as its Hessian products have it: further inputs, other outputs, the rest the same. NULL: not linked, or not
 * in this library; lossc_plan_create says which. since 0.2 */
LOSSC_API const lossc_loss *lossc_loss_hvp(const lossc_loss *loss);

/* The following are only ever returned by pointer, so they may grow at their ends. Every function that returns one
 * gives NULL past the end. No string is NULL. */
typedef struct {
  const char *name, *family, *title;
  const char *paper;    /* who proposed it, where */
  const char *equation; /* what one row's loss is */
  const char *edges;    /* what happens at the edges: empty rows, ties, zero norms */
} lossc_doc;
LOSSC_API const lossc_doc *lossc_loss_doc(const lossc_loss *loss);

enum { LOSSC_INPUT = 0, LOSSC_PARAM = 1, LOSSC_OUTPUT = 2 };
typedef struct {
  const char *name, *shape, *dtypes, *doc; /* "logits", "[N, C]", "f32 f64", ... */
  int32_t role;                            /* LOSSC_INPUT, LOSSC_PARAM (host double), LOSSC_OUTPUT */
  int32_t differentiable;                  /* 1: there is a gradient output for it */
  int32_t optional;                        /* 1: the input may be NULL, unless an option needs it */
  int32_t integer;                         /* 1: an index tensor, or a param that must be a whole number */
  double fallback, low, high;              /* params: default (NaN: must be given) and valid range, */
  int32_t low_open, high_open;             /* ... 1: which excludes that end */
} lossc_arg;
/* Inputs, then params, then outputs, each in the order that lossc_run takes them. The first output is the loss; its
 * shape is given for LOSSC_REDUCE_NONE and it is 0-d otherwise. Then come the gradients of the differentiable inputs,
 * then what else the loss gives (accuracy, new state, ...). */
LOSSC_API size_t lossc_loss_arg_count(const lossc_loss *loss);
LOSSC_API const lossc_arg *lossc_loss_arg(const lossc_loss *loss, size_t i);

typedef struct {
  const char *name, *doc;
  int32_t optional; /* 1: tensors may lack this dimension */
  int32_t flat;     /* 1: stands for any number of trailing dimensions, none included */
} lossc_axis;
LOSSC_API size_t lossc_loss_axis_count(const lossc_loss *loss);
LOSSC_API const lossc_axis *lossc_loss_axis(const lossc_loss *loss, size_t i);

/* Options change the code that runs, so they belong to the plan. */
typedef struct {
  const char *name, *doc;
  const char *const *choices; /* choice 0 is the default */
  size_t n_choices;           /* 0: a count, any integer from 0 on */
  int32_t fallback;           /* default of a count */
  int32_t reserved;           /* 0 */
} lossc_option;
LOSSC_API size_t lossc_loss_option_count(const lossc_loss *loss);
LOSSC_API const lossc_option *lossc_loss_option(const lossc_loss *loss, size_t i);

/* ---- Plans: one loss, shape, dtype and device; the schedule is looked up, nothing is timed. ----------------------- */

/* OR the first two: value and gradient in one run. The third stands alone: the product of the Hessian of the reduced loss
 * with a direction, without forming the Hessian. Its plan and runs take the loss's inputs and then one direction for each
 * differentiable one, of its shape; NULL is the zero direction. They give the slope (the derivative of the loss along the
 * directions, 0-d) and a product for each differentiable input, as lossc_loss_arg lists them of lossc_loss_hvp(loss). Row
 * weights, mask, denominator and grad_output act as in the gradient, and with LOSSC_REDUCE_NONE what is differentiated
 * twice is the sum of grad_output times the rows. At kinks it is that of the branch taken; what the definition calls
 * constant, or gives a derivative of its own, is so in the second derivative. Kernels are for the library's lowest ISA
 * level. since 0.2 */
enum { LOSSC_FORWARD = 1, LOSSC_BACKWARD = 2, LOSSC_HVP = 4 };
enum { LOSSC_REDUCE_NONE = 0, LOSSC_REDUCE_SUM = 1, LOSSC_REDUCE_MEAN = 2 };
enum { LOSSC_SHARD_NONE = 0, LOSSC_SHARD_ROWS = 1, LOSSC_SHARD_CLASSES = 2 };
enum {
  LOSSC_PLAN_EXACT = 1,        /* fail rather than borrow another shape's schedule */
  LOSSC_PLAN_REPRODUCIBLE = 2, /* the same bits for any number of threads (on one ISA level) */
  LOSSC_PLAN_F64 = 4           /* computes in f64, whatever the inputs are */
};
enum { LOSSC_ISA_BEST = 0, LOSSC_ISA_SSE41 = 1, LOSSC_ISA_AVX2 = 2, LOSSC_ISA_AVX512 = 3 };
typedef struct {
  size_t struct_size; /* = sizeof(lossc_plan_desc) */
  DLDevice device;
  int32_t mode, reduction, shard, flags;
  const DLTensor *const *inputs; /* only shape, strides and dtype are read; NULL where an optional input is absent */
  size_t n_inputs;               /* as many as the loss has; LOSSC_HVP: with the directions */
  const int32_t *options;        /* one choice per option of the loss; NULL with n_options 0: defaults */
  size_t n_options;
  int32_t isa;        /* LOSSC_ISA_...; a level that the machine or the library lacks is LOSSC_E_UNSUPPORTED */
  int32_t threads;    /* at most so many for this plan; 0: as lossc_set_num_threads */
  int32_t panel_rows; /* rows done at a time; 0: as the plan thinks best */
  int32_t reserved;
} lossc_plan_desc;
typedef struct lossc_plan lossc_plan;

/* On failure *out is NULL. The work of plan making is a few microseconds, and the first plan starts the threads. */
LOSSC_API lossc_status lossc_plan_create(const lossc_loss *loss, const lossc_plan_desc *desc, lossc_plan **out,
                                         lossc_error *err);
LOSSC_API void lossc_plan_destroy(lossc_plan *plan); /* NULL is fine; not while it runs */
LOSSC_API size_t lossc_plan_workspace_size(const lossc_plan *plan); /* bytes of scratch for one run */
/* Bytes kept from a LOSSC_FORWARD plan's run to that of the LOSSC_BACKWARD plan made from the same desc; 0 if fused. */
LOSSC_API size_t lossc_plan_saved_size(const lossc_plan *plan);
LOSSC_API uint64_t lossc_plan_digest(const lossc_plan *plan);     /* compare across ranks */
LOSSC_API const char *lossc_plan_explain(const lossc_plan *plan); /* steps, panels, memory; lives with the plan */

/* ---- Running. ----------------------------------------------------------------------------------------------------- */

/* Works in place over all ranks, ordered on stream, returns 0. MPI and NCCL both have SUM and MAX: this library links
 * neither. */
enum { LOSSC_OP_SUM = 0, LOSSC_OP_MAX = 1 };
typedef int32_t (*lossc_allreduce_fn)(void *user, void *buf, size_t count, DLDataType dtype, int32_t op, void *stream);

typedef struct {
  size_t struct_size; /* = sizeof(lossc_run_args) */
  /* Same shapes and dtypes as at plan creation, any strides. Index tensors are checked: values in range, or the ignored
   * value. Nothing written may overlap anything else. */
  const DLTensor *const *inputs;
  size_t n_inputs;
  const double *params; /* NULL with n_params 0: defaults */
  size_t n_params;
  /* Loss, gradients, others, as lossc_loss_arg lists them. NULL: not asked for (and not computed); missing ones at the
   * end, too. A forward plan writes no gradients, a backward plan nothing else. */
  const DLTensor *const *outputs;
  size_t n_outputs;
  void *workspace; /* 64-byte aligned, as saved; contents need not be kept between runs */
  size_t workspace_size;
  void *saved; /* written by a forward plan (NULL: no backward run will follow), read by a backward plan */
  size_t saved_size;
  void *stream; /* cudaStream_t; NULL on the CPU */
  lossc_allreduce_fn allreduce;
  void *user;                  /* NULL unless sharded, as is allreduce */
  const DLTensor *row_weight;  /* all three over the loss's own indices, as the unreduced loss, or 0-d; NULL: 1 */
  const DLTensor *row_mask;    /* u8 or bool; rows with 0 are left out. NULL: none */
  const DLTensor *grad_output; /* upstream gradient; NULL: 1 */
  double denominator;          /* LOSSC_REDUCE_MEAN divides by it; 0: by the sum of the weights of rows that count */
} lossc_run_args;

LOSSC_API lossc_status lossc_run(const lossc_plan *plan, const lossc_run_args *args, lossc_error *err);

/* Sharded, without a callback: for each k run stage k, then reduce its statistics. */
LOSSC_API size_t lossc_plan_stage_count(const lossc_plan *plan);
LOSSC_API lossc_status lossc_run_stage(const lossc_plan *plan, size_t k, const lossc_run_args *args, DLTensor *stats,
                                       int32_t *op, lossc_error *err);

/* ---- Threads: the library's own pool, or the host's. --------------------------------------------------------------- */

/* Threads that later plans use, the caller's included. 0: as many as this process may run on (the default). */
LOSSC_API void lossc_set_num_threads(int32_t n);
LOSSC_API int32_t lossc_get_num_threads(void);

/* run(user, n, task, context) must call task(context, i) once for every i in [0, n), on any threads and in any order,
 * and return when all have returned. NULL: the library's own pool. Small problems never get here. */
typedef void (*lossc_task_fn)(void *context, size_t i);
typedef void (*lossc_runner_fn)(void *user, size_t n, lossc_task_fn task, void *context);
LOSSC_API void lossc_set_task_runner(lossc_runner_fn run, void *user);

#ifdef __cplusplus
}
#endif
#endif /* LOSSC_H_ */
