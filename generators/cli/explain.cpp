#include "generators/cli/command.h"
namespace lossc::cli {
void add_explain(CLI::App&, Action*) {}
}  // namespace lossc::cli
