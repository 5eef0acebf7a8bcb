// Which inputs can be converted panel by panel, or piece by piece: derived from the plan.
#include "generators/emit/reach.h"

#include <gtest/gtest.h>

#include <set>

#include "generators/lower/lower.h"
#include "tests/support/definition.h"

namespace lossc::emit {
namespace {

using tests::input;

struct Reads {
  std::set<int> in_panels, outside;  // what own_dim says of each step that reads the input
};

Reads reads_of(const plan::Plan& plan, const std::string& name) {
  Reads reads;
  for (int b = 0; b < static_cast<int>(plan.buffers.size()); b++) {
    if (plan.buffers[b].storage != plan::Storage::Input || plan.buffers[b].name != name) continue;
    for (int s = 0; s < static_cast<int>(plan.steps.size()); s++) {
      const std::vector<int>& list = plan.steps[s].reads;
      if (std::find(list.begin(), list.end(), b) == list.end()) continue;
      (plan.in_panel(s) ? reads.in_panels : reads.outside).insert(own_dim(plan, s, b));
    }
  }
  return reads;
}

Reads reads_of(const std::function<void()>& body, const std::string& name) {
  const Program p = build(tests::definition(body), {});
  return reads_of(plan::make_plan(p), name);
}
Reads reads_of(const char* loss, const std::string& name) {
  const Program p = build(definition_of(loss), {});
  return reads_of(plan::make_plan(p), name);
}

using Set = std::set<int>;

TEST(Reach, RowsOfThePanel) {
  const auto body = [] {
    auto n = axis("N", "-"), c = axis("C", "-");
    auto x = input("x", {n, c}), shift = input("shift", {c}), scale = input("scale", {n});
    loss_per(n, scale(n) * sum(c, sq(x(n, c) - shift(c))));
  };
  EXPECT_EQ(reads_of(body, "x").in_panels, Set{1});  // dimensions count from the innermost
  EXPECT_EQ(reads_of(body, "scale").in_panels, Set{0});
  EXPECT_EQ(reads_of(body, "shift").in_panels, Set{-1});
}

TEST(Reach, AGatherWithinARowIsItsRow) {
  const Reads r = reads_of("cross_entropy", "logits");
  EXPECT_EQ(r.in_panels, Set{1});
  EXPECT_TRUE(r.outside.empty());
}

TEST(Reach, OtherRowsAreAnywhere) {
  const auto twins = [] {
    auto [i, j] = batch_pair("N", "-");
    auto x = input("x", {i});
    loss_per(i, sum(j, sq(x(i) - x(j))));
  };
  EXPECT_TRUE(reads_of(twins, "x").in_panels.count(-1));
  // Rows of the weight are looked up by the target; packed for the contraction they are read in pieces.
  const Reads weight = reads_of("linear_cross_entropy", "weight");
  EXPECT_TRUE(weight.in_panels.count(-1));
  EXPECT_FALSE(weight.outside.empty());
  EXPECT_FALSE(weight.outside.count(-1));
  EXPECT_FALSE(reads_of("linear_cross_entropy", "embedding").in_panels.count(-1));
}

}  // namespace
}  // namespace lossc::emit
