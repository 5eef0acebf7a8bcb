// The intermediate representation: a hash-consed graph of named-axis expressions.
//
// A node denotes one element as a function of its free indices; an array never appears. Broadcasting is therefore
// implicit (a node lacks an index), and loops, memory and fusion are left to the plan. The graph is closed under
// differentiation: gradients are nodes of the same kinds.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "by_hand.h"

namespace lossc::ir {

using Id = int32_t;  // of a node, index, axis, tensor or param: which one, the name of the variable says
inline constexpr Id kNone = -1;
using IndexSet = uint64_t;  // bit k: index k
inline IndexSet bit(Id index) { return IndexSet{1} << index; }
std::vector<Id> members(IndexSet set);  // ascending
IndexSet set_of(const std::vector<Id>& list);

enum class Type : uint8_t { Float, Int, Bool };

enum class Op : uint8_t {
  // Leaves. Load: tensor `sym` at the integer nodes `args`. Index: value of index `sym`. Extent: of axis `sym`.
  Const, Param, Index, Extent, Load,
  // One operand. ZeroRecip(x) is 1/x, and 0 at x = 0: the adjoint of sqrt, norm and log where a sum may be empty. Sqrt of an
  // integer, in the length of an axis alone, is rounded down. ExpFtz is Exp of a difference, which has been rounded: as accurate as
  // that is (math.h), and 0 where the result would be subnormal. Next to the term of the maximum, 1, neither shows.
  Neg, Abs, Sign, Exp, ExpFtz, Expm1, Log, Log1p, Sqrt, Tanh, Sigmoid, Softplus, Erf, Erfc, Sin, Cos, Acos, Asin, Lgamma, Digamma,
  Trigamma,
  // ToInt(x) is floor(x) as an integer; beyond +-2^30 that, for NaN -1 (no position).
  Floor, Round, ZeroRecip, IsNan, IsFinite, Not, ToFloat, ToInt, StopGradient,
  // Two operands. Div and Mod of integers are the floor forms. Max and Min propagate NaN.
  Add, Sub, Mul, Div, Mod, Pow, Atan2, Max, Min, Lt, Le, Eq, Ne, And, Or,
  // Select(condition, then, otherwise): the branch not taken has no influence, whatever its value or derivative.
  Select,
  // Reduce over index `sym`. StraightThrough(value, surrogate): the value of the first, the derivative of the second.
  Reduce, StraightThrough,
  // At(e, k): e, a function of its free index `sym`, at index value k (an integer node; often a plain twin index).
  At,
  // Scatter(kind, v, k): as a function of index `sym2`, v reduced (Sum, Max, Min) over those values of index `sym` where
  // k == sym2; where there are none, the identity. A key that is no value of sym2 drops its v.
  Scatter,
  // Over an axis as a whole; bound in `sym`, the result is a function of `sym2` (the same index, or a twin).
  // Order(e): position of the element that comes at place sym2 in ascending order, NaN last, ties by position;
  // with value = 1 its inverse, the rank. Prefix(kind, e): e up to and with place sym2, or from it on if value = 1:
  // Sum, LogSumExp (of nothing but -inf: -inf), ArgMax and ArgMin (the first extremum in the direction walked).
  Order, Prefix,
  // A recurrence along index `sym`, on the Course that `value` is, of K carried values. Its operands are K values to
  // start from and K values after each place, in terms of those before it: Loads of the K tensors of role Carried from
  // `sym2` on. After(scan): the carried value of tensor `sym` after each place.
  Scan, After,
  // Code of the writer's own, number `sym` of Graph::by_hand; a float. ByHand: of one element of each operand. WholeByHand: of
  // its operands as a whole, read anywhere; over which indices, says Graph::whole number `sym2`.
  ByHand, WholeByHand,
};

// Of one index as a whole, so that its operand must be there first, in memory: a step of its own.
inline bool whole_axis(Op op) { return op == Op::Order || op == Op::Prefix; }
// Is the result a function of an index of its own, `sym2`?
inline bool makes_index(Op op) { return op == Op::Scatter || whole_axis(op); }
// Is index `sym` bound, so that the operand's values at all its places may take part in one of the result's?
inline bool binds_index(Op op) { return op == Op::Reduce || op == Op::At || op == Op::Scan || makes_index(op); }
// Costs some ten multiply-adds: worth a store where several would compute it.
bool transcendental(Op op);

// MaxNum ignores NaN (used inside logsumexp, where exp brings it back). An empty reduction has the identity.
// ArgMax and ArgMin take the lowest index among ties, and 0 where nothing is above the identity.
enum class ReduceKind : uint8_t { Sum, Prod, Max, Min, MaxNum, ArgMax, ArgMin, Any, All, LogSumExp /* Prefix only */ };
// Is its result an index?
inline bool selects(ReduceKind kind) { return kind == ReduceKind::ArgMax || kind == ReduceKind::ArgMin; }

// ToFixedPoint: forward, and only what there is after the last place is read, which counts as unchanged by one more step.
enum class Course : uint8_t { Forward, Backward, ToFixedPoint };

struct Node {
  Op op;
  Type type = Type::Float;
  ReduceKind kind = ReduceKind::Sum;
  Id sym = kNone, sym2 = kNone;
  double value = 0;       // Const; Order, Prefix: see there
  std::vector<Id> args = {};  // operands; Load: one integer node per dimension of the tensor
  IndexSet free = 0;      // derived
  uint64_t carried = 0;   // derived: bit t: depends on the carried value of tensor t, as a step of its recurrence does
  int line = 0, file = 0;  // where it was written first; not part of its identity
};

struct Axis {
  std::string name, doc;
  bool optional = false;  // the tensors may lack this dimension: extent 1
  bool flat = false;      // stands for any number of dimensions
  Id length = kNone;      // what its extent is, as an integer node over extents of earlier axes; kNone: a tensor says
};
struct IndexInfo {
  std::string name;
  Id axis;
};

// Implicit: from the compiler. Carried: what a recurrence has before each place, in no caller's memory.
enum class TensorRole : uint8_t { Input, Labels, Mask, Implicit, Carried };
inline bool is_declared(TensorRole role) { return role < TensorRole::Implicit; }
struct Tensor {
  std::string name, doc;
  Type type = Type::Float;
  TensorRole role = TensorRole::Input;
  std::vector<Id> dims;  // index ids: the canonical index of each dimension, outermost first
  bool differentiable = true;
  bool optional = false;
  Id range_axis = kNone, ignore_param = kNone;  // of an index tensor
  bool allow_minus_one = false;
  bool range_inclusive = false;  // the extent itself is in range
  bool ascending = false;        // along the last dimension it does not decrease
};
struct Param {
  std::string name, doc;
  double fallback = 0, low = -1e300, high = 1e300;
  bool low_open = false, high_open = false, integer = false;
};

// Two indices: the segments that the places of a recurrence are cut into, and the places of a segment.
struct Segments {
  Id segment = kNone, place = kNone;
};

inline Course course(const Node& scan) { return static_cast<Course>(static_cast<int>(scan.value)); }

class Graph {
 public:
  // Where a node is does not change as others are made: rewriting passes hold on to one while they make more. (In a vector
  // one was read after it had moved, which showed in one run of thousands.)
  std::deque<Node> nodes;
  std::vector<Axis> axes;
  std::vector<IndexInfo> indices;
  std::vector<Tensor> tensors;
  std::vector<Param> params;
  std::vector<std::string> files;
  std::vector<std::shared_ptr<const ByHand>> by_hand;
  std::vector<Whole> whole;
  // Of recurrences, each by its first carried tensor. Of which checkpoints are to be kept: what they are cut into, until that
  // is done (checkpoints.cpp). Whose derivative, at each place, computes again what the step does.
  std::map<Id, Segments> checkpoints;
  std::set<Id> recomputed;
  int line = 0, file = 0;  // stamped on nodes made from here on

