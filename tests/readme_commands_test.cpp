// Every command of the tool that the README mentions exists. Apart from readme_test, which needs no tool.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

namespace lossc::tests {
namespace {

TEST(Readme, NamesCommandsOfTheTool) {
  std::ifstream file(LOSSC_SOURCE_DIR "/README.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex mention(R"(\./dev lossc ([a-z]+))");
  std::set<std::string> commands;
  for (auto m = std::sregex_iterator(text.begin(), text.end(), mention); m != std::sregex_iterator(); ++m)
    commands.insert((*m)[1]);
  EXPECT_GE(commands.size(), 2u);
  for (const std::string& c : commands) {
    // For a word that it does not know the tool shows its own help, and that is no error.
    const std::string help = "'" LOSSC_CLI "' " + c + " --help | grep -q 'lossc " + c + " '";
    EXPECT_EQ(std::system(help.c_str()), 0) << "lossc " << c;
  }
}

}  // namespace
}  // namespace lossc::tests
