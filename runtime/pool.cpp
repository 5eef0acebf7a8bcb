#include "runtime/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace lossc::rt {
namespace {

void pause() { __builtin_ia32_pause(); }

// Spinning covers the gap between two steps of one plan (microseconds); a thread that finds nothing for longer sleeps.
constexpr int kSpins = 4000;

// The state of the current job in one word, so that a thread which comes late can never take a task of one job with the
// function of another: the job's number, its count of tasks, the next task.
constexpr uint64_t ticket(uint64_t job, uint64_t n, uint64_t next) { return job << 32 | n << 16 | next; }
constexpr uint64_t job_of(uint64_t t) { return t >> 32; }
constexpr uint64_t count_of(uint64_t t) { return t >> 16 & 0xffff; }
constexpr uint64_t next_of(uint64_t t) { return t & 0xffff; }

struct Pool {
  std::atomic<uint64_t> ticket{0};
  std::atomic<lossc_task_fn> task{nullptr};
  std::atomic<void*> context{nullptr};
  std::atomic<size_t> finished{0};
  std::atomic<bool> taken{false};  // by the thread whose job it does
  std::atomic<bool> stopping{false};
  std::atomic<int> sleepers{0};
  std::atomic<int> n_threads{0};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // sleeping, starting
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
  pthread_t threads[kMaxThreads];
};
Pool pool;  // constant-initialised: usable before any constructor has run

std::atomic<int> wanted_threads{0};
std::atomic<lossc_runner_fn> host_runner{nullptr};
std::atomic<void*> host_user{nullptr};

// Takes tasks of the current job until there are none.
void work() {
  uint64_t now = pool.ticket.load(std::memory_order_acquire);
  while (next_of(now) < count_of(now)) {
    const lossc_task_fn task = pool.task.load(std::memory_order_relaxed);
    void* const context = pool.context.load(std::memory_order_relaxed);
    // Success proves that the job is still the one that the ticket named, hence that task and context are its own: a
    // job ends only when all its tasks, this one included, have run.
    if (!pool.ticket.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel)) continue;
    task(context, next_of(now));
    pool.finished.fetch_add(1, std::memory_order_release);
    now = pool.ticket.load(std::memory_order_acquire);
  }
}

bool idle(uint64_t seen) { return job_of(pool.ticket.load()) == job_of(seen) && !pool.stopping.load(); }

void sleep_until_work(uint64_t seen) {
  pthread_mutex_lock(&pool.mutex);
  pool.sleepers.fetch_add(1);  // before looking again: the caller looks at sleepers after it has posted its job
  while (idle(seen)) pthread_cond_wait(&pool.wake, &pool.mutex);
  pool.sleepers.fetch_sub(1);
  pthread_mutex_unlock(&pool.mutex);
}

void* thread_main(void*) {
  uint64_t seen = 0;
  while (!pool.stopping.load(std::memory_order_relaxed)) {
    for (int spin = 0; spin < kSpins && idle(seen); ++spin) pause();
    if (idle(seen)) sleep_until_work(seen);
    seen = pool.ticket.load();
    work();
  }
  return nullptr;
}

void wake_sleepers() {
  if (pool.sleepers.load() == 0) return;
  pthread_mutex_lock(&pool.mutex);
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.mutex);
}

// A forked child has none of the threads, and whatever state the mutex was in. It starts its own with its first plan.
void forget_threads() {
  pool.ticket.store(ticket(job_of(pool.ticket.load()), 0, 0));  // the rest of a job may have been there
  pool.n_threads.store(0);
  pool.sleepers.store(0);
  pool.taken.store(false);
  pthread_mutex_init(&pool.mutex, nullptr);
  pthread_cond_init(&pool.wake, nullptr);
}

// Before the library goes (exit, dlclose): its threads run its code.
__attribute__((destructor)) void stop_threads() {
  pool.stopping.store(true);
  pthread_mutex_lock(&pool.mutex);
  const int n = pool.n_threads.exchange(0);
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.mutex);
  for (int i = 0; i < n; ++i) pthread_join(pool.threads[i], nullptr);
}

int cpus_of_process() {
  cpu_set_t set;
  const int n =
      sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return n < 1 ? 1 : n > kMaxThreads ? kMaxThreads : n;
}

}  // namespace

int thread_count() {
  const int n = wanted_threads.load(std::memory_order_relaxed);
  return n > 0 ? n : cpus_of_process();
}

void start_threads(int n) {
  if (host_runner.load() != nullptr || pool.n_threads.load() >= n - 1) return;
  static std::atomic<bool> registered{false};
  if (!registered.exchange(true)) pthread_atfork(nullptr, nullptr, forget_threads);
  // Signals are the host's business: its handlers run on its threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_mutex_lock(&pool.mutex);
  for (int i = pool.n_threads.load(); i < n - 1 && !pool.stopping.load(); ++i) {
    if (pthread_create(&pool.threads[i], nullptr, thread_main, nullptr) != 0) break;
    pool.n_threads.store(i + 1);
  }
  pthread_mutex_unlock(&pool.mutex);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void run_tasks(size_t n, lossc_task_fn task, void* context) {
  if (n > 1) {
    if (const lossc_runner_fn run = host_runner.load(std::memory_order_acquire)) {
      return run(host_user.load(std::memory_order_relaxed), n, task, context);
    }
  }
  if (n <= 1 || pool.n_threads.load(std::memory_order_relaxed) == 0 ||
      pool.taken.exchange(true, std::memory_order_acquire)) {
    for (size_t i = 0; i < n; ++i) task(context, i);
    return;
  }
  pool.task.store(task, std::memory_order_relaxed);
  pool.context.store(context, std::memory_order_relaxed);
  pool.finished.store(0, std::memory_order_relaxed);
  pool.ticket.store(ticket(job_of(pool.ticket.load(std::memory_order_relaxed)) + 1, n, 0));
  wake_sleepers();
  work();
  for (int spin = 0; pool.finished.load(std::memory_order_acquire) < n; ++spin) {
    spin < kSpins ? pause() : static_cast<void>(sched_yield());
  }
  pool.taken.store(false, std::memory_order_release);
}

}  // namespace lossc::rt

using namespace lossc::rt;

extern "C" void lossc_set_num_threads(int32_t n) {
  wanted_threads.store(n < 0 ? 0 : n > kMaxThreads ? kMaxThreads : n);
}

extern "C" int32_t lossc_get_num_threads(void) { return thread_count(); }

extern "C" void lossc_set_task_runner(lossc_runner_fn run, void* user) {
  host_user.store(user);
  host_runner.store(run);
}
