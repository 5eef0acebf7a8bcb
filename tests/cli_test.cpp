// The command line tool as a program: what it prints, and the exit codes that scripts go by.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace lossc::tests {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Ran {
  int code;
  std::string out;  // with stderr, unless the caller sent that elsewhere
};

Ran shell(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  Ran r{-1, {}};
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) r.out.append(buffer, n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) r.code = WEXITSTATUS(status);
  return r;
}
Ran lossc(const std::string& words) { return shell(LOSSC_CLI " " + words + " 2>&1"); }
Json lossc_json(const std::string& words) {
  const Ran r = shell(LOSSC_CLI " " + words + " --json 2>/dev/null");
  EXPECT_EQ(r.code, 0) << words << "\n" << r.out;
  return Json::parse(r.out, nullptr, false);
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A folder of its own, with a kernel cache in it, so that nothing of an earlier run answers.
class Cli : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("lossc_cli_test." + std::to_string(getpid()));
    fs::create_directories(folder_);
    setenv("LOSSC_CACHE", (folder_ / "cache").c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A file with a loss of that name; the body begins with a line's end.
  std::string loss_file(const std::string& name, const std::string& body) {
    const fs::path path = folder_ / (name + ".cpp");
    std::ofstream(path) << "#include <lossc/loss.h>\nusing namespace lossc;\nLOSSC_LOSS(" << name << ", \"regression\") {\n"
                        << "  about({.title = \"Title of " << name << "\", .paper = \"none\", .equation = \"e\", .edges = \"none\"});"
                        << body << "}\n";
    return path;
  }
  // The same, with `loss` as the loss of row i over tensors x, y and the param a.
  std::string definition(const std::string& name, const std::string& loss) {
    return loss_file(name, R"(
  auto i = axis("N", "elements");
  auto x = tensor("input", {i}, "prediction"), y = tensor("target", {i}, "observation");
  auto a = param("a", 2, "some factor").positive();
  loss_per(i, )" + loss + ");\n");
  }
  fs::path folder_;
};

TEST_F(Cli, ExitCodesSayWhoseFaultItIs) {
  EXPECT_EQ(lossc("--help").code, 0);
  EXPECT_TRUE(has(lossc("--help").out, "Exit codes"));
  EXPECT_EQ(lossc("").code, 2);
  EXPECT_EQ(lossc("fly").code, 2);
  EXPECT_EQ(lossc("describe huber --nonsense").code, 2);
  EXPECT_EQ(lossc("describe no_such_loss").code, 2);
  EXPECT_EQ(lossc("check no_such_file.cpp").code, 2);
  EXPECT_EQ(lossc("bench huber --shape N=ten").code, 2);
  EXPECT_EQ(lossc("bench huber --shape M=10").code, 2);
  EXPECT_EQ(lossc("explain huber").code, 2);
}

// What a newcomer gets wrong: the exit code, and what the text has to name.
TEST_F(Cli, ErrorsNameWhatIsWrong) {
  const std::string file = folder_ / "a_file";
  std::ofstream(file) << "x";
  const struct {
    std::string words, named;
  } wrong[] = {
      {"fly", "no command 'fly': want list, describe"},
      {"list --family foo", "no family 'foo': want"},
      {"describe", "loss is required; `lossc describe --help`"},
      {"describe " + folder_.string(), "is a folder"},
      {"describe ./nowhere.cpp", "no file './nowhere.cpp'"},
      {"explain huber --shape N=1e6", "no whole number"},
      {"explain huber --shape N=-1", "0 to 2147483647"},
      {"explain huber --shape N=99999999999", "0 to 2147483647"},
      {"explain huber --shape n=5", "want N"},
      {"bench huber --shape N=10 --threads -3", "1 to 1024"},
      {"bench huber --shape N=10 --isa avx3", "sse41,avx2,avx512"},
      {"bench huber --shape N=10 --param delta=0", "param delta=0: want > 0"},
      {"bench huber --shape N=10 --param delta=nan", "want > 0"},
      {"bench huber --shape N=10 --option a=b", "this loss has none"},
      {"check huber --dtype f8", "f8 not in"},
      {"compile huber -o " + file, "Not a directory"},
      {"compile huber -o " + file + "/below", "Not a directory"},
      {"compile huber -o out --dtype f8", "f8 not in"},
  };
  for (const auto& [words, named] : wrong) {
    const Ran people = lossc(words), programs = shell(LOSSC_CLI " " + words + " --json 2>/dev/null");
    EXPECT_EQ(people.code, 2) << words;
    EXPECT_TRUE(people.out.starts_with("lossc: ") && has(people.out, named)) << words << "\n" << people.out;
    EXPECT_EQ(programs.code, 2) << words;
    const Json error = Json::parse(programs.out, nullptr, false)["error"];
    EXPECT_EQ(error["exit"], 2) << words;
    EXPECT_TRUE(has(error["text"], named)) << words << "\n" << error;
  }
}

// A measurement that would not fit is refused before it is begun.
TEST_F(Cli, BenchLooksAtTheMemoryFirst) {
  std::ifstream info("/proc/meminfo");
  std::string word;
  double kilobytes = 0;
  info >> word >> kilobytes;
  ASSERT_EQ(word, "MemTotal:");
  if (kilobytes * 1024 > 28.0 * 2147483647) GTEST_SKIP() << "everything fits into this machine";
  const Ran r = lossc("bench huber --shape N=2147483647");
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(has(r.out, "GB are free")) << r.out;
}

TEST_F(Cli, ListHasEveryLossWithWhatItTakes) {
  const Json all = lossc_json("list");
  ASSERT_TRUE(all.is_array());
  bool huber = false;
  for (const Json& loss : all) {
    for (const char* key : {"id", "family", "inputs", "params"}) EXPECT_TRUE(loss.contains(key)) << loss;
    if (loss["id"] == "huber") huber = loss["inputs"] == Json({"input", "target"}) && loss["params"] == Json({"delta"});
  }
  EXPECT_TRUE(huber);
  EXPECT_TRUE(has(lossc("list").out, "huber"));
}

TEST_F(Cli, DescribeIsTheDefinitionsOwnText) {
  const Json loss = lossc_json("describe cross_entropy");
  EXPECT_EQ(loss["family"], "classification");
  EXPECT_EQ(loss["inputs"][0]["name"], "logits");
  EXPECT_EQ(loss["inputs"][0]["shape"], "[N, C, (P...)]");
  EXPECT_TRUE(has(loss["edges"], "ignore_index"));
  EXPECT_TRUE(has(lossc("describe cross_entropy").out, "label_smoothing"));
  EXPECT_TRUE(has(lossc("describe cross_entrop").out, "did you mean 'cross_entropy'"));
}

TEST_F(Cli, ExplainCountsBytesAndWork) {
  const Json r = lossc_json("explain huber --shape N=100000 --ir --gradient --plan");
  EXPECT_GE(r["memory_bytes"], 4 * 4 * 100000);  // two inputs, two gradients
  EXPECT_FALSE(r["steps"].empty());
  EXPECT_GT(r["bound"]["ms"], 0);
  EXPECT_TRUE(has(r["gradient"], "grad_input[i] =") || has(r["gradient"], "grad_input[n] =")) << r["gradient"];
  EXPECT_TRUE(has(lossc("explain huber --shape N=100").out, "bound on this machine"));
}

TEST_F(Cli, BenchReportsTheLimitBesideTheTime) {
  const Json r = lossc_json("bench huber --shape N=1000 --runs 3");
  for (const char* key : {"loss", "shape", "mode", "ms", "limit_ms", "limit_kind", "ratio", "peak_extra_bytes"})
    EXPECT_TRUE(r.contains(key)) << key;
  EXPECT_EQ(r["shape"]["N"], 1000);
  EXPECT_EQ(r["limit_kind"], "copy");
  EXPECT_GT(r["ms"], 0);
  EXPECT_EQ(lossc_json("bench huber --shape N=1000 --runs 3 --mode forward")["limit_kind"], "read");
  EXPECT_GT(lossc_json("bench huber --shape N=1000 --runs 3 --mode backward --threads 1")["ms"], 0);
}

// On as many places as others the oracle would take minutes: it has billions of terms to round.
TEST_F(Cli, BenchChecksWhatHasManyIndicesOnFewPlaces) {
  const std::string file = loss_file("wide", R"(
  auto a = axis("A", "of x"), b = axis("B", "of x"), c = axis("C", "of y"), d = axis("D", "of y"), e = axis("E", "of z"), f = axis("F", "of z");
  auto x = tensor("x", {a, b}, "numbers"), y = tensor("y", {c, d}, "numbers").constant(), z = tensor("z", {e, f}, "numbers").constant();
  loss_per(a, sum(b, sum(c, sum(d, sum(e, sum(f, abs(x(a, b) * y(c, d) - z(e, f))))))));
)");
  const Ran r = shell("timeout 100 " LOSSC_CLI " bench " + file + " --shape A=34,B=34,C=34,D=34,E=34,F=8 --runs 1 2>&1");
  EXPECT_EQ(r.code, 0) << r.out;
}

TEST_F(Cli, CheckComparesABuiltInLoss) {
  const Json r = lossc_json("check huber");
  EXPECT_EQ(r["ok"], true);
  for (const Json& q : r["results"][0]["quantities"]) {
    EXPECT_EQ(q["kernel_agrees"], true) << q;
    EXPECT_GT(q["elements"], 0) << q;
  }
}

// Next to 0, where rounding may be as large as all that there is, an error relative to that would be any number, and "ok".
TEST_F(Cli, CheckTellsTheErrorOfWhatIsNothingButRounding) {
  const std::string file = definition("nothing", "a * (sigmoid(x(i) - y(i)) - 0.5 * (1 + tanh(0.5 * (x(i) - y(i)))))");
  const Json quantities = lossc_json("check " + file)["results"][0]["quantities"];
  for (const Json& q : quantities) {
    EXPECT_LT(q["kernel_error"], 1) << q;
    EXPECT_GT(q["kernel_error_absolute"], 0) << q;
    EXPECT_LT(q["kernel_error_absolute"], 1e-6) << q;
  }
  EXPECT_EQ(quantities.size(), 3u) << quantities;
  const std::string text = lossc("check " + file).out;
  EXPECT_TRUE(has(text, " abs ok ")) << text;
  EXPECT_FALSE(has(text, "e+")) << text;
}

TEST_F(Cli, CheckTakesADefinitionFromOutside) {
  const std::string file = definition("outside", "a * sq(x(i) - y(i))");
  const Json r = lossc_json("check " + file);
  EXPECT_EQ(r["ok"], true) << r;
  EXPECT_EQ(r["results"][0]["loss"], "outside");
  EXPECT_TRUE(has(lossc("describe " + file).out, "Title of outside"));
}

TEST_F(Cli, CheckComparesOutputsThatAreTruthValues) {
  const std::string file = loss_file("picked", R"(
  auto i = axis("N", "elements");
  auto x = tensor("input", {i}, "prediction");
  output("picked", {i}, x(i) > 0, "which");
  loss_per(i, relu(x(i)));
)");
  const Json checked = lossc_json("check " + file)["results"][0];
  EXPECT_EQ(checked["ok"], true) << checked;
  const Json& picked = checked["quantities"].back();
  EXPECT_EQ(picked["name"], "picked") << checked;
  EXPECT_EQ(picked["kernel_agrees"], true);
  EXPECT_GT(picked["elements"], 10);
}

TEST_F(Cli, CheckTakesAFilesLossForABuiltInOneOfItsName) {
  const std::string file = definition("huber", "a * sq(x(i) - y(i))");
  EXPECT_TRUE(has(lossc("describe " + file).out, "Title of huber"));
  EXPECT_EQ(lossc_json("check " + file)["results"][0]["loss"], "huber");
}

TEST_F(Cli, AnOptionAtRunTimeAndARequirementReachTheKernel) {
  const std::string file = loss_file("powers", R"(
  auto i = axis("N", "elements").flat(), k = axis("K", "views");
  auto power = option("power", {"one", "two"}, "exponent").at_runtime();
  auto x = tensor("input", {k, i}, "prediction");
  require(extent(k) > 1, "two views or more");
  loss_per(i, mean(k, select(power.chosen("one"), abs(x(k, i)), sq(x(k, i)))));
)");
  const Json checked = lossc_json("check " + file)["results"][0];
  EXPECT_EQ(checked["ok"], true) << checked;
  EXPECT_EQ(checked["forms"], 1);
  EXPECT_EQ(lossc_json("describe " + file)["wants"], Json({"two views or more"}));
  EXPECT_EQ(lossc_json("explain " + file + " --shape N=4,K=2 --option power=two")["form"], "power=two");
  EXPECT_TRUE(has(lossc("describe " + file).out, "[K, N...]"));
  const Ran one = lossc("explain " + file + " --shape N=4,K=1"), three = lossc("bench " + file + " --shape N=4,K=2 --option power=three");
  EXPECT_EQ(one.code, 2);
  EXPECT_TRUE(has(one.out, "powers: wants two views or more; K is 1")) << one.out;
  EXPECT_EQ(three.code, 2);
  EXPECT_TRUE(has(three.out, "option power is one of one, two, not 'three'")) << three.out;
}

TEST_F(Cli, WhatWasWrongOnceIsNot) {
  const Json checked = lossc_json("check " LOSSC_SOURCE_DIR "/tests/definitions/once_wrong.cpp")["results"];
  EXPECT_GE(checked.size(), 2u);
  for (const Json& result : checked) EXPECT_EQ(result["ok"], true) << result;
}

TEST_F(Cli, AFixedPointThatIsNotReachedIsSaid) {
  const std::string file = loss_file("twice", R"(
  auto n = axis("N", "rows"), t = axis("2", "steps");
  auto x = tensor("input", {n}, "any real"), w = tensor("weight", {t}, "any real").constant();
  auto u = iterate(t, {{{n}, 0.0}}, [&](const std::vector<Expr>& was) { return std::vector<Expr>{x(n) + 0.5 * was[0]}; },
                   Derivative::OfFixedPoint)[0];
  loss_per(n, u * (1 + 0 * sum(t, w(t))));
)");
  const Ran check = lossc("check " + file);
  EXPECT_EQ(check.code, 1) << check.out;
  EXPECT_TRUE(has(check.out, "try more iterations first")) << check.out;
}

TEST_F(Cli, AxesThatFollowFromOthersAndCountsReachTheKernel) {
  const std::string file = loss_file("halves", R"(
  auto n = axis("N", "rows"), h = axis("H", "places"), g = derived_axis("H/2", extent(h) / 2, "pairs");
  auto t = count_axis("times", 3, "how often");
  auto x = tensor("input", {n, h}, "prediction");
  auto pair = 0.5 * (x(n, 2 * g) + x(n, 2 * g + 1));
  loss_per(n, sum(t, sum(g, sq(pair))) + number(extent(t)) * sum(g, pair));
)");
  const Json checked = lossc_json("check " + file)["results"][0];
  EXPECT_EQ(checked["ok"], true) << checked;
  const Json shape = lossc_json("explain " + file + " --shape N=4,H=7 --option times=5")["shape"];
  EXPECT_EQ(shape, Json({{"N", 4}, {"H", 7}, {"H/2", 3}, {"times", 5}}));
  const Ran wrong = lossc("explain " + file + " --shape N=4,H=7,H/2=4"), less = lossc("bench " + file + " --shape N=4,H=7 --option times=-1");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_TRUE(has(wrong.out, "axis H/2 has 4 elements, want 3")) << wrong.out;
  EXPECT_EQ(less.code, 2);
  EXPECT_TRUE(has(less.out, "option times is -1, want 0 or more")) << less.out;
  const Ran count = lossc("explain " + file + " --shape N=4,H=7,times=5");
  EXPECT_TRUE(has(count.out, "axis times has 5 elements, want 3; its length is an option: --option times=5")) << count.out;
  const Ran unknown = lossc("explain " + file + " --shape N=4,M=7");
  EXPECT_TRUE(has(unknown.out, "there is no axis 'M': want N, H")) << unknown.out;
  EXPECT_FALSE(has(unknown.out, "H/2")) << unknown.out;  // nobody has to give it
}

TEST_F(Cli, NewWritesADefinitionThatChecks) {
  const std::string file = folder_ / "first_try.cpp";
  EXPECT_EQ(lossc("new first_try -o " + file).code, 0);
  const Ran checked = lossc("check " + file);
  EXPECT_EQ(checked.code, 0) << checked.out;
  const Ran again = lossc("new first_try -o " + file);
  EXPECT_EQ(again.code, 2);
  EXPECT_TRUE(has(again.out, "exists already")) << again.out;
  EXPECT_TRUE(has(lossc("new Huber -o " + file).out, "'Huber' is no name for a loss")) << "upper case";
  EXPECT_TRUE(has(lossc("new huber -o " + file).out, "there is a loss 'huber' already"));
}

TEST_F(Cli, AWrongDefinitionIsExplained) {
  const Ran compiler = lossc("check " + definition("wrong", "sq(x(i) - z(i))"));
  EXPECT_EQ(compiler.code, 2);
  EXPECT_TRUE(has(compiler.out, "wrong.cpp:8") && has(compiler.out, "not declared")) << compiler.out;
  const Ran tensor = lossc("check " + definition("wrong", "sq(x(i) - y)"));
  EXPECT_EQ(tensor.code, 2);
  EXPECT_TRUE(has(tensor.out, "element by element")) << tensor.out;
  const Ran type = lossc("check " + definition("wrong", "sq(x(i) > y(i))"));
  EXPECT_EQ(type.code, 2);
  EXPECT_TRUE(has(type.out, "wrong.cpp:8") && has(type.out, "truth value")) << type.out;
  std::ofstream(folder_ / "none.cpp") << "int x;\n";
  EXPECT_TRUE(has(lossc("check " + (folder_ / "none.cpp").string()).out, "defines no loss"));
}

TEST_F(Cli, HessianProductsAreCheckedExplainedAndCompiled) {
  const std::string file = definition("scaled_square", "a * sq(x(i) - y(i))"), out = folder_ / "products";
  const Json r = lossc_json("check " + file + " --hvp")["results"][0];
  EXPECT_TRUE(r["ok"].get<bool>()) << r.dump(1);
  bool products = false;
  for (const Json& q : r["quantities"])
    if (q["name"] == "product_input") products = q["differences_agree"].get<bool>() && q["elements"] > 0;
  EXPECT_TRUE(products) << r.dump(1);
  EXPECT_TRUE(has(lossc("explain " + file + " --shape N=8 --mode hvp").out, "Hessian product"));
  std::string use = lossc_json("compile " + file + " -o " + out + " --dtype f32 --isa sse41 --hvp")["use"];
  // 2 (x - y)^2, mean of two: the Hessian is 2 I in either input, -2 I between them.
  std::ofstream(folder_ / "hvp.c") << R"(#include <lossc/losses/scaled_square.h>
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  float x[] = {3, 5}, y[] = {0, 1}, v[] = {1, 0}, slope, hx[2], hy[2];
  int64_t n[] = {2};
  const DLDevice cpu = {kDLCPU, 0};
  const DLDataType f32 = {kDLFloat, 32, 1};
  DLTensor tx = {x, cpu, 1, f32, n, NULL, 0}, ty = {y, cpu, 1, f32, n, NULL, 0}, tv = {v, cpu, 1, f32, n, NULL, 0};
  DLTensor s = {&slope, cpu, 0, f32, NULL, NULL, 0}, px = {hx, cpu, 1, f32, n, NULL, 0}, py = {hy, cpu, 1, f32, n, NULL, 0};
  lossc_plan *plan;
  lossc_error error;
  lossc_scaled_square_call c = lossc_scaled_square_defaults();
  c.in.input = &tx, c.in.target = &ty, c.hvp.direction_input = &tv;
  c.hvp.slope = &s, c.hvp.product_input = &px, c.hvp.product_target = &py;
  if (lossc_scaled_square_hvp_plan(&c, &plan, &error) != LOSSC_OK) return puts(error.text), 1;
  c.run.workspace = aligned_alloc(64, c.run.workspace_size = lossc_plan_workspace_size(plan));
  if (lossc_scaled_square_hvp_run(plan, &c, &error) != LOSSC_OK) return puts(error.text), 1;
  printf("%g  %g %g  %g %g\n", slope, hx[0], hx[1], hy[0], hy[1]);
})";
  use.replace(use.find("main.c"), 6, (folder_ / "hvp.c").string());
  const std::string program = folder_ / "hvp";
  EXPECT_EQ(shell(use + " -Wall -Werror -o " + program + " 2>&1 && " + program).out, "6  2 0  -2 -0\n");  // -1 times the other's 0
  const Json gamma = lossc_json("check " + definition("log_gamma", "a * lgamma(x(i) - y(i))") + " --hvp")["results"][0];
  EXPECT_TRUE(gamma["ok"].get<bool>()) << gamma.dump(1);
  const std::string none = folder_ / "no_second.cpp";
  std::ofstream(none) << R"(#include <lossc/halide.h>
