// Steps written by hand as Halide code: what they are to the oracle, to the derivative and to the kernels, and what is
// refused.
#include <gtest/gtest.h>
#include <lossc/halide.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "dsl/fuzz/tree.h"
#include "dsl/hessian.h"
#include "generators/lower/lower.h"
#include "tests/support/by_hand_words.h"
#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using Halide::Expr;
using Exprs = std::vector<Expr>;
using Values = std::vector<double>;
constexpr double kInf = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

lossc::Expr cube(Arg x) {
  return halide_expr("cube", {x}, [](HalideOperands v) { return v[0] * v[0] * v[0]; },
                     [](HalideOperands v) -> Exprs { return {3 * v[0] * v[0]}; });
}

// A step whose value is `value` of one operand, over rows, with a derivative that nobody asks for.
std::function<void()> rows_of(HalideValue value) {
  return [value] {
    auto i = axis("N");
    auto x = input("x", {i});
    loss_per(i, halide_expr("step", {x(i)}, value, [](HalideOperands v) -> Exprs { return {v[0]}; }));
  };
}
Values value_at(const HalideValue& value, Values x) { return evaluate(rows_of(value), sum_of({{"x", array(std::move(x))}})).rows; }

TEST(ByHand, IsWhatItSays) {
  const auto body = [] {
    auto i = axis("N");
    auto x = input("x", {i}), w = input("w", {i});
    loss_per(i, cube(x(i) + 1) * w(i));
  };
  const Outcome out = check(body, sum_of({{"x", array({-2, 0, 0.5})}, {"w", array({1, 2, 3})}}));
  EXPECT_EQ(out.rows, (Values{-1, 2, 10.125}));
  EXPECT_EQ(out.gradient.at("x"), (Values{3, 6, 20.25}));
}

TEST(ByHand, ComesByNameInMessagesAndPlans) {
  const Program p = program_for(definition([] {
    auto i = axis("N");
    auto x = input("x", {i});
    loss_per(i, cube(x(i)));
  }), sum_of({{"x", array({1})}}));
  EXPECT_EQ(ir::print(p.graph, p.value), "cube(x(n))");
  EXPECT_NE(plan::print(plan::make_plan(p)).find("cube_d0(x("), std::string::npos);
}

// Integers and truth values, an operand that is no element of a tensor, reductions around it, two operands.
TEST(ByHand, TakesEveryTypeAndPlace) {
  const auto body = [] {
    auto i = axis("N"), c = axis("C");
    auto x = input("x", {i, c}), w = input("w", {c});
    auto y = labels("y", {i}, "-").in_range(c);
    auto s = halide_expr("signed_power", {x(i, c), w(c), c == y(i), y(i)},
                         [](HalideOperands v) { return select(v[2], v[0], -v[0]) * exp(v[1]) + cast(v[0].type(), v[3]); },
                         [](HalideOperands v) -> Exprs {
                           const Expr sign = select(v[2], literal(1, v[0]), literal(-1, v[0])), e = exp(v[1]);
                           return {sign * e, sign * v[0] * e, Expr(), Expr()};
                         });
    loss_per(i, logsumexp(c, s) - sum(c, s * softmax(c, x(i, c))));
  };
  check(body, sum_of({{"x", uniform({3, 4}, -1, 1)}, {"w", uniform({4}, -1, 1, 2)}, {"y", array({0, 3, 1})}}));
}

TEST(ByHand, InARecurrence) {
  check([] {
    auto t = axis("T");
    auto x = input("x", {t});
    const auto step = [&](const std::vector<lossc::Expr>& u) { return std::vector<lossc::Expr>{cube(0.5 * u[0]) + x(t)}; };
    loss_per(t, scan(t, {{Indices({}), 0.5}}, step)[0]);
  }, sum_of({{"x", uniform({4}, -1, 1)}}));
}