  const Node& at(Id node) const { return nodes[node]; }
  IndexSet free(Id node) const { return nodes[node].free; }
  Type type(Id node) const { return nodes[node].type; }

  // Constructors simplify (x*1, x+0, constant folding that keeps NaN and Inf) and share equal nodes.
  Id constant(double value, Type type = Type::Float);
  Id param(Id param);
  Id index(Id index);
  Id extent(Id axis);
  Id load(Id tensor, std::vector<Id> args);
  Id unary(Op op, Id a);
  Id binary(Op op, Id a, Id b);
  Id select(Id condition, Id then, Id otherwise);
  Id reduce(ReduceKind kind, Id index, Id body);
  Id at_index(Id node, Id index, Id key);
  Id scatter(Id value, Id index, Id key, Id target, ReduceKind kind = ReduceKind::Sum);
  Id order(Id body, Id index, Id target, bool rank);
  Id prefix(ReduceKind kind, Id body, Id index, Id target, bool reversed);
  Id straight_through(Id value, Id surrogate);
  Id scan(Id index, Course course, Id first_tensor, std::vector<Id> operands);
  Id after(Id scan, Id tensor);
  Id step_by_hand(std::shared_ptr<const ByHand> code, std::vector<Id> args);
  Id step_by_hand(std::shared_ptr<const ByHand> code, std::vector<Id> args, const Whole& over);
  Id intern(Node node);  // the raw form of all of the above

  bool is_const(Id node, double value) const {
    return nodes[node].op == Op::Const && nodes[node].value == value;
  }
  // The plain index a node is, or kNone.
  Id plain_index(Id node) const { return nodes[node].op == Op::Index ? nodes[node].sym : kNone; }
  // The place along an index after which a recurrence has come to its end.
  Id last_place(Course course, Id index);
  bool is_last_place(Id place, Course course, Id index) const;
  // The first index made over the axis of this one: the one that stands for all its twins in stored values.
  Id canonical(Id index) const;

  // Is the length of its axis a number, or what the caller says it is, rather than a tensor's?
  bool short_axis(Id index) const;

  // The same expression with two indices exchanged everywhere. Exchanging (not replacing) names cannot capture, so
  // for an expression in which `b` is not free this is "a replaced by b".
  Id swap_indices(Id node, Id a, Id b);
  // Rebuilds a node with other operands.
  Id with_args(const Node& like, const std::vector<Id>& args);
  // The K tensors of a Scan, as bits of Node::carried.
  uint64_t carries_of(const Node& scan) const { return ((uint64_t{1} << scan.args.size() / 2) - 1) << scan.sym2; }

 private:
  Id look_up_swapped(Id node, Id a, Id b);
  Id number_of(std::shared_ptr<const ByHand> code);

  std::map<std::string, Id> interned_;
  std::map<std::tuple<Id, Id, Id>, Id> swapped_;
};

// Reverse postorder helpers: nodes reachable from the roots, operands before users.
std::vector<Id> topological(const Graph& graph, const std::vector<Id>& roots);

// Text of an expression in index notation; shared subexpressions are repeated up to `depth` levels, then "...".
std::string print(const Graph& graph, Id node, int depth = 6);
const char* name(Op op);
const char* name(ReduceKind kind);
// Identity of a reduction, as a value of the body's type.
double identity(ReduceKind kind);

}  // namespace lossc::ir
