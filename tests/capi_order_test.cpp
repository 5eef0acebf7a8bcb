// The runtime's argsort against std::stable_sort: every length around the border of its two ways, and numbers made to be
// taken for one another: signed zeros, infinities, subnormals, NaN of either sign, long ties.
#include "runtime/order.cpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace lossc::rt {
namespace {

template <class T>
std::vector<int32_t> expected(const std::vector<T>& x) {
  std::vector<int32_t> out(x.size());
  std::iota(out.begin(), out.end(), 0);
  std::stable_sort(out.begin(), out.end(), [&](int32_t a, int32_t b) {
    const bool a_nan = std::isnan(x[a]), b_nan = std::isnan(x[b]);
    return a_nan || b_nan ? !a_nan && b_nan : x[a] < x[b];
  });
  return out;
}

// With strides, whose gaps stay as they were.
template <class T>
std::vector<int32_t> ordered(const std::vector<T>& x, int64_t stride, int64_t out_stride) {
  const auto n = static_cast<int64_t>(x.size());
  std::vector<T> from(x.size() * stride + 1, T(-1e30));
  std::vector<int32_t> to(x.size() * out_stride + 1, -7), out;
  std::vector<Keyed<T>> memory(2 * x.size() + 1);
  memory[2 * x.size()].place = 77;
  for (int64_t k = 0; k < n; ++k) from[k * stride] = x[k];
  order(from.data(), stride, n, to.data(), out_stride, memory.data());
  for (int64_t k = 0; k < n * out_stride; ++k)
    if (k % out_stride == 0) out.push_back(to[k]);
    else EXPECT_EQ(to[k], -7) << "a gap was written";
  EXPECT_EQ(memory[2 * x.size()].place, 77u) << "memory behind the end was written";
  return out;
}

template <class T>
class Argsort : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Argsort, Types);

TYPED_TEST(Argsort, EveryLengthAndEveryKindOfNumber) {
  using T = TypeParam;
  using L = std::numeric_limits<T>;
  const T odd[] = {0, -T(0), L::infinity(), -L::infinity(), L::quiet_NaN(), -L::quiet_NaN(), L::denorm_min(), -L::denorm_min(),
                   L::max(), L::lowest(), L::min(), -L::min(), 1, -1, 1 + L::epsilon()};
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  for (int n : {0, 1, 2, 3, 17, 1023, 1024, 1025, 5000})
    for (int odds : {0, 1, 2, 1000}) {
      std::vector<T> x(static_cast<size_t>(n));
      for (T& v : x) v = odds > 0 && random() % odds == 0 ? odd[random() % std::size(odd)] : static_cast<T>(std::exp(9 * normal(random)) * normal(random));
      EXPECT_EQ(ordered(x, 1, 1), expected(x)) << n << " elements, one in " << odds << " special";
      EXPECT_EQ(ordered(x, 3, 2), expected(x)) << n << " elements apart";
    }
}

TYPED_TEST(Argsort, TiesKeepTheirOrder) {
  std::mt19937_64 random(8);
  for (int kinds : {1, 2, 10}) {
    std::vector<TypeParam> x(3000);
    for (auto& v : x) v = static_cast<TypeParam>(static_cast<int>(random() % kinds) - 1);
    EXPECT_EQ(ordered(x, 1, 1), expected(x)) << kinds << " values";
  }
}

}  // namespace
}  // namespace lossc::rt
