// What the running machine can execute, by CPUID and XGETBV: never by model number (a virtual machine may mask what the
// model promises) and never by what the compiler of this file was told.
#pragma once
#include <cstdint>

namespace lossc::rt {

// Bits of IsaInfo::features.
inline constexpr uint8_t kCpuSse41 = 1;
inline constexpr uint8_t kCpuAvx = 2;
inline constexpr uint8_t kCpuAvx2 = 4;
inline constexpr uint8_t kCpuFma = 8;
inline constexpr uint8_t kCpuF16c = 16;
inline constexpr uint8_t kCpuAvx512 = 32;  // Skylake-SP and later
// What that is, as a function's __attribute__((target(...))) has it.
#define LOSSC_TARGET_AVX512 "avx512f,avx512cd,avx512vl,avx512bw,avx512dq"

// What each level of table.h's Isa needs.
inline constexpr uint8_t kNeedsSse41 = kCpuSse41;
inline constexpr uint8_t kNeedsAvx2 = kNeedsSse41 | kCpuAvx | kCpuAvx2 | kCpuFma | kCpuF16c;
inline constexpr uint8_t kNeedsAvx512 = kNeedsAvx2 | kCpuAvx512;

// Found once, at the first call. Test builds (LOSSC_TESTING) take away what the environment variable
// LOSSC_DISABLE_CPU_FEATURES names, e.g. "avx512,fma".
uint8_t cpu_features();

}  // namespace lossc::rt
