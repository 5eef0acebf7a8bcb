// What masks, rows and words about the derivative itself do to it, and losses of unusual shape.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/values.h"

namespace lossc::tests {
namespace {

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

// What flows into sums of segments and running sums of a dropped row is 0, which the slope of a NaN must not meet; nor that
// into a segment that is left out the slopes of its elements.
TEST(Select, KeepsTheMaskOfARowThroughSegmentsAndRunningSums) {
  for (const bool segments : {true, false}) {
    const Outcome out = evaluate(
        [=] {
          auto i = axis("N"), c = axis("C"), s = axis("S");
          auto y = labels("y", {c}, "-").in_range(s);
          auto v = log(input("x", {i, c})(i, c));
          auto of = segments ? sum(s, sq(segment_sum(c, v, y(c), s))) : sum(c, sq(cumsum(c, v)) + 0.0 * y(c));
          loss_per(i, of + 0.0 * sum(s, input("w", {s})(s)), mask("keep", {i}, "-")(i));
        },
        sum_of({{"x", array({2, 2}, {1, M_E, kNan, 1})}, {"y", array({0, 1})}, {"w", array({1, 1})}, {"keep", array({1, 0})}}));
    const Values& g = out.gradient.at("x");
    expect_exactly({g[2], g[3]}, {0, 0});
    EXPECT_DOUBLE_EQ(g[1], 2 / M_E);
  }
}
TEST(Select, KeepsTheMaskOfASegmentForItsElements) {
  const Outcome out = evaluate(
      [] {
        auto i = axis("N"), s = axis("S");
        auto y = labels("y", {i}, "-").in_range(s);
        auto m = segment_sum(i, log(input("x", {i})(i)), y(i), s);
        loss_total(sum(s, input("w", {s})(s) * sq(m), mask("keep", {s}, "-")(s)));
      },
      sum_of({{"x", array({M_E, kNan, 1, 0})}, {"y", array({0, 1, 0, 1})}, {"w", array({1, 1})}, {"keep", array({1, 0})}}));
  const Values& g = out.gradient.at("x");
  expect_exactly({g[1], g[3]}, {0, 0});
  EXPECT_DOUBLE_EQ(g[0], 2 / M_E);
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
      sum_of({{"z", uniform({5, 2}, -1, 1)}, {"y", array({0, 1, 0, 1, 2})}}));
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
