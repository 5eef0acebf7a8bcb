// Kernels are shared by the structure of a step: equal text must mean equal code with equal arguments.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "dsl/program.h"
#include "generators/lower/lower.h"
#include "lossc/loss.h"
#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

// Two sums in one step, for each place, with the axes declared in either order.
void sums(bool k_first) {
  about({.title = "-", .paper = "-", .equation = "-", .edges = "-"});
  auto n = axis("N");
  auto k = axis(k_first ? "K" : "Q"), q = axis(k_first ? "Q" : "K");
  auto p = axis("P");
  auto [first, second] = k_first ? std::pair(k, q) : std::pair(q, k);
  auto x = tensor("x", {n, first, p}, "-"), y = tensor("y", {n, second, p}, "-");
  loss_per({n, p}, sum(first, x(n, first, p)) - exp(sum(second, y(n, second, p))));
}

std::set<std::string> structures(void (*body)()) {
  const Definition d{"sums", "test", __FILE__, body};
  const Program p = build(d, {});
  const plan::Plan plan = plan::make_plan(p);
  std::set<std::string> out;
  for (size_t s = 0; s < plan.steps.size(); s++) {
    const lower::Signature sig = lower::signature(plan, static_cast<int>(s));
    // Which axis (by name) each extent argument is: what the runtime will pass.
    std::string args;
    for (const lower::KernelArg& a : sig.args)
      if (a.kind == rt::ArgKind::Extent) args += p.graph.axes[a.id].name + ";";
    if (args.find("K;") != std::string::npos && args.find("Q;") != std::string::npos) out.insert(sig.structure);
  }
  return out;
}

TEST(Signature, SaysWhichExtentBoundsWhichSum) {
  const auto a = structures([] { sums(true); }), b = structures([] { sums(false); });
  ASSERT_FALSE(a.empty());
  for (const std::string& s : a) EXPECT_FALSE(b.count(s)) << "one kernel for two orders of its extents:\n" << s;
}

TEST(Signature, IsTheSameForTheSameDefinition) {
  EXPECT_EQ(structures([] { sums(true); }), structures([] { sums(true); }));
}

// May sum(p, e) be cut along p?
bool divides(const std::function<Expr(const Tensor& x, const Tensor& key, Index n, Index p)>& e) {
  const Program program = build(definition([&] {
                                  auto n = axis("N"), p = axis("P");
                                  const Tensor x = input("x", {n, p}), key = labels("key", {n, p}, "-").in_range(p);
                                  loss_per(n, exp(sum(p, e(x, key, n, p))) + select(key(n, 0) == 1, 1, 0));
                                }),
                                {});
  const plan::Plan plan = plan::make_plan(program);
  bool any = false;
  for (size_t s = 0; s < plan.steps.size(); s++) any |= lower::signature(plan, static_cast<int>(s)).over;
  return any;
}

TEST(Signature, ASumIsCutWhereNothingAsksForPlacesAlongIt) {
  using T = const Tensor&;
  EXPECT_TRUE(divides([](T x, T, Index n, Index p) { return sq(x(n, p)); }));
  EXPECT_TRUE(divides([](T x, T key, Index n, Index p) { return select(key(n, p) == 3, x(n, p), 0); }));
  EXPECT_FALSE(divides([](T x, T, Index n, Index p) { return x(n, p) * p; }));
  EXPECT_FALSE(divides([](T x, T, Index n, Index p) { return x(n, p) / extent(p); }));
  EXPECT_FALSE(divides([](T x, T key, Index n, Index p) { return x(n, key(n, p)); }));
}

}  // namespace
}  // namespace lossc::tests
