// What a plan does not do twice, and keeps no memory for.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/plans.h"

namespace lossc::tests {
namespace {

// A sum along the innermost index of three is written in the order of its loops, whatever that of a tensor over the others.
TEST(Plan, SumsLieInTheOrderOfTheirLoops) {
  expect_sound([] {
    auto i = axis("I"), j = axis("J"), k = count_axis("times", 3, "-");
    auto c = input("c", {i, j});
    const auto u = iterate(k, {{i, 0.0}, {j, 0.0}}, [&](const std::vector<Expr>& p) {
      const Expr f = sum(j, sin(p[1] - c(i, j)));
      return std::vector<Expr>{f, sum(i, sin(f - c(i, j)))};
    });
    loss_total(sum(j, u[1] * number(j)));
  });
}

// What several sums over channels read belongs to the sums' own index, which no loop of the step has.
TEST(Plan, KeepsForItsWalksWhatTheyAlonePassOver) {
  const Program p = build(definition([] {
    auto n = axis("N"), k = axis("2"), c = axis("C"), h = axis("H"), w = axis("W");
    auto x = input("x", {n, k, h, w}), y = input("y", {n, c, h, w}).constant();
    loss_per({n, h, w}, sum(c, exp(y(n, c, h, w) * x(n, 0, h, w) + x(n, 1, h, w))));
  }), {});
  int steps = 0;
  for (const plan::Step& step : plan::make_plan(p).steps) {
    ir::IndexSet domain = 0;
    for (ir::Id k : step.domain) domain |= ir::bit(k);
    for (ir::Id node : step.kept) EXPECT_EQ(p.graph.free(node) & ~domain, 0u) << ir::print(p.graph, node);
    steps += step.kind == plan::StepKind::Map && step.domain.size() == 4;
  }
  EXPECT_EQ(steps, 1) << "both sums are in the loop over x";
}

// A reduction inside is computed for places of the step's own loop: what is reduced within the operand of another, for each place
// that this one runs over, is in memory by then. (The kernel had no such place.)
TEST(Plan, AReductionInsideReadsNoOtherOfItsPlaces) {
  const auto reduced = [](const std::function<Expr(Index, Expr)>& outer) {
    const Program p = build(definition([&] {
      auto v = axis("V"), n = axis("N"), c = axis("C"), h = axis("H"), w = axis("W");
      auto x = input("x", {v, n, c, h, w}), y = input("y", {n, c, h, w});
      loss_per(n, sum(h, sum(w, outer(v, sum(c, abs(x(v, n, c, h, w) - y(n, c, h, w)))))));
    }), {});
    const plan::Plan plan = plan::make_plan(p);
    EXPECT_EQ(plan::unsound(plan), "");
    size_t steps = 0;
    for (const plan::Step& step : plan.steps) {
      steps += step.kind == plan::StepKind::Reduce;
      for (ir::Id node : computed_in(plan, step))
        if (plan.graph.at(node).op == ir::Op::Reduce) {
          EXPECT_EQ(plan.graph.free(node) & ~ir::set_of(step.domain), 0u) << plan::print(plan);
        }
    }
    EXPECT_GT(steps, 0u);
  };
  reduced([](Index v, Expr e) { return sum(v, e); });
  reduced([](Index v, Expr e) { return min(v, e); });
}

// Of pixels with a softmax each, what is summed over the pixels is made by a map, where classes are walked for a chunk of
// pixels at a time. Inside the sum, the maximum over the classes was sought again for every class.
TEST(Plan, NoSumWalksForEachOfItsElements) {
  for (const Definition& d : definitions())
    for (const Program& program : build_all(d)) {
      const plan::Plan p = plan::make_plan(program);
      for (const plan::Step& step : p.steps) {
        if (step.kind != plan::StepKind::Reduce || step.domain.size() != 2) continue;
        for (ir::Id node : computed_in(p, step)) EXPECT_NE(p.graph.at(node).op, ir::Op::Reduce) << p.program->name << ": " << step.text;
      }
    }
}

// A sum inside is made for the places that it has, not again for each of another index: ssim's sums over the image's height, of
// what is the same down the image, were made for each row of it.
TEST(Plan, NoSumInsideIsMadeForPlacesItDoesNotHave) {
  size_t inside = 0;
  for (const Definition& d : definitions())
    for (const Program& program : build_all(d)) {
      const plan::Plan p = plan::make_plan(program);
      for (const plan::Step& step : p.steps) {
        if ((step.kind != plan::StepKind::Map && step.kind != plan::StepKind::Reduce) || step.domain.size() < 3) continue;
        ir::IndexSet others = ir::set_of(step.domain);  // but those of the walk, which sums for a chunk at a time
        if (step.over == ir::kNone || step.over == step.domain.back()) others &= ~ir::bit(step.domain[step.domain.size() - 2]);
        for (ir::Id node : computed_in(p, step)) {
          if (p.graph.at(node).op != ir::Op::Reduce || (p.graph.free(node) & ~ir::set_of(step.domain))) continue;
          EXPECT_EQ(others & ~p.graph.free(node), 0u) << p.program->name << ": " << step.text;
          inside++;
        }
      }
    }
  EXPECT_GT(inside, 0u);
}

// The Gram matrix of each image is a product of matrices: made once and kept, not summed again for each element of what reads it.
TEST(Plan, AProductOfEachIsKept) {
  const Program p = build(definition([] {
    auto b = axis("B"), c = axis("C"), d = twin(c, "d"), m = axis("M"), q = axis("P"), r = axis("Q");
    auto x = input("x", {b, c, q}), y = input("y", {m, c, r}).constant();
    const Expr g = dot(q, x(b, c, q), x(b, d, q)), s = dot(r, y(m, c, r), y(m, d, r));
    loss_per(b, sum(m, sum(c, sum(d, sq(g - s)))));
  }), {});
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "");
  for (const plan::Step& step : plan.steps)
    for (ir::Id node : computed_in(plan, step)) EXPECT_NE(plan.graph.at(node).op, ir::Op::Reduce) << step.text;
}

// The exponential of (n, g, k) is made once, not for each v that looks at it, and one that does not change from place to place
// of a recurrence before that begins. Sinkhorn's iterations took an exponential of the whole matrix each.
TEST(Plan, ADearFunctionIsMadeOnce) {
  const auto exponentials = [](const std::function<void()>& body, const std::function<bool(const plan::Step&)>& again) {
    const plan::Plan p = plan::make_plan(build(definition(body), {}));
    EXPECT_EQ(plan::unsound(p), "");
    size_t all = 0;
    for (const plan::Step& step : p.steps)
      for (ir::Id node : computed_in(p, step)) {
        const bool is = p.graph.at(node).op == ir::Op::Exp;
        all += is;
        if (is) {
          EXPECT_FALSE(again(step)) << step.text << "\n" << plan::print(p);
        }
      }
    EXPECT_GT(all, 0u);
  };
  exponentials([] {
    auto n = axis("N"), v = axis("V"), g = axis("G"), k = axis("K");
    auto student = input("student", {v, n, k}), teacher = input("teacher", {g, n, k});
    loss_per(n, sum(v, sum(k, sum(g, select(g != v, exp(teacher(g, n, k)), 0)) * tanh(student(v, n, k)))));
  }, [](const plan::Step& s) { return s.domain.size() > 3; });
  exponentials([] {
    auto n = axis("N"), j = axis("J"), i = twin(j, "i");
    auto t = count_axis("iterations", 5, "-");
    auto x = input("x", {n, j});
    const Expr u = scan(t, {{{n, j}, 1.0}}, [&](const std::vector<Expr>& before) {
      return std::vector<Expr>{tanh(sum(i, exp(x(n, i) * x(n, j)) * at(before[0], j, i)))};
    })[0];
    loss_per(n, sum(j, at(u, t, extent(t) - 1)));
  }, [](const plan::Step& s) { return !s.places.empty(); });
}

// What flows back to rows that a table of two indices looks up is scattered pair by pair: nothing is kept for each of all rows
// that there are and each place of one of the indices.
TEST(Plan, KeysOfTwoIndicesAreScatteredOnce) {
  const auto expect_no_more = [](size_t most, const std::function<void()>& body) {
    const Program program = build(definition(body), {});
    const plan::Plan p = plan::make_plan(program);
    EXPECT_EQ(plan::unsound(p), "");
    for (const plan::Buffer& b : p.buffers)
      if (b.node >= 0) {
        EXPECT_LE(ir::members(program.graph.free(b.node)).size(), most) << b.name << "\n" << plan::print(p);
      }
  };
  expect_no_more(2, [] {
    auto n = axis("N"), s = axis("S"), d = axis("D");
    auto z = input("z", {n, d});
    auto other = labels("other", {n, s}, "-").in_range(n);
    loss_per(n, logsumexp(s, dot(d, z(n, d), z(other(n, s), d))));
  });
  expect_no_more(3, [] {
    auto b = axis("B"), t = axis("T"), c = axis("C"), d = axis("D"), v = axis("V");
    auto h = input("h", {b, t, d}), w = input("w", {v, c, d});
    auto y = labels("y", {b, t}, "-").in_range(c);
    loss_per(b, sum(v, sum(t, sigmoid(sum(d, h(b, t, d) * w(v, y(b, t), d))))));
  });
}

// W'W is symmetric, but its derivative by the one side reads it along rows and by the other along columns: it is transposed for
// that, not made a second time. So is a product over all rows.
TEST(Plan, AMatrixIsTransposedNotMadeAgain) {
  const auto products = [](const std::function<void()>& body) {
    const plan::Plan p = plan::make_plan(build(definition(body), {}));
    EXPECT_EQ(plan::unsound(p), "");
    std::map<ir::Id, int> made;
    for (const plan::Step& step : p.steps)
      if (is_product(step)) made[step.nodes[0]]++;
    EXPECT_GE(made.size(), 4u);
    for (const auto& [node, times] : made) EXPECT_EQ(times, 1) << ir::print(p.graph, node) << "\n" << plan::print(p);
  };
  products([] {
    auto n = axis("N"), d = axis("D"), e = twin(d, "e"), c = axis("C");
    auto h = input("h", {n, d}), w = input("w", {c, d});
    loss_per(n, sum(d, h(n, d) * sum(e, dot(c, w(c, d), w(c, e)) * h(n, e))));
  });
  products([] {
    auto n = axis("N"), d = axis("D"), e = twin(d, "e");
    auto h = input("h", {n, d}), z = input("z", {n, d});
    loss_total(sum(n, sum(d, h(n, d) * sum(e, dot(n, z(n, d), z(n, e)) * h(n, e)))));
  });
}

// What flows back to both sides of a difference of neighbours differs in its sign alone: it is made once and looked up twice.
// (An edge-aware smoothness made and kept all of it twice.)
TEST(Plan, NeighboursOfADifferenceShareWhatFlowsBack) {
  const plan::Plan p = plan::make_plan(build(definition([] {
    auto n = axis("N"), w = axis("W"), v = derived_axis("W-1", extent(w) - 1);
    auto x = input("x", {n, w}), y = input("y", {n, w}).constant();
    loss_per(n, sum(v, exp(-abs(y(n, v + 1) - y(n, v))) * abs(x(n, v + 1) - x(n, v))));
  }), {}));
  EXPECT_EQ(plan::unsound(p), "");
  size_t made = 0;
  for (const plan::Step& step : p.steps)
    for (ir::Id node : computed_in(p, step)) made += p.graph.at(node).op == ir::Op::Sign;
  EXPECT_EQ(made, 1u) << plan::print(p);
}

// Two filters, along rows and along columns, and what flows back through them: nothing is kept of all places of all windows.
TEST(Plan, FiltersKeepNoWindows) {
  const Program p = build(definition([] {
    auto n = axis("N"), h = axis("H"), w = axis("W");
    auto k = count_axis("window", 11, "places"), l = twin(k, "l");
    auto x = input("x", {n, h, w});
    auto weight = [](Index i) { return exp(-sq(number(i))); };
    auto down = derived_axis("H-K+1", extent(h) - extent(k) + 1, "windows down"), across = derived_axis("W-K+1", extent(w) - extent(k) + 1, "windows across");
    auto rows = sum(k, weight(k) * at(x(n, h, w), w, across + k));
    auto mean_of = sum(l, weight(l) * at(rows, h, down + l));
    loss_per(n, sum(down, sum(across, sum(l, weight(l) * sq(at(rows, h, down + l) - mean_of)))));
  }), {});
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "");
  for (const plan::Buffer& b : plan.buffers) {
    const auto is_short = [&](ir::Id k) { return plan.graph.short_axis(k); };
    if (std::any_of(b.layout.order.begin(), b.layout.order.end(), is_short)) {
      EXPECT_LE(b.layout.order.size(), 2u) << plan::print(plan);
    }
  }
  for (const plan::Step& s : plan.steps)
    if (s.domain.size() > 2) {
      EXPECT_FALSE(plan.graph.short_axis(s.domain.back())) << s.text;
    }
}

