// The emitter: what forms have in common, processes that die, objects that hide, and bytes that do not change.
#include "generators/emit/emit.h"

#include <gtest/gtest.h>
#include <lossc/loss.h>

#include <cstdlib>
#include <filesystem>

#include "dsl/case.h"
#include "generators/emit/files.h"
#include "generators/emit/object_file.h"
#include "generators/emit/print_header.h"
#include "generators/emit/workers.h"
#include "tests/support/folder.h"

namespace lossc::emit {
namespace {

namespace fs = std::filesystem;

About words() { return {.title = "t", .paper = "p", .equation = "e", .edges = "d"}; }

void forms_differ() {
  about(words());
  auto n = axis("N"), c = axis("C"), p = optional_axis("P").flat();
  auto kind = option("kind", {"dense", "index"}, "which target");
  auto x = tensor("x", {n, c, p}, "given");
  auto w = tensor("w", {c}, "weight").optional().constant();
  auto t = param("t", 1, "scale").positive();
  auto y = kind.is("index") ? number(c == labels("class", {n}, "one per row").in_range(c)(n))
                            : tensor("dense", {n, c}, "one per element").constant()(n, c);
  auto e = t * sq(x(n, c, p) - y);
  loss_per({n, p}, sum(c, w.given() ? w(c) * e : e));
}

void forms_contradict() {
  about(words());
  auto n = axis("N");
  auto kind = option("kind", {"float", "int"}, "which");
  auto y = kind.is("float") ? tensor("y", {n}, "float")(n) : number(labels("y", {n}, "int")(n));
  loss_per(n, sq(tensor("x", {n}, "given")(n) - y));
}

void forms_swap_axes() {
  about(words());
  auto n = axis("N"), m = axis("M");
  auto kind = option("kind", {"same", "other"}, "whether y has the rows of x");
  auto x = tensor("x", {n}, "given");
  auto y = kind.is("same") ? mean(n, tensor("y", {n}, "given")(n)) : mean(m, tensor("y", {m}, "given")(m));
  loss_per(n, sq(x(n) - y));
}

Interface united(void (*body)(), std::vector<Program>* forms, std::vector<FormIds>* ids) {
  *forms = build_all({"test", "test", "test.cpp", body});
  return unite(*forms, ids);
}

TEST(Interface, UnitesFormsByNameDefaultFirst) {
  std::vector<Program> forms;
  std::vector<FormIds> ids;
  const Interface all = united(forms_differ, &forms, &ids);
  ASSERT_EQ(all.inputs.size(), 4u);
  EXPECT_EQ(all.inputs[0].name, "x");
  EXPECT_EQ(all.inputs[2].name, "dense");
  EXPECT_EQ(all.inputs[3].name, "class");
  EXPECT_EQ(shape_text(all, all.inputs[0].shapes), "[N, C, (P...)]");
  EXPECT_FALSE(all.inputs[0].optional);
  EXPECT_TRUE(all.inputs[0].differentiable);
  EXPECT_TRUE(all.inputs[1].optional);
  EXPECT_TRUE(all.inputs[2].optional && all.inputs[2].by_option);
  EXPECT_EQ(all.inputs[3].doc, "one per row; with kind = index");
  ASSERT_EQ(all.outputs.size(), 3u);  // loss, rows, gradient of x
  EXPECT_EQ(all.outputs[2].name, "grad_x");
  EXPECT_EQ(shape_text(all, all.outputs[1].shapes), "[N, (P...)]");
}

TEST(Interface, FactsSayWhichInputsAFormNeeds) {
  std::vector<Program> forms;
  std::vector<FormIds> ids;
  const Interface all = united(forms_differ, &forms, &ids);
  ASSERT_EQ(forms.size(), 8u);
  for (size_t f = 0; f < forms.size(); f++) {
    int kind = -1, dense = -1, labels = -1, weight = -1;
    for (const Fact& x : facts_of(forms[f], ids[f], all)) {
      if (x.kind == lossc::Fact::Option) kind = x.value;
      if (x.kind == lossc::Fact::TensorGiven) (x.id == 1 ? weight : x.id == 2 ? dense : labels) = x.value;
    }
    EXPECT_NE(weight, -1);
    EXPECT_EQ(dense, kind == 0);
    EXPECT_EQ(labels, kind == 1);
  }
}

TEST(Interface, RefusesOneNameForTwoThings) {
  std::vector<Program> forms;
  std::vector<FormIds> ids;
  EXPECT_THROW(united(forms_contradict, &forms, &ids), DefinitionError);
  EXPECT_THROW(united(forms_swap_axes, &forms, &ids), DefinitionError);
}

TEST(Workers, ReportEveryFailureAndGoOn) {
  std::vector<Task> tasks;
  for (int k = 0; k < 6; k++) {
    tasks.push_back({"task", [k] {
                       fprintf(stderr, "said %d\n", k);
                       if (k == 1) throw std::runtime_error("thrown");
                       if (k == 3) abort();
                       if (k == 4) _exit(7);
                     }});
  }
  for (int jobs : {1, 3}) {
    const std::vector<Failure> failures = run_tasks(tasks, jobs, "");
    ASSERT_EQ(failures.size(), 3u);
    EXPECT_EQ(failures[0].task, 1u);
    EXPECT_EQ(failures[0].what, "said 1\nthrown\n");
    EXPECT_NE(failures[1].what.find("signal 6"), std::string::npos);
    EXPECT_NE(failures[1].what.find("said 3"), std::string::npos);
    EXPECT_NE(failures[2].what.find("status 7"), std::string::npos);
  }
}

class Emit : public testing::Test {
 protected:
  bool shell(const std::string& command) const {
    return system(("cd '" + dir_.string() + "' && " + command).c_str()) == 0;
  }

