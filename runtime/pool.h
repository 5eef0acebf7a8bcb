// Runs independent tasks on the library's threads or the host's.
#pragma once
#include <cstddef>
#include <cstdint>

#include "lossc/lossc.h"

namespace lossc::rt {

inline constexpr int kMaxThreads = 256;

// Threads a plan made now may use: lossc_set_num_threads, or the CPUs this process may run on.
int thread_count();

// Starts threads, if there are not yet as many as n with the caller. Fewer are no error: the rest is done by those.
void start_threads(int n);

// Calls task(context, i) for every i in [0, n) and returns when all have returned. n <= 65535. Allocates nothing. If
// another thread has the pool, or there is none, the caller does everything itself: several threads that run plans are
// parallel enough already, and nobody waits for somebody else's loss.
void run_tasks(size_t n, lossc_task_fn task, void* context);

}  // namespace lossc::rt
