// Which sums the planner finds to be products of matrices, and what it keeps out of them.
#include "tests/support/plans.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace lossc::tests {
namespace {

// Matrix products multiply what they leave out by 0, which is 0 only if the other factor is a number: so what a mask says of one
// index alone is kept out of both factors, and of the result. Two terms meet in the mask of these products, and that a class
// without rows is in neither follows from both.
TEST(Plan, AProductKeepsOutWhatTakesPartInNoTerm) {
  const auto body = [] {
    auto i = axis("N"), c = axis("C"), d = axis("D");
    auto x = input("x", {i, d}), w = input("w", {c, d});
    auto own = labels("y", {i}, "-").in_range(c)(i) == c, present = any(i, own);
    auto s = dot(d, x(i, d), w(c, d));
    loss_total(sum(c, softplus(logsumexp(i, -s, own))) + sum(c, softplus(logsumexp(i, s, present && !own))));
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Case c = sum_of({{"x", uniform({3, 2}, -1, 1, 1)}, {"w", uniform({3, 2}, -1, 1, 2)}, {"y", array({0, 2, 0})}});
  Program p = program_for(definition(body), c);
  std::vector<ir::Id> roots;
  for (const Gradient& g : p.gradients) roots.push_back(g.node);
  roots = plan::normalise_contractions(p.graph, roots);
  const auto gradient = [&](size_t of) {
    Oracle oracle(p.graph, oracle_inputs(p, c));
    return oracle.evaluate(roots[of], p.graph.tensors[p.gradients[of].tensor].dims).data;
  };
  const std::vector<double> of_x = gradient(0);
  c.inputs.at("w").data[2] = nan;  // of class 1, which has no rows
  EXPECT_EQ(gradient(0), of_x);
  c.inputs.at("x").data[0] = nan;
  const std::vector<double> of_w = gradient(1);
  EXPECT_EQ(of_w[2], 0);
  EXPECT_EQ(of_w[3], 0);
  EXPECT_TRUE(std::isnan(of_w[0]));  // takes part
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

// Rows of several views against centres of several classes: a product of matrices, and two in the derivative.
TEST(Plan, SidesOfTwoIndicesMakeAProduct) {
  const Program p = build_all(definition([] {
    auto n = axis("N"), v = axis("V"), c = axis("C"), k = axis("K"), d = axis("D");
    auto z = input("z", {n, v, d}), w = input("w", {c, k, d});
    loss_per({n, v}, logsumexp(c, logsumexp(k, dot(d, z(n, v, d), w(c, k, d)))));
  })).front();
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(products_of(plan, 4), 3u) << plan::print(plan);  // no loop over all of n, v, c, k and d
}

// A sum of quotients is a product of matrices, too: what is divided by, of the summed index alone or of one side, divides an
// operand.
TEST(Plan, ASumOfQuotientsIsAProduct) {
  using Element = std::function<Expr(Expr a, Expr b, Expr w)>;
  const Element forms[] = {[](Expr a, Expr b, Expr w) { return a * b / w; },
                           [](Expr a, Expr b, Expr w) { return (a / w) * (b / w); },
                           [](Expr a, Expr b, Expr w) { return a / (b * w); }, [](Expr a, Expr b, Expr) { return a / b; },
                           [](Expr a, Expr b, Expr w) { return 2.0 * w / (a * b); }};
  for (const Element& e : forms) {
    const Program p = build_all(definition([&] {
      auto i = axis("N"), j = axis("M"), c = axis("C");
      auto a = input("a", {i, c}), b = input("b", {j, c}), w = input("w", {c});
      loss_per(i, logsumexp(j, sum(c, e(a(i, c), b(j, c), w(c)))));
    })).front();
    const plan::Plan plan = plan::make_plan(p);
    EXPECT_EQ(plan::unsound(plan), "");
    size_t products = 0;
    for (const plan::Step& s : plan.steps) {
      products += is_product(s);
      EXPECT_LE(s.domain.size(), is_product(s) ? 3u : 2u) << s.text;  // no loop over all of i, j and c
    }
    EXPECT_GE(products, 3u) << plan::print(plan);
  }
}

// A mask of one side may be what keeps a division by 0 out; it then stays in the operand that is divided, or all is a loop.
TEST(Plan, AMaskStaysWithTheQuotientThatItHides) {
  for (const bool own : {true, false}) {
    const Program p = build_all(definition([=] {
      auto i = axis("N"), j = axis("M"), c = axis("C");
      auto a = input("a", {i, c}), b = input("b", {j, c});
      loss_per(i, logsumexp(j, sum(c, b(j, c) / a(i, c), own ? a(i, c) > 0 : b(j, c) > 0)));
    })).front();
    const std::string text = plan::print(plan::make_plan(p));
    EXPECT_EQ(text.find("contract") != std::string::npos, own) << text;
  }
}

// Of two conditions of a sum, which are about a side each, neither makes a loop of it.
TEST(Plan, EachConditionOfASumGoesToItsSide) {
  const Program p = build_all(definition([] {
    auto i = axis("N"), j = axis("M"), c = axis("C");
    auto a = input("a", {i, c}), b = input("b", {j, c});
    auto known = mask("known", {i, c}, "which count"), seen = mask("seen", {j, c}, "which count"), row = mask("row", {i}, "which count");
    loss_per(i, logsumexp(j, sum(c, a(i, c) * b(j, c), known(i, c) && (seen(j, c) && row(i)))));
  })).front();
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(products_of(plan, 3), 3u) << plan::print(plan);
}

// The covariance of features over all places of all images: a product of matrices, and two in the derivative by two sides of
// their own.
TEST(Plan, ASumOverSeveralIndicesMakesAProduct) {
  const Program p = build_all(definition([] {
    auto n = axis("N"), h = axis("H"), w = axis("W"), d = axis("D"), e = axis("E");
    auto a = input("a", {n, h, w, d}), b = input("b", {n, h, w, e});
    auto valid = mask("valid", {n, h}, "which count");
    const Expr covariance = mean(n, sum(h, sum(w, a(n, h, w, d) * b(n, h, w, e)), valid(n, h)));
    loss_total(sum(d, sum(e, sq(covariance))));
  })).front();
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_GE(products_of(plan, 4), 3u) << plan::print(plan);  // no loop over all of n, h, w, d and e
}

// What a recurrence comes to in the end, at another row, is an operand of the derivative's product: the end is a lookup itself,
// in no memory of which that of the other row would be but another name.
TEST(Plan, AProductOfWhatIsLookedUpTwice) {
  for (const Derivative how : {Derivative::OfEachStep, Derivative::OfFixedPoint})
    expect_sound([how] {
      auto [i, j] = batch_pair("N");
      auto k = axis("K"), times = count_axis("times", 3, "-");
      auto s = input("s", {i, j}), w = input("w", {i, k});
      const Expr v = iterate(times, {{{i, k}, 0.0}}, [&](const std::vector<Expr>& u) {
        return std::vector<Expr>{w(i, k) + 0.1 * sum(j, s(i, j) * at(u[0], i, j))};
      }, how)[0];
      loss_per(i, sum(k, sq(v)));
    });
}

}  // namespace
}  // namespace lossc::tests
