// What the language refuses, and that it says where and why.
#include <gtest/gtest.h>

#include <regex>

#include "dsl/sample.h"
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

// What two definitions compute, written out: the same graph has the same text.
std::string printed(const std::function<void()>& body) {
  std::string text;
  for (const Program& p : build_all(definition(body))) text += ir::print(p.graph, p.loss);
  return text;
}

TEST(Expr, IsMadeOfWhatAnOperandMayBe) {
  static bool direct;
  auto both = [](const std::function<void()>& body) {
    direct = true;
    const std::string expected = printed(body);
    direct = false;
    EXPECT_EQ(printed(body), expected);
  };
  both([] {
    auto i = axis("N");
    auto x = input("x", {i});
    Expr total = 0.0, rows(2);
    for (int k = 0; k < 2; k++) total = total + x(i);
    loss_per(i, direct ? (0.0 + x(i) + x(i)) * 2 : total * rows);
  });
  both([] {
    auto i = axis("N");
    auto x = input("x", {i});
    auto t = param("t", 2, "scale");
    auto scaled = [](Expr by, Expr place, Expr e) { return by * e + place; };
    loss_per(i, direct ? t * x(i) + i : scaled(t, i, x(i)));
  });
}

TEST(Mask, IsACondition) {
  static bool direct;
  auto body = [] {
    auto [i, j] = batch_pair("N");
    auto x = input("x", {i});
    auto mean_of = [&](Mask m) { return sum(j, x(j), m) / count(j, m); };
    auto all = [&] { return sum(j, x(j)) / count(j, j == j || true); };
    loss_per(i, direct ? sum(j, x(j), i != j) / count(j, i != j) + all() : mean_of(i != j) + mean_of({}));
  };
  direct = true;
  const std::string expected = printed(body);
  direct = false;
  EXPECT_EQ(printed(body), expected);
}

TEST(LogAddExp, TakesAListThatGrows) {
  static bool direct;
  auto body = [] {
    auto i = axis("N");
    auto x = input("x", {i}), y = input("y", {i});
    std::vector<Expr> terms{x(i)};
    terms.push_back(y(i));
    loss_per(i, direct ? log_add_exp({x(i), y(i)}) : log_add_exp(terms));
  };
  direct = true;
  const std::string expected = printed(body);
  direct = false;
  EXPECT_EQ(printed(body), expected);
}

TEST(Tensor, HasSixDimensionsAtMost) {
  expect_refused("tensor 'x' has 7 dimensions; at most 6 are supported", [] {
    auto a = axis("A"), b = axis("B"), c = axis("C"), d = axis("D"), e = axis("E"), f = axis("F"), g = axis("G");
    auto x = input("x", {a, b, c, d, e, f, g});
    loss_per(a, sum(b, sum(c, sum(d, sum(e, sum(f, sum(g, x(a, b, c, d, e, f))))))));
  });
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
  expect_refused("no tensor has axis 'K'", [] {
    auto n = axis("N"), k = axis("K");
    auto x = input("x", {n});
    auto cluster = labels("cluster", {n}, "of each row").in_range(k);
    loss_per(n, select(cluster(n) == 0, x(n), 0));
  });
}

TEST(Axes, TwiceInATensorWantATwin) {
  expect_refused("tensor 'z' has index 'c' twice", [] {
    auto c = axis("C");
    auto z = input("z", {c, c});
    loss_per(c, z(c, c));
  });
}

// ---- requirements ------------------------------------------------------------------------------------------------

void even_rows() {
  auto n = axis("N"), d = axis("D");
  auto x = input("x", {n, d});
  require(extent(n) % 2 == 0 && extent(d) > 0, "an even N, and D > 0");
  loss_per(n, sum(d, x(n, d)));
}

