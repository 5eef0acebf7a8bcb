#include "runtime/labels.h"

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>

#include "runtime/cpu.h"
#include "runtime/plan.h"
#include "runtime/pool.h"

namespace lossc::rt {
namespace {

struct Range {
  int64_t low, high;  // [low, high)
  int64_t ignored;    // also allowed
  bool allows(int64_t x) const { return (x >= low && x < high) || x == ignored; }
};

// What take() goes by.
struct Labels {
  const Loss& loss;
  const Argument& argument;
  const Shapes& shapes;
  Range range;
  lossc_error* err;

  // Where an element is, as "[2, 0]". `at` counts in the argument's dimensions; the text in the tensor's.
  void add_place(Text& text, const int64_t* at) const {
    int64_t place[kMaxRank];
    int rank = 0;
    for (int d = 0; d < argument.ndim; ++d) {
      const int axis = argument.dims[d], n = shapes.flat_ndim[axis];
      if (!shapes.given[axis]) continue;
      int64_t rest = at[d];
      for (int k = n - 1; k >= 0; --k) {
        place[rank + k] = rest % shapes.flat_shape[axis][k];
        rest /= shapes.flat_shape[axis][k];
      }
      rank += n;
    }
    if (rank > 0) add_shape(text, place, rank);
  }

  lossc_status wrong(const int64_t* at, int64_t value) const {
    char where_buffer[96] = "", or_buffer[64] = "";
    Text where{where_buffer, sizeof where_buffer}, other{or_buffer, sizeof or_buffer};
    add_place(where, at);
    if (range.ignored != range.low) other.add(" or %lld", static_cast<long long>(range.ignored));
    return fail(err, LOSSC_E_ARGUMENT, "%s%s is %lld, want %lld to %lld%s", argument.name, where_buffer,
                static_cast<long long>(value), static_cast<long long>(range.low),
                static_cast<long long>(range.high - 1), or_buffer);
  }
  lossc_status decreases(const int64_t* at, int64_t value, int64_t before) const {
    char where_buffer[96] = "";
    Text where{where_buffer, sizeof where_buffer};
    add_place(where, at);
    return fail(err, LOSSC_E_ARGUMENT, "%s%s is %lld after %lld, want values that do not decrease", argument.name, where_buffer,
                static_cast<long long>(value), static_cast<long long>(before));
  }
};

// Labels that stay where they are: in 32 bits, twice as many to a vector, and one comparison for both ends of the range.
// Vectors of the machine: in the baseline's 16 bytes the labels of pixels took a ninth of the whole call of dice, so a third.
struct Test {
  uint32_t low, size;
  int32_t ignored;
};
[[gnu::always_inline]] inline bool all_pass(const int32_t* from, int64_t n, const Test& test) {
  const auto [low, size, ignored] = test;
  uint32_t bad = 0;
  for (int64_t i = 0; i < n; ++i) {
    bad |= static_cast<uint32_t>((static_cast<uint32_t>(from[i]) - low >= size) & (from[i] != ignored));
  }
  return bad == 0;
}
bool plain(const int32_t* from, int64_t n, const Test& test) { return all_pass(from, n, test); }
__attribute__((target("avx2"))) bool avx2(const int32_t* from, int64_t n, const Test& test) { return all_pass(from, n, test); }
__attribute__((target(LOSSC_TARGET_AVX512 ",prefer-vector-width=512"))) bool avx512(
    const int32_t* from, int64_t n, const Test& test) {
  return all_pass(from, n, test);
}

bool all_allowed(const int32_t* from, int64_t n, const Range& range) {
  const Test test{static_cast<uint32_t>(range.low), static_cast<uint32_t>(range.high - range.low), static_cast<int32_t>(range.ignored)};
  const uint8_t has = cpu_features();
  return (has & kCpuAvx512 ? avx512 : has & kCpuAvx2 ? avx2 : plain)(from, n, test);
}

// The innermost dimension, densely or not. Returns the first position that is wrong, or n. No exit from the loop before
// its end, so that it vectorises; wrong labels are rare.
template <class T>
int64_t take_row(const T* from, int64_t stride, int64_t n, const Range& range, int32_t* to) {
  bool good = true;
  if constexpr (sizeof(T) == sizeof(int32_t)) {
    if (stride == 1 && all_allowed(from, n, range)) return n;
  }
  for (int64_t i = 0; i < n; ++i) {
    const T x = from[i * stride];
    good &= range.allows(x);
    if (to != nullptr) to[i] = static_cast<int32_t>(x);
  }
  if (good) return n;
  int64_t i = 0;
  while (range.allows(from[i * stride])) ++i;
  return i;
}

// All labels of an argument, by pieces of its innermost dimension, so that several workers can share them.
template <class T>
struct Take {
  Take(const Range& range, const Bound& t, int32_t* to) : range(range), base(reinterpret_cast<const T*>(t.host)), to(to) {
    // Outermost first, filled up from the left with extents of 1.
    std::fill_n(extent, kMaxDims, 1);
    for (int d = 0; d < t.ndim; ++d) {
      extent[kMaxDims - t.ndim + d] = t.extent[d];
      stride[kMaxDims - t.ndim + d] = t.stride[d];
    }
    pieces = per_row = (extent[kLast] + kPiece - 1) / kPiece;
    for (int d = 0; d < kLast; ++d) pieces *= extent[d];
  }

