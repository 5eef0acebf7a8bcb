// The derived gradient of every word of the language: against differences of the value where it is smooth, and exactly
// where design section 4 says what it is: kinks, ties, zero vectors, masks, NaN. Losses are summed over rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using Values = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

void expect_exactly(const Values& got, const Values& want) { EXPECT_TRUE(close(got, want, {0, 0})); }
void expect_nearly(const Values& got, const Values& want) { EXPECT_TRUE(close(got, want, kReordered)); }

// ---- elementwise words -----------------------------------------------------------------------------------------

struct Unary {
  const char* name;
  Expr (*f)(Arg);
  double low, high;  // where it is smooth
};
const Unary kUnary[] = {
    {"neg", [](Arg x) { return -x; }, -2, 2},
    {"abs", [](Arg x) { return abs(x); }, -3, -0.5},
    {"exp", [](Arg x) { return exp(x); }, -2, 2},
    {"expm1", [](Arg x) { return expm1(x); }, -2, 2},
    {"log", [](Arg x) { return log(x); }, 0.3, 3},
    {"log1p", [](Arg x) { return log1p(x); }, -0.5, 3},
    {"sqrt", [](Arg x) { return sqrt(x); }, 0.3, 3},
    {"rsqrt", [](Arg x) { return rsqrt(x); }, 0.3, 3},
    {"sq", [](Arg x) { return sq(x); }, -2, 2},
    {"tanh", [](Arg x) { return tanh(x); }, -2, 2},
    {"sigmoid", [](Arg x) { return sigmoid(x); }, -4, 4},
    {"softplus", [](Arg x) { return softplus(x); }, -4, 4},
    {"log_sigmoid", [](Arg x) { return log_sigmoid(x); }, -4, 4},
    {"erf", [](Arg x) { return erf(x); }, -2, 2},
    {"erfc", [](Arg x) { return erfc(x); }, -2, 4},
    {"sin", [](Arg x) { return sin(x); }, -2, 2},
    {"cos", [](Arg x) { return cos(x); }, -2, 2},
    {"acos", [](Arg x) { return acos(x); }, -0.8, 0.8},
    {"asin", [](Arg x) { return asin(x); }, -0.8, 0.8},
    {"lgamma", [](Arg x) { return lgamma(x); }, 0.3, 4},
    {"lgamma_negative", [](Arg x) { return lgamma(x); }, -1.8, -1.2},
    {"relu", [](Arg x) { return relu(x); }, 0.2, 2},
    {"clamp", [](Arg x) { return clamp(x, -1, 1); }, -0.9, 0.9},
    {"clamp_outside", [](Arg x) { return clamp(x, -1, 1); }, 1.1, 2},
    {"floor", [](Arg x) { return floor(x) + x; }, 0.1, 0.9},
    {"round", [](Arg x) { return round(x) + x; }, -0.4, 0.4},
    {"sign", [](Arg x) { return sign(x) * x; }, 0.2, 2},
    {"pow_constant", [](Arg x) { return pow(x, 2.5); }, 0.3, 2},
    {"pow_of_negative", [](Arg x) { return pow(x, 3); }, -2, -0.3},
    {"power_of_constant", [](Arg x) { return pow(2, x); }, -2, 2},
    {"self_division", [](Arg x) { return sq(x) / x; }, 0.3, 2},
};

class ElementwiseGradient : public testing::TestWithParam<Unary> {};
TEST_P(ElementwiseGradient, EqualsDifferences) {
  const Unary& u = GetParam();
  check(
      [&] {
        auto i = axis("N");
        loss_per(i, u.f(input("x", {i})(i)));
      },
      sum_of({{"x", uniform({7}, u.low, u.high)}}));
}
TEST_P(ElementwiseGradient, NanGivesNan) {
  const Unary& u = GetParam();
  const Outcome out = evaluate(
      [&] {
        auto i = axis("N");
        loss_per(i, u.f(input("x", {i})(i)));
      },
      sum_of({{"x", array({kNan, u.low})}}));
  EXPECT_TRUE(std::isnan(out.rows[0]));
  EXPECT_TRUE(std::isfinite(out.rows[1]));
  // -x and |x| >= 1 have slopes that do not depend on x: there NaN cannot and need not come back.
  if (std::string(u.name) != "neg" && std::string(u.name).find("clamp") != 0 && std::string(u.name) != "relu" &&
      std::string(u.name) != "floor" && std::string(u.name) != "round") {
    EXPECT_TRUE(std::isnan(out.gradient.at("x")[0])) << out.gradient.at("x")[0];
  }
  EXPECT_TRUE(std::isfinite(out.gradient.at("x")[1]));
}
INSTANTIATE_TEST_SUITE_P(Words, ElementwiseGradient, testing::ValuesIn(kUnary),
                         [](const auto& info) { return info.param.name; });

