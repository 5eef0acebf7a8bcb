// Recurrences: their values by hand, their derivatives by differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "dsl/hessian.h"
#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using ir::Id;
using Values = std::vector<double>;

void expect_values(const Values& got, const Values& want) { EXPECT_TRUE(close(got, want, {1e-14, 0})); }

// A running mean in either direction, from `start`.
std::function<void()> decay(bool backward) {
  return [=] {
    auto t = axis("T");
    auto x = input("x", {t}), start = input("start", {});
    const ScanStep step = [&](const std::vector<Expr>& y) { return std::vector<Expr>{0.5 * y[0] + x(t)}; };
    const Carried y{Indices({}), start()};
    loss_per(t, (backward ? scan_back(t, {y}, step) : scan(t, {y}, step))[0]);
  };
}

TEST(Scan, CarriesFromPlaceToPlace) {
  const Case c = sum_of({{"x", array({1, 2, 3})}, {"start", array(std::vector<int64_t>{}, {8})}});
  const Outcome forward = evaluate(decay(false), c), backward = evaluate(decay(true), c);
  expect_values(forward.rows, {5, 4.5, 5.25});
  expect_values(forward.gradient.at("x"), {1.75, 1.5, 1});
  expect_values(forward.gradient.at("start"), {0.5 + 0.25 + 0.125});
  expect_values(backward.rows, {1 + 0.5 * (2 + 0.5 * 7), 2 + 0.5 * 7, 7});
  expect_values(backward.gradient.at("x"), {1, 1.5, 1.75});
}

// Channels of volumes, eroded: with the places of the recurrence as many indices as a tensor may have.
TEST(Scan, CarriesVolumes) {
  const auto eroded = [](Storage storage) {
    return [=] {
      auto t = axis("T"), n = axis("N"), c = axis("C"), z = axis("Z"), h = axis("H"), w = axis("W");
      auto x = input("x", {n, c, z, h, w}), a = input("a", {t});
      const Expr v = iterate(t, {{{n, c, z, h, w}, x(n, c, z, h, w)}}, [&](const std::vector<Expr>& u) {
        return std::vector<Expr>{a(t) * u[0] + 0.5 * at(u[0], w, min(w + 1, extent(w) - 1))};
      }, storage)[0];
      loss_per({n, c}, sum(z, sum(h, sum(w, sq(v)))));
    };
  };
  const Case c = sum_of({{"x", uniform({2, 1, 2, 1, 3}, -1, 1, 8)}, {"a", uniform({4}, -1, 1, 9)}});
  const Outcome all = check(eroded(Storage::AllSteps), c), few = check(eroded(Storage::Checkpoints), c);
  expect_values(few.rows, all.rows);
  EXPECT_THROW(build(definition([] {
    auto t = axis("T"), i = axis("I"), j = axis("J");
    Indices six{axis("A"), axis("B"), axis("C"), axis("D"), i, j};
    auto x = input("x", {t, i, j});
    loss_per(t, sum(i, sum(j, scan(t, {{six, 0.0}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{u[0] + x(t, i, j)}; })[0])));
  }), {}), DefinitionError);
}

TEST(Scan, OfNoPlacesLeavesNothing) {
  const Outcome none = evaluate(decay(false), sum_of({{"x", array({})}, {"start", array(std::vector<int64_t>{}, {8})}}));
  EXPECT_TRUE(none.rows.empty());
  EXPECT_EQ(none.gradient.at("start"), Values{0});
}

// A step reads an input where what is carried says: along the places and apart from them; in a recurrence inside; of a fixed point.
std::function<void()> wandering(Storage storage) {
  return [=] {
    auto t = axis("T"), c = axis("C"), i = axis("N");
    auto x = input("x", {t, c}), w = input("w", {i, c});
    const auto place = [=](const Expr& of) { return clamp(to_int(3 * abs(of)), 0, extent(c) - 1); };
    const Expr v = scan(t, {{i, 0.4}}, [&](const std::vector<Expr>& u) {
      return std::vector<Expr>{0.5 * u[0] + x(t, place(u[0])) * w(i, place(u[0] + 0.1 * number(t)))};
    }, storage)[0];
    loss_per(i, sum(t, sq(v)));
  };
}

