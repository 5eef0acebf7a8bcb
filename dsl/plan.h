// The plan of a loss: from the graph to few passes over row panels, as data.
//
// The planner decides what is stored (and how laid out), what is recomputed, and which nodes share a loop. It knows
// indices, not sizes: extents are known only when the generated library is called.
//
// Passes. One index r (the loss's first row index) is cut into panels. A node that needs every row (a reduction over
// r, a lookup at another row) is complete only after the panel loop, so its users belong to the next pass:
//   pass(node) = max(pass(operands)) + (needs every row ? 1 : 0).
// Wide nodes (several indices, axes of no tensor) live in a panel, one per worker, and are computed again in a later
// pass if it needs them; narrow ones are stored whole.
//
// Layout. What takes part in a contraction is stored in column tiles, (column % T, row, column / T): see
// schedules/contract.h. Everything else is linear, in the order of the tensors it resembles.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "program.h"

namespace lossc::plan {

using ir::Id;

// Lent: in the memory of an output (Buffer::lender) until that is written, or nowhere.
enum class Storage : uint8_t { Input, Output, Whole, Accumulator, Panel, Lent };
enum class Elem : uint8_t { Float, Int32, UInt8 };

// Dimensions innermost first. Linear: each index once. Tiled: two indices (row, column).
struct Layout {
  bool tiled = false;
  std::vector<Id> order;  // linear: outermost first; tiled: {row, column}
  bool operator==(const Layout&) const = default;
};

// Memory of one step, not a node's values: of each element of layout.order so many, innermost.
enum class Scratch : uint8_t {
  None,
  Lanes,  // partial results of a reduction in T lanes
  Chunk,  // the values of a chunk (Step::heap)
  Order,  // what a sort moves about (Step::heap)
};

struct Buffer {
  std::string name;
  Storage storage = Storage::Whole;
  Elem elem = Elem::Float;
  Id node = ir::kNone;    // what it holds (Input: kNone)
  Id tensor = ir::kNone;  // Input: tensor id. Output: 0 loss, 1 loss rows, 2.. gradients in order, then auxiliary
  Layout layout;
  ir::ReduceKind merge = ir::ReduceKind::Sum;  // Accumulator
  int slot = -1;          // Panel
  // Panel: an output of the same layout, made of it in place by the step that reads it last. Where the caller wants that
  // output and its rows are dense, this buffer is in its memory, too, which is fetched while the exponentials are made
  // rather than when nothing else is to be done. Lent: the output that it is left in until that is written (planner_left.cpp).
  int lender = -1;
  Scratch scratch = Scratch::None;
  // What a recurrence has before each place (of carried tensor `tensor`): the memory of this buffer, which holds what is
  // there after each, one place earlier; with one more place for what the recurrence starts from.
  int continues = -1;
  // Indices of the loops around that make it, and alone read it: each place writes over what the one before left.
  ir::IndexSet rolling = 0;
};

enum class StepKind : uint8_t { Map, Reduce, Scatter, Walk, Loop, ContractNN, ContractTN };

// One kernel: a serial function over a box.
//  Map      outputs(domain) = nodes
//  Reduce   outputs(domain without `over`) = reductions over index `over` (the nodes are Reduce nodes)
//  Scatter  output = a Scatter node
//  Walk     output = an Order or Prefix node, of the one buffer read (runtime/walk.h)
//  Loop     steps of its own, one after another for each place of a recurrence
//  Contract output = A B (NN: C(r,c) = sum_k A(r,k) B(k,c)) or A' B (TN: C(r,c) = sum_k A(k,r) B(k,c))
struct Step {
  StepKind kind = StepKind::Map;
  std::vector<Id> domain;      // indices, outermost first; the last one is vectorised
  bool tiled = false;          // the last index is walked in tiles
  Id over = ir::kNone;         // Reduce, Scatter, Contract: the index summed over
  bool accumulates = false;    // sums over the panel's rows into an accumulator
  std::vector<int> outputs;    // buffers
  std::vector<Id> nodes;       // what each output holds
  std::vector<int> scratch;    // Reduce: one per output, or empty (accumulators in registers)
  std::vector<int> reads;      // Contract: A, B. Else the buffers at which the expressions stop
  // A chunk of the last index at a time, with the one before it walked several times (softmax over the classes of
  // pixels): these nodes are computed once per chunk into `heap`, a buffer each, and read by all the walks.
  std::vector<Id> kept;
  std::vector<int> heap;  // Walk, an Order: what it sorts in
  // What it computes for every element and leaves in a Lent buffer, too, for a later step to read.
  std::map<Id, int> left;
  // Two steps that do the same, one after another in their list: of what is in this Lent buffer where it is there (a run that
  // wants the output, with dense rows), and without it.
  int with = -1, without = -1;
  // Loop: along index `over`, from its end if `backward`; `first` once, at the place where it begins, `body` at each. Its
  // outputs, reads, scratch and heap are those of all of them. A step inside has the indices of the loops around it, outermost
  // first, in `places`: it does its work for one place of each.
  bool backward = false;
  std::vector<int> first, body;
  std::vector<Id> places;
  std::string text;
};

struct Pass {
  std::vector<int> once;   // steps before the loop
  std::vector<int> panel;  // steps of each panel
};

struct Plan {
  const Program* program = nullptr;
  ir::Graph graph;         // the program's, rewritten; nodes of steps and buffers live here
  Id row = ir::kNone;      // r; kNone: no panels
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  std::vector<Pass> passes;
  int slots = 0;
  bool contracts = false;

  // The buffer in which a step finds a node, or -1 if the step computes it inline.
  int find(const Step& step, Id node) const;
  // Indices of a step's own rows: does it run inside the panel loop?
  bool in_panel(int step) const;
  // Does the step write over what it reads? Elements computed twice would then be computed of what was written first.
  bool in_place(const Step& step) const;
  // The steps of a list with those inside its loops, which follow them.
  std::vector<int> flat(const std::vector<int>& list) const;
};

Plan make_plan(const Program& program);
std::string print(const Plan& plan);
// The first thing in a plan that cannot be run as it stands (a buffer read before it is complete, or in a layout that the
// step cannot read or write); empty for every plan that make_plan may return (plan_sound.cpp).
std::string unsound(const Plan& plan);

// The value that a lookup, or one in another, reads in memory.
Id looked_up_in(const ir::Graph& graph, Id at);

// Contractions brought into the form outer * sum_k (A * B), A and B of two indices each (contractions.cpp).
std::vector<Id> normalise_contractions(ir::Graph& graph, const std::vector<Id>& roots);
struct Contraction {
  Id a, b;      // nodes over {x, k} and {y, k}
  Id x, y, k;
};
// Is this node such a sum? Then its parts.
bool match_contraction(const ir::Graph& graph, Id node, Contraction* out);

}  // namespace lossc::plan
