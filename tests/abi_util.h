// For tests of the ABI: the public header as text, and commands.
#pragma once
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace abi_tests {

inline std::string read(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
inline std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] != '#') found.push_back(line);
  }
  return found;
}

struct Output {
  int code;
  std::string text;  // stdout and stderr
};
inline Output command(const std::string& line) {
  FILE* pipe = popen(("LC_ALL=C " + line + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  Output out{};
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.text.append(buffer, n);
  out.code = pclose(pipe);
  return out;
}
inline bool have(const std::string& program) { return command("command -v " + program).code == 0; }

inline std::string include_dir() { return std::string(LOSSC_SOURCE_DIR) + "/runtime/include"; }
inline std::string header() { return read(include_dir() + "/lossc/lossc.h"); }

// The functions that the header declares.
inline std::set<std::string> declared_functions() {
  std::set<std::string> names;
  const std::string text = header();
  const std::regex declaration(R"(LOSSC_API [^;(]*?(lossc_\w+)\()");
  for (std::sregex_iterator it(text.begin(), text.end(), declaration), end; it != end; ++it) names.insert((*it)[1]);
  return names;
}

// The library's record of what it has promised is a file that only grows. LOSSC_UPDATE_ABI=1 writes it anew.
inline void compare_with_record(const std::string& name, const std::vector<std::string>& now) {
  const std::string path = std::string(LOSSC_SOURCE_DIR) + "/runtime/abi/" + name;
  if (getenv("LOSSC_UPDATE_ABI") != nullptr) {
    std::ofstream out(path);
    out << "# What ABI 1 promises. Lines are added, never changed or removed; tests/abi_*_test.cpp compare.\n";
    for (const std::string& line : now) out << line << '\n';
    return;
  }
  const std::vector<std::string> promised = lines(read(path));
  const std::set<std::string> now_set(now.begin(), now.end()), promised_set(promised.begin(), promised.end());
  for (const std::string& line : promised) EXPECT_TRUE(now_set.count(line)) << "broken promise: " << line;
  for (const std::string& line : now) EXPECT_TRUE(promised_set.count(line)) << "not yet in " << path << ": " << line;
}

}  // namespace abi_tests
