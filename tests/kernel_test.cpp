// Compiled kernels against the float64 oracle: every form of every loss, value and every gradient, at each ISA level
// that this machine has, on inputs made to break them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "dsl/sample.h"
#include "generators/check/kernel_case.h"

#include <lossc/lossc.h>

namespace lossc::tests {
namespace {

using check::KernelCall;
using check::Strides;

std::string describe(const Program& p) {
  std::string out = p.name;
  for (const Fact& f : p.facts) {
    switch (f.kind) {
      case Fact::Option: out += fmt::format(" {}={}", p.options[f.id].name, p.options[f.id].choices[f.value]); break;
      case Fact::TensorGiven: out += fmt::format(" {}{}", f.value ? "+" : "-", p.graph.tensors[f.id].name); break;
      case Fact::AxisGiven: out += fmt::format(" {}{}", f.value ? "+" : "-", p.graph.axes[f.id].name); break;
      case Fact::ParamZero: out += fmt::format(" {}{}0", p.graph.params[f.id].name, f.value ? "==" : "!="); break;
    }
  }
  return out;
}

// Levels that can be forced here; which ones is said once, so that a log shows what a machine did not test.
const std::vector<int32_t>& levels() {
  static const std::vector<int32_t> found = [] {
    std::vector<int32_t> list;
    const char* names[] = {"best", "sse4.1", "avx2+fma", "avx512"};
    for (int32_t isa : {LOSSC_ISA_SSE41, LOSSC_ISA_AVX2, LOSSC_ISA_AVX512}) {
      const Program p = build_all(definition_of(lossc_loss_name(lossc_loss_at(0)))).front();
      const Case c = sample(p, {});
      try {
        check::run_kernel(p, c, {.isa = isa});
        list.push_back(isa);
      } catch (const std::exception& e) {
        fmt::print("not tested on this machine: {} ({})\n", names[isa], e.what());
      }
    }
    return list;
  }();
  return found;
}
std::vector<int> dtypes(const Definition& definition) {
  std::vector<int> out;
  const lossc_loss* loss = lossc_loss_find(definition.name);
  std::string list;  // of all its tensors: the first may be labels
  for (size_t k = 0; k < lossc_loss_arg_count(loss); k++)
    if (lossc_loss_arg(loss, k)->role == LOSSC_INPUT) list += lossc_loss_arg(loss, k)->dtypes;
  if (list.find("f32") != std::string::npos) out.push_back(32);
  if (list.find("f64") != std::string::npos) out.push_back(64);
  return out;
}

// Sequences of labels are shorter than what they label, or there is no alignment of the two.
const std::map<std::string, int64_t> kShorter = {{"S", 3}};

class Kernels : public testing::TestWithParam<const Definition*> {
 protected:
  void SetUp() override {
    if (!lossc_loss_find(GetParam()->name)) FAIL() << GetParam()->name << " is not in the library";
    forms_ = build_all(*GetParam());
  }

