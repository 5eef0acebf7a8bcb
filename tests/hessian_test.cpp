// Hessian-vector products of every linked loss: against differences of its gradient, and symmetric.
#include <gtest/gtest.h>

#include <cmath>

#include "dsl/hessian.h"
#include "dsl/plan.h"
#include "dsl/sample.h"
#include "tests/support/definition.h"
#include "tests/support/tolerance.h"

namespace lossc::tests {
namespace {

std::vector<double> direction(size_t n, unsigned seed) {
  return uniform({static_cast<int64_t>(n)}, -1, 1, seed).data;
}

struct Product {
  Program program;
  HessianProduct product;
  Inputs inputs;
};

Product product_of(const Program& form, const Case& c, unsigned seed) {
  Product p{form, {}, oracle_inputs(form, c)};
  p.product = add_hessian_product(p.program);
  for (const Gradient& g : form.gradients) p.inputs.tensors.push_back(direction(p.inputs.tensors[g.tensor].size(), seed + unsigned(g.tensor)));
  p.inputs.tensors.resize(p.program.graph.tensors.size());  // what recurrences carry is nobody's input
  return p;
}

class Hessian : public testing::TestWithParam<const Definition*> {};

TEST_P(Hessian, IsTheDifferenceOfGradients) {
  size_t form_count = 0;
  for (const Program& form : build_all(*GetParam())) {
    if (form_count++ == 6) break;  // forms of one loss differ in what gradient_test has word by word
    const Case c = sample(form, {.extents = {{"P", 3}, {"S", 2}}, .extent = 4, .seed = 3});
    const Product p = product_of(form, c, 7);
    Oracle oracle(p.program.graph, p.inputs);
    for (const Gradient& h : p.product.products) {
      const ir::Tensor& t = p.program.graph.tensors[h.tensor];
      if (!c.inputs.count(t.name)) continue;
      EXPECT_TRUE(close(oracle.evaluate(h.node, t.dims).data,
                        finite_difference_of(p.program.graph, p.product.slope, p.inputs, h.tensor, 6.4e7), 0.3))
          << form.name << ", form " << form_count << ": " << t.name;
    }
  }
}

// u' H v = v' H u, unless what the writer calls a gradient is none (straight_through, custom_gradient).
TEST_P(Hessian, IsSymmetric) {
  const Program form = build_all(*GetParam())[0];
  for (ir::Id n : ir::topological(form.graph, {form.loss}))
    if (form.graph.at(n).op == ir::Op::StraightThrough || form.graph.at(n).op == ir::Op::StopGradient) {
      const ir::Id what = form.graph.at(n).args[0];
      // The shift of a softmax is stopped, but does not matter: select(is_finite(max), max, 0).
      if (form.graph.at(n).op == ir::Op::StraightThrough || form.graph.at(what).op != ir::Op::Select) return;
    }
  const Case c = sample(form, {.extents = {{"P", 3}, {"S", 2}}, .extent = 4, .seed = 3});
  const Product u = product_of(form, c, 7), v = product_of(form, c, 99);
  const auto along = [&](const Product& left, const Product& right) {
    Oracle oracle(right.program.graph, right.inputs);
    double total = 0, size = 0;
    for (const Gradient& h : right.product.products) {
      const auto hv = oracle.evaluate(h.node, right.program.graph.tensors[h.tensor].dims).data;
      for (size_t k = 0; k < form.gradients.size(); k++) {
        if (form.gradients[k].tensor != h.tensor) continue;
        const auto& by = left.inputs.tensors[left.product.directions[k]];
        for (size_t e = 0; e < hv.size(); e++) total += by[e] * hv[e], size += std::abs(by[e] * hv[e]);
      }
    }
    return std::pair(total, size);
  };
  const auto [uv, size] = along(u, v);
  const auto [vu, size2] = along(v, u);
  EXPECT_NEAR(uv, vu, 1e-10 * (1 + size + size2)) << form.name;
}

// It is planned as the gradient is.
TEST_P(Hessian, HasASoundPlan) {
  for (const Program& form : build_all(*GetParam())) {
    const Program p = hessian_program(form);
    if (p.gradients.empty()) return;
    EXPECT_EQ(plan::unsound(plan::make_plan(p)), "") << form.name;
  }
}

// The derivative of digamma, of either sign of its argument.
TEST(HessianOfWords, OfLgammaIsTrigamma) {
  const auto body = [] {
    auto i = axis("N");
    loss_per(i, lgamma(input("x", {i})(i)));
  };
  const Case c = sum_of({{"x", array({0.5, 1, -0.5, 3.25, -2.25})}});
  const Program form = program_for(definition(body), c);
  const Product p = product_of(form, c, 7);
  Oracle oracle(p.program.graph, p.inputs);
  const Gradient& h = p.product.products.at(0);
  const std::vector<double> got = oracle.evaluate(h.node, p.program.graph.tensors[h.tensor].dims).data;
  const std::vector<double>& along = p.inputs.tensors[p.product.directions[0]];
  const double half = M_PI * M_PI / 2, slopes[] = {half, half / 3, half + 4};
  for (size_t k = 0; k < std::size(slopes); k++) EXPECT_NEAR(got[k], slopes[k] * along[k], 1e-13 * std::abs(got[k])) << k;
  EXPECT_TRUE(close(got, finite_difference_of(p.program.graph, p.product.slope, p.inputs, h.tensor)));
  EXPECT_EQ(plan::unsound(plan::make_plan(hessian_program(form))), "");
}

std::vector<const Definition*> linked() {
  std::vector<const Definition*> list;
  for (const Definition& d : definitions()) list.push_back(&d);
  return list;
}
INSTANTIATE_TEST_SUITE_P(Losses, Hessian, testing::ValuesIn(linked()), [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace lossc::tests