struct Binary {
  const char* name;
  Expr (*f)(Arg, Arg);
};
const Binary kBinary[] = {
    {"add", [](Arg x, Arg y) { return x + y; }},
    {"subtract", [](Arg x, Arg y) { return x - y; }},
    {"multiply", [](Arg x, Arg y) { return x * y; }},
    {"divide", [](Arg x, Arg y) { return x / y; }},
    {"pow", [](Arg x, Arg y) { return pow(x, y); }},
    {"atan2", [](Arg x, Arg y) { return atan2(x, y); }},
    {"max", [](Arg x, Arg y) { return max(x, y); }},
    {"min", [](Arg x, Arg y) { return min(x, y); }},
    {"select", [](Arg x, Arg y) { return select(x < y, x * y, y / x); }},
    {"clamp_by_values", [](Arg x, Arg y) { return clamp(x, 0.5 * Expr(y), 2 * Expr(y)); }},
};
class BinaryGradient : public testing::TestWithParam<Binary> {};
TEST_P(BinaryGradient, EqualsDifferencesAlsoWhereOperandsAreBroadcast) {
  check(
      [&] {
        auto i = axis("N"), d = axis("D");
        auto x = input("x", {i, d}), y = input("y", {d}), s = input("s", {});
        loss_per(i, sum(d, GetParam().f(x(i, d), y(d)) + sq(GetParam().f(s(), x(i, d)))));
      },
      sum_of({{"x", uniform({3, 4}, 0.3, 2, 1)}, {"y", uniform({4}, 0.3, 2, 2)}, {"s", array({}, {0.7})}}));
}
INSTANTIATE_TEST_SUITE_P(Words, BinaryGradient, testing::ValuesIn(kBinary),
                         [](const auto& info) { return info.param.name; });

// The derivative of one word at chosen points.
Values slopes(Expr (*f)(Arg), Values at) {
  return evaluate(
             [&] {
               auto i = axis("N");
               loss_per(i, f(input("x", {i})(i)));
             },
             sum_of({{"x", array(at)}}))
      .gradient.at("x");
}

TEST(Kinks, FollowPyTorch) {
  expect_exactly(slopes([](Arg x) { return relu(x); }, {-1, 0, 1}), {0, 0, 1});
  expect_exactly(slopes([](Arg x) { return abs(x); }, {-1, 0, 1}), {-1, 0, 1});
  expect_exactly(slopes([](Arg x) { return clamp(x, -1, 1); }, {-2, -1, 0, 1, 2}), {0, 1, 1, 1, 0});
  expect_exactly(slopes([](Arg x) { return sqrt(x); }, {0, 4}), {0, 0.25});
  expect_exactly(slopes([](Arg x) { return floor(x) + round(x) + sign(x); }, {0, 0.5, 1.25}), {0, 0, 0});
  expect_exactly(slopes([](Arg x) { return max(x, 1); }, {0, 1, 2}), {0, 0.5, 1});
  expect_exactly(slopes([](Arg x) { return min(x, 1); }, {0, 1, 2}), {1, 0.5, 0});
  expect_exactly(slopes([](Arg x) { return pow(x, 0); }, {0, 2}), {0, 0});
  expect_exactly(slopes([](Arg x) { return pow(x, 2); }, {0, -3}), {0, -6});
  expect_exactly(slopes([](Arg x) { return asin(x) + acos(x); }, {-1, 1}), {0, 0});
}

TEST(Infinities, AsIeeeSays) {
  expect_exactly(slopes([](Arg x) { return softplus(x); }, {-kInf, kInf}), {0, 1});
  expect_exactly(slopes([](Arg x) { return sigmoid(x); }, {-kInf, kInf}), {0, 0});
  expect_exactly(slopes([](Arg x) { return tanh(x); }, {-kInf, kInf}), {0, 0});
  expect_exactly(slopes([](Arg x) { return exp(x); }, {-kInf, 800}), {0, kInf});
  expect_exactly(slopes([](Arg x) { return log(x); }, {0, kInf}), {kInf, 0});
  expect_exactly(slopes([](Arg x) { return relu(x); }, {-kInf, kInf, kNan}), {0, 1, 1});
}

// ---- reductions ------------------------------------------------------------------------------------------------

