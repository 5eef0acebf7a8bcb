// Tensors of other float types than kernels compute in. Conversion is exact on the way in, so a run with 16-bit tensors
// must give, bit for bit, the rounded results of the run with the same values in f32 (and the same panels), whatever the
// loss, the layout, the panels and the threads. That this is right is then for the tests of the f32 kernels.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "dsl/sample.h"
#include "generators/check/kernel_case.h"

#include <lossc/lossc.h>

namespace lossc::tests {
namespace {

using check::kBF16;
using check::kF16;
using check::kF32;
using check::kF64;
using check::KernelCall;
using check::Strides;

std::string name(DLDataType t) { return (t.code == kDLBfloat ? "bf" : "f") + std::to_string(t.bits); }

bool has(const char* word) {
  return std::string(lossc_loss_arg(lossc_loss_at(0), 0)->dtypes).find(word) != std::string::npos;
}

// Float inputs that a case of the form gives.
std::vector<std::string> floats_of(const Program& p, const Case& c) {
  std::vector<std::string> names;
  for (const ir::Tensor& t : p.graph.tensors)
    if (t.type == ir::Type::Float && t.role == ir::TensorRole::Input && c.inputs.count(t.name)) names.push_back(t.name);
  return names;
}

class Dtypes : public testing::TestWithParam<const Definition*> {
 protected:
  void SetUp() override {
    if (!lossc_loss_find(GetParam()->name)) GTEST_SKIP() << GetParam()->name << " is not in this library";
    lossc_set_num_threads(3);
    forms_ = build_all(*GetParam());
  }
  void TearDown() override { lossc_set_num_threads(0); }

