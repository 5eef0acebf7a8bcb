// Words of sets: each is the reduction over the elements whose key is the segment, in one pass; packed sequences; bins.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dsl/hessian.h"
#include "dsl/plan.h"
#include "dsl/sample.h"
#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using Values = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

void expect_values(const Values& got, const Values& want) { EXPECT_TRUE(close(got, want, kReordered)); }

// A word, and what it means said by a reduction over all elements for each segment.
struct Word {
  const char* name;
  Expr (*word)(Index over, Expr e, Expr key, Index segment, Mask where);
  Expr (*meaning)(Index over, Expr e, Expr in_segment);
};
const Word kWords[] = {
    {"sum", [](Index i, Expr e, Expr k, Index s, Mask m) { return segment_sum(i, e, k, s, m); }, [](Index i, Expr e, Expr in) { return sum(i, e, in); }},
    {"count", [](Index i, Expr, Expr k, Index s, Mask m) { return segment_count(i, k, s, m); }, [](Index i, Expr, Expr in) { return count(i, in); }},
    {"mean", [](Index i, Expr e, Expr k, Index s, Mask m) { return segment_mean(i, e, k, s, m); }, [](Index i, Expr e, Expr in) { return mean(i, e, in); }},
    {"max", [](Index i, Expr e, Expr k, Index s, Mask m) { return segment_max(i, e, k, s, m); }, [](Index i, Expr e, Expr in) { return max(i, e, in); }},
    {"min", [](Index i, Expr e, Expr k, Index s, Mask m) { return segment_min(i, e, k, s, m); }, [](Index i, Expr e, Expr in) { return min(i, e, in); }},
    {"logsumexp", [](Index i, Expr e, Expr k, Index s, Mask m) { return segment_logsumexp(i, e, k, s, m); },
     [](Index i, Expr e, Expr in) { return logsumexp(i, e, in); }},
};
class Segments : public testing::TestWithParam<Word> {};

// Elements are pairs of a row, which is gone along, and a column, or only rows; segment 2 is empty; keys -1 and 4 are none.
const Array kX = array({5, 2}, {0.3, -1.2, 2.1, 0.4, -0.7, 1.9, 0.8, -0.1, 1.4, 0.6});
const Array kKeys = array({0, 3, 3, -1, 4});

TEST_P(Segments, AreReductionsOfTheElementsThatHaveTheKey) {
  const auto by = [&](bool word, const Array& x) {
    return evaluate(
        [&] {
          auto i = axis("N"), c = axis("C"), s = axis("S");
          auto x = input("x", {i, c}), w = input("w", {s});
          auto y = labels("y", {i}, "-");
          const Mask where = x(i, c) < 2;
          const Expr value = word ? GetParam().word(i, x(i, c), y(i), s, where) : GetParam().meaning(i, x(i, c), where && y(i) == s);
          loss_per({s, c}, select(abs(value) < 1e9, value * w(s), 7.0));
        },
        sum_of({{"x", x}, {"y", kKeys}, {"w", array({1, 2, 3, 4})}}));
  };
  Array odd = kX;
  odd.data[3] = kNan, odd.data[0] = -kInf, odd.data[8] = kNan;  // the last one has no segment
  for (const Array& x : {kX, odd}) {
    const Outcome word = by(true, x), meaning = by(false, x);
    expect_values(word.rows, meaning.rows);
    expect_values(word.gradient.at("x"), meaning.gradient.at("x"));
  }
}

// Along an inner index, with keys of every element, and a function of the row.
TEST_P(Segments, WithinRows) {
  const auto by = [&](bool word) {
    return check(
        [&] {
          auto i = axis("N"), c = axis("C"), s = axis("S");
          auto x = input("x", {i, c}), w = input("w", {s});
          auto y = labels("y", {i, c}, "-");
          const Expr e = sin(x(i, c)), value = word ? GetParam().word(c, e, y(i, c), s, {}) : GetParam().meaning(c, e, y(i, c) == s);
          loss_per(i, sum(s, clamp(value, -9.0, 9.0) * w(s)));
        },
        sum_of({{"x", kX}, {"y", array({5, 2}, {0, 0, 1, 2, 2, 2, -1, 0, 7, 1})}, {"w", array({1, 2, 3})}}));
  };
  const Outcome word = by(true), meaning = by(false);
  expect_values(word.rows, meaning.rows);
  expect_values(word.gradient.at("x"), meaning.gradient.at("x"));
}

