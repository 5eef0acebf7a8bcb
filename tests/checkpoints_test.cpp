// Recurrences of which checkpoints are kept: values and derivatives are those of all steps kept, memory is the root of it.
#include <gtest/gtest.h>

#include <cmath>

#include "dsl/hessian.h"
#include "dsl/plan.h"
#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using ir::Id;
Expr expr(Arg a) { return a; }

using Body = std::function<std::function<void()>(Storage)>;

const std::vector<Storage> kAll = {Storage::Checkpoints, Storage::checkpoints_every(1), Storage::checkpoints_every(2),
                                   Storage::checkpoints_every(3), Storage::checkpoints_every(100)};

// As with all steps kept, whatever the storage; and those are right.
void expect_same(const Body& body, const Case& c) {
  const Outcome want = check(body(Storage::AllSteps), c);
  for (Storage storage : kAll) {
    const Outcome got = evaluate(body(storage), c);
    EXPECT_TRUE(close(got.rows, want.rows, {1e-13, 1e-15})) << storage.every;
    for (const auto& [name, values] : want.gradient)
      EXPECT_TRUE(close(got.gradient.at(name), values, {1e-12, 1e-14})) << name << ", checkpoints every " << storage.every;
  }
}

// Two values, one over the states, that read each other, a neighbour's and what is not carried: at the place, the one before,
// the same at all of them, and some of it where the logarithm has no derivative.
Body coupled(bool backward, bool anywhere) {
  return [=](Storage storage) {
    return [=] {
      auto n = axis("N"), t = axis("T"), s = axis("S");
      auto x = input("x", {n, t, s}), w = input("w", {s}), first = input("first", {n, s});
      const ScanStep step = [&](const std::vector<Expr>& v) {
        const Expr left = select(s > 0, at(v[0], s, s - 1), v[1]);
        const Expr old = select(t > 0, x(n, t - 1, s), 0.5), some = sum(s, log(2.0 + x(n, t, s)) * sqrt(w(s)));
        const Expr a = tanh(x(n, t, s) + w(s) * left) + 0.25 * v[0] * old;
        return std::vector<Expr>{a, 0.5 * v[1] + select(v[1] > 0.4, some, 0.1) + mean(s, sq(a) * v[0])};
      };
      const std::vector<Carried> carried{{{n, s}, sq(first(n, s))}, {n, 0.3}};
      const auto out = backward ? scan_back(t, carried, step, storage) : scan(t, carried, step, storage);
      const Expr end = at(out[0], t, backward ? expr(0) : extent(t) - 1);
      loss_per(n, sum(s, select(extent(t) > 0, end, 1.0) * w(s)) + (anywhere ? sum(t, (number(t) + 1.0) * sq(out[1])) : expr(0.0)));
    };
  };
}

TEST(Checkpoints, GradientIsThatOfAllSteps) {
  for (bool backward : {false, true})
    for (bool anywhere : {false, true})
      for (int64_t length : {0, 1, 2, 3, 4, 7, 10})
        expect_same(coupled(backward, anywhere), sum_of({{"x", uniform({2, length, 3}, -1, 1)}, {"w", uniform({3}, 0.1, 1, 2)}, {"first", uniform({2, 3}, -1, 1, 3)}}));
}

// A recurrence within each step of another, either of which keeps checkpoints.
Body in_another(bool inner) {
  return [=](Storage storage) {
    return [=] {
      auto n = axis("N"), i = axis("I"), j = axis("J");
      auto c = input("c", {n, i, j}), w = input("w", {j});
      const auto rows = scan(i, {{{n, j}, number(j)}}, [&](const std::vector<Expr>& above) {
        const auto row = scan(j, {{{n, i}, 0.5}}, [&](const std::vector<Expr>& left) {
          const Expr corner = select(j > 0, at(above[0], j, j - 1), 0.25);
          return std::vector<Expr>{c(n, i, j) * sin(left[0] + above[0] * w(j)) + 0.5 * corner};
        }, inner ? storage : Storage::AllSteps);
        return std::vector<Expr>{row[0] + 0.1 * sum(j, sq(above[0]))};
      }, inner ? Storage::AllSteps : storage);
      loss_per(n, sum(j, at(rows[0], i, extent(i) - 1)) + sum(i, sum(j, rows[0] * w(j))));
    };
  };
}