TEST(Scan, AStepReadsAnInputAtCarriedPlaces) {
  const Case c = sum_of({{"x", uniform({5, 4}, -1, 1, 8)}, {"w", uniform({3, 4}, 0.2, 1.5, 9)}});
  const Outcome all = check(wandering(Storage::AllSteps), c);
  for (const auto& [name, gradient] : all.gradient)
    EXPECT_TRUE(std::any_of(gradient.begin(), gradient.end(), [](double g) { return g != 0; })) << name;
  EXPECT_THROW(build(definition(wandering(Storage::Checkpoints)), {}), DefinitionError);
  check([] {
    auto t = axis("T"), s = axis("S"), c = axis("C");
    auto x = input("x", {t, c}), y = input("y", {s});
    const Expr v = scan(t, {{Indices({}), 0.3}}, [&](const std::vector<Expr>& u) {
      const Expr inner = scan(s, {{t, 0.2 * u[0]}}, [&](const std::vector<Expr>& q) {
        return std::vector<Expr>{0.3 * q[0] + y(s) * x(t, clamp(to_int(4 * abs(q[0])), 0, extent(c) - 1))};
      })[0];
      return std::vector<Expr>{0.5 * u[0] + at(inner, s, extent(s) - 1)};
    })[0];
    loss_total(sum(t, sq(v)));
  }, sum_of({{"x", uniform({4, 3}, -1, 1, 3)}, {"y", uniform({3}, 0.5, 2, 4)}}));
  check([] {
    auto k = count_axis("times", 60, "-"), c = axis("C");
    auto x = input("x", {c});
    const Expr v = iterate(k, {{Indices({}), 0.3}}, [&](const std::vector<Expr>& u) {
      return std::vector<Expr>{0.4 * sin(u[0]) + x(clamp(to_int(2 * abs(u[0])), 0, extent(c) - 1))};
    }, Derivative::OfFixedPoint)[0];
    loss_total(sq(v));
  }, sum_of({{"x", array({0.8, 0.7, 0.9, 0.6})}}));
}

// Two values, one over the states, that read each other, a neighbour's, and what is not carried.
void coupled() {
  auto n = axis("N"), t = axis("T"), s = axis("S");
  auto x = input("x", {n, t, s}), w = input("w", {s}), first = input("first", {n, s});
  const auto out = scan(t, {{{n, s}, sq(first(n, s))}, {n, 0.3}}, [&](const std::vector<Expr>& v) {
    const Expr left = select(s > 0, at(v[0], s, s - 1), v[1]);
    const Expr a = tanh(x(n, t, s) + w(s) * left) + 0.25 * v[0];
    return std::vector<Expr>{a, 0.5 * v[1] + mean(s, sq(a) * v[0])};
  });
  loss_per(n, sum(t, (number(t) + 1.0) * out[1]) + sum(s, at(out[0], t, extent(t) - 1) * w(s)));
}

TEST(Scan, GradientEqualsDifferences) {
  for (int64_t length : {1, 2, 5})
    check(coupled, sum_of({{"x", uniform({2, length, 3}, -1, 1)}, {"w", uniform({3}, -1, 1, 2)}, {"first", uniform({2, 3}, -1, 1, 3)}}));
}

// What a step looks up may be said by labels.
TEST(Scan, LooksUpByLabels) {
  check(
      [] {
        auto n = axis("N"), t = axis("T"), s = axis("S");
        auto x = input("x", {n, t, s});
        auto from = labels("from", {t, s}, "-").in_range(s);
        const auto v = scan(t, {{{n, s}, 1.0}}, [&](const std::vector<Expr>& p) {
          return std::vector<Expr>{sin(at(p[0], s, from(t, s))) * x(n, t, s)};
        });
        loss_per(n, sum(t, sum(s, v[0])));
      },
      sum_of({{"x", uniform({2, 4, 3}, -1, 1)}, {"from", array({4, 3}, {0, 0, 2, 1, 1, 1, 2, 0, 1, 0, 2, 2})}}));
}

