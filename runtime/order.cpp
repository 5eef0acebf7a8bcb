// A radix sort, and not Highway's vqsort, because it is stable (ties by position are what the language promises) and needs
// no memory but the caller's. 10^6 random elements take 3.5 ms (float) and 14 ms (double) where std::sort of positions takes
// 107 (2026-11-24, one core of an EPYC 9xx5).
#include "runtime/order.h"

#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

namespace lossc::rt {
namespace {

// Digits of 11 bits: three rounds for 32 bits, and counters of one round (8 KiB) fit L1 beside the lines written.
constexpr int kDigit = 11, kBuckets = 1 << kDigit;
// Below, the rounds' fixed cost is more than comparisons are.
constexpr int64_t kFew = 1024;

// Ascending as unsigned integers: negative numbers are turned over, NaN is above everything, whatever its sign.
template <class T>
auto key_of(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  constexpr Bits sign = Bits{1} << (8 * sizeof(T) - 1);
  if (x != x) return ~Bits{0};
  const Bits bits = x == 0 ? Bits{0} : std::bit_cast<Bits>(x);
  return bits & sign ? static_cast<Bits>(~bits) : static_cast<Bits>(bits | sign);
}

template <class K>
void few(K* from, K* end) {
  std::sort(from, end, [](const K& a, const K& b) { return a.key != b.key ? a.key < b.key : a.place < b.place; });
}

// Round after round from the lowest digit, each of them stable. Says where the result is.
template <class T>
Keyed<T>* radix(Keyed<T>* from, Keyed<T>* to, int64_t n) {
  constexpr int rounds = (8 * sizeof(T) + kDigit - 1) / kDigit;
  uint32_t counts[rounds][kBuckets] = {};
  for (int64_t k = 0; k < n; ++k)
    for (int r = 0; r < rounds; ++r) ++counts[r][from[k].key >> (r * kDigit) & (kBuckets - 1)];
  for (int r = 0; r < rounds; ++r) {
    uint32_t* const next = counts[r];
    const int shift = r * kDigit;
    if (next[from[0].key >> shift & (kBuckets - 1)] == n) continue;  // all alike in this digit
    uint32_t sum = 0;
    for (int b = 0; b < kBuckets; ++b) sum += std::exchange(next[b], sum);
    for (int64_t k = 0; k < n; ++k) to[next[from[k].key >> shift & (kBuckets - 1)]++] = from[k];
    std::swap(from, to);
  }
  return from;
}

}  // namespace

template <class T>
void order(const T* x, int64_t x_stride, int64_t n, int32_t* out, int64_t out_stride, void* memory) {
  if (n == 0) return;
  auto* sorted = static_cast<Keyed<T>*>(memory);
  for (int64_t k = 0; k < n; ++k) sorted[k] = {key_of(x[k * x_stride]), static_cast<uint32_t>(k)};
  if (n < kFew)
    few(sorted, sorted + n);
  else
    sorted = radix<T>(sorted, sorted + n, n);
  for (int64_t k = 0; k < n; ++k) out[k * out_stride] = static_cast<int32_t>(sorted[k].place);
}

template void order(const float*, int64_t, int64_t, int32_t*, int64_t, void*);
template void order(const double*, int64_t, int64_t, int32_t*, int64_t, void*);

}  // namespace lossc::rt
