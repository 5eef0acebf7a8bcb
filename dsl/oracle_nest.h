// A loop nest of the oracle: straight-line instructions, each placed in the innermost loop that it depends on. The
// innermost loop is run a strip at a time, one instruction over the whole strip, which makes the cost of
// interpretation small beside that of the arithmetic.
#pragma once
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "oracle.h"

namespace lossc::oracle {

struct Register {
  int level = 0;      // number of loops around it
  size_t offset = 0;  // into Nest::values
  int stride = 0;     // 1: a strip; 0: one value
};

struct Instruction {
  ir::Op op;  // Load stands for a gather from a tensor or a stored node; At for "value unless the key is out of range"
  ir::Type type;
  int out;
  std::vector<int> args;                        // registers
  double value = 0;                             // Const; At: the extent
  ir::Id tensor = ir::kNone, node = ir::kNone;  // Load: one of them
  std::vector<int64_t> shape = {};              // Load
  bool frozen = false;                          // Load: the node as it was before the inputs were changed
  uint64_t carried = 0;                         // Load of a tensor: its bit, if a recurrence carries it
  const double* data = nullptr;                 // Load: set before each run
  const ir::ByHand* by_hand = nullptr;          // ByHand
};

struct Strip {
  const double* at;
  int stride;
  double operator[](int64_t k) const { return at[k * stride]; }
};

// Errors as a kernel would make them: see Oracle::round_like. The error of a value is a function of the value, so that
// what is computed twice (a maximum, and the element that is compared with it) stays equal.
struct Rounding {
  double epsilon = 0;
  uint64_t seed = 0;
  bool single = false;
  bool by_place = false;  // the error depends on the element's place, too: equal values get different errors
  bool by_sum = false;    // and that of a sum on which one it is
  Rounding of_sum(ir::Id node) const;
  double operator()(double v, int64_t place) const { return (*this)(v, v, place); }
  double operator()(double v, double magnitude, int64_t place) const;  // `magnitude`: what the error is relative to
  double random(double v, int64_t place) const;                         // in [-1, 1], by the value and the seed
  double constant(double v) const;                                      // of the definition, as a kernel has it
  double anything(ir::Type type) const;                                 // what nothing says a value of; another by each seed
};
// The generated sin and cos are promised up to here; what they give beyond lies in [-1, 1] (generators/math/math.h).
inline constexpr double kSineRange = 1e5;

struct Nest {
  const Rounding* rounding = nullptr;
  std::vector<ir::Id> loops;
  std::vector<int64_t> extents;                  // of the loops
  std::vector<std::vector<Instruction>> levels;  // by number of loops around
  std::vector<Register> registers;
  std::vector<int> loop_registers, roots;
  std::vector<double> values;
  std::vector<std::pair<int, const double*>> bound;  // registers of the indices that have one value, and where that is

  int64_t strip_length() const { return loops.empty() ? 1 : extents.back(); }
  Strip strip(int r) const { return {&values[registers[r].offset], registers[r].stride}; }
  double loop_value(size_t loop) const { return values[registers[loop_registers[loop]].offset]; }
  // Calls `sink` once per strip, in row-major order of the outer loops.
  void run(const std::function<void()>& sink) { run_level(0, sink); }

 private:
  void run_level(size_t level, const std::function<void()>& sink);
};

// Fills a nest with the instructions for its roots.
class Compiler {
 public:
  Compiler(const Oracle& oracle, Nest& nest);
  int compile(ir::Id node) { return compile(node, environment_); }

 private:
  using Environment = std::vector<int>;  // index -> register that holds its value
  int compile(ir::Id node, const Environment& env);
  int compile_fresh(ir::Id node, const Environment& env);
  int stored(ir::Id node, const Environment& env, bool frozen);
  int add_register(int level);
  int emit(Instruction instruction);

  const Oracle& oracle_;
  const ir::Graph& graph_;
  const Inputs& inputs_;
  Nest& nest_;
  bool freeze_;
  Environment environment_;
  std::map<std::pair<ir::Id, Environment>, int> done_;
};

void execute(Nest& nest, const Instruction& instruction, int64_t n);

// The elements of `from`, whose dimensions are those indices, in another order of them; `out` has its shape already.
void reorder(const Array& from, const std::vector<ir::Id>& dims, const std::vector<ir::Id>& order, Array& out);
double digamma(double x);
double trigamma(double x);

}  // namespace lossc::oracle
