// What code kernels become: how long it is, and which instructions fetch ahead.
#include <gtest/gtest.h>
#include <lossc/loss.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "generators/emit/files.h"
#include "generators/emit/tables.h"
#include "generators/emit/workers.h"
#include "generators/lower/lower.h"

namespace lossc::emit {
namespace {

namespace fs = std::filesystem;

About words() { return {.title = "t", .paper = "p", .equation = "e", .edges = "d"}; }

// Rows that do not fit a cache: several passes over a panel.
void softmax_rows() {
  about(words());
  auto n = axis("N"), c = axis("C");
  auto x = tensor("x", {n, c}, "given");
  loss_per(n, logsumexp(c, x(n, c)));
}

// Clamped along both axes of an image.
void neighbours() {
  about(words());
  auto n = axis("N"), h = axis("H"), w = axis("W"), p = twin(h, "p"), q = twin(w, "q");
  auto x = tensor("x", {n, h, w}, "given");
  auto below = padded(x(n, h, q), h, p + 1, Border::Edge), right = padded(x(n, p, w), w, q + 1, Border::Edge);
  loss_per(n, mean(p, mean(q, exp(below - right))));
}

class Code : public testing::Test {
 protected:
  Code() : dir_(fs::path(testing::TempDir()) / ("lossc_code_" + std::to_string(getpid()))) { fs::create_directories(dir_); }
  ~Code() override { fs::remove_all(dir_); }

  // Kernel k compiled for AVX2: its object is k.o and its statement k.stmt in dir_.
  void compile(size_t k, lower::Code code) {
    const Kernel& kernel = kernels_.list()[k];
    const std::string path = dir_ / std::to_string(k);
    const Task task{kernel.name, [&] {
                      lower::compile(*kernel.plan, kernel.step, 32, schedules::kAvx2, code, "kernel",
                                     {path + ".o", path + ".stmt"});
                    }};
    for (const Failure& f : run_tasks({task}, 1, "")) FAIL() << kernel.name << ": " << f.what;
  }
  std::string assembly(size_t k) {
    const std::string text = dir_ / "text";
    const std::string command = "objdump -d '" + (dir_ / std::to_string(k)).string() + ".o' > '" + text + "'";
    return system(command.c_str()) == 0 ? read_file(text).value_or("") : "";
  }

  fs::path dir_;
  KernelSet kernels_;
};

size_t count(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) n++;
  return n;
}

TEST_F(Code, PrefetchesGoToTheSecondLevelOfCache) {
  const auto loss = make_tables({"test", "test", "test.cpp", softmax_rows}, &kernels_);
  size_t fetches = 0;
  for (size_t k = 0; k < kernels_.list().size(); k++) {
    compile(k, lower::Code::Fast);
    const std::string text = assembly(k);
    EXPECT_GT(count(text, "ret"), 0u) << kernels_.list()[k].name;
    EXPECT_EQ(count(text, "prefetchnta"), 0u) << kernels_.list()[k].name;
    fetches += count(text, "prefetcht1");
  }
  EXPECT_GT(fetches, 0u) << "a gradient of softmax fetches the next panel";
}

TEST_F(Code, WhatOnlyHessianProductsUseIsShort) {
  std::string why;
  const auto loss = make_tables({"test", "test", "test.cpp", neighbours}, &kernels_);
  const auto hessian = make_hessian_tables(*loss, &kernels_, &why);
  ASSERT_NE(hessian, nullptr) << why;
  uintmax_t fast = 0, small = 0;
  for (size_t k = 0; k < kernels_.list().size(); k++) {
    if (!kernels_.list()[k].lowest) continue;
    const fs::path object = dir_ / (std::to_string(k) + ".o");
    compile(k, lower::Code::Fast);
    fast += fs::file_size(object);
    compile(k, lower::Code::Small);
    small += fs::file_size(object);
  }
  EXPECT_LT(small, fast * 9 / 10);
}

}  // namespace
}  // namespace lossc::emit
