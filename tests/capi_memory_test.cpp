// lossc_run allocates nothing; plan creation survives the failure of any of its allocations and leaks none.
#include <atomic>
#include <cerrno>

#include "capi_fake.h"
#include "capi_util.h"

namespace {
std::atomic<bool> watching{false};
std::atomic<int> allocations{0}, live{0}, fail_at{0};  // fail_at: the n-th from now fails, 0: none

bool denied() {
  if (!watching) return false;
  const int n = ++allocations;
  if (n == fail_at) {
    errno = ENOMEM;
    return true;
  }
  ++live;
  return false;
}
}  // namespace

#ifndef CAPI_SANITIZED
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
void* malloc(size_t n) { return denied() ? nullptr : __libc_malloc(n); }
void* calloc(size_t n, size_t m) { return denied() ? nullptr : __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { return denied() ? nullptr : __libc_realloc(p, n); }
void* aligned_alloc(size_t a, size_t n) { return denied() ? nullptr : __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) {
  return denied() || (*p = __libc_memalign(a, n)) == nullptr ? ENOMEM : 0;
}
void free(void* p) {
  if (p != nullptr && watching) --live;
  __libc_free(p);
}
}
#endif

namespace {

using namespace capi;

struct Watch {
  explicit Watch(int fail = 0) {
    allocations = live = 0;
    fail_at = fail;
    watching = true;
  }
  ~Watch() { watching = false; }
};

// Large enough for threads.
struct Gram : Problem {
  std::vector<float> x = numbers<float>(200 * 40), y = numbers<float>(100 * 40), dx = x, dy = y;
  float value = 0;
  Tensor xt = tensor(x, {200, 40}), yt = tensor(y, {100, 40}), dxt = tensor(dx, {200, 40}), dyt = tensor(dy, {100, 40}),
         value_t = Tensor::of(&value, {});
  Gram() {
    loss = fake::handle(fake::gram::loss);
    inputs = {xt.get(), yt.get()};
    outputs = {value_t.get(), dxt.get(), dyt.get()};
    reduction = LOSSC_REDUCE_SUM;
  }
};

#ifdef CAPI_SANITIZED
#define NEEDS_OWN_MALLOC() GTEST_SKIP() << "malloc is the sanitizer's"
#else
#define NEEDS_OWN_MALLOC() static_cast<void>(0)
#endif

TEST(Memory, ARunThatConvertsAllocatesNothing) {
  NEEDS_OWN_MALLOC();
  Gram g;
  std::vector<uint16_t> x(200 * 40, 0x3f80), dx(200 * 40);
  Tensor xt = tensor(x, {200, 40}), dxt = tensor(dx, {200, 40});
  xt.raw().dtype = dxt.raw().dtype = {kDLBfloat, 16, 1};
  g.inputs[0] = xt.get(), g.outputs[1] = dxt.get();
  lossc_set_num_threads(4);
  const Plan plan = g.plan();
  const Guarded workspace(lossc_plan_workspace_size(plan.get()));
  lossc_run_args args = g.args();
  args.workspace = workspace.data(), args.workspace_size = lossc_plan_workspace_size(plan.get());
  lossc_error err{};
  {
    const Watch watch;
    ASSERT_EQ(lossc_run(plan.get(), &args, &err), LOSSC_OK) << err.text;
  }
  EXPECT_EQ(allocations, 0);
  lossc_set_num_threads(0);
}

TEST(Memory, RunAllocatesNothing) {
  NEEDS_OWN_MALLOC();
  for (const int threads : {1, 4}) {
    lossc_set_num_threads(threads);
    const Gram p;
    const Plan plan = p.plan();
    const Guarded workspace(lossc_plan_workspace_size(plan.get()));
    lossc_run_args a = p.args();
    a.workspace = workspace.data(), a.workspace_size = lossc_plan_workspace_size(plan.get());
    lossc_error err{};
    lossc_status status;
    {
      const Watch watch;
      status = lossc_run(plan.get(), &a, &err);
      EXPECT_EQ(allocations, 0);
    }
    EXPECT_EQ(status, LOSSC_OK) << err.text;
    const DLTensor* bad[] = {p.yt.get(), p.xt.get()};
    a.inputs = bad;
    {
      const Watch watch;
      status = lossc_run(plan.get(), &a, &err);  // nor does an error
      EXPECT_EQ(allocations, 0);
    }
    EXPECT_EQ(status, LOSSC_E_ARGUMENT);
  }
}

TEST(Memory, EveryAllocationOfPlanCreationMayFail) {
  NEEDS_OWN_MALLOC();
  lossc_set_num_threads(3);
  const Gram p;
  const lossc_plan_desc d = p.desc();
  p.plan();  // the threads are there
  int failed = 0;
  for (int n = 1;; ++n) {
    lossc_plan* plan = nullptr;
    lossc_error err{};
    lossc_status status;
    int asked, left;
    {
      const Watch watch(n);
      status = lossc_plan_create(p.loss, &d, &plan, &err);
      asked = allocations;
      lossc_plan_destroy(plan);
      left = live;
    }
    EXPECT_EQ(left, 0) << n;
    if (asked < n) {
      EXPECT_EQ(status, LOSSC_OK) << err.text;
      break;
    }
    EXPECT_EQ(status, LOSSC_E_MEMORY) << n;
    EXPECT_EQ(plan, nullptr);
    EXPECT_NE(std::string(err.text).find("bytes"), std::string::npos) << err.text;
    ++failed;
  }
  EXPECT_EQ(failed, 3);  // the plan, its forms, its text
}

// Everything written lies inside workspace and outputs (capi_util.h puts unmapped pages around the workspace; here the
// outputs get them, too), and the sizes are exact.
TEST(Memory, OutputsAreWrittenWithinTheirBounds) {
  for (const int64_t n : {1, 3, 16, 37}) {
    for (const int64_t d : {1, 8, 9}) {
      const auto x = numbers<float>(n * d), y = numbers<float>(5 * d);
      const size_t x_bytes = sizeof(float) * n * d, y_bytes = sizeof(float) * 5 * d;
      const Guarded dx(x_bytes, 4), dy(y_bytes, 4), value(sizeof(float), 4);
      const auto floats = [](const Guarded& g) { return static_cast<float*>(g.data()); };
      const Tensor xt = tensor(x, {n, d}), yt = tensor(y, {5, d}), dxt = Tensor::of(floats(dx), {n, d}),
                   dyt = Tensor::of(floats(dy), {5, d}), value_t = Tensor::of(floats(value), {});
      Problem p{.loss = fake::handle(fake::gram::loss),
                .inputs = {xt.get(), yt.get()},
                .outputs = {value_t.get(), dxt.get(), dyt.get()}};
      ASSERT_RUNS(p.run());
    }
  }
}

}  // namespace
