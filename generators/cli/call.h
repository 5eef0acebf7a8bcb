// A call of a loss at full size: its tensors filled with values that make sense, made once and run as often as wanted.
#pragma once
#include <lossc/lossc.h>

#include <deque>

#include "generators/cli/dtype.h"
#include "generators/cli/form.h"
#include "generators/cli/machine.h"

namespace lossc::cli {

struct CallOptions {
  bool memory = true;  // false: shapes only, enough to make a plan
  Dtype dtype;
  // LOSSC_HVP: of a form whose program is a hessian_program(), and the loss's lossc_loss_hvp().
  int32_t mode = LOSSC_FORWARD | LOSSC_BACKWARD, isa = LOSSC_ISA_BEST, threads = 0;
};

// The tensors: inputs filled, outputs for what the mode gives. A differentiable input and its gradient are what a
// memory-bound loss has to read and write.
class Tensors {
 public:
  Tensors(const lossc_loss* loss, const Form& form, const CallOptions& options);

  struct Pair {
    const void* input;
    void* gradient;  // nullptr in a forward run
    size_t bytes;
  };
  size_t bytes() const;  // of all, whether they are held or not
  const std::vector<Pair>& pairs() const { return pairs_; }
  const std::vector<const DLTensor*>& inputs() const { return inputs_; }
  const std::vector<const DLTensor*>& outputs(int32_t mode) const {
    return mode == LOSSC_FORWARD ? values_ : gradients_;
  }

 private:
  struct Held {
    Memory memory;
    std::vector<int64_t> shape;
    DLTensor tensor;
  };
  const DLTensor* hold(DLDataType type, std::vector<int64_t> shape);
  void add_input(const lossc_arg& arg, const Form& form, const Case& example, DLDataType real);
  void add_output(const lossc_arg& arg, const Form& form, const CallOptions& options);

  bool memory_;
  std::deque<Held> held_;
  std::vector<const DLTensor*> inputs_, values_, gradients_;  // values_: for a forward run; gradients_: with backward
  std::map<std::string, const DLTensor*> by_name_;            // inputs
  std::vector<Pair> pairs_;
};

// Plan, workspace and saved buffer; run() does what the mode says. A backward call has run forward once before.
class Call {
 public:
  Call(const lossc_loss* loss, const Form& form, const CallOptions& options, const Tensors& tensors);
  ~Call();
  Call(const Call&) = delete;
  void run() const;
  size_t workspace_size() const { return lossc_plan_workspace_size(plan_); }
  size_t saved_size() const { return lossc_plan_saved_size(plan_); }
  std::string explain() const { return lossc_plan_explain(plan_); }

 private:
  lossc_plan* make_plan(const lossc_loss* loss, int32_t mode) const;
  void run(const lossc_plan* plan, const Memory& workspace, int32_t mode) const;  // a forward run writes memory_[1]

  const Tensors& tensors_;
  CallOptions options_;
  std::vector<int32_t> choices_;
  std::vector<double> params_;
  lossc_plan* plan_ = nullptr;
  std::vector<Memory> memory_;  // workspace, saved
};

int32_t isa_code(const std::string& name);  // "", "sse41", ...: LOSSC_ISA_...; throws UsageError

}  // namespace lossc::cli
