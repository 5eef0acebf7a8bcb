// Code by hand in float64, for the oracle: Halide's JIT, strictly one operation after the other, with libm's functions. None
// of it is the kernels' (generators/math, generators/lower), so that what both agree on is not one mistake made twice.
#pragma once
#include <mutex>
#include <optional>
#include <vector>

#include "Halide.h"
#include "dsl/ir.h"

namespace lossc::by_hand {

class Reference {
 public:
  // `value` is of placeholders of these types. `rounds`: every operation inside goes through the caller's Round.
  Reference(Halide::Expr value, std::vector<ir::Type> operands, bool rounds);
  void evaluate(const std::vector<const double*>& operands, int64_t n, double* out, const ir::ByHand::Round& round) const;

 private:
  Halide::Callable compile() const;

  const Halide::Expr value_;
  const std::vector<ir::Type> operands_;
  const bool rounds_;
  mutable std::mutex mutex_;  // of the one below, which is made when it is first wanted
  mutable std::optional<Halide::Callable> compiled_;
};

}  // namespace lossc::by_hand
