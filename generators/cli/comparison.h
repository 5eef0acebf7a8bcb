// A loss compared with itself: its derived gradient with differences of its value, its kernels with the float64 oracle.
#pragma once
#include <lossc/lossc.h>

#include <map>
#include <string>
#include <vector>

#include "dsl/sample.h"
#include "generators/cli/dtype.h"
#include "generators/cli/progress.h"

namespace lossc::cli {

// An element, and what two ways to compute it gave.
struct Place {
  std::string element;  // "row [i=3]", "[i=3, c=2]"
  std::string values;   // of the inputs: "ordinary values", "values: large"
  double got = 0, want = 0;
};

// The loss, one gradient or one further output, over all calls.
struct Quantity {
  std::string name;
  size_t elements = 0;          // compared between kernel and oracle
  size_t smooth = 0;            // compared between gradient and differences
  double difference_error = 0;  // largest, relative to the largest value of its array
  double kernel_error = 0;      // the same
  Place difference_worst, kernel_worst;  // where; no element: nowhere any
  bool differences_agree = true, kernel_agrees = true;
};

class Comparison {
 public:
  Comparison(const lossc_loss* loss, Dtype dtype, int32_t isa) : loss_(loss), dtype_(std::move(dtype)), isa_(isa) {}

  // Ordinary values, by differences and kernel; then, if asked, values made to break a kernel.
  void form(const Program& program, bool stresses);
  // The products of its Hessian, by differences of the slope and by kernels: `loss` has them (lossc_loss_hvp).
  void hessian(const Program& program);
  // The kernels alone: ordinary values, both ways to run, empty axes, ties, infinities and NaN.
  void kernels(const Program& program);
  // One call of them.
  void kernels(const Program& program, const Case& c) { kernel(program, c, false); }

  const std::vector<Quantity>& quantities() const { return quantities_; }
  const std::vector<std::string>& failures() const { return failures_; }  // a sentence each; at most ten
  const std::vector<std::string>& warnings() const { return warnings_; }
  size_t calls() const { return calls_; }
  bool good() const { return failures_.empty(); }

 private:
  void differences(const Program& program, const Case& c);
  void difference(const Program& program, const Case& c, const Gradient& g, Oracle& oracle);
  void kernel(const Program& program, const Case& exact, bool ties, int32_t mode = LOSSC_FORWARD | LOSSC_BACKWARD,
              int32_t panel_rows = 0);  // 0: as many as the runtime thinks best
  // Of a kernel's call: `dims` are the indices that the elements are over.
  struct Call {
    const Program& program;
    const Case& c;
    std::string where;
  };
  void compare(const Call& call, const std::string& name, const std::vector<ir::Id>& dims, const std::vector<double>& got,
               const std::vector<double>& want, const std::vector<double>& slack);
  Quantity& quantity(const std::string& name);
  void fail(const std::string& text);
  void warn(const std::string& text);

  const lossc_loss* loss_;
  Dtype dtype_;
  int32_t isa_;
  std::vector<Quantity> quantities_;
  std::vector<std::string> failures_, warnings_;
  size_t calls_ = 0;
};

}  // namespace lossc::cli