TEST(ByHand, KeepsNanAndInfinities) {
  const Values at{-kInf, -1, 0, 1, kInf, kNaN};
  const auto expect = [&](const HalideValue& f, const Values& want) { EXPECT_TRUE(close(value_at(f, at), want, {1e-15, 0})); };
  expect([](HalideOperands v) { return max(v[0], 0); }, {0, 0, 0, 1, kInf, kNaN});
  expect([](HalideOperands v) { return clamp(v[0], -1, 1); }, {-1, -1, 0, 1, 1, kNaN});
  expect([](HalideOperands v) { return v[0] - v[0]; }, {kNaN, 0, 0, 0, kNaN, kNaN});
  expect([](HalideOperands v) { return select(v[0] == v[0], 1.0f, 2.0f) * literal(1, v[0]); }, {1, 1, 1, 1, 1, 2});
  expect([](HalideOperands v) { return 1 / -v[0]; }, {0, 1, -kInf, -1, 0, kNaN});
  expect([](HalideOperands v) { return exp(v[0]); }, {0, std::exp(-1), 1, M_E, kInf, kNaN});
  expect([](HalideOperands v) { return lossc::erf(v[0]) + log1p(abs(v[0])); },
         {kInf, std::log(2) - std::erf(1), 0, std::log(2) + std::erf(1), kInf, kNaN});
  expect([](HalideOperands v) { return erfc(v[0]); }, {2, std::erfc(-1), 1, std::erfc(1), 0, kNaN});
}

TEST(ByHand, WrongDerivativeShows) {
  const auto body = [] {
    auto i = axis("N");
    auto x = input("x", {i});
    loss_per(i, halide_expr("cube", {x(i)}, [](HalideOperands v) { return v[0] * v[0] * v[0]; },
                            [](HalideOperands v) -> Exprs { return {2 * v[0] * v[0]}; }));
  };
  const Case c = sum_of({{"x", array({1, 2})}});
  const Program p = program_for(definition(body), c);
  const std::vector<Difference> d = finite_difference(p, oracle_inputs(p, c), p.gradients[0].tensor);
  EXPECT_NEAR(d[1].value, 12, 4 * d[1].error);
  EXPECT_EQ(evaluate(body, c).gradient.at("x"), (Values{2, 8}));
}

// A Hessian-vector product in one direction, with the second derivatives given.
TEST(ByHand, SecondDerivativeIsGivenOrRefused) {
  const auto product = [](bool given) {
    return [given] {
      auto i = axis("N");
      auto x = input("x", {i}), w = input("w", {i});
      const HalideSecond second = [](HalideOperands v) -> std::vector<Exprs> {
        return {{2 * v[1], 2 * v[0]}, {2 * v[0], literal(0, v[0])}};
      };
      loss_per(i, halide_expr("square_times", {x(i), w(i)}, [](HalideOperands v) { return v[0] * v[0] * v[1]; },
                              [](HalideOperands v) -> Exprs { return {2 * v[0] * v[1], v[0] * v[0]}; }, given ? second : HalideSecond()));
    };
  };
  const Case c = sum_of({{"x", array({3, 2})}, {"w", array({5, 7})}});
  Program p = program_for(definition(product(true)), c);
  Inputs inputs = oracle_inputs(p, c);
  const HessianProduct h = add_hessian_product(p);
  inputs.tensors.resize(p.graph.tensors.size());
  inputs.tensors[static_cast<size_t>(h.directions[0])] = {1, 0};
  inputs.tensors[static_cast<size_t>(h.directions[1])] = {0, 1};
  Oracle oracle(p.graph, inputs);
  std::map<std::string, Values> got;
  for (const Gradient& g : h.products) got[p.graph.tensors[g.tensor].name] = oracle.evaluate(g.node, p.graph.tensors[g.tensor].dims).data;
  EXPECT_EQ(got.at("x"), (Values{10, 4}));
  EXPECT_EQ(got.at("w"), (Values{6, 0}));

  Program refused = program_for(definition(product(false)), c);
  try {
    add_hessian_product(refused);
    ADD_FAILURE() << "a second derivative that nobody gave";
  } catch (const DefinitionError& e) {
    const std::string text = e.what();
    EXPECT_TRUE(text.starts_with("by_hand_test.cpp:") && !text.starts_with("by_hand_test.cpp:0:")) << text;
    EXPECT_NE(text.find(": loss 'test': `square_times_d1` has no derivative by its operand "), std::string::npos) << text;
  }
}

