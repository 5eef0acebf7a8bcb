// The rule for 16-bit tensors, on the golden vectors: |ours - float64| <= |PyTorch in that type - float64| + tolerance,
// the largest over each of loss and gradients. tests/golden/lowp has PyTorch's errors.
//
// The tolerance is what no computation can do without: the result is rounded to the type (half a unit in the last place
// of each element, which PyTorch may have been lucky with), and before that came out of f32 arithmetic on inputs that
// are exact (the slack that tests of f32 kernels allow: measured at these inputs, see kernel_case.h). Where PyTorch's
// result is not finite, the tolerance alone counts; where the value is beyond the type, infinity is wanted.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "generators/check/kernel_case.h"
#include "tests/support/golden.h"

#include <lossc/lossc.h>

namespace lossc::tests {
namespace {

using check::KernelCall;
using golden::Json;

bool exact(const std::vector<double>& values, DLDataType type) {
  return std::all_of(values.begin(), values.end(),
                     [&](double v) { return std::isnan(v) || check::round_to(v, type) == v; });
}
bool exact(const Program& p, const Case& c, DLDataType type) {
  bool good = true;
  for (const ir::Tensor& t : p.graph.tensors)
    if (t.type == ir::Type::Float && c.inputs.count(t.name)) good &= exact(c.inputs.at(t.name).data, type);
  for (const auto* a : {&c.row_weight, &c.grad_output})
    if (*a) good &= exact((*a)->data, type);
  return good;
}

// Largest difference and largest tolerance of one quantity; NaN and infinities must be where they belong.
struct Error {
  double error = 0, tolerance = 0;
  std::string wrong;
};
Error measure(const std::vector<double>& got, const std::vector<double>& want, const std::vector<double>& slack,
              DLDataType type) {
  Error e;
  if (got.size() != want.size()) return {0, 0, fmt::format("{} elements, wanted {}", got.size(), want.size())};
  for (size_t k = 0; k < got.size(); k++) {
    const double kept = check::round_to(want[k], type);
    if (slack[k] < 0) continue;  // decided by a rounding error
    if (std::isnan(kept) ? !std::isnan(got[k]) : std::isinf(kept) && got[k] != kept)
      e.wrong = fmt::format("element {} is {}, wanted {}", k, got[k], kept);
    if (!std::isfinite(kept)) continue;
    const int digits = type.code == kDLBfloat ? 8 : 11, least = type.code == kDLBfloat ? -126 : -14;
    const double size = std::abs(want[k]) + 4 * slack[k];
    const double unit = std::ldexp(1.0, std::max(size > 0 ? std::ilogb(size) : least, least) - digits + 1);
    e.tolerance = std::max(e.tolerance, unit / 2 + 4 * slack[k]);
    if (!(std::abs(got[k] - want[k]) <= e.error)) e.error = std::abs(got[k] - want[k]);
  }
  return e;
}

class LowGolden : public testing::Test {
 public:
  LowGolden(const GoldenCase& c, const Json* torch, DLDataType type) : case_(c), torch_(torch), type_(type) {}

  void TestBody() override {
    try {
      run();
    } catch (const std::exception& e) {
      FAIL() << e.what();
    }
  }

 private:
  void run() {
    if (!lossc_loss_find(case_.loss.c_str())) GTEST_SKIP() << "the library has no loss '" << case_.loss << "'";
    const Program p = program_for(definition_of(case_.loss), case_);
    if (!exact(p, case_, type_)) GTEST_SKIP() << "an input is not exact in this type";
    for (const ir::Param& q : p.graph.params) {
      auto given = case_.params.find(q.name);
      if (given != case_.params.end() && (given->second < q.low || given->second > q.high))
        GTEST_SKIP() << q.name << " = " << given->second << ", which calls may not give";
    }
    KernelCall call;
    call.real = type_;
    const Case c = shaped(p);
    const check::Results got = check::run_kernel(p, c, call);
    const check::Expectation e = check::expectation(p, c, 32, 4);
    judge("loss", measure(got.loss, case_.loss_values, e.slack.loss, type_), torch_error("loss"));
    for (const auto& [name, want] : case_.gradients) {
      ASSERT_TRUE(got.gradients.count(name)) << name;
      judge("gradient of " + name, measure(got.gradients.at(name), want, e.slack.gradients.at(name), type_),
            torch_error(name));
    }
  }

  // What is over the rows is flat in the files, and has the rows' shape for the C API.
  Case shaped(const Program& p) const {
    Case c = case_;
    const std::vector<int64_t> shape = check::full_shape(p, c, p.rows);
    for (auto* a : {&c.row_weight, &c.row_mask, &c.grad_output})
      if (*a && (*a)->shape.size() == 1 && !shape.empty()) (*a)->shape = shape;
    return c;
  }

  // NaN: not finite, or PyTorch lacks the operation in this type.
  double torch_error(const std::string& name) const {
    if (torch_ == nullptr || torch_->contains("skipped")) return NAN;
    const double e = golden::number(name == "loss" ? torch_->at("loss") : torch_->at("gradients").at(name));
    return std::isfinite(e) ? e : NAN;
  }

  void judge(const std::string& what, const Error& e, double torch) const {
    EXPECT_EQ(e.wrong, "") << what;
    EXPECT_LE(e.error, (std::isnan(torch) ? 0 : torch) + e.tolerance)
        << what << ": PyTorch is off by " << torch << ", unavoidable are " << e.tolerance;
    if (std::isnan(torch)) return;
    RecordProperty(what + " ours", fmt::format("{:.3g}", e.error));
    RecordProperty(what + " torch", fmt::format("{:.3g}", torch));
  }

  const GoldenCase& case_;
  const Json* torch_;
  DLDataType type_;
};

Json read(const std::filesystem::path& path) {
  std::ifstream in(path);
  return in ? Json::parse(in, nullptr, false) : Json();
}

TEST(LowGoldenFiles, EveryLossHasOneWithEveryCase) {
  for (const GoldenFile& f : golden_files()) {
    const Json j = read(f.path.parent_path() / "lowp" / f.path.filename());
    ASSERT_TRUE(j.is_object() && j.contains("cases")) << f.path << ": run tests/golden/make_goldens.py";
    for (const GoldenCase& c : f.cases) EXPECT_TRUE(j["cases"].contains(c.name)) << f.loss << "/" << c.name;
  }
}

}  // namespace

void register_low_golden_tests() {
  static const std::vector<GoldenFile> files = golden_files();
  static std::map<std::string, Json> torch;
  for (const GoldenFile& f : files) {
    torch[f.loss] = read(f.path.parent_path() / "lowp" / f.path.filename());
    for (const GoldenCase& c : f.cases) {
      for (const auto& [name, type] : {std::pair{"f16", check::kF16}, {"bf16", check::kBF16}}) {
        const Json& cases = torch[f.loss]["cases"];
        const Json* found = cases.contains(c.name) ? &cases.at(c.name).at(name) : nullptr;
        testing::RegisterTest(("LowGolden." + f.loss).c_str(), (c.name + "_" + name).c_str(), nullptr, nullptr, __FILE__,
                              __LINE__, [&c, found, type]() -> testing::Test* { return new LowGolden(c, found, type); });
      }
    }
  }
}

static const bool registered = (register_low_golden_tests(), true);

}  // namespace lossc::tests