TEST(Axes, MayFollowFromOthers) {
  const Program p = build(definition([] {
    auto n = axis("N"), m = axis("M"), d = derived_axis("diagonals", extent(n) + extent(m) - 1);
    auto x = input("x", {n}), y = input("y", {m});
    loss_total(sum(d, number(d)) + sum(n, x(n)) + sum(m, y(m)));
  }), {});
  Case c = sample(p, {.extents = {{"N", 3}, {"M", 4}}});
  for (auto& [name, a] : c.inputs) std::fill(a.data.begin(), a.data.end(), 0);
  Oracle oracle(p.graph, oracle_inputs(p, c));
  EXPECT_EQ(oracle.scalar(p.loss), 0 + 1 + 2 + 3 + 4 + 5);
  for (int empty : {0, 1}) {  // a length below 0 is 0
    c = sample(p, {.extents = {{"N", 0}, {"M", empty}}});
    for (auto& [name, a] : c.inputs) std::fill(a.data.begin(), a.data.end(), 0);
    EXPECT_EQ(Oracle(p.graph, oracle_inputs(p, c)).scalar(p.loss), 0);
  }
}
TEST(Integers, ClampedStayIntegers) {
  const auto at_the_end = [] {
    auto n = axis("N"), k = axis("3");
    auto x = input("x", {n});
    loss_per(n, sum(k, x(clamp(n + k - 1, 0, extent(n) - 1))));
  };
  const Outcome out = check(at_the_end, sum_of({{"x", array({1, 10, 100})}}));
  EXPECT_EQ(out.rows, (std::vector<double>{1 + 1 + 10, 1 + 10 + 100, 10 + 100 + 100}));
}
TEST(Axes, AreLookedUpAtNumbers) {  // an index plus 0, where the index itself is refused
  const Outcome first = check(
      [] {
        auto n = axis("N"), h = derived_axis("N/2", extent(n) / 2);
        auto x = input("x", {n});
        loss_per(h, sq(x(h + 0)) * x(h + extent(h)));
      },
      sum_of({{"x", array({1, 2, 3, 4, 5})}}));
  EXPECT_EQ(first.rows, (std::vector<double>{1 * 3, 4 * 4}));
  const Outcome beyond = check(
      [] {
        auto n = axis("N"), m = axis("M");
        auto x = input("x", {n}), y = input("y", {m});
        loss_per(m, sq(x(m + 0)) * y(m), m < extent(n));
      },
      sum_of({{"x", array({1, 2})}, {"y", array({3, 4, 5})}}));
  EXPECT_EQ(beyond.rows, (std::vector<double>{3, 16, 0}));
}
TEST(Axes, OfPrefixesAreLookedUpAtLengths) {
  for (const bool declared : {true, false})
    check(
        [&] {
          auto n = axis("N"), p = declared ? axis("S+1") : axis("S");
          auto s = declared ? derived_axis("S", extent(p) - 1) : p, q = declared ? p : derived_axis("S+1", 1 + extent(s));
          auto x = input("x", {n, p});
          auto length = labels("length", {n}, "-").up_to(s);
          loss_per(n, at(cumsum(q, x(n, min(q + 0, extent(p) - 1))), q, length(n)));
        },
        sum_of({{"x", uniform({2, 3}, -1, 1)}, {"length", array({0, 2})}}));
}
TEST(Axes, FollowFromExtentsAlone) {
  expect_refused("derived_axis: `x(0)` is not of extents", [] {
    auto n = axis("N");
    auto x = labels("x", {n}, "labels");
    auto d = derived_axis("D", x(0));
    loss_total(sum(d, 1.0));
  });
}
TEST(Axes, OfACountAreTheCallers) {
  const Program p = build(definition([] {
    auto n = axis("N"), t = count_axis("times", 20, "how often");
    auto x = input("x", {n});
    loss_total(sum(t, 1.0) + 0.0 * sum(n, x(n)));
  }), {});
  Case c = sample(p, {.extent = 2});
  c.options["times"] = "7";
  EXPECT_EQ(Oracle(p.graph, oracle_inputs(p, c)).scalar(p.loss), 7);
  c.options.clear();
  EXPECT_EQ(Oracle(p.graph, oracle_inputs(p, c)).scalar(p.loss), 20);
  for (const char* bad : {"-1", "two", "3.5", ""}) {
    c.options["times"] = bad;
    EXPECT_THROW(oracle_inputs(p, c), DefinitionError) << bad;
  }
}

TEST(Require, IsSeenToBeforeAnythingIsComputed) {
  EXPECT_EQ(evaluate(even_rows, sum_of({{"x", array({2, 1}, {3, 4})}})).loss, 7);
  const auto run = [](std::vector<int64_t> shape) {
    try {
      const size_t size = static_cast<size_t>(shape[0] * shape[1]);
      evaluate(even_rows, sum_of({{"x", array(shape, std::vector<double>(size, 1))}}));
      return std::string();
    } catch (const DefinitionError& e) {
      return std::string(e.what());
    }
  };
  EXPECT_EQ(run({3, 1}), "loss 'test': wants an even N, and D > 0");
  EXPECT_EQ(run({2, 0}), "loss 'test': wants an even N, and D > 0");
  EXPECT_EQ(run({0, 2}), "");
}
TEST(Require, GuidesRandomCalls) {
  const Program p = build(definition(even_rows), {});
  for (int64_t n : {0, 1, 2, 7}) EXPECT_EQ(sample(p, {.extent = n}).inputs.at("x").shape[0] % 2, 0) << n;
  EXPECT_THROW(sample(build(definition([] {
                              auto n = axis("N");
                              auto x = input("x", {n});
                              require(extent(n) < 0, "the impossible");
                              loss_per(n, x(n));
                            }),
                            {}),
                      {}),
               DefinitionError);
}
TEST(Require, IsOfExtentsAlone) {
  expect_refused("holds `n`", [] {
    auto n = axis("N");
    auto x = input("x", {n});
    require(n < 3, "few rows");
    loss_per(n, x(n));
  });
  expect_refused("is not of extents and integers alone", [] {
    auto n = axis("N");
    auto x = input("x", {n});
    auto t = param("t", 1, "-");
    require(extent(n) > t, "many rows");
    loss_per(n, x(n));
  });
}