// ---- steps that read at will --------------------------------------------------------------------------------------

// The mean of both neighbours, at an end of the end itself: its own adjoint.
const HalideBody kNeighbours = [](const HalideStep& s) {
  const HalideReader& x = s.in.back();
  return (x(s.at[0], s.at[1] - 1) + x(s.at[0], s.at[1] + 1)) / 2;
};

TEST(ByHand, StepReadsNeighbours) {
  const auto body = [] {
    auto i = axis("N"), p = axis("P");
    auto x = input("x", {i, p}), w = input("w", {i, p});
    const auto blurred = halide_step("neighbours", {{sq(x(i, p)), {i, p}}}, {i, p}, kNeighbours, {kNeighbours});
    loss_per(i, sum(p, blurred * w(i, p)));
  };
  const Array x = array({2, 3}, {1, 2, 3, -1, 0, 2}), w = array({2, 3}, {1, 0, 2, 0, 3, 1});
  const Outcome out = check(body, sum_of({{"x", x}, {"w", w}}));
  EXPECT_EQ(out.rows, (Values{(1 + 4) / 2. + (4 + 9) / 2. * 2, (1 + 4) / 2. * 3 + (0 + 4) / 2.}));
  EXPECT_EQ(out.gradient.at("w"), (Values{2.5, 5, 6.5, 0.5, 2.5, 2}));
}

// Reductions of its own over all rows, operands of different indices, one of them a caller's tensor as it stands.
lossc::Expr bumps(Index i, Index k, Arg x, Arg c) {
  const auto bump = [](const Expr& x, const Expr& c) { return exp(-(x - c) * (x - c)); };
  return halide_step("bumps", {{x, i}, {c, k}}, k,
      [=](const HalideStep& s) {
        Halide::RDom r(0, s.in[0].extent[0]);
        return Halide::sum(bump(s.in[0](r.x), s.in[1](s.at[0])));
      },
      {[=](const HalideStep& s) {
         Halide::RDom r(0, s.in[1].extent[0]);
         const Expr x = s.in[0](s.at[0]), c = s.in[1](r.x);
         return Halide::sum(s.in[2](r.x) * 2 * (c - x) * bump(x, c));
       },
       [=](const HalideStep& s) {
         Halide::RDom r(0, s.in[0].extent[0]);
         const Expr x = s.in[0](r.x), c = s.in[1](s.at[0]);
         return s.in[2](s.at[0]) * Halide::sum(2 * (x - c) * bump(x, c));
       }});
}

TEST(ByHand, StepReducesOverTheRows) {
  const auto body = [] {
    auto i = axis("N"), k = axis("K");
    auto x = input("x", {i}), c = input("c", {k}), w = input("w", {i, k});
    loss_per(i, sum(k, w(i, k) * log(bumps(i, k, tanh(x(i)), c(k)))));
  };
  const Case c = sum_of({{"x", uniform({5}, -1, 1)}, {"c", uniform({3}, -1, 1, 2)}, {"w", uniform({5, 3}, -1, 1, 3)}});
  check(body, c);
  const Program p = program_for(definition(body), c);
  const plan::Plan plan = plan::make_plan(p);
  EXPECT_EQ(plan::unsound(plan), "") << plan::print(plan);
}

TEST(ByHand, StepOfATwinAndAnElementOfIt) {
  check([] {
    auto [i, j] = batch_pair("N");
    auto d = axis("D");
    auto z = input("z", {i, d});
    auto s = halide_step("shifted", {{tanh(z(j, d)), {j, d}}}, {d, j}, [](const HalideStep& s) { return s.in[0](s.at[1], s.at[0] + 1); },
                         {[](const HalideStep& s) {
                           const Expr d = s.at[1], last = s.extent[1] - 1;  // what reads d is d - 1, and the last itself
                           const Expr before = select(d > 0, s.in[1](d - 1, s.at[0]), literal(0, s.in[1](0, 0)));
                           return before + select(d == last, s.in[1](d, s.at[0]), literal(0, before));
                         }});
    loss_per(i, logsumexp(j, sum(d, s * z(i, d)), i != j) + at(sum(d, s), j, (i + 1) % extent(i)));
  }, sum_of({{"z", uniform({4, 3}, -1, 1)}}));
}