struct Reduction1 {
  const char* name;
  Expr (*f)(Index, Expr, Mask);
};
const Reduction1 kReductions[] = {
    {"sum", [](Index k, Expr e, Mask m) { return sum(k, e, m); }},
    {"mean", [](Index k, Expr e, Mask m) { return mean(k, e, m); }},
    {"prod", [](Index k, Expr e, Mask m) { return prod(k, e, m); }},
    {"max", [](Index k, Expr e, Mask m) { return max(k, e, m); }},
    {"min", [](Index k, Expr e, Mask m) { return min(k, e, m); }},
    {"logsumexp", [](Index k, Expr e, Mask m) { return logsumexp(k, e, m); }},
    {"softmax", [](Index k, Expr e, Mask m) { return sum(k, softmax(k, e, m) * (1.0 + k)); }},
    {"log_softmax", [](Index k, Expr e, Mask m) { return sum(k, log_softmax(k, e, m) * (1.0 + k), m); }},
    {"max_at_argmax", [](Index k, Expr e, Mask m) { return at(e, k, argmax(k, e, m)); }},
    {"min_at_argmin", [](Index k, Expr e, Mask m) { return at(e, k, argmin(k, e, m)); }},
    {"second_largest", [](Index k, Expr e, Mask m) { return kth_largest(k, 2, e, m); }},
    {"top_two", [](Index k, Expr e, Mask m) { return top_k_sum(k, 2, e, m); }},
};
class ReductionGradient : public testing::TestWithParam<Reduction1> {
 protected:
  // One reduction per row and one over rows; the square makes the upstream gradient differ.
  void check_on(Array x, bool masked) {
    const Reduction1& r = GetParam();
    check(
        [&] {
          auto i = axis("N"), c = axis("C");
          auto x = input("x", {i, c});
          Mask m = masked ? Mask(mask("m", {i, c}, "-")(i, c)) : Mask();
          loss_per(i, sq(r.f(c, x(i, c), m)));
        },
        sum_of({{"x", x}, {"m", {{3, 4}, {1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0}}}}));
  }
};
TEST_P(ReductionGradient, EqualsDifferences) { check_on(uniform({3, 4}, 0.2, 2), false); }
TEST_P(ReductionGradient, EqualsDifferencesUnderAMask) { check_on(uniform({3, 4}, 0.2, 2), true); }
TEST_P(ReductionGradient, MaskedNanAndInfContributeExactlyZero) {
  const Reduction1& r = GetParam();
  auto body = [&] {
    auto i = axis("N"), c = axis("C");
    auto x = input("x", {i, c});
    loss_per(i, sq(r.f(c, x(i, c), mask("m", {i, c}, "-")(i, c))));
  };
  const Array m{{2, 4}, {1, 0, 1, 1, 0, 1, 1, 1}};
  const Outcome bad = evaluate(body, sum_of({{"x", {{2, 4}, {0.3, kNan, 1, 2, kInf, 0.5, 0.25, 1.5}}}, {"m", m}}));
  const Outcome good = evaluate(body, sum_of({{"x", {{2, 4}, {0.3, 0, 1, 2, 0, 0.5, 0.25, 1.5}}}, {"m", m}}));
  expect_nearly(bad.rows, good.rows);
  expect_nearly(bad.gradient.at("x"), good.gradient.at("x"));
  EXPECT_EQ(bad.gradient.at("x")[1], 0);
  EXPECT_EQ(bad.gradient.at("x")[4], 0);
}
TEST_P(ReductionGradient, NanGivesNan) {
  const Reduction1& r = GetParam();
  if (std::string(r.name) == "second_largest") return;  // NaN counts as the largest, so the second is a number
  const Outcome out = evaluate(
      [&] {
        auto i = axis("N"), c = axis("C");
        loss_per(i, sq(r.f(c, input("x", {i, c})(i, c), {})));
      },
      sum_of({{"x", {{2, 3}, {1, kNan, 2, 1, 3, 2}}}}));
  EXPECT_TRUE(std::isnan(out.rows[0])) << out.rows[0];
  EXPECT_TRUE(std::isfinite(out.rows[1]));
  const Values& g = out.gradient.at("x");
  EXPECT_TRUE(std::isnan(g[0]) || std::isnan(g[1]) || std::isnan(g[2])) << g[0] << ", " << g[1] << ", " << g[2];
  for (int k = 3; k < 6; k++) EXPECT_TRUE(std::isfinite(g[k])) << k;
}
INSTANTIATE_TEST_SUITE_P(Words, ReductionGradient, testing::ValuesIn(kReductions),
                         [](const auto& info) { return info.param.name; });

// Derivative of one reduction of one row.
Outcome row(Expr (*f)(Index, Expr), Values x) {
  return evaluate(
      [&] {
        auto c = axis("C");
        loss_total(f(c, input("x", {c})(c)));
      },
      sum_of({{"x", array(x)}}));
}

TEST(Ties, OfAnAxisAreSharedEqually) {
  expect_exactly(row([](Index c, Expr e) { return max(c, e); }, {1, 3, 3, 2}).gradient.at("x"), {0, 0.5, 0.5, 0});
  expect_exactly(row([](Index c, Expr e) { return min(c, e); }, {1, 1, 1, 1}).gradient.at("x"),
                 {0.25, 0.25, 0.25, 0.25});
}
TEST(Ties, OfASelectionGoToTheLowestIndex) {
  expect_exactly(row([](Index c, Expr e) { return at(e, c, argmax(c, e)); }, {1, 3, 3}).gradient.at("x"), {0, 1, 0});
  expect_exactly(row([](Index c, Expr e) { return kth_largest(c, 2, e); }, {3, 3, 3}).gradient.at("x"), {0, 1, 0});
  expect_exactly(row([](Index c, Expr e) { return top_k_sum(c, 2, e); }, {3, 3, 3}).gradient.at("x"), {1, 1, 0});
}
TEST(Products, KnowTheDerivativeAtZeros) {
  auto f = [](Index c, Expr e) { return prod(c, e); };
  expect_exactly(row(f, {2, 0, 3}).gradient.at("x"), {0, 6, 0});
  expect_exactly(row(f, {0, 0, 3}).gradient.at("x"), {0, 0, 0});
}
TEST(Logsumexp, OfExtremes) {
  auto f = [](Index c, Expr e) { return logsumexp(c, e); };
  expect_exactly(row(f, {1e4, 0}).gradient.at("x"), {1, 0});
  expect_exactly(row(f, {-1e4, -1e4}).gradient.at("x"), {0.5, 0.5});
  expect_exactly(row(f, {-kInf, 2}).gradient.at("x"), {0, 1});
  EXPECT_EQ(row(f, {1e4, 0}).loss, 1e4);
}
TEST(EmptyReductions, HaveTheirIdentityAndNoGradient) {
  auto nothing = [](Expr (*f)(Index, Expr, Mask)) {
    return evaluate(
        [&] {
          auto i = axis("N"), c = axis("C");
          auto e = f(c, input("x", {i, c})(i, c), mask("m", {i, c}, "-")(i, c));
          loss_per(i, select(e < 1e300 && e > -1e300, e, 5));
        },
        sum_of({{"x", {{1, 3}, {1, kNan, 2}}}, {"m", {{1, 3}, {0, 0, 0}}}}));
  };
  for (const Reduction1& r : kReductions) {
    if (std::string(r.name).find("at_arg") != std::string::npos) continue;  // a look-up: the loss has to exclude it
    const Outcome out = nothing(r.f);
    const std::string name = r.name;
    const bool has_value =
        name == "sum" || name == "mean" || name == "softmax" || name == "log_softmax" || name == "top_two";
    EXPECT_EQ(out.loss, has_value ? 0 : name == "prod" ? 1 : 5) << name;
    EXPECT_TRUE(close(out.gradient.at("x"), {0, 0, 0}, {0, 0})) << name;
  }
}

