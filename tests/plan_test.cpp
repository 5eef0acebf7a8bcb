// Plans as data: whatever the definition, every step finds what it reads, complete and in a layout that it can read.
#include "dsl/plan.h"

#include <gtest/gtest.h>

#include "dsl/fuzz/tree.h"
#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

void expect_sound(const Program& p) {
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "") << p.name << "\n" << plan::print(plan);
}
void expect_sound(const std::function<void()>& body) {
  for (const Program& p : build_all(definition(body))) expect_sound(p);
}

TEST(Plan, OfEveryLossIsSound) {
  for (const Definition& d : definitions())
    for (const Program& p : build_all(d)) expect_sound(p);
}

TEST(Plan, OfRandomDefinitionsIsSound) {
  size_t planned = 0;
  for (unsigned seed = 1; seed <= 300; seed++) {
    try {
      expect_sound(fuzz::program(fuzz::generate(seed)));
      planned++;
    } catch (const DefinitionError&) {  // not well formed, or selects among rows
    }
  }
  EXPECT_GT(planned, 200u);
}

// What the derivative of a sort gathers is a scatter, which a product wants in tiles.
TEST(Plan, GradientThroughASortOfProjections) {
  expect_sound([] {
    auto n = axis("N"), d = axis("D"), k = axis("K");
    auto x = input("x", {n, d}), theta = input("theta", {k, d});
    loss_total(sum(k, sum(n, sq(sort(n, dot(d, x(n, d), theta(k, d))) - number(n)))));
  });
  expect_sound([] {
    auto n = axis("N"), d = axis("D"), k = axis("K");
    auto x = input("x", {n, d}), theta = input("theta", {k, d});
    loss_per(n, sum(k, number(k) * sort(k, dot(d, x(n, d), theta(k, d)))));
  });
}

// Walked, then multiplied: along the rows, and along the other index.
TEST(Plan, ProductOfRunningSums) {
  expect_sound([] {
    auto n = axis("N"), c = axis("C"), d = axis("D");
    auto x = input("x", {n, d}), w = input("w", {c, d});
    loss_per(n, logsumexp(c, dot(d, cumsum(n, x(n, d)), w(c, d))));
  });
  expect_sound([] {
    auto n = axis("N"), c = axis("C"), d = axis("D");
    auto x = input("x", {n, d}), w = input("w", {c, d});
    loss_per(n, logsumexp(c, dot(d, cumsum(d, x(n, d)), w(c, d))));
  });
}

// Multiplied, then walked: a copy of what is summed over rows waits until all of them are.
TEST(Plan, RunningSumsOfASumOverRows) {
  expect_sound([] {
    auto n = axis("N"), c = axis("C"), d = axis("D");
    auto x = input("x", {n, d}), w = input("w", {n, c});
    loss_per(n, sum(c, sum(d, sq(cumsum(c, dot(n, x(n, d), w(n, c)))) * x(n, d))));
  });
}

TEST(Plan, SortOfSquaredNorms) {
  expect_sound([] {
    auto i = axis("N"), c = axis("C");
    auto x = input("x", {i, c});
    loss_per(i, sort(i, dot(c, x(i, c), x(i, c))));
  });
}

}  // namespace
}  // namespace lossc::tests
