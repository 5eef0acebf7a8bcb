// lossc: the command line tool. One file per command; this one chooses and turns what is thrown into exit codes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <new>

#include "dsl/program.h"
#include "dsl/words/words.h"
#include "generators/by_hand/words.h"
#include "generators/cli/command.h"

namespace lossc::cli {
namespace {

constexpr const char* kHelp =
    "Every command prints for people, and with --json one JSON value on stdout for programs; what goes wrong is then\n"
    "{\"error\": {\"exit\": ..., \"text\": ...}}. Progress and errors go to stderr.\n"
    "Exit codes: 0 done; 1 a check failed; 2 wrong usage or input (an unknown name, a definition that does not compile, "
    "a folder that cannot be written); 3 a bug or a failure of the machine.";

// CLI11 would say that a command is missing where it does not know the word.
void check_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (std::ranges::find(names, argv[1]) == names.end())
    throw UsageError(fmt::format("there is no command '{}': want {}", argv[1], fmt::join(names, ", ")));
}

Exit run(int argc, char** argv) {
  words::add(by_hand::words);  // a word of either header has its page and is in random definitions
  CLI::App app("lossc, the loss compiler: losses as compiled value and gradient.", "lossc");
  app.footer(kHelp);
  app.require_subcommand(1);
  Action action;
  for (auto add : {add_list, add_describe, add_explain, add_bench, add_check, add_compile, add_new, add_help, add_fuzz})
    add(app, &action);
  check_command(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e), kOk;  // --help
    const auto chosen = app.get_subcommands();
    throw UsageError(
        fmt::format("{}; `lossc {}--help` says more", e.what(), chosen.empty() ? "" : chosen[0]->get_name() + " "));
  }
  return action();
}

Exit fail(bool json, Exit code, const std::string& text) {
  fmt::print(stderr, "lossc: {}\n", text);
  if (json) print_json({{"error", {{"exit", static_cast<int>(code)}, {"text", text}}}});
  return code;
}

Exit run_and_report(int argc, char** argv) {
  const bool json = std::find(argv, argv + argc, std::string("--json")) != argv + argc;
  auto internal = [&](const char* what) { return fail(json, kInternal, fmt::format("internal error: {}", what)); };
  try {
    return run(argc, argv);
  } catch (const UsageError& e) {
    return fail(json, kUsage, e.what());
  } catch (const DefinitionError& e) {
    return fail(json, kUsage, e.what());
  } catch (const std::filesystem::filesystem_error& e) {
    if (e.path1().empty()) return fail(json, kUsage, e.what());
    return fail(json, kUsage, fmt::format("{}: {}", e.path1().string(), e.code().message()));
  } catch (const std::bad_alloc&) {
    return fail(json, kInternal, "there is not enough memory");
  } catch (const std::exception& e) {
    return internal(e.what());
  } catch (...) {
    return internal("something was thrown that is no std::exception; did a definition throw it?");
  }
}

}  // namespace

void print_json(const Json& json) { fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace)); }

}  // namespace lossc::cli

int main(int argc, char** argv) { return lossc::cli::run_and_report(argc, argv); }
