// How a Halide kernel takes its buffers: our own mirror of halide_buffer_t, so that the runtime needs no Halide header.
// A test compares it with HalideRuntime.h.
#pragma once
#include <cstddef>
#include <cstdint>

namespace lossc::rt {

struct HalideDim {
  int32_t min, extent, stride;  // in elements
  uint32_t flags;
};

struct HalideType {
  uint8_t code, bits;
  uint16_t lanes;
};
inline constexpr uint8_t kHalideInt = 0, kHalideUInt = 1, kHalideFloat = 2;

struct HalideBuffer {
  uint64_t device;
  const void* device_interface;
  uint8_t* host;  // address of the element at the minima
  uint64_t flags;
  HalideType type;
  int32_t dimensions;
  HalideDim* dim;
  void* padding;
};

static_assert(sizeof(HalideDim) == 16 && sizeof(HalideType) == 4 && sizeof(HalideBuffer) == 56);

}  // namespace lossc::rt
