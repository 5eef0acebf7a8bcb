// What a writer gives as code, for what no word of the language says. The graph knows its name, its operands and its
// derivative; what it does is opaque here (generators/by_hand holds it as Halide expressions), so that the language, the
// oracle and the plan stay without Halide.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lossc::ir {

class ByHand {
 public:
  explicit ByHand(std::string name) : name(std::move(name)) {}
  virtual ~ByHand() = default;

  const std::string name;

  // All that the code does, so that equal texts are one step, in the graph and in the cache of kernels.
  virtual std::string text() const = 0;
  // d(value)/d(operand) as code of the same operands; null: the writer gave none.
  virtual std::shared_ptr<const ByHand> derivative(size_t operand) const = 0;

  // For the oracle: in float64, by code that shares nothing with the kernels'. An elementwise step gets n elements of each
  // operand and makes as many; one that reads at will gets them whole. With `round` every operation inside is passed through
  // it: see Oracle::round_like.
  struct Elements {
    const double* data;
    std::vector<int64_t> shape;
  };
  using Round = std::function<double(double)>;
  virtual void evaluate(const std::vector<Elements>& operands, const std::vector<int64_t>& shape, double* out, const Round& round) const = 0;
};

// Of a step that reads its operands at will: the indices that each of them runs over, in the order of the coordinates at which
// it is read, and those of the result.
struct Whole {
  std::vector<std::vector<int32_t>> operands;
  std::vector<int32_t> out;
  bool operator==(const Whole&) const = default;
};

}  // namespace lossc::ir
