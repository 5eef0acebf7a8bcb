// Measures every row of generators/math/accuracy.h against libm at twice the precision (double for f32, long double
// for f64), at every ISA level this machine runs, and checks IEEE special values. LOSSC_PRINT_ULP=1 prints the rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "Halide.h"
#include "dsl/oracle_nest.h"
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

struct Primitive {
  const char* name;
  int arity;
  Expr (*build)(Expr x, Expr y, m::Env);
  double (*f32)(double x, double y);
  long double (*f64)(long double x, long double y);
};

// digamma(x) and trigamma(x) by recurrence up to 40 and the asymptotic series there; by reflection below 0.
template <typename W>
constexpr W kPi = W(3.14159265358979323846264338327950288L);
template <typename W>
W digamma_reference(W x) {
  if (std::isinf(x)) return x < 0 ? std::numeric_limits<W>::quiet_NaN() : x;
  if (x < 0) {
    const W f = x - std::nearbyint(x);
    return f == 0 ? std::numeric_limits<W>::quiet_NaN() : digamma_reference(1 - x) - kPi<W> / std::tan(kPi<W> * f);
  }
  W sum = 0;
  for (; x < 40; x += 1) sum -= 1 / x;
  const W z = 1 / (x * x);
  const W tail = z * (1 / W(12) - z * (1 / W(120) - z * (1 / W(252) - z * (1 / W(240) - z * (1 / W(132))))));
  return sum + std::log(x) - 1 / (2 * x) - tail;
}
template <typename W>
W trigamma_reference(W x) {
  if (std::isinf(x)) return x < 0 ? std::numeric_limits<W>::quiet_NaN() : W(0);
  if (x < 0) {
    const W f = x - std::nearbyint(x), root = kPi<W> / std::sin(kPi<W> * f);
    return f == 0 ? std::numeric_limits<W>::infinity() : root * root - trigamma_reference(1 - x);
  }
  W sum = 0;
  for (; x < 40; x += 1) sum += 1 / (x * x);
  const W z = 1 / (x * x);
  const W tail = z * (1 / W(6) - z * (1 / W(30) - z * (1 / W(42) - z * (1 / W(30) - z * (5 / W(66) - z * (691 / W(2730)))))));
  return sum + (1 + tail) / x + z / 2;
}

template <typename W>
struct Ref {
  static constexpr W kNan = std::numeric_limits<W>::quiet_NaN();
  static W exp(W x, W) { return std::exp(x); }
  static W exp_ftz(W x, W) { return std::exp(x); }
  static W expm1(W x, W) { return std::expm1(x); }
  static W log(W x, W) { return std::log(x); }
  static W log1p(W x, W) { return std::log1p(x); }
  static W tanh(W x, W) { return std::tanh(x); }
  static W sigmoid(W x, W) { return 1 / (1 + std::exp(-x)); }
  static W softplus(W x, W) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
  static W log_sigmoid(W x, W) { return -softplus(-x, 0); }
  static W erf(W x, W) { return std::erf(x); }
  static W erfc(W x, W) { return std::erfc(x); }
  static W sqrt(W x, W) { return std::sqrt(x); }
  static W rsqrt(W x, W) { return 1 / std::sqrt(x); }
  static W sin(W x, W) { return std::sin(x); }
  static W cos(W x, W) { return std::cos(x); }
  static W asin(W x, W) { return std::asin(x); }
  static W acos(W x, W) { return std::acos(x); }
  static W lgamma(W x, W) { return std::lgamma(x); }
  static W digamma(W x, W) { return digamma_reference(x); }
  static W trigamma(W x, W) { return trigamma_reference(x); }
  static W pow(W x, W y) { return std::pow(x, y); }
  static W atan2(W x, W y) { return std::atan2(x, y); }
  static W max_nan(W x, W y) { return std::isnan(x) || std::isnan(y) ? kNan : std::fmax(x, y); }
  static W min_nan(W x, W y) { return std::isnan(x) || std::isnan(y) ? kNan : std::fmin(x, y); }
  static W clamp_nan(W x, W) { return std::isnan(x) ? kNan : std::fmin(W(2), std::fmax(W(-1), x)); }
};

