#include "generators/cli/install.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <cerrno>
#include <stdexcept>

#include "generators/cli/command.h"

namespace lossc::cli {
namespace {

// LOSSC_LIBDIR and LOSSC_INCLUDEDIR are relative to the prefix; LOSSC_SOURCE_DIR is where the tool was built from, and
// LOSSC_HALIDE_INCLUDE has the <Halide.h> that it was built with.
Install find_install() {
  const fs::path prefix = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  const fs::path lib = prefix / LOSSC_LIBDIR, source = LOSSC_SOURCE_DIR;
  if (fs::exists(lib / "cmake/lossc/lossc_link.sh")) {
    const fs::path include = prefix / LOSSC_INCLUDEDIR;
    return {
        {include, lib / "lossc/include"}, include, lib / "lossc/liblossc_runtime.a", lib / "cmake/lossc/lossc_link.sh"};
  }
  if (fs::exists(prefix / "lib/liblossc_runtime.a") && fs::exists(source / "runtime/table.h")) {
    return {{source / "dsl/include", source / "generators/include", source / "runtime/include", source, LOSSC_HALIDE_INCLUDE},
            source / "runtime/include",
            prefix / "lib/liblossc_runtime.a",
            source / "generators/cmake/lossc_link.sh"};
  }
  throw std::runtime_error(fmt::format("no lossc is installed around {}: want {}", (prefix / "bin/lossc").string(),
                                       (lib / "cmake/lossc/lossc_link.sh").string()));
}

}  // namespace

const Install& install() {
  static const Install found = find_install();
  return found;
}

void make_folder(const fs::path& folder, const std::string& what) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && access(folder.c_str(), W_OK | X_OK) != 0) error.assign(errno, std::generic_category());
  if (!error && !fs::is_directory(folder)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) throw UsageError(fmt::format("{}, {}: {}", what, folder.string(), error.message()));
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "lossc.XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error(fmt::format("cannot make a folder {}", name));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string cxx() {
  const char* chosen = std::getenv("CXX");
  return chosen && *chosen ? chosen : "c++";
}

fs::path kernel_cache() {
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return fs::path(value ? value : "");
  };
  if (const fs::path own = variable("LOSSC_CACHE"); !own.empty()) return own;
  if (const fs::path caches = variable("XDG_CACHE_HOME"); !caches.empty()) return caches / "lossc";
  if (const fs::path home = variable("HOME"); !home.empty()) return home / ".cache/lossc";
  return fs::temp_directory_path() / "lossc-cache";
}

}  // namespace lossc::cli