TEST(ByHand, StepRefusesEmptyOperands) {
  const Program p = build_all(definition([] {
    auto i = axis("N"), k = axis("K");
    auto x = input("x", {i}), c = input("c", {k});
    loss_per(k, bumps(i, k, x(i), c(k)));
  }))[0];
  ASSERT_EQ(p.requirements.size(), 2u);
  EXPECT_EQ(p.requirements[0].text, "axis 'N' not to be empty, for 'bumps' reads along it");
  EXPECT_EQ(unmet(p, {2, 3}), nullptr);
  EXPECT_NE(unmet(p, {0, 3}), nullptr);
}

// ---- kernels ------------------------------------------------------------------------------------------------------

std::set<std::string> kernels_of(const HalideValue& value) {
  const Program p = program_for(definition(rows_of(value)), sum_of({{"x", array({1})}}));
  const plan::Plan plan = plan::make_plan(p);
  std::set<std::string> out;
  for (size_t s = 0; s < plan.steps.size(); s++) out.insert(lower::signature(plan, static_cast<int>(s)).structure);
  return out;
}

// What a cached kernel is found by: the code itself, to the last bit of its numbers, and not what Halide happens to call
// its parts this time.
TEST(ByHand, KernelsAreKeptByTheirCode) {
  const auto shifted = [](double by) { return [by](HalideOperands v) { return v[0] + literal(by, v[0]); }; };
  EXPECT_EQ(kernels_of(shifted(0.1)), kernels_of(shifted(0.1)));
  EXPECT_NE(kernels_of(shifted(0.1)), kernels_of(shifted(std::nextafter(0.1, 1))));
  const auto shared = [](HalideOperands v) {
    Expr w = v[0];
    for (int k = 0; k < 40; k++) w = w * w + w;  // as a tree it would not fit into any memory
    return w;
  };
  EXPECT_EQ(kernels_of(shared), kernels_of(shared));
}

// A program of the fuzzer's, printed, is one that the tool reads: with the header, and no lambda's names mixed up with its own.
TEST(ByHand, RandomProgramsPrintAsDefinitions) {
  const std::filesystem::path file = std::filesystem::temp_directory_path() / ("lossc_by_hand_test." + std::to_string(getpid()) + ".cpp");
  for (const char* step : {"bend", "turn", "lean", "soft_rank"}) {
    std::string text;
    for (unsigned seed = 1; text.find(step) == std::string::npos; seed++) text = fuzz::text(fuzz::generate(seed));
    std::ofstream(file) << text;
    EXPECT_EQ(WEXITSTATUS(std::system((LOSSC_CLI " describe " + file.string() + " > /dev/null").c_str())), 0) << text;
  }
  std::filesystem::remove(file);
}

// The tool on a file: in a process of its own, with the kernels' own compiler, at every level that any machine has.
nlohmann::json checked(const std::string& body, const std::string& words, int* status) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("lossc_by_hand_test." + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  setenv("LOSSC_CACHE", (folder / "cache").c_str(), 1);
  std::ofstream(folder / "own.cpp") << "#include <lossc/halide.h>\nusing namespace lossc;\nLOSSC_LOSS(own, \"regression\") {\n"
                                    << "  about({.title = \"-\", .paper = \"-\", .equation = \"-\", .edges = \"-\"});\n"
                                    << "  auto i = axis(\"N\"), c = axis(\"C\");\n"
                                    << "  auto x = tensor(\"x\", {i, c}, \"-\");\n" << body << "}\n";
  FILE* pipe = popen((LOSSC_CLI " check --json " + (folder / "own.cpp").string() + " " + words + " 2>" + (folder / "err").string()).c_str(), "r");
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  *status = WEXITSTATUS(pclose(pipe));
  std::ifstream err(folder / "err");
  std::string text{std::istreambuf_iterator<char>(err), {}};
  std::filesystem::remove_all(folder);
  return nlohmann::json::parse(out, nullptr, false).is_discarded() ? nlohmann::json{{"err", text + out}} : nlohmann::json::parse(out);
}