#define PRIMITIVE(name, arity, call)                                                                                   \
  {                                                                                                                    \
#name, arity, [](Expr x, Expr y, m::Env env) { return (void)x, (void)y, (void)env, call; }, Ref < double> ::name,  \
                                                                                             Ref < long double> ::name \
  }

const Primitive kPrimitives[] = {
    PRIMITIVE(exp, 1, m::exp(x, env)),
    PRIMITIVE(exp_ftz, 1, m::exp_ftz(x, env)),
    PRIMITIVE(expm1, 1, m::expm1(x, env)),
    PRIMITIVE(log, 1, m::log(x)),
    PRIMITIVE(log1p, 1, m::log1p(x)),
    PRIMITIVE(tanh, 1, m::tanh(x, env)),
    PRIMITIVE(sigmoid, 1, m::sigmoid(x, env)),
    PRIMITIVE(softplus, 1, m::softplus(x, env)),
    PRIMITIVE(log_sigmoid, 1, m::log_sigmoid(x, env)),
    PRIMITIVE(erf, 1, m::erf(x, env)),
    PRIMITIVE(erfc, 1, m::erfc(x, env)),
    PRIMITIVE(sqrt, 1, m::sqrt(x)),
    PRIMITIVE(rsqrt, 1, m::rsqrt(x)),
    PRIMITIVE(sin, 1, m::sin(x)),
    PRIMITIVE(cos, 1, m::cos(x)),
    PRIMITIVE(asin, 1, m::asin(x)),
    PRIMITIVE(acos, 1, m::acos(x)),
    PRIMITIVE(lgamma, 1, m::lgamma(x)),
    PRIMITIVE(digamma, 1, m::digamma(x)),
    PRIMITIVE(trigamma, 1, m::trigamma(x)),
    PRIMITIVE(clamp_nan, 1, m::clamp_nan(x, -1, 2)),
    PRIMITIVE(pow, 2, m::pow(x, y, env)),
    PRIMITIVE(atan2, 2, m::atan2(x, y)),
    PRIMITIVE(max_nan, 2, m::max_nan(x, y)),
    PRIMITIVE(min_nan, 2, m::min_nan(x, y)),
};
constexpr int kCount = std::size(kPrimitives);

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

// One argument: every binade of both signs, and random ones where the functions are neither flat nor linear.
template <typename T>
std::vector<T> sweep() {
  using L = Layout<T>;
  using Bits = typename L::Bits;
  std::mt19937_64 random(20240611);
  std::vector<T> v = specials<T>();
  for (Bits e = 0; e < Bits(L::exponents); e++) {
    for (int i = 0; i < L::per_binade; i++) {
      const Bits ones = (Bits(1) << L::mantissa) - 1;
      const Bits low = i == 0 ? 0 : i == 1 ? ones : Bits(random()) & ones;  // both ends of the binade
      const T x = std::bit_cast<T>(Bits(e << L::mantissa | low));
      v.push_back(x);
      v.push_back(-x);
    }
  }
  for (T width : {T(1), T(10), T(110), T(750), T(1e5)}) {
    std::uniform_real_distribution<T> u(-width, width);
    for (int i = 0; i < 20000; i++) v.push_back(u(random));
  }
  std::uniform_real_distribution<T> u(T(-0.5), T(0.5));
  for (int i = 0; i < 20000; i++) v.push_back(T(1 + i % 2) + u(random) * std::ldexp(T(1), -i % 16));
  for (int k = 1; k < 60000; k += 7) v.push_back(T(k * 1.57079632679489661923));  // next to zeros of sin and cos
  return v;
}