  const tests::Folder folder_{"emit"};
  const fs::path& dir_ = folder_.path;
};

TEST_F(Emit, HidesSymbolsAndRenamesThoseOfHalide) {
  replace_file(dir_ / "k.c", "int halide_malloc(void); int kernel(void) { return halide_malloc(); }\n");
  replace_file(dir_ / "r.c", "int lossc_internal_halide_malloc(void) { return 1; }\n");
  ASSERT_TRUE(shell("cc -fPIC -c k.c r.c"));
  replace_file(dir_ / "k.o", hide_symbols(*read_file(dir_ / "k.o")));
  EXPECT_TRUE(shell("cc -shared -Wl,-z,defs -o k.so k.o r.o")) << "nothing is left undefined";
  EXPECT_TRUE(shell("nm k.o | grep -q 'T kernel'"));
  EXPECT_FALSE(shell("nm -D k.so | grep -q kernel"));
  EXPECT_TRUE(shell("readelf -W -S k.o >/dev/null && objdump -d k.o >/dev/null && strip -o s.o k.o"));
  EXPECT_THROW(hide_symbols("not an object"), std::runtime_error);
}

TEST_F(Emit, GivesTheSameBytesInAnyFolderAndKeepsWhatIsCached) {
  auto run = [&](const std::string& name, const std::string& cache, int jobs) {
    return emit({.out = dir_ / name,
                 .cache = dir_ / cache,
                 .losses = {"huber"},
                 .matrix = make_matrix({"f32"}, {"sse41", "avx2"}),
                 .hessians = true,
                 .jobs = jobs,
                 .quiet = true});
  };
  const Report first = run("a", "cache", 1);
  EXPECT_TRUE(first.failures.empty());
  EXPECT_EQ(first.compiled, first.objects);
  const Report other = run("b", "cache2", 2);
  EXPECT_EQ(other.compiled, other.objects);
  EXPECT_TRUE(shell("diff -r a b"));
  const auto time = fs::last_write_time(dir_ / "a" / "objects.rsp");
  EXPECT_EQ(run("a", "cache", 1).compiled, 0u);
  EXPECT_EQ(fs::last_write_time(dir_ / "a" / "objects.rsp"), time);
  EXPECT_TRUE(shell("cc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -xc -I" LOSSC_SOURCE_DIR
                    "/runtime/include -Ia/include a/include/lossc/losses/huber.h"));
  EXPECT_TRUE(
      shell("c++ -std=c++20 -Wall -Wextra -Werror -Wno-missing-field-initializers -fsyntax-only -I" LOSSC_SOURCE_DIR
            " a/losses/huber.cpp a/hessians/huber.cpp a/registry.cpp"));
  // What only products use is compiled for the lowest level alone, and what the gradient has, too, is shared.
  KernelSet kernels;
  std::string why;
  const auto loss = make_tables(definition_of("huber"), &kernels);
  const size_t own = kernels.list().size();
  ASSERT_NE(make_hessian_tables(*loss, &kernels, &why), nullptr) << why;
  EXPECT_EQ(first.objects, 2 * own + (kernels.list().size() - own));
  EXPECT_GT(kernels.list().size(), own);
}

TEST_F(Emit, RemovesWhatIsNoLongerAskedFor) {
  Options options{.out = dir_,
                  .cache = dir_ / "cache",
                  .losses = {"huber"},
                  .matrix = make_matrix({"f32"}, {"sse41"}),
                  .quiet = true};
  replace_file(dir_ / "losses" / "gone.cpp", "");
  replace_file(dir_ / "objects" / "gone.o", "");
  EXPECT_TRUE(emit(options).failures.empty());
  EXPECT_FALSE(fs::exists(dir_ / "losses" / "gone.cpp"));
  EXPECT_FALSE(fs::exists(dir_ / "objects" / "gone.o"));
  options.losses = {"no_such_loss"};
  EXPECT_THROW(emit(options), std::runtime_error);
}

TEST(Matrix, KnowsItsWords) {
  const Matrix m = make_matrix({"f64", "f32"}, {"avx512", "sse41"});
  EXPECT_EQ(m.float_bits, (std::vector<int>{32, 64}));
  ASSERT_EQ(m.isas.size(), 2u);
  EXPECT_EQ(m.isas[0]->name, "sse41");
  EXPECT_THROW(make_matrix({"f16"}, {"avx2"}), std::runtime_error);
  EXPECT_THROW(make_matrix({"f32"}, {"avx"}), std::runtime_error);
}

TEST(Quote, EscapesWhatALiteralCannotHold) {
  EXPECT_EQ(quote("a \"b\" \\ c"), R"("a \"b\" \\ c")");
  EXPECT_EQ(quote("one\ntwo\n"), "\"one\\n\"\n    \"two\\n\"");
}

}  // namespace
}  // namespace lossc::emit
