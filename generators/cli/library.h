// From loaded definitions to kernels on disk, and to a library.
#pragma once
#include <string>
#include <vector>

#include "generators/cli/install.h"

namespace lossc::cli {

struct Build {
  std::vector<std::string> losses;  // by name
  std::vector<std::string> dtypes = {"f32"}, isas;
  bool hessians = false;  // Hessian products, too
};

// Compiles the losses into `folder` (see generators/emit/emit.h for what comes there) by way of the kernel cache, with
// progress on stderr. Throws UsageError if a definition is wrong, std::runtime_error if a kernel does not compile.
void emit_losses(const Build& build, const fs::path& folder);
// What was emitted into `folder` as folder/NAME.so with the tables lossc_loss_*, to be run by another runtime.
fs::path link_tables(const Build& build, const fs::path& folder);
// What was emitted into `folder` as a whole library: `stem`.a and `stem`.so.
void link_library(const Build& build, const fs::path& folder, const fs::path& stem);

// The best level that this machine has.
std::string best_isa();

}  // namespace lossc::cli
