#include "generators/emit/files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace lossc::emit {

std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void replace_file(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  const fs::path temporary = fmt::format("{}.{}.tmp", path.string(), getpid());
  std::ofstream out(temporary, std::ios::binary);
  out << content;
  out.close();
  if (!out) {
    const int error = errno;
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw std::runtime_error(fmt::format("cannot write {}: {}", path.string(), strerror(error)));
  }
  fs::rename(temporary, path);
}

void Folder::write(const std::string& name, const std::string& content) {
  written_.insert(name);
  if (read_file(root_ / name) != content) replace_file(root_ / name, content);
}

void Folder::remove_others(const std::set<std::string>& folders) const {
  for (const std::string& folder : folders) {
    if (!fs::is_directory(root_ / folder)) continue;
    for (const auto& entry : fs::directory_iterator(root_ / folder)) {
      const std::string name = folder + "/" + entry.path().filename().string();
      if (entry.is_regular_file() && !written_.count(name)) fs::remove(entry.path());
    }
  }
}

}  // namespace lossc::emit