// ---- contractions ----------------------------------------------------------------------------------------------

struct Pair {
  const char* name;
  Expr (*f)(Index, Expr, Expr);
};
const Pair kPairs[] = {
    {"dot", [](Index d, Expr a, Expr b) { return dot(d, a, b); }},
    {"cosine", [](Index d, Expr a, Expr b) { return cosine(d, a, b); }},
    {"sqdist", [](Index d, Expr a, Expr b) { return sqdist(d, a, b); }},
    {"distance", [](Index d, Expr a, Expr b) { return norm(d, a - b); }},
    {"root_of_sqdist", [](Index d, Expr a, Expr b) { return sqrt(sqdist(d, a, b)); }},
    {"normalized_gap", [](Index d, Expr a, Expr b) { return sum(d, abs(normalize(d, a) - normalize(d, b))); }},
};
class PairGradient : public testing::TestWithParam<Pair> {};
TEST_P(PairGradient, OfTwoTensorsEqualsDifferences) {
  check(
      [&] {
        auto i = axis("N"), j = axis("M"), d = axis("D");
        auto s = GetParam().f(d, input("x", {i, d})(i, d), input("y", {j, d})(j, d));
        loss_per(i, logsumexp(j, s) + sum(j, sq(s)));
      },
      sum_of({{"x", uniform({3, 4}, -1, 1, 1)}, {"y", uniform({5, 4}, -1, 1, 2)}}));
}
TEST_P(PairGradient, OfTwinsEqualsDifferences) {
  check(
      [&] {
        auto [i, j] = batch_pair("N");
        auto d = axis("D");
        auto z = input("z", {i, d});
        auto s = GetParam().f(d, z(i, d), z(j, d));
        loss_per(i, logsumexp(j, s, i != j) - sum(j, s, j < i));
      },
      sum_of({{"z", uniform({5, 4}, -1, 1)}}));
}
TEST_P(PairGradient, AtAZeroVectorIsFinite) {
  Array z = uniform({4, 3}, -1, 1);
  for (int d = 0; d < 3; d++) z.data[3 + d] = 0, z.data[9 + d] = 0;
  const Outcome out = evaluate(
      [&] {
        auto [i, j] = batch_pair("N");
        auto d = axis("D");
        auto z = input("z", {i, d});
        loss_per(i, sum(j, GetParam().f(d, z(i, d), z(j, d))));
      },
      sum_of({{"z", z}}));
  EXPECT_TRUE(std::isfinite(out.loss));
  for (double g : out.gradient.at("z")) EXPECT_TRUE(std::isfinite(g));
}
INSTANTIATE_TEST_SUITE_P(Words, PairGradient, testing::ValuesIn(kPairs),
                         [](const auto& info) { return info.param.name; });

TEST(ZeroVectors, HaveGradientZero) {
  auto f = [](Index d, Expr e) { return norm(d, e); };
  expect_exactly(row(f, {0, 0}).gradient.at("x"), {0, 0});
  expect_nearly(row(f, {3, 4}).gradient.at("x"), {0.6, 0.8});
  expect_exactly(row([](Index d, Expr e) { return sum(d, normalize(d, e)); }, {0, 0}).gradient.at("x"), {0, 0});
  expect_exactly(row([](Index d, Expr e) { return cosine(d, e, e * 2.0); }, {0, 0}).gradient.at("x"), {0, 0});
  expect_exactly(row([](Index d, Expr e) { return sqrt(sqdist(d, e, e)); }, {1, 2}).gradient.at("x"), {0, 0});
}

// ---- gathers ---------------------------------------------------------------------------------------------------

Array keys(std::vector<double> values) { return array(std::move(values)); }

