// Reverse-mode differentiation of one scalar-per-row value; see gradient.cpp.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "program.h"

namespace lossc {

struct Flow {
  ir::Id mask;  // kNone: everywhere
  ir::Id value;
};

class Differentiator {
 public:
  explicit Differentiator(Program& program);
  std::vector<Gradient> run(ir::Id value, ir::Id seed, ir::Id mask);

 private:
  void visit(ir::Id node);
  bool absent(ir::Id tensor) const;  // optional, and not given in this form
  void mark_active(const std::vector<ir::Id>& order);
  ir::Id masked(const Flow& a);
  std::vector<ir::Id> conjuncts(ir::Id mask);
  ir::Id all_of(const std::vector<ir::Id>& list);
  ir::Id asked_without(ir::IndexSet indices, ir::Id mask);
  bool implied(const std::vector<ir::Id>& given, ir::Id what) const;
  std::vector<ir::Id> asked_by_all(const std::vector<Flow>& terms);
  Flow combined(ir::Id node);
  ir::Id sum_over(ir::IndexSet set, ir::Id v);
  void give(ir::Id child, Flow a, ir::IndexSet domain);
  void through_lookup(const ir::Node& n, const Flow& a);
  bool through_folded(const ir::Node& n, const Flow& a);
  ir::Id axis_of_both(ir::Id a, ir::Id b) const;
  ir::Id through_two_keys(const ir::Node& n, ir::Id v, ir::IndexSet kept, std::vector<size_t>* computed, std::vector<ir::Id>* renamed,
                          ir::IndexSet* left);
  bool same_axis(ir::Id a, ir::Id b) const;
  ir::Id collect(ir::Id v, ir::Id key, ir::Id target, ir::IndexSet keep);
  ir::Id collect_pairs(ir::Id v, ir::Id key, ir::Id target, ir::IndexSet keep, ir::IndexSet lost);
  int split_key(ir::Id key, ir::Id index, ir::Id* rest);
  ir::Id strided(ir::Id v, ir::Id key, ir::Id target, ir::IndexSet* lost);
  ir::Id shifted(ir::Id v, ir::Id key, ir::Id k, ir::Id target);
  void into_tensor(ir::Id node, const Flow& a);
  void add_to_tensor(ir::Id tensor, ir::Id v);
  static ir::IndexSet targets_of(const std::vector<ir::Id>& list);
  ir::Id fresh(ir::Id like, ir::IndexSet taken);
  ir::Id to_dims(ir::Id v, std::vector<ir::Id> from, const std::vector<ir::Id>& dims);

  // gradient_rules.cpp: the local derivative of every operation.
  void propagate(ir::Id node, const Flow& a);
  void through_prefix(const ir::Node& n, ir::Id node, const Flow& a);
  void through_reduce(ir::Id node, const Flow& a);
  void through_scatter(const ir::Node& n, ir::Id node, const Flow& a);
  ir::Id slope(ir::Id node, size_t operand);
  ir::Id slope_by_hand(const ir::Node& n, size_t operand, ir::Id flow = ir::kNone);
  void through_whole(const ir::Node& n, const Flow& a);

  // gradient_scan.cpp: recurrences.
  struct Target {
    ir::Id node;  // what a step reads that is not carried
    Flow flow;
  };
  // What a step reads of other tensors at places that depend on what it carries: tensor, and what flows back to it.
  std::vector<std::pair<ir::Id, ir::Id>> read_at_carried_places(const ir::Node& scan) const;
  std::string place_of(const ir::Node& n) const;
  [[noreturn]] void refuse_carried_places(const ir::Node& scan, ir::Id tensor) const;
  std::vector<Target> step_backward(const ir::Node& scan, const std::set<ir::Id>& outside, ir::Id mask, const std::vector<ir::Id>& flows);
  ir::Id common_mask(ir::Id scan);
  void through_scan(ir::Id scan);
  ir::Id before(const ir::Node& scan, ir::Id node, ir::Id tensor, const std::vector<ir::Id>& at);
  using Replacement = std::function<ir::Id(ir::Id tensor, const std::vector<ir::Id>& at)>;
  // What has been replaced so far.
  struct Replaced {
    std::map<ir::Id, ir::Id> nodes;
    std::map<ir::Id, ir::Id> tensors;  // carried by recurrences inside, which are others afterwards
    uint64_t carried = 0;              // the bits of those
    ir::Id own_from = INT32_MAX;       // tensors from here on are of recurrences that are there for this alone, and keep them
  };
  ir::Id replaced(ir::Id value, uint64_t carries, const Replacement& load, Replaced& done);
  ir::Id replaced_scan(const ir::Node& n, uint64_t carries, const Replacement& load, Replaced& done);
  ir::Id carry_like(const ir::Node& scan, const char* prefix, bool places);
  ir::Id load_all(ir::Id tensor);
  ir::Id at_place(ir::Id value, ir::Id index, ir::Id place);
  void through_fixed_point(ir::Id scan);
  ir::Id outside_of(const ir::Node& scan, ir::Id node, ir::Id value, Replaced& done);

  // gradient_checkpoints.cpp: recurrences whose derivative computes the step again.
  struct Again;
  void through_again(ir::Id scan);
  ir::IndexSet row_apart(const ir::Node& scan);
  void carry_target(Again& again, const Target& target);
  void carry_checkpoints(Again& again);
  ir::Id scan_back(Again& again);
  ir::Id at_end(const Again& again, ir::Id back, size_t value);
  void give_target(const Again& again, ir::Id back, const Target& target, size_t& value);

  Program& p_;
  ir::Graph& g_;
  // Indices of which a step is differentiated for one value each, so that nothing is summed over them.
  ir::IndexSet single_ = 0;
  bool through_elements_ = false;  // what flows out of a step goes on through whatever is elementwise
  std::vector<ir::Id> fresh_;
  std::set<ir::Id> active_;
  std::map<ir::Id, std::vector<Flow>> terms_;
  std::map<ir::Id, ir::Id> tensor_;
  std::map<ir::Id, std::map<ir::Id, ir::Id>> after_;  // scan -> carried tensor -> what flows back to its values
  std::map<ir::Id, std::vector<ir::Id>> after_masks_;          // scan -> masks of those
};

}  // namespace lossc
