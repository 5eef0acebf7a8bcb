// Hessian products through the C API: every form of every loss against the oracle, losses of different structure against
// differences of the gradients that the same API gives, and what the mode promises besides. That the second derivative of
// every loss is right is for hessian_test.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "capi_util.h"
#include "dsl/hessian.h"
#include "dsl/sample.h"
#include "generators/check/kernel_case.h"

#include <lossc/lossc.h>

namespace lossc::tests {
namespace {

using check::KernelCall;

// What one Case gives: slope in `loss`, products in `gradients`.
check::Results products(const Program& hessian, const Case& c, KernelCall call) {
  call.mode = LOSSC_HVP;
  return check::run_kernel(hessian, c, call);
}

std::vector<int> dtypes() {
  std::vector<int> out;
  for (int bits : {32, 64})
    if (std::string(lossc_build_info()).find(fmt::format("f{}", bits)) != std::string::npos) out.push_back(bits);
  return out;
}

const std::map<std::string, int64_t> kShorter = {{"S", 3}};  // labels of a sequence

// Rows of given logits, elements, scores of one batch against itself, statistics of features.
const auto kLosses = testing::Values("cross_entropy", "huber", "bce", "nt_xent", "supcon_out", "barlow_twins");
std::string name_of(const testing::TestParamInfo<const char*>& info) { return info.param; }
bool has_products(const char* name) {
  const lossc_loss* loss = lossc_loss_find(name);
  return loss && lossc_loss_hvp(loss);
}

void expect_close(const check::Results& got, const check::Expectation& e, int bits, const std::string& where) {
  EXPECT_EQ(check::disagreement(got.loss, e.value.loss, e.slack.loss, bits), "") << where << ": slope";
  EXPECT_EQ(got.gradients.size(), e.value.gradients.size()) << where;
  for (const auto& [name, values] : got.gradients)
    EXPECT_EQ(check::disagreement(values, e.value.gradients.at(name), e.slack.gradients.at(name), bits), "") << where << ": " << name;
}

class Products : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!has_products(GetParam())) GTEST_SKIP() << GetParam() << " is not in this library";
  }
  void compare(const Program& form, const SampleOptions& options, const KernelCall& settings, const char* what, bool ties = false) {
    const Program hessian = hessian_program(form);
    const Case c = check::rounded(with_directions(sample(form, options), form, 5), settings.bits);
    const std::string where = fmt::format("{} | {} | {} bits", form.name, what, settings.bits);
    try {
      const check::Results got = products(hessian, c, settings);
      check::Expectation e = check::expectation(hessian, c, settings.bits, 2, ties);
      const auto bad = [&] {
        for (const auto& [name, values] : got.gradients)
          if (!check::disagreement(values, e.value.gradients.at(name), e.slack.gradients.at(name), settings.bits).empty()) return true;
        return !check::disagreement(got.loss, e.value.loss, e.slack.loss, settings.bits).empty();
      };
      // Two draws may both, by chance, move an element hardly at all.
      if (bad()) e = check::expectation(hessian, c, settings.bits, 32, ties);
      expect_close(got, e, settings.bits, where);
    } catch (const std::exception& error) {
      ADD_FAILURE() << where << ": " << error.what();
    }
  }
};

TEST_P(Products, OfEveryFormAreTheOracles) {
  for (const Program& form : build_all(definition_of(GetParam())))
    for (int bits : dtypes())
      compare(form, {.extents = kShorter, .extent = 5, .seed = 3, .row_inputs = true}, {.bits = bits}, "form");
}

// Wider than a vector, and no multiple of one; threads and panels; every reduction.
TEST_P(Products, OfLargerCallsAreTheOracles) {
  const Program form = build_all(definition_of(GetParam()))[0];
  for (int bits : dtypes()) {
    compare(form, {.extents = kShorter, .extent = 18, .seed = 4}, {.bits = bits, .threads = 3, .panel_rows = 4}, "panels");
    for (Reduction r : {Reduction::None, Reduction::Sum})
      compare(form, {.extents = kShorter, .extent = 6, .seed = 5, .row_inputs = true, .reduction = r}, {.bits = bits}, "reduction");
  }
}

TEST_P(Products, AreThoseOfEmptyBatches) {
  const Program form = build_all(definition_of(GetParam()))[0];
  if (form.rows.empty()) return;
  const std::string axis = form.graph.axes[form.graph.indices[form.rows[0]].axis].name;
  SampleOptions o{.extents = kShorter, .extent = 4, .seed = 3};
  o.extents[axis] = 0;
  for (int bits : dtypes()) compare(form, o, {.bits = bits}, "empty");
}

