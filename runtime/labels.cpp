#include "runtime/labels.h"

#include <climits>
#include <cmath>

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

  // `at` counts in the argument's dimensions; the text in the tensor's.
  lossc_status wrong(const int64_t* at, int64_t value) const {
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
    char where_buffer[96] = "", or_buffer[64] = "";
    Text where{where_buffer, sizeof where_buffer}, other{or_buffer, sizeof or_buffer};
    if (rank > 0) add_shape(where, place, rank);
    if (range.ignored != range.low) other.add(" or %lld", static_cast<long long>(range.ignored));
    return fail(err, LOSSC_E_ARGUMENT, "%s%s is %lld, want %lld to %lld%s", argument.name, where_buffer,
                static_cast<long long>(value), static_cast<long long>(range.low),
                static_cast<long long>(range.high - 1), or_buffer);
  }
};

// The innermost dimension, densely or not. Returns the first position that is wrong, or n. No exit from the loop before
// its end, so that it vectorises; wrong labels are rare.
template <class T>
int64_t take_row(const T* from, int64_t stride, int64_t n, const Range& range, int32_t* to) {
  bool good = true;
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

template <class T>
lossc_status take(const Labels& labels, const Bound& t, int32_t* to) {
  // Outermost first, at most four dimensions, filled up from the left with extents of 1.
  int64_t extent[kMaxDims] = {1, 1, 1, 1}, stride[kMaxDims] = {};
  for (int d = 0; d < t.ndim; ++d) {
    extent[kMaxDims - t.ndim + d] = t.extent[d];
    stride[kMaxDims - t.ndim + d] = t.stride[d];
  }
  const T* const base = reinterpret_cast<const T*>(t.host);
  for (int64_t i = 0; i < extent[0]; ++i) {
    for (int64_t j = 0; j < extent[1]; ++j) {
      for (int64_t k = 0; k < extent[2]; ++k) {
        const T* const row = base + i * stride[0] + j * stride[1] + k * stride[2];
        const int64_t l = take_row(row, stride[3], extent[3], labels.range, to);
        if (l < extent[3]) {
          const int64_t at[kMaxDims] = {i, j, k, l};
          return labels.wrong(at + kMaxDims - t.ndim, row[l * stride[3]]);
        }
        if (to != nullptr) to += extent[3];
      }
    }
  }
  return LOSSC_OK;
}

}  // namespace

lossc_status take_labels(const Loss& loss, const Argument& a, const Shapes& shapes, const double* params, int32_t* to,
                         Bound* t, lossc_error* err) {
  Range range{INT32_MIN, int64_t{INT32_MAX} + 1, INT32_MIN};
  if (a.range_axis >= 0) {
    range = {a.allow_minus_one ? -1 : 0, shapes.extent[a.range_axis] + (a.range_inclusive ? 1 : 0), a.allow_minus_one ? -1 : 0};
    range.ignored = range.low;
    const double ignored = a.ignore_param >= 0 ? params[a.ignore_param] : NAN;
    if (std::fabs(ignored) <= 2147483647.0) range.ignored = static_cast<int64_t>(ignored);
  } else if (to == nullptr) {
    return LOSSC_OK;  // any i32 will do
  }
  const Labels labels{loss, a, shapes, range, err};
  if (to == nullptr) return take<int32_t>(labels, *t, nullptr);
  LOSSC_TRY(take<int64_t>(labels, *t, to));
  t->host = reinterpret_cast<uint8_t*>(to);
  t->elem_bytes = sizeof(int32_t);
  int64_t size = 1;
  for (int d = t->ndim - 1; d >= 0; --d) {
    t->stride[d] = t->extent[d] > 1 ? size : 0;
    size *= t->extent[d];
  }
  return LOSSC_OK;
}

}  // namespace lossc::rt
