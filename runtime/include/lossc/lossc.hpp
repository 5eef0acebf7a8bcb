// lossc.hpp - lossc.h for C++17: RAII, exceptions, tensors without hand-filled structs. Header-only, so it has no ABI.
//
//   #include <lossc/lossc.hpp>
//   namespace ll = lossc::api;
//
//   std::vector<float> x(8 * 10), grad(8 * 10);
//   std::vector<int64_t> y(8);
//   float loss;
//   ll::Call call("cross_entropy");
//   call.inputs({ll::tensor(x, {8, 10}), ll::tensor(y, {8})});
//   call.outputs({ll::scalar(loss), ll::tensor(grad, {8, 10})});
//   ll::Plan plan(call);
//   plan.run(call);                 // throws lossc::api::Error
#pragma once
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lossc/lossc.h"

namespace lossc::api {

// What a lossc function returned, and its text.
class Error : public std::runtime_error {
 public:
  Error(lossc_status status, const char* text) : std::runtime_error(text), status_(status) {}
  lossc_status status() const noexcept { return status_; }

 private:
  lossc_status status_;
};

inline void check(lossc_status status, const lossc_error& error) {
  if (status != LOSSC_OK) throw Error(status, error.text);
}

// The loss of that name. Pulls in every loss of a static library; `lossc_loss_<name>` pulls in one.
inline const lossc_loss* find(std::string_view name) {
  if (const lossc_loss* loss = lossc_loss_find(std::string(name).c_str())) return loss;
  throw Error(LOSSC_E_ARGUMENT, ("no loss is called " + std::string(name)).c_str());
}

template <class T>
constexpr DLDataType arithmetic_dtype() {
  static_assert(std::is_arithmetic_v<T>, "f16, bf16, f32, f64, integers and bool");
  const auto code = std::is_same_v<T, bool>       ? kDLBool
                    : std::is_floating_point_v<T> ? kDLFloat
                    : std::is_signed_v<T>         ? kDLInt
                                                  : kDLUInt;
  return {static_cast<uint8_t>(code), static_cast<uint8_t>(8 * sizeof(T)), 1};
}

// 16-bit floats as bits, for who has no type of their own for them.
struct f16 {
  uint16_t bits;
};
struct bf16 {
  uint16_t bits;
};
// Specialise these for types that are laid out as one of them:
//   template <> struct lossc::api::is_f16<_Float16> : std::true_type {};
template <class T>
struct is_f16 : std::is_same<T, f16> {};
template <class T>
struct is_bf16 : std::is_same<T, bf16> {};

template <class T>
constexpr DLDataType dtype() {
  if constexpr (is_f16<T>::value || is_bf16<T>::value) {
    static_assert(sizeof(T) == 2, "16 bits");
    return {static_cast<uint8_t>(is_f16<T>::value ? kDLFloat : kDLBfloat), 16, 1};
  } else {
    return arithmetic_dtype<T>();
  }
}

// A DLTensor that owns its shape and strides, not its elements. Empty: an absent tensor.
class Tensor {
 public:
  Tensor() = default;
  Tensor(std::nullptr_t) {}
  // Strides in elements; none: row-major.
  template <class T>
  Tensor(T* data, std::vector<int64_t> shape, std::vector<int64_t> strides = {})
      : present_(true), shape_(std::move(shape)), strides_(std::move(strides)) {
    dl_.data = const_cast<std::remove_const_t<T>*>(data);
    dl_.device = {kDLCPU, 0};
    dl_.dtype = dtype<std::remove_const_t<T>>();
  }
  explicit Tensor(const DLTensor& t)
      : present_(true),
        dl_(t),
        shape_(t.shape, t.shape + t.ndim),
        strides_(t.strides ? std::vector<int64_t>(t.strides, t.strides + t.ndim) : std::vector<int64_t>()) {}

  // Valid as long as this Tensor; nullptr if absent.
  const DLTensor* get() const {
    if (!present_) return nullptr;
    dl_.ndim = static_cast<int32_t>(shape_.size());
    dl_.shape = const_cast<int64_t*>(shape_.data());
    dl_.strides = strides_.empty() ? nullptr : const_cast<int64_t*>(strides_.data());
    return &dl_;
  }