using namespace lossc;
LOSSC_LOSS(no_second, "regression") {
  about({.title = "Cubes", .paper = "none", .equation = "e", .edges = "none"});
  auto i = axis("N", "elements");
  auto x = tensor("input", {i}, "prediction");
  loss_per(i, halide_expr("cube", {x(i)}, [](HalideOperands v) { return v[0] * v[0] * v[0]; },
                          [](HalideOperands v) -> std::vector<Halide::Expr> { return {3 * v[0] * v[0]}; }));
})";
  const Ran refused = lossc("check " + none + " --hvp");
  EXPECT_EQ(refused.code, 2) << refused.out;
  EXPECT_TRUE(has(refused.out, "no Hessian products of no_second") && has(refused.out, "cube_d0")) << refused.out;
  EXPECT_TRUE(has(lossc("explain " + none + " --shape N=8 --mode hvp").out, "cube_d0"));
}

// The program of a seed, without running it: a file like any other, whose kernels may then be checked alone.
TEST_F(Cli, FuzzShowsTheProgramOfASeed) {
  const Ran second = lossc("fuzz --show --seed 2");
  EXPECT_EQ(second.code, 0) << second.out;
  EXPECT_TRUE(second.out.starts_with("#include <lossc/") && has(second.out, "LOSSC_LOSS(fuzz_2, \"fuzz\")")) << second.out;
  const fs::path file = folder_ / "fuzz_2.cpp";
  std::ofstream(file) << second.out;
  EXPECT_EQ(lossc_json("describe " + file.string())["id"], "fuzz_2");
  const Json three = lossc_json("fuzz --show --seed 2 --programs 3");
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(three[0], Json({{"seed", 2}, {"definition", second.out}}));
  EXPECT_EQ(three[2]["seed"], 4);
  const std::string printed = lossc("fuzz --show --seed 2 --programs 3").out;
  for (const Json& each : three) EXPECT_TRUE(has(printed, each["definition"])) << printed;
  EXPECT_EQ(lossc("fuzz --show --words").code, 2);  // two things in place of one
}

