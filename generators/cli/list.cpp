// lossc list: what there is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "generators/cli/command.h"
#include "generators/cli/describe.h"
#include "generators/cli/sizes.h"

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

// Largest first: what to look at where a library is too large.
Exit list_sizes(const std::string& family, const std::string& library, bool json) {
  const fs::path archive = library.empty() ? built_library() : fs::path(library);
  std::vector<std::pair<std::string, LossSize>> all;
  for (const auto& entry : loss_sizes(archive)) {
    const auto named = [&](const Definition& d) { return d.name == entry.first && d.family == family; };
    if (family.empty() || std::any_of(definitions().begin(), definitions().end(), named)) all.push_back(entry);
  }
  std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.second.bytes > b.second.bytes; });
  if (json) {
    Json out = Json::array();
    for (const auto& [name, s] : all)
      out.push_back({{"id", name}, {"kernels", s.kernels}, {"bytes", s.bytes}, {"bytes_alone", s.alone}, {"table_bytes", s.tables}, {"hvp_bytes", s.hessian}});
    return print_json(out), kOk;
  }
  size_t width = 4;
  for (const auto& [name, s] : all) width = std::max(width, name.size());
  fmt::print("{:<{}}  {:>7}  {:>10}  {:>14}  {:>10}  {:>10}\n", "", width, "kernels", "bytes", "bytes alone", "tables", "hvp");
  for (const auto& [name, s] : all)
    fmt::print("{:<{}}  {:>7}  {:>10}  {:>14}  {:>10}  {:>10}\n", name, width, s.kernels, s.bytes, s.alone, s.tables, s.hessian);
  fmt::print("kernels of {}; `alone`: in kernels that no other loss uses; `hvp`: kernels and tables that a program links\n"
             "in addition if it asks for Hessian products\n", archive.string());
  return kOk;
}

}  // namespace

void add_list(CLI::App& app, Action* action) {
  struct Words {
    std::string family, library;
    bool json = false, sizes = false;
  };
  auto words = std::make_shared<Words>();
  CLI::App* command = app.add_subcommand("list", "The losses there are");
  command->add_option("--family", words->family, "only those of this family");
  CLI::Option* sizes = command->add_flag("--sizes", words->sizes, "code bytes of each loss's kernels, for every dtype and level");
  command->add_option("--library", words->library, "the static library to look into; default: the one that came with the tool")->needs(sizes);
  command->add_flag("--json", words->json, "an array of objects: id, family, title, inputs, params, options; with --sizes id, kernels, "
                                           "bytes, bytes_alone, table_bytes, hvp_bytes");
  command->callback([=] {
    *action = [=] { return words->sizes ? list_sizes(words->family, words->library, words->json) : list(words->family, words->json); };
  });
}

}  // namespace lossc::cli
