// Losses with tables and kernels written by hand, so that the runtime is tested apart from the compiler. The kernels
// are slow and strict: plain loops over exactly the boxes they are given.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "lossc/lossc.h"
#include "runtime/cpu.h"
#include "runtime/halide_abi.h"
#include "runtime/table.h"

namespace fake {

using namespace lossc::rt;

template <class T>
struct View {
  explicit View(void* p) : b(static_cast<HalideBuffer*>(p)) {}
  T& operator()(int i = 0, int j = 0, int k = 0) const {
    const int at[] = {i, j, k};
    int64_t offset = 0;
    for (int d = 0; d < b->dimensions; ++d) offset += int64_t{at[d] - b->dim[d].min} * b->dim[d].stride;
    return reinterpret_cast<T*>(b->host)[offset];
  }
  int lo(int d) const { return b->dim[d].min; }
  int hi(int d) const { return b->dim[d].min + b->dim[d].extent; }
  HalideBuffer* b;
};
template <class T>
T scalar(void* p) {
  return *static_cast<T*>(p);
}

// Tiles of 8 columns, so that there are several and a padded one.
inline constexpr int kTile = 8, kNnRows = 6, kTnRows = 8;
inline const IsaInfo isas[] = {
    {Isa::Sse41, "sse41", kNeedsSse41, {kTile, kTile}, {kNnRows, kNnRows}, {kTnRows, kTnRows}}};
inline const Build build = {kRegistryVersion, isas, 1};
inline constexpr Dim full(int8_t axis) { return {DimKind::Full, axis}; }
inline constexpr Dim rows(int8_t axis) { return {DimKind::Rows, axis}; }
inline constexpr Dim inner(int8_t axis) { return {DimKind::TileInner, axis}; }
inline constexpr Dim outer(int8_t axis) { return {DimKind::TileOuter, axis}; }
inline constexpr Arg in(int16_t b) { return {ArgKind::Buffer, b, false}; }
// Read along dimension d at the panel's rows only.
inline constexpr Arg own(int16_t b, int8_t d) { return {ArgKind::Buffer, b, false, d}; }
inline constexpr Arg out(int16_t b) { return {ArgKind::Buffer, b, true}; }
template <class T, size_t N>
constexpr auto count(const T (&)[N]) {
  return static_cast<uint16_t>(N);
}
inline const lossc_loss* handle(const Loss& loss) { return reinterpret_cast<const lossc_loss*>(&loss); }

// ---- sum of squares: rows, weights, two passes, a maximum over rows, something saved ------------------------------
//
//   loss[n] = weight[n] * sum_d (a x[n,d])^2,   also column_max[d] = max_n x[n,d]

namespace squares {

enum { kX, kW, kG, kLoss, kRowLoss, kGrad, kTotal, kWeights, kSquares, kMax, kMaxOut, kScale };
inline const Buffer buffers[] = {
    {"x", Storage::Input, Elem::Float, Merge::None, 2, {full(1), rows(0)}, 0, 0, false},
    {"w", Storage::Input, Elem::Float, Merge::None, 1, {rows(0)}, 1 + kRowWeight, 0, false},
    {"g", Storage::Input, Elem::Float, Merge::None, 1, {rows(0)}, 1 + kGradOutput, 0, false},
    {"loss", Storage::Output, Elem::Float, Merge::None, 0, {}, 0, 0, false},
    {"rows", Storage::Output, Elem::Float, Merge::None, 1, {rows(0)}, 1, 0, false},
    {"grad", Storage::Output, Elem::Float, Merge::None, 2, {full(1), rows(0)}, 2, 0, false},
    {"total", Storage::Accumulator, Elem::Float, Merge::Sum, 0, {}, 0, 0, false},
    {"weights", Storage::Accumulator, Elem::Float, Merge::Sum, 0, {}, 0, 0, true},
    {"squares", Storage::Panel, Elem::Float, Merge::None, 2, {full(1), rows(0)}, 0, 0, false},
    {"max", Storage::Accumulator, Elem::Float, Merge::Max, 1, {full(1)}, 0, 0, false},
    {"max_out", Storage::Output, Elem::Float, Merge::None, 1, {full(1)}, 3, 0, false},
    {"scale", Storage::Whole, Elem::Float, Merge::None, 0, {}, 0, 0, false},
};
template <class T>
int square(void** a) {
  View<T> x(a[0]), s(a[2]);
  const T factor = scalar<T>(a[1]);
  for (int n = s.lo(1); n < s.hi(1); ++n)
    for (int d = s.lo(0); d < s.hi(0); ++d) s(d, n) = factor * x(d, n) * factor * x(d, n);
  return 0;
}
template <class T>
int sum_rows(void** a) {
  View<T> s(a[0]), w(a[1]), r(a[2]);
  for (int n = r.lo(0); n < r.hi(0); ++n) {
    T sum = 0;
    for (int d = s.lo(0); d < s.hi(0); ++d) sum += s(d, n);
    r(n) = w(n) * sum;
  }
  return 0;
}
// acc += over the panel's rows
template <class T>
int add_rows(void** a) {
  View<T> x(a[0]), old(a[1]), to(a[4]);
  T sum = 0;
  for (int n = scalar<int>(a[2]); n < scalar<int>(a[3]); ++n) sum += x(n);
  to() = old() + sum;
  return 0;
}
template <class T>
int max_rows(void** a) {
  View<T> x(a[0]), old(a[1]), to(a[4]);
  for (int d = to.lo(0); d < to.hi(0); ++d) {
    T best = old(d);
    for (int n = scalar<int>(a[2]); n < scalar<int>(a[3]); ++n) best = best != best || best > x(d, n) ? best : x(d, n);  // NaN wins
    to(d) = best;
  }
  return 0;
}
template <class T>
int make_scale(void** a) {
  View<T> weights(a[0]), to(a[3]);
  const T given = scalar<T>(a[2]), divisor = given > 0 ? given : weights();
  to() = scalar<int>(a[1]) != LOSSC_REDUCE_MEAN ? 1 : divisor == 0 ? 0 : 1 / divisor;
  return 0;
}
template <class T>
int make_loss(void** a) {
  View<T> total(a[0]), scale(a[1]), to(a[2]);
  to() = total() * scale();
  return 0;
}
template <class T>
int make_grad(void** a) {
  View<T> x(a[0]), w(a[1]), g(a[2]), scale(a[3]), to(a[5]);
  const T factor = scalar<T>(a[4]);
  for (int n = to.lo(1); n < to.hi(1); ++n)
    for (int d = to.lo(0); d < to.hi(0); ++d) to(d, n) = 2 * factor * factor * x(d, n) * w(n) * g(n) * scale();
  return 0;
}
template <class T>
int copy(void** a) {
  View<T> x(a[0]), to(a[1]);
  for (int d = to.lo(0); d < to.hi(0); ++d) to(d) = x(d);
  return 0;
}

inline const Arg args[] = {
    own(kX, 1),
    {ArgKind::Param, 0, false},
    out(kSquares),  // 0
    in(kSquares),
    own(kW, 0),
    out(kRowLoss),  // 3
    in(kRowLoss),
    in(kTotal),
    {ArgKind::RowBegin, 0, false},
    {ArgKind::RowEnd, 0, false},
    out(kTotal),  // 6
    own(kW, 0),
    in(kWeights),
    {ArgKind::RowBegin, 0, false},
    {ArgKind::RowEnd, 0, false},
    out(kWeights),  // 11
    own(kX, 1),
    in(kMax),
    {ArgKind::RowBegin, 0, false},
    {ArgKind::RowEnd, 0, false},
    out(kMax),  // 16
    in(kWeights),
    {ArgKind::IntParam, 1 + kReduction, false},
    {ArgKind::Param, 1 + kDenominator, false},
    out(kScale),  // 21
    in(kTotal),
    in(kScale),
    out(kLoss),  // 25
    in(kMax),
    out(kMaxOut),  // 28
    own(kX, 1),
    own(kW, 0),
    own(kG, 0),
    in(kScale),
    {ArgKind::Param, 0, false},
    out(kGrad),  // 30
};
inline const Step steps[] = {
    {"squares = (a x)^2", StepKind::Kernel, 0, 0, 3, 1, -1, 2, 2, {0, 1}},
    {"rows = w sum squares", StepKind::Kernel, 1, 3, 3, 0, -1, 1, 2, {0, 1}},
    {"total += rows", StepKind::Kernel, 2, 6, 5, -1, -1, 1, 1, {0}},
    {"weights += w", StepKind::Kernel, 2, 11, 5, -1, -1, 1, 1, {0}},
    {"max = max(max, x)", StepKind::Kernel, 3, 16, 5, 0, -1, 1, 2, {0, 1}},
    {"scale", StepKind::Kernel, 4, 21, 4, -1, -1, 1, 0, {}},
    {"loss", StepKind::Kernel, 5, 25, 3, -1, -1, 1, 0, {}},
    {"max_out = max", StepKind::Kernel, 6, 28, 2, 0, -1, 1, 1, {1}},
    {"grad", StepKind::Kernel, 7, 30, 6, 1, -1, 4, 2, {0, 1}},
};
inline const Pass passes[] = {{0, 0, 0, 5, 0}, {5, 3, 8, 1, 0}};
template <class T>
inline const KernelFn functions[][1] = {{square<T>},     {sum_rows<T>},  {add_rows<T>}, {max_rows<T>},
                                        {make_scale<T>}, {make_loss<T>}, {copy<T>},     {make_grad<T>}};
template <class T>
inline const Kernel kernels[] = {{"square", functions<T>[0]},   {"sum_rows", functions<T>[1]},
                                 {"add_rows", functions<T>[2]}, {"max_rows", functions<T>[3]},
                                 {"scale", functions<T>[4]},    {"loss", functions<T>[5]},
                                 {"copy", functions<T>[6]},     {"grad", functions<T>[7]}};
template <class T>
inline const Kernel* const kernel_list[] = {&kernels<T>[0], &kernels<T>[1], &kernels<T>[2], &kernels<T>[3],
                                            &kernels<T>[4], &kernels<T>[5], &kernels<T>[6], &kernels<T>[7]};
template <class T>
inline constexpr Variant variant(uint64_t digest) {
  return {8 * sizeof(T), nullptr,        0, buffers, count(buffers), steps, count(steps), args, passes,
          count(passes), kernel_list<T>, 8, 1,       false,          digest};
}
inline const Variant variants[] = {variant<float>(11), variant<double>(12)};
inline const lossc::rt::Axis axes[] = {{"N", "rows", 0, 0}, {"D", "features", 0, 0}};
inline const Argument inputs[] = {
    {"x", "[N, D]", "f32 f64", "points", Role::Input, 1, 0, 0, 0, 0, 0, 0, 0, 2, {0, 1}, -1, -1, false}};
inline const Argument params[] = {
    {"a", "", "f64", "factor", Role::Param, 0, 0, 0, 1.0, 0, 100, 1, 0, 0, {}, -1, -1, false}};
inline const Argument outputs[] = {
    {"loss", "[]", "f32 f64", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 0, {}, -1, -1, false},
    {"loss", "[N]", "f32 f64", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 1, {0}, -1, -1, false},
    {"grad_x", "[N, D]", "f32 f64", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 2, {0, 1}, -1, -1, false},
    {"column_max", "[D]", "f32 f64", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 1, {1}, -1, -1, false},
};
inline const Loss loss = {"squares", "fake", "Sum of squares", "", "",      "", axes,     2, inputs, 1,
                          params,    1,      outputs,          4,  nullptr, 0,  variants, 2, &build};

}  // namespace squares

// ---- gram: contractions ------------------------------------------------------------------------------------------
//
//   S = X Y',  loss[n] = sum_m S[n,m]^2 / 2,  dX = S Y,  dY = S' X      (sum only)

namespace gram {

using T = float;
enum { kX, kY, kLoss, kRowLoss, kDx, kDy, kXp, kYt, kYp, kS, kTotal, kDxp, kDyp, kRowSum };
inline const Buffer buffers[] = {
    {"x", Storage::Input, Elem::Float, Merge::None, 2, {full(2), rows(0)}, 0, 0, false},
    {"y", Storage::Input, Elem::Float, Merge::None, 2, {full(2), full(1)}, 1, 0, false},
    {"loss", Storage::Output, Elem::Float, Merge::None, 0, {}, 0, 0, false},
    {"rows", Storage::Output, Elem::Float, Merge::None, 1, {rows(0)}, 1, 0, false},
    {"dx", Storage::Output, Elem::Float, Merge::None, 2, {full(2), rows(0)}, 2, 0, false},
    {"dy", Storage::Output, Elem::Float, Merge::None, 2, {full(2), full(1)}, 3, 0, false},
    {"xp", Storage::Panel, Elem::Float, Merge::None, 3, {inner(2), rows(0), outer(2)}, 0, 0, false},
    {"yt", Storage::Whole, Elem::Float, Merge::None, 3, {inner(1), full(2), outer(1)}, 0, 0, false},
    {"yp", Storage::Whole, Elem::Float, Merge::None, 3, {inner(2), full(1), outer(2)}, 0, 0, false},
    {"s", Storage::Panel, Elem::Float, Merge::None, 3, {inner(1), rows(0), outer(1)}, 0, 1, false},
    {"total", Storage::Accumulator, Elem::Float, Merge::Sum, 0, {}, 0, 0, false},
    {"dxp", Storage::Whole, Elem::Float, Merge::None, 3, {inner(2), rows(0), outer(2)}, 0, 0, false},
    {"dyp", Storage::Accumulator, Elem::Float, Merge::Sum, 3, {inner(2), full(1), outer(2)}, 0, 0, false},
    {"row_sum", Storage::Whole, Elem::Float, Merge::None, 1, {rows(0)}, 0, 0, true},
};
// to(c % tile, r, c / tile) = from(c, r); NaN where there is no column
inline int pack(void** a) {
  View<T> from(a[0]), to(a[1]);
  for (int k = to.lo(2); k < to.hi(2); ++k)
    for (int r = to.lo(1); r < to.hi(1); ++r)
      for (int c = 0; c < kTile; ++c) {
        const int column = k * kTile + c;
        to(c, r, k) = column < from.hi(0) ? from(column, r) : std::nanf("");
      }
  return 0;
}
inline int pack_transposed(void** a) {
  View<T> from(a[0]), to(a[1]);
  for (int k = to.lo(2); k < to.hi(2); ++k)
    for (int r = to.lo(1); r < to.hi(1); ++r)
      for (int c = 0; c < kTile; ++c) {
        const int column = k * kTile + c;
        to(c, r, k) = column < from.hi(1) ? from(r, column) : std::nanf("");
      }
  return 0;
}
inline int nn(void** a) {
  View<T> x(a[0]), y(a[1]), to(a[3]);
  const int extent = scalar<int>(a[2]);
  if ((to.hi(1) - to.lo(1)) % kNnRows != 0) return -90;
  for (int k = to.lo(2); k < to.hi(2); ++k)
    for (int r = to.lo(1); r < to.hi(1); ++r)
      for (int c = 0; c < kTile; ++c) {
        T sum = 0;
        for (int e = 0; e < extent; ++e) sum += x(e % kTile, r, e / kTile) * y(c, e, k);
        to(c, r, k) = r < x.hi(1) || x.b == to.b ? sum : std::nanf("");  // rows past the end are garbage
      }
  return 0;
}
inline int tn_add(void** a) {
  View<T> x(a[0]), y(a[1]), old(a[2]), to(a[3]);
  if ((to.hi(1) - to.lo(1)) % kTnRows != 0 || to.lo(1) % kTnRows != 0) return -91;
  for (int k = to.lo(2); k < to.hi(2); ++k)
    for (int r = to.lo(1); r < to.hi(1); ++r)
      for (int c = 0; c < kTile; ++c) {
        T sum = old(c, r, k);
        for (int e = x.lo(1); e < x.hi(1); ++e) sum += x(r % kTile, e, r / kTile) * y(c, e, k);
        to(c, r, k) = sum;
      }
  return 0;
}
inline int unpack(void** a) {
  View<T> from(a[0]), to(a[1]);
  for (int r = to.lo(1); r < to.hi(1); ++r)
    for (int c = to.lo(0); c < to.hi(0); ++c) to(c, r) = from(c % kTile, r, c / kTile);
  return 0;
}
inline int half_squares(void** a) {
  View<T> s(a[0]), to(a[2]);
  for (int n = to.lo(0); n < to.hi(0); ++n) {
    T sum = 0;
    for (int m = 0; m < scalar<int>(a[1]); ++m) sum += s(m % kTile, n, m / kTile) * s(m % kTile, n, m / kTile) / 2;
    to(n) = sum;
  }
  return 0;
}
inline int copy_rows(void** a) {
  View<T> from(a[0]), to(a[1]);
  for (int n = to.lo(0); n < to.hi(0); ++n) to(n) = from(n);
  return 0;
}
inline int add_all(void** a) {
  View<T> from(a[0]), to(a[1]);
  T sum = 0;
  for (int n = from.lo(0); n < from.hi(0); ++n) sum += from(n);
  to() = sum;
  return 0;
}

inline const Arg args[] = {
    in(kY),
    out(kYt),  // 0 once
    in(kY),
    out(kYp),  // 2 once
    in(kX),
    out(kXp),  // 4
    in(kXp),
    in(kYt),
    {ArgKind::Extent, 2, false},
    out(kS),  // 6 S = X Y'
    in(kS),
    {ArgKind::Extent, 1, false},
    out(kRowSum),  // 10
    in(kS),
    in(kYp),
    {ArgKind::Extent, 1, false},
    out(kDxp),  // 13 dX = S Y
    in(kDxp),
    out(kDx),  // 17
    in(kS),
    in(kXp),
    in(kDyp),
    out(kDyp),  // 19 dY += S' X
    in(kRowSum),
    out(kRowLoss),  // 23 once
    in(kRowSum),
    out(kLoss),  // 25 once
    in(kDyp),
    out(kDy),  // 27 once
};
inline const Step steps[] = {
    {"yt", StepKind::Kernel, 0, 0, 2, 2, -1, 1, 2, {1, 2}},
    {"yp", StepKind::Kernel, 1, 2, 2, 2, -1, 1, 2, {1, 2}},
    {"xp", StepKind::Kernel, 1, 4, 2, 1, -1, 1, 2, {0, 2}},
    {"s = xp yt", StepKind::ContractNN, 2, 6, 4, 2, 2, 2, 3, {0, 1, 2}},
    {"row_sum", StepKind::Kernel, 3, 10, 3, 0, -1, 2, 2, {0, 1}},
    {"dxp = s yp", StepKind::ContractNN, 2, 13, 4, 1, 1, 2, 3, {0, 1, 2}},
    {"dx", StepKind::Kernel, 4, 17, 2, 1, -1, 1, 2, {0, 2}},
    {"dyp += s' xp", StepKind::ContractTN, 5, 19, 4, 1, 0, 2, 3, {0, 1, 2}},
    {"rows", StepKind::Kernel, 6, 23, 2, 0, -1, 1, 1, {0}},
    {"loss", StepKind::Kernel, 7, 25, 2, -1, -1, 1, 1, {0}},
    {"dy", StepKind::Kernel, 4, 27, 2, 1, -1, 1, 2, {1, 2}},
};
inline const Pass passes[] = {{0, 2, 2, 6, 0}, {8, 3, 0, 0, -1}};
inline const KernelFn functions[][1] = {{pack_transposed}, {pack},   {nn},        {half_squares},
                                        {unpack},          {tn_add}, {copy_rows}, {add_all}};
inline const Kernel kernels[] = {{"pack_transposed", functions[0]}, {"pack", functions[1]},   {"nn", functions[2]},
                                 {"half_squares", functions[3]},    {"unpack", functions[4]}, {"tn", functions[5]},
                                 {"copy_rows", functions[6]},       {"add_all", functions[7]}};
inline const Kernel* const kernel_list[] = {&kernels[0], &kernels[1], &kernels[2], &kernels[3],
                                            &kernels[4], &kernels[5], &kernels[6], &kernels[7]};
inline const Variant variants[] = {{32, nullptr, 0, buffers, count(buffers), steps, count(steps), args, passes,
                                    count(passes), kernel_list, 8, 2, true, 21}};
inline const lossc::rt::Axis axes[] = {{"N", "rows", 0, 0}, {"M", "columns", 0, 0}, {"D", "features", 0, 0}};
inline const Argument inputs[] = {
    {"x", "[N, D]", "f32", "", Role::Input, 1, 0, 0, 0, 0, 0, 0, 0, 2, {0, 2}, -1, -1, false},
    {"y", "[M, D]", "f32", "", Role::Input, 1, 0, 0, 0, 0, 0, 0, 0, 2, {1, 2}, -1, -1, false}};
inline const Argument outputs[] = {
    {"loss", "[]", "f32", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 0, {}, -1, -1, false},
    {"loss", "[N]", "f32", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 1, {0}, -1, -1, false},
    {"grad_x", "[N, D]", "f32", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 2, {0, 2}, -1, -1, false},
    {"grad_y", "[M, D]", "f32", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 2, {1, 2}, -1, -1, false},
};
inline const Loss loss = {"gram",  "fake", "",      "", "",      "", axes,     3, inputs, 2,
                          nullptr, 0,      outputs, 4,  nullptr, 0,  variants, 1, &build};

}  // namespace gram

// ---- pick: labels, options, optional and flat axes ---------------------------------------------------------------
//
//   loss[n,*] = -logits[n,c,*] + bias * [option: plain | shifted], c = target[n,*]; 0 where target is ignored.
//   An optional mask [N], an optional axis B before all, and ParamZero(bias).

namespace pick {

using T = float;
enum { kLogits, kTarget, kMask, kLoss, kRowLoss, kGrad };
inline const Buffer buffers[] = {
    {"logits", Storage::Input, Elem::Float, Merge::None, 3, {full(2), full(1), rows(0)}, 0, 0, false},
    {"target", Storage::Input, Elem::Int32, Merge::None, 2, {full(2), rows(0)}, 1, 0, false},
    {"mask", Storage::Input, Elem::UInt8, Merge::None, 1, {rows(0)}, 2, 0, false},
    {"loss", Storage::Output, Elem::Float, Merge::None, 0, {}, 0, 0, false},
    {"rows", Storage::Output, Elem::Float, Merge::None, 2, {full(2), rows(0)}, 1, 0, false},
    {"grad", Storage::Output, Elem::Float, Merge::None, 3, {full(2), full(1), rows(0)}, 2, 0, false},
};
template <int kWhich>  // 0: plain, 1: shifted by bias, 2: plain with a mask
int value(void** a) {
  View<T> logits(a[0]), to(a[4]);
  View<int32_t> target(a[1]);
  const T bias = scalar<T>(a[2]);
  const int ignored = scalar<int>(a[3]);
  for (int n = to.lo(1); n < to.hi(1); ++n)
    for (int s = to.lo(0); s < to.hi(0); ++s) {
      const int c = target(s, n);
      const bool keep = c != ignored && (kWhich != 2 || View<uint8_t>(a[5])(n) != 0);
      to(s, n) = keep ? -logits(s, c, n) + (kWhich == 1 ? bias : 0) : 0;
    }
  return 0;
}
inline int sum_all(void** a) {
  View<T> from(a[0]), to(a[1]);
  T sum = 0;
  for (int n = from.lo(1); n < from.hi(1); ++n)
    for (int s = from.lo(0); s < from.hi(0); ++s) sum += from(s, n);
  to() = sum;
  return 0;
}
inline int grad(void** a) {
  View<int32_t> target(a[0]);
  View<T> to(a[2]);
  const int ignored = scalar<int>(a[1]);
  for (int n = to.lo(2); n < to.hi(2); ++n)
    for (int c = to.lo(1); c < to.hi(1); ++c)
      for (int s = to.lo(0); s < to.hi(0); ++s) to(s, c, n) = target(s, n) == c && c != ignored ? -1 : 0;
  return 0;
}
inline const Arg args[] = {
    in(kLogits),
    in(kTarget),
    {ArgKind::Param, 0, false},
    {ArgKind::IntParam, 1, false},
    out(kRowLoss),  // 0
    in(kLogits),
    in(kTarget),
    {ArgKind::Param, 0, false},
    {ArgKind::IntParam, 1, false},
    out(kRowLoss),
    in(kMask),  // 5
    in(kRowLoss),
    out(kLoss),  // 11
    in(kTarget),
    {ArgKind::IntParam, 1, false},
    out(kGrad),  // 13
};
inline const Step plain_steps[] = {{"rows", StepKind::Kernel, 0, 0, 5, 1, -1, 1, 2, {0, 2}},
                                   {"grad", StepKind::Kernel, 2, 13, 3, 2, -1, 1, 3, {0, 1, 2}},
                                   {"loss", StepKind::Kernel, 1, 11, 2, -1, -1, 1, 2, {0, 2}}};
inline const Step mask_steps[] = {{"rows", StepKind::Kernel, 0, 5, 6, 1, -1, 1, 2, {0, 2}},
                                  {"grad", StepKind::Kernel, 2, 13, 3, 2, -1, 1, 3, {0, 1, 2}},
                                  {"loss", StepKind::Kernel, 1, 11, 2, -1, -1, 1, 2, {0, 2}}};
inline const Pass passes[] = {{0, 0, 0, 2, 0}, {2, 1, 0, 0, -1}};
template <int kWhich>
inline const KernelFn functions[][1] = {{value<kWhich>}, {sum_all}, {grad}};
template <int kWhich>
inline const Kernel kernels[] = {
    {"value", functions<kWhich>[0]}, {"sum", functions<kWhich>[1]}, {"grad", functions<kWhich>[2]}};
template <int kWhich>
inline const Kernel* const kernel_list[] = {&kernels<kWhich>[0], &kernels<kWhich>[1], &kernels<kWhich>[2]};
// option 0, no mask: plain. option 1: shifted unless bias is zero. option 0 with mask. option 1 with mask: not
// compiled.
inline const Fact plain_facts[] = {{FactKind::Option, 0, 0}, {FactKind::InputGiven, 2, 0}};
inline const Fact shifted_facts[] = {
    {FactKind::Option, 0, 1}, {FactKind::ParamZero, 0, 0}, {FactKind::InputGiven, 2, 0}};
inline const Fact zero_facts[] = {{FactKind::Option, 0, 1}, {FactKind::ParamZero, 0, 1}, {FactKind::InputGiven, 2, 0}};
inline const Fact mask_facts[] = {{FactKind::Option, 0, 0}, {FactKind::InputGiven, 2, 1}};
inline const Variant variants[] = {
    {32, plain_facts, 2, buffers, count(buffers), plain_steps, 3, args, passes, 2, kernel_list<0>, 3, 0, false, 31},
    {32, shifted_facts, 3, buffers, count(buffers), plain_steps, 3, args, passes, 2, kernel_list<1>, 3, 0, false, 32},
    {32, zero_facts, 3, buffers, count(buffers), plain_steps, 3, args, passes, 2, kernel_list<0>, 3, 0, false, 33},
    {32, mask_facts, 2, buffers, count(buffers), mask_steps, 3, args, passes, 2, kernel_list<2>, 3, 0, false, 34},
};
inline const lossc::rt::Axis axes[] = {{"N", "rows", 0, 0}, {"C", "classes", 0, 0}, {"S", "places", 0, 1}};
inline const Argument inputs[] = {
    {"logits", "[N, C, S...]", "f32", "", Role::Input, 1, 0, 0, 0, 0, 0, 0, 0, 3, {0, 1, 2}, -1, -1, false},
    {"target", "[N, S...]", "i32 i64", "", Role::Input, 0, 0, 1, 0, 0, 0, 0, 0, 2, {0, 2}, 1, 1, false},
    {"mask", "[N]", "bool u8", "", Role::Input, 0, 1, 0, 0, 0, 0, 0, 0, 1, {0}, -1, -1, false},
};
inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline const Argument params[] = {
    {"bias", "", "f64", "", Role::Param, 0, 0, 0, 0.5, -kInf, kInf, 1, 1, 0, {}, -1, -1, false},
    {"ignore_index", "", "i64", "", Role::Param, 0, 0, 1, -100, -kInf, kInf, 1, 1, 0, {}, -1, -1, false},
};
inline const Argument outputs[] = {
    {"loss", "[]", "f32", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 0, {}, -1, -1, false},
    {"loss", "[N, S...]", "f32", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 2, {0, 2}, -1, -1, false},
    {"grad_logits", "[N, C, S...]", "f32", "", Role::Output, 0, 0, 0, 0, 0, 0, 0, 0, 3, {0, 1, 2}, -1, -1, false},
};
inline const Choice choices[] = {{"plain"}, {"shifted"}};
inline const lossc::rt::Option options[] = {{"form", "what is added", choices, 2, 0, 0}};
inline const Loss loss = {"pick", "fake", "",      "", "",      "", axes,     3, inputs, 3,
                          params, 2,      outputs, 3,  options, 1,  variants, 4, &build};

}  // namespace pick
}  // namespace fake