// ---- options at run time -----------------------------------------------------------------------------------------

void three_powers() {
  auto n = axis("N");
  auto power = option("power", {"one", "two", "three"}, "-").at_runtime();
  auto x = input("x", {n});
  loss_per(n, select(power.chosen("one"), x(n), select(power.chosen("two"), sq(x(n)), x(n) * sq(x(n)))));
}

TEST(OptionAtRuntime, IsOneForm) {
  EXPECT_EQ(build_all(definition(three_powers)).size(), 1u);
  double want = 2;
  for (const char* choice : {"one", "two", "three"}) {
    Case c = sum_of({{"x", array({2})}});
    c.options["power"] = choice;
    EXPECT_EQ(check(three_powers, c).loss, want) << choice;
    want *= 2;
  }
  Case c = sum_of({{"x", array({2})}});
  c.options["power"] = "four";
  EXPECT_THROW(evaluate(three_powers, c), DefinitionError);
}
TEST(OptionAtRuntime, IsNoStructure) {
  expect_refused("option 'o' is known only when the loss runs", [] {
    auto n = axis("N");
    auto o = option("o", {"a", "b"}, "-").at_runtime();
    auto x = input("x", {n});
    loss_per(n, o.is("a") ? x(n) : -x(n));
  });
  expect_refused("option 'o' is structural", [] {
    auto n = axis("N");
    auto o = option("o", {"a", "b"}, "-");
    auto x = input("x", {n});
    loss_per(n, select(o.chosen("a"), x(n), -x(n)));
  });
  expect_refused("option 'o' has no choice 'c'", [] {
    auto n = axis("N");
    auto o = option("o", {"a", "b"}, "-").at_runtime();
    auto x = input("x", {n});
    loss_per(n, select(o.chosen("c"), x(n), -x(n)));
  });
}

// ---- what does not depend on the index -----------------------------------------------------------------------------

// Each reduction of a constant against the same of a value that depends on the index by 0 * index.
TEST(Reductions, OfWhatIsTheSameAtEveryIndex) {
  const std::vector<std::pair<const char*, std::function<Expr(Index, Expr)>>> words = {
      {"sum", [](Index i, Expr e) { return sum(i, e); }},
      {"mean", [](Index i, Expr e) { return mean(i, e); }},
      {"prod", [](Index i, Expr e) { return prod(i, e); }},
      {"max", [](Index i, Expr e) { return select(extent(i) > 0, max(i, e), 7.0); }},
      {"min", [](Index i, Expr e) { return select(extent(i) > 0, min(i, e), 7.0); }},
      {"logsumexp", [](Index i, Expr e) { return select(extent(i) > 0, logsumexp(i, e), 7.0); }},
      {"softmax", [](Index i, Expr e) { return sum(i, softmax(i, e) * (i + 1)); }},
      {"count", [](Index i, Expr e) { return count(i, e > 0); }},
      {"any", [](Index i, Expr e) { return number(any(i, e > 0)); }},
      {"all", [](Index i, Expr e) { return number(all(i, e > 0)); }},
      {"argmax", [](Index i, Expr e) { return number(argmax(i, e)); }},
      {"masked sum", [](Index i, Expr e) { return sum(i, e, i > 0); }},
      {"masked mean", [](Index i, Expr e) { return mean(i, e, i > 0); }},
      {"norm", [](Index i, Expr e) { return norm(i, e); }},
      {"at", [](Index i, Expr e) { return at(e, i, 0); }},
  };
  for (const auto& [name, word] : words) {
    for (int64_t n : {0, 1, 3}) {
      if (n == 0 && std::string(name) == "at") continue;  // there is no index 0
      for (double x : {-1.5, 0.0, 2.0}) {
        const Case c = sum_of({{"x", array({x})}, {"y", array(std::vector<double>(static_cast<size_t>(n), 0))}});
        const auto loss = [&](bool depends) {
          return evaluate(
              [&] {
                auto k = axis("K"), i = axis("N");
                auto x = input("x", {k}), y = input("y", {i}).constant();
                loss_per(k, word(i, depends ? x(k) + 0.0 * y(i) : x(k)) + 0.0 * sum(i, y(i)));
              },
              c);
        };
        const Outcome plain = loss(false), depends = loss(true);
        EXPECT_NEAR(plain.loss, depends.loss, 1e-14) << name << " n=" << n << " x=" << x;
        EXPECT_NEAR(plain.gradient.at("x")[0], depends.gradient.at("x")[0], 1e-14) << name << " n=" << n << " x=" << x;
      }
    }
  }
}

}  // namespace
}  // namespace lossc::tests
