// Where the parts of lossc are that a definition from outside is compiled with, and the commands that do it.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "generators/process.h"

namespace lossc::cli {

namespace fs = std::filesystem;

// The tool works in an installed tree and in its build tree: whichever its own file lies in.
struct Install {
  std::vector<fs::path> includes;  // for <lossc/loss.h>, <lossc/halide.h>, <Halide.h>, <lossc/lossc.h> and "runtime/table.h"
  fs::path headers;                // <lossc/lossc.h> and <dlpack/dlpack.h>, to be handed on
  fs::path runtime;                // liblossc_runtime.a
  fs::path link_script;            // lossc_link.sh
};
const Install& install();

// Makes a folder unless it is there, and sees that it can be written to; `what` it is goes into the UsageError.
void make_folder(const fs::path& folder, const std::string& what);

// A folder that vanishes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// "$CXX", else c++.
std::string cxx();
// Compiled kernels are kept here: $LOSSC_CACHE, $XDG_CACHE_HOME/lossc or ~/.cache/lossc.
fs::path kernel_cache();

}  // namespace lossc::cli
