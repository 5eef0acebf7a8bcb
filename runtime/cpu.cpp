#include "runtime/cpu.h"

#include <cpuid.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace lossc::rt {
namespace {

uint8_t detect() {
  // libgcc's test reads CPUID and, for AVX and AVX-512, XGETBV: an operating system that does not save the wide
  // registers counts as a machine without them.
  __builtin_cpu_init();
  uint8_t have = 0;
  if (__builtin_cpu_supports("sse4.1")) have |= kCpuSse41;
  if (__builtin_cpu_supports("avx")) have |= kCpuAvx;
  if (__builtin_cpu_supports("avx2")) have |= kCpuAvx2;
  if (__builtin_cpu_supports("fma")) have |= kCpuFma;
  // clang 14 rejects "f16c". It needs the same registers as AVX, so its own bit (leaf 1, ECX 29) is the rest.
  unsigned a = 0, b = 0, c = 0, d = 0;
  if ((have & kCpuAvx) && __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1)) have |= kCpuF16c;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    have |= kCpuAvx512;
  }
#ifdef LOSSC_TESTING
  if (const char* off = getenv("LOSSC_DISABLE_CPU_FEATURES")) {
    constexpr struct {
      const char* name;
      uint8_t bit;
    } names[] = {
        {"sse41", kCpuSse41}, {"avx512", kCpuAvx512}, {"avx2", kCpuAvx2}, {"fma", kCpuFma}, {"f16c", kCpuF16c}};
    for (const auto& [name, bit] : names) {
      if (strstr(off, name)) have &= static_cast<uint8_t>(~bit);
    }
  }
#endif
  return have;
}

}  // namespace

uint8_t cpu_features() {
  static std::atomic<int> found{-1};  // several threads may detect at once: they find the same
  int have = found.load(std::memory_order_relaxed);
  if (have < 0) {
    have = detect();
    found.store(have, std::memory_order_relaxed);
  }
  return static_cast<uint8_t>(have);
}

}  // namespace lossc::rt