// Two arguments: all pairs of special values; x^y that neither over- nor underflows; y/x of either size.
template <typename T>
void sweep_pairs(size_t count, std::vector<T>* x, std::vector<T>* y) {
  for (T a : specials<T>()) {
    for (T b : specials<T>()) x->push_back(a), y->push_back(b);
  }
  std::mt19937_64 random(7);
  std::uniform_real_distribution<T> unit(-1, 1);
  const T widest = sizeof(T) == 4 ? 110 : 750;
  while (x->size() < count) {
    const size_t i = x->size();
    const T narrow = 1 + unit(random) / 2, wide = std::exp(unit(random) * (i % 3 ? 4 : widest));
    const T a = i % 2 ? narrow : wide;
    T b = unit(random) * (i % 5 ? widest : 5) / std::log(a);
    if (i % 4 == 0) b = std::round(b);
    if (i % 7 == 0) b = a * std::exp(unit(random) * 8) * (i % 14 ? 1 : -1);
    x->push_back(i % 8 == 0 ? -a : a);
    y->push_back(b);
  }
}

template <typename T>
struct Arguments {
  std::vector<T> x, pair_x, pair_y;
};

template <typename T>
const Arguments<T>& arguments() {
  static const Arguments<T> all = [] {
    Arguments<T> a;
    a.x = sweep<T>();
    while (a.x.size() % 64) a.x.push_back(1);  // whole vectors of any level
    sweep_pairs<T>(a.x.size(), &a.pair_x, &a.pair_y);
    return a;
  }();
  return all;
}

m::Env env_of(const Halide::Target& target) { return {.fma = target.has_feature(Halide::Target::FMA)}; }

bool runs_here(const Isa& isa) {
  if (isa.name == "avx512") return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  if (isa.name == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("sse4.1");
}

// What is around a primitive in its kernel.
enum class Around {
  Nothing,
  AnotherVector,  // two at once
  Negated,        // the same of -x, and of x + 1/4
  All,            // every other primitive of x
};

// All primitives over all arguments, in one pipeline per level, type and what is around.
template <typename T>
const std::vector<T>& results(const Isa& isa, int primitive, Around around = Around::Nothing) {
  static std::map<std::pair<std::string, Around>, std::vector<std::vector<T>>> cache;
  auto& out = cache[{std::string(isa.name), around}];
  if (out.empty()) {
    Arguments<T> in = arguments<T>();
    const int n = int(in.x.size());
    Halide::Buffer<T> x(in.x.data(), n), pair_x(in.pair_x.data(), n), pair_y(in.pair_y.data(), n);
    const Halide::Target target = lossc::schedules::jit_target(isa);
    Halide::Var i("i");
    const auto of = [&](int k, const Expr& first) { return kPrimitives[k].build(first, pair_y(i), env_of(target)); };
    const auto argument = [&](int k) -> Expr { return kPrimitives[k].arity == 1 ? x(i) : pair_x(i); };
    std::vector<Halide::Func> outputs;
    std::vector<Halide::Buffer<>> buffers;
    const auto add = [&](const char* name, const std::vector<Expr>& values, int vectors, int used) {
      Halide::Func f(std::string("test_") + name);  // a Func named sin would shadow libm
      f(i) = Halide::Tuple(values);
      f.vectorize(i, vectors * lossc::schedules::vector_lanes(int(sizeof(T)) * 8, isa));
      outputs.push_back(f);
      for (int k = 0; k < int(values.size()); k++) {
        if (k >= used) {
          buffers.emplace_back(Halide::Buffer<T>(n));
          continue;
        }
        out.emplace_back(n);
        buffers.emplace_back(Halide::Buffer<T>(out.back().data(), n));
      }
    };
    std::vector<Expr> together;
    for (int k = 0; k < kCount; k++) {
      const Expr a = argument(k);
      if (around == Around::All) together.push_back(of(k, a));
      else if (around == Around::Negated) add(kPrimitives[k].name, {of(k, a), of(k, -a), of(k, a + Halide::cast<T>(0.25f))}, 1, 1);
      else add(kPrimitives[k].name, {of(k, a)}, around == Around::AnotherVector ? 2 : 1, 1);
    }
    if (around == Around::All) add("all", together, 1, kCount);
    Halide::Realization all(buffers);
    Halide::Pipeline(outputs).realize(all, target);
  }
  return out[primitive];
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
  int primitive = 0;
  while (primitive < kCount && std::string(kPrimitives[primitive].name) != row.name) primitive++;
  ASSERT_LT(primitive, kCount) << "accuracy.h names a primitive that has no reference here";
  const Primitive& p = kPrimitives[primitive];
  const std::vector<T>& xs = p.arity == 1 ? arguments<T>().x : arguments<T>().pair_x;
  const std::vector<T>& ys = arguments<T>().pair_y;
  const std::vector<T>& got = results<T>(isa, primitive);
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < xs.size(); i++) {
    if (p.arity == 1 && (xs[i] < row.lo || xs[i] > row.hi)) continue;
    Wide<T> want;
    if constexpr (std::is_same_v<T, float>) {
      want = p.f32(xs[i], ys[i]);
    } else {
      want = p.f64(xs[i], ys[i]);
    }
    const double e = ulps<T>(got[i], want, row.floor);
    if (e > worst) worst = e, at = i;
  }
  if (std::getenv("LOSSC_PRINT_ULP")) {
    std::printf("%-16s f%d %-7s %8.3f ulp at (%.9g, %.9g) -> %.9g\n", row.name, row.bits, std::string(isa.name).c_str(),
                worst, double(xs[at]), double(ys[at]), double(got[at]));
  }
  EXPECT_LE(worst, documented) << std::hexfloat << row.name << "(" << xs[at] << ", " << ys[at] << ") = " << got[at];
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
  const m::Accuracy& row = *info.param.accuracy;
  const auto same = [&](const m::Accuracy& a) { return std::string(a.name) == row.name && a.bits == row.bits; };
  const long nth = std::count_if(&m::kAccuracy[0], info.param.accuracy, same);  // of its ranges
  return row.name + (nth == 0 ? "" : "_range" + std::to_string(nth)) + "_f" + std::to_string(row.bits) + "_" + std::string(kIsas[info.param.isa].name);
});

