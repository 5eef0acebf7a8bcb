// What the language refuses, and that it says where and why.
#include <gtest/gtest.h>

#include <regex>

#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

// The error of a definition; "" if it builds.
std::string error_of(const std::function<void()>& body) {
  Definition here = definition(body);
  here.file = __FILE__;  // the writer's file, to which errors point
  try {
    build_all(here);
    return "";
  } catch (const DefinitionError& e) {
    return e.what();
  }
}

// That it is refused for that reason, and the writer is told the line.
void expect_refused(const char* reason, const std::function<void()>& body) {
  const std::string error = error_of(body);
  EXPECT_NE(error.find(reason), std::string::npos) << error;
  EXPECT_TRUE(std::regex_search(error, std::regex("^language_test.cpp:[0-9]+: loss 'test': "))) << error;
}

// ---- flat axes -------------------------------------------------------------------------------------------------

TEST(FlatAxis, OnlyOneInATensorCanBeTold) {
  expect_refused("tensor 'x' has two flat axes, 'n' and 'p'", [] {
    auto n = axis("N").flat(), p = axis("P").flat();
    auto x = input("x", {n, p});
    loss_per(n, sum(p, x(n, p)));
  });
  expect_refused("tensor 'x' has two flat axes, 'i' and 'j'", [] {
    auto [i, j] = batch_pair("N");
    i.flat();
    auto x = input("x", {i, j});
    loss_per(i, sum(j, x(i, j)));
  });
  expect_refused("the loss has two flat axes", [] {
    auto n = axis("N").flat(), p = axis("P").flat();
    auto x = input("x", {n}), y = input("y", {p});
    loss_per({n, p}, x(n) * y(p));
  });
  EXPECT_EQ(error_of([] {
              auto n = axis("N").flat(), p = axis("P").flat();
              auto x = input("x", {n}), y = input("y", {p});
              loss_per(n, x(n) * sum(p, y(p)));
            }),
            "");
}
TEST(FlatAxis, IsSaidAtItsDeclaration) {
  expect_refused("made flat after tensor 'x'", [] {
    auto n = axis("N");
    auto x = input("x", {n});
    n.flat();
    loss_per(n, x(n));
  });
}
TEST(FlatAxis, TakesTensorsOfAnyRank) {
  auto body = [] {
    auto n = axis("N"), p = axis("P").flat();
    auto x = input("x", {n, p});
    loss_per(n, sum(p, x(n, p)));
  };
  auto sum_over = [&](std::vector<int64_t> shape) {
    return evaluate(body, sum_of({{"x", array(shape, std::vector<double>(12, 1))}})).rows;
  };
  EXPECT_EQ(sum_over({2, 6}), (std::vector<double>{6, 6}));
  EXPECT_EQ(sum_over({2, 3, 2}), (std::vector<double>{6, 6}));
  EXPECT_EQ(sum_over({4, 1, 3, 1}), (std::vector<double>{3, 3, 3, 3}));
  EXPECT_EQ(sum_over({12}), std::vector<double>(12, 1));
}

// ---- axes --------------------------------------------------------------------------------------------------------

TEST(Axes, HaveTheirLengthFromATensor) {
  expect_refused("no tensor has axis 'C'", [] {
    auto n = axis("N"), c = axis("C");
    auto x = input("x", {n});
    loss_per(n, sum(c, x(n) * c));
  });
  expect_refused("no tensor has axis 'N'", [] {
    auto n = axis("N"), c = axis("C");
    auto x = input("x", {c});
    loss_per(n, sum(c, x(c)));
  });
}

}  // namespace
}  // namespace lossc::tests
