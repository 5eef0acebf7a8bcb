// The guide for those who write losses: every definition in its text is compiled and checked as it stands there.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lossc::tests {
namespace {

namespace fs = std::filesystem;

std::string guide() {
  std::ifstream file(LOSSC_SOURCE_DIR "/generators/losses/README.md");
  return {std::istreambuf_iterator<char>(file), {}};
}
std::vector<std::string> definitions_in(const std::string& text) {
  std::vector<std::string> found;
  const std::string fence = "\n```cpp\n";
  for (size_t at = 0; (at = text.find(fence, at)) != std::string::npos;) {
    const size_t from = at + fence.size();
    at = text.find("\n```", from);
    found.push_back(text.substr(from, at + 1 - from));
  }
  return found;
}

TEST(Guide, DefinitionsCheck) {
  const std::vector<std::string> all = definitions_in(guide());
  ASSERT_EQ(all.size(), 4u);
  const fs::path folder = fs::temp_directory_path() / ("lossc_guide_test." + std::to_string(getpid()));
  fs::create_directories(folder);
  setenv("LOSSC_CACHE", (folder / "cache").c_str(), 1);
  std::ofstream file(folder / "guide.cpp");
  for (const std::string& definition : all) file << definition;
  file.close();
  FILE* pipe = popen(("'" LOSSC_CLI "' check --json '" + (folder / "guide.cpp").string() + "' 2>&1").c_str(), "r");
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  const int status = pclose(pipe);
  fs::remove_all(folder);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << out;
  const auto results = nlohmann::json::parse(out.substr(out.find('{')), nullptr, false)["results"];
  ASSERT_EQ(results.size(), 4u) << out;
  for (const auto& r : results) {
    EXPECT_TRUE(r["ok"]) << r;
    EXPECT_EQ(r["forms_checked"], r["forms"]) << r;
    EXPECT_GT(r["calls"], 10) << r;
  }
}

// Every command that the guide mentions exists.
TEST(Guide, NamesCommandsOfTheTool) {
  const std::string text = guide();
  size_t named = 0;
  for (size_t at = 0; (at = text.find("`lossc ", at)) != std::string::npos; at++, named++) {
    const size_t from = at + 7, to = text.find_first_of(" `", from);
    const std::string command = text.substr(from, to - from);
    EXPECT_EQ(std::system(("'" LOSSC_CLI "' " + command + " --help | grep -q 'lossc " + command + " '").c_str()), 0) << command;
  }
  EXPECT_GE(named, 3u);
}

}  // namespace
}  // namespace lossc::tests