TEST(Checkpoints, OfARecurrenceInARecurrence) {
  for (bool inner : {false, true})
    for (int64_t length : {1, 4, 5})
      expect_same(in_another(inner), sum_of({{"c", uniform({2, length, 3}, -1, 1)}, {"w", uniform({3}, -1, 1, 2)}}));
}

// What one recurrence comes to at each place is read by the step of the next.
TEST(Checkpoints, OneOnAnother) {
  const Body stacked = [](Storage storage) {
    return [=] {
      auto t = axis("T"), s = axis("S"), r = twin(s, "r");
      auto x = input("x", {t}), w = input("w", {s, r});
      const auto layer = [&](const std::function<Expr()>& in) {
        return scan(t, {{s, 0.0}}, [&](const std::vector<Expr>& v) {
          return std::vector<Expr>{tanh(in() + sum(r, w(s, r) * at(v[0], s, r)))};
        }, storage)[0];
      };
      const Expr below = layer([&] { return x(t); });
      const Expr above = layer([&] { return below * select(t > 0, at(below, t, t - 1), 1.0); });
      loss_total(sum(s, at(above, t, extent(t) - 1)) + sum(t, sum(s, sq(below) * x(t))));
    };
  };
  for (int64_t length : {1, 3, 5, 9}) expect_same(stacked, sum_of({{"x", uniform({length}, -1, 1)}, {"w", uniform({2, 2}, -1, 1, 2)}}));
}

// Alternating normalisations of a matrix, so many of them.
Body balanced() {
  return [](Storage storage) {
    return [=] {
      auto i = axis("I"), j = axis("J"), k = count_axis("times", 3, "-");
      auto c = input("c", {i, j});
      const auto u = iterate(k, {{i, 0.0}, {j, 0.0}}, [&](const std::vector<Expr>& p) {
        const Expr f = -logsumexp(j, p[1] - c(i, j));
        return std::vector<Expr>{f, -logsumexp(i, f - c(i, j))};
      }, storage);
      loss_total(sum(i, sq(u[0])) + sum(j, u[1] * number(j)));
    };
  };
}

TEST(Checkpoints, OfACount) {
  for (const char* times : {"0", "1", "2", "7", "9"}) {
    Case c = sum_of({{"c", uniform({3, 4}, -1, 1)}});
    c.options["times"] = times;
    expect_same(balanced(), c);
  }
}

Body single(bool anywhere) {
  return [=](Storage storage) {
    return [=] {
      auto n = axis("N"), t = axis("T"), s = axis("S");
      auto x = input("x", {n, t}), w = input("w", {s});
      const Expr out = scan(t, {{{n, s}, w(s)}}, [&](const std::vector<Expr>& v) {
        return std::vector<Expr>{tanh(x(n, t) + w(s) * v[0]) + 0.1 * mean(s, sq(v[0]))};
      }, storage)[0];
      loss_per(n, sum(s, sq(at(out, t, extent(t) - 1))) + (anywhere ? sum(t, sum(s, sq(out)) * x(n, t)) : expr(0.0)));
    };
  };
}

// The derivative's own derivative is that with all steps kept.
TEST(Checkpoints, SecondDerivative) {
  const auto products = [](const std::function<void()>& body, const Case& c) {
    Program p = program_for(definition(body), c);
    Inputs in = oracle_inputs(p, c);
    const HessianProduct h = add_hessian_product(p);
    in.tensors.resize(p.graph.tensors.size());
    for (size_t k = 0; k < h.directions.size(); k++)
      in.tensors[h.directions[k]] = uniform({static_cast<int64_t>(in.tensors[p.gradients[k].tensor].size())}, -1, 1, 9).data;
    Oracle oracle(p.graph, in);
    std::vector<std::vector<double>> out;
    for (const Gradient& g : h.products) out.push_back(oracle.evaluate(g.node, p.graph.tensors[g.tensor].dims).data);
    return out;
  };
  const auto expect_same = [&](const Body& body, const Case& c) {
    const auto want = products(body(Storage::AllSteps), c);
    for (Storage storage : {Storage::Checkpoints, Storage::checkpoints_every(3)}) {
      const auto got = products(body(storage), c);
      for (size_t k = 0; k < want.size(); k++) EXPECT_TRUE(close(got.at(k), want[k], {1e-11, 1e-13})) << k << ", every " << storage.every;
    }
  };
  for (bool anywhere : {false, true})
    expect_same(single(anywhere), sum_of({{"x", uniform({2, 5}, -1, 1)}, {"w", uniform({3}, 0.1, 1, 2)}}));
  expect_same(balanced(), sum_of({{"c", uniform({3, 4}, -1, 1)}}));
}