// Every function that a step may call and every operator that strictness is about, on ordinary values and on those made to
// break kernels: infinities, NaN, ties.
TEST(ByHand, KernelsAgreeWithTheOracle) {
  const std::string body = R"(
    auto s = halide_expr("everything", {x(i, c), c}, [](HalideOperands v) {
      const Halide::Expr x = v[0], small = x / (1 + abs(x)), positive = literal(0.1, x) + x * x;
      Halide::Expr sum = exp(small) + log(positive) + sqrt(positive) + tanh(x) + sin(small) * cos(small) + tan(small);
      sum = sum + asin(small) + acos(small) + atan(x) + atan2(x, positive) + pow(positive, small) + floor(x) + ceil(x) + trunc(x);
      sum = sum + sinh(small) + cosh(small) + asinh(x) + acosh(1 + positive) + atanh(small) + round(x);
      sum = sum + expm1(small) + log1p(positive) + sigmoid(x) + softplus(x) + lossc::erf(x) + erfc(x) + lgamma(positive) + digamma(1 + positive) + trigamma(1 + positive);
      sum = sum + select(is_nan(x) || is_inf(x) || !is_finite(x), literal(2, x), literal(3, x));
      sum = sum + min(x, 1) - max(x, small) + clamp(x, -1, 1) + select(x >= 0 && x != 1, x, -x) + select(x < small, x, small);
      return select(v[1] % 2 == 0, sum, sum * x - 1);
    }, [](HalideOperands v) -> std::vector<Halide::Expr> { return {v[0], Halide::Expr()}; });
    loss_per(i, mean(c, stop_gradient(s) + x(i, c)));
)";
  for (const char* isa : {"sse41", "avx2"}) {
    int status = -1;
    const auto r = checked(body, std::string("--dtype f32,f64 --isa ") + isa, &status);
    EXPECT_EQ(status, 0) << isa << "\n" << r.dump(1);
    if (!r.contains("results")) continue;
    for (const auto& one : r["results"]) EXPECT_GT(one["calls"], 10) << one;
  }
}

// The same as kernels; the operands of a step come from a panel, its result goes into one, its own Funcs are vectors.
TEST(ByHand, StepsAgreeWithTheOracle) {
  const std::string body = R"(
    auto s = halide_step("soft_rank", {{x(i, c) * 2.0, {i, c}}, {x(i, c), {i, c}}}, {i, c}, [](const HalideStep& s) {
      Halide::RDom r(0, s.in[0].extent[1]);
      const Halide::Expr own = s.in[0](s.at[0], s.at[1]);
      return Halide::sum(sigmoid(s.in[1](s.at[0], r.x) - own)) + max(own, 0) + exp(min(own, 1));
    }, {[](const HalideStep& s) {
      Halide::RDom r(0, s.in[0].extent[1]);
      const Halide::Expr own = s.in[0](s.at[0], s.at[1]), p = sigmoid(s.in[1](s.at[0], r.x) - own), g = s.in[2](s.at[0], s.at[1]);
      return g * (select(own > 0, literal(1, own), literal(0, own)) + select(own < 1, exp(own), literal(0, own)) - Halide::sum(p * (1 - p)));
    }, [](const HalideStep& s) {
      Halide::RDom r(0, s.in[0].extent[1]);
      const Halide::Expr p = sigmoid(s.in[1](s.at[0], s.at[1]) - s.in[0](s.at[0], r.x));
      return Halide::sum(s.in[2](s.at[0], r.x) * p * (1 - p));
    }});
    loss_per(i, logsumexp(c, s) - mean(c, sq(s)));
)";
  for (const char* isa : {"sse41", "avx2"}) {
    int status = -1;
    const auto r = checked(body, std::string("--dtype f32,f64 --isa ") + isa, &status);
    EXPECT_EQ(status, 0) << isa << "\n" << r.dump(1);
  }
}

