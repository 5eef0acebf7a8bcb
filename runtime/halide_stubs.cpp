// What is left of Halide's runtime. Kernels are compiled with no_runtime, no_asserts and no_bounds_query; the few
// functions that they may still name (halide_malloc, errors) are renamed to lossc_internal_halide_* when the library is
// put together and land here, so that neither a Halide in the same program nor a second copy of this library can
// answer.
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "runtime/kernel_heap.h"

#define LOSSC_INTERNAL extern "C" __attribute__((visibility("hidden")))

// Every large intermediate is a buffer of the plan, and lossc_run promises not to allocate: a kernel that does is a
// bug. Out of test builds it works all the same.
LOSSC_INTERNAL void* lossc_internal_halide_malloc(void*, size_t size) {
  lossc::rt::KernelHeap& heap = lossc::rt::kernel_heap;
  for (int k = 0; k < heap.n; ++k) {
    if (heap.regions[k].used || heap.regions[k].bytes < size) continue;
    heap.regions[k].used = true;
    return heap.regions[k].memory;
  }
#ifdef LOSSC_TESTING
  fprintf(stderr, "lossc: a kernel asks for %zu bytes\n", size);
  abort();
#endif
  void* memory = nullptr;
  return posix_memalign(&memory, 128, size + 128) == 0 ? memory
                                                       : nullptr;  // Halide reads up to one vector past the end
}

LOSSC_INTERNAL void lossc_internal_halide_free(void*, void* memory) {
  lossc::rt::KernelHeap& heap = lossc::rt::kernel_heap;
  for (int k = 0; k < heap.n; ++k) {
    if (heap.regions[k].memory != memory) continue;
    heap.regions[k].used = false;
    return;
  }
  free(memory);
}

// The kernel returns what an error function returns, and lossc_run says which kernel it was. Their arguments are not
// looked at, so one definition without any stands for every one (C calling convention: the caller cleans up).
#define LOSSC_ERROR(name, code) \
  LOSSC_INTERNAL int lossc_internal_halide_##name() { return code; }
LOSSC_ERROR(error, -1)
LOSSC_ERROR(error_access_out_of_bounds, -4)
LOSSC_ERROR(error_buffer_allocation_too_large, -5)
LOSSC_ERROR(error_buffer_extents_negative, -28)
LOSSC_ERROR(error_buffer_extents_too_large, -6)
LOSSC_ERROR(error_constraints_make_required_region_smaller, -7)
LOSSC_ERROR(error_constraint_violated, -8)
LOSSC_ERROR(error_out_of_memory, -11)
LOSSC_ERROR(error_buffer_argument_is_null, -12)
LOSSC_ERROR(error_host_is_null, -34)
LOSSC_ERROR(error_requirement_failed, -27)
LOSSC_ERROR(error_specialize_fail, -31)
LOSSC_ERROR(error_explicit_bounds_too_small, -2)
LOSSC_ERROR(error_bad_type, -3)
LOSSC_ERROR(error_bad_dimensions, -43)
LOSSC_ERROR(error_bad_fold, -25)
LOSSC_ERROR(error_fold_factor_too_small, -26)
LOSSC_ERROR(error_unaligned_host_ptr, -24)
LOSSC_ERROR(error_storage_bound_too_small, -45)
LOSSC_ERROR(error_split_factor_not_positive, -46)
