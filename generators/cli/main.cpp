// lossc: the command line tool. One file per command; this one chooses and turns what is thrown into exit codes.
#include <fmt/format.h>

#include "dsl/program.h"
#include "generators/cli/command.h"

namespace lossc::cli {
namespace {

constexpr const char* kHelp =
    "Every command prints for people, and with --json one JSON value on stdout for programs. Progress and errors go to "
    "stderr.\nExit codes: 0 done; 1 a check failed; 2 wrong usage or input (an unknown name, a definition that does "
    "not "
    "compile); 3 a bug or a failure of the machine.";

Exit run(int argc, char** argv) {
  CLI::App app("lossc, the loss compiler: losses as compiled value and gradient.", "lossc");
  app.footer(kHelp);
  app.require_subcommand(1);
  Action action;
  for (auto add : {add_list, add_describe, add_explain, add_bench, add_check, add_compile}) add(app, &action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  return action();
}

}  // namespace

void print_json(const Json& json) { fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace)); }

}  // namespace lossc::cli

int main(int argc, char** argv) {
  using namespace lossc::cli;
  try {
    return run(argc, argv);
  } catch (const UsageError& e) {
    fmt::print(stderr, "lossc: {}\n", e.what());
    return kUsage;
  } catch (const lossc::DefinitionError& e) {
    fmt::print(stderr, "lossc: {}\n", e.what());
    return kUsage;
  } catch (const std::exception& e) {
    fmt::print(stderr, "lossc: internal error: {}\n", e.what());
    return kInternal;
  }
}
