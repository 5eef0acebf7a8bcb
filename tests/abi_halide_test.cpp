// The runtime's own mirror of Halide's call ABI is Halide's.
#include <gtest/gtest.h>

#include "Halide.h"
#include "runtime/halide_abi.h"

namespace {

using lossc::rt::HalideBuffer;
using lossc::rt::HalideDim;
using lossc::rt::HalideType;

#define SAME(ours, our_member, theirs, their_member)                            \
  static_assert(offsetof(ours, our_member) == offsetof(theirs, their_member) && \
                sizeof(ours::our_member) == sizeof(theirs::their_member))
static_assert(sizeof(HalideDim) == sizeof(halide_dimension_t));
SAME(HalideDim, min, halide_dimension_t, min);
SAME(HalideDim, extent, halide_dimension_t, extent);
SAME(HalideDim, stride, halide_dimension_t, stride);
SAME(HalideDim, flags, halide_dimension_t, flags);
static_assert(sizeof(HalideType) == sizeof(halide_type_t));
SAME(HalideType, code, halide_type_t, code);
SAME(HalideType, bits, halide_type_t, bits);
SAME(HalideType, lanes, halide_type_t, lanes);
static_assert(sizeof(HalideBuffer) == sizeof(halide_buffer_t));
SAME(HalideBuffer, device, halide_buffer_t, device);
SAME(HalideBuffer, device_interface, halide_buffer_t, device_interface);
SAME(HalideBuffer, host, halide_buffer_t, host);
SAME(HalideBuffer, flags, halide_buffer_t, flags);
SAME(HalideBuffer, type, halide_buffer_t, type);
SAME(HalideBuffer, dimensions, halide_buffer_t, dimensions);
SAME(HalideBuffer, dim, halide_buffer_t, dim);
SAME(HalideBuffer, padding, halide_buffer_t, padding);

TEST(HalideAbi, TypeCodesAreHalides) {
  EXPECT_EQ(lossc::rt::kHalideInt, halide_type_int);
  EXPECT_EQ(lossc::rt::kHalideUInt, halide_type_uint);
  EXPECT_EQ(lossc::rt::kHalideFloat, halide_type_float);
}

}  // namespace
