// The derived gradient of every word of the language: against differences of the value where it is smooth, and exactly
// where design section 4 says what it is: kinks, ties, zero vectors, masks, NaN. Losses are summed over rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/support/values.h"

namespace lossc::tests {
namespace {

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

}  // namespace
}  // namespace lossc::tests
