// One line on stderr that says how far something is, once it has taken two seconds: kept up to date on a terminal, else
// written anew every five seconds.
#pragma once
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "generators/cli/machine.h"

namespace lossc::cli {

class Progress {
 public:
  explicit Progress(std::string what) : what_(std::move(what)) {}
  ~Progress() {
    if (shown_ && terminal_) fmt::print(stderr, "\r\x1b[K");
  }
  void at(const std::string& where) {
    const double now = now_ms();
    if (now < next_) return;
    next_ = now + (terminal_ ? 100 : 5000);
    fmt::print(stderr, "{}{}: {}{}", terminal_ ? "\r" : "", what_, where, terminal_ ? "\x1b[K" : "\n");
    std::fflush(stderr);
    shown_ = true;
  }

 private:
  std::string what_;
  bool terminal_ = isatty(STDERR_FILENO), shown_ = false;
  double next_ = now_ms() + 2000;
};

}  // namespace lossc::cli
