// What the commands of the tool share: how they are added, how they end.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace lossc::cli {

using Json = nlohmann::ordered_json;

// Exit codes, for scripts; kHelp (main.cpp) documents them.
enum Exit { kOk = 0, kFailed = 1, kUsage = 2, kInternal = 3 };

// What the caller of the tool can put right: an unknown name, a missing file, a definition that does not compile. The
// text says how.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Each adds its subcommand to the application; the one that is chosen leaves what is to run in *action.
using Action = std::function<Exit()>;
void add_list(CLI::App& app, Action* action);
void add_describe(CLI::App& app, Action* action);
void add_explain(CLI::App& app, Action* action);
void add_bench(CLI::App& app, Action* action);
void add_check(CLI::App& app, Action* action);
void add_compile(CLI::App& app, Action* action);
void add_fuzz(CLI::App& app, Action* action);
void add_help(CLI::App& app, Action* action);
void add_new(CLI::App& app, Action* action);

void print_json(const Json& json);  // on stdout, indented

}  // namespace lossc::cli