TEST_F(Cli, HelpHasThePagesOfBothHeaders) {
  for (const char* word : {"logsumexp", "halide_expr", "halide_step"}) {
    const Ran page = lossc(std::string("help ") + word);
    EXPECT_EQ(page.code, 0) << page.out;
    for (const char* part : {"  Shape ", "  Derivative ", "  Cost ", "  Example\n", "d sum / dx"}) EXPECT_TRUE(has(page.out, part)) << page.out;
    EXPECT_TRUE(has(lossc("help").out, word));
  }
}

TEST_F(Cli, CompileMakesALibraryForC) {
  const std::string file = definition("scaled_square", "a * sq(x(i) - y(i))"), out = folder_ / "made";
  const Json made = lossc_json("compile " + file + " -o " + out + " --dtype f32 --isa sse41");
  for (const char* name : {"libscaled_square.a", "libscaled_square.so", "manifest.json", "include/lossc/lossc.h",
                           "include/lossc/losses/scaled_square.h"})
    EXPECT_TRUE(fs::exists(fs::path(out) / name)) << name;
  EXPECT_FALSE(fs::is_empty(fs::path(out) / "stmt"));
  std::ofstream(folder_ / "main.c")
      << "#include <lossc/losses/scaled_square.h>\n#include <stdio.h>\n"
         "int main(void) { puts(lossc_loss_name(&lossc_loss_scaled_square)); return 0; }\n";
  // The line that the tool prints, for our main.c.
  std::string use = made["use"];
  use.replace(use.find("main.c"), 6, (folder_ / "main.c").string());
  const Ran built = shell(use + " -o " + (folder_ / "main").string() + " 2>&1 && " + (folder_ / "main").string());
  EXPECT_EQ(built.out, "scaled_square\n");
}

}  // namespace
}  // namespace lossc::tests