// A table whose entries follow from those above, to the left and both: a recurrence in a recurrence.
TEST(Scan, InAScan) {
  for (const bool listed : {true, false})  // the place of the one around it is found by itself
    check(
        [&] {
          auto n = axis("N"), i = axis("I"), j = axis("J");
          auto c = input("c", {n, i, j});
          const auto rows = scan(i, {{{n, j}, number(j)}}, [&](const std::vector<Expr>& above) {
            const auto row = scan(j, {{listed ? Indices({n, i}) : Indices(n), 0.5}}, [&](const std::vector<Expr>& left) {
              const Expr corner = select(j > 0, at(above[0], j, j - 1), 0.25);
              return std::vector<Expr>{c(n, i, j) * sin(left[0] + above[0]) + 0.5 * corner};
            });
            return std::vector<Expr>{row[0]};
          });
          loss_per(n, sum(j, at(rows[0], i, extent(i) - 1)));
        },
        sum_of({{"c", uniform({2, 3, 4}, -1, 1)}}));
}

TEST(Scan, InAnIterationInAnIteration) {
  check(
      [] {
        auto i = axis("I"), j = axis("J"), s = count_axis("sweeps", 2, "-"), t = count_axis("times", 3, "-");
        auto c = input("c", {i, j});
        const auto plan = iterate(s, {{{i, j}, 0.25}}, [&](const std::vector<Expr>& p) {
          const Expr cost = c(i, j) * (1.0 + p[0]);
          const Expr g = iterate(t, {{j, 0.0}}, [&](const std::vector<Expr>& v) {
            return std::vector<Expr>{-logsumexp(i, -logsumexp(j, v[0] - cost) - cost)};
          })[0];
          return std::vector<Expr>{exp(-logsumexp(j, g - cost) + g - cost)};
        })[0];
        loss_total(sum(i, sum(j, plan * c(i, j))));
      },
      sum_of({{"c", uniform({3, 2}, 0, 1)}}));
}

// Alternating normalisations of a matrix, so many of them.
void balanced() {
  auto i = axis("I"), j = axis("J"), k = count_axis("times", 3, "-");
  auto c = input("c", {i, j});
  const auto u = iterate(k, {{i, 0.0}, {j, 0.0}}, [&](const std::vector<Expr>& p) {
    const Expr f = -logsumexp(j, p[1] - c(i, j));
    return std::vector<Expr>{f, -logsumexp(i, f - c(i, j))};
  });
  loss_total(sum(i, sq(u[0])) + sum(j, u[1] * number(j)));
}

TEST(Scan, IteratesACount) {
  for (const char* times : {"0", "1", "4"}) {
    Case c = sum_of({{"c", uniform({3, 4}, -1, 1)}});
    c.options["times"] = times;
    check(balanced, c);
  }
}

// The derivative's own derivative, along a direction, against differences of the derivative.
void expect_curvature(const std::function<void()>& body, const Case& c) {
  Program p = program_for(definition(body), c);
  Inputs in = oracle_inputs(p, c);
  const HessianProduct h = add_hessian_product(p);
  in.tensors.resize(p.graph.tensors.size());
  for (size_t k = 0; k < h.directions.size(); k++) {
    const Id tensor = p.gradients[k].tensor;
    in.tensors[h.directions[k]] = uniform({static_cast<int64_t>(in.tensors[tensor].size())}, -1, 1, 9).data;
  }
  Oracle oracle(p.graph, in);
  for (size_t k = 0; k < h.products.size(); k++) {
    const Id tensor = h.products[k].tensor;
    const Values got = oracle.evaluate(h.products[k].node, p.graph.tensors[tensor].dims).data;
    const auto want = finite_difference_of(p.graph, h.slope, in, tensor);
    for (size_t e = 0; e < got.size(); e++)
      if (want[e].smooth) {
        EXPECT_NEAR(got[e], want[e].value, want[e].error + 1e-9 * std::abs(got[e])) << p.graph.tensors[tensor].name << " " << e;
      }
  }
}

TEST(Scan, HasASecondDerivative) {
  expect_curvature(coupled, sum_of({{"x", uniform({2, 3, 3}, -1, 1)}, {"w", uniform({3}, -1, 1, 2)}, {"first", uniform({2, 3}, -1, 1, 3)}}));
  expect_curvature(balanced, sum_of({{"c", uniform({3, 4}, -1, 1)}}));
}