TEST_P(Segments, OfNoElementsAndNoSegments) {
  for (auto [n, segments] : {std::pair(0, 3), std::pair(3, 0), std::pair(0, 0)}) {
    const auto by = [&](bool word) {
      return evaluate(
          [&] {
            auto i = axis("N"), s = axis("S");
            auto x = input("x", {i}), w = input("w", {s});
            auto y = labels("y", {i}, "-");
            loss_per(s, w(s) + (word ? GetParam().word(i, x(i), y(i), s, {}) : GetParam().meaning(i, x(i), y(i) == s)));
          },
          sum_of({{"x", array(Values(size_t(n), 1))}, {"y", array(Values(size_t(n), 0))}, {"w", array(Values(size_t(segments), 1))}}));
    };
    EXPECT_EQ(by(true).rows, by(false).rows);
    EXPECT_EQ(by(true).gradient, by(false).gradient);
  }
}

// The adjoint of what falls into segments is looked up, and that of a lookup falls into segments: no loop over pairs.
TEST_P(Segments, ArePlannedInOnePass) {
  const Program p = build(definition([&] {
                            auto i = axis("N"), s = axis("S");
                            auto x = input("x", {i}), w = input("w", {s});
                            auto y = labels("y", {i}, "-");
                            loss_total(sum(s, w(s) * clamp(GetParam().word(i, x(i), y(i), s, {}), -9.0, 9.0)));
                          }),
                          {});
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "") << plan::print(plan);
  for (const plan::Step& step : plan.steps) EXPECT_LE(step.domain.size(), 1u) << step.text;
}

TEST_P(Segments, HaveSecondDerivatives) {
  Program p = build(definition([&] {
                      auto i = axis("N"), s = axis("S");
                      auto x = input("x", {i}), w = input("w", {s});
                      auto y = labels("y", {i}, "-").in_range(s);
                      loss_total(sum(s, w(s) * sq(clamp(GetParam().word(i, sin(x(i)), y(i), s, {}), -9.0, 9.0))));
                    }),
                    {});
  const Case c = sample(p, {.extents = {{"N", 6}, {"S", 3}}, .seed = 5});
  Inputs inputs = oracle_inputs(p, c);
  const HessianProduct h = add_hessian_product(p);
  for (const Gradient& g : p.gradients) inputs.tensors.push_back(uniform({int64_t(inputs.tensors[size_t(g.tensor)].size())}, -1, 1).data);
  Oracle oracle(p.graph, inputs);
  for (const Gradient& g : h.products)
    EXPECT_TRUE(close(oracle.evaluate(g.node, p.graph.tensors[size_t(g.tensor)].dims).data,
                      finite_difference_of(p.graph, h.slope, inputs, g.tensor), 0.3));
}

INSTANTIATE_TEST_SUITE_P(Words, Segments, testing::ValuesIn(kWords), [](const auto& info) { return std::string(info.param.name); });

TEST(Sets, SoftmaxWithinSegments) {
  const auto by = [&](bool word) {
    return check(
        [&] {
          auto i = axis("N"), j = twin(i, "j"), s = axis("S");
          auto x = input("x", {i}), w = input("w", {i}), v = input("v", {s});
          auto y = labels("y", {i}, "-").in_range(s).or_minus_one();
          const Expr all = sum(j, exp(x(j)), y(i) == y(j));
          loss_per(i, w(i) * (word ? segment_softmax(i, x(i), y(i), s, x(i) < 3) : select(y(i) >= 0 && x(i) < 3, exp(x(i)) / all, 0.0)));
          output("counts", s, v(s) + segment_count(i, y(i), s), "-");
        },
        sum_of({{"x", array({0.1, 1.2, -0.4, 2.2, 0.3})}, {"w", array({1, 2, 3, 4, 5})}, {"y", array({1, 0, 1, -1, 1})}, {"v", array({0, 0})}}));
  };
  expect_values(by(true).rows, by(false).rows);
  expect_values(by(true).gradient.at("x"), by(false).gradient.at("x"));
}