// An operand that is the same along a coordinate, or a number: the RDom is in what a reader gives nevertheless.
TEST(ByHand, StepsReduceOperandsThatLackAnIndex) {
  const std::string body = R"(
    auto w = tensor("w", {c}, "-");
    const HalideBody sums = [](const HalideStep& s) {
      Halide::RDom r(0, s.in[0].extent[0]);
      return Halide::sum(tanh(s.in[0](r.x, s.at[1]))) - s.in[0](s.at[0], s.at[1]);
    };
    const HalideBody adjoint = [](const HalideStep& s) {
      Halide::RDom r(0, s.in[1].extent[0]);
      const Halide::Expr t = tanh(s.in[0](s.at[0], s.at[1]));
      return Halide::sum((1 - t * t) * s.in[1](r.x, s.at[1])) - s.in[1](s.at[0], s.at[1]);
    };
    loss_per(i, mean(c, sq(halide_step("same", {{w(c), {i, c}}}, {i, c}, sums, {adjoint})) * x(i, c) +
                        halide_step("number", {{Expr(0.5), {i, c}}}, {i, c}, sums, {adjoint})));
)";
  int status = -1;
  const auto r = checked(body, "--dtype f32 --isa sse41", &status);
  EXPECT_EQ(status, 0) << r.dump(1);
}

TEST(ByHand, CheckTellsOfAWrongDerivative) {
  int status = -1;
  const auto r = checked(R"(
    auto s = halide_expr("cube", {x(i, c)}, [](HalideOperands v) { return v[0] * v[0] * v[0]; },
                         [](HalideOperands v) -> std::vector<Halide::Expr> { return {2 * v[0] * v[0]}; });
    loss_per(i, sum(c, s));
)", "--isa sse41", &status);
  EXPECT_EQ(status, 1) << r;
  ASSERT_TRUE(r.contains("results")) << r;
  const auto& one = r["results"][0];
  EXPECT_EQ(one["by_hand"], nlohmann::json::array({"cube"}));
  EXPECT_EQ(one["failures"][0].get<std::string>().find("gradient of x: element 0 is "), 0u) << one["failures"];
}

// ---- mistakes -----------------------------------------------------------------------------------------------------

const HalideDerivatives kOne = [](HalideOperands v) -> Exprs { return {literal(1, v[0])}; };

void expect_refused(const HalideValue& value, const HalideDerivatives& derivatives, const std::string& what, const HalideSecond& second = {}) {
  static std::function<void()> current;
  current = [&] {
    about({.title = "-", .paper = "-", .equation = "-", .edges = "-"});
    auto i = axis("N");
    auto x = input("x", {i});
    loss_per(i, halide_expr("step", {x(i)}, value, derivatives, second));
  };
  try {
    build_all({"test", "test", __FILE__, [] { current(); }});
    ADD_FAILURE() << "not refused: " << what;
  } catch (const DefinitionError& e) {
    EXPECT_EQ(std::string(e.what()).find("by_hand_test.cpp:"), 0u) << e.what();
    EXPECT_NE(std::string(e.what()).find(": loss 'test': halide_expr \"step\": " + what), std::string::npos) << e.what();
  }
}

