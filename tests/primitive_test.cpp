// Measures every row of generators/math/accuracy.h against libm at twice the precision (double for f32, long double
// for f64), at every ISA level this machine runs, and checks IEEE special values. LOSSC_PRINT_ULP=1 prints the rows.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "Halide.h"
#include "generators/math/accuracy.h"
#include "generators/math/math.h"
#include "schedules/isa.h"

namespace {

namespace m = lossc::math;
using Halide::Expr;
using lossc::schedules::Isa;
using lossc::schedules::kIsas;

template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

struct Unary {
  const char* name;
  Expr (*build)(Expr, m::Env);
  double (*f32)(double);
  long double (*f64)(long double);
};

template <typename W>
struct Ref {
  static W exp(W x) { return std::exp(x); }
  static W expm1(W x) { return std::expm1(x); }
  static W log(W x) { return std::log(x); }
  static W log1p(W x) { return std::log1p(x); }
  static W tanh(W x) { return std::tanh(x); }
  static W sigmoid(W x) { return 1 / (1 + std::exp(-x)); }
  static W softplus(W x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
  static W log_sigmoid(W x) { return -softplus(-x); }
  static W sqrt(W x) { return std::sqrt(x); }
  static W rsqrt(W x) { return 1 / std::sqrt(x); }
};

#define WITH_ENV(f)                                                                                \
  {                                                                                                \
#f, [](Expr x, m::Env env) { return m::f(x, env); }, Ref < double> ::f, Ref < long double> ::f \
  }
#define PLAIN(f)                                                                          \
  {                                                                                       \
#f, [](Expr x, m::Env) { return m::f(x); }, Ref < double> ::f, Ref < long double> ::f \
  }

const Unary kUnary[] = {
    WITH_ENV(exp),
    {"exp_nonpositive", [](Expr x, m::Env env) { return m::exp_nonpositive(x, env); }, Ref<double>::exp,
     Ref<long double>::exp},
    WITH_ENV(expm1),
    PLAIN(log),
    PLAIN(log1p),
    WITH_ENV(tanh),
    WITH_ENV(sigmoid),
    WITH_ENV(softplus),
    WITH_ENV(log_sigmoid),
    PLAIN(sqrt),
    PLAIN(rsqrt),
};
constexpr int kUnaries = std::size(kUnary);

template <typename T>
struct Layout;
template <>
struct Layout<float> {
  using Bits = uint32_t;
  static constexpr int mantissa = 23, exponents = 255, per_binade = 200;
};
template <>
struct Layout<double> {
  using Bits = uint64_t;
  static constexpr int mantissa = 52, exponents = 2047, per_binade = 40;
};

template <typename T>
std::vector<T> specials() {
  using L = std::numeric_limits<T>;
  std::vector<T> v = {0,       1,       2,         L::min(), L::denorm_min(), L::max(), L::infinity(), T(0.5),
                      T(88.7), T(88.8), T(103.97), T(104),   T(709.7),        T(709.8), T(745.2),      T(1e30)};
  const size_t n = v.size();
  for (size_t i = 0; i < n; i++) v.push_back(-v[i]);
  for (int bit : {0, 63}) v.push_back(std::copysign(L::quiet_NaN(), bit ? T(-1) : T(1)));
  return v;
}

// The arguments of the sweep; padded to whole vectors of any level.
template <typename T>
const std::vector<T>& arguments() {
  static const std::vector<T> all = [] {
    using L = Layout<T>;
    using Bits = typename L::Bits;
    std::mt19937_64 random(20240611);
    std::vector<T> v = specials<T>();
    for (Bits e = 0; e < Bits(L::exponents); e++) {
      for (int i = 0; i < L::per_binade; i++) {
        const Bits low = Bits(random()) & ((Bits(1) << L::mantissa) - 1);
        const Bits edge = i == 0 ? 0 : i == 1 ? (Bits(1) << L::mantissa) - 1 : low;  // both ends of the binade
        const T x = std::bit_cast<T>(Bits(e << L::mantissa | edge));
        v.push_back(x);
        v.push_back(-x);
      }
    }
    for (T width : {T(1), T(10), T(110), T(750)}) {
      std::uniform_real_distribution<T> u(-width, width);
      for (int i = 0; i < 20000; i++) v.push_back(u(random));
    }
    std::uniform_real_distribution<T> u(T(-0.5), T(0.5));
    for (int i = 0; i < 20000; i++) v.push_back(1 + u(random) * std::ldexp(T(1), -i % 16));
    while (v.size() % 64) v.push_back(1);
    return v;
  }();
  return all;
}

m::Env env_of(const Halide::Target& target) { return {.fma = target.has_feature(Halide::Target::FMA)}; }

bool runs_here(const Isa& isa) {
  if (isa.name == "avx512") return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  if (isa.name == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("sse4.1");
}

// All unary primitives over all arguments, in one pipeline per level and type.
template <typename T>
const std::vector<T>& results(const Isa& isa, int unary) {
  static std::map<std::string, std::vector<std::vector<T>>> cache;
  auto& out = cache[std::string(isa.name)];
  if (out.empty()) {
    std::vector<T> in = arguments<T>();
    Halide::Buffer<T> x(in.data(), int(in.size()));
    const Halide::Target target = lossc::schedules::jit_target(isa);
    Halide::Var i("i");
    std::vector<Halide::Func> outputs;
    std::vector<Halide::Buffer<>> buffers;
    out.assign(kUnaries, std::vector<T>(in.size()));
    for (int k = 0; k < kUnaries; k++) {
      Halide::Func f(kUnary[k].name);
      f(i) = kUnary[k].build(x(i), env_of(target));
      f.vectorize(i, lossc::schedules::vector_lanes(int(sizeof(T)) * 8, isa));
      outputs.push_back(f);
      buffers.emplace_back(Halide::Buffer<T>(out[k].data(), int(in.size())));
    }
    Halide::Realization all(buffers);
    Halide::Pipeline(outputs).realize(all, target);
  }
  return out[unary];
}

// |got - want| in units in the last place of max(|want|, floor), as if the exponent had no upper bound.
template <typename T>
double ulps(T got, Wide<T> want, double floor) {
  using L = std::numeric_limits<T>;
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(want)) return got == want ? 0 : INFINITY;
  const Wide<T> beyond = std::ldexp(Wide<T>(1), L::max_exponent);
  const Wide<T> value = std::isinf(got) ? std::copysign(beyond, Wide<T>(got)) : Wide<T>(got);
  // An overflowing result has to be infinite: clamp what is wanted likewise.
  const Wide<T> clamped = std::fabs(want) > beyond ? std::copysign(beyond, want) : want;
  const Wide<T> magnitude = std::max({std::fabs(clamped), Wide<T>(floor), Wide<T>(L::min())});
  return double(std::fabs(value - clamped) / std::ldexp(Wide<T>(1), std::ilogb(magnitude) - L::digits + 1));
}

struct Row {
  const m::Accuracy* accuracy;
  int isa;
};

class PrimitiveAccuracy : public ::testing::TestWithParam<Row> {};

template <typename T>
void measure(const m::Accuracy& row, const Isa& isa, double documented) {
  int unary = 0;
  while (unary < kUnaries && std::string(kUnary[unary].name) != row.name) unary++;
  ASSERT_LT(unary, kUnaries) << "accuracy.h names a primitive that has no reference here";
  const std::vector<T>& in = arguments<T>();
  const std::vector<T>& got = results<T>(isa, unary);
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < in.size(); i++) {
    if (in[i] < T(row.lo) || in[i] > T(row.hi)) continue;
    Wide<T> want;
    if constexpr (std::is_same_v<T, float>) {
      want = kUnary[unary].f32(in[i]);
    } else {
      want = kUnary[unary].f64(in[i]);
    }
    const double e = ulps<T>(got[i], want, row.floor);
    if (e > worst) worst = e, at = i;
  }
  if (std::getenv("LOSSC_PRINT_ULP")) {
    std::printf("%-16s f%d %-7s %8.3f ulp at %.9g -> %.9g\n", row.name, row.bits, std::string(isa.name).c_str(), worst,
                double(in[at]), double(got[at]));
  }
  EXPECT_LE(worst, documented) << row.name << "(" << std::hexfloat << in[at] << ") = " << got[at];
}

TEST_P(PrimitiveAccuracy, IsAsDocumented) {
  const m::Accuracy& row = *GetParam().accuracy;
  const Isa& isa = kIsas[GetParam().isa];
  if (!runs_here(isa)) GTEST_SKIP() << "this machine has no " << isa.name;
  const double documented[] = {row.sse41, row.avx2, row.avx512};
  if (row.bits == 32) {
    measure<float>(row, isa, documented[GetParam().isa]);
  } else {
    measure<double>(row, isa, documented[GetParam().isa]);
  }
}

std::vector<Row> rows() {
  std::vector<Row> all;
  for (int isa = 0; isa < int(kIsas.size()); isa++) {
    for (const m::Accuracy& a : m::kAccuracy) all.push_back({&a, isa});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Table, PrimitiveAccuracy, ::testing::ValuesIn(rows()), [](const auto& info) {
  return std::string(info.param.accuracy->name) + "_f" + std::to_string(info.param.accuracy->bits) + "_" +
         std::string(kIsas[info.param.isa].name);
});

}  // namespace
