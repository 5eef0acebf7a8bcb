// Code by hand in float64, for the oracle: Halide's JIT, strictly one operation after the other, with libm's functions. None
// of it is the kernels' (generators/math, generators/lower), so that what both agree on is not one mistake made twice.
#pragma once
#include <mutex>
#include <optional>
#include <vector>

#include "Halide.h"
#include "dsl/ir.h"
#include "lossc/halide.h"

namespace lossc::by_hand {

class Reference {
 public:
  // Of operands of these types and ranks.
  Reference(std::vector<ir::Type> types, std::vector<size_t> ranks, size_t out_rank, HalideBody body);
  // With `round` every operation inside goes through it.
  void evaluate(const std::vector<ir::ByHand::Elements>& operands, const std::vector<int64_t>& shape, double* out,
                const ir::ByHand::Round& round) const;

 private:
  Halide::Callable compile(bool rounds) const;

  const std::vector<ir::Type> types_;
  const std::vector<size_t> ranks_;
  const size_t out_rank_;
  const HalideBody body_;
  struct Compiled {
    std::mutex mutex;
    std::optional<Halide::Callable> exact, rounding;  // each made when it is first wanted
  };
  const std::shared_ptr<Compiled> compiled_ = std::make_shared<Compiled>();
};

}  // namespace lossc::by_hand