std::vector<const char*> linked() {
  std::vector<const char*> names;
  for (const Definition& d : definitions()) names.push_back(d.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Losses, Products, testing::ValuesIn(linked()), name_of);

// ---- against the gradients of the same API -----------------------------------------------------------------------------

class Differences : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!has_products(GetParam())) GTEST_SKIP() << GetParam() << " is not in this library";
    if (dtypes().back() != 64) GTEST_SKIP() << "differences want f64";
    form_ = build_all(definition_of(GetParam()))[0];
    hessian_ = hessian_program(form_);
    // One row alone may be masked away.
    at_ = sample(form_, {.extents = kShorter, .extent = 5, .seed = 3, .row_inputs = !form_.rows.empty()});
  }
  // The case moved by h along the directions.
  Case moved(const Case& along, double h) const {
    Case c = at_;
    for (auto& [name, a] : c.inputs) {
      auto direction = along.inputs.find("direction_" + name);
      for (size_t k = 0; direction != along.inputs.end() && k < a.data.size(); k++) a.data[k] += h * direction->second.data[k];
    }
    return c;
  }
  Program form_, hessian_;
  Case at_;
};

TEST_P(Differences, OfGradientsAreTheProducts) {
  const Case c = with_directions(at_, form_, 5);
  const check::Results got = products(hessian_, c, {.bits = 64});
  const auto along = [&](double h) {
    check::Results up = check::run_kernel(form_, moved(c, h), {.bits = 64});
    const check::Results down = check::run_kernel(form_, moved(c, -h), {.bits = 64});
    up.loss = {(up.loss[0] - down.loss[0]) / (2 * h)};
    for (auto& [name, values] : up.gradients)
      for (size_t k = 0; k < values.size(); k++) values[k] = (values[k] - down.gradients.at(name)[k]) / (2 * h);
    return up;
  };
  const check::Results coarse = along(2e-4), fine = along(1e-4);
  size_t compared = 0;
  double scale = 0;
  for (const auto& [name, values] : got.gradients)
    for (double v : values) scale = std::max(scale, std::abs(v));
  EXPECT_GT(scale, 0) << "a Hessian of nothing tests nothing";
  for (const auto& [name, values] : got.gradients)
    for (size_t k = 0; k < values.size(); k++) {
      const double d = fine.gradients.at(name)[k], error = std::abs(d - coarse.gradients.at(name)[k]);
      if (error > 1e-3 * scale) continue;  // a kink within the step
      compared++;
      EXPECT_NEAR(values[k], d, 2 * error + 1e-7 * scale) << name << " " << k;
    }
  EXPECT_GT(compared, 0u);
}

TEST_P(Differences, HessiansAreSymmetric) {
  const Case u = with_directions(at_, form_, 5), v = with_directions(at_, form_, 9);
  const check::Results hu = products(hessian_, u, {.bits = 64}), hv = products(hessian_, v, {.bits = 64});
  double uhv = 0, vhu = 0, size = 0;
  for (const auto& [name, values] : hu.gradients)
    for (size_t k = 0; k < values.size(); k++) {
      uhv += u.inputs.at("direction_" + name).data[k] * hv.gradients.at(name)[k];
      vhu += v.inputs.at("direction_" + name).data[k] * values[k];
      size += std::abs(values[k]);
    }
  EXPECT_NEAR(uhv, vhu, 1e-11 * (1 + size));
}

TEST_P(Differences, ProductsNotAskedForChangeNothing) {
  const Case c = with_directions(at_, form_, 5);
  const check::Results all = products(hessian_, c, {.bits = 64});
  for (const auto& [name, values] : all.gradients) {
    const check::Results one = products(hessian_, c, {.bits = 64, .only_gradient = name});
    ASSERT_EQ(one.gradients.size(), 1u);
    for (size_t k = 0; k < values.size(); k++) EXPECT_NEAR(one.gradients.at(name)[k], values[k], 1e-12 * (1 + std::abs(values[k])));
  }
}

