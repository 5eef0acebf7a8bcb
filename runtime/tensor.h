// The caller's tensors: what they are, as text and in numbers.
#pragma once
#include <cstdint>

#include "runtime/convert.h"
#include "runtime/error.h"
#include "runtime/table.h"

namespace lossc::rt {

inline constexpr int kMaxRank = 16;  // of a tensor: an argument's flat axis stands for several dimensions

// An argument's tensor, seen through its declared dimensions (outermost first): the flat axis is one dimension, absent
// axes have extent 1.
struct Bound {
  uint8_t* host;  // of element 0
  int64_t extent[kMaxDims];
  int64_t stride[kMaxDims];  // in elements; 0 where the extent is 1 or less
  int ndim;
  int elem_bytes;
  DLDataType dtype;
};

// Bytes [low, high) from host that the tensor reaches; low == high when it has no elements.
struct Span {
  const uint8_t *low, *high;
};
Span span_of(const Bound& t);
// Whether two tensors certainly have no byte in common: their spans are apart, or they interleave with a common period
// (the columns of one matrix, every other row).
bool disjoint(const Bound& a, const Bound& b);
// Whether no two elements of t share a byte, as far as nested dimensions show it.
bool injective(const Bound& t);

// "f32", "i64", "bool", "u8", ...
void add_dtype(Text& text, DLDataType type);
// "[8, 10]"
void add_shape(Text& text, const int64_t* shape, int ndim);
void add_shape(Text& text, const DLTensor& t);
bool same_dtype(DLDataType a, DLDataType b);

// What an argument's kernels read, by its dtypes.
Elem elem_of(const Argument& argument);
int elem_bytes(Elem elem, int dtype_bits);

// Rank, NULLs, device, shape: that a DLTensor can be looked at at all.
lossc_status check_tensor(const DLTensor& t, const char* name, lossc_error* err);
// That its dtype is one that the argument can take.
lossc_status check_dtype(const DLTensor& t, const Argument& argument, lossc_error* err);

}  // namespace lossc::rt