// A kernel computes again what another one has in memory, and asks which of the two is greater, or whether they are equal: the
// maximum of an axis and the element that it was, both sides of a kink. So a value must not depend on what else its kernel has.
template <typename T>
void compare_bits(const Isa& isa) {
  for (Around around : {Around::AnotherVector, Around::Negated, Around::All}) {
    for (int k = 0; k < kCount; k++) {
      const std::vector<T>&alone = results<T>(isa, k), &there = results<T>(isa, k, around);
      size_t differ = 0, at = 0;
      for (size_t i = 0; i < alone.size(); i++) {
        if (std::memcmp(&alone[i], &there[i], sizeof(T)) == 0 || (std::isnan(alone[i]) && std::isnan(there[i]))) continue;
        if (alone[i] == 0 && there[i] == 0) continue;  // whose sign is not promised
        differ++, at = i;
      }
      EXPECT_EQ(differ, 0u) << kPrimitives[k].name << ", f" << 8 * sizeof(T) << ", " << isa.name << ", around: " << int(around) << std::hexfloat
                            << ": " << alone[at] << " and " << there[at];
    }
  }
}

TEST(Primitive, IsTheSameInEveryKernel) {
  for (const Isa& isa : kIsas) {
    if (!runs_here(isa)) continue;
    compare_bits<float>(isa);
    compare_bits<double>(isa);
  }
}


// The level the remaining facts are checked at: the highest this machine has.
const Isa& best_isa() {
  const Isa* best = &kIsas[0];
  for (const Isa& isa : kIsas) {
    if (runs_here(isa)) best = &isa;
  }
  return *best;
}

template <typename T>
std::vector<T> evaluate(const std::function<Expr(Expr, m::Env)>& build, std::vector<T> in, int lanes, const Isa& isa) {
  const Halide::Target target = lossc::schedules::jit_target(isa);
  Halide::Buffer<T> x(in.data(), int(in.size()));
  Halide::Var i("i");
  Halide::Func f("evaluate");
  f(i) = build(x(i), env_of(target));
  if (lanes > 1) f.vectorize(i, lanes, Halide::TailStrategy::GuardWithIf);
  f.compile_jit(target);
  std::feclearexcept(FE_UNDERFLOW);  // what is raised after this was by the evaluation
  Halide::Buffer<T> out = f.realize({int(in.size())}, target);
  return std::vector<T>(out.begin(), out.end());
}