TEST(Gather, FromALogitsRow) {
  check(
      [] {
        auto i = axis("N"), c = axis("C");
        auto z = input("z", {i, c});
        auto y = labels("y", {i}, "-").in_range(c);
        loss_per(i, sq(z(i, y(i))) - logsumexp(c, z(i, c)));
      },
      sum_of({{"z", uniform({4, 3}, -1, 1)}, {"y", keys({2, 0, 2, 1})}}));
}
TEST(Gather, FromATableSumsOverEqualKeys) {
  const Outcome out = check(
      [] {
        auto i = axis("N"), c = axis("C"), d = axis("D");
        auto w = input("w", {c, d}), x = input("x", {i, d});
        auto y = labels("y", {i}, "-").in_range(c);
        loss_per(i, sum(d, sq(w(y(i), d) - x(i, d))));
      },
      sum_of({{"w", uniform({3, 2}, -1, 1, 1)}, {"x", uniform({5, 2}, -1, 1, 2)}, {"y", keys({2, 0, 2, 2, 0})}}));
  EXPECT_EQ(out.gradient.at("w")[2], 0);  // class 1 is nobody's
}
TEST(Gather, OfAComputedValue) {
  check(
      [] {
        auto i = axis("N"), c = axis("C"), d = axis("D");
        auto w = input("w", {c, d}), x = input("x", {i, d});
        auto y = labels("y", {i}, "-").in_range(c);
        auto s = cosine(d, x(i, d), w(c, d));
        loss_per(i, logsumexp(c, s) - at(s, c, y(i)) + at(norm(d, w(c, d)), c, y(i)));
      },
      sum_of({{"w", uniform({3, 2}, -1, 1, 1)}, {"x", uniform({5, 2}, -1, 1, 2)}, {"y", keys({2, 0, 2, 2, 0})}}));
}
TEST(Gather, AtAKeyOfTheSameIndex) {
  check(
      [] {
        auto i = axis("N"), d = axis("D");
        auto z = input("z", {i, d});
        auto next = (i + 1) % extent(i);
        loss_per(i, sum(d, z(i, d) * z(next, d)) + at(norm(d, z(i, d)), i, next) * z(i, 0));
      },
      sum_of({{"z", uniform({4, 3}, -1, 1)}}));
}
TEST(Gather, AtAPermutationOfTheBatch) {
  check(
      [] {
        auto [i, j] = batch_pair("N");
        auto d = axis("D");
        auto z = input("z", {i, d});
        auto p = labels("p", {i}, "-").in_range(i);
        auto s = cosine(d, z(i, d), z(j, d));
        loss_per(i, logsumexp(j, s, i != j) - at(s, j, p(i)) + at(s, j, p(p(i))), p(i) != i);
      },
      sum_of({{"z", uniform({4, 3}, -1, 1)}, {"p", keys({3, 1, 0, 0})}}));
}
TEST(Gather, NeighboursUnderABoundaryRule) {
  check(
      [] {
        auto i = axis("N"), p = axis("P");
        auto z = input("z", {i, p});
        auto last = p + 1 == extent(p);
        loss_per(i, sum(p, select(last, 0, sq(z(i, p + 1) - z(i, p)))));
      },
      sum_of({{"z", uniform({2, 5}, -1, 1)}}));
}
TEST(Gather, OfTwoComputedPlaces) {
  check(
      [] {
        auto i = axis("N"), c = axis("C");
        auto z = input("z", {c, twin(c, "k")});
        auto a = labels("a", {i}, "-").in_range(c), b = labels("b", {i}, "-").in_range(c);
        loss_per(i, sq(z(a(i), b(i))) + exp(z(b(i), a(i))));
      },
      sum_of({{"z", uniform({3, 3}, -1, 1)}, {"a", keys({2, 0, 2, 1, 2})}, {"b", keys({1, 0, 1, 2, 2})}}));
}
TEST(Gather, AlongAShorterAxis) {  // whose values end before those of the tensor's
  check(
      [] {
        auto i = axis("N"), p = axis("P"), q = derived_axis("P-1", extent(p) - 1);
        auto z = input("z", {i, p});
        loss_per(i, sum(q, sq(z(i, q + 1) - z(i, q)) + at(exp(z(i, p)), p, q)));
      },
      sum_of({{"z", uniform({2, 5}, -1, 1)}}));
  check(
      [] {  // under a mask that the longer axis does not have
        auto i = axis("N"), p = axis("P"), q = derived_axis("P-2", extent(p) - 2);
        auto z = input("z", {i, p});
        loss_per(i, sum(q, at(sq(z(i, p)), p, q), q != 1));
      },
      sum_of({{"z", uniform({2, 5}, -1, 1)}}));
}
TEST(Gather, NeighboursInTwoDirections) {
  const auto body = [] {
    auto h = axis("H"), w = axis("W"), p = derived_axis("H-2", extent(h) - 2), q = derived_axis("W-1", extent(w) - 1);
    auto z = input("z", {h, w});
    loss_per(p, sum(q, sq(z(p + 2, q + 1) - 2.0 * z(p + 1, q)) + exp(z(p, q + 1))));
  };
  const Case c = sum_of({{"z", uniform({5, 4}, -1, 1)}});
  check(body, c);
  const Program program = program_for(definition(body), c);
  const std::string derivative = ir::print(program.graph, program.gradients.at(0).node, 40);
  for (const char* search : {"== h)", "== w)"})
    EXPECT_EQ(derivative.find(search), std::string::npos) << "each neighbour is looked up, none searched for: " << derivative;
}
TEST(Gather, OfTwoComputedPlacesWithAnIndexEach) {
  check(
      [] {
        auto a = axis("A"), b = axis("B"), c = axis("C"), d = axis("D");
        auto z = input("z", {c, d});
        auto s = labels("s", {a}, "-").in_range(c), t = labels("t", {b}, "-").in_range(d), u = labels("u", {a, b}, "-").in_range(d);
        loss_per(a, sum(b, sq(z(s(a), t(b))) + exp(z(s(a), u(a, b)))));
      },
      sum_of({{"z", uniform({3, 4}, -1, 1)}, {"s", keys({2, 0})}, {"t", keys({3, 1, 1})}, {"u", array({2, 3}, {0, 1, 3, 2, 2, 0})}}));
}
TEST(Gather, OfTheDiagonal) {
  check(
      [] {
        auto [i, j] = batch_pair("N");
        auto z = input("z", {i, j});
        loss_per(i, logsumexp(j, z(i, j)) + logsumexp(j, z(j, i)) - 2 * z(i, i));
      },
      sum_of({{"z", uniform({4, 4}, -1, 1)}}));
}
TEST(Gather, HardestOfABatch) {
  check(
      [] {
        auto [i, j] = batch_pair("N");
        auto d = axis("D");
        auto z = input("z", {i, d});
        auto y = labels("y", {i}, "-");
        auto d2 = sqdist(d, z(i, d), z(j, d));
        auto pos = y(i) == y(j) && i != j, neg = y(i) != y(j);
        auto far = argmax(j, d2, pos), near = argmin(j, d2, neg);
        loss_per(i, norm(d, z(i, d) - z(far, d)) - at(d2, j, near), any(j, pos) && any(j, neg));
      },
      sum_of({{"z", uniform({6, 3}, -1, 1)}, {"y", keys({0, 1, 0, 1, 2, 0})}}));
}
TEST(Gather, AnInvalidKeyOfADroppedRowIsHarmless) {
  const Outcome out = check(
      [] {
        auto i = axis("N"), c = axis("C"), d = axis("D");
        auto ignore = param("ignore_index", -100, "-").integer();
        auto x = input("x", {i, d}), w = input("w", {c, d});
        auto y = labels("y", {i}, "-").in_range(c).ignoring(ignore);
        auto s = dot(d, x(i, d), w(c, d));
        loss_per(i, logsumexp(c, s) - at(s, c, y(i)) + sq(w(y(i), 0)), y(i) != ignore);
      },
      sum_of({{"x", uniform({4, 2}, -1, 1, 1)}, {"w", uniform({3, 2}, -1, 1, 2)}, {"y", keys({2, -100, 1, -100})}}));
  EXPECT_EQ(out.rows[1], 0);
  for (int k : {2, 3, 6, 7}) EXPECT_EQ(out.gradient.at("x")[k], 0);
}

