// What code kernels become: how long it is, and which instructions fetch ahead.
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>
#include <string>
#include <vector>

#include "generators/emit/files.h"
#include "generators/emit/tables.h"
#include "generators/emit/workers.h"
#include "generators/lower/lower.h"
#include "tests/support/definition.h"
#include "tests/support/folder.h"

namespace lossc::emit {
namespace {

using tests::definition;
using tests::input;

// Rows that do not fit a cache: several passes over a panel.
void softmax_rows() {
  auto n = axis("N"), c = axis("C");
  auto x = input("x", {n, c});
  loss_per(n, logsumexp(c, x(n, c)));
}

// Clamped along both axes of an image.
void neighbours() {
  auto n = axis("N"), h = axis("H"), w = axis("W"), p = twin(h, "p"), q = twin(w, "q");
  auto x = input("x", {n, h, w});
  auto below = padded(x(n, h, q), h, p + 1, Border::Edge), right = padded(x(n, p, w), w, q + 1, Border::Edge);
  loss_per(n, mean(p, mean(q, exp(below - right))));
}

class Code : public testing::Test {
 protected:
  // Kernel k compiled for AVX2: its object is object(k).
  void compile(size_t k, lower::Code code) {
    const Kernel& kernel = kernels_.list()[k];
    const Task task{kernel.name, [&] {
                      lower::compile(*kernel.plan, kernel.step, 32, schedules::kAvx2, code, "kernel",
                                     {object(k), ""});
                    }};
    for (const Failure& f : run_tasks({task}, 1, "")) FAIL() << kernel.name << ": " << f.what;
  }
  std::string object(size_t k) const { return folder_.path / (std::to_string(k) + ".o"); }
  std::string assembly(size_t k) const {
    const std::string text = folder_.path / "text", command = "objdump -d '" + object(k) + "' > '" + text + "'";
    return system(command.c_str()) == 0 ? read_file(text).value_or("") : "";
  }

  tests::Folder folder_{"code"};
  KernelSet kernels_;
};

size_t count(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) n++;
  return n;
}

// Fetches, one after another, of places that are less than a line apart.
size_t fetched_twice(const std::string& text) {
  const std::regex fetch("prefetcht1 +(-?)(?:0x([0-9a-f]+))?(\\(.*\\))");
  size_t twice = 0;
  std::string before;
  long last = 0;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), fetch); it != std::sregex_iterator(); ++it) {
    const long at = (it->str(1).empty() ? 1 : -1) * std::strtol(("0" + it->str(2)).c_str(), nullptr, 16);
    twice += it->str(3) == before && at != last && std::labs(at - last) < 64;
    before = it->str(3), last = at;
  }
  return twice;
}

TEST_F(Code, PrefetchesGoToTheSecondLevelOfCache) {
  const auto loss = make_tables(definition(softmax_rows), &kernels_);
  std::vector<std::string> fetch;  // kernels that do
  for (size_t k = 0; k < kernels_.list().size(); k++) {
    compile(k, lower::Code::Fast);
    const std::string text = assembly(k);
    EXPECT_GT(count(text, "ret"), 0u) << kernels_.list()[k].name;
    EXPECT_EQ(count(text, "prefetchnta"), 0u) << kernels_.list()[k].name;
    if (count(text, "prefetcht1") > 0) fetch.push_back(kernels_.list()[k].name);
    EXPECT_EQ(fetched_twice(text), 0u) << kernels_.list()[k].name;
  }
  // One makes the exponentials, and fetches what it reads; one makes the gradient of them, and fetches what it writes.
  EXPECT_EQ(fetch.size(), 2u) << "a gradient of softmax fetches the next panel";
}

TEST_F(Code, WhatOnlyHessianProductsUseIsShort) {
  std::string why;
  const auto loss = make_tables(definition(neighbours), &kernels_);
  const auto hessian = make_hessian_tables(*loss, &kernels_, &why);
  ASSERT_NE(hessian, nullptr) << why;
  uintmax_t fast = 0, small = 0;
  for (size_t k = 0; k < kernels_.list().size(); k++) {
    if (!kernels_.list()[k].lowest) continue;
    compile(k, lower::Code::Fast);
    fast += std::filesystem::file_size(object(k));
    compile(k, lower::Code::Small);
    small += std::filesystem::file_size(object(k));
  }
  EXPECT_LT(small, fast * 9 / 10);
}

}  // namespace
}  // namespace lossc::emit
