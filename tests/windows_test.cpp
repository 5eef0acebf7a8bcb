// Words of place: values by hand, derivatives by differences.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using Values = std::vector<double>;

std::function<void()> window_of(Border border) {
  return [=] {
    auto i = axis("N"), k = axis("3"), p = twin(i, "p");
    auto x = input("x", {i});
    loss_per(p, sum(k, sq(number(k) + 1.0) * padded(x(i), i, p + k - 1, border)));
  };
}

TEST(Windows, SeeWhatTheBorderSays) {
  const Case c = sum_of({{"x", array({1, 10, 100, 1000})}});
  const auto rows = [&](Border b) { return check(window_of(b), c).rows; };  // weights 1, 4, 9
  EXPECT_EQ(rows(Border::Zero), (Values{4 + 90, 1 + 40 + 900, 10 + 400 + 9000, 100 + 4000}));
  EXPECT_EQ(rows(Border::Edge), (Values{1 + 4 + 90, 1 + 40 + 900, 10 + 400 + 9000, 100 + 4000 + 9000}));
  EXPECT_EQ(rows(Border::Reflect), (Values{10 + 4 + 90, 1 + 40 + 900, 10 + 400 + 9000, 100 + 4000 + 900}));
  EXPECT_EQ(rows(Border::Wrap), (Values{1000 + 4 + 90, 1 + 40 + 900, 10 + 400 + 9000, 100 + 4000 + 9}));
}

TEST(Windows, HaveDerivatives) {
  for (Border border : {Border::Zero, Border::Edge, Border::Reflect, Border::Wrap})
    check(
        [=] {
          auto n = axis("N"), h = axis("H"), w = axis("W"), k = axis("3"), l = twin(k, "l"), p = twin(h, "p"), q = twin(w, "q");
          auto x = input("x", {n, h, w});
          auto across = sum(k, gaussian(k, 0.7) * padded(sin(x(n, h, w)), w, q + k - 1, border));
          auto both = sum(l, gaussian(l, 0.7) * padded(across, h, p + l - 1, border));
          loss_per(n, sum(p, sum(q, sq(both) * (number(p) + 2.0 * number(q)))));
        },
        sum_of({{"x", uniform({2, 3, 4}, -1, 1)}}));
}

TEST(Windows, ASingleElementIsItsOwnMirrorImage) {
  const auto before = [] {
    auto i = axis("N");
    auto x = input("x", {i});
    loss_per(i, padded(x(i), i, i - 1, Border::Reflect) + padded(sq(x(i)), i, i + 1, Border::Reflect));
  };
  const Outcome out = check(before, sum_of({{"x", array({3})}}));
  EXPECT_EQ(out.rows, Values{12});
  EXPECT_EQ(out.gradient.at("x"), Values{7});
}

// What a label of the place chooses there: the label is the place's, not that of the neighbour or of what is summed up.
TEST(Windows, AreChosenByTheLabelOfTheirCentre) {
  const auto neighbour = [] {
    auto i = axis("N"), k = axis("3");
    auto x = input("x", {i});
    auto y = labels("y", {i}, "-").in_range(k);
    loss_per(i, at(padded(sq(x(i)) * (1 + number(k)), i, i + k - 1, Border::Wrap), k, y(i)));
  };
  EXPECT_EQ(check(neighbour, sum_of({{"x", array({1, 2, 3, 4})}, {"y", array({0, 2, 1, 2})}})).rows, (Values{16, 27, 18, 3}));
  const auto running = [] {
    auto j = axis("N"), k = axis("2");
    auto x = input("x", {j});
    auto y = labels("y", {j}, "-").in_range(k);
    loss_per(j, at(cumsum(j, x(j) * (1 + number(k))), k, y(j)));
  };
  EXPECT_EQ(check(running, sum_of({{"x", array({1, 2, 3})}, {"y", array({0, 1, 0})}})).rows, (Values{1, 6, 6}));
  const auto diagonal = [] {
    auto h = axis("H"), w = axis("W"), k = axis("3"), c = axis("C");
    auto x = input("x", {h, w, c});
    auto y = labels("y", {h, w}, "-").in_range(k);
    auto own = log_softmax(c, x(h, w, c));
    auto other = padded(padded(own, h, h + k - 1, Border::Edge), w, w + 1 - k, Border::Edge);
    loss_per({h, w}, at(sum(c, exp(own) * (own - other)), k, y(h, w)));
  };
  check(diagonal, sum_of({{"x", uniform({3, 4, 2}, -1, 1)}, {"y", array({3, 4}, {0, 1, 2, 0, 2, 1, 0, 2, 1, 1, 0, 2})}}));
}

// Opening an image, twice: hundreds of lookups at different places, of which each needs a name in the derivative.
TEST(Windows, MayBeManyInOneAnother) {
  check(
      [] {
        auto n = axis("N"), h = axis("H"), w = axis("W");
        auto x = input("x", {n, h, w});
        const auto near = [&](Expr e, int down, int right) {
          return padded(padded(e, h, h + down, Border::Edge), w, w + right, Border::Edge);
        };
        const auto erode = [&](Expr e) { return min(min(near(e, -1, 0), near(e, 1, 0)), min(near(e, 0, -1), near(e, 0, 1))); };
        const auto dilate = [&](Expr e) { return max(max(near(e, -1, 1), near(e, 1, -1)), max(near(e, 0, -1), near(e, 0, 1))); };
        loss_per(n, sum(h, sum(w, sq(dilate(erode(x(n, h, w)))))));
      },
      sum_of({{"x", uniform({2, 4, 3}, -1, 1)}}));
}