  void compare(const Program& p, const Case& exact, const KernelCall& call, const char* what) {
    const Case c = check::rounded(exact, call.bits);
    const check::Expectation e = check::expectation(p, c, call.bits, exact.inputs.empty() ? 0 : 4);
    compare(p, c, e, call, what);
  }
  // `more`: the expectation by more draws. Two draws may both, by chance, move an element hardly at all, so they only
  // find what is to be looked at closely.
  void compare(const Program& p, const Case& c, const check::Expectation& e, const KernelCall& call, const char* what,
               const std::function<check::Expectation()>& more = {}) {
    const std::string where = fmt::format("{} | {} | {} bits, isa {}, mode {}", describe(p), what, call.bits, call.isa, call.mode);
    try {
      const check::Results r = check::run_kernel(p, c, call);
      auto expect = [&](const std::string& name, auto of) {
        std::string text = check::disagreement(of(r), of(e.value), of(e.slack), call.bits);
        if (!text.empty() && more) {
          const check::Expectation closely = more();
          text = check::disagreement(of(r), of(closely.value), of(closely.slack), call.bits);
        }
        EXPECT_EQ(text, "") << where << ": " << name;
      };
      if (call.mode != LOSSC_BACKWARD) expect("loss", [](const check::Results& x) -> auto& { return x.loss; });
      for (const auto& [name, got] : r.gradients)
        expect("gradient of " + name, [&](const check::Results& x) -> auto& { return x.gradients.at(name); });
      for (const auto& [name, got] : r.outputs)
        expect("output " + name, [&](const check::Results& x) -> auto& { return x.outputs.at(name); });
      if (call.mode != LOSSC_FORWARD && call.only_gradient.empty()) {
        EXPECT_EQ(r.gradients.size(), e.value.gradients.size()) << where;
      }
    } catch (const std::exception& error) {
      ADD_FAILURE() << where << ": " << error.what();
    }
  }
  std::vector<Program> forms_;
};

TEST_P(Kernels, EveryForm) {
  for (const Program& p : forms_)
    for (const auto& choices : runtime_choices(p))
      for (int bits : dtypes(*GetParam())) {
        const Case c =
            check::rounded(sample(p, {.extents = kShorter, .extent = 7, .seed = 3, .choices = choices, .row_inputs = true}), bits);
        const check::Expectation e = check::expectation(p, c, bits);
        for (int32_t isa : levels()) compare(p, c, e, {.bits = bits, .isa = isa}, "form");
      }
}

// Vector widths and tile sizes are at most 64: around them, and 0 and 1. Kernels over pixels compute a chunk of up to 512 at
// a time: LongAxes.
TEST_P(Kernels, Extents) {
  const Program& p = forms_[0];
  // The oracle goes through a recurrence place by place: fewer of them, which are around one width all the same.
  const bool carries = std::any_of(p.graph.nodes.begin(), p.graph.nodes.end(), [](const ir::Node& n) { return n.op == ir::Op::Scan; });
  for (int64_t rows : {0, 1, 2, 5, 16, 33, 70})
    for (int64_t other : {1, 2, 15, 17, 64, 129}) {
      if (carries && (rows == 70 || other > 17)) continue;
      SampleOptions o{.extent = other, .seed = 5};
      if (!p.rows.empty()) o.extents[p.graph.axes[p.graph.indices[p.rows[0]].axis].name] = rows;
      if (cost(p, o).oracle > 4e6) continue;  // all extents that are around one width are met with few of the others
      const Case exact = sample(p, o);
      for (int bits : dtypes(*GetParam())) {
        const Case c = check::rounded(exact, bits);
        const check::Expectation e = check::expectation(p, c, bits, 2);
        for (int32_t isa : levels())
          compare(p, c, e, {.bits = bits, .isa = isa, .panel_rows = rows == 70 ? 16 : 0}, fmt::format("{} x {}", rows, other).c_str(),
                  [&] { return check::expectation(p, c, bits, 16); });
      }
    }
}

TEST_P(Kernels, LongAxes) {
  for (const Program& p : forms_) {
    SampleOptions o{.extent = 3, .seed = 6};
    for (const ir::Axis& a : p.graph.axes)
      if (a.flat) o.extents[a.name] = 1100;
    if (o.extents.empty() || cost(p, o).oracle > 1e8) continue;  // the rows of large images: smaller ones of other forms are met
    for (int bits : dtypes(*GetParam())) {
      const Case c = check::rounded(sample(p, o), bits);
      const check::Expectation e = check::expectation(p, c, bits);
      for (int32_t isa : levels()) compare(p, c, e, {.bits = bits, .isa = isa}, "long axes");
    }
  }
}

TEST_P(Kernels, Stress) {
  for (Stress stress : all_stresses())
    for (int64_t extent : {6, 21}) {
      const Program& p = forms_[0];
      for (int bits : dtypes(*GetParam())) {
        const Case c = check::rounded(sample(p, {.extents = kShorter, .extent = extent, .stress = stress, .seed = 11}), bits);
        const bool ties = (stress == Stress::Ties || stress == Stress::Duplicates) && check::selects(p);
        const check::Expectation e = check::expectation(p, c, bits, 4, ties);
        for (int32_t isa : levels())
          compare(p, c, e, {.bits = bits, .isa = isa}, name(stress), [&] { return check::expectation(p, c, bits, 32, ties); });
      }
    }
}

TEST_P(Kernels, ReductionsModesAndMemory) {
  const Program& p = forms_[0];
  for (Reduction reduction : {Reduction::None, Reduction::Sum, Reduction::Mean})
    for (bool row_inputs : {false, true}) {
      Case exact = sample(p, {.extents = kShorter, .extent = 9, .seed = 2, .row_inputs = row_inputs, .reduction = reduction});
      if (reduction == Reduction::Mean && row_inputs) exact.denominator = 12.5;
      const Case c = check::rounded(exact, 32);
      const check::Expectation e = check::expectation(p, c, 32, 4);
      for (int32_t mode : {LOSSC_FORWARD | LOSSC_BACKWARD, static_cast<int>(LOSSC_FORWARD), 0})
        if (mode != 0 || !p.gradients.empty()) compare(p, c, e, {.mode = mode}, "mode");
      for (Strides s : {Strides::RowPadded, Strides::Reversed, Strides::InnerTwo}) compare(p, c, e, {.strides = s}, "strides");
      compare(p, c, e, {.wide_labels = true}, "i64 labels");
      compare(p, c, e, {.threads = 1}, "one thread");
      compare(p, c, e, {.threads = 3, .panel_rows = 2}, "three threads, panels of 2");
      compare(p, c, e, {.threads = 2, .panel_rows = 2, .flags = LOSSC_PLAN_REPRODUCIBLE}, "reproducible");
      for (const Gradient& g : p.gradients) {
        const std::string& name = p.graph.tensors[g.tensor].name;
        if (c.inputs.count(name)) compare(p, c, e, {.only_gradient = name}, "one gradient");
      }
    }
}

// A probability far from the target is small, not wrong: within the tolerance of sums it could as well be 0.
TEST(HlGauss, TheTailsOfTheHistogramKeepTheirDigits) {
  if (!lossc_loss_find("hl_gauss")) GTEST_SKIP() << "hl_gauss is not in the library";
  const Program p = build_all(definition_of("hl_gauss")).front();
  Case exact = sample(p, {.extents = {{"M", 11}}, .extent = 3, .vary_params = false});
  exact.inputs.at("target").data = {0.3, -0.9, 1};
  const Case c = check::rounded(exact, 32);
  const std::vector<double> want = check::expectation(p, c, 32).value.outputs.at("target_probability");
  for (int32_t isa : levels()) {
    const std::vector<double> got = check::run_kernel(p, c, {.isa = isa}).outputs.at("target_probability");
    ASSERT_EQ(got.size(), 33u);
    size_t tails = 0;
    for (size_t k = 0; k < got.size(); k++) {
      EXPECT_NEAR(got[k], want[k], 1e-4 * want[k] + 1e-36) << "isa " << isa << ", element " << k;
      tails += want[k] > 1e-30 && want[k] < 1e-8;
    }
    EXPECT_GT(tails, 5u);
  }
}

std::vector<const Definition*> linked() {
  std::vector<const Definition*> list;
  for (const Definition& d : definitions()) list.push_back(&d);
  return list;
}
INSTANTIATE_TEST_SUITE_P(Losses, Kernels, testing::ValuesIn(linked()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace lossc::tests
