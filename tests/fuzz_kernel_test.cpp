// Random definitions through the whole compiler: their kernels against the oracle, in the memory that their plans say.
// tests/fuzz_test.cpp checks derivatives, of more of them.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace lossc::tests {
namespace {

nlohmann::json fuzz(const std::string& words, int want) {
  FILE* pipe = popen(("'" LOSSC_CLI "' fuzz --json " + words + " 2>/dev/null").c_str(), "r");
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  const int status = pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == want) << words << "\n" << out;
  return nlohmann::json::parse(out, nullptr, false);
}

// A cache of its own is emptied each time, or code that came from an older compiler would be what is checked.
TEST(Fuzz, KernelsComputeWhatTheOracleDoes) {
  const auto cache = std::filesystem::temp_directory_path() / ("lossc_fuzz_test." + std::to_string(getpid()));
  setenv("LOSSC_CACHE", cache.c_str(), 1);
  const nlohmann::json r = fuzz("--seed 1 --programs 32", 0);
  std::filesystem::remove_all(cache);
  EXPECT_TRUE(r["found"].empty()) << r["found"].dump(1);
  EXPECT_GE(r["kernels_of"].get<int>() - r["not_planned_yet"].get<int>(), 24);
}

// And those of every word's example, where its page shows infinities, NaN and empty axes.
TEST(Words, KernelsGiveWhatThePagesShow) {
  const nlohmann::json r = fuzz("--words", 0);
  EXPECT_TRUE(r["found"].empty()) << r["found"].dump(1);
  EXPECT_GT(r["words"], 95);
  EXPECT_GT(r["calls"], 280);
}

}  // namespace
}  // namespace lossc::tests