// One window may serve a filter of a filter: what was reduced over it is stored, and its neighbours are looked up.
TEST(Windows, OfAWindowUnderTheSameIndex) {
  const auto opened = [] {
    auto n = axis("N"), h = axis("H"), w = axis("W"), k = axis("3");
    auto x = input("x", {n, h, w});
    const auto down = [&](Expr e) { return padded(e, h, h + k - 1, Border::Edge); };
    const auto right = [&](Expr e) { return padded(e, w, w + k - 1, Border::Edge); };
    auto e = x(n, h, w);
    for (int repeat = 0; repeat < 2; repeat++) e = min(min(k, down(e)), min(k, right(e)));
    loss_per(n, sum(h, sum(w, sq(max(k, right(max(k, down(e))))))));
  };
  const Case c = sum_of({{"x", uniform({2, 5, 4}, -1, 1)}});
  check(opened, c);
  const Program p = program_for(definition(opened), c);
  int reductions = 0;
  for (ir::Id node : ir::topological(p.graph, {p.loss_rows})) reductions += p.graph.at(node).op == ir::Op::Reduce;
  EXPECT_EQ(reductions, 2 + 2 + 2 + 2) << "two for each erosion, two of the dilation, and the sums";
}
// A matrix of pairs is not stored for the sake of its neighbours.
TEST(Windows, OfPairsAreComputedInPlace) {
  const auto next = [] {
    auto [i, j] = batch_pair("N");
    auto d = axis("D");
    auto x = input("x", {i, d});
    loss_per(i, sum(j, sq(padded(dot(d, x(i, d), x(j, d)), j, j + 1, Border::Zero))));
  };
  const Case c = sum_of({{"x", uniform({4, 3}, -1, 1)}});
  check(next, c);
  const Program p = program_for(definition(next), c);
  for (ir::Id node : ir::topological(p.graph, {p.loss_rows})) EXPECT_NE(p.graph.at(node).op, ir::Op::At);
}

TEST(Windows, GaussianSumsToOne) {
  const Outcome out = evaluate(
      [] {
        auto i = axis("N"), k = axis("5");
        auto x = input("x", {i});
        loss_per({i, k}, gaussian(k, 1.5) + 0.0 * x(i));
      },
      sum_of({{"x", array({0.0})}}));
  EXPECT_NEAR(out.loss, 1, 1e-15);
  EXPECT_EQ(out.rows[0], out.rows[4]);
  EXPECT_NEAR(out.rows[1] / out.rows[2], std::exp(-1 / 4.5), 1e-15);
}

// An axis that is not a multiple of the window leaves its last elements out.
TEST(Windows, PoolOneAfterAnother) {
  const auto pooled = [] {
    auto n = axis("N"), w = axis("W"), k = axis("2"), half = derived_axis("W/2", extent(w) / 2);
    auto x = input("x", {n, w});
    loss_per(n, sum(half, sq(pool(w, k, half, x(n, w))) * (number(half) + 1.0)));
  };
  const Outcome out = check(pooled, sum_of({{"x", array({1, 5}, {1, 3, 5, 7, 100})}}));
  EXPECT_EQ(out.loss, 4 + 2 * 36);
  EXPECT_EQ(out.gradient.at("x")[4], 0);
  check(pooled, sum_of({{"x", uniform({2, 1}, -1, 1)}}));
}

// Pieces one after another, their places not all weighted alike.
TEST(Windows, PiecesOneAfterAnother) {
  check(
      [] {
        auto n = axis("N"), w = axis("W"), k = axis("3"), third = derived_axis("W/3", extent(w) / 3);
        auto x = input("x", {n, w});
        loss_per(n, sum(third, sum(k, (number(k) + 1.0) * sin(x(n, third * extent(k) + k))) * (number(third) + 0.5)));
      },
      sum_of({{"x", uniform({2, 8}, -1, 1)}}));
}

// The derivative of pooling is a lookup: nothing is scattered, and no sum over the axis for each of its elements.
TEST(Windows, PoolingIsPulledBackByLookup) {
  const Program p = build(definition([] {
    auto n = axis("N"), w = axis("W"), k = axis("2"), half = derived_axis("W/2", extent(w) / 2);
    auto x = input("x", {n, w});
    loss_per(n, sum(half, sq(pool(w, k, half, x(n, w)))));
  }), {});
  for (ir::Id node : ir::topological(p.graph, {p.gradients[0].node})) {
    EXPECT_NE(p.graph.at(node).op, ir::Op::Scatter);
    if (p.graph.at(node).op == ir::Op::Reduce) {
      EXPECT_NE(p.graph.indices[p.graph.at(node).sym].name, "w/2") << ir::print(p.graph, node);
    }
  }
}

}  // namespace
}  // namespace lossc::tests