  // Takes one piece. Where is its first wrong label? nullptr: there is none.
  const T* wrong(int64_t piece, int64_t (&at)[kMaxDims]) const {
    const int64_t row = piece / per_row, first = piece % per_row * kPiece, n = std::min(kPiece, extent[kLast] - first);
    const T* from = base + first * stride[kLast];
    int64_t rest = row;
    for (int d = kLast; d-- > 0; rest /= extent[d]) from += (at[d] = rest % extent[d]) * stride[d];
    const int64_t good = take_row(from, stride[kLast], n, range, to == nullptr ? nullptr : to + row * extent[kLast] + first);
    at[kLast] = first + good;
    return good < n ? from + good * stride[kLast] : nullptr;
  }

  // Takes all. The first piece that has a wrong label, or `pieces`.
  int64_t run(int workers) {
    constexpr float kNs = 0.2f;  // a label, or less
    first_wrong = pieces;
    shares = pieces_for(kNs * static_cast<float>(pieces) * static_cast<float>(std::min(kPiece, extent[kLast])), workers);
    run_tasks(
        static_cast<size_t>(shares),
        [](void* context, size_t k) {
          Take& t = *static_cast<Take*>(context);
          const auto share = static_cast<int64_t>(k);
          int64_t at[kMaxDims];
          for (int64_t p = t.pieces * share / t.shares; p < t.pieces * (share + 1) / t.shares; ++p) {
            if (t.wrong(p, at) == nullptr) continue;
            for (int64_t seen = t.first_wrong; p < seen && !t.first_wrong.compare_exchange_weak(seen, p);) {
            }
            return;
          }
        },
        this);
    return first_wrong;
  }

  static constexpr int64_t kPiece = 16384;
  static constexpr int kLast = kMaxDims - 1;
  const Range range;
  const T* const base;
  int32_t* const to;
  int64_t extent[kMaxDims], stride[kMaxDims] = {}, per_row, pieces;
  int64_t shares = 1;
  std::atomic<int64_t> first_wrong{0};
};

template <class T>
lossc_status take(const Labels& labels, const Bound& t, int32_t* to, int workers) {
  Take<T> all(labels.range, t, to);
  const int64_t piece = all.run(workers);
  if (piece == all.pieces) return LOSSC_OK;
  int64_t at[kMaxDims];
  const T* const label = all.wrong(piece, at);
  return labels.wrong(at + kMaxDims - t.ndim, *label);
}

// Along the last dimension no value is below the one before it.
lossc_status check_ascending(const Labels& labels, const Bound& t) {
  if (t.ndim == 0) return LOSSC_OK;
  int64_t at[kMaxDims] = {}, rows = 1;
  const int last = t.ndim - 1;
  for (int d = 0; d < last; ++d) rows *= t.extent[d];
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row, begin = 0;
    for (int d = last - 1; d >= 0; --d) {
      at[d] = rest % t.extent[d];
      rest /= t.extent[d];
      begin += at[d] * t.stride[d];
    }
    const int32_t* const from = reinterpret_cast<const int32_t*>(t.host) + begin;
    for (int64_t k = 1; k < t.extent[last]; ++k) {
      at[last] = k;
      const int32_t before = from[(k - 1) * t.stride[last]], value = from[k * t.stride[last]];
      if (value < before) return labels.decreases(at, value, before);
    }
  }
  return LOSSC_OK;
}

}  // namespace

lossc_status take_labels(const Loss& loss, const Argument& a, const Shapes& shapes, const double* params, int32_t* to,
                         Bound* t, int workers, lossc_error* err) {
  Range range{INT32_MIN, int64_t{INT32_MAX} + 1, INT32_MIN};
  if (a.range_axis >= 0) {
    range = {a.allow_minus_one ? -1 : 0, shapes.extent[a.range_axis] + (a.range_inclusive ? 1 : 0), a.allow_minus_one ? -1 : 0};
    range.ignored = range.low;
    const double ignored = a.ignore_param >= 0 ? params[a.ignore_param] : NAN;
    if (std::fabs(ignored) <= 2147483647.0) range.ignored = static_cast<int64_t>(ignored);
  } else if (to == nullptr && !a.ascending) {
    return LOSSC_OK;  // any i32 will do
  }
  const Labels labels{loss, a, shapes, range, err};
  if (to == nullptr) {
    LOSSC_TRY(take<int32_t>(labels, *t, nullptr, workers));
    return a.ascending ? check_ascending(labels, *t) : LOSSC_OK;
  }
  LOSSC_TRY(take<int64_t>(labels, *t, to, workers));
  t->host = reinterpret_cast<uint8_t*>(to);
  t->elem_bytes = sizeof(int32_t);
  int64_t size = 1;
  for (int d = t->ndim - 1; d >= 0; --d) {
    t->stride[d] = t->extent[d] > 1 ? size : 0;
    size *= t->extent[d];
  }
  return a.ascending ? check_ascending(labels, *t) : LOSSC_OK;
}

}  // namespace lossc::rt
