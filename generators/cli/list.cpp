// lossc list: what there is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "generators/cli/command.h"
#include "generators/cli/describe.h"

namespace lossc::cli {
namespace {

Exit list(const std::string& family, bool json) {
  Json all = Json::array();
  for (const Definition& d : definitions()) {
    if (!family.empty() && d.family != family) continue;
    all.push_back(describe_briefly(d));
  }
  if (all.empty() && !family.empty()) {
    std::set<std::string> families;
    for (const Definition& d : definitions()) families.insert(d.family);
    throw UsageError(fmt::format("there is no family '{}': want {}", family, fmt::join(families, ", ")));
  }
  if (json) return print_json(all), kOk;
  size_t width = 0;
  for (const Json& loss : all) width = std::max(width, loss["id"].get<std::string>().size());
  std::map<std::string, std::vector<const Json*>> families;
  for (const Json& loss : all) families[loss["family"]].push_back(&loss);
  for (const auto& [name, losses] : families) {
    fmt::print("{}\n", name);
    for (const Json* loss : losses) {
      fmt::print("  {:<{}}  {}\n", (*loss)["id"].get<std::string>(), width, (*loss)["title"].get<std::string>());
    }
  }
  return kOk;
}

}  // namespace

void add_list(CLI::App& app, Action* action) {
  struct Words {
    std::string family;
    bool json = false;
  };
  auto words = std::make_shared<Words>();
  CLI::App* command = app.add_subcommand("list", "The losses there are");
  command->add_option("--family", words->family, "only those of this family");
  command->add_flag("--json", words->json, "an array of objects: id, family, title, inputs, params, options");
  command->callback([=] { *action = [=] { return list(words->family, words->json); }; });
}

}  // namespace lossc::cli
