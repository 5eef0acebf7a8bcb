// Tasks in processes of their own, several at once: Halide's LLVM aborts on some inputs and does not scale over
// threads.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace lossc::emit {

struct Task {
  std::string label;          // what it works on, for progress and failures
  std::function<void()> run;  // in the child; throws on failure, and what it changes in memory is lost
};

struct Failure {
  size_t task;
  std::string what;  // how it ended, and what it wrote to stdout and stderr
};

// Runs all, `jobs` at a time, in order; a failure does not stop the others. A task that takes longer than ten minutes
// has failed. The caller has only one thread. `announce` names the work on stderr: one line that is kept up to date on
// a terminal, else a line every few seconds; empty: silence.
std::vector<Failure> run_tasks(const std::vector<Task>& tasks, int jobs, const std::string& announce);

}  // namespace lossc::emit
