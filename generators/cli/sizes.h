// How much code each loss of a library is.
#pragma once
#include <map>
#include <string>

#include "generators/cli/install.h"

namespace lossc::cli {

struct LossSize {
  size_t kernels = 0;  // for every dtype and level
  size_t bytes = 0;    // code and constants of its kernels
  size_t alone = 0;    // of those that no other loss uses: what the library would be smaller by without it
  size_t tables = 0;   // its plans
  size_t hessian = 0;  // what a program links in addition that names its Hessian products: kernels and plans
};

// By loss, from the members of a static library of losses: one for each kernel, and one for each loss, whose table names
// its kernels. Throws UsageError if it is none.
std::map<std::string, LossSize> loss_sizes(const fs::path& archive);
// The library that the tool came with.
fs::path built_library();

}  // namespace lossc::cli
