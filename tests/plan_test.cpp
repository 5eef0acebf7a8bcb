// Plans as data: whatever the definition, every step finds what it reads, complete and in a layout that it can read.
#include "dsl/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "dsl/fuzz/tree.h"
#include "lossc/halide.h"
#include "tests/support/by_hand_words.h"
#include "tests/support/plans.h"

namespace lossc::tests {
namespace {

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
    } catch (const DefinitionError&) {  // not well formed
    }
  }
  EXPECT_GT(planned, 200u);
}

// Operands of a step by hand are made in a loop over the rows that is over by then: also what is looked up in an input, and
// the number of a row.
TEST(Plan, AStepByHandWaitsForItsOperands) {
  const HalideBody product = [](const HalideStep& s) { return s.in[0](s.at[0]) * s.in[1](s.at[0]); };
  expect_sound([&] {
    auto i = axis("N");
    auto x = input("x", {i});
    loss_per(i, halide_step("sorted", {{sort(i, x(i)), i}}, i, [](const HalideStep& s) { return s.in[0](s.at[0]); }, {product}));
  });
  expect_sound([&] {
    auto i = axis("N");
    auto x = input("x", {i});
    loss_per(i, halide_step("numbered", {{x(i), i}, {i, i}}, i, product, {[](const HalideStep& s) { return s.in[1](s.at[0]) * s.in[2](s.at[0]); }, {}}));
  });
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

// The step of a recurrence has no matrix products, and sums as it is written: a factor before a sum would make inf what
// is NaN in one of its terms, inf * 0.
TEST(Plan, ARecurrenceSumsAsItIsWritten) {
  Program p = build(definition([] {
    auto n = axis("N"), m = twin(n, "m"), c = axis("C");
    auto x = input("x", {n, c}), w = input("w", {n});
    loss_per(n, sum(c, scan(c, {{{n}, 0.5}}, [&](const std::vector<Expr>& u) {
      return std::vector<Expr>{sum(m, exp(w(n) * w(m)) * x(m, c) * at(u[0], n, m))};
    })[0]));
  }), {});
  const auto scans = [&](const std::vector<ir::Id>& roots) {
    std::vector<ir::Id> found;
    for (ir::Id node : ir::topological(p.graph, roots))
      if (p.graph.at(node).op == ir::Op::Scan) found.push_back(node);
    return found;
  };
  std::vector<ir::Id> roots;
  for (const Gradient& g : p.gradients) roots.push_back(g.node);
  const std::vector<ir::Id> written = scans(roots);
  EXPECT_EQ(written.size(), 2u);
  EXPECT_EQ(scans(plan::normalise_contractions(p.graph, roots)), written);
}

// Clusters of which each row chooses one: the wide loops are over the clusters, but they cannot be cut into panels.
TEST(Plan, ATotalOfWhatWasSelected) {
  expect_sound([] {
    auto n = axis("N"), d = axis("D"), k = axis("K");
    auto l = twin(k, "l");
    auto x = input("x", {n, d}), q = input("q", {n, k});
    auto centre = sum(n, x(n, d), argmax(k, q(n, k)) == k);
    loss_total(mean(k, log(sum(l, exp(cosine(d, centre, at(centre, k, l)))))));
  });
}

// Rows are cut into panels; which of them is greatest is asked of all at once, of what is then in memory.
TEST(Plan, ARowIsSelectedOfAll) {
  expect_sound([] {
    auto n = axis("N"), c = axis("C");
    auto x = input("x", {n, c});
    loss_per(n, sum(c, sq(x(n, c) - at(x(n, c), n, argmax(n, tanh(x(n, c)))))));
  });
  expect_sound([] {
    auto n = axis("N"), c = axis("C"), d = axis("D");
    auto x = input("x", {n, d}), w = input("w", {c, d});
    loss_per(n, sum(c, kth_largest(n, 2, dot(d, x(n, d), w(c, d))) * number(c)) + sum(d, x(n, d)));
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

// A recurrence of each row runs inside the panels; one that sums over the rows, outside of them.
TEST(Plan, Recurrences) {
  const auto decayed = [](bool over_rows) {
    return [=] {
      auto n = axis("N"), t = axis("T"), s = axis("S");
      auto x = input("x", {n, t, s});
      const Expr v = scan(t, {{{n, s}, 0.0}}, [&](const std::vector<Expr>& p) {
        const Expr left = select(s > 0, at(p[0], s, s - 1), 0.5);
        return std::vector<Expr>{tanh(x(n, t, s) + left) + (over_rows ? mean(n, p[0]) : p[0])};
      })[0];
      loss_per(n, sum(t, sum(s, sq(v) * number(t))));
    };
  };
  for (bool over_rows : {false, true}) {
    expect_sound(decayed(over_rows));
    const plan::Plan p = plan::make_plan(build(definition(decayed(over_rows)), {}));
    const auto loops = [&](bool panel) {
      size_t n = 0;
      for (const plan::Pass& pass : p.passes)
        for (int s : panel ? pass.panel : pass.once) n += p.steps[static_cast<size_t>(s)].kind == plan::StepKind::Loop;
      return n;
    };
    EXPECT_EQ(loops(over_rows), 0u) << plan::print(p);
    EXPECT_EQ(loops(!over_rows), 2u) << plan::print(p);  // the recurrence and its derivative
  }
}

// What another row has come to is there when all rows have gone as far: also where it is read under a twin's name.
TEST(Plan, ARecurrenceThatReadsOtherRowsGoesThroughAllTogether) {
  for (const bool at_twin : {true, false})
    expect_sound([=] {
      auto n = axis("N"), m = twin(n, "m"), c = axis("C");
      auto x = input("x", {n, c});
      loss_per(n, sum(c, scan(c, {{{n}, 1.0}}, [&](const std::vector<Expr>& u) {
        const Expr other = at_twin ? logsumexp(m, at(u[0], n, m) * x(n, 0)) : at(u[0], n, extent(n) - 1 - n);
        return std::vector<Expr>{x(n, c) - other};
      })[0]));
    });
}

// Differences of an image's rows, of which there is one less than rows: columns are still innermost, in whatever order the axes
// are declared.
TEST(Plan, AnAxisMadeOfAnothersLengthIsOrderedAsThat) {
  const Program p = build_all(definition([] {
    auto n = axis("N"), h = axis("H"), w = axis("W"), d = derived_axis("H-1", extent(h) - 1);
    auto x = input("x", {n, h, w});
    loss_per(n, sum(w, sum(d, softplus(x(n, d + 1, w) - x(n, d, w)))));
  })).front();
  const plan::Plan plan = plan::make_plan(p);
  size_t steps = 0;
  for (const plan::Step& s : plan.steps) {
    if (s.domain.size() < 3) continue;
    steps++;
    EXPECT_EQ(plan.graph.indices[static_cast<size_t>(s.domain.back())].name, "w") << plan::print(plan);
  }
  EXPECT_GE(steps, 2u) << plan::print(plan);
}

// The derivative by a matrix of what is read of it pair by pair takes a step for each pair, not for each row and pair.
TEST(Plan, PairsAreScatteredOnce) {
  const Program p = build_all(definition([] {
    auto i = axis("N"), j = axis("M"), p = derived_axis("N*M", extent(i) * extent(j));
    auto x = input("x", {i, j});
    const Expr all = x(p / extent(j), p % extent(j)), sorted = at(all, p, argsort(p, stop_gradient(all)));
    loss_total(sum(p, number(p) * sq(sorted)));
  })).front();
  const plan::Plan plan = plan::make_plan(p);
  for (const plan::Step& s : plan.steps)
    if (s.kind == plan::StepKind::Scatter) {
      EXPECT_EQ(s.domain.size(), 1u) << plan::print(plan);
    }
}

// A kernel is to see that such a place is within what is looked up there: of a value in memory it does not know.
TEST(Plan, NoPlaceOfIndicesAloneIsStored) {
  const Program p = build_all(definition([] {
    auto n = axis("N"), a = axis("D"), b = twin(a, "b"), c = twin(a, "c"), times = count_axis("times", 2, "-");
    auto z = input("z", {n, a});
    const Expr s = dot(n, z(n, a), z(n, b));
    const Expr v = iterate(times, {{{a, b}, number(a == b)}}, [&](const std::vector<Expr>& u) {
      return std::vector<Expr>{1.5 * u[0] - 0.5 * sum(c, at(u[0], b, c) * at(s, a, c))};
    })[0];
    loss_total(sum(n, sum(b, sq(sum(a, z(n, a) * v)))));
  })).front();
  const plan::Plan plan = plan::make_plan(p);
  for (const plan::Buffer& b : plan.buffers) EXPECT_FALSE(b.node >= 0 && b.elem == plan::Elem::Int32) << b.name << "\n" << plan::print(plan);
}

// What is carried is wider than any tensor, so each pass goes through the recurrence anew, with all that its step makes.
TEST(Plan, EachPassHasTheValuesOfItsRecurrence) {
  expect_sound([] {
    auto n = axis("N"), m = twin(n, "m"), c = axis("C");
    auto x = input("x", {n, c});
    const Expr share = scan(c, {{{n, m}, exp(x(n, 0) * x(m, 0))}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{u[0] / sum(m, u[0])}; })[0];
    loss_per(n, sum(c, sum(m, share)));
  });
}

// A recurrence over all rows reads what is made in the panels of them only when all are: also what it looks up, in an input or
// in memory, at places that are made there.
TEST(Plan, ARecurrenceOverAllRowsWaitsForThePlacesItReads) {
  const auto over_all_rows = [](const std::function<Expr(Index n, Index t, Index c, const Expr& before)>& step) {
    expect_sound([&] {
      auto n = axis("N"), t = axis("T"), c = axis("C");
      const Expr v = scan(t, {{{n, c}, 0.3}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * mean(n, u[0]) + step(n, t, c, u[0])}; })[0];
      loss_per(n, sum(t, sum(c, v)));
    });
  };
  over_all_rows([](Index n, Index t, Index c, const Expr& before) {
    auto x = input("x", {n, t}), y = input("y", {n, t}), w = input("w", {c});
    return w(c) * (before + x(argsort(n, y(n, t)), argsort(t, y(n, t))));
  });
  over_all_rows([](Index n, Index t, Index c, const Expr& before) {
    auto x = input("x", {n, c}), y = input("y", {n, t});
    return before * x(n, to_int(exp(y(n, t))));
  });
  over_all_rows([](Index n, Index t, Index c, const Expr& before) {
    auto x = input("x", {n, c});
    auto l = labels("l", {n, t}, "-").in_range(c);
    return before * at(cumsum(c, x(n, c)), c, l(n, t));
  });
}

// The derivative goes through the inner recurrence once more, beside the first: what that carries, and what is summed over it, is
// there for one place at a time, each for its own loop alone. (plan::unsound)
TEST(Plan, ARecurrenceInARecurrenceIsComputedAgain) {
  expect_sound([] {
    auto n = axis("N"), i = axis("I"), j = axis("J"), s = axis("S"), r = twin(s, "r");
    auto c = input("c", {n, i, j}), w = input("w", {s, r});
    const Expr rows = scan(i, {{{n, s}, 0.0}}, [&](const std::vector<Expr>& above) {
      const Expr row = scan(j, {{{n, i, s}, above[0]}}, [&](const std::vector<Expr>& left) {
        return std::vector<Expr>{tanh(c(n, i, j) + sum(r, w(s, r) * at(left[0], s, r)))};
      })[0];
      return std::vector<Expr>{at(row, j, extent(j) - 1)};
    })[0];
    loss_per(n, sum(s, at(rows, i, extent(i) - 1)));
  });
}

// Of two carried values one is wanted late, the other early: the loop that makes both is early.
// Of the recurrences around a step there is one place each: no loop of the step runs along one of them inside its others. With
// checkpoints the vectors went along the segments, one at a time.
TEST(Plan, PlacesOfRecurrencesAroundAreOutermost) {
  const Program p = build(definition([] {
    auto t = count_axis("iterations", 50, "-"), b = axis("B"), n = axis("N"), j = twin(n, "j");
    auto x = input("x", {b, n});
    const Expr c = sq(x(b, n) - number(j));
    const Expr v = iterate(t, {{{b, n}, 0.0}, {{b, j}, 0.0}}, [&](const std::vector<Expr>& u) {
      const Expr f = logsumexp(j, u[1] - c);
      return std::vector<Expr>{f, logsumexp(n, f - c)};
    }, Storage::Checkpoints)[0];
    loss_per(b, sum(n, v));
  }), {});
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "");
  size_t nested = 0;
  for (const plan::Step& step : plan.steps) {
    if (step.kind == plan::StepKind::Loop || step.places.size() < 2) continue;
    ir::IndexSet of_places = ir::set_of(step.places), before = 0;
    for (ir::Id k : step.domain) {
      if (of_places & ir::bit(k)) {
        EXPECT_EQ(before, 0u) << step.text << "\n" << plan::print(plan);
      }
      else before |= ir::bit(k);
    }
    nested++;
  }
  EXPECT_GT(nested, 0u);
}

TEST(Plan, RecurrenceOfWhatIsWantedAtDifferentTimes) {
  expect_sound([] {
    auto n = axis("N");
    auto x = input("x", {n}), y = input("y", {n});
    const auto u = scan(n, {{Indices({}), 0.3}, {Indices({}), 1.0}}, [&](const std::vector<Expr>& u) {
      return std::vector<Expr>{0.5 * u[1] + tanh(x(n)), sin(u[0]) * tanh(y(n))};
    });
    loss_per(n, u[1] * x(n));
  });
}

TEST(Plan, SortOfSquaredNorms) {
  expect_sound([] {
    auto i = axis("N"), c = axis("C");
    auto x = input("x", {i, c});
    loss_per(i, sort(i, dot(c, x(i, c), x(i, c))));
  });
}

// A lookup keeps its place within what it reads, and nothing else that goes by the place: so nothing else does. (plan::unsound)
TEST(Plan, NoPlaceGoesByThatOfALookupAroundIt) {
  // Computed of an input, chosen by a reduction, sorted; of rows in a panel.
  expect_sound([] {
    auto i = axis("N"), j = axis("M"), k = axis("K");
    auto w = input("w", {k}), x = input("x", {j, k}), s = input("s", {i});
    const Expr chosen = at(exp(w(k)), k, to_int(3 * abs(x(j, 0)))) + at(tanh(w(k)), k, argmax(k, x(j, k)));
    loss_per(i, s(i) * at(chosen, j, i + 3), i + 3 < extent(j));
  });
  expect_sound([] {
    auto i = axis("N"), j = axis("M"), k = axis("K");
    auto w = input("w", {k}), x = input("x", {j, k}), s = input("s", {i});
    loss_per(i, s(i) * at(at(exp(w(k)), k, argmax(k, x(j, k))), j, i + 3), i + 3 < extent(j));
  });
  expect_sound([] {
    auto i = axis("N"), c = axis("C"), l = twin(i, "l"), d = twin(c, "d");
    auto w = input("w", {d, c}), x = input("x", {i, c}), s = input("s", {l});
    auto t = labels("t", {i}, "-").in_range(i);
    loss_per(l, s(l) * sum(c, at(at(exp(w(d, c)), d, argsort(c, x(i, c))), i, t(l))));
  });
  // The diagonal of a product with a product of what was carried: columns at the place of a row.
  expect_sound([] {
    auto i = axis("D"), j = twin(i, "j"), k = twin(i, "k"), t = count_axis("iterations", 3, "-");
    auto x = input("x", {i, j}), y = input("y", {i, j});
    const auto times = [&](Expr a, Expr b) { return dot(k, at(a, j, k), at(b, i, k)); };
    const Expr u = iterate(t, {{{i, j}, x(i, j)}}, [&](const std::vector<Expr>& v) { return std::vector<Expr>{times(v[0], v[0])}; })[0];
    loss_total(sum(i, at(times(times(u, y(i, j)), u), j, i)));
  });
  // Each of two places by the index of the other.
  expect_sound([] {
    auto i = axis("N"), j = axis("M"), t = twin(i, "t");
    auto x = input("x", {i, j});
    auto q = labels("q", {i, j}, "-").in_range(i);
    const Expr once = at(at(cumsum(j, x(i, j)), j, argmax(j, x(t, j))), i, q(t, 0));
    loss_per(i, sum(j, at(once, t, q(i, j))));
  });
}

// Of two axes either may be the longer one.
TEST(Plan, AnIndexLooksUpWithinAnotherAxis) {
  expect_sound([] {
    auto i = axis("N"), k = axis("K");
    auto w = input("w", {k}), s = input("s", {i});
    loss_per(i, s(i) * at(exp(w(k)), k, i + 0) + at(w(k), k, i + 0), i < extent(k));
  });
}

// The exponentials of a softmax's rows are in the memory of the gradient that is made of them last: the one before must not
// write over them.
TEST(Plan, AnOutputLendsItsMemoryToWhatItIsMadeOf) {
  const auto lent = [](const std::function<void()>& body) {
    const Program p = build(definition(body), {});
    const plan::Plan plan = plan::make_plan(p);
    EXPECT_EQ(plan::unsound(plan), "") << plan::print(plan);
    std::string names;
    for (const plan::Buffer& b : plan.buffers)
      if (b.lender >= 0) names += fmt::format("{} by {}; ", ir::print(p.graph, b.node, 1), plan.buffers[b.lender].name);
    return names;
  };
  EXPECT_EQ(lent([] {
              auto i = axis("N"), c = axis("C");
              auto x = input("x", {i, c});
              loss_per(i, logsumexp(c, x(i, c)));
            }),
            "exp_ftz(...) by d_x; ");
  EXPECT_EQ(lent([] {
              auto i = axis("N"), c = axis("C");
              auto x = input("x", {i, c}), y = input("y", {i, c});
              loss_per(i, sum(c, softmax(c, x(i, c)) * y(i, c)));
            }),
            "exp_ftz(...) by d_y; ");
}

}  // namespace
}  // namespace lossc::tests