// An opening, the greatest of nine of the least of five: in each step a few places are read, not nine times five. Each place
// was looked up by its own, in the value and, with a scatter each, in the gradient.
TEST(Plan, NeighboursOfManyNeighboursAreMadeOnce) {
  const Program p = build(definition([] {
    auto n = axis("N"), h = axis("H"), w = axis("W");
    auto x = input("x", {n, h, w});
    const auto beside = [](Expr e, Index i, int by) { return at(e, i, clamp(i + by, 0, extent(i) - 1)); };
    const auto least = [&](Expr e, Index i) { return min(min(beside(e, i, -1), e), beside(e, i, 1)); };
    const auto greatest = [&](Expr e, Index i) { return max(max(beside(e, i, -1), e), beside(e, i, 1)); };
    const Expr eroded = min(least(x(n, h, w), h), least(x(n, h, w), w));
    loss_per(n, sum(h, sum(w, sq(greatest(greatest(eroded, h), w)))));
  }), {});
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "");
  size_t scatters = 0, most = 0;
  for (const plan::Step& step : plan.steps) {
    scatters += step.kind == plan::StepKind::Scatter;
    size_t reads = 0;
    for (ir::Id node : computed_in(plan, step)) reads += plan.graph.at(node).op == ir::Op::At || plan.graph.at(node).op == ir::Op::Load;
    most = std::max(most, reads);
  }
  EXPECT_GE(scatters, 4u);
  EXPECT_LE(scatters, 12u) << plan::print(plan);
  EXPECT_LE(most, 30u) << plan::print(plan);
}

// Sums over the places of a window, which are few, one for each of many others: the lanes of all of them, kept in memory, were
// many times what is summed.
TEST(Plan, SumsOfFewKeepNoLanes) {
  const Program p = build(definition([] {
    auto n = axis("N"), h = axis("H"), w = axis("W");
    auto k = count_axis("radius", 3, "places"), i = derived_axis("R*R", extent(k) * extent(k), "a patch"), j = twin(i, "j");
    auto x = input("x", {n, h, w});
    const Expr patch = at(at(x(n, h, w), h, min(h + i / extent(k), extent(h) - 1)), w, min(w + i % extent(k), extent(w) - 1));
    const Expr m = sum(h, sum(w, patch * at(patch, i, j)));
    loss_per(n, sum(i, sum(j, tanh(m))));
  }), {});
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "");
  for (const plan::Step& step : plan.steps)
    if (step.domain.size() > 4) {
      EXPECT_TRUE(step.scratch.empty()) << step.text;
    }
}

}  // namespace
}  // namespace lossc::tests
