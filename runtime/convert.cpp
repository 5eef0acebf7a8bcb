// One scalar function a pair of types, and loops over it compiled for several levels of the machine. bf16 is the upper
// half of f32, so compilers vectorise it by themselves; f16 has instructions (F16C, AVX-512). AVX512_BF16's conversion
// is not used: it takes subnormal numbers for zero whatever MXCSR says.
#include "runtime/convert.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/cpu.h"

namespace lossc::rt {
namespace {

#define LOSSC_INLINE inline __attribute__((always_inline))

struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};

// ---- one element ----------------------------------------------------------------------------------------------------

LOSSC_INLINE void put(BF16 x, float* to) { *to = std::bit_cast<float>(uint32_t{x.bits} << 16); }

LOSSC_INLINE void put(float x, BF16* to) {
  const auto u = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;  // past the largest number comes infinity
  to->bits = static_cast<uint16_t>((u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : rounded);
}

LOSSC_INLINE void put(F16 x, float* to) {
  const uint32_t sign = (x.bits & 0x8000u) << 16, exponent = x.bits >> 10 & 31, mantissa = x.bits & 0x3ff;
  uint32_t u;
  if (exponent == 0)
    u = std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24f);
  else if (exponent == 31)
    u = 0x7f800000 | mantissa << 13 | (mantissa != 0 ? 0x400000 : 0);  // quiet, as the instruction makes it
  else
    u = (exponent + 112) << 23 | mantissa << 13;
  *to = std::bit_cast<float>(sign | u);
}

LOSSC_INLINE void put(float x, F16* to) {
  const auto u = std::bit_cast<uint32_t>(x);
  const uint32_t sign = u >> 16 & 0x8000, size = u & 0x7fffffff;
  uint32_t h;
  if (size > 0x7f800000)
    h = 0x7e00 | (size >> 13 & 0x3ff);
  else if (size >= 0x47800000)  // 65536
    h = 0x7c00;
  else if (size >= 0x38800000)  // 2^-14, the smallest normal number
    h = (size + 0xfff + (size >> 13 & 1) - 0x38000000) >> 13;
  else  // the last bit of 0.5 counts 2^-24, as that of a subnormal number: the addition rounds
    h = std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3f000000;
  to->bits = static_cast<uint16_t>(sign | h);
}

LOSSC_INLINE void put(float x, double* to) { *to = x; }
LOSSC_INLINE void put(double x, float* to) { *to = static_cast<float>(x); }
template <class T>
LOSSC_INLINE void put(T x, double* to) {
  float f;
  put(x, &f);
  *to = f;
}

// Rounding twice to nearest is wrong halfway between two results. Rounded to odd first (where inexact, to the neighbour
// with an odd last bit), f32 has the bits to tell on which side the number lay.
LOSSC_INLINE float to_odd(double x) {
  const float near = static_cast<float>(x);
  auto u = std::bit_cast<uint32_t>(near);
  const double back = near;
  const bool outward = __builtin_fabs(back) > __builtin_fabs(x), exact = back == x || x != x;
  return exact ? near : std::bit_cast<float>((u - (outward ? 1 : 0)) | 1);
}
template <class T>
LOSSC_INLINE void put(double x, T* to) {
  put(to_odd(x), to);
}

// ---- adjacent elements ----------------------------------------------------------------------------------------------

template <class From, class To>
LOSSC_INLINE void loop(const void* from, void* to, size_t n) {
  const From* const x = static_cast<const From*>(from);
  To* const y = static_cast<To*>(to);
  for (size_t i = 0; i < n; ++i) put(x[i], y + i);
}

template <class From, class To>
void plain(const void* from, void* to, size_t n) {
  loop<From, To>(from, to, n);
}
template <class From, class To>
__attribute__((target("avx2,fma"))) void avx2(const void* from, void* to, size_t n) {
  loop<From, To>(from, to, n);
}
template <class From, class To>
__attribute__((target(LOSSC_TARGET_AVX512))) void avx512(
    const void* from, void* to, size_t n) {
  loop<From, To>(from, to, n);
}

__attribute__((target("avx2,f16c"))) void widen_avx2(const void* from, void* to, size_t n) {
  const auto* x = static_cast<const uint8_t*>(from);
  auto* y = static_cast<float*>(to);
  const size_t whole = n / 8 * 8;
  for (size_t i = 0; i < whole; i += 8)
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + 2 * i))));
  loop<F16, float>(x + 2 * whole, y + whole, n - whole);
}
__attribute__((target("avx2,f16c"))) void narrow_avx2(const void* from, void* to, size_t n) {
  const auto* x = static_cast<const float*>(from);
  auto* y = static_cast<uint8_t*>(to);
  const size_t whole = n / 8 * 8;
  for (size_t i = 0; i < whole; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + 2 * i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
  loop<float, F16>(x + whole, y + 2 * whole, n - whole);
}
// The masked forms, because gcc 12 warns of the undefined register in the others.
__attribute__((target("avx512f"))) void widen_avx512(const void* from, void* to, size_t n) {
  const auto* x = static_cast<const uint8_t*>(from);
  auto* y = static_cast<float*>(to);
  const size_t whole = n / 16 * 16;
  for (size_t i = 0; i < whole; i += 16)
    _mm512_storeu_ps(y + i, _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + 2 * i))));
  loop<F16, float>(x + 2 * whole, y + whole, n - whole);
}
__attribute__((target("avx512f"))) void narrow_avx512(const void* from, void* to, size_t n) {
  const auto* x = static_cast<const float*>(from);
  auto* y = static_cast<uint8_t*>(to);
  const size_t whole = n / 16 * 16;
  for (size_t i = 0; i < whole; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + 2 * i), _mm512_maskz_cvtps_ph(0xffff, _mm512_loadu_ps(x + i), 0));
  loop<float, F16>(x + whole, y + 2 * whole, n - whole);
}