// A contraction to a fixed point: what two values of each place come to.
std::function<void()> settled(Derivative how) {
  return [=] {
    auto i = axis("I"), j = twin(i, "j"), k = count_axis("times", 80, "-");
    auto x = input("x", {i}), w = input("w", {i, j}), first = input("first", {i});
    const auto s = iterate(
        k, {{i, first(i)}, {i, 0.5}},
        [&](const std::vector<Expr>& v) {
          const Expr a = x(i) + 0.3 * sum(j, w(i, j) * at(v[0], i, j)) - 0.1 * v[1];
          return std::vector<Expr>{tanh(a), 0.4 * v[1] + 0.2 * sq(v[0]) * x(i)};
        },
        how);
    loss_total(sum(i, (number(i) + 1.0) * s[0] * s[1]));
  };
}

TEST(Scan, AFixedPointHasTheDerivativeOfItsSteps) {
  const Case c = sum_of({{"x", uniform({3}, -1, 1)}, {"w", uniform({3, 3}, -1, 1, 2)}, {"first", uniform({3}, -1, 1, 3)}});
  const Outcome fixed = check(settled(Derivative::OfFixedPoint), c), steps = evaluate(settled(Derivative::OfEachStep), c);
  for (const char* name : {"x", "w"}) EXPECT_TRUE(close(fixed.gradient.at(name), steps.gradient.at(name), {1e-13, 1e-15})) << name;
  expect_values(fixed.gradient.at("first"), Values(3, 0));
  expect_curvature(settled(Derivative::OfFixedPoint), c);
}

TEST(Scan, AFixedPointOfNoStepsIsWhatItStartsFrom) {
  Case c = sum_of({{"x", uniform({3}, -1, 1)}, {"w", uniform({3, 3}, -1, 1, 2)}, {"first", array({1, 2, 3})}});
  c.options["times"] = "0";
  const Outcome out = check(settled(Derivative::OfFixedPoint), c);
  expect_values(out.gradient.at("first"), {0.5, 1, 1.5});
}

TEST(Scan, NanStaysWhereItCan) {
  const Case c = sum_of({{"x", array({1, std::nan(""), 3})}, {"start", array(std::vector<int64_t>{}, {8})}});
  const Outcome out = evaluate(decay(false), c);
  EXPECT_EQ(out.rows[0], 5);
  EXPECT_TRUE(std::isnan(out.rows[1]) && std::isnan(out.rows[2]));
}

void expect_refused(const std::string& reason, const std::function<void()>& body) {
  try {
    build_all(definition(body));
    ADD_FAILURE() << "built, though " << reason;
  } catch (const DefinitionError& e) {
    EXPECT_NE(std::string(e.what()).find(reason), std::string::npos) << e.what();
  }
}

TEST(Scan, RefusesWhatIsNotThereYet) {
  const auto with = [](auto step) {
    return [=] {
      auto t = axis("T"), s = axis("S");
      auto x = input("x", {t, s});
      const auto v = scan(t, {{s, 0.0}}, [&](const std::vector<Expr>& p) { return std::vector<Expr>{step(t, s, p[0] + x(t, s))}; });
      loss_total(sum(t, sum(s, v[0])));
    };
  };
  expect_refused("at other places of 't' than the one before", with([](Index t, Index, Expr e) { return sum(t, e); }));
  expect_refused("where only the values of the place before are there", with([](Index t, Index, Expr e) { return at(sin(e), t, t - 1); }));
  expect_refused("at other places of 't' than the one before", with([](Index t, Index, Expr e) { return cumsum(t, e); }));
  expect_refused("stop_gradient of what a scan carries", with([](Index, Index, Expr e) { return stop_gradient(e); }));
  expect_refused("what changes from place to place has no fixed point", [] {
    auto t = axis("T");
    auto x = input("x", {t});
    loss_total(iterate(t, {{Indices({}), 0.0}}, [&](const std::vector<Expr>& v) { return std::vector<Expr>{0.5 * v[0] + x(t)}; },
                       Derivative::OfFixedPoint)[0]);
  });
  expect_refused("depends on {m}", with([](Index, Index, Expr e) { return e * number(axis("M")); }));
}

}  // namespace
}  // namespace lossc::tests
