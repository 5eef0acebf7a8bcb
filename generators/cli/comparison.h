// A loss compared with itself: its derived gradient with differences of its value, its kernels with the float64 oracle.
#pragma once
#include <lossc/lossc.h>

#include <functional>
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

// The largest errors of a quantity. Of elements that may be off by as much as the largest value of their array a relative one
// would say nothing.
struct Errors {
  size_t elements = 0;  // compared
  double relative = 0;  // to the largest value of its array
  double absolute = 0;  // of those elements
  Place worst;          // of the relative one; no element: there is none
  bool agree = true;

  void note(double error, double largest_value, double allowed, const std::function<Place()>& where);
};

// The loss, one gradient or one further output, over all calls.
struct Quantity {
  std::string name;
  Errors difference;  // of its gradient and differences
  Errors kernel;      // of kernel and oracle
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
