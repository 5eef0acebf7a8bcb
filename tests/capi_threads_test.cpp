// Plans are immutable and runs re-entrant; the pool, the host's task runner, fork.
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "capi_fake.h"
#include "capi_util.h"

namespace {

using namespace capi;

struct Gram : Problem {
  std::vector<float> x = numbers<float>(200 * 40), y = numbers<float>(100 * 40);
  Tensor xt = tensor(x, {200, 40}), yt = tensor(y, {100, 40});
  Gram() {
    loss = fake::handle(fake::gram::loss);
    inputs = {xt.get(), yt.get()};
    reduction = LOSSC_REDUCE_SUM;
  }
  // Loss and gradients, one after another.
  std::vector<float> results(const lossc_plan* plan) const {
    std::vector<float> all(1 + x.size() + y.size(), -7);
    const Tensor value = Tensor::of(all.data(), {}), dx = Tensor::of(all.data() + 1, {200, 40}),
                 dy = Tensor::of(all.data() + 1 + x.size(), {100, 40});
    Problem p = *this;
    p.outputs = {value.get(), dx.get(), dy.get()};
    const Result r = p.run(plan);
    EXPECT_EQ(r.status, LOSSC_OK) << r.text;
    return all;
  }
};

TEST(Threads, ManyRunOnePlanToTheSameBits) {
  lossc_set_num_threads(4);
  const Gram p;
  const Plan plan = p.plan();
  const std::vector<float> want = p.results(plan.get());
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) wrong += p.results(plan.get()) != want;
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, MakeAndDestroyPlansAtOnce) {
  lossc_set_num_threads(3);
  const Gram p;
  const std::vector<float> want = p.results(p.plan().get());
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) wrong += p.results(p.plan().get()) != want;
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, SleepersWakeUp) {
  lossc_set_num_threads(4);
  const Gram p;
  const Plan plan = p.plan();
  const std::vector<float> want = p.results(plan.get());
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // long past spinning
    EXPECT_EQ(p.results(plan.get()), want);
  }
}

struct Host {
  std::atomic<int> jobs{0}, tasks{0};
};
void run_backwards(void* user, size_t n, lossc_task_fn task, void* context) {
  auto& host = *static_cast<Host*>(user);
  ++host.jobs;
  for (size_t i = n; i-- > 0;) {
    ++host.tasks;
    task(context, i);
  }
}
void run_on_threads(void* user, size_t n, lossc_task_fn task, void* context) {
  auto& host = *static_cast<Host*>(user);
  ++host.jobs;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < n; ++i) threads.emplace_back([=, &host] { ++host.tasks, task(context, i); });
  for (std::thread& t : threads) t.join();
}

TEST(Threads, TheHostMayRunTheTasks) {
  lossc_set_num_threads(4);
  const Gram p;
  for (const int flags : {0, int(LOSSC_PLAN_REPRODUCIBLE)}) {
    Gram q;
    q.flags = flags;
    const Plan plan = q.plan();
    const std::vector<float> want = q.results(plan.get());
    for (const lossc_runner_fn run : {run_backwards, run_on_threads}) {
      Host host;
      lossc_set_task_runner(run, &host);
      EXPECT_EQ(q.results(plan.get()), want);
      lossc_set_task_runner(nullptr, nullptr);
      EXPECT_GT(host.jobs, 0);
      EXPECT_GT(host.tasks, host.jobs);
    }
  }
}

TEST(Threads, SmallProblemsStayOnTheCaller) {
  lossc_set_num_threads(4);
  Host host;
  lossc_set_task_runner(run_backwards, &host);
  const auto x = numbers<float>(64 * 8);
  const Tensor xt = tensor(x, {64, 8});
  float value;
  const Tensor value_t = Tensor::of(&value, {});
  const Problem p{.loss = fake::handle(fake::squares::loss), .inputs = {xt.get()}, .outputs = {value_t.get()}};
  ASSERT_RUNS(p.run());
  lossc_set_task_runner(nullptr, nullptr);
  EXPECT_EQ(host.jobs, 0);
}

TEST(Threads, CountIsThatOfTheProcessUnlessSet) {
  lossc_set_num_threads(0);
  const int all = lossc_get_num_threads();
  EXPECT_GE(all, 1);
  lossc_set_num_threads(5);
  EXPECT_EQ(lossc_get_num_threads(), 5);
  lossc_set_num_threads(-3);
  EXPECT_EQ(lossc_get_num_threads(), all);
  lossc_set_num_threads(100000);
  EXPECT_EQ(lossc_get_num_threads(), 256);
  Gram p;
  p.threads = 3;
  EXPECT_NE(std::string(lossc_plan_explain(p.plan().get())).find("at most 3 threads"), std::string::npos);
  lossc_set_num_threads(0);
}

#ifndef CAPI_SANITIZED
TEST(Threads, AForkedChildRunsToo) {
  lossc_set_num_threads(4);
  const Gram p;
  const Plan plan = p.plan();
  const std::vector<float> want = p.results(plan.get());
  const pid_t child = fork();
  if (child == 0) {
    const bool same =
        p.results(plan.get()) == want && p.results(p.plan().get()) == want && p.results(plan.get()) == want;
    _exit(same ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(p.results(plan.get()), want);
}
#endif

}  // namespace