// ---- masks and rows --------------------------------------------------------------------------------------------

TEST(Select, DropsNanOfTheOtherBranchAndItsDerivative) {
  const Outcome out = evaluate(
      [] {
        auto i = axis("N");
        auto x = input("x", {i})(i);
        loss_per(i, select(x > 0, x * log(x), sqrt(-x)));
      },
      sum_of({{"x", array({-4, 0, 1, kNan})}}));
  expect_exactly({out.rows[0], out.rows[1], out.rows[2]}, {2, 0, 0});
  const Values& g = out.gradient.at("x");
  expect_exactly({g[0], g[1], g[2]}, {-0.25, 0, 1});
}
TEST(Select, KeepsTheMaskThroughSharedValues) {
  // log(x) and sqrt(x) are used under different masks and their NaN slopes meet at x.
  const Outcome out = evaluate(
      [] {
        auto i = axis("N");
        auto x = input("x", {i})(i), v = log(x), w = x - 1;
        loss_per(i, select(w > 0, sq(v), 0) + select(w > 1, 3 * v, 0));
      },
      sum_of({{"x", array({-1, 0, kInf, 3})}}));
  const Values& g = out.gradient.at("x");
  expect_exactly({g[0], g[1]}, {0, 0});
  EXPECT_DOUBLE_EQ(g[3], 2 * std::log(3.0) / 3 + 1);
}
TEST(Select, KeepsTheMaskOfATwin) {  // where the slope of what is dropped is infinite
  const Outcome out = evaluate(
      [] {
        auto i = axis("N"), j = twin(i, "j");
        auto x = input("x", {i}), y = input("y", {i});
        loss_per(i, y(i) * sum(j, log(x(j)), x(j) > 0));
      },
      sum_of({{"x", array({2, 0, 4})}, {"y", array({1, 1, 2})}}));
  expect_exactly(out.gradient.at("x"), {2, 0, 1});
}

TEST(Select, KeepsTheMaskOfARowThroughASum) {
  // The sum over c leaves v of row 1 the adjoint 0, which 1 / NaN must not meet.
  const Outcome out = evaluate(
      [] {
        auto i = axis("N"), c = axis("C");
        auto v = log(input("x", {i})(i));
        loss_per(i, sum(c, input("w", {c})(c) * v), mask("keep", {i}, "-")(i));
      },
      sum_of({{"x", array({1, kNan})}, {"w", array({2, 3})}, {"keep", array({1, 0})}}));
  expect_exactly(out.gradient.at("x"), {5, 0});
}

