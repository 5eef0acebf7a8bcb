// The README says what is so: its programs are the files of runtime/examples, its links lead somewhere, its table is
// that of the losses linked here. LOSSC_UPDATE_README=1 writes the table instead (./dev readme).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "dsl/program.h"

namespace lossc::tests {
namespace {

namespace fs = std::filesystem;
const fs::path kTop = LOSSC_SOURCE_DIR;
const fs::path kReadme = kTop / "README.md";

std::string read(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// What every match of the pattern has in its first group.
std::set<std::string> all_matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (auto m = std::sregex_iterator(text.begin(), text.end(), regex); m != std::sregex_iterator(); ++m)
    found.insert((*m)[1]);
  return found;
}

// The lines of the fenced blocks of a language.
std::string blocks(const std::string& text, const std::string& language) {
  std::string found;
  const std::string fence = "\n```" + language + "\n";
  for (size_t at = 0; (at = text.find(fence, at)) != std::string::npos;) {
    const size_t from = at + fence.size(), to = text.find("\n```", from - 1);
    found += text.substr(from, to + 1 - from);
    at = to + 4;
  }
  return found;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& w : words) text += (text.empty() ? "" : ", ") + w;
  return text;
}

// One row: the loss, its definition's file, where it comes from, what it has gradients for and which choices.
std::string row(const Definition& d) {
  const std::vector<Program> forms = build_all(d);
  std::vector<std::string> gradients, options;
  for (const Program& p : forms) {
    for (const ir::Tensor& t : p.graph.tensors) {
      const bool declared = t.role == ir::TensorRole::Input && t.type == ir::Type::Float && t.differentiable;
      if (declared && std::ranges::find(gradients, t.name) == gradients.end()) gradients.push_back(t.name);
    }
  }
  for (const OptionInfo& o : forms[0].options) options.push_back(o.name);
  const About& about = forms[0].about;
  const std::string paper = about.paper.substr(0, about.paper.find(';'));
  const std::string name = d.name, family = d.family;
  return "| [`" + name + "`](generators/losses/" + family + "/" + name + ".cpp) | " + about.title + " | " + paper + " | " +
         join(gradients) + " | " + join(options) + " |\n";
}

std::string table() {
  std::vector<const Definition*> all;
  for (const Definition& d : definitions()) all.push_back(&d);
  std::ranges::sort(all, {}, [](auto* d) { return std::pair<std::string, std::string>(d->family, d->name); });
  std::string text = "| loss | what | from | gradients for | options |\n|---|---|---|---|---|\n";
  for (const Definition* d : all) text += row(*d);
  return text;
}

constexpr char kBegin[] = "<!-- losses: written by ./dev readme -->\n", kEnd[] = "<!-- end of losses -->";

TEST(Readme, HasTheTableOfTheLosses) {
  std::string text = read(kReadme);
  const size_t begin = text.find(kBegin), end = text.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos && begin < end);
  const size_t from = begin + sizeof kBegin - 1;
  if (std::getenv("LOSSC_UPDATE_README")) std::ofstream(kReadme) << text.replace(from, end - from, table());
  else EXPECT_EQ(text.substr(from, end - from), table()) << "./dev readme writes it";
}

TEST(Readme, QuotesTheExamplesAsTheyAre) {
  const std::string text = read(kReadme);
  EXPECT_EQ(blocks(text, "c"), read(kTop / "runtime/examples/first_loss.c"));
  EXPECT_EQ(blocks(text, "cpp"), read(kTop / "runtime/examples/poly1_cross_entropy.cpp"));
}

TEST(Readme, LinksToWhatThereIs) {
  for (const std::string& link : all_matches(read(kReadme), R"(\]\(([^)#]+)\))")) {
    if (link.starts_with("http")) continue;
    EXPECT_TRUE(fs::exists(kTop / link)) << link;
  }
}

TEST(Readme, NamesCommandsOfDev) {
  const std::string dev = read(kTop / "dev");
  const auto commands = all_matches(read(kReadme), R"(\./dev ([a-z]+))");
  EXPECT_GE(commands.size(), 3u);
  for (const std::string& c : commands) EXPECT_NE(dev.find("\n  " + c + ")\n"), std::string::npos) << "./dev " << c;
}

}  // namespace
}  // namespace lossc::tests
