// The x86-64 levels kernels are compiled for. Always named, never detected: Halide's host detection goes by the CPU's
// model number, and a virtual machine that masks AVX-512 then dies with SIGILL.
#pragma once
#include <array>
#include <string>
#include <string_view>

#include "Halide.h"

namespace lossc::schedules {

struct Isa {
  std::string_view name;
  std::string_view features;  // Halide's spelling, implied features listed too: Halide adds none by itself
  int vector_bytes;           // native vector register
};

// Weakest first; a level contains the ones before it.
inline constexpr std::array<Isa, 3> kIsas = {{
    {"sse41", "sse41", 16},
    {"avx2", "sse41-avx-avx2-f16c-fma", 32},
    {"avx512", "sse41-avx-avx2-f16c-fma-avx512-avx512_skylake", 64},
}};
inline constexpr const Isa& kSse41 = kIsas[0];
inline constexpr const Isa& kAvx2 = kIsas[1];
inline constexpr const Isa& kAvx512 = kIsas[2];

// nullptr when there is no such level.
constexpr const Isa* find_isa(std::string_view name) {
  for (const Isa& isa : kIsas) {
    if (isa.name == name) return &isa;
  }
  return nullptr;
}

constexpr int vector_lanes(int dtype_bits, const Isa& isa) { return isa.vector_bytes * 8 / dtype_bits; }

// Columns of one storage tile. Two vectors per row make 12 x 2 (AVX-512: 32 registers) and 6 x 2 (16 registers)
// accumulator tiles with one broadcast feeding two FMAs; three vectors would load less but pad D = 128 to 144.
constexpr int tile_columns(int dtype_bits, const Isa& isa) { return 2 * vector_lanes(dtype_bits, isa); }

// AOT: our callers never query bounds and check arguments themselves; the runtime is linked once. large_buffers because
// a panel of logits may pass 2^31 elements.
inline std::string target_string(const Isa& isa) {
  return "x86-64-linux-" + std::string(isa.features) + "-no_bounds_query-no_asserts-no_runtime-large_buffers";
}
inline Halide::Target aot_target(const Isa& isa) { return Halide::Target(target_string(isa)); }

// The same code under the JIT, for tests and the tuner (the JIT supplies its own runtime).
inline Halide::Target jit_target(const Isa& isa) {
  return aot_target(isa).without_feature(Halide::Target::NoRuntime).with_feature(Halide::Target::JIT);
}

}  // namespace lossc::schedules
