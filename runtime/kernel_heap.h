// Memory for what a kernel keeps within one call. Halide allocates it by halide_malloc (a buffer computed inside a loop
// cannot be an argument); lossc_run allocates nothing, so it lays the regions out in the workspace and hands them to the
// thread that calls the kernel.
#pragma once
#include <cstddef>
#include <cstdint>

namespace lossc::rt {

struct KernelHeap {
  static constexpr int kMostRegions = 8;
  struct Region {
    uint8_t* memory;
    size_t bytes;
    bool used;
  };
  Region regions[kMostRegions];
  int n = 0;
};
inline thread_local KernelHeap kernel_heap;

}  // namespace lossc::rt