TEST(Primitive, ExtentsThatAreNoMultipleOfTheVectorGiveTheSame) {
  const Isa& isa = best_isa();
  for (int k = 0; k < kCount; k++) {
    if (kPrimitives[k].arity != 1) continue;
    const std::vector<float>& all = arguments<float>().x;
    std::vector<float> in(all.begin() + 40000, all.begin() + 40061);
    const auto build = [&](Expr x, m::Env env) { return kPrimitives[k].build(x, x, env); };
    for (int lanes : {1, 16}) {
      const std::vector<float> got = evaluate<float>(build, in, lanes, isa);
      for (size_t i = 0; i < in.size(); i++) {
        const float want = results<float>(isa, k)[40000 + i];
        EXPECT_LE(ulps<float>(got[i], want, 1e-3), 2) << kPrimitives[k].name << "(" << in[i] << "), " << lanes;
      }
    }
  }
}

// An operation that underflows takes some 50 times as long on Intel processors: none does where the result is a normal number,
// or an exponential 0.
template <typename T>
void expect_no_underflow(const char* name, std::vector<T> in, T (*reference)(T, T)) {
  while (in.size() % 16 != 0) in.push_back(0);  // nothing is known of lanes beyond the last
  const auto it = std::find_if(std::begin(kPrimitives), std::end(kPrimitives), [&](const Primitive& p) { return std::string(p.name) == name; });
  for (const Isa& isa : kIsas) {
    if (!runs_here(isa)) continue;
    const std::vector<T> got = evaluate<T>([&](Expr x, m::Env env) { return it->build(x, x, env); }, in, 16, isa);
    EXPECT_FALSE(std::fetestexcept(FE_UNDERFLOW)) << name << ", " << sizeof(T) * 8 << " bits, " << isa.name;
    for (size_t i = 0; i < in.size(); i++) EXPECT_LE(ulps<T>(got[i], reference(in[i], 0), 0), 4) << name << "(" << in[i] << ")";
  }
}
TEST(Primitive, ExponentialsThatAreZeroDoNotUnderflow) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> low{-inf, -3e38f, -1000, -200, -177, -176, -175, -150, -125, -104.5f, -87, -50, -1, 0};
  expect_no_underflow<float>("exp", low, Ref<float>::exp);
  // Near 0, where it is as accurate; what is flushed; and above what is finite.
  expect_no_underflow<float>("exp_ftz", {-inf, -3e38f, -1000, -176, -104, -88, -87.7f, -2, -1, 0, 1, 89, 1000, inf},
                             [](float x, float) { return x < -87.5f ? 0 : std::exp(x); });
  expect_no_underflow<double>("exp_ftz", {-INFINITY, -1e300, -2000, -746, -709, -708.9, -1, 0, 1, 710, 2000, INFINITY},
                              [](double x, double) { return x < -708.7 ? 0 : std::exp(x); });
  const std::vector<float> far{-inf, -3e38f, -1000, -176, -125, -104.5f, -87, -60, -44, -20, 0, 20, 44, 60, 87, 104.5f, 125, 176, 1000, inf};
  expect_no_underflow<float>("softplus", far, Ref<float>::softplus);
  expect_no_underflow<float>("log_sigmoid", far, Ref<float>::log_sigmoid);
  expect_no_underflow<double>("exp", {-INFINITY, -1e300, -2000, -1418, -1000, -747, -708, -1, 0}, Ref<double>::exp);
  expect_no_underflow<double>("softplus", {-INFINITY, -2000, -1418, -747, -708, -400, -1, 0, 400, 708, 747}, Ref<double>::softplus);
}