 private:
  bool present_ = false;
  mutable DLTensor dl_{};
  std::vector<int64_t> shape_, strides_;
};

// A dense tensor over a container's elements (std::vector, std::array, std::span, ...).
template <class Container>
Tensor tensor(Container& elements, std::vector<int64_t> shape) {
  return Tensor(elements.data(), std::move(shape));
}
template <class T>
Tensor scalar(T& value) {
  return Tensor(&value, {});
}

// What a plan is made of and a run is given. For Hessian products: call.desc.mode = LOSSC_HVP, inputs with the directions
// after them, outputs slope and products.
class Call {
 public:
  explicit Call(const lossc_loss* loss) : loss_(loss) {
    desc.struct_size = sizeof desc;
    desc.device = {kDLCPU, 0};
    desc.mode = LOSSC_FORWARD | LOSSC_BACKWARD;
    desc.reduction = LOSSC_REDUCE_MEAN;
    args.struct_size = sizeof args;
  }
  explicit Call(std::string_view name) : Call(find(name)) {}
  Call(const Call&) = delete;

  // In the order of lossc_loss_arg; {} or nullptr for what is absent or not asked for.
  Call& inputs(std::vector<Tensor> t) { return inputs_ = std::move(t), *this; }
  Call& outputs(std::vector<Tensor> t) { return outputs_ = std::move(t), *this; }
  Call& params(std::vector<double> p) { return params_ = std::move(p), *this; }
  Call& options(std::vector<int32_t> o) { return options_ = std::move(o), *this; }
  Call& row_weight(Tensor t) { return row_weight_ = std::move(t), *this; }
  Call& row_mask(Tensor t) { return row_mask_ = std::move(t), *this; }
  Call& grad_output(Tensor t) { return grad_output_ = std::move(t), *this; }

  // Everything else: mode, reduction, threads, denominator, saved, ...
  lossc_plan_desc desc{};
  lossc_run_args args{};

 private:
  friend class Plan;
  static std::vector<const DLTensor*> pointers(const std::vector<Tensor>& tensors) {
    std::vector<const DLTensor*> p;
    for (const Tensor& t : tensors) p.push_back(t.get());
    return p;
  }

  const lossc_loss* loss_;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<double> params_;
  std::vector<int32_t> options_;
  Tensor row_weight_, row_mask_, grad_output_;
};

// Memory for one run at a time: keep one per thread.
class Workspace {
 public:
  explicit Workspace(size_t size) : size_(size) {
    if (size > 0 && !(data_.reset(std::aligned_alloc(64, (size + 63) / 64 * 64)), data_)) throw std::bad_alloc();
  }
  void* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> data_;
  size_t size_;
};

class Plan {
 public:
  explicit Plan(const Call& call) {
    const auto inputs = Call::pointers(call.inputs_);
    lossc_plan_desc desc = call.desc;
    desc.inputs = inputs.data();
    desc.n_inputs = inputs.size();
    desc.options = call.options_.empty() ? nullptr : call.options_.data();
    desc.n_options = call.options_.size();
    lossc_plan* plan = nullptr;
    lossc_error error{};
    check(lossc_plan_create(call.loss_, &desc, &plan, &error), error);
    plan_.reset(plan);
  }

  // Any number of threads at once, each with its own call and workspace.
  void run(const Call& call, const Workspace& workspace) const {
    const auto inputs = Call::pointers(call.inputs_), outputs = Call::pointers(call.outputs_);
    lossc_run_args args = call.args;
    args.inputs = inputs.data();
    args.n_inputs = inputs.size();
    args.params = call.params_.empty() ? nullptr : call.params_.data();
    args.n_params = call.params_.size();
    args.outputs = outputs.data();
    args.n_outputs = outputs.size();
    args.workspace = workspace.data();
    args.workspace_size = workspace.size();
    if (const DLTensor* t = call.row_weight_.get()) args.row_weight = t;
    if (const DLTensor* t = call.row_mask_.get()) args.row_mask = t;
    if (const DLTensor* t = call.grad_output_.get()) args.grad_output = t;
    lossc_error error{};
    check(lossc_run(plan_.get(), &args, &error), error);
  }
  void run(const Call& call) const { run(call, Workspace(workspace_size())); }

  size_t workspace_size() const { return lossc_plan_workspace_size(plan_.get()); }
  size_t saved_size() const { return lossc_plan_saved_size(plan_.get()); }
  uint64_t digest() const { return lossc_plan_digest(plan_.get()); }
  std::string explain() const { return lossc_plan_explain(plan_.get()); }
  const lossc_plan* get() const { return plan_.get(); }

 private:
  struct Destroy {
    void operator()(lossc_plan* p) const { lossc_plan_destroy(p); }
  };
  std::unique_ptr<lossc_plan, Destroy> plan_;
};

}  // namespace lossc::api
