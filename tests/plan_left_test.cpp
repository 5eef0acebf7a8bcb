// What a sum leaves in the memory of a gradient, for the step that makes that gradient (planner_left.cpp).
#include "tests/support/plans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>

namespace {

using namespace lossc;
using namespace lossc::tests;

plan::Plan plan_of(const std::function<void()>& body) {
  static std::list<Program> programs;  // plans point to theirs
  plan::Plan plan = plan::make_plan(programs.emplace_back(build(definition(body), {})));
  EXPECT_EQ(plan::unsound(plan), "") << plan::print(plan);
  return plan;
}

// Buffers left behind, as "node in output"; each is left by one step and read by one, beside which another makes its own.
std::string left(const plan::Plan& plan) {
  std::string out;
  for (int b = 0; b < static_cast<int>(plan.buffers.size()); b++) {
    const plan::Buffer& buffer = plan.buffers[b];
    if (buffer.storage != plan::Storage::Lent) continue;
    out += ir::print(plan.graph, buffer.node, 2) + " in " + plan.buffers[buffer.lender].name + "; ";
    const auto steps = [&](auto has) { return std::count_if(plan.steps.begin(), plan.steps.end(), has); };
    EXPECT_EQ(steps([&](const plan::Step& s) { return std::any_of(s.left.begin(), s.left.end(), [&](const auto& left) { return left.second == b; }); }), 1);
    EXPECT_EQ(steps([&](const plan::Step& s) { return s.with == b && std::count(s.reads.begin(), s.reads.end(), b) == 1; }), 1);
    EXPECT_EQ(steps([&](const plan::Step& s) { return s.without == b && std::count(s.reads.begin(), s.reads.end(), b) == 0; }), 1);
  }
  return out;
}

// A ratio of sums over pixels: the probabilities are wanted for the sums, and again for the gradient.
TEST(Left, ExponentialsOfASoftmaxOverPixels) {
  const plan::Plan plan = plan_of([] {
    auto n = axis("N"), c = axis("C"), p = axis("P");
    auto x = input("x", {n, c, p}), y = input("y", {n, c, p}).constant();
    auto q = softmax(c, x(n, c, p));
    loss_per({n, c}, sum(p, q * y(n, c, p)) / (1.0 + sum(p, q)));
  });
  EXPECT_EQ(left(plan), "exp_ftz((... - ...)) in d_x; ");
  for (const plan::Step& s : plan.steps)
    if (s.with >= 0) {
      EXPECT_TRUE(s.kept.empty()) << plan::print(plan);
      EXPECT_TRUE(plan.in_place(s));
      for (int b : s.reads) EXPECT_NE(plan.buffers[b].name, "x") << "the logits are not wanted any more";
    }
}

// Sums over the images, too, are complete only after all of them: the exponentials of all are left until then.
TEST(Left, FromOneLoopOverTheRowsToTheNext) {
  const plan::Plan plan = plan_of([] {
    auto n = axis("N"), c = axis("C"), p = axis("P");
    auto x = input("x", {n, c, p}), y = input("y", {n, c, p}).constant();
    auto q = softmax(c, x(n, c, p));
    loss_per({c}, sum(n, sum(p, q * y(n, c, p))) / (1.0 + sum(n, sum(p, q))));
  });
  EXPECT_EQ(left(plan), "exp_ftz((... - ...)) in d_x; ");
}

// The gradient reads the exponentials of other pixels, which may be written over by then.
TEST(Left, NotWhatIsReadElsewhere) {
  EXPECT_EQ(left(plan_of([] {
              auto n = axis("N"), c = axis("C"), p = axis("P");
              auto x = input("x", {n, c, p});
              auto q = at(softmax(c, x(n, c, p)), p, extent(p) - 1 - p);
              loss_per({n, c}, sum(p, q * q) / (1.0 + sum(p, q)));
            })),
            "");
}

// The loss of a pixel has the exponentials for its sum, the gradient for itself.
TEST(Left, ByTheLossOfEachPixel) {
  const auto cross_entropy = [](bool twice) {
    return left(plan_of([=] {
      auto n = axis("N"), c = axis("C"), p = axis("P");
      auto x = input("x", {n, c, p});
      auto y = labels("y", {n, p}, "-").in_range(c);
      auto loss = -at(log_softmax(c, x(n, c, p)), c, y(n, p));
      // The entropy's sum is another loop over the classes: where the exponentials are made in two, neither leaves them.
      if (twice) loss = loss - sum(c, softmax(c, x(n, c, p)) * log_softmax(c, x(n, c, p)));
      loss_per({n, p}, loss);
    }));
  };
  EXPECT_EQ(cross_entropy(false), "exp_ftz((... - ...)) in d_x; ");
  EXPECT_EQ(cross_entropy(true), "");
}

// Losses of the classes of one pixel alone are rows of two indices, for which there are panels (Buffer::lender).
TEST(Left, NotByRows) {
  EXPECT_EQ(left(plan_of([] {
              auto n = axis("N"), c = axis("C");
              auto x = input("x", {n, c});
              loss_per(n, logsumexp(c, x(n, c)));
            })),
            "");
}

// The gradient of a square of the log-sum-exp wants the maximum, so the logits: then it can as well make the exponentials.
TEST(Left, NotWhereTheGivenIsReadAgain) {
  EXPECT_EQ(left(plan_of([] {
              auto n = axis("N"), c = axis("C"), p = axis("P");
              auto x = input("x", {n, c, p});
              loss_per({n, p}, sq(logsumexp(c, x(n, c, p))));
            })),
            "");
}

}  // namespace
