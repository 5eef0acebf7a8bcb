// Random calls meet what a definition asks of its extents, and meet all that it tells apart.
#include "dsl/sample.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

TEST(Labels, AreOfEveryPartThatLengthsTellApart) {
  const Program p = build(definition([] {
    auto n = axis("N"), a = axis("A"), b = axis("B");
    auto x = input("x", {n}), u = input("u", {a}), v = input("v", {b});
    auto y = labels("y", {n}, "class, first of A, then of B; others are dropped")(n);
    loss_per(n, x(n) * select(y < extent(a), sum(a, u(a)), sum(b, v(b))), y < extent(a) + extent(b));
  }), {});
  const auto of = [&](Stress stress) { return sample(p, {.extents = {{"N", 7}, {"A", 2}, {"B", 3}}, .stress = stress}).inputs.at("y").data; };
  const std::vector<double> y = of(Stress::None);
  const auto between = [&](double low, double high) { return std::count_if(y.begin(), y.end(), [&](double v) { return v >= low && v < high; }); };
  EXPECT_GE(between(0, 2), 2);
  EXPECT_GE(between(2, 5), 2);
  EXPECT_GE(between(5, 6), 2);
  EXPECT_EQ(between(0, 6), 7);
  EXPECT_EQ(of(Stress::OneClass), std::vector<double>(7, 0));
}

TEST(Extents, GrowTogetherWhereOneAloneIsNotEnough) {
  const Program p = build(definition([] {
    auto h = axis("H"), w = axis("W"), n = axis("N");
    auto half = derived_axis("H/16", extent(h) / 16);
    auto x = input("x", {n, h, w});
    require(min(extent(half), extent(w) / 2) >= 6, "a large image");
    require(extent(n) % 2 == 0, "an even N");
    loss_per(n, sum(h, sum(w, x(n, h, w))));
  }), {});
  for (int64_t extent : {0, 1, 5}) {
    const std::vector<int64_t> shape = sample(p, {.extent = extent}).inputs.at("x").shape;
    EXPECT_EQ(shape[0], (extent + 1) / 2 * 2);
    EXPECT_EQ(shape[1], 96);
    EXPECT_EQ(shape[2], 96);
  }
}

// Two equations in one requirement: each axis has a length of its own to grow to.
TEST(Extents, MeetEachPartOfARequirement) {
  const Program p = build(definition([] {
    auto n = axis("N"), h = axis("H"), w = axis("W"), u = axis("U"), v = axis("V");
    auto x = input("x", {n, h, w}), y = input("y", {n, u, v});
    require(extent(h) == 4 * extent(u) && extent(w) == 3 * extent(v), "as an image of the other's parts");
    loss_per(n, sum(h, sum(w, x(n, h, w))) + sum(u, sum(v, y(n, u, v))));
  }), {});
  const Case c = sample(p, {.extent = 2});
  EXPECT_EQ(c.inputs.at("x").shape, (std::vector<int64_t>{2, 8, 6}));
  EXPECT_EQ(c.inputs.at("y").shape, (std::vector<int64_t>{2, 2, 2}));
}

TEST(Extents, AreFewerWhereOthersGrowAndCountsAreTwo) {
  const Program p = build(definition([] {
    auto n = axis("N"), h = axis("H"), k = count_axis("window", 11, "-");
    auto x = input("x", {n, h});
    require(extent(h) / 16 >= extent(k), "a long row");
    loss_per(n, sum(h, x(n, h)) + sum(k, 1.0));
  }), {});
  const auto shape = [](const Case& c) { return c.inputs.at("x").shape; };
  const Case grown = sample(p, {.extent = 5}), roomy = sample(p, {.extents = {{"H", 44}}, .extent = 5});
  EXPECT_EQ(shape(grown), (std::vector<int64_t>{1, 32}));
  EXPECT_EQ(grown.options.at("window"), "2");
  EXPECT_EQ(shape(roomy), (std::vector<int64_t>{5, 48}));  // a few more do
  EXPECT_EQ(roomy.options.at("window"), "3");
  EXPECT_EQ(shape(sample(p, {.extents = {{"N", 4}}, .extent = 5})), (std::vector<int64_t>{4, 32}));
  EXPECT_EQ(shape(sample(p, {.extent = 15})), (std::vector<int64_t>{7, 32}));
}

TEST(Extents, AreAsManyAsAreWanted) {
  const Program p = build(definition([] {
    auto v = axis("V"), n = axis("N");
    auto x = input("x", {v, n});
    require(extent(v) == 2, "two views");
    loss_per(n, x(1, n) - x(0, n));
  }), {});
  for (int64_t extent : {1, 2, 6, 40})
    EXPECT_EQ(sample(p, {.extent = extent}).inputs.at("x").shape, (std::vector<int64_t>{2, extent}));
}

// 2 would be even: then the axes grow.
TEST(Extents, CountsAreNotTwoAgainstAnotherRequirement) {
  const Program p = build(definition([] {
    auto n = axis("N"), h = axis("H"), k = count_axis("window", 11, "-");
    auto x = input("x", {n, h});
    require(extent(k) % 2 == 1, "a window with a centre");
    require(extent(h) / 16 >= extent(k), "a long row");
    loss_per(n, sum(h, x(n, h)) + sum(k, 1.0));
  }), {});
  const Case c = sample(p, {.extent = 5});
  EXPECT_EQ(c.inputs.at("x").shape[1], 48);
  EXPECT_EQ(c.options.at("window"), "3");
}

TEST(Ascending, BoxesMostlyOverlap) {
  const Program p = build(definition([] {
    auto n = axis("N"), k = axis("4", "x1, y1, x2, y2");
    auto a = input("a", {n, k}), b = input("b", {n, k});
    loss_per(n, sum(k, a(n, k) * b(n, k)));
  }), {});
  const Case c = sample(p, {.extents = {{"N", 50}}, .stress = Stress::Ascending});
  const std::vector<double>&a = c.inputs.at("a").data, &b = c.inputs.at("b").data;
  int overlap = 0;
  for (size_t row = 0; row < a.size(); row += 4) {
    for (const auto* v : {&a, &b}) EXPECT_TRUE(std::is_sorted(v->begin() + long(row), v->begin() + long(row) + 4));
    const auto along = [&](size_t k) { return std::min(a[row + k + 2], b[row + k + 2]) > std::max(a[row + k], b[row + k]); };
    overlap += along(0) && along(1);
  }
  EXPECT_GT(overlap, 25);
}

}  // namespace
}  // namespace lossc::tests
