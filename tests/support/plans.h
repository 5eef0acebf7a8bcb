// What tests ask of a plan.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>

#include "dsl/plan.h"
#include "tests/support/definition.h"

namespace lossc::tests {

inline void expect_sound(const Program& p) {
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "") << p.name << "\n" << plan::print(plan);
}
inline void expect_sound(const std::function<void()>& body) {
  for (const Program& p : build_all(definition(body))) expect_sound(p);
}

inline bool is_product(const plan::Step& step) {
  return step.kind == plan::StepKind::ContractNN || step.kind == plan::StepKind::ContractTN;
}
// How many products of matrices there are in a plan, none of whose steps loops over more than so many indices at once.
inline size_t products_of(const plan::Plan& p, size_t most_indices) {
  EXPECT_EQ(plan::unsound(p), "");
  size_t products = 0;
  for (const plan::Step& s : p.steps) {
    products += is_product(s);
    EXPECT_LE(s.domain.size(), most_indices) << s.text;
  }
  return products;
}

// What a step computes, down to what it reads.
inline std::vector<ir::Id> computed_in(const plan::Plan& p, const plan::Step& step) {
  std::vector<ir::Id> out;
  for (ir::Id node : step.nodes) out.push_back(step.kind == plan::StepKind::Reduce ? p.graph.at(node).args[0] : node);
  for (size_t k = 0; k < out.size(); k++) {
    if (p.find(step, out[k]) >= 0 || p.graph.at(out[k]).op == ir::Op::At) continue;
    const std::vector<ir::Id> args = p.graph.at(out[k]).args;
    for (ir::Id a : args)
      if (std::find(out.begin(), out.end(), a) == out.end()) out.push_back(a);
  }
  out.erase(std::remove_if(out.begin(), out.end(), [&](ir::Id node) { return p.find(step, node) >= 0; }), out.end());
  return out;
}

}  // namespace lossc::tests