template <class From, class To>
ConvertFn level(uint8_t features) {
  if (features & kCpuAvx512) return avx512<From, To>;
  return features & kCpuAvx2 ? avx2<From, To> : plain<From, To>;
}

// ---- boxes ----------------------------------------------------------------------------------------------------------

constexpr int64_t kBlock = 256;

template <class T>
void gather(const uint8_t* from, int64_t stride, void* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    memcpy(static_cast<T*>(to) + i, from + i * stride * int64_t{sizeof(T)}, sizeof(T));
}
template <class T>
void scatter(const void* from, uint8_t* to, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    memcpy(to + i * stride * int64_t{sizeof(T)}, static_cast<const T*>(from) + i, sizeof(T));
}

struct Row {
  ConvertFn dense;
  int64_t from_stride, to_stride;
  int from_bytes, to_bytes;

  void run(const uint8_t* from, uint8_t* to, int64_t n) const {
    if (from_stride == 1 && to_stride == 1) return dense(from, to, static_cast<size_t>(n));
    alignas(64) uint64_t in[kBlock], out[kBlock];
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t count = std::min(kBlock, n - i);
      const uint8_t* const x = from + i * from_stride * from_bytes;
      uint8_t* const y = to + i * to_stride * to_bytes;
      if (from_stride != 1) {
        const auto f = from_bytes == 2 ? gather<uint16_t> : from_bytes == 4 ? gather<uint32_t> : gather<uint64_t>;
        f(x, from_stride, in, count);
      }
      dense(from_stride == 1 ? x : reinterpret_cast<uint8_t*>(in),
            to_stride == 1 ? y : reinterpret_cast<uint8_t*>(out), static_cast<size_t>(count));
      if (to_stride == 1) continue;
      const auto f = to_bytes == 2 ? scatter<uint16_t> : to_bytes == 4 ? scatter<uint32_t> : scatter<uint64_t>;
      f(out, y, to_stride, count);
    }
  }
};

}  // namespace

bool float_of(DLDataType type, Float* found) {
  if (type.lanes != 1) return false;
  if (type.code == kDLBfloat && type.bits == 16) return *found = Float::BF16, true;
  if (type.code != kDLFloat || (type.bits != 16 && type.bits != 32 && type.bits != 64)) return false;
  *found = type.bits == 16 ? Float::F16 : type.bits == 32 ? Float::F32 : Float::F64;
  return true;
}

DLDataType type_of(Float f) {
  return {static_cast<uint8_t>(f == Float::BF16 ? kDLBfloat : kDLFloat), static_cast<uint8_t>(8 * bytes_of(f)), 1};
}

ConvertFn converter(Float from, Float to, uint8_t features) {
  const bool f16c = (features & (kCpuAvx2 | kCpuF16c)) == (kCpuAvx2 | kCpuF16c), wide = features & kCpuAvx512;
  if (to == Float::F32) {
    if (from == Float::F16) return wide ? widen_avx512 : f16c ? widen_avx2 : plain<F16, float>;
    if (from == Float::BF16) return level<BF16, float>(features);
    if (from == Float::F64) return level<double, float>(features);
  }
  if (to == Float::F64) {
    if (from == Float::F16) return plain<F16, double>;
    if (from == Float::BF16) return level<BF16, double>(features);
    if (from == Float::F32) return level<float, double>(features);
  }
  if (to == Float::F16) {
    if (from == Float::F32) return wide ? narrow_avx512 : f16c ? narrow_avx2 : plain<float, F16>;
    if (from == Float::F64) return plain<double, F16>;
  }
  if (to == Float::BF16) {
    if (from == Float::F32) return level<float, BF16>(features);
    if (from == Float::F64) return level<double, BF16>(features);
  }
  return nullptr;
}

void convert(const Side& from, const Side& to, const int64_t* extent, int ndim, uint8_t features) {
  // Dimensions that both sides walk with one stride are one.
  int64_t n[kBoxDims] = {1}, x[kBoxDims] = {1}, y[kBoxDims] = {1};
  int dims = 0;
  for (int d = 0; d < ndim; ++d) {
    if (extent[d] == 0) return;
    if (extent[d] == 1) continue;
    const bool joins = dims > 0 && from.stride[d] == x[dims - 1] * n[dims - 1] && to.stride[d] == y[dims - 1] * n[dims - 1];
    if (joins) {
      n[dims - 1] *= extent[d];
      continue;
    }
    n[dims] = extent[d], x[dims] = from.stride[d], y[dims] = to.stride[d];
    ++dims;
  }
  const Row row{converter(from.type, to.type, features), x[0], y[0], bytes_of(from.type), bytes_of(to.type)};
  int64_t at[kBoxDims] = {};
  for (;;) {
    int64_t in = 0, out = 0;
    for (int d = 1; d < dims; ++d) in += at[d] * x[d], out += at[d] * y[d];
    row.run(from.host + in * row.from_bytes, to.host + out * row.to_bytes, n[0]);
    int d = 1;
    while (d < dims && ++at[d] == n[d]) at[d++] = 0;
    if (d >= dims) return;
  }
}

}  // namespace lossc::rt