TEST(ByHand, MistakesAreToldWithTheLine) {
  const HalideValue good = [](HalideOperands v) { return v[0]; };
  expect_refused({}, kOne, "no function for the value");
  expect_refused(good, {}, "no function for the derivatives");
  expect_refused([](HalideOperands) { return Expr(); }, kOne, "the value is an undefined Halide::Expr");
  expect_refused([](HalideOperands v) { return cast<int>(v[0]); }, kOne, "the value is int32 where the operands are float32");
  expect_refused([](HalideOperands v) { return v[0] * Expr(0.1); }, kOne,
                 "the value is float64 where the operands are float32; a constant is literal(0.1, x)");
  expect_refused(good, [](HalideOperands) { return Exprs(); }, "the derivatives are 0 expressions for 1 operands; want one each");
  expect_refused(good, [](HalideOperands) { return Exprs(1); }, "the derivatives, number 0, is an undefined Halide::Expr");
  expect_refused(good, kOne, "the second derivatives are 0 rows for 1 operands", [](HalideOperands) { return std::vector<Exprs>(); });
  expect_refused([](HalideOperands v) { return v[0] + Halide::erf(v[0]); }, kOne, "the value: Halide says: Error: erf only takes float arguments");
  expect_refused([](HalideOperands v) { return v[0] + cast(v[0].type(), Halide::random_float()); }, kOne, "the value uses random()");
  expect_refused([](HalideOperands v) { return v[0] * cast(v[0].type(), Halide::Var("elsewhere")); }, kOne,
                 "the value depends on 'elsewhere', which is none of its operands");
  expect_refused([](HalideOperands v) {
    Halide::Func f("other");
    Halide::Var k;
    f(k) = cast(v[0].type(), k);
    return f(3);
  }, kOne, "the value reads 'other', though a step of halide_expr is made of elements alone");
}

TEST(ByHand, MistakesOfAStepAreToldWithTheLine) {
  static std::function<lossc::Expr(Index, Index, Tensor)> current;
  const auto refused = [&](std::function<lossc::Expr(Index, Index, Tensor)> step, const std::string& what) {
    current = std::move(step);
    try {
      build_all({"test", "test", __FILE__, [] {
        about({.title = "-", .paper = "-", .equation = "-", .edges = "-"});
        auto i = axis("N"), c = axis("C");
        auto x = input("x", {i, c});
        loss_per(i, sum(c, current(i, c, x)));
      }});
      ADD_FAILURE() << "not refused: " << what;
    } catch (const DefinitionError& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with("by_hand_test.cpp:")) << e.what();
      EXPECT_NE(std::string(e.what()).find(": loss 'test': halide_step \"step\": " + what), std::string::npos) << e.what();
    }
  };
  const HalideBody good = [](const HalideStep& s) { return s.in[0](s.at[0], s.at[1]); };
  const auto of = [&](HalideBody body) {
    return [=](Index i, Index c, Tensor x) { return halide_step("step", {{x(i, c), {i, c}}}, {i, c}, body, {good}); };
  };
  refused([&](Index i, Index c, Tensor x) { return halide_step("step", {{x(i, c), c}}, {i, c}, good, {good}); },
          "operand `x(n, c)` depends on {n}, which is not among its indices {c}");
  refused([&](Index i, Index c, Tensor x) { return halide_step("step", {{x(i, c), {i, c}}}, {i, c}, good, {}); }, "0 adjoints for 1 operands");
  refused([&](Index i, Index c, Tensor x) { return halide_step("step", {{x(i, c), {i, c}}}, {i, c}, good, {{}}); }, "no adjoint of operand 0, a float");
  refused([&](Index i, Index c, Tensor x) { return halide_step("step", {{x(i, c), {i, c}}}, {i, i}, good, {good}); }, "index 'n' twice in one list");
  refused(of([](const HalideStep& s) { return s.in[0](s.at[0]); }), "operand 0 is read at 1 coordinates, but has 2 indices");
  refused(of([](const HalideStep& s) { return s.in[0](s.at[0], 0.5f); }), "operand 0 is read at a coordinate that is no int32");
  refused(of([](const HalideStep& s) { return cast<float>(s.at[0]); }), "the value is float32 where the operands are float64");
  refused(of([](const HalideStep& s) {
    Halide::Func f("kept");
    Halide::Var k;
    f(k) = s.in[0](k, 0);
    f.compute_root();
    return f(s.at[0]);
  }), "the value has a schedule for 'kept'");
  refused(of([](const HalideStep& s) {
    Halide::Buffer<float> table(3, "table");
    return cast(s.in[0](0, 0).type(), table(s.at[0]));
  }), "the value reads 'table', which is none of its operands");
}

}  // namespace
}  // namespace lossc::tests