  // `call` has the types; the same without them is what it is compared with.
  void compare(const Program& p, const Case& exact, const KernelCall& call, const std::string& what) {
    const Case c = check::rounded(exact, call, &p);
    KernelCall plain = call;
    plain.real = {kDLFloat, 0, 1};
    plain.types.clear();
    plain.strides = Strides::Dense;  // as the memory that tensors are converted into
    // Masks are not converted, so with their strides another loop of a kernel may run than with dense ones: to rounding.
    const double ulps = call.strides == Strides::Dense ? 0 : 16;
    const std::string where = fmt::format("{} {}, {}", p.name, name(call.type_of("")), what);
    try {
      const check::Results got = check::run_kernel(p, c, call), want = check::run_kernel(p, c, plain);
      expect(got.loss, want.loss, call.type_of("loss"), where + ", loss", ulps);
      for (const auto& [tensor, values] : want.gradients)
        expect(got.gradients.at(tensor), values, call.type_of("grad_" + tensor), where + ", gradient of " + tensor, ulps);
      for (const auto& [tensor, values] : want.outputs)
        expect(got.outputs.at(tensor), values, call.type_of(tensor), where + ", " + tensor, ulps);
    } catch (const std::exception& error) {
      ADD_FAILURE() << where << ": " << error.what();
    }
  }
  static void expect(const std::vector<double>& got, const std::vector<double>& want, DLDataType type,
                     const std::string& where, double ulps) {
    ASSERT_EQ(got.size(), want.size()) << where;
    double slack = 0;
    for (double v : want)
      if (std::isfinite(v)) slack = std::max(slack, ulps * std::numeric_limits<float>::epsilon() * std::abs(v));
    for (size_t k = 0; k < got.size(); k++) {
      const double w = check::round_to(want[k], type);
      if (std::isfinite(want[k]) && check::round_to(want[k] - slack, type) <= got[k] &&
          got[k] <= check::round_to(want[k] + slack, type))
        continue;
      ASSERT_TRUE(got[k] == w || (std::isnan(got[k]) && std::isnan(w)))
          << where << ": element " << k << " is " << got[k] << ", wanted " << w << " (" << want[k] << ")";
    }
  }
  std::vector<Program> forms_;
};

TEST_P(Dtypes, EveryFormGivesTheRoundedResult) {
  for (const Program& p : forms_) {
    for (DLDataType type : {kF16, kBF16}) {
      compare(p, sample(p, {.extent = 7, .seed = 3, .row_inputs = true}), {.real = type, .threads = 1, .panel_rows = 3},
              "every form");
    }
  }
}

TEST_P(Dtypes, AnyLayoutAndModeGivesTheSame) {
  const Program& p = forms_[0];
  if (p.gradients.empty()) GTEST_SKIP() << "no gradient: there is no backward run";
  for (DLDataType type : {kF16, kBF16}) {
    for (Strides s : {Strides::Dense, Strides::RowPadded, Strides::Reversed, Strides::InnerTwo}) {
      for (int mode : {0, 1, 3}) {
        compare(p, sample(p, {.extent = 20, .seed = 4, .row_inputs = true}),
                {.real = type, .mode = mode, .threads = 1, .panel_rows = 8, .strides = s, .wide_labels = true}, "layout");
      }
    }
  }
}

// Rows enough for several panels and workers, a last panel that is shorter; steps split among workers, too.
TEST_P(Dtypes, AnyPanelsAndThreadsGiveTheSame) {
  const Program& p = forms_[0];
  if (p.gradients.empty()) GTEST_SKIP() << "no gradient: there is no backward run";
  for (int64_t rows : {1, 40, 331}) {
    SampleOptions o{.extent = p.graph.axes.size() > 2 ? 11 : 130, .seed = 5, .row_inputs = true};  // images grow fast
    if (!p.rows.empty()) o.extents[p.graph.axes[p.graph.indices[p.rows[0]].axis].name] = rows;
    const Case c = sample(p, o);
    for (int flags : {0, int(LOSSC_PLAN_REPRODUCIBLE)}) {
      for (int threads : {1, 3}) {
        for (int panel : {7, 64})
          compare(p, c, {.real = kBF16, .threads = threads, .panel_rows = panel, .flags = flags},
                  fmt::format("{} rows, panels of {}, {} threads, flags {}", rows, panel, threads, flags));
      }
    }
  }
}

// Each float tensor of another type; outputs of any type that the plan has.
TEST_P(Dtypes, TypesMix) {
  const DLDataType types[] = {kBF16, kF32, kF16};
  for (const Program& p : forms_) {
    for (int turn = 0; turn < 3; turn++) {
      const Case c = sample(p, {.extent = 9, .seed = 6, .row_inputs = true});
      KernelCall call{.threads = 1, .panel_rows = 5};
      std::vector<DLDataType> there{kF32};
      int k = turn;
      for (const std::string& input : floats_of(p, c)) there.push_back(call.types[input] = types[k++ % 3]);
      for (const std::string& out : {std::string("loss"), std::string("row_weight"), std::string("grad_output")})
        call.types[out] = there[static_cast<size_t>(k++) % there.size()];
      for (const Gradient& g : p.gradients)
        call.types["grad_" + p.graph.tensors[g.tensor].name] = there[static_cast<size_t>(k++) % there.size()];
      compare(p, c, call, fmt::format("mixed, turn {}", turn));
    }
  }
}

TEST_P(Dtypes, EmptyAxesGiveTheSame) {
  const Program& p = forms_[0];
  if (p.rows.empty()) return;
  SampleOptions o{.extent = 5, .seed = 7};
  o.extents[p.graph.axes[p.graph.indices[p.rows[0]].axis].name] = 0;
  compare(p, sample(p, o), {.real = kBF16, .threads = 1}, "no rows");
}

TEST_P(Dtypes, NanAndInfinityComeThrough) {
  for (const Program& p : forms_) {
    for (Stress s : all_stresses()) {
      for (DLDataType type : {kF16, kBF16})
        compare(p, sample(p, {.extent = 6, .stress = s, .seed = 8}), {.real = type, .threads = 1, .panel_rows = 4},
                fmt::format("stress {}", static_cast<int>(s)));
    }
    if (&p - forms_.data() > 3) break;
  }
}

TEST_P(Dtypes, ComputesInDoubleWhereAskedTo) {
  if (!has("f64")) GTEST_SKIP() << "the library has no f64 kernels";
  const Program& p = forms_[0];
  const Case c = sample(p, {.extent = 9, .seed = 9, .row_inputs = true});
  for (DLDataType type : {kF16, kBF16, kF32}) {
    const KernelCall call{.bits = 64, .real = type, .threads = 1, .panel_rows = 4, .flags = LOSSC_PLAN_F64};
    compare(p, c, call, "computed in f64");
  }
  const std::vector<std::string> inputs = floats_of(p, c);
  if (inputs.size() < 2) return;
  for (const std::string& input : inputs)  // one f64 input is enough
    compare(p, c, {.bits = 64, .real = kBF16, .types = {{input, kF64}}, .threads = 1, .panel_rows = 4}, input + " in f64");
}

std::vector<const Definition*> all() {
  std::vector<const Definition*> list;
  for (const Definition& d : definitions()) list.push_back(&d);
  return list;
}
INSTANTIATE_TEST_SUITE_P(Losses, Dtypes, testing::ValuesIn(all()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace lossc::tests
