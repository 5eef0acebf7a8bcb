#include "generators/cli/command.h"
namespace lossc::cli {
void add_check(CLI::App&, Action*) {}
}  // namespace lossc::cli
