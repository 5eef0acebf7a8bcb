#include "generators/emit/workers.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <stdexcept>

namespace lossc::emit {
namespace {

constexpr unsigned kSecondsPerTask = 600;

class Progress {
 public:
  Progress(std::string what, size_t total) : what_(std::move(what)), total_(total), terminal_(isatty(2) != 0) {}

  void start(const std::string& label) { label_ = label; }

  void show(size_t done, size_t failed) {
    if (what_.empty()) return;
    const auto now = Clock::now();
    const bool last = done == total_;
    if (!last && now - shown_ < std::chrono::milliseconds(terminal_ ? 100 : 5000)) return;
    shown_ = now;
    std::string line = fmt::format("{} {}/{}", what_, done, total_);
    if (failed) line += fmt::format(", {} failed", failed);
    if (last) line += fmt::format(", {:.1f} s", std::chrono::duration<double>(now - start_).count());
    if (!last) line += ": " + label_;
    if (terminal_ && line.size() > 119) line.resize(119);  // a line that wraps could not be overwritten
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\x1b[K" : "", line, terminal_ && !last ? "" : "\n");
    fflush(stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_, label_;  // the task begun last
  size_t total_;
  bool terminal_;
  Clock::time_point start_ = Clock::now(), shown_ = start_;
};

struct Child {
  size_t task;
  FILE* output;
};

[[noreturn]] void run_in_child(const Task& task, FILE* output) {
  dup2(fileno(output), 1);
  dup2(fileno(output), 2);
  alarm(kSecondsPerTask);
  int code = 0;
  try {
    task.run();
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    code = 1;
  }
  fflush(nullptr);
  _exit(code);  // the parent's objects and files are not ours to finish
}

std::pair<pid_t, Child> start(const std::vector<Task>& tasks, size_t index) {
  FILE* output = tmpfile();
  if (!output) throw std::runtime_error(fmt::format("no temporary file: {}", strerror(errno)));
  fflush(nullptr);  // or the child would write what is buffered a second time
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error(fmt::format("fork: {}", strerror(errno)));
  if (pid == 0) run_in_child(tasks[index], output);
  return {pid, {index, output}};
}

std::string take_output(FILE* file) {
  std::string text;
  rewind(file);
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, file)) text.append(buffer, n);
  fclose(file);
  return text;
}

std::string ending(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    return fmt::format("took longer than {} s\n", kSecondsPerTask);
  if (WIFSIGNALED(status))
    return fmt::format("died of signal {} ({})\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return WEXITSTATUS(status) == 1 ? "" : fmt::format("ended with status {}\n", WEXITSTATUS(status));
}

}  // namespace

std::vector<Failure> run_tasks(const std::vector<Task>& tasks, int jobs, const std::string& announce) {
  std::vector<Failure> failures;
  std::map<pid_t, Child> running;
  Progress progress(announce, tasks.size());
  size_t next = 0, done = 0;
  while (done < tasks.size()) {
    while (next < tasks.size() && running.size() < static_cast<size_t>(std::max(jobs, 1))) {
      progress.start(tasks[next].label);
      progress.show(done, failures.size());
      running.insert(start(tasks, next++));
    }
    int status = 0;
    const pid_t pid = wait(&status);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) throw std::runtime_error(fmt::format("wait: {}", strerror(errno)));
    const auto it = running.find(pid);
    if (it == running.end()) continue;  // a child of somebody else in this process
    const std::string output = take_output(it->second.output);
    if (status != 0) failures.push_back({it->second.task, ending(status) + output});
    running.erase(it);
    progress.show(++done, failures.size());
  }
  std::sort(failures.begin(), failures.end(), [](auto& a, auto& b) { return a.task < b.task; });
  return failures;
}

}  // namespace lossc::emit
