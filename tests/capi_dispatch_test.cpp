// Which ISA level runs, as CPU features come and go. Each case is a child process: features are looked at once.
#include <sys/wait.h>

#include "capi_fake.h"
#include "capi_util.h"

namespace {

using namespace capi;
namespace rt = lossc::rt;

// Three levels that all run the same function.
template <class T>
struct Levels {
  static inline const rt::IsaInfo isas[] = {
      {rt::Isa::Sse41, "sse41", rt::kNeedsSse41, {8, 8}, {6, 6}, {8, 8}},
      {rt::Isa::Avx2, "avx2", rt::kNeedsAvx2, {8, 8}, {6, 6}, {8, 8}},
      {rt::Isa::Avx512, "avx512", rt::kNeedsAvx512, {8, 8}, {6, 6}, {8, 8}},
  };
  static inline const rt::Build build = {rt::kRegistryVersion, isas, 3};
  rt::KernelFn functions[8][3];
  rt::Kernel kernels[8];
  const rt::Kernel* list[8];
  rt::Variant variant = fake::squares::variants[0];
  rt::Loss loss = fake::squares::loss;
  Levels() {
    for (int k = 0; k < 8; ++k) {
      for (rt::KernelFn& f : functions[k]) f = variant.kernels[k]->by_isa[0];
      kernels[k] = {variant.kernels[k]->name, functions[k]};
      list[k] = &kernels[k];
    }
    variant.kernels = list;
    loss.variants = &variant;
    loss.n_variants = 1;
    loss.build = &build;
  }
};

// The level that a process with these features off picks: 1 to 3, 0: none. -1: no idea.
int level_without(const char* features, int isa = 0) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("LOSSC_DISABLE_CPU_FEATURES", features, 1);
    const Levels<float> levels;
    const std::vector<float> x(6);
    const Tensor t = tensor(x, {2, 3});
    Problem p{.loss = fake::handle(levels.loss), .inputs = {t.get()}};
    p.isa = isa;
    Result r;
    const Plan plan = p.plan(&r);
    if (plan == nullptr) _exit(r.status == LOSSC_E_UNSUPPORTED ? 0 : 9);
    const std::string text = lossc_plan_explain(plan.get());
    for (int k = 0; k < 3; ++k) {
      if (text.find(std::string(", ") + Levels<float>::isas[k].name + ",") != std::string::npos) _exit(k + 1);
    }
    _exit(9);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) != 9 ? WEXITSTATUS(status) : -1;
}

// Of n labels each in turn is wrong: which the error names first, n: all were named as they should be. -1: no idea.
int labels_named_without(const char* features, int n) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("LOSSC_DISABLE_CPU_FEATURES", features, 1);
    const std::vector<float> logits(3 * n);
    std::vector<int32_t> labels(n, 2);
    float value = 0;
    const Tensor logits_t = tensor(logits, {n, 3}), labels_t = tensor(labels, {n}), value_t = Tensor::of(&value, {});
    Problem p{.loss = fake::handle(fake::pick::loss), .inputs = {logits_t.get(), labels_t.get(), nullptr}, .outputs = {value_t.get()}};
    if (p.run().status != LOSSC_OK) _exit(200);
    for (int k = 0; k < n; ++k) {
      labels[k] = 3;
      if (p.run().text.find("target[" + std::to_string(k) + "] is 3,") == std::string::npos) _exit(k);
      labels[k] = k % 2 ? -100 : 0;
    }
    _exit(n);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Dispatch, WrongLabelsAreFoundAtEveryLevel) {
  for (const char* features : {"", "avx512", "avx512,avx2"})
    for (int n : {1, 3, 8, 16, 37, 130}) EXPECT_EQ(labels_named_without(features, n), n) << features;
}

TEST(Dispatch, TakesTheBestLevelThatIsLeft) {
  const int best = level_without("");
  ASSERT_GE(best, 1);
  EXPECT_EQ(level_without("avx512"), std::min(best, 2));
  for (const char* one : {"avx2", "fma", "f16c"})
    EXPECT_EQ(level_without(one), 1) << one;  // a level needs all its features
  EXPECT_EQ(level_without("sse41"), 0);
}

TEST(Dispatch, AForcedLevelIsTakenOrRefused) {
  const int best = level_without("");
  for (int isa = 1; isa <= 3; ++isa) EXPECT_EQ(level_without("", isa), isa <= best ? isa : 0);
  EXPECT_EQ(level_without("avx2", LOSSC_ISA_AVX2), 0);
  EXPECT_EQ(level_without("", 7), 0);
}

TEST(Dispatch, SaysWhichKernelLacksALevel) {
  Levels<float> levels;
  for (auto& f : levels.functions) f[0] = f[1] = f[2] = nullptr;
  const std::vector<float> x(6);
  const Tensor t = tensor(x, {2, 3});
  const Problem p{.loss = fake::handle(levels.loss), .inputs = {t.get()}};
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "kernel square was not compiled for");
}

}  // namespace