// Keys that point at rows, from rows and from elsewhere: all rows are there before any of them is read.
TEST(Sets, SegmentsThatAreRows) {
  const auto body = [] {
    auto i = axis("N"), j = twin(i, "j"), c = axis("C");
    auto x = input("x", {i}), u = input("u", {c});
    auto y = labels("y", {i}, "-"), t = labels("t", {c}, "-");
    const Expr from_rows = segment_sum(j, x(j), y(j), i), from_elsewhere = segment_sum(c, sin(u(c)), t(c), i);
    loss_per(i, sq(from_rows) * x(i) + from_elsewhere * (from_elsewhere + x(i)));
  };
  const Case c = sum_of({{"x", array({1, 2, 3})}, {"u", array({0.5, 0.7, 0.1, 2})}, {"y", array({2, 2, 0})}, {"t", array({1, 1, 0, 5})}});
  const Outcome out = check(body, c);
  const double a = std::sin(0.1), b = std::sin(0.5) + std::sin(0.7);
  expect_values(out.rows, {9 + a * (a + 1), b * (b + 2), 27});
  const plan::Plan plan = plan::make_plan(build(definition(body), {}));
  EXPECT_EQ(plan::unsound(plan), "") << plan::print(plan);
}

TEST(Sets, PlacesOfPackedSequences) {
  const auto segments = [](const Values& offsets, int n) {
    return evaluate(
               [] {
                 auto i = axis("N"), e = axis("B+1");
                 auto x = input("x", {i});
                 auto o = labels("o", {e}, "-").up_to(i).ascending();
                 loss_per(i, 0 * x(i) + number(segment_of(i, o(e), e)));
               },
               sum_of({{"x", array(Values(size_t(n), 1))}, {"o", array(offsets)}}))
        .rows;
  };
  expect_values(segments({0, 2, 2, 5}, 5), {0, 0, 2, 2, 2});
  expect_values(segments({1, 3}, 5), {-1, 0, 0, -1, -1});
  expect_values(segments({0, 0, 3, 3}, 3), {1, 1, 1});
  expect_values(segments({2}, 3), {-1, -1, -1});  // an end, but no sequence
  expect_values(segments({}, 3), {-1, -1, -1});
  expect_values(segments({0, 0}, 0), {});
}

// A list loss over packed sequences is that of each sequence alone; with places, lengths and an empty sequence.
TEST(Sets, ListLossOfPackedSequences) {
  const Values x{0.3, -1, 2, 0.5, 0.1}, offsets{0, 2, 2, 5};
  const Outcome packed = check(
      [] {
        auto i = axis("N"), e = axis("B+1"), b = derived_axis("B", extent(e) - 1);
        auto x = input("x", {i});
        auto o = labels("o", {e}, "-").up_to(i).ascending();
        const Expr s = segment_of(i, o(e), e), place = number(i - o(s)), log_p = x(i) - at(segment_logsumexp(i, x(i), s, b), b, s);
        const Expr length = number(o(b + 1) - o(b));
        loss_per(b, segment_sum(i, -log_p * (place + 1.0), s, b) / length, o(b) < o(b + 1));
      },
      sum_of({{"x", array(x)}, {"o", array(offsets)}}));
  for (size_t b : {0u, 2u}) {
    const auto begin = x.begin() + long(offsets[b]), end = x.begin() + long(offsets[b + 1]);
    const Outcome alone = check(
        [] {
          auto i = axis("N");
          auto x = input("x", {i});
          loss_total(sum(i, -log_softmax(i, x(i)) * (number(i) + 1.0)) / number(extent(i)));
        },
        sum_of({{"x", array(Values(begin, end))}}));
    EXPECT_NEAR(packed.rows[b], alone.loss, 1e-12);
    const Values& g = packed.gradient.at("x");
    expect_values({g.begin() + long(offsets[b]), g.begin() + long(offsets[b + 1])}, alone.gradient.at("x"));
  }
  EXPECT_EQ(packed.rows[1], 0);
}

