// lossc help: the words of the language, one page each.
#include <fmt/format.h>

#include "dsl/words/words.h"
#include "generators/cli/command.h"

namespace lossc::cli {
namespace {

using words::Word;

void print_all() {
  const words::Group* group = nullptr;
  size_t width = 0;
  for (const Word& w : words::list()) width = std::max(width, std::string(w.takes).size());
  for (const Word& w : words::list()) {
    if (w.group != group) fmt::print("{}{}\n", group ? "\n" : "", w.group->title);
    group = w.group;
    const std::string means = w.means;
    const size_t end = means.find_first_of(".;:");
    fmt::print("  {:<{}}  {}\n", w.takes, width, means.substr(0, end));
  }
  fmt::print("\n`lossc help WORD` has the page of each: meaning, shape, derivative at kinks and ties, cost, an example.\n");
}

Json json(const Word& w) {
  return {{"name", w.name}, {"group", w.group->title}, {"takes", w.takes}, {"means", w.means},
          {"shape", w.shape ? w.shape : w.group->shape}, {"derivative", w.derivative},
          {"cost", w.cost ? w.cost : w.group->cost}, {"example", words::text(w)}};
}

// The words that have what was typed in their name.
std::string alike(const std::string& name) {
  std::string out;
  for (const Word& w : words::list())
    if (std::string(w.name).find(name) != std::string::npos) out += fmt::format("{} '{}'", out.empty() ? "; is it" : ",", w.name);
  return out;
}

Exit help(const std::string& name, bool as_json) {
  if (name.empty() && !as_json) return print_all(), kOk;
  Json pages = Json::array();
  std::string text;
  for (const Word& w : words::list()) {
    if (!name.empty() && !words::is_called(w, name)) continue;
    pages.push_back(json(w));
    text += (text.empty() ? "" : "\n") + words::page(w);
  }
  if (pages.empty())
    throw UsageError(fmt::format("the language has no word '{}'{}; `lossc help` lists all", name, alike(name)));
  if (as_json) return print_json(pages), kOk;
  fmt::print("{}", text);
  return kOk;
}

}  // namespace

void add_help(CLI::App& app, Action* action) {
  struct Words {
    std::string word;
    bool json = false;
  };
  auto words = std::make_shared<Words>();
  CLI::App* command = app.add_subcommand("help", "The words of the language, or the page of one");
  command->add_option("WORD", words->word, "as in lossc/loss.h: logsumexp, Tensor::given, '%'");
  command->add_flag("--json", words->json, "an array of objects: name, group, takes, means, shape, derivative, cost, example");
  command->callback([=] { *action = [=] { return help(words->word, words->json); }; });
}

}  // namespace lossc::cli
