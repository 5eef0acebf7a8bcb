// Every form of every linked loss on random inputs: the derived gradient equals differences of the value, and no input,
// however hostile, gets into what a mask has dropped. No other implementation is involved; golden_test has those.
#include <gtest/gtest.h>

#include <cmath>

#include "dsl/sample.h"
#include "generators/emit/interface.h"
#include "tests/support/tolerance.h"

namespace lossc::tests {
namespace {

std::string describe(const Program& p) {
  std::string out = p.name;
  for (const Fact& f : p.facts) {
    switch (f.kind) {
      case Fact::Option:
        out += " " + p.options[f.id].name + "=" + p.options[f.id].choices[f.value];
        break;
      case Fact::TensorGiven:
        out += (f.value ? " with " : " without ") + p.graph.tensors[f.id].name;
        break;
      case Fact::AxisGiven:
        out += (f.value ? " with " : " without ") + p.graph.axes[f.id].name;
        break;
      case Fact::ParamZero:
        out += " " + p.graph.params[f.id].name + (f.value ? "=0" : "!=0");
        break;
    }
  }
  return out;
}

class EveryForm : public testing::TestWithParam<const Definition*> {
 protected:
  void SetUp() override { forms_ = build_all(*GetParam()); }

  void check_gradients(const Program& p, const Case& c, double least_smooth, double most_work) {
    const Inputs inputs = oracle_inputs(p, c);
    Oracle oracle(p.graph, inputs);
    for (const Gradient& g : p.gradients) {
      const ir::Tensor& t = p.graph.tensors[g.tensor];
      if (!c.inputs.count(t.name)) continue;
      EXPECT_TRUE(close(oracle.evaluate(g.node, t.dims).data, finite_difference(p, inputs, g.tensor, most_work), least_smooth))
          << describe(p) << ", " << c.name << ", gradient of " << t.name;
    }
  }
  std::vector<Program> forms_;
};

TEST_P(EveryForm, IsFoundFromACaseOfIt) {
  for (const Program& p : forms_) {
    const Case c = sample(p, {.extents = {{"P", 3}, {"S", 2}}, .extent = 4});
    EXPECT_EQ(unknown_names(p, c), "");
    EXPECT_EQ(describe(program_for(*GetParam(), c)), describe(p));
  }
}

TEST_P(EveryForm, HasTheGradientOfItsValue) {
  for (const Program& p : forms_)
    for (const auto& choices : runtime_choices(p))
      check_gradients(p, sample(p, {.extents = {{"S", 2}}, .extent = 4, .choices = choices, .row_inputs = true}), 0.5, 3.2e7);
}

// Ties, zero vectors and the like sit on kinks, where only the elements that are smooth can be compared.
TEST_P(EveryForm, HasTheGradientOfItsValueUnderStress) {
  for (Stress stress : all_stresses()) {
    // A step is 1e16 times tiny inputs, and across it kinks that cancel, |x| - |x|, look smooth.
    if (stress == Stress::None || stress == Stress::Tiny) continue;
    check_gradients(forms_[0], sample(forms_[0], {.extent = 4, .stress = stress, .seed = 2}), 0, 3e6);
  }
}

TEST_P(EveryForm, OfNoRowsAndOfOneRow) {
  for (const Program& p : forms_) {
    if (p.rows.empty()) continue;
    const std::string axis = p.graph.axes[p.graph.indices[p.rows[0]].axis].name;
    for (int64_t n : {0, 1}) {
      const Case c = sample(p, {.extents = {{axis, n}}, .extent = 3});
      Oracle oracle(p.graph, oracle_inputs(p, c));
      const double loss = oracle.scalar(p.loss);
      EXPECT_TRUE(n == 0 ? loss == 0 : !std::isnan(loss)) << describe(p) << ": " << loss;
      for (const Gradient& g : p.gradients) {
        const ir::Tensor& t = p.graph.tensors[g.tensor];
        for (double v : oracle.evaluate(g.node, t.dims).data)
          EXPECT_FALSE(std::isnan(v)) << describe(p) << " " << t.name;
      }
    }
  }
}

TEST_P(EveryForm, WithAllRowsDroppedIsZero) {
  for (const Program& p : forms_) {
    if (p.rows.empty()) continue;
    Case c = sample(p, {.extent = 4, .stress = Stress::Nan, .row_inputs = true});
    for (double& keep : c.row_mask->data) keep = 0;
    Oracle oracle(p.graph, oracle_inputs(p, c));
    EXPECT_EQ(oracle.scalar(p.loss), 0) << describe(p);
    for (double v : oracle.evaluate(p.loss_rows, p.rows).data) EXPECT_EQ(v, 0) << describe(p);
  }
}

TEST_P(EveryForm, HasAPlaceInTheInterface) {
  std::vector<emit::FormIds> ids;
  EXPECT_NO_THROW(emit::unite(build_all(*GetParam()), &ids));
}

std::vector<const Definition*> linked() {
  std::vector<const Definition*> list;
  for (const Definition& d : definitions()) list.push_back(&d);
  return list;
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryForm);
INSTANTIATE_TEST_SUITE_P(Losses, EveryForm, testing::ValuesIn(linked()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace lossc::tests