// What is absent is zero: the products along one direction at a time add up.
TEST_P(Differences, AbsentDirectionsAreZero) {
  const Case c = with_directions(at_, form_, 5);
  for (int bits : dtypes()) {
    const check::Results all = products(hessian_, c, {.bits = bits});
    std::map<std::string, std::vector<double>> sum;
    for (const Gradient& g : form_.gradients) {
      Case absent = c, zero = c;
      for (const Gradient& other : form_.gradients) {
        const std::string name = "direction_" + form_.graph.tensors[other.tensor].name;
        if (other.tensor == g.tensor || !c.inputs.count(name)) continue;
        absent.inputs.erase(name);
        std::fill(zero.inputs[name].data.begin(), zero.inputs[name].data.end(), 0);
      }
      Program p = hessian_;  // as the program says it, every direction is there
      for (ir::Tensor& t : p.graph.tensors) t.optional |= t.name.rfind("direction_", 0) == 0;
      const check::Results got = products(p, absent, {.bits = bits}), want = products(hessian_, zero, {.bits = bits});
      for (const auto& [name, values] : got.gradients) {
        EXPECT_EQ(values, want.gradients.at(name)) << name;
        sum[name].resize(values.size());
        for (size_t k = 0; k < values.size(); k++) sum[name][k] += values[k];
      }
    }
    for (const auto& [name, values] : all.gradients) {
      double scale = 0;
      for (double v : values) scale = std::max(scale, std::abs(v));
      for (size_t k = 0; k < values.size(); k++) EXPECT_NEAR(values[k], sum[name][k], 300 * check::epsilon(bits) * (1e-3 + scale)) << name;
    }
  }
}

