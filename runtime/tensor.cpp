#include "runtime/tensor.h"

#include <cstdlib>

namespace lossc::rt {
namespace {

bool empty(const Bound& t) {
  for (int d = 0; d < t.ndim; ++d) {
    if (t.extent[d] == 0) return true;
  }
  return false;
}

// Bytes from the first to past the last of the dimensions whose stride is no multiple of the period; *low is how far
// below element 0 the first one is.
int64_t width(const Bound& t, int64_t period, int64_t* low) {
  int64_t up = t.elem_bytes, down = 0;
  for (int d = 0; d < t.ndim; ++d) {
    const int64_t step = t.stride[d] * t.elem_bytes;
    if (t.extent[d] <= 1 || step % period == 0) continue;
    (step > 0 ? up : down) += (t.extent[d] - 1) * std::llabs(step);
  }
  *low = down;
  return up + down;
}

bool interleaved(const Bound& a, const Bound& b, int64_t period) {
  int64_t a_low, b_low;
  const int64_t a_width = width(a, period, &a_low), b_width = width(b, period, &b_low);
  const int64_t apart = (b.host - b_low) - (a.host - a_low);
  const int64_t at = (apart % period + period) % period;  // where b begins, on a circle on which a begins at 0
  return a_width <= at && at + b_width <= period;
}

}  // namespace

Span span_of(const Bound& t) {
  if (empty(t)) return {t.host, t.host};
  int64_t low = 0, high = t.elem_bytes;
  for (int d = 0; d < t.ndim; ++d) {
    const int64_t reach = (t.extent[d] - 1) * t.stride[d] * t.elem_bytes;
    (reach < 0 ? low : high) += reach;
  }
  return {t.host + low, t.host + high};
}

bool disjoint(const Bound& a, const Bound& b) {
  const Span x = span_of(a), y = span_of(b);
  if (x.low == x.high || y.low == y.high || x.high <= y.low || y.high <= x.low) return true;
  for (int d = 0; d < a.ndim; ++d) {
    const int64_t period = std::llabs(a.stride[d]) * a.elem_bytes;
    if (a.extent[d] > 1 && period > 0 && interleaved(a, b, period)) return true;
  }
  return false;
}

bool injective(const Bound& t) {
  if (empty(t)) return true;
  // Each dimension, taken by growing stride, must step over all that the smaller ones reach.
  bool done[kMaxDims] = {};
  int64_t reach = 1;
  for (int k = 0; k < t.ndim; ++k) {
    int best = -1;
    for (int d = 0; d < t.ndim; ++d) {
      if (!done[d] && (best < 0 || std::llabs(t.stride[d]) < std::llabs(t.stride[best]))) best = d;
    }
    done[best] = true;
    if (t.extent[best] <= 1) continue;
    if (std::llabs(t.stride[best]) < reach) return false;
    reach += (t.extent[best] - 1) * std::llabs(t.stride[best]);
  }
  return true;
}

void add_dtype(Text& text, DLDataType type) {
  const char* kind = type.code == kDLInt       ? "i"
                     : type.code == kDLUInt    ? "u"
                     : type.code == kDLFloat   ? "f"
                     : type.code == kDLBfloat  ? "bf"
                     : type.code == kDLBool    ? "bool"
                     : type.code == kDLComplex ? "c"
                                               : "dtype code ";
  if (type.code == kDLBool && type.bits == 8) {
    text.add("bool");
  } else if (type.code > kDLBool) {
    text.add("%s%d, %d bits", kind, type.code, type.bits);
  } else {
    text.add("%s%d", kind, type.bits);
  }
  if (type.lanes != 1) text.add("x%d", type.lanes);
}

void add_shape(Text& text, const int64_t* shape, int ndim) {
  text.add("[");
  for (int d = 0; d < ndim; ++d) text.add(d > 0 ? ", %lld" : "%lld", static_cast<long long>(shape[d]));
  text.add("]");
}

void add_shape(Text& text, const DLTensor& t) { add_shape(text, t.shape, t.ndim); }

bool same_dtype(DLDataType a, DLDataType b) { return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes; }

Elem elem_of(const Argument& argument) {
  if (argument.integer) return Elem::Int32;
  return argument.dtypes[0] == 'f' ? Elem::Float : argument.dtypes[0] == 'i' ? Elem::Int32 : Elem::UInt8;
}

int elem_bytes(Elem elem, int dtype_bits) { return elem == Elem::Float ? dtype_bits / 8 : elem == Elem::Int32 ? 4 : 1; }

lossc_status check_tensor(const DLTensor& t, const char* name, lossc_error* err) {
  if (t.ndim < 0 || t.ndim > kMaxRank) {
    return fail(err, t.ndim < 0 ? LOSSC_E_ARGUMENT : LOSSC_E_UNSUPPORTED, "%s: ndim is %d, want 0 to %d", name, t.ndim,
                kMaxRank);
  }
  if (t.ndim > 0 && t.shape == nullptr)
    return fail(err, LOSSC_E_ARGUMENT, "%s: shape is NULL with ndim %d", name, t.ndim);
  // Pinned host memory is the CPU's as much as any.
  if (t.device.device_type != kDLCPU && t.device.device_type != kDLCUDAHost) {
    return fail(err, LOSSC_E_UNSUPPORTED, "%s: device type is %d, this library has kernels for the CPU (1) only", name,
                static_cast<int>(t.device.device_type));
  }
  int64_t elements = 1;
  for (int d = 0; d < t.ndim; ++d) {
    if (t.shape[d] < 0) {
      return fail(err, LOSSC_E_ARGUMENT, "%s: shape[%d] is %lld", name, d, static_cast<long long>(t.shape[d]));
    }
    if (__builtin_mul_overflow(elements, t.shape[d], &elements)) {
      return fail(err, LOSSC_E_UNSUPPORTED, "%s: its elements do not fit 63 bits", name);
    }
  }
  return LOSSC_OK;
}

lossc_status check_dtype(const DLTensor& t, const Argument& argument, lossc_error* err) {
  const Elem elem = elem_of(argument);
  const DLDataType type = t.dtype;
  Float unused;
  bool fits = false;
  if (elem == Elem::Float) fits = float_of(type, &unused);
  if (elem == Elem::Int32) fits = type.code == kDLInt && (type.bits == 32 || type.bits == 64) && type.lanes == 1;
  if (elem == Elem::UInt8) fits = (type.code == kDLUInt || type.code == kDLBool) && type.bits == 8 && type.lanes == 1;
  if (fits) return LOSSC_OK;
  char buffer[64];
  Text got{buffer, sizeof buffer};
  add_dtype(got, type);
  const bool other_float = elem == Elem::Float && (type.code == kDLFloat || type.code == kDLBfloat);
  const char* want = elem == Elem::Float   ? "f16, bf16, f32 or f64"
                     : elem == Elem::Int32 ? "i32 or i64"
                                           : "bool or u8";
  return fail(err, other_float ? LOSSC_E_UNSUPPORTED : LOSSC_E_ARGUMENT, "%s: dtype is %s, want %s", argument.name,
              buffer, want);
}

}  // namespace lossc::rt
