// A folder of a test's own, gone with it.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <string>

namespace lossc::tests {

struct Folder {
  std::filesystem::path path;
  explicit Folder(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("lossc_" + name + "_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace lossc::tests
