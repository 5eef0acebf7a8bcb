#include "runtime/walk.h"

#include "runtime/order.h"

#include <cmath>
#include <limits>

namespace lossc::rt {
namespace {

// One row: elements a constant stride apart.
template <class T>
struct Row {
  T* first;
  int64_t stride, n;
  T& operator[](int64_t k) const { return first[k * stride]; }
};

// Running sums in a wider type: along 10^5 elements float32 would lose three digits.
template <class T>
void sum(Row<const T> x, Row<T> out, bool back) {
  using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;
  Wide total = 0;
  for (int64_t q = 0; q < x.n; ++q) {
    const int64_t k = back ? x.n - 1 - q : q;
    out[k] = static_cast<T>(total += x[k]);
  }
}

template <class T>
void log_sum_exp(Row<const T> x, Row<T> out, bool back) {
  double total = -std::numeric_limits<double>::infinity();
  for (int64_t q = 0; q < x.n; ++q) {
    const int64_t k = back ? x.n - 1 - q : q;
    const double v = x[k], high = v > total ? v : total, low = v > total ? total : v;
    if (v != v || total != total)
      total = total != total ? total : v;
    else if (high == low && std::isinf(high))
      total = high;
    else
      total = high + std::log1p(std::exp(low - high));
    out[k] = static_cast<T>(total);
  }
}

// Position of the first extremum in the direction walked; the first NaN is one.
template <class T>
void extremum(Row<const T> x, Row<int32_t> out, bool back, bool largest) {
  int64_t best = -1;
  for (int64_t q = 0; q < x.n; ++q) {
    const int64_t k = back ? x.n - 1 - q : q;
    if (best < 0 || (x[best] == x[best] && (x[k] != x[k] || (largest ? x[k] > x[best] : x[k] < x[best])))) best = k;
    out[k] = static_cast<int32_t>(best);
  }
}

template <class T>
void walk_row(Walk what, Row<const T> x, uint8_t* to, int64_t stride, void* memory) {
  const Row<T> out{reinterpret_cast<T*>(to), stride, x.n};
  const Row<int32_t> places{reinterpret_cast<int32_t*>(to), stride, x.n};
  switch (what) {
    case Walk::Order: return order(x.first, x.stride, x.n, places.first, places.stride, memory);
    case Walk::Sum: return sum(x, out, false);
    case Walk::SumBack: return sum(x, out, true);
    case Walk::LogSumExp: return log_sum_exp(x, out, false);
    case Walk::LogSumExpBack: return log_sum_exp(x, out, true);
    case Walk::ArgMax: return extremum(x, places, false, true);
    case Walk::ArgMaxBack: return extremum(x, places, true, true);
    case Walk::ArgMin: return extremum(x, places, false, false);
    case Walk::ArgMinBack: return extremum(x, places, true, false);
    case Walk::None: case Walk::Inverse: return;
  }
}

void invert(Row<const int32_t> order, Row<int32_t> rank) {
  for (int64_t k = 0; k < order.n; ++k) rank[order[k]] = static_cast<int32_t>(k);
}

}  // namespace

void walk(Walk what, const HalideBuffer& in, int in_dim, const HalideBuffer& out, int out_dim, void* memory) {
  const HalideDim along = in.dim[in_dim];
  const int others = out.dimensions - 1;
  int32_t at[kMostDims] = {};
  for (;;) {
    int64_t from = 0, to = 0;
    bool empty = false;
    for (int k = 0; k < others; ++k) {
      const HalideDim &o = out.dim[k + (k >= out_dim)], &i = in.dim[k + (k >= in_dim)];
      empty |= o.extent == 0;
      from += int64_t{i.stride} * (o.min + at[k] - i.min);
      to += int64_t{o.stride} * at[k];
    }
    if (empty) return;
    uint8_t* target = out.host + to * (out.type.bits / 8);
    const uint8_t* source = in.host + from * (in.type.bits / 8);
    const int64_t stride = out.dim[out_dim].stride;
    if (what == Walk::Inverse)
      invert({reinterpret_cast<const int32_t*>(source), along.stride, along.extent},
             {reinterpret_cast<int32_t*>(target), stride, along.extent});
    else if (in.type.bits == 64)
      walk_row<double>(what, {reinterpret_cast<const double*>(source), along.stride, along.extent}, target, stride, memory);
    else
      walk_row<float>(what, {reinterpret_cast<const float*>(source), along.stride, along.extent}, target, stride, memory);
    int k = 0;
    while (k < others && ++at[k] == out.dim[k + (k >= out_dim)].extent) at[k++] = 0;
    if (k == others) return;
  }
}

}  // namespace lossc::rt
