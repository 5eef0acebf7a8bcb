// What flows back through a lookup: to a row, a table, a neighbour, a permutation of the batch.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/values.h"

namespace lossc::tests {
namespace {

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
// Sides of a product with two indices each are folded into one (folding.cpp): the same numbers, of every pair.
TEST(Product, OfSidesWithTwoIndices) {
  const auto body = [] {
    auto n = axis("N"), v = axis("V"), d = axis("D"), m = twin(n, "m"), w = twin(v, "w"), c = axis("C"), k = axis("K");
    auto z = input("z", {n, v, d}), centre = input("centre", {c, k, d});
    const Expr views = dot(d, z(n, v, d), z(m, w, d)), classes = dot(d, z(n, v, d), centre(c, k, d));
    loss_per({n, v}, sum(m, sum(w, number(1 + m + 2 * w) * sq(views))) + sum(c, max(k, number(1 + c) * classes)));
  };
  const Case c = sum_of({{"z", uniform({3, 2, 4}, -1, 1)}, {"centre", uniform({2, 3, 4}, -1, 1, 2)}});
  const Outcome out = check(body, c);
  const Values &z = c.inputs.at("z").data, &centre = c.inputs.at("centre").data;
  const auto product = [&](const Values& b, size_t i, size_t j) {
    double s = 0;
    for (size_t d = 0; d < 4; d++) s += z[4 * i + d] * b[4 * j + d];
    return s;
  };
  for (size_t i = 0; i < 6; i++) {
    double want = 0;
    for (size_t j = 0; j < 6; j++) want += double(1 + j / 2 + 2 * (j % 2)) * product(z, i, j) * product(z, i, j);
    for (size_t a = 0; a < 2; a++) {
      double most = -1e9;
      for (size_t k = 0; k < 3; k++) most = std::max(most, double(1 + a) * product(centre, i, 3 * a + k));
      want += most;
    }
    EXPECT_NEAR(out.rows[i], want, 1e-12) << i;
  }
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{0, 2, 4}, {3, 0, 4}, {3, 2, 0}})
    EXPECT_EQ(evaluate(body, sum_of({{"z", Array{shape, {}}}, {"centre", Array{{2, 3, shape[2]}, Values(size_t(6 * shape[2]), 1)}}})).loss, 0);
}
// A sum over several indices of products is folded into a sum over one.
TEST(Product, SummedOverThreeIndices) {
  const auto body = [] {
    auto n = axis("N"), h = axis("H"), w = axis("W"), d = axis("D"), e = twin(d, "e");
    auto z = input("z", {n, d, h, w}), share = input("share", {n});
    auto valid = mask("valid", {n, h, w}, "which count");
    const Expr x = z(n, d, h, w), gram = sum(n, share(n) * sum(w, mean(h, x * at(x, d, e), valid(n, h, w))));
    loss_per(d, sum(e, number(1 + d + 2 * e) * sq(gram), d != e));
  };
  Case c = sum_of({{"z", uniform({2, 3, 4, 5}, -1, 1)}, {"share", uniform({2}, -1, 1, 2)}});
  c.inputs["valid"] = Array{{2, 4, 5}, Values(40, 1)};
  for (size_t k = 0; k < 40; k += 3) c.inputs["valid"].data[k] = 0;
  const Outcome out = check(body, c);
  const Values &z = c.inputs.at("z").data, &share = c.inputs.at("share").data, &valid = c.inputs.at("valid").data;
  const auto gram = [&](size_t d, size_t e) {
    double total = 0;
    for (size_t n = 0; n < 2; n++)
      for (size_t w = 0; w < 5; w++) {
        double sum = 0, count = 0;
        for (size_t h = 0; h < 4; h++) {
          const size_t place = 5 * h + w, kept = valid[20 * n + place] != 0;
          sum += double(kept) * z[20 * (3 * n + d) + place] * z[20 * (3 * n + e) + place], count += double(kept);
        }
        if (count > 0) total += share[n] * sum / count;
      }
    return total;
  };
  for (size_t d = 0; d < 3; d++) {
    double want = 0;
    for (size_t e = 0; e < 3; e++)
      if (d != e) want += double(1 + d + 2 * e) * gram(d, e) * gram(d, e);
    EXPECT_NEAR(out.rows[d], want, 1e-12) << d;
  }
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{0, 3, 4, 5}, {2, 3, 0, 5}, {2, 3, 4, 0}}) {
    const Array ones{{shape[0]}, Values(size_t(shape[0]), 1)};
    EXPECT_EQ(evaluate(body, sum_of({{"z", Array{shape, {}}}, {"share", ones}, {"valid", Array{{shape[0], shape[2], shape[3]}, {}}}})).loss, 0);
  }
}
// Where an axis is as long as both dimensions they are one key of it.
TEST(Gather, OfPlacesAmongAllPairs) {
  const auto by_labels = [] {
    auto i = axis("N"), j = axis("M"), e = axis("E"), p = derived_axis("N*M", extent(i) * extent(j));
    auto x = input("x", {i, j}), w = input("w", {p});
    auto a = labels("a", {e}, "-").in_range(i), b = labels("b", {e}, "-").in_range(j);
    loss_total(sum(e, number(e + 1) * sq(x(a(e), b(e)))) + sum(p, w(p) * x(p / extent(j), p % extent(j))));
  };
  const Outcome out = check(by_labels, sum_of({{"x", {{2, 3}, {1, 2, 3, 4, 5, 6}}}, {"w", array({10, 20, 30, 40, 50, 60})},
                                               {"a", array({0, 1, 1, 0})}, {"b", array({2, 0, 0, 2})}}));
  expect_exactly(out.gradient.at("x"), {10, 20, 30 + 2 * 3 * (1 + 4), 40 + 2 * 4 * (2 + 3), 50, 60});
  const auto in_order = [] {
    auto i = axis("N"), j = axis("M"), p = derived_axis("M*N", extent(j) * extent(i));
    auto x = input("x", {j, i});
    loss_total(sum(p, number(p + 1) * sort(p, x(p / extent(i), p % extent(i)))));
  };
  check(in_order, sum_of({{"x", uniform({2, 3}, -1, 1)}}));
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
TEST(Gather, ByATableOfTwoIndices) {
  const Case three = sum_of({{"z", uniform({4, 2}, -1, 1)}, {"k", array({4, 3}, {1, 1, 2, 3, 0, 2, 0, 0, 0, 2, 3, 1})}});
  check(
      [] {
        auto n = axis("N"), s = axis("S"), d = axis("D");
        auto z = input("z", {n, d});
        auto k = labels("k", {n, s}, "-").in_range(n);
        loss_per(n, logsumexp(s, dot(d, z(n, d), z(k(n, s), d))) + sum(s, at(norm(d, z(n, d)), n, k(n, s))));
      },
      three);
  check(
      [] {  // the row is the later index of the table, and the value has neither
        auto s = axis("S"), n = axis("N"), d = axis("D");
        auto z = input("z", {s, d});
        auto k = labels("k", {s, n}, "-").in_range(s);
        loss_per(n, sum(s, sq(sum(d, z(k(s, n), d)))) + sum(s, z(k(s, n), 1)));
      },
      three);
  const Outcome out = check(
      [] {
        auto b = axis("B"), t = axis("T"), c = axis("C"), v = axis("V");
        auto y = labels("y", {b, t}, "-").in_range(c).or_minus_one();
        auto w = input("w", {v, c});
        loss_per(b, sum(v, sum(t, tanh(w(v, y(b, t)) * (v + t)), y(b, t) >= 0)));
      },
      sum_of({{"w", uniform({2, 3}, -1, 1)}, {"y", array({2, 2}, {2, -1, 0, 2})}}));
  EXPECT_EQ(out.gradient.at("w")[1], 0);  // class 1 is nobody's
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

}  // namespace
}  // namespace lossc::tests
