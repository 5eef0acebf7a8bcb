// Between the float types that tensors have and the one that kernels compute in.
#pragma once
#include <cstddef>
#include <cstdint>

#include "dlpack/dlpack.h"
#include "runtime/table.h"

namespace lossc::rt {

enum class Float : uint8_t { F16, BF16, F32, F64 };

// False: none of them.
bool float_of(DLDataType type, Float* found);
DLDataType type_of(Float f);
inline constexpr Float float_of_bits(int bits) { return bits == 64 ? Float::F64 : Float::F32; }
inline constexpr int bytes_of(Float f) { return f == Float::F64 ? 8 : f == Float::F32 ? 4 : 2; }

// Converts n adjacent elements. To a narrower type it rounds to nearest, ties to even, with overflow to infinity and
// subnormal results kept; NaN stays NaN, with its sign and as much of its payload as fits. `features` are those of
// cpu.h; every level gives the same bits. nullptr: no kernel has use for the pair (the same type, f16 and bf16).
using ConvertFn = void (*)(const void* from, void* to, size_t n);
ConvertFn converter(Float from, Float to, uint8_t features);

// A box of elements, dimensions innermost first, strides in elements and of either sign. Both sides have its extents.
inline constexpr int kBoxDims = kMaxDims;
struct Side {
  uint8_t* host;
  int64_t stride[kBoxDims];
  Float type;
};
void convert(const Side& from, const Side& to, const int64_t* extent, int ndim, uint8_t features);

}  // namespace lossc::rt
