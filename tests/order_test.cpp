// Words over a whole axis: values against what they mean, derivatives against differences, ties, NaN, masks; and lookups at
// neighbours, whose derivative is a lookup again.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using Values = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// One row per place of x.
Outcome per_place(Expr (*word)(Index, Expr), const Values& x) {
  return evaluate(
      [&] {
        auto i = axis("N");
        loss_per(i, word(i, input("x", {i})(i)));
      },
      sum_of({{"x", array(x)}}));
}

void expect_values(const Values& got, const Values& want) { EXPECT_TRUE(close(got, want, {0, 0})); }

TEST(Order, ArgsortIsStableWithNanLast) {
  const Values x{2, kNan, 1, 2, -kInf, kInf, kNan, 1};
  const auto argsorted = per_place([](Index i, Expr e) { return number(argsort(i, e)); }, x);
  expect_values(argsorted.rows, {4, 2, 7, 0, 3, 5, 1, 6});
  const auto ranks = per_place([](Index i, Expr e) { return number(rank(i, e)); }, x);
  expect_values(ranks.rows, {3, 6, 1, 4, 0, 5, 7, 2});
  const auto down = per_place([](Index i, Expr e) { return number(argsort_descending(i, e)); }, x);
  expect_values(down.rows, {5, 0, 3, 2, 7, 4, 1, 6});
}

// What is sorted is itself a reduction: the place goes into the order alone, not into the terms of the sum as well.
TEST(Order, ANeighbourInASortOfSums) {
  const auto out = check(
      [] {
        auto i = axis("N"), c = axis("C");
        loss_per(i, padded(sort(i, sum(c, input("x", {i, c})(i, c))), i, i + 1, Border::Zero));
      },
      sum_of({{"x", array({4, 2}, {3, 1, -1, 0, 5, 2, 0.5, 0.5})}}));
  expect_values(out.rows, {1, 4, 7, 0});
}

TEST(Order, MaskedElementsComeLast) {
  const auto out = evaluate(
      [&] {
        auto i = axis("N");
        auto x = input("x", {i})(i);
        loss_per(i, number(argsort(i, x, x < 2.5)));
      },
      sum_of({{"x", array({3, 1, 4, 2})}}));
  expect_values(out.rows, {1, 3, 0, 2});
}

TEST(Order, NothingToOrder) {
  EXPECT_TRUE(per_place([](Index i, Expr e) { return sort(i, e); }, {}).rows.empty());
  EXPECT_TRUE(per_place([](Index i, Expr e) { return cumsum(i, e); }, {}).rows.empty());
}

// Words whose derivative is checked, weighted so that no two places count the same.
struct Word {
  const char* name;
  Expr (*f)(Index, Expr);
};
const Word kWords[] = {
    {"sort", [](Index i, Expr e) { return sort(i, e); }},
    {"sort_descending", [](Index i, Expr e) { return sort_descending(i, e); }},
    {"cumsum", [](Index i, Expr e) { return cumsum(i, e); }},
    {"cumsum_from", [](Index i, Expr e) { return cumsum_from(i, e); }},
    {"cumlogsumexp", [](Index i, Expr e) { return cumlogsumexp(i, e); }},
    {"cumlogsumexp_from", [](Index i, Expr e) { return cumlogsumexp_from(i, e); }},
    {"cummax", [](Index i, Expr e) { return cummax(i, e); }},
    {"cummin", [](Index i, Expr e) { return cummin(i, e); }},
    {"cumsum_of_sorted", [](Index i, Expr e) { return cumsum(i, sq(sort(i, e))); }},
    {"lower_quartile", [](Index i, Expr e) { return e * quantile(i, e, 0.3); }},
    {"masked_cumsum", [](Index i, Expr e) { return sq(cumsum(i, e, e > 0)); }},
};
class Sequence : public testing::TestWithParam<Word> {};
TEST_P(Sequence, GradientEqualsDifferences) {
  check(
      [&] {
        auto r = axis("N"), i = axis("C");
        auto x = input("x", {r, i})(r, i);
        loss_per(r, sum(i, sin(number(i) + 1.0) * GetParam().f(i, x)));
      },
      sum_of({{"x", uniform({3, 9}, -2, 2)}}));
}
TEST_P(Sequence, AlongTheRowsToo) {
  check(
      [&] {
        auto r = axis("N"), i = axis("C");
        auto x = input("x", {r, i})(r, i);
        loss_per(r, sum(i, sin(number(r) + 2.0 * number(i)) * GetParam().f(r, x)));
      },
      sum_of({{"x", uniform({8, 3}, -2, 2)}}));
}
INSTANTIATE_TEST_SUITE_P(Words, Sequence, testing::ValuesIn(kWords), [](const auto& info) { return std::string(info.param.name); });