TEST(Sets, SampledOffsetsAscend) {
  const Program p = build(definition([] {
                            auto i = axis("N"), r = axis("R"), e = axis("B+1");
                            auto x = input("x", {i});
                            auto o = labels("o", {r, e}, "-").up_to(i).ascending();
                            loss_per(r, sum(i, x(i) * number(segment_of(i, o(r, e), e))));
                          }),
                          {});
  for (unsigned seed = 1; seed < 20; seed++) {
    const Case c = sample(p, {.extents = {{"N", 9}, {"R", 3}, {"B+1", 5}}, .seed = seed});
    const Array& o = c.inputs.at("o");
    for (size_t k = 1; k < o.data.size(); k++) EXPECT_TRUE(k % 5 == 0 || o.data[k - 1] <= o.data[k]);
    for (double v : o.data) EXPECT_TRUE(v >= 0 && v <= 9);
  }
}

// The linear shares of a soft histogram, by the formula for every pair of element and bin.
TEST(Sets, SoftHistogramIsItsFormula) {
  for (bool word : {true, false}) {
    const Outcome out = check(
        [&] {
          auto i = axis("N"), k = axis("K");
          auto x = input("x", {i}), w = input("w", {k}), low = input("low", {}), high = input("high", {});
          const Expr spacing = (high() - low()) / (number(extent(k)) - 1.0), centre = low() + number(k) * spacing;
          const Expr formula = sum(i, relu(1.0 - abs(x(i) - centre) / spacing), x(i) != 7.0);
          loss_per(k, w(k) * (word ? soft_histogram(i, x(i), k, low(), high(), x(i) != 7.0) : formula));
        },
        sum_of({{"x", array({-0.9, 0.3, 0.55, 1.2, 7, -3})}, {"w", array({1, -2, 4})}, {"low", array({}, {-0.7})}, {"high", array({}, {1.1})}}));
    static Outcome first;
    if (word) first = out;
    expect_values(out.rows, first.rows);
    for (const char* t : {"x", "w", "low", "high"}) expect_values(out.gradient.at(t), first.gradient.at(t));
  }
}

std::string mistake(const std::function<void()>& body) {
  try {
    build(definition(body), {});
  } catch (const DefinitionError& e) {
    return e.what();
  }
  return "";
}
TEST(Sets, MistakesAreTold) {
  const auto told = [](auto body, const char* text) {
    const std::string what = mistake([&] {
      auto i = axis("N"), s = axis("S"), j = twin(i, "j");
      auto x = input("x", {i}), w = input("w", {s});
      auto y = labels("y", {i}, "-");
      body(i, j, s, x, w, y);
      loss_total(sum(s, w(s)) + sum(i, x(i)));
    });
    EXPECT_NE(what.find(text), std::string::npos) << what;
  };
  told([](Index i, Index, Index s, Tensor x, Tensor, Tensor) { segment_sum(i, x(i), x(i), s); }, "`x(n)` is a float where an integer");
  told([](Index i, Index, Index s, Tensor x, Tensor w, Tensor y) { segment_sum(i, x(i) * w(s), y(i), s); },
       "segment_sum: the operand `(w(s) * x(n))` depends on 's', which numbers the segments; use a twin, or look it up at the key");
  told([](Index i, Index, Index, Tensor x, Tensor, Tensor y) { segment_max(i, x(i), y(i), i); },
       "segment_max: the segments are numbered by 'n', along which the elements are; use a twin");
  told([](Index i, Index, Index s, Tensor x, Tensor w, Tensor) { histogram(i, x(i), s, w(s), 1.0); },
       "histogram: `w(s)` depends on 's', which numbers the bins; use a twin");
  told([](Index, Index, Index, Tensor x, Tensor, Tensor) { x.ascending(); }, "ascending: tensor 'x' is no row of integers");
}

}  // namespace
}  // namespace lossc::tests
