// lossc new: the beginning of a definition, commented, that checks as it stands.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "dsl/program.h"
#include "generators/cli/command.h"

namespace lossc::cli {
namespace {

namespace fs = std::filesystem;

// NAME and FAMILY are replaced. What stands here is a whole loss, so that `lossc check` says at once what it says.
constexpr const char* kSkeleton = R"(#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(NAME, "FAMILY") {
  // All four are required. `edges` says what happens where the formula does not: ties, empty sums, zero vectors, ignored rows.
  about({
      .title = "NAME",
      .paper = "Author year (Title), equation",
      .equation = "w (x - y)^2",
      .edges = "none",
  });
  // Axes, then options, tensors and params, each with a sentence: meaning, unit, valid range. An upper-case letter is the
  // axis' name on the command line, the index is used in the formula.
  auto i = axis("N", "rows"), d = axis("D", "features");
  auto x = tensor("input", {i, d}, "prediction");
  auto y = tensor("target", {i, d}, "observation").constant();  // constant: no gradient is offered
  auto w = param("weight", 1, "factor of the loss; >= 0").at_least(0);

  // One element, in index notation. Reductions name their index: sum, mean, max, logsumexp, softmax, dot, norm, sort, ...;
  // a gather is an index expression in place of an index: x(i, labels(i)). lossc/loss.h has all words.
  auto r = x(i, d) - y(i, d);
  // One loss per row; reduction, row weights, masks, the upstream gradient and the derivative are added by the compiler.
  loss_per(i, w * sum(d, sq(r)));
}
)";

bool is_name(const std::string& s) {
  return !s.empty() && islower(s[0]) && s.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

std::string filled(std::string text, const std::string& word, const std::string& by) {
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += by.size()) text.replace(at, word.size(), by);
  return text;
}

Exit write_new(const std::string& name, const std::string& family, fs::path file, bool json) {
  if (!is_name(name)) throw UsageError(fmt::format("'{}' is no name for a loss: want lower-case letters, digits and _, a letter first", name));
  if (!is_name(family)) throw UsageError(fmt::format("'{}' is no name for a family: want lower-case letters, digits and _", family));
  for (const Definition& d : definitions())
    if (d.name == name) throw UsageError(fmt::format("there is a loss '{}' already, in {}", name, d.file));
  if (file.empty()) file = name + ".cpp";
  if (fs::exists(file)) throw UsageError(fmt::format("{} exists already; it is not overwritten", file.string()));
  std::ofstream out(file);
  out << filled(filled(kSkeleton, "FAMILY", family), "NAME", name);
  out.close();
  if (!out) throw UsageError(fmt::format("{} cannot be written", file.string()));
  if (json) return print_json({{"loss", name}, {"file", file.string()}}), kOk;
  fmt::print("{0} written; next: lossc check {0}\n", file.string());
  return kOk;
}

}  // namespace

void add_new(CLI::App& app, Action* action) {
  struct Words {
    std::string name, family = "regression", file;
    bool json = false;
  };
  auto words = std::make_shared<Words>();
  CLI::App* command = app.add_subcommand("new", "Write the beginning of a definition, commented");
  command->add_option("NAME", words->name, "of the loss")->required();
  command->add_option("--family", words->family, "of the catalogue; default regression");
  command->add_option("-o,--out", words->file, "the file to write; default NAME.cpp");
  command->add_flag("--json", words->json, "an object: loss, file");
  command->callback([=] { *action = [=] { return write_new(words->name, words->family, words->file, words->json); }; });
}

}  // namespace lossc::cli