// The neighbours of a primitive in a kernel are fast-math: they must not be reassociated into its range reduction.
TEST(Primitive, ExpOfADifferenceIsAsAccurateAsExp) {
  for (const Isa& isa : kIsas) {
    if (!runs_here(isa)) continue;
    std::vector<float> in;
    for (int i = 0; i < 4000; i++) in.push_back(float(i) * -0.021f + 7);
    const std::vector<float> got = evaluate<float>([](Expr x, m::Env env) { return m::exp(x - 7.0f, env) * 3.0f; }, in, 16, isa);
    const std::vector<float> ftz = evaluate<float>([](Expr x, m::Env env) { return m::exp_ftz(x - 7.0f, env) * 3.0f; }, in, 16, isa);
    for (size_t i = 0; i < in.size(); i++) {
      const double x = in[i] - 7.0f, want = 3 * std::exp(x);
      EXPECT_LE(ulps<float>(got[i], want, 0), 3.5) << in[i] << " " << isa.name;
      EXPECT_LE(ulps<float>(ftz[i], want, 0), 4 - x * (isa.name == "sse41" ? 1.2 : 0.3)) << in[i] << " " << isa.name;
    }
  }
}

TEST(Primitive, PeriodicFunctionsAreBoundedOutsideTheirRangeAndNanAtInfinity) {
  const float inf = INFINITY;
  for (auto f : {m::sin, m::cos}) {
    const auto build = [&](Expr x, m::Env) { return f(x); };
    const std::vector<float> got = evaluate<float>(build, {1e6f, 1e9f, 3e38f, -1e20f, inf, -inf}, 4, best_isa());
    for (int i = 0; i < 4; i++) EXPECT_LE(std::fabs(got[i]), 1);
    EXPECT_TRUE(std::isnan(got[4]) && std::isnan(got[5]));
  }
}

// Beyond, what a kernel gives is not held against it: see Oracle::round_like.
TEST(Primitive, TheOracleKnowsHowFarSinAndCosArePromised) {
  int rows = 0;
  for (const m::Accuracy& row : m::kAccuracy) {
    if (std::string(row.name) != "sin" && std::string(row.name) != "cos") continue;
    EXPECT_EQ(row.hi, lossc::oracle::kSineRange);
    EXPECT_EQ(row.lo, -lossc::oracle::kSineRange);
    rows++;
  }
  EXPECT_EQ(rows, 4);
}

// math.h says these need no replacement.
TEST(Primitive, HalidesAbsAndRoundingKeepNan) {
  for (const Isa& isa : kIsas) {
    if (!runs_here(isa)) continue;
    for (auto f : {+[](Expr x) { return Halide::abs(x); }, +[](Expr x) { return Halide::floor(x); },
                   +[](Expr x) { return Halide::ceil(x); }, +[](Expr x) { return Halide::round(x); },
                   +[](Expr x) { return Halide::trunc(x); }}) {
      for (float got : evaluate<float>([&](Expr x, m::Env) { return f(x); }, std::vector<float>(20, NAN), 16, isa)) {
        EXPECT_TRUE(std::isnan(got)) << isa.name;
      }
    }
  }
}

// Halide's bounds analysis once took hours over erf(clamp(x, a, b)) in double; see detail.h. The timeout is the test.
TEST(Primitive, BoundedArgumentsCompile) {
  Halide::Param<double> a("a"), b("b");
  a.set(-1), b.set(1);
  for (int k = 0; k < kCount; k++) {
    const auto build = [&](Expr x, m::Env env) {
      const Expr bounded = Halide::clamp(Halide::abs(x), a, b);
      return kPrimitives[k].build(bounded, Halide::abs(bounded), env);
    };
    EXPECT_EQ(evaluate<double>(build, {0.5, 0.25}, 1, kIsas[0]).size(), 2u);
  }
}

TEST(Primitive, OtherTypesAreRefused) {
  EXPECT_THROW(m::exp(Expr(1)), std::invalid_argument);
  EXPECT_THROW(m::tanh(Halide::cast<Halide::float16_t>(Expr(1))), std::invalid_argument);
  EXPECT_THROW(m::log(Halide::cast<Halide::bfloat16_t>(Expr(1))), std::invalid_argument);
}

}  // namespace
