#include "runtime/bind.h"

#include <climits>
#include <initializer_list>

#include "runtime/shape_code.h"

namespace lossc::rt {
namespace {

enum class Given : int8_t { Unknown, No, Yes };

int flat_dims(const Loss& loss, const Argument& a) {
  int n = 0;
  for (int d = 0; d < a.ndim; ++d) n += loss.axes[a.dims[d]].flat != 0;
  return n;
}

// Optional axes of one argument, settled by its rank as far as that goes. Says whether anything new was learnt.
bool settle(const Loss& loss, const Argument& a, int rank, bool force, Given* given) {
  int open = 0, present = 0;
  for (int d = 0; d < a.ndim; ++d) {
    const int axis = a.dims[d];
    if (loss.axes[axis].flat) continue;
    open += given[axis] == Given::Unknown;
    present += given[axis] == Given::Yes;
  }
  if (open == 0) return false;
  const bool flat = flat_dims(loss, a) > 0;
  if (flat && !force) return false;  // a longer rank may as well be more flat dimensions
  int dims_left = rank - present;
  if (!flat && !force && dims_left != 0 && dims_left != open) return false;
  // Forced: dimensions go to the innermost open axes, as a batch dimension is what one leaves out.
  for (int d = a.ndim - 1; d >= 0; --d) {
    const int axis = a.dims[d];
    if (loss.axes[axis].flat || given[axis] != Given::Unknown) continue;
    given[axis] = dims_left > 0 ? Given::Yes : Given::No;
    --dims_left;
  }
  return true;
}

// An axis that tensors have with one choice of an option and lack with another: what the forms of these choices say.
// Where none says anything, they all have it.
Given by_choice(const Loss& loss, const int32_t* choice, int axis) {
  Given given = Given::Unknown;
  for (int k = 0; k < loss.n_variants; ++k) {
    const Variant& v = loss.variants[k];
    bool chosen = true;
    Given here = Given::Yes;
    for (int f = 0; f < v.n_facts; ++f) {
      const Fact& fact = v.facts[f];
      if (fact.kind == FactKind::Option) chosen &= choice[fact.id] == fact.value;
      if (fact.kind == FactKind::AxisGiven && fact.id == axis && fact.value == 0) here = Given::No;
    }
    if (chosen && given != Given::Yes) given = here;
  }
  return given == Given::No ? Given::No : Given::Yes;
}

void settle_optional(const Loss& loss, const int32_t* choice, const DLTensor* const* tensors, Shapes* s) {
  Given given[kMaxAxes] = {};
  for (int a = 0; a < loss.n_axes; ++a) given[a] = loss.axes[a].optional ? Given::Unknown : by_choice(loss, choice, a);
  for (const bool force : {false, true}) {
    for (bool learnt = true; learnt;) {
      learnt = false;
      for (int i = 0; i < loss.n_inputs; ++i) {
        if (tensors[i] != nullptr) learnt |= settle(loss, loss.inputs[i], tensors[i]->ndim, force, given);
      }
    }
  }
  for (int a = 0; a < loss.n_axes; ++a) s->given[a] = loss.axes[a].flat || given[a] == Given::Yes;
}

// "[N, C]" as declared, and what came.
lossc_status wrong_rank(const Argument& a, const DLTensor& t, lossc_error* err) {
  char buffer[128];
  Text got{buffer, sizeof buffer};
  add_shape(got, t);
  return fail(err, LOSSC_E_ARGUMENT, "%s: shape is %s, want %s", a.name, buffer, a.shape);
}

// Number of tensor dimensions behind each of an argument's; the flat one takes what the others leave.
lossc_status split_rank(const Loss& loss, const Argument& a, const DLTensor& t, const Shapes& s, int* counts,
                        lossc_error* err) {
  int rest = t.ndim;
  for (int d = 0; d < a.ndim; ++d) {
    counts[d] = !loss.axes[a.dims[d]].flat && s.given[a.dims[d]];
    rest -= counts[d];
  }
  for (int d = 0; d < a.ndim; ++d) {
    if (!loss.axes[a.dims[d]].flat || rest < 0) continue;
    counts[d] = rest;
    rest = 0;
  }
  return rest == 0 ? LOSSC_OK : wrong_rank(a, t, err);
}

lossc_status extent_of(const Argument& a, const char* axis, const int64_t* shape, int count, int32_t* extent,
                       lossc_error* err) {
  int64_t product = 1;
  for (int k = 0; k < count; ++k) product *= shape[k];  // cannot overflow: check_tensor multiplied all of them
  if (product > INT_MAX) {
    return fail(err, LOSSC_E_UNSUPPORTED, "%s: axis %s has %lld elements, want at most 2147483647", a.name, axis,
                static_cast<long long>(product));
  }
  *extent = static_cast<int32_t>(product);
  return LOSSC_OK;
}

// Whether a tensor's dimensions are those that the axis has elsewhere.
lossc_status match_axis(const Loss& loss, const Argument& a, int axis, const int64_t* shape, int count, const Shapes& s,
                        lossc_error* err) {
  const size_t bytes = sizeof(int64_t) * static_cast<size_t>(count);
  if (count == s.flat_ndim[axis] && memcmp(shape, s.flat_shape[axis], bytes) == 0) return LOSSC_OK;
  char got_buffer[128], want_buffer[128];
  Text got{got_buffer, sizeof got_buffer}, want{want_buffer, sizeof want_buffer};
  add_shape(got, shape, count);
  add_shape(want, s.flat_shape[axis], s.flat_ndim[axis]);
  return fail(err, LOSSC_E_ARGUMENT, "%s %s: axis %s is %s, but %s has %s", a.name, a.shape, loss.axes[axis].name,
              got_buffer, s.from[axis], want_buffer);
}

lossc_status fix_axis(const Loss& loss, const Argument& a, int axis, const int64_t* shape, int count, Shapes* s,
                      lossc_error* err) {
  if (s->from[axis] != nullptr) return match_axis(loss, a, axis, shape, count, *s, err);
  LOSSC_TRY(extent_of(a, loss.axes[axis].name, shape, count, &s->extent[axis], err));
  s->from[axis] = a.name;
  s->flat_ndim[axis] = count;
  memcpy(s->flat_shape[axis], shape, sizeof(int64_t) * static_cast<size_t>(count));
  return LOSSC_OK;
}

// One stride for the dimensions that a flat axis stands for.
lossc_status collapse(const Argument& a, const char* axis, const int64_t* shape, const int64_t* strides, int count,
                      int64_t* stride, lossc_error* err) {
  int64_t next = 0;
  bool any = false;
  for (int k = count - 1; k >= 0; --k) {
    if (shape[k] == 0) return *stride = 1, LOSSC_OK;
  }
  for (int k = count - 1; k >= 0; --k) {
    if (shape[k] == 1) continue;
    if (!any) {
      *stride = strides[k];
    } else if (strides[k] != next) {
      return fail(err, LOSSC_E_UNSUPPORTED,
                  "%s: dimensions %s are laid out so that one stride cannot walk them; make a contiguous copy", a.name,
                  axis);
    }
    any = true;
    next = strides[k] * shape[k];
  }
  if (!any) *stride = 0;
  return LOSSC_OK;
}

// Memory that a kernel may be shown for a tensor without elements: it wants a pointer, and a clamped index may read one
// element before or after.
alignas(64) uint8_t nothing[256];

lossc_status bind_data(const Argument& a, const DLTensor& t, bool empty, Bound* bound, lossc_error* err) {
  if (empty) return bound->host = nothing + 128, LOSSC_OK;
  if (t.data == nullptr) return fail(err, LOSSC_E_ARGUMENT, "%s: data is NULL", a.name);
  bound->host = static_cast<uint8_t*>(t.data) + t.byte_offset;
  if (reinterpret_cast<uintptr_t>(bound->host) % static_cast<unsigned>(bound->elem_bytes) != 0) {
    return fail(err, LOSSC_E_ARGUMENT,
                "%s: data + byte_offset is %p, not aligned to its elements of %d bytes; make a copy", a.name,
                static_cast<void*>(bound->host), bound->elem_bytes);
  }
  return LOSSC_OK;
}

// Of an axis whose length is made of others'. Tensors may have it, too, and then must agree.
lossc_status derive(const Loss& loss, int axis, const int32_t* choice, Shapes* s, lossc_error* err) {
  const Axis& a = loss.axes[axis];
  const int64_t length = evaluate(a.length, a.n_length, s->extent, choice);
  if (length > INT_MAX)
    return fail(err, LOSSC_E_UNSUPPORTED, "%s: axis %s would have %lld elements, want at most 2147483647", loss.name, a.name,
                static_cast<long long>(length));
  const int32_t want = length > 0 ? static_cast<int32_t>(length) : 0;
  if (s->from[axis] != nullptr && s->extent[axis] != want)
    return fail(err, LOSSC_E_ARGUMENT, "%s: axis %s has %d elements, want %d", s->from[axis], a.name, s->extent[axis], want);
  s->extent[axis] = want;
  return LOSSC_OK;
}

}  // namespace

lossc_status bind_shapes(const Loss& loss, const DLTensor* const* tensors, const int32_t* choice, Shapes* s,
                         lossc_error* err) {
  memset(s, 0, sizeof *s);
  for (int32_t& extent : s->extent) extent = 1;
  s->dtype_bits = 32;
  for (int i = 0; i < loss.n_inputs; ++i) {
    const Argument& a = loss.inputs[i];
    if (tensors[i] == nullptr && !a.optional)
      return fail(err, LOSSC_E_ARGUMENT, "%s: is NULL, want a tensor %s", a.name, a.shape);
    if (tensors[i] == nullptr) continue;
    LOSSC_TRY(check_tensor(*tensors[i], a.name, err));
    LOSSC_TRY(check_dtype(*tensors[i], a, err));
    if (elem_of(a) == Elem::Float && tensors[i]->dtype.bits == 64) s->dtype_bits = 64;
  }
  settle_optional(loss, choice, tensors, s);
  for (int i = 0; i < loss.n_inputs; ++i) {
    if (tensors[i] == nullptr) continue;
    int counts[kMaxDims];
    LOSSC_TRY(split_rank(loss, loss.inputs[i], *tensors[i], *s, counts, err));
    const int64_t* shape = tensors[i]->shape;
    for (int d = 0; d < loss.inputs[i].ndim; shape += counts[d++]) {
      const int axis = loss.inputs[i].dims[d];
      if (s->given[axis]) LOSSC_TRY(fix_axis(loss, loss.inputs[i], axis, shape, counts[d], s, err));
    }
  }
  for (int axis = 0; axis < loss.n_axes; ++axis) {
    if (loss.axes[axis].n_length > 0) LOSSC_TRY(derive(loss, axis, choice, s, err));
    if (s->from[axis] != nullptr) continue;
    s->from[axis] = "no input";  // known only to absent ones, or to none
    s->flat_ndim[axis] = loss.axes[axis].flat ? 0 : 1;
    s->flat_shape[axis][0] = s->extent[axis];
  }
  return LOSSC_OK;
}

lossc_status bind_tensor(const Loss& loss, const Argument& a, const DLTensor& t, const Shapes& s, bool shape_only,
                         Bound* bound, lossc_error* err) {
  LOSSC_TRY(check_tensor(t, a.name, err));
  int counts[kMaxDims];
  LOSSC_TRY(split_rank(loss, a, t, s, counts, err));
  int64_t dense[kMaxRank];
  int64_t size = 1;
  for (int k = t.ndim - 1; k >= 0; --k) dense[k] = size, size *= t.shape[k];
  const int64_t* strides = t.strides != nullptr ? t.strides : dense;
  *bound = {.host = nullptr, .extent = {}, .stride = {}, .ndim = a.ndim, .elem_bytes = t.dtype.bits / 8, .dtype = t.dtype};
  bool empty = false;
  for (int d = 0, k = 0; d < a.ndim; k += counts[d++]) {
    const int axis = a.dims[d];
    bound->extent[d] = s.extent[axis];
    if (!s.given[axis]) continue;
    LOSSC_TRY(match_axis(loss, a, axis, t.shape + k, counts[d], s, err));
    LOSSC_TRY(collapse(a, loss.axes[axis].name, t.shape + k, strides + k, counts[d], &bound->stride[d], err));
    if (s.extent[axis] <= 1) bound->stride[d] = 0;
    if (bound->stride[d] > INT_MAX || bound->stride[d] < -INT_MAX) {
      return fail(err, LOSSC_E_UNSUPPORTED, "%s: stride %lld of axis %s does not fit 32 bits", a.name,
                  static_cast<long long>(bound->stride[d]), loss.axes[axis].name);
    }
    empty |= s.extent[axis] == 0;
  }
  return shape_only ? LOSSC_OK : bind_data(a, t, empty, bound, err);
}

}  // namespace lossc::rt
