// A definition, run for one combination of structural choices: its graph and what its words declared.
#pragma once
#include <string>
#include <vector>

#include "ir.h"
#include "lossc/loss.h"

namespace lossc {

inline constexpr size_t kMostTensorDims = 6;  // images, channels and three spatial axes, and one to spare

struct OptionInfo {
  std::string name, doc;
  std::vector<std::string> choices;
  ir::Id param = ir::kNone;  // at run time: the integer param that holds the choice; kNone: structural
  int fallback = 0;          // of a count
  // An integer that the caller chooses, the extent of an axis: no choices by name.
  bool is_count() const { return choices.empty(); }
};

// What the extents of a call must satisfy. The node is over extents and integers alone.
struct Requirement {
  ir::Id node;
  std::string text;  // "wants " + text
};

// One structural choice. `id` counts options, tensors, axes or params, in order of declaration.
struct Fact {
  enum Kind { Option, TensorGiven, AxisGiven, ParamZero } kind;
  int id;
  int value;
  bool operator==(const Fact&) const = default;
};

struct NamedOutput {
  std::string name, doc;
  std::vector<ir::Id> indices;
  ir::Id node = ir::kNone;
  bool state = false;
};

struct Gradient {
  ir::Id tensor;  // with respect to which
  ir::Id node;    // over the canonical indices tensors[tensor].dims
};

struct Program {
  std::string name, family, file;
  About about;
  ir::Graph graph;
  std::vector<OptionInfo> options;
  std::vector<Requirement> requirements;
  std::vector<Fact> facts;  // those that this form was built under, in order of first use

  // As written by loss_per: value, validity and weight for the mean of each row.
  std::vector<ir::Id> rows;  // index ids; empty for loss_total
  ir::Id value = ir::kNone, valid = ir::kNone, mean_weight = ir::kNone;
  double mean_at_least = 0;
  std::vector<NamedOutput> outputs;  // auxiliary

  // Implicit inputs and params, made by build(): tensor and param ids.
  ir::Id row_weight = ir::kNone, row_mask = ir::kNone, grad_output = ir::kNone;
  ir::Id reduction = ir::kNone, denominator = ir::kNone;

  // Completed by build(): the reduced loss (scalar), the unreduced loss (over rows), the gradients in input order.
  ir::Id loss = ir::kNone, loss_rows = ir::kNone;
  std::vector<Gradient> gradients;
  ir::Id seed = ir::kNone;  // d(reduced loss)/d(value), over rows
};

// Reduction codes, as the runtime passes them in the implicit param `reduction`.
enum class Reduction : int { None = 0, Sum = 1, Mean = 2 };

// Whether a param is the writer's, and not one that the compiler made: reduction, denominator, choices at run time.
bool is_declared(const Program& program, ir::Id param);

bool meets(const Program& program, const Requirement& requirement, const std::vector<int64_t>& extents);
// The first requirement that the extents (by axis) do not meet; nullptr: they meet all.
const Requirement* unmet(const Program& program, const std::vector<int64_t>& extents);
// The axes whose extents decide a requirement or a length, in order of appearance: of those that follow from others, the others.
std::vector<ir::Id> axes_of(const ir::Graph& graph, ir::Id node);

// The first node under this one that is not made of extents, integers and truth values alone; kNone: there is none.
ir::Id other_than_extents(const ir::Graph& graph, ir::Id node);
// Positive lengths, ascending, that the definition compares elements of an index tensor with: where it tells them apart.
std::vector<int64_t> lengths_met_by(const Program& program, ir::Id tensor, const std::vector<int64_t>& extents);

// All compiled forms of a definition: one Program per combination of structural choices it asks about, the default
// first. Throws DefinitionError.
std::vector<Program> build_all(const Definition& definition);
// One form; choices not listed take their defaults (options: the first; optional things: absent; params: not zero).
Program build(const Definition& definition, const std::vector<Fact>& choices);

// Sets the extents (by axis) that follow from others, and from counts (by param). Those that tensors tell are given.
void derive_extents(const ir::Graph& graph, const std::vector<double>& params, std::vector<int64_t>* extents);
// Whether an axis is at most as long as another one, as its length tells: shorter by a number, or, if `parts`, also a part of
// it. Then each of its places is one of the other, too.
bool never_longer(const ir::Graph& graph, ir::Id axis, ir::Id other, bool parts);
// The value of each param where nobody chooses: its default, or a count's.
std::vector<double> default_params(const Program& program);

// Takes a definition out of definitions(): one from outside takes the place of a built-in loss of its name.
void forget(const Definition& definition);

// Completes the program: reduction, row weights and masks, upstream gradient (objective.cpp).
void add_objective(Program& program);
// Cuts every recurrence of which checkpoints are kept into segments, a recurrence in a recurrence (checkpoints.cpp). Returns
// the roots rewritten.
std::vector<ir::Id> cut_at_checkpoints(ir::Graph& graph, const std::vector<ir::Id>& roots);
// Products between sides of two indices each as products of matrices (folding.cpp).
std::vector<ir::Id> fold_sides(ir::Graph& graph, const std::vector<ir::Id>& roots);
// Two of these indices over which a table in memory says the key, as the table has them; kNone: there are no two.
std::pair<ir::Id, ir::Id> pair_of_keys(const ir::Graph& graph, ir::Id key, ir::IndexSet among);
// Exchanges every maximal expression of a twin index only for a lookup of its canonical form, so that what two sides
// of a batch share is one value (twins.cpp). Applied to the roots given; returns them rewritten.
std::vector<ir::Id> share_twins(ir::Graph& graph, const std::vector<ir::Id>& roots);
// Reverse mode: d(sum of seed * value)/d(tensor) for every differentiable tensor used (gradient.cpp). `value` is over
// `rows`; `seed` (over rows) counts only where `mask` holds.
std::vector<Gradient> differentiate(Program& program, ir::Id value, ir::Id seed, ir::Id mask);

}  // namespace lossc
