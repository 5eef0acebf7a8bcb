#include "generators/cli/definition.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "generators/cli/command.h"
#include "generators/cli/install.h"

namespace lossc::cli {
namespace {

std::vector<Definition>& loaded() {
  static std::vector<Definition> list;
  return list;
}

bool is_file(const std::string& word) { return fs::path(word).has_extension() || word.find_first_of("./") != std::string::npos; }

size_t distance(const std::string& a, const std::string& b) {  // Levenshtein
  std::vector<size_t> row(b.size() + 1);
  for (size_t k = 0; k < row.size(); k++) row[k] = k;
  for (size_t i = 0; i < a.size(); i++) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); j++) {
      const size_t change = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, change});
    }
  }
  return row.back();
}

std::string unknown(const std::string& word) {
  std::string best;
  size_t least = word.size() / 2 + 1;
  for (const Definition& d : definitions()) {
    const bool part = std::string(d.name).find(word) != std::string::npos;
    const size_t n = std::min<size_t>(distance(word, d.name), part ? 2 : word.size());
    if (n < least) best = d.name, least = n;
  }
  return fmt::format("there is no loss '{}'{}; `lossc list` shows all{}", word,
                     best.empty() ? "" : fmt::format(" (did you mean '{}'?)", best),
                     is_file(word) ? "" : ", and a definition of your own is named by its file, FILE.cpp");
}

// What the compiler's words mean to one who meets the language for the first time.
std::string hint(const std::string& output) {
  auto has = [&](const char* text) { return output.find(text) != std::string::npos; };
  if (has("lossc/loss.h: No such file")) return "lossc is not whole: its headers are missing\n";
  if (has("to \u2018lossc::Arg\u2019") && has("lossc::Tensor"))
    return "Hint: a tensor is read element by element, as in x(i); without its indices it is no expression.\n";
  if (has("to \u2018lossc::Arg\u2019") && has("lossc::Option"))
    return "Hint: an option is asked in C++, as in if (o.is(\"choice\")); it is no expression.\n";
  if (has("lossc::Expr\u2019 to \u2018bool\u2019"))
    return "Hint: a condition on values is select(condition, then, otherwise); `if` and ?: work on options only.\n";
  return "";
}

// A shared object that wants the language's words from this program (which exports them) and Halide's from the library
// that this program has loaded, so that compiling it needs headers and no library. It stays loaded: the definition's code
// is in it.
void compile_and_load(const fs::path& source) {
  const TemporaryFolder folder;
  const fs::path object = folder.path() / "definition.so";
  std::vector<std::string> command = {cxx(),     "-std=c++20",     "-O0",   "-fPIC",
                                      "-shared", "-fmax-errors=5", "-Wall", "-Werror=return-type"};
  for (const fs::path& include : install().includes) command.push_back("-I" + include.string());
  command.insert(command.end(), {"-o", object, "-x", "c++", source});
  const CommandResult r = run_command(command);
  if (r.status == 127)
    throw UsageError(fmt::format("no C++20 compiler: {}Name one in the environment variable CXX", r.output));
  if (r.status != 0)
    throw UsageError(fmt::format("{} is not valid C++ in the language of <lossc/loss.h>:\n{}{}", source.string(),
                                 r.output, hint(r.output)));
  fmt::print(stderr, "{}", r.output);  // warnings
  if (!dlopen(object.c_str(), RTLD_NOW | RTLD_LOCAL))
    throw UsageError(fmt::format("{} cannot be loaded: {}\nA definition may use only what <lossc/loss.h> and <lossc/halide.h> declare",
                                 source.string(), dlerror()));
}

std::vector<Definition> load_file(const std::string& word) {
  const fs::path source = fs::absolute(word);
  if (fs::is_directory(source)) throw UsageError(fmt::format("'{}' is a folder: want FILE.cpp with a definition", word));
  if (!fs::is_regular_file(source)) throw UsageError(fmt::format("there is no file '{}'", word));
  if (!std::ifstream(source)) throw UsageError(fmt::format("'{}' cannot be read", word));
  const std::vector<Definition> before = definitions();
  compile_and_load(source);
  std::vector<Definition> found;
  for (const Definition& d : definitions()) {
    const bool old = std::any_of(before.begin(), before.end(), [&](auto& b) { return b.body == d.body; });
    if (!old) found.push_back(d);
  }
  if (found.empty())
    throw UsageError(
        fmt::format("{} defines no loss: want LOSSC_LOSS(name, \"family\") {{ ... }}; generators/losses/ "
                    "has many to look at, and <lossc/loss.h> begins with one",
                    word));
  for (const Definition& b : before) {
    if (std::any_of(found.begin(), found.end(), [&](auto& d) { return std::string(d.name) == b.name; })) forget(b);
  }
  loaded().insert(loaded().end(), found.begin(), found.end());
  return found;
}

}  // namespace

bool from_file(const Definition& definition) {
  return std::any_of(loaded().begin(), loaded().end(), [&](auto& d) { return d.body == definition.body; });
}

std::vector<Definition> load(const std::string& word) {
  for (const Definition& d : definitions()) {
    if (d.name == word) return {d};
  }
  if (!is_file(word)) throw UsageError(unknown(word));
  return load_file(word);
}

Definition load_one(const std::string& word) {
  const std::vector<Definition> all = load(word);
  if (all.size() > 1) {
    throw UsageError(fmt::format("{} defines {} losses ({}, {}, ...), but this command is about one", word, all.size(),
                                 all[0].name, all[1].name));
  }
  return all[0];
}

}  // namespace lossc::cli
