// For tests of the C API: tensors, guarded memory, plans, runs.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lossc/lossc.h"

// Sanitizers have their own malloc, and ThreadSanitizer follows no fork of a program with threads.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAPI_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CAPI_SANITIZED 1
#endif
#endif

namespace capi {

template <class T>
constexpr DLDataType dtype_of() {
  if constexpr (std::is_same_v<T, bool>)
    return {kDLBool, 8, 1};
  else if constexpr (std::is_floating_point_v<T>)
    return {kDLFloat, 8 * sizeof(T), 1};
  else
    return {static_cast<uint8_t>(std::is_signed_v<T> ? kDLInt : kDLUInt), 8 * sizeof(T), 1};
}

// Memory between unmapped pages: its end is a page's end (down to the alignment), or its beginning a page's beginning.
class Guarded {
 public:
  enum Side { AtEnd, AtBeginning };
  explicit Guarded(size_t size, size_t alignment = 64, Side side = AtEnd) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), room = (size + page - 1) / page * page;
    total_ = room + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, total_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (room > 0) mprotect(base_ + page, room, PROT_READ | PROT_WRITE);
    data_ = base_ + page + (side == AtEnd ? (room - size) / alignment * alignment : 0);
    if (room > 0) memset(base_ + page, 0xCB, room);  // nobody may count on zeros
  }
  ~Guarded() { munmap(base_, total_); }
  Guarded(const Guarded&) = delete;
  void* data() const { return data_; }

 private:
  char *base_, *data_;
  size_t total_;
};

// A DLTensor with its shape and strides; the elements may belong to somebody else.
class Tensor {
 public:
  template <class T>
  static Tensor of(T* data, std::vector<int64_t> shape, std::optional<std::vector<int64_t>> strides = std::nullopt) {
    Tensor t;
    t.shape_ = std::move(shape);
    t.has_strides_ = strides.has_value();
    if (strides) t.strides_ = *strides;
    t.dl_.data = const_cast<std::remove_const_t<T>*>(data);
    t.dl_.dtype = dtype_of<std::remove_const_t<T>>();
    t.dl_.device = {kDLCPU, 0};
    return t;
  }
  const DLTensor* get() const {
    dl_.ndim = static_cast<int32_t>(shape_.size());
    dl_.shape = const_cast<int64_t*>(shape_.data());
    dl_.strides = has_strides_ ? const_cast<int64_t*>(strides_.data()) : nullptr;
    return &dl_;
  }
  DLTensor& raw() { return dl_; }

 private:
  std::vector<int64_t> shape_, strides_;
  bool has_strides_ = false;
  mutable DLTensor dl_{};
};

template <class T>
Tensor tensor(std::vector<T>& data, std::vector<int64_t> shape) {
  return Tensor::of(data.data(), std::move(shape));
}
template <class T>
Tensor tensor(const std::vector<T>& data, std::vector<int64_t> shape) {
  return Tensor::of(data.data(), std::move(shape));
}

using Plan = std::unique_ptr<lossc_plan, void (*)(lossc_plan*)>;

struct Result {
  lossc_status status = LOSSC_OK;
  std::string text;
};

// What one plan is made of and one run is given. Tensors are referred to, not copied.
struct Problem {
  const lossc_loss* loss = nullptr;
  std::vector<const DLTensor*> inputs, outputs;
  std::vector<double> params;
  std::vector<int32_t> options;
  int mode = LOSSC_FORWARD | LOSSC_BACKWARD, reduction = LOSSC_REDUCE_MEAN, flags = 0, isa = 0, threads = 0,
      panel_rows = 0;
  const DLTensor *row_weight = nullptr, *row_mask = nullptr, *grad_output = nullptr;
  double denominator = 0;
  void* saved = nullptr;
  size_t saved_size = 0;

  lossc_plan_desc desc() const {
    lossc_plan_desc d{};
    d.struct_size = sizeof d;
    d.device = {kDLCPU, 0};
    d.mode = mode, d.reduction = reduction, d.flags = flags;
    d.inputs = inputs.data(), d.n_inputs = inputs.size();
    d.options = options.empty() ? nullptr : options.data(), d.n_options = options.size();
    d.isa = isa, d.threads = threads, d.panel_rows = panel_rows;
    return d;
  }
  lossc_run_args args() const {
    lossc_run_args a{};
    a.struct_size = sizeof a;
    a.inputs = inputs.data(), a.n_inputs = inputs.size();
    a.params = params.empty() ? nullptr : params.data(), a.n_params = params.size();
    a.outputs = outputs.data(), a.n_outputs = outputs.size();
    a.row_weight = row_weight, a.row_mask = row_mask, a.grad_output = grad_output, a.denominator = denominator;
    a.saved = saved, a.saved_size = saved_size;
    return a;
  }
  Plan plan(Result* result = nullptr) const {
    const lossc_plan_desc d = desc();
    lossc_plan* p = nullptr;
    lossc_error err{};
    const lossc_status status = lossc_plan_create(loss, &d, &p, &err);
    if (result != nullptr)
      *result = {status, err.text};
    else
      EXPECT_EQ(status, LOSSC_OK) << err.text;
    return Plan(p, lossc_plan_destroy);
  }
  Result run(const lossc_plan* p) const {
    const Guarded workspace(lossc_plan_workspace_size(p));
    lossc_run_args a = args();
    a.workspace = workspace.data(), a.workspace_size = lossc_plan_workspace_size(p);
    lossc_error err{};
    const lossc_status status = lossc_run(p, &a, &err);
    return {status, err.text};
  }
  // Plan and run, or the first thing that failed.
  Result run() const {
    Result result;
    const Plan p = plan(&result);
    return p == nullptr ? result : run(p.get());
  }
};

#define ASSERT_RUNS(expression)                          \
  do {                                                   \
    const ::capi::Result result_ = (expression);         \
    ASSERT_EQ(result_.status, LOSSC_OK) << result_.text; \
  } while (0)
#define EXPECT_FAILS(expression, code, words)                                          \
  do {                                                                                 \
    const ::capi::Result result_ = (expression);                                       \
    EXPECT_EQ(result_.status, code) << result_.text;                                   \
    EXPECT_NE(result_.text.find(words), std::string::npos) << "got: " << result_.text; \
  } while (0)

// Reproducible numbers in [-1, 1).
template <class T>
std::vector<T> numbers(size_t n, uint32_t seed = 1) {
  std::vector<T> x(n);
  for (T& v : x) {
    seed = seed * 1664525u + 1013904223u;
    v = static_cast<T>(static_cast<double>(seed >> 8) / (1 << 23) - 1);
  }
  return x;
}

}  // namespace capi