// A recurrence of each row, with weights that all of them have; nothing but its end is read.
std::function<void()> network(Storage storage, bool given_at_each_place) {
  return [=] {
    auto n = axis("N"), t = axis("T"), s = axis("S"), r = twin(s, "r");
    auto x = input("x", {n, t}), w = input("w", {s, r}), first = input("first", {n, s});
    const Expr out = scan(t, {{{n, s}, first(n, s)}}, [&](const std::vector<Expr>& v) {
      return std::vector<Expr>{tanh((given_at_each_place ? x(n, t) : expr(0.1)) + sum(r, w(s, r) * at(v[0], s, r)))};
    }, storage)[0];
    loss_per(n, sum(s, sq(at(out, t, extent(t) - 1))) + x(n, extent(t) - 1));
  };
}

// Elements that a plan needs memory for, beside what the caller has, with these extents; of a panel one row.
int64_t memory(const std::function<void()>& body, std::map<std::string, int64_t> extents) {
  const Program program = build(definition(body), {});
  const plan::Plan p = plan::make_plan(program);
  EXPECT_EQ(plan::unsound(p), "");
  std::vector<int64_t> extent(p.graph.axes.size(), 0);
  for (size_t a = 0; a < extent.size(); a++)
    if (extents.count(p.graph.axes[a].name)) extent[a] = extents.at(p.graph.axes[a].name);
  derive_extents(p.graph, default_params(program), &extent);
  int64_t total = 0;
  std::map<int, int64_t> slots;
  for (const plan::Buffer& b : p.buffers) {
    if (b.storage == plan::Storage::Input || b.storage == plan::Storage::Output || b.continues >= 0) continue;
    int64_t size = b.scratch == plan::Scratch::Lanes ? 16 : 1;
    for (Id k : b.layout.order)
      if (!(b.rolling & ir::bit(k))) size *= extent[p.graph.indices[k].axis];
    if (b.slot < 0) total += size;
    else slots[b.slot] = std::max(slots[b.slot], size);
  }
  for (const auto& [slot, size] : slots) total += size;
  return total;
}

TEST(Checkpoints, MemoryIsTheRootOfTheNumberOfPlaces) {
  const auto of = [](Storage storage, int64_t places, bool given) { return memory(network(storage, given), {{"N", 1}, {"T", places}, {"S", 32}}); };
  const auto growth = [&](int64_t from, int64_t to) { return of(Storage::Checkpoints, to, false) - of(Storage::Checkpoints, from, false); };
  EXPECT_EQ(growth(4096, 16384), 2 * growth(1024, 4096));
  EXPECT_LT(growth(1024, 4096), 32 * 32 * 12);  // some values of the 32 states for each of the 32 checkpoints, and places between, that are new
  EXPECT_LT(10 * of(Storage::Checkpoints, 4096, false), of(Storage::AllSteps, 4096, false));
  // What flows back to the given tensor is kept of all places: one element of each.
  EXPECT_LT(of(Storage::Checkpoints, 4096, true) - of(Storage::Checkpoints, 4096, false), 4096 * 5 / 4);
  // As many places as the writer says, and a checkpoint for each of them.
  EXPECT_LT(of(Storage::checkpoints_every(16), 256, false), of(Storage::checkpoints_every(128), 256, false));
}

TEST(Checkpoints, WantPlacesBetween) {
  try {
    build_all(definition(network(Storage::checkpoints_every(-2), true)));
    ADD_FAILURE();
  } catch (const DefinitionError& e) {
    EXPECT_NE(std::string(e.what()).find("scan: checkpoints every -2 places; wanted 1 or more"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace lossc::tests