// Into the slope; into the products where the branch taken has a second derivative at all.
TEST_P(Differences, NanPropagates) {
  at_ = sample(form_, {.extents = kShorter, .extent = 5, .seed = 3});
  for (const bool in_direction : {false, true}) {
    Case c = with_directions(at_, form_, 5);
    const std::string name = form_.graph.tensors[form_.gradients[0].tensor].name;
    c.inputs[in_direction ? "direction_" + name : name].data[0] = NAN;
    for (int bits : dtypes()) {
      const check::Results got = products(hessian_, c, {.bits = bits});
      EXPECT_TRUE(std::isnan(got.loss[0])) << in_direction;
      const check::Expectation e = check::expectation(hessian_, c, bits);
      expect_close(got, e, bits, in_direction ? "direction" : name);
      const bool any = std::any_of(got.gradients.at(name).begin(), got.gradients.at(name).end(), [](double v) { return std::isnan(v); });
      EXPECT_TRUE(any || std::string(GetParam()) == "huber") << in_direction;  // whose outer branch is linear
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, Differences, kLosses, name_of);

// ---- the mode ----------------------------------------------------------------------------------------------------------

struct Logits : testing::Test {
  void SetUp() override {
    p.loss = lossc_loss_find("cross_entropy");
    if (!p.loss || !lossc_loss_hvp(p.loss)) GTEST_SKIP() << "cross_entropy is not in this library";
    p.mode = LOSSC_HVP;
    const lossc_loss* h = lossc_loss_hvp(p.loss);
    for (size_t k = 0; k < lossc_loss_arg_count(h); k++) {
      const lossc_arg* a = lossc_loss_arg(h, k);
      const std::string name = a->name;
      if (a->role == LOSSC_INPUT) p.inputs.push_back(name == "logits" ? x.get() : name == "target" ? y.get() : name == "direction_logits" ? v.get() : nullptr);
      if (a->role == LOSSC_OUTPUT) p.outputs.push_back(name == "slope" ? s.get() : name == "product_logits" ? hv.get() : nullptr);
      if (name == "direction_logits") direction = p.inputs.size() - 1;
    }
  }
  std::vector<float> logits{1, 2, 3, 3, 1, 0}, along{1, 0, 0, 0, 1, 0}, product = std::vector<float>(6, -7);
  std::vector<int32_t> target{2, 0};
  std::vector<float> slope{-7};
  capi::Tensor x = capi::tensor(logits, {2, 3}), y = capi::tensor(target, {2}), v = capi::tensor(along, {2, 3}),
               hv = capi::tensor(product, {2, 3}), s = capi::tensor(slope, {});
  capi::Problem p;
  size_t direction = 0;
};

// diag(p) - p p' for each row, over the mean's 2.
TEST_F(Logits, IsTheTextbookHessian) {
  ASSERT_RUNS(p.run());
  double slopes = 0;
  for (size_t row = 0; row < 2; row++) {
    double q[3], total = 0, qv = 0;
    for (size_t c = 0; c < 3; c++) total += q[c] = std::exp(logits[3 * row + c]);
    for (size_t c = 0; c < 3; c++) qv += (q[c] /= total) * along[3 * row + c];
    for (size_t c = 0; c < 3; c++) EXPECT_NEAR(product[3 * row + c], q[c] * (along[3 * row + c] - qv) / 2, 1e-7);
    slopes += (qv - along[3 * row + static_cast<size_t>(target[row])]) / 2;
  }
  EXPECT_NEAR(slope[0], slopes, 1e-7);
}

TEST_F(Logits, SlopeAloneAndProductAloneAreRight) {
  ASSERT_RUNS(p.run());
  const std::vector<float> all = product, its = slope;
  product.assign(6, -7), slope = {-7};
  const std::vector<const DLTensor*> both = p.outputs;
  p.outputs = {both[0]};
  ASSERT_RUNS(p.run());
  EXPECT_EQ(slope, its);
  EXPECT_EQ(product, std::vector<float>(6, -7));
  p.outputs = both, p.outputs[0] = nullptr, slope = {-7};
  ASSERT_RUNS(p.run());
  EXPECT_EQ(product, all);
  EXPECT_EQ(slope[0], -7);
}

TEST_F(Logits, UpstreamGradientsWeightsAndMasksActAsInTheGradient) {
  ASSERT_RUNS(p.run());
  const std::vector<float> plain = product;
  const std::vector<float> upstream{2, -3}, weight{4, 5};
  const std::vector<uint8_t> mask{0, 1};
  const capi::Tensor g = capi::tensor(upstream, {2}), w = capi::tensor(weight, {2}), m = capi::tensor(mask, {2});
  p.reduction = LOSSC_REDUCE_NONE, p.grad_output = g.get(), p.row_weight = w.get();
  ASSERT_RUNS(p.run());
  for (size_t k = 0; k < 6; k++) EXPECT_NEAR(product[k], 2 * plain[k] * upstream[k / 3] * weight[k / 3], 2e-6);
  p.row_mask = m.get();
  ASSERT_RUNS(p.run());
  for (size_t k = 0; k < 3; k++) EXPECT_EQ(product[k], 0);
  const std::vector<float> one{-1};
  const capi::Tensor scalar = capi::tensor(one, {});
  p.reduction = LOSSC_REDUCE_MEAN, p.grad_output = scalar.get(), p.row_weight = p.row_mask = nullptr;
  ASSERT_RUNS(p.run());
  for (size_t k = 0; k < 6; k++) EXPECT_NEAR(product[k], -plain[k], 1e-8);
}

TEST_F(Logits, AnOwnTableIsTheSame) {
  ASSERT_RUNS(p.run());
  const std::vector<float> want = product;
  const lossc_loss* h = lossc_loss_hvp(p.loss);
  EXPECT_EQ(lossc_loss_hvp(h), h);
  EXPECT_STREQ(lossc_loss_name(h), "cross_entropy");
  product.assign(6, 0);
  p.loss = h;
  ASSERT_RUNS(p.run());
  EXPECT_EQ(product, want);
  p.mode = LOSSC_FORWARD;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "lossc_hvp_cross_entropy is for LOSSC_HVP");
}

TEST_F(Logits, MistakesAreTold) {
  capi::Problem bad = p;
  bad.inputs.pop_back();
  EXPECT_FAILS(bad.run(), LOSSC_E_ARGUMENT, "inputs:");
  bad = p;
  bad.mode = 5;
  EXPECT_FAILS(bad.run(), LOSSC_E_ARGUMENT, "LOSSC_HVP (4)");
  bad = p;
  const capi::Tensor wrong = capi::tensor(along, {3, 2});
  bad.inputs[direction] = wrong.get();
  EXPECT_FAILS(bad.run(), LOSSC_E_ARGUMENT, "direction_logits");
  bad = p;
  bad.outputs[1] = x.get();
  EXPECT_FAILS(bad.run(), LOSSC_E_ARGUMENT, "product_logits: shares memory with logits");
  bad = p;
  bad.inputs[direction] = nullptr;
  ASSERT_RUNS(bad.run());
  EXPECT_EQ(product, std::vector<float>(6, 0));
  const lossc_plan_desc d = p.desc();
  capi::Result planned;
  const capi::Plan plan = p.plan(&planned);
  ASSERT_EQ(planned.status, LOSSC_OK);
  EXPECT_EQ(lossc_plan_saved_size(plan.get()), 0u);
  EXPECT_NE(std::string(lossc_plan_explain(plan.get())).find("Hessian product"), std::string::npos);
  EXPECT_EQ(d.mode, LOSSC_HVP);
}

}  // namespace
}  // namespace lossc::tests
