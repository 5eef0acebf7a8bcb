// Definitions against golden vectors of independent implementations: value, derived gradient, and the gradient against
// differences of the value. One test per case of every file in tests/golden.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <map>

#include "dsl/case.h"
#include "dsl/finite_difference.h"
#include "dsl/oracle.h"
#include "tests/support/tolerance.h"

namespace lossc::tests {
namespace {

class Golden : public testing::Test {
 public:
  explicit Golden(const GoldenCase& c) : case_(c) {}

  void TestBody() override {
    try {
      run();
    } catch (const std::exception& e) {
      FAIL() << e.what();
    }
  }

 private:
  void run() {
    const Program p = program_for(definition_of(case_.loss), case_);
    ASSERT_EQ(unknown_names(p, case_), "") << "the definition does not know these";
    const Inputs inputs = oracle_inputs(p, case_);
    Oracle oracle(p.graph, inputs);
    const bool rows = case_.reduction == Reduction::None;
    EXPECT_TRUE(close(rows ? oracle.evaluate(p.loss_rows, p.rows).data : oracle.evaluate(p.loss).data,
                      case_.loss_values, kGolden))
        << "loss";
    for (const NamedOutput& o : p.outputs) {
      if (!case_.outputs.count(o.name)) continue;
      EXPECT_TRUE(close(oracle.evaluate(o.node, o.indices).data, case_.outputs.at(o.name), kGolden)) << o.name;
    }
    std::map<std::string, std::vector<double>> gradients;
    for (const Gradient& g : p.gradients) check_gradient(p, inputs, oracle, g, gradients);
    for (const auto& [name, want] : case_.gradients) EXPECT_TRUE(gradients.count(name)) << "no gradient for " << name;
  }

  void check_gradient(const Program& p, const Inputs& inputs, Oracle& oracle, const Gradient& g,
                      std::map<std::string, std::vector<double>>& gradients) {
    const ir::Tensor& t = p.graph.tensors[g.tensor];
    if (!case_.inputs.count(t.name)) return;
    const std::vector<double> got = gradients[t.name] = oracle.evaluate(g.node, t.dims).data;
    auto want = case_.gradients.find(t.name);
    if (want != case_.gradients.end()) {
      EXPECT_TRUE(close(got, want->second, kGolden)) << "gradient of " << t.name;
    }
    if (got.size() > kLargest) return;  // quadratic in the size, and small cases say the same
    // Where golden cases sit on kinks (ties, zero vectors), the rules of the kinks are the golden vector's to check.
    EXPECT_TRUE(close(got, finite_difference(p, inputs, g.tensor), 0)) << "gradient of " << t.name << " by differences";
  }

  static constexpr size_t kLargest = 600;
  const GoldenCase& case_;
};

TEST(GoldenFiles, EveryLossHasOne) {
  std::map<std::string, size_t> cases;
  for (const GoldenFile& f : golden_files()) {
    EXPECT_EQ(f.error, "") << f.path;
    cases[f.loss] += f.cases.size();
  }
  for (const Definition& d : definitions()) {
    EXPECT_GT(cases[d.name], 0u) << "loss '" << d.name << "' has no golden vectors in tests/golden";
    RecordProperty(d.name, int(cases[d.name]));
  }
  for (const auto& [loss, n] : cases) EXPECT_NO_THROW(definition_of(loss)) << "golden vectors without a definition";
}

}  // namespace

void register_golden_tests() {
  static const std::vector<GoldenFile> files = golden_files();
  for (const GoldenFile& f : files) {
    for (const GoldenCase& c : f.cases)
      testing::RegisterTest(("Golden." + f.loss).c_str(), c.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [&c]() -> testing::Test* { return new Golden(c); });
  }
}

// gtest_main calls no function of ours before it runs the tests, so they register with the static objects.
static const bool registered = (register_golden_tests(), true);

}  // namespace lossc::tests
