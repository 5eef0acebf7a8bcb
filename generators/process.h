// Other programs: the C++ compiler, binutils.
#pragma once
#include <string>
#include <vector>

namespace lossc {

struct CommandResult {
  int status;          // exit status; 128 + the signal's number
  std::string output;  // stdout and stderr
};
CommandResult run_command(const std::vector<std::string>& words);
// Throws std::runtime_error with the output if it fails.
void must_run(const std::vector<std::string>& words);

}  // namespace lossc