// Of a class without rows nothing counts: no row is its own, and what the others are to it is left out in so many words.
void two_sums_of_classes_with_rows() {
  auto i = axis("N"), c = axis("C"), d = axis("D");
  auto x = input("x", {i, d}), w = input("w", {c, d});
  auto own = labels("y", {i}, "-").in_range(c)(i) == c, present = any(i, own);
  auto s = cosine(d, x(i, d), w(c, d));
  loss_total(sum(c, softplus(logsumexp(i, -s, own))) + sum(c, softplus(logsumexp(i, s, (present || extent(d) < 0) && !own))));
}
TEST(Select, KeepsWhatFollowsFromTheMaskOfEach) {
  Case c = sum_of({{"x", uniform({3, 2}, -1, 1, 1)}, {"w", uniform({3, 2}, -1, 1, 2)}, {"y", array({0, 2, 0})}});
  const Values want = check(two_sums_of_classes_with_rows, c).gradient.at("x");
  c.inputs.at("w").data[2] = kNan;  // of class 1
  const Outcome out = evaluate(two_sums_of_classes_with_rows, c);
  expect_exactly(out.gradient.at("x"), want);
  const Values& g = out.gradient.at("w");
  expect_exactly({g[2], g[3]}, {0, 0});
  EXPECT_TRUE(std::isfinite(g[0] + g[1] + g[4] + g[5]));
}
TEST(Rows, DroppedOnesContributeNothingWhateverTheyHold) {
  auto body = [] {
    auto i = axis("N"), c = axis("C");
    auto z = input("z", {i, c});
    auto keep = mask("keep", {i}, "-");
    auto lse = logsumexp(c, z(i, c));
    loss_per(i, lse - z(i, 0) + sq(lse) + norm(c, z(i, c)), keep(i));
  };
  Case c = sum_of({{"z", {{3, 2}, {1, 2, kNan, 1, kInf, -kInf}}}, {"keep", array({1, 0, 0})}});
  const Outcome by_validity = evaluate(body, c);
  Case masked = c;
  masked.inputs["keep"] = array({1, 1, 1});
  masked.row_mask = array({1, 0, 0});
  const Outcome by_mask = evaluate(body, masked);
  for (const Outcome* out : {&by_validity, &by_mask}) {
    expect_exactly({out->rows[1], out->rows[2]}, {0, 0});
    const Values& g = out->gradient.at("z");
    EXPECT_TRUE(std::isfinite(g[0]) && std::isfinite(g[1]));
    expect_exactly({g[2], g[3], g[4], g[5]}, {0, 0, 0, 0});
  }
}
TEST(Rows, WeightsMasksAndUpstreamGradientCombine) {
  Case c = sum_of({{"x", array({1, 2, 3, 4})}});
  c.row_weight = array({1, 2, 3, 4});
  c.row_mask = array({1, 1, 0, 1});
  c.grad_output = array({1, 10, 100, -1});
  auto body = [] {
    auto i = axis("N");
    auto x = input("x", {i})(i);
    loss_per(i, sq(x), {}, {.weight = 2.0 + 0.0 * x});
  };
  const Outcome sum = evaluate(body, c);
  expect_exactly(sum.rows, {1, 8, 0, 64});
  expect_exactly(sum.gradient.at("x"), {2, 80, 0, -32});
  EXPECT_EQ(sum.loss, 73);
  c.reduction = Reduction::Mean;  // divides by the sum of row weight times the weight of the mean: 2 (1 + 2 + 4)
  const Outcome mean = evaluate(body, c);
  EXPECT_DOUBLE_EQ(mean.loss, 73.0 / 14);
  expect_nearly(mean.gradient.at("x"), {2.0 / 14, 80.0 / 14, 0, -32.0 / 14});
  c.denominator = 4;
  EXPECT_DOUBLE_EQ(evaluate(body, c).loss, 73.0 / 4);
  c.denominator = 0, c.row_mask = array({0, 0, 0, 0});
  const Outcome none = evaluate(body, c);
  EXPECT_EQ(none.loss, 0);
  expect_exactly(none.gradient.at("x"), {0, 0, 0, 0});
}
TEST(Rows, OfTwoIndices) {
  Case c = sum_of({{"x", uniform({2, 3, 4}, -1, 1)}});
  c.row_weight = uniform({2, 4}, 0, 1, 5);
  c.grad_output = uniform({2, 4}, -1, 1, 6);
  c.reduction = Reduction::Mean;
  check(
      [] {
        auto n = axis("N"), k = axis("C"), t = axis("T");
        loss_per({n, t}, logsumexp(k, input("x", {n, k, t})(n, k, t)));
      },
      c);
}

// ---- what a derivative means -----------------------------------------------------------------------------------

TEST(StopGradient, IsAConstant) {
  const Outcome out = check(
      [] {
        auto i = axis("N");
        auto x = input("x", {i})(i);
        loss_per(i, stop_gradient(sq(x)) * x);
      },
      sum_of({{"x", array({1, 2, 3})}}));
  expect_exactly(out.rows, {1, 8, 27});
  expect_exactly(out.gradient.at("x"), {1, 4, 9});
}
TEST(StraightThrough, HasTheValueOfTheFirstAndTheDerivativeOfTheSecond) {
  const Outcome out = check(
      [] {
        auto i = axis("N");
        auto x = input("x", {i})(i);
        loss_per(i, sq(straight_through(round(x), 3 * x)));
      },
      sum_of({{"x", array({0.75, 2.25})}}));
  expect_exactly(out.rows, {1, 4});
  expect_exactly(out.gradient.at("x"), {6, 12});
}
TEST(CustomGradient, ReplacesTheDerivative) {
  const Outcome out = check(
      [] {
        auto i = axis("N"), c = axis("C");
        auto x = input("x", {i, c}), y = input("y", {i});
        auto v = x(i, c) * y(i);
        auto f = custom_gradient(exp(v), {{x(i, c), 7.0 * y(i)}, {y(i), x(i, c)}});
        loss_per(i, sum(c, f));
      },
      sum_of({{"x", {{2, 2}, {1, 2, 3, 4}}}, {"y", array({0.5, 0.25})}}));
  expect_exactly(out.gradient.at("x"), {3.5, 3.5, 1.75, 1.75});
  expect_exactly(out.gradient.at("y"), {3, 7});
}
TEST(UnusedTensor, HasGradientZero) {
  const Outcome out = evaluate(
      [] {
        auto i = axis("N");
        auto x = input("x", {i}), y = input("y", {i});
        loss_per(i, x(i) * stop_gradient(y(i)));
      },
      sum_of({{"x", array({1, 2})}, {"y", array({3, 4})}}));
  expect_exactly(out.gradient.at("y"), {0, 0});
}

