// The planner's working state; see plan.h for what a plan is and planner.cpp for the order in which one is made.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "plan.h"

namespace lossc::plan {

using ir::members;
using ir::set_of;

bool leaf(ir::Op op);
// Brings lookups into the form in which each stays within the memory that it reads (lookups.cpp).
std::vector<Id> settle_lookups(ir::Graph& graph, const std::vector<Id>& roots);
// A lookup, and those in one another that it is made of: all but the value that is looked up (looked_up_in).
std::vector<Id> lookups_of(const ir::Graph& graph, Id at);

// Is the place within its axis because its expression says so? Out of memory it would be any number.
bool says_its_bounds(const ir::Graph& graph, Id place);

// Is this what a recurrence carries, read at a row that is not the one at hand?
bool carried_of_other_rows(const ir::Graph& graph, Id node, Id row);

class Planner {
 public:
  // `shared`: per pass, wide expensive nodes that several steps use and that are therefore stored in the panel.
  Planner(const Program& program, std::map<int, std::set<Id>> shared);
  Plan run();
  // After run(): what the next attempt should store.
  std::map<int, std::set<Id>> worth_sharing(const ir::Graph& graph) const;

 private:
  struct Kernel {  // the step being built
    Step step;
    int pass = 0;
    bool in_loop = false;
    std::set<Id> seen = {};
    int loop = -1;  // the Loop step that it belongs to
  };

  // When: which rows, which pass (planner_order.cpp).
  Id choose_row(const std::vector<Id>& roots) const;
  bool reduces_widely(const std::vector<Id>& roots, Id row) const;
  Id better_row(const std::vector<Id>& roots, Id row) const;
  void choose_passes(const std::vector<Id>& roots);
  void gather_readers(const std::vector<Id>& order, const std::map<Id, int>& early);
  int pass_of(Id node) const;
  bool row_bound(Id node) const { return plan_.row != ir::kNone && (g_.free(node) & ir::bit(plan_.row)); }
  bool needs_every_row(Id node) const;
  // Is it an argmax or argmin over the rows? Two panels' indices cannot be merged without the values that they won by, so
  // it is made of all rows at once, from memory.
  bool selects_row(Id node) const;
  bool as_given(Id node) const;
  bool completes(Id node, size_t operand) const;

  // Where: what is stored, and how it lies (planner_layout.cpp).
  bool like_a_tensor(ir::IndexSet set) const;
  bool reaches_buffer(Id node) const;
  bool of_positions(Id node) const;
  bool dear(Id node) const;
  bool made_again(const Step& step, ir::IndexSet free) const;
  bool chunk_inline(Id reduce) const;
  bool sums_walks(const ir::Node& reduce) const;
  bool multiplies(const ir::Node& reduce) const;
  Id made_of(Id axis) const;
  std::vector<Id> natural_order(ir::IndexSet set) const;
  Layout default_layout(Id node) const;
  Layout walk_layout(Id node, Id index) const;
  std::vector<Id> ordered(Id node, ir::IndexSet set) const;
  void choose_tiles(const std::vector<Id>& roots);
  Storage storage_of(Id node) const;
  bool of_all_rows(Id node) const;
  bool boundary(const Kernel& k, Id node) const;

  // How: steps and their buffers (planner_build.cpp).
  static constexpr int kForAll = -1;
  int made_for(Id node, Storage storage, int pass) const;
  int require(Id node, int pass, const Layout* want = nullptr);
  int add_buffer(Buffer b);
  int input(Id tensor);
  std::vector<int>& list_of(const Kernel& k);
  void add_step(Kernel k);
  void build(Id node, int buffer, int pass);
  Layout written_layout(Id node, const Layout& wanted) const;
  bool columns_are_rows(Id node, const Layout& layout) const;
  void build_copy(Id node, int buffer, int pass, const Layout& from);
  void build_contraction(Id node, int buffer, int pass, const Contraction& c);
  int operand(Id node, int pass, Id row, Id column);
  void build_walk(Id node, int buffer, int pass);
  void build_reduce(Id node, int buffer, int pass);

  // Recurrences (planner_scan.cpp).
  void choose_scans(const std::vector<Id>& roots);
  void nest_scans(const std::vector<Id>& order);
  uint64_t kept_together(Id node) const;
  // Is it, or is it inside, a recurrence that goes through all rows together; or a step by hand, which reads any of them?
  bool at_once(Id node) const;
  std::vector<Id> places(Id node) const;
  int loop_of(Id node) const;
  ir::IndexSet places_of(const Kernel& k) const;
  void build_scan(Id node, int buffer, int pass);
  void start_loop(Id scan, int loop, const std::vector<int>& after, int pass);
  void roll_over();
  bool sums_up(Id after) const;
  bool only_end_is_read(Id after, Id along, ir::Course course) const;
  bool product(Id node, Contraction* out) const { return !g_.at(node).carried && match_contraction(g_, node, out); }
  void build_root(Id node, Id output, const std::vector<Id>& dims, const std::string& name);
  void find_reads(Kernel& k, Id node, bool root);
  int read_at_will(const ir::Node& step, size_t operand, int pass);
  void read(Kernel& k, int buffer);

  // Afterwards (plan_passes.cpp).
  void merge_list(std::vector<int>& list);
  void sum_up_loops();
  void add_heaps();
  std::vector<Id> worth_keeping(const Step& step) const;
  bool mergeable(const Step& a, const Step& b) const;
  void drop_unused();

  // Which buffers share memory (planner_memory.cpp).
  bool reads_elsewhere(const Step& step, int buffer, const std::function<bool(const ir::Node& reduce)>& again) const;
  bool may_write_over(const Step& step, int buffer, const Buffer& out) const;
  void assign_slots();
  void share_carried_slots();
  void lend_outputs();
  // What is left for a later step rather than made again (planner_left.cpp).
  void leave_kept();
  bool leave_for(int step, Id node);
  bool makes(const Step& step, Id node, const std::vector<Id>& domain) const;
  int leaver(int reader, Id node) const;
  bool loads(Id node, Id tensor) const;
  std::vector<int> still_read(const Step& step) const;

  const Program& program_;
  Plan plan_;
  ir::Graph& g_;
  std::map<int, std::set<Id>> shared_;
  std::map<Id, int> pass_;
  std::vector<char> root_rows_;                   // per root: does its tensor have the row index?
  std::set<Id> whole_;                            // looked up at other rows: stored whole
  std::set<Id> within_;                           // places of lookups that are computed wherever they are used (says_its_bounds)
  std::set<Id> summed_;                           // stored to be summed (sums_walks)
  std::map<ir::IndexSet, Layout> tiles_;          // index pairs kept in tiles
  std::map<std::tuple<Id, std::vector<Id>, bool, int>, int> made_;  // (node, order, tiled, made_for) -> buffer
  std::map<Id, int> inputs_;
  uint64_t at_once_ = 0;                          // carried tensors of recurrences that go through all rows together
  std::map<Id, Id> scan_index_;                   // carried tensor -> index along which it is carried
  std::map<Id, int> scan_depth_;                  // carried tensor -> how many recurrences are around its own
  std::map<Id, int> before_;                      // carried tensor -> buffer of what is there before each place
  std::map<Id, int> open_;                        // carried tensor -> Loop step being made
  mutable std::map<Id, bool> reaches_, dear_;
  std::map<int, std::map<Id, std::set<size_t>>> inlined_;  // pass -> expensive node -> steps that compute it
};

}  // namespace lossc::plan
