// Conversions between float types: every 16-bit pattern in both directions, every place where rounding could go wrong,
// at every level of this machine, in any layout.
#include "runtime/convert.cpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "runtime/cpu.cpp"

namespace lossc::rt {
namespace {

// Levels as cpu_features() would report them, lowest first; those that this machine lacks are left out.
std::vector<uint8_t> levels() {
  std::vector<uint8_t> list;
  for (int want : {0, int(kNeedsSse41), int(kNeedsAvx2), int(kNeedsAvx512)})
    if ((want & ~cpu_features()) == 0) list.push_back(static_cast<uint8_t>(want));
  return list;
}

// The value of a pattern, by the definition of the formats.
double value(Float type, uint16_t bits) {
  const int width = type == Float::F16 ? 10 : 7, bias = type == Float::F16 ? 15 : 127, most = type == Float::F16 ? 31 : 255;
  const int exponent = bits >> width & most, mantissa = bits & ((1 << width) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == most) return mantissa ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - width);
  return sign * std::ldexp(mantissa + (1 << width), exponent - bias - width);
}
uint16_t infinity(Float type) { return type == Float::F16 ? 0x7c00 : 0x7f80; }

// The nearest pattern, by bisection over the finite ones: independent of all tricks.
uint16_t nearest(Float type, double x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0, top = infinity(type);
  const double size = std::fabs(x);
  uint16_t low = 0, high = top;  // value(low) <= size < value(high)
  if (size == INFINITY) return sign | top;
  while (high - low > 1) {
    const auto mid = static_cast<uint16_t>((low + high) / 2);
    (value(type, mid) <= size ? low : high) = mid;
  }
  // Past the largest number the next one would be where the spacing goes on.
  const double above = high == top ? 2 * value(type, top - 1) - value(type, top - 2) : value(type, high);
  const double middle = value(type, low) + (above - value(type, low)) / 2;
  return sign | (size < middle || (size == middle && low % 2 == 0) ? low : high);
}

template <class From, class To>
std::vector<To> converted(Float from, Float to, const std::vector<From>& x, uint8_t features) {
  std::vector<To> y(x.size());
  converter(from, to, features)(x.data(), y.data(), x.size());
  return y;
}

class Sixteen : public testing::TestWithParam<Float> {};

TEST_P(Sixteen, EveryPatternIsItsValueAndComesBack) {
  std::vector<uint16_t> all(65536);
  for (size_t k = 0; k < all.size(); ++k) all[k] = static_cast<uint16_t>(k);
  for (uint8_t features : levels()) {
    const auto f = converted<uint16_t, float>(GetParam(), Float::F32, all, features);
    const auto d = converted<uint16_t, double>(GetParam(), Float::F64, all, features);
    const auto back = converted<float, uint16_t>(Float::F32, GetParam(), f, features);
    const auto far_back = converted<double, uint16_t>(Float::F64, GetParam(), d, features);
    for (size_t k = 0; k < all.size(); ++k) {
      const double want = value(GetParam(), all[k]);
      ASSERT_EQ(std::signbit(f[k]), all[k] >> 15) << k;
      if (std::isnan(want)) {
        const int quiet = GetParam() == Float::F16 ? 0x200 : 0x40;
        ASSERT_TRUE(std::isnan(f[k]) && std::isnan(d[k])) << k;
        ASSERT_EQ(back[k], all[k] | quiet) << "payload of " << k << ", features " << int(features);
        ASSERT_EQ(far_back[k], all[k] | quiet) << k;
        continue;
      }
      ASSERT_EQ(f[k], want) << k << ", features " << int(features);
      ASSERT_EQ(d[k], want) << k;
      ASSERT_EQ(back[k], all[k]) << k << ", features " << int(features);
      ASSERT_EQ(far_back[k], all[k]) << k;
    }
  }
}

// Around every boundary: each number, each middle between two neighbours, and the f32 beside those.
TEST_P(Sixteen, RoundsToNearestEvenAtEveryBoundary) {
  std::vector<float> x;
  for (int k = 0; k < infinity(GetParam()); ++k) {
    const auto low = static_cast<uint16_t>(k);
    const double a = value(GetParam(), low);
    const bool last = k + 1 == infinity(GetParam());
    const double b = last ? 2 * a - value(GetParam(), low - 1) : value(GetParam(), low + 1);
    for (double v : {a, a + (b - a) / 4, a + (b - a) / 2, a + 3 * (b - a) / 4}) {
      const auto f = static_cast<float>(v);  // exact but for halves of f32's smallest
      for (float g : {f, std::nextafter(f, 0.0f), std::nextafter(f, INFINITY)})
        for (float s : {1.0f, -1.0f}) x.push_back(s * g);
    }
  }
  for (float g : {INFINITY, 3.4028235e38f, 65504.0f, 65519.996f, 65520.0f, 65536.0f, 1e-45f, 5.9604645e-8f, 2.9802322e-8f})
    x.push_back(g), x.push_back(-g);
  for (uint8_t features : levels()) {
    const auto y = converted<float, uint16_t>(Float::F32, GetParam(), x, features);
    for (size_t k = 0; k < x.size(); ++k) ASSERT_EQ(y[k], nearest(GetParam(), x[k])) << x[k] << ", features " << int(features);
  }
}

// f64 has numbers that f32 would first round into a middle.
TEST_P(Sixteen, RoundsFromDoubleOnce) {
  std::vector<double> x;
  for (int k = 0; k + 1 < infinity(GetParam()); ++k) {
    const double a = value(GetParam(), static_cast<uint16_t>(k)), b = value(GetParam(), static_cast<uint16_t>(k + 1));
    const double middle = a + (b - a) / 2;
    for (double v : {a, middle, std::nextafter(middle, 0.0), std::nextafter(middle, INFINITY), middle * (1 + 1e-9)})
      x.push_back(v), x.push_back(-v);
  }
  for (double v : {1e300, 1e-300, 65520.0, 65519.99999999, 3.4e38, 3.39615e38, double(INFINITY)}) x.push_back(v), x.push_back(-v);
  for (uint8_t features : levels()) {
    const auto y = converted<double, uint16_t>(Float::F64, GetParam(), x, features);
    for (size_t k = 0; k < x.size(); ++k) ASSERT_EQ(y[k], nearest(GetParam(), x[k])) << x[k] << ", features " << int(features);
  }
}

TEST_P(Sixteen, NanStaysNan) {
  std::vector<float> x;
  std::mt19937 random(1);
  for (uint32_t payload : {1u, 0x1fffu, 0x200000u, 0x3fffffu, 0x400000u, 0x7fffffu})
    for (uint32_t sign : {0u, 0x80000000u}) x.push_back(std::bit_cast<float>(0x7f800000u | sign | payload));
  for (int k = 0; k < 1000; ++k) x.push_back(std::bit_cast<float>(0x7f800000u | (static_cast<uint32_t>(random()) & 0x807fffffu) | 1));
  const auto first = converted<float, uint16_t>(Float::F32, GetParam(), x, 0);
  for (uint8_t features : levels()) {
    const auto y = converted<float, uint16_t>(Float::F32, GetParam(), x, features);
    for (size_t k = 0; k < x.size(); ++k) {
      ASSERT_TRUE(std::isnan(value(GetParam(), y[k]))) << k;
      ASSERT_EQ(y[k] >> 15, std::signbit(x[k])) << k;
      ASSERT_EQ(y[k], first[k]) << "features " << int(features);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Convert, Sixteen, testing::Values(Float::F16, Float::BF16),
                         [](const auto& info) { return info.param == Float::F16 ? "f16" : "bf16"; });

TEST(Convert, LeavesNeighboursAlone) {
  for (uint8_t features : levels()) {
    for (auto [from, to] : {std::pair{Float::F16, Float::F32}, {Float::BF16, Float::F32}, {Float::F32, Float::F16},
                            {Float::F32, Float::BF16}, {Float::F64, Float::BF16}, {Float::F32, Float::F64}}) {
      for (size_t n = 0; n < 70; ++n) {
        std::vector<uint8_t> x(n * bytes_of(from)), y((n + 2) * bytes_of(to), 0xA5);
        converter(from, to, features)(x.data(), y.data() + bytes_of(to), n);
        for (int k = 0; k < bytes_of(to); ++k) ASSERT_TRUE(y[k] == 0xA5 && y[y.size() - 1 - k] == 0xA5) << n;
        for (size_t k = 0; k < n * bytes_of(to); ++k) ASSERT_EQ(y[k + bytes_of(to)], 0) << n;
      }
    }
  }
}

// Boxes of any number of dimensions against element by element.
TEST(Convert, TakesAnyStrides) {
  std::mt19937 random(2);
  for (int round = 0; round < 400; ++round) {
    const int ndim = static_cast<int>(random() % (kBoxDims + 1));
    int64_t extent[kBoxDims], order[kBoxDims], low[2] = {0, 0}, size[2] = {1, 1};
    std::iota(order, order + kBoxDims, 0);
    Side side[2] = {{nullptr, {}, Float::BF16}, {nullptr, {}, random() % 2 ? Float::F32 : Float::F64}};
    if (random() % 2) std::swap(side[0].type, side[1].type);
    for (int d = 0; d < ndim; ++d) extent[d] = random() % 8 == 0 ? 0 : random() % 3 == 0 ? 1 : 1 + random() % (d ? 5 : 600);
    for (int s : {0, 1}) {
      std::shuffle(order, order + ndim, random);
      for (int k = 0; k < ndim; ++k) {
        const int64_t n = std::max<int64_t>(extent[order[k]], 1);
        side[s].stride[order[k]] = size[s];
        if (random() % 4 == 0) side[s].stride[order[k]] *= -1, low[s] += size[s] * (n - 1);
        size[s] = size[s] * n + static_cast<int64_t>(random() % 2 ? 0 : random() % 5);
      }
    }
    std::vector<std::vector<uint8_t>> memory;
    for (int s : {0, 1}) {
      memory.emplace_back(static_cast<size_t>(size[s] + 8) * bytes_of(side[s].type));
      for (uint8_t& b : memory[s]) b = static_cast<uint8_t>(random() & 0x3f);  // no NaN, so that == compares
      side[s].host = memory[s].data() + low[s] * bytes_of(side[s].type);
    }
    std::vector<uint8_t> want = memory[1];
    int64_t at[kBoxDims];
    int64_t total = 1;
    for (int d = 0; d < ndim; ++d) total *= extent[d];
    for (int64_t i = 0; i < total; ++i) {
      int64_t rest = i, from = 0, to = low[1];
      for (int d = 0; d < ndim; ++d) at[d] = rest % extent[d], rest /= extent[d], from += at[d] * side[0].stride[d], to += at[d] * side[1].stride[d];
      converter(side[0].type, side[1].type, 0)(side[0].host + from * bytes_of(side[0].type), want.data() + to * bytes_of(side[1].type), 1);
    }
    convert(side[0], side[1], extent, ndim, cpu_features());
    ASSERT_EQ(memory[1], want) << "round " << round;
  }
}

}  // namespace
}  // namespace lossc::rt