TEST(Prefix, LogSumExpOfNothingButMinusInf) {
  const auto out = per_place([](Index i, Expr e) { return select(e > -kInf, cumlogsumexp(i, e), 0.0); }, {-kInf, -kInf, 1, -kInf, 2});
  EXPECT_EQ(out.rows[2], 1);
  for (double g : out.gradient.at("x")) EXPECT_TRUE(std::isfinite(g)) << g;
}

TEST(Prefix, NanGoesOn) {
  const auto out = per_place([](Index i, Expr e) { return cumsum(i, e); }, {1, kNan, 2});
  EXPECT_EQ(out.rows[0], 1);
  EXPECT_TRUE(std::isnan(out.rows[1]) && std::isnan(out.rows[2]));
}

TEST(ToInt, IsTheFloorWithinBounds) {
  const auto out = per_place([](Index, Expr e) { return number(to_int(e)); }, {1.7, -1.2, kNan, kInf, -kInf, 3});
  expect_values(out.rows, {1, -2, -1, 0x1p30, -0x1p30, 3});
}

// ---- neighbours ----------------------------------------------------------------------------------------------------

bool scatters(const Program& p) {
  for (const Gradient& g : p.gradients)
    for (ir::Id n : ir::topological(p.graph, {g.node}))
      if (p.graph.at(n).op == ir::Op::Scatter) return true;
  return false;
}

void check_neighbours(const std::function<void()>& body, const Case& c) {
  check(body, c);
  EXPECT_FALSE(scatters(program_for(definition(body), c)));
}

TEST(Neighbour, DerivativeIsTheOtherNeighbour) {
  check_neighbours(
      [&] {
        auto n = axis("N"), h = axis("H");
        auto x = input("x", {n, h});
        loss_per(n, sum(h, select(h + 1 < extent(h), sq(sin(x(n, h + 1)) - x(n, h)), 0.0)));
      },
      sum_of({{"x", uniform({2, 7}, -2, 2)}}));
}

TEST(Neighbour, OfAComputedValueAndReflected) {
  check_neighbours(
      [&] {
        auto n = axis("N"), h = axis("H");
        auto x = input("x", {n, h});
        auto y = exp(x(n, h)) / sum(h, exp(x(n, h)));
        loss_per(n, sum(h, select(h >= 2, y * at(y, h, h - 2), 0.0) + y * at(y, h, extent(h) - 1 - h)));
      },
      sum_of({{"x", uniform({2, 7}, -2, 2)}}));
}

TEST(Neighbour, WindowsInTwoDimensions) {
  check_neighbours(
      [&] {
        auto n = axis("N"), h = axis("H"), w = axis("W"), k = axis("K");
        auto x = input("x", {n, h, w});
        auto f = input("f", {k});
        auto place = w + k - 1;
        auto smooth = sum(k, select(place >= 0 && place < extent(w), f(k) * x(n, h, place), 0.0));
        loss_per(n, sum(h, sum(w, sq(smooth) * (1.0 + number(h)))));
      },
      sum_of({{"x", uniform({2, 3, 5}, -2, 2)}, {"f", array({0.2, 0.5, 0.3})}}));
}

}  // namespace
}  // namespace lossc::tests
