// The truth in every test: interprets any node of a graph in float64 with plain loops. It shares no code with code
// generation, so that what both agree on is not one mistake made twice.
//
// Rules where C++ would leave a choice:
// - a gather out of range gives NaN (false, if it is a truth value), never a fault: a derived gradient may look up an
//   ignored label on a row whose result is then dropped by a select, and a scatter drops such a key;
// - Max, Min, ArgMax and ArgMin propagate NaN (the first NaN is the extremum), MaxNum ignores it;
// - ArgMax and ArgMin of nothing, or of nothing above the identity, are 0; ties go to the lowest index;
// - ZeroRecip(0) = 0; sign(0) = 0; round goes to the even neighbour; integer division and remainder by 0 are 0.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "ir.h"

namespace lossc {

// Row-major. Integers and truth values are held as doubles: extents and labels are far below 2^53, and an integer from
// out of range can then be NaN, which no comparison or gather takes for a valid one.
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> data;
};

struct Inputs {
  std::vector<int64_t> extents;              // by axis
  std::vector<std::vector<double>> tensors;  // by tensor, row-major over Tensor::dims; absent ones may be empty
  std::vector<double> params;                // by param
};

namespace oracle {
struct Nest;
struct Rounding;
class Compiler;
}

class Oracle {
 public:
  Oracle(const ir::Graph& graph, Inputs inputs);  // the graph must outlive the oracle; it may grow meanwhile
  ~Oracle();

  // The node over the given indices (outermost first), which must include all its free ones.
  Array evaluate(ir::Id node, const std::vector<ir::Id>& indices = {});
  double scalar(ir::Id node) { return evaluate(node).data[0]; }

  const Inputs& inputs() const { return inputs_; }
  // From now on stop_gradient(e) is e at the inputs of `base`, and straight_through(v, s) is v there plus what s has
  // changed since: the function whose derivative these words stand for. `base` must outlive this.
  void freeze_at(Oracle& base) { base_ = &base; }
  // Changes a value and forgets what was computed, but not how to: what finite differences need.
  void set(ir::Id tensor, size_t element, double value);
  // From now on every operation is off by a random error of up to `epsilon` relative to its result (a sum: to the size
  // of its terms), and in the range of f32 if `single`, where constants are the nearest of its numbers. A few seeds show how
  // far a kernel that rounds may be from the truth at these inputs: Monte-Carlo arithmetic. An error depends on the value it
  // is made on, so that ties stay ties; with `by_place` also on where it is made, so that equal terms do not cancel exactly.
  // What no kernel promises is then any value: an element looked up along an axis without elements, where no key is in range,
  // and the sine of an angle so large that its last place is a turn. NaN would do for a value that is only added up; a
  // comparison forgets it.
  // With `by_sum` it depends on which sum of the definition it is, too: the norm of a row and its product with one that is
  // equal, which a kernel adds up in different orders, then differ, and those of other rows that are equal do so as much.
  void round_like(double epsilon, bool single, unsigned seed, bool by_place = false, bool by_sum = false);
  int64_t extent(ir::Id index) const { return inputs_.extents[graph_.indices[index].axis]; }

 private:
  friend class oracle::Compiler;
  // One place of a recurrence: an oracle of its own, in which the index has one value and the carried tensors hold what
  // was there before the place. What does not depend on them is the parent's.
  struct Place {
    Oracle* parent;
    ir::Id index;
    double at = 0;
    uint64_t carries = 0;                          // of the tensors, as in ir::Node::carried
    std::map<ir::Id, std::vector<double>> before;  // by tensor
  };
  // Who holds what depends on these carried values, and which indices have one value there.
  Oracle& owner(uint64_t carried);
  ir::IndexSet bound_for(uint64_t carried) const { return const_owner(carried).bound(); }
  const Oracle& const_owner(uint64_t carried) const;
  ir::IndexSet bound() const;  // indices that have one value here
  std::vector<ir::Id> loose(ir::Id tensor, ir::IndexSet bound) const;
  void run_scan(const ir::Node& scan);
  void fill_after(const ir::Node& n, Array& out);
  void fill_by_hand(const ir::Node& n, Array& out);

  const Array& stored(ir::Id node);  // over its free indices in ascending order
  void fill(ir::Id node, Array& out);
  void fill_axis(const ir::Node& n, ir::Id node, Array& out);
  void fill_scatter(const ir::Node& n, ir::Id node, Array& out);
  // The node, or -1 - node for the nest that computes a stored node from its operands; and the loops, outermost first.
  using NestKey = std::pair<ir::Id, std::vector<ir::Id>>;
  oracle::Nest& nest(const NestKey& key, const std::vector<ir::Id>& roots);
  std::vector<int64_t> shape_of(const std::vector<ir::Id>& indices) const;
  void prepare(oracle::Nest& nest);

  const ir::Graph& graph_;
  Inputs inputs_;
  Oracle* base_ = nullptr;
  std::unique_ptr<Place> place_;
  std::map<ir::Id, Array> after_;  // by carried tensor, over its dims but those that are bound
  std::unique_ptr<oracle::Rounding> rounding_;
  std::map<ir::Id, Array> stored_;
  std::map<NestKey, std::unique_ptr<oracle::Nest>> nests_;
};

// What an oracle computes for these nodes, in elements: each node once for each of the indices that it depends on or reduces
// over.
double oracle_work(const ir::Graph& graph, const std::vector<ir::Id>& nodes, const std::vector<int64_t>& extents);

}  // namespace lossc
