// Random calls of any loss: values that respect what the definition declares (ranges of index tensors, params), and
// values made to break a kernel. Used by the kernel tests, the fuzzer and `lossc check`.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "case.h"

namespace lossc {

enum class Stress {
  None,
  Ties,           // floats are multiples of 1/2: equal scores, maxima, distances
  Equal,          // all elements of a tensor are the same
  Duplicates,     // rows repeat
  ZeroVectors,    // every third row is zero
  Large,          // times 1000: exp of a logit overflows unless it is shifted first; cosines do not care
  Tiny,           // times 1e-20: squares leave the range of f32
  OneClass,       // all labels equal: no negatives
  NoPositives,    // labels as different as their range allows
  Ignored,        // every row that can be ignored is; masks are all false
  MinusInfinity,  // a quarter of the elements are -inf, as masked logits are
  Nan,            // one element of each float tensor is NaN
  Infinity,       // one element of each float tensor is +inf
  Ascending,      // rows are in order, as the corners of a box are: then most boxes overlap
};
const char* name(Stress stress);
const std::vector<Stress>& all_stresses();

struct SampleOptions {
  // By axis; others: `extent`. Where a requirement of the loss is not met, axes that it is about get longer until it is, by a few
  // places; if that does not do, counts that it is about, if nobody chose them, are 2. The axes that are in neither then get
  // shorter, so that a call has about as many elements as it was to have.
  std::map<std::string, int64_t> extents;
  int64_t extent = 5;
  Stress stress = Stress::None;
  unsigned seed = 1;
  bool vary_params = true;  // else the defaults, moved only where the form says (not) zero
  std::map<std::string, std::string> choices;  // of options at run time; others go by the seed if params vary
  bool row_inputs = false;  // row weights, row mask, upstream gradient per row
  Reduction reduction = Reduction::Mean;
};

// Every combination of choices of the options that the form leaves to the run.
std::vector<std::map<std::string, std::string>> runtime_choices(const Program& program);

// A case for exactly the form that the program is (options, optional tensors and axes, zero params).
//
// A definition does not say what its float tensors mean (logits, probabilities, distances). Without stress, normal
// values are tried first; if the oracle then finds the loss or a gradient not finite, values in (0, 1) and
// distributions over the last axis replace them, tensor by tensor, until it is. With stress the same choice is made
// for its unstressed sibling, so that the domain is right and only the stress is not.
Case sample(const Program& program, const SampleOptions& options);

// What a sample costs, in elements: what the oracle computes, every node once for each of the indices that it depends on or
// reduces over; and how many elements have a gradient (central differences evaluate twice for each).
struct SampleCost {
  double oracle, differentiable;
};
SampleCost cost(const Program& program, const SampleOptions& options);

// The same call, and a direction in [-1, 1) for each differentiable input: a call of hessian_program(program).
Case with_directions(Case c, const Program& program, unsigned seed);

}  // namespace lossc
