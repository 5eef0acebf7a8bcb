// Which element comes at which place: a stable argsort of one row.
#pragma once
#include <cstdint>

namespace lossc::rt {

// An element on its way: a number that compares as the element does, and where it came from.
template <class T>
struct Keyed;
template <>
struct Keyed<float> {
  uint32_t key, place;
};
template <>
struct Keyed<double> {
  uint64_t key;
  uint32_t place;
};

// out[k * out_stride], k in [0, n): positions of the n elements x[p * x_stride] in ascending order, NaN last, equals by
// position (-0 equals 0). n < 2^31. `memory` holds 2 n Keyed<T> and is aligned for them.
template <class T>
void order(const T* x, int64_t x_stride, int64_t n, int32_t* out, int64_t out_stride, void* memory);

}  // namespace lossc::rt
