// Files that a build looks at: written whole or not at all, and only if their content changes.
#pragma once
#include <filesystem>
#include <optional>
#include <set>
#include <string>

namespace lossc::emit {

namespace fs = std::filesystem;

std::optional<std::string> read_file(const fs::path& path);  // nothing if there is none

// By way of a temporary file beside it, so that readers never see half of it. Makes folders. Throws std::runtime_error.
void replace_file(const fs::path& path, const std::string& content);

// The files of one run under one folder.
class Folder {
 public:
  explicit Folder(fs::path root) : root_(std::move(root)) {}
  const fs::path& root() const { return root_; }
  void write(const std::string& name, const std::string& content);  // leaves a file of that content untouched
  // Removes from these folders what earlier runs left and this one did not write.
  void remove_others(const std::set<std::string>& folders) const;

 private:
  fs::path root_;
  std::set<std::string> written_;
};

}  // namespace lossc::emit
