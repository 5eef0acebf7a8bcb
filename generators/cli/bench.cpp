#include "generators/cli/command.h"
namespace lossc::cli {
void add_bench(CLI::App&, Action*) {}
}  // namespace lossc::cli