// ---- shapes of losses ------------------------------------------------------------------------------------------

TEST(Axis, NamedByANumberHasThatExtent) {
  auto body = [] {
    auto i = axis("N"), k = axis("2");
    auto x = input("x", {i, k});
    loss_per(i, sq(x(i, 0)) + 3 * x(i, 1));
  };
  const Outcome out = check(body, sum_of({{"x", uniform({3, 2}, -1, 1)}}));
  EXPECT_EQ(out.gradient.at("x")[1], 3);
  EXPECT_THROW(check(body, sum_of({{"x", uniform({3, 4}, -1, 1)}})), DefinitionError);
}
TEST(Loss, WithAScalarParameterTensor) {
  check(
      [] {
        auto [i, j] = batch_pair("N");
        auto d = axis("D");
        auto a = input("a", {i, d}), b = input("b", {i, d}), scale = input("log_scale", {}), bias = input("bias", {});
        auto s = exp(scale()) * dot(d, normalize(d, a(i, d)), normalize(d, b(j, d))) + bias();
        loss_total((sum(i, logsumexp(j, s) - at(s, j, i)) + sum(j, logsumexp(i, s) - at(s, i, j))) / extent(i));
      },
      sum_of({{"a", uniform({4, 3}, -1, 1, 1)},
              {"b", uniform({4, 3}, -1, 1, 2)},
              {"log_scale", array({}, {0.5})},
              {"bias", array({}, {-0.25})}}));
}
TEST(Loss, OfAllTriplets) {
  check(
      [] {
        auto [a, p] = batch_pair("N");
        auto n = twin(a, "n"), d = axis("D");
        auto z = input("z", {a, d});
        auto y = labels("y", {a}, "-");
        auto d_ap = sqdist(d, z(a, d), z(p, d)), d_an = sqdist(d, z(a, d), z(n, d));
        auto pos = y(a) == y(p) && a != p, neg = y(a) != y(n);
        loss_per(a, sum(p, sum(n, softplus(d_ap - d_an), neg), pos));
      },
      sum_of({{"z", uniform({5, 2}, -1, 1)}, {"y", keys({0, 1, 0, 1, 2})}}));
}
TEST(Loss, OfColumnsStandardised) {
  check(
      [] {
        auto n = axis("N"), a = axis("D"), b = twin(a, "b");
        auto x = input("x", {n, a}), y = input("y", {n, a});
        auto unit = [&](Expr e) { return normalize(n, e - mean(n, e)); };
        auto c = dot(n, unit(x(n, a)), unit(y(n, b)));
        loss_total(sum(a, sum(b, select(a == b, sq(c - 1), 0.1 * sq(c)))));
      },
      sum_of({{"x", uniform({4, 3}, -1, 1, 1)}, {"y", uniform({4, 3}, -1, 1, 2)}}));
}

// ---- differences -----------------------------------------------------------------------------------------------

TEST(Differences, OfALargeTensorAreOfSomeElementsAllOverIt) {
  const Program p = build(definition([] {
    auto n = axis("N"), c = axis("C");
    auto x = input("x", {n, c});
    loss_per(n, sum(c, sq(x(n, c))));
  }), {});
  Case call{.inputs = {{"x", {{32, 32}, Values(1024)}}}};
  for (size_t k = 0; k < 1024; k++) call.inputs.at("x").data[k] = double(k % 7);
  const Inputs inputs = oracle_inputs(p, call);
  const auto differences = [&](auto... most) { return finite_difference(p, inputs, p.gradients[0].tensor, most...); };
  const auto taken = [](const std::vector<Difference>& all) { return std::count_if(all.begin(), all.end(), [](const Difference& d) { return d.taken; }); };
  EXPECT_EQ(taken(differences()), 1024);
  const std::vector<Difference> some = differences(1.0);
  EXPECT_NEAR(double(taken(some)), 16, 10);
  std::set<size_t> rows, columns;
  for (size_t k = 0; k < some.size(); k++) {
    EXPECT_EQ(some[k].smooth, some[k].taken);
    if (some[k].taken) rows.insert(k / 32), columns.insert(k % 32);
  }
  EXPECT_GT(std::min(rows.size(), columns.size()), 5u);
  std::vector<double> gradient = Oracle(p.graph, inputs).evaluate(p.gradients[0].node, p.graph.tensors[p.gradients[0].tensor].dims).data;
  EXPECT_TRUE(close(gradient, some));
  for (double& g : gradient) g += 0.1;
  EXPECT_FALSE(close(gradient, some));
}

}  // namespace
}  // namespace lossc::tests
