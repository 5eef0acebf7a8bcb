#include "ir.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

namespace lossc::ir {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Type result_type(const Graph& g, const Node& n) {
  switch (n.op) {
    case Op::Index: case Op::Extent: case Op::ToInt: case Op::Order: return Type::Int;
    case Op::IsNan: case Op::IsFinite: case Op::Not: case Op::Lt: case Op::Le: case Op::Eq: case Op::Ne: case Op::And:
    case Op::Or: return Type::Bool;
    case Op::ToFloat: return Type::Float;
    case Op::Reduce: case Op::Prefix:
      if (selects(n.kind)) return Type::Int;
      return g.type(n.args[0]);
    case Op::Select: return g.type(n.args[1]);
    case Op::Neg: case Op::Abs: case Op::Add: case Op::Sub: case Op::Mul: case Op::Div: case Op::Mod: case Op::Max:
    case Op::Min: case Op::StopGradient: case Op::At: case Op::Scatter: case Op::StraightThrough:
      return g.type(n.args[0]);
    default: return n.type;
  }
}

IndexSet free_indices(const Graph& g, const Node& n) {
  IndexSet free = 0;
  for (Id a : n.args) free |= g.free(a);
  switch (n.op) {
    case Op::Index: return bit(n.sym);
    case Op::Reduce: return free & ~bit(n.sym);
    case Op::At: return (g.free(n.args[0]) & ~bit(n.sym)) | g.free(n.args[1]);
    case Op::Order: case Op::Prefix: return (free & ~bit(n.sym)) | bit(n.sym2);
    case Op::Scatter: return (n.sym == kNone ? free : free & ~bit(n.sym)) | bit(n.sym2);
    case Op::Scan: return free | bit(n.sym);
    case Op::WholeByHand:
      free = 0;
      for (Id d : g.whole[static_cast<size_t>(n.sym2)].out) free |= bit(d);
      return free;
    case Op::After:
      free = 0;
      for (Id d : g.tensors[n.sym].dims) free |= bit(d);
      return free;
    default: return free;
  }
}

uint64_t carried_values(const Graph& g, const Node& n) {
  uint64_t carried = n.op == Op::Load && g.tensors[n.sym].role == TensorRole::Carried ? uint64_t{1} << n.sym : 0;
  for (Id a : n.args) carried |= g.at(a).carried;
  return n.op == Op::Scan ? carried & ~g.carries_of(n) : carried;
}

std::string key_of(const Node& n) {
  std::string k;
  auto put = [&](const auto& v) { k.append(reinterpret_cast<const char*>(&v), sizeof v); };
  put(n.op), put(n.type), put(n.kind), put(n.sym), put(n.sym2), put(n.value);
  for (Id a : n.args) put(a);
  return k;
}

double fold(Op op, double a, double b) {
  switch (op) {
    case Op::Add: return a + b;
    case Op::Sub: return a - b;
    case Op::Mul: return a * b;
    case Op::Pow: return std::pow(a, b);
    default: return a / b;
  }
}

}  // namespace

double identity(ReduceKind kind) {
  switch (kind) {
    case ReduceKind::Prod: case ReduceKind::All: return 1;
    case ReduceKind::Max: case ReduceKind::MaxNum: case ReduceKind::ArgMax: return -kInf;
    case ReduceKind::Min: case ReduceKind::ArgMin: return kInf;
    default: return 0;
  }
}

bool transcendental(Op op) {
  switch (op) {
    case Op::Exp: case Op::ExpFtz: case Op::Expm1: case Op::Log: case Op::Log1p: case Op::Tanh: case Op::Sigmoid: case Op::Softplus:
    case Op::Erf: case Op::Erfc: case Op::Sin: case Op::Cos: case Op::Acos: case Op::Asin: case Op::Lgamma: case Op::Digamma:
    case Op::Trigamma: case Op::Pow: case Op::Atan2: case Op::ByHand: return true;
    default: return false;
  }
}

Id Graph::intern(Node node) {
  node.type = result_type(*this, node);
  node.free = free_indices(*this, node);
  node.carried = carried_values(*this, node);
  auto [it, fresh] = interned_.try_emplace(key_of(node), static_cast<Id>(nodes.size()));
  if (fresh) {
    node.line = line;
    node.file = file;
    nodes.push_back(std::move(node));
  }
  return it->second;
}

Id Graph::constant(double value, Type type) { return intern({.op = Op::Const, .type = type, .value = value + 0.0}); }
Id Graph::param(Id p) { return intern({.op = Op::Param, .type = params[p].integer ? Type::Int : Type::Float, .sym = p}); }
Id Graph::index(Id i) { return intern({.op = Op::Index, .sym = i}); }
Id Graph::extent(Id axis) { return intern({.op = Op::Extent, .sym = axis}); }
Id Graph::load(Id tensor, std::vector<Id> args) {
  return intern({.op = Op::Load, .type = tensors[tensor].type, .sym = tensor, .args = std::move(args)});
}

Id Graph::unary(Op op, Id a) {
  const Node n = nodes[a];
  if (op == Op::Neg) {
    if (n.op == Op::Const) return constant(-n.value, n.type);
    if (n.op == Op::Neg) return n.args[0];
  }
  if (op == Op::Not && n.op == Op::Not) return n.args[0];
  if (op == Op::Not && n.op == Op::Const) return constant(n.value == 0, Type::Bool);
  if (op == Op::ToFloat && n.type == Type::Float) return a;
  if (op == Op::ToFloat && n.op == Op::Const) return constant(n.value);
  if (op == Op::StopGradient && (n.op == Op::StopGradient || n.op == Op::Const)) return a;
  return intern({.op = op, .type = n.type, .args = {a}});
}

Id Graph::binary(Op op, Id a, Id b) {
  const Node x = nodes[a], y = nodes[b];
  const bool cx = x.op == Op::Const, cy = y.op == Op::Const;
  const bool is_float = x.type == Type::Float;
  // x*0 is not 0 (NaN and Inf are data), so only identities that hold for every IEEE value are taken.
  switch (op) {
    case Op::Add:
      if (cx && x.value == 0) return b;
      if (cy && y.value == 0) return a;
      if (y.op == Op::Neg) return binary(Op::Sub, a, y.args[0]);
      break;
    case Op::Sub:
      if (cy && y.value == 0) return a;
      if (cx && x.value == 0) return unary(Op::Neg, b);
      if (y.op == Op::Neg) return binary(Op::Add, a, y.args[0]);
      break;
    case Op::Mul:
      if (cx && x.value == 1) return b;
      if (cy && y.value == 1) return a;
      if (cx && x.value == -1) return unary(Op::Neg, b);
      if (cy && y.value == -1) return unary(Op::Neg, a);
      if (x.op == Op::Neg) return unary(Op::Neg, binary(Op::Mul, x.args[0], b));
      if (y.op == Op::Neg) return unary(Op::Neg, binary(Op::Mul, a, y.args[0]));
      if (cy && !cx) return binary(Op::Mul, b, a);  // constants first, so that equal products meet
      break;
    case Op::Div:
      if (cy && y.value == 1) return a;
      break;
    case Op::And:
      if (a == b || (cy && y.value != 0)) return a;
      if (cx) return x.value != 0 ? b : a;
      if (cy) return b;
      break;
    case Op::Or:
      if (a == b || (cy && y.value == 0)) return a;
      if ((x.op == Op::Not && x.args[0] == b) || (y.op == Op::Not && y.args[0] == a)) return constant(1, Type::Bool);
      if (cx) return x.value == 0 ? b : a;
      if (cy) return b;
      break;
    case Op::Eq: case Op::Le:
      if (a == b && x.type == Type::Int) return constant(1, Type::Bool);
      break;
    default: break;
  }
  if (cx && cy && is_float && (op == Op::Add || op == Op::Sub || op == Op::Mul || op == Op::Div || op == Op::Pow))
    return constant(fold(op, x.value, y.value));
  const bool commutes = op == Op::Add || op == Op::Mul || op == Op::And || op == Op::Or || op == Op::Eq || op == Op::Ne;
  if (commutes && a > b && !(cx && op == Op::Mul)) std::swap(a, b);
  return intern({.op = op, .args = {a, b}});
}

Id Graph::select(Id c, Id t, Id f) {
  if (nodes[c].op == Op::Const) return nodes[c].value != 0 ? t : f;
  if (t == f) return t;
  if (nodes[c].op == Op::Not) return select(nodes[c].args[0], f, t);
  return intern({.op = Op::Select, .args = {c, t, f}});
}

Id Graph::reduce(ReduceKind kind, Id index, Id body) {
  return intern({.op = Op::Reduce, .kind = kind, .sym = index, .args = {body}});
}

Id Graph::at_index(Id node, Id index, Id key) {
  if (!(free(node) & bit(index)) || plain_index(key) == index) return node;
  const Node n = nodes[node];
  if (n.op == Op::Index) return key;
  // Looked up under another name, and that at the key: looked up at the key.
  if (n.op == Op::At && plain_index(n.args[1]) == index && !(free(n.args[0]) & bit(index))) return at_index(n.args[0], n.sym, key);
  if (n.op == Op::Load) {  // a gather from a tensor is a load at a computed place
    std::vector<Id> args = n.args;
    for (Id& a : args) a = at_index(a, index, key);
    return load(n.sym, args);
  }
  return intern({.op = Op::At, .sym = index, .args = {node, key}});
}

Id Graph::scatter(Id value, Id index, Id key, Id target, ReduceKind kind) {
  return intern({.op = Op::Scatter, .kind = kind, .sym = index, .sym2 = target, .args = {value, key}});
}

Id Graph::order(Id body, Id index, Id target, bool rank) {
  return intern({.op = Op::Order, .sym = index, .sym2 = target, .value = rank ? 1.0 : 0.0, .args = {body}});
}
Id Graph::prefix(ReduceKind kind, Id body, Id index, Id target, bool reversed) {
  return intern({.op = Op::Prefix, .kind = kind, .sym = index, .sym2 = target, .value = reversed ? 1.0 : 0.0, .args = {body}});
}

Id Graph::scan(Id index, Course course, Id first_tensor, std::vector<Id> operands) {
  return intern({.op = Op::Scan, .sym = index, .sym2 = first_tensor, .value = static_cast<double>(course), .args = std::move(operands)});
}
Id Graph::after(Id scan, Id tensor) { return intern({.op = Op::After, .sym = tensor, .args = {scan}}); }

// Made anew for every form of a definition, and for every derivative: what it says tells whether it is there already.
Id Graph::number_of(std::shared_ptr<const ByHand> code) {
  const auto same = [&](const auto& other) { return other == code || (other->name == code->name && other->text() == code->text()); };
  const auto it = std::find_if(by_hand.begin(), by_hand.end(), same);
  const Id number = static_cast<Id>(it - by_hand.begin());
  if (it == by_hand.end()) by_hand.push_back(std::move(code));
  return number;
}
Id Graph::step_by_hand(std::shared_ptr<const ByHand> code, std::vector<Id> args) {
  return intern({.op = Op::ByHand, .sym = number_of(std::move(code)), .args = std::move(args)});
}
Id Graph::step_by_hand(std::shared_ptr<const ByHand> code, std::vector<Id> args, const Whole& over) {
  const Id number = static_cast<Id>(std::find(whole.begin(), whole.end(), over) - whole.begin());
  if (static_cast<size_t>(number) == whole.size()) whole.push_back(over);
  return intern({.op = Op::WholeByHand, .sym = number_of(std::move(code)), .sym2 = number, .args = std::move(args)});
}

Id Graph::straight_through(Id value, Id surrogate) {
  return value == surrogate ? value : intern({.op = Op::StraightThrough, .args = {value, surrogate}});
}

Id Graph::canonical(Id index) const {
  for (Id k = 0; k < index; k++)
    if (indices[k].axis == indices[index].axis) return k;
  return index;
}

Id Graph::with_args(const Node& n, const std::vector<Id>& args) {
  switch (n.op) {
    case Op::Const: return constant(n.value, n.type);
    case Op::Param: return param(n.sym);
    case Op::Index: return index(n.sym);
    case Op::Extent: return extent(n.sym);
    case Op::Load: return load(n.sym, args);
    case Op::Select: return select(args[0], args[1], args[2]);
    case Op::Reduce: return reduce(n.kind, n.sym, args[0]);
    case Op::At: return at_index(args[0], n.sym, args[1]);
    case Op::Scatter: return scatter(args[0], n.sym, args[1], n.sym2, n.kind);
    case Op::Order: return order(args[0], n.sym, n.sym2, n.value != 0);
    case Op::Prefix: return prefix(n.kind, args[0], n.sym, n.sym2, n.value != 0);
    case Op::StraightThrough: return straight_through(args[0], args[1]);
    case Op::Scan: return scan(n.sym, course(n), n.sym2, args);
    case Op::After: return after(args[0], n.sym);
    case Op::ByHand: case Op::WholeByHand: return intern({.op = n.op, .sym = n.sym, .sym2 = n.sym2, .args = args});
    default: return args.size() == 1 ? unary(n.op, args[0]) : binary(n.op, args[0], args[1]);
  }
}

Id Graph::swap_indices(Id node, Id a, Id b) {
  auto key = std::make_tuple(node, std::min(a, b), std::max(a, b));
  if (auto it = swapped_.find(key); it != swapped_.end()) return it->second;
  Node n = nodes[node];
  if (n.op == Op::After || n.op == Op::WholeByHand) return swapped_[key] = look_up_swapped(node, a, b);
  auto other = [&](Id s) { return s == a ? b : s == b ? a : s; };
  if (n.op == Op::Index || binds_index(n.op)) n.sym = other(n.sym);
  if (makes_index(n.op)) n.sym2 = other(n.sym2);
  std::vector<Id> args;
  for (Id x : n.args) args.push_back(swap_indices(x, a, b));
  Id result = with_args(n, args);
  swapped_[key] = result;
  return result;
}

bool Graph::short_axis(Id index) const {
  const Id length = axes[indices[index].axis].length;
  if (length == kNone) return false;
  const std::vector<Id> of = topological(*this, {length});
  return std::none_of(of.begin(), of.end(), [&](Id n) { return at(n).op == Op::Extent; });
}

// A recurrence's values, and those of a step by hand, keep the indices they were declared over; under other names they are
// looked up.
Id Graph::look_up_swapped(Id node, Id a, Id b) {
  const bool has_a = free(node) & bit(a), has_b = free(node) & bit(b);
  if (!has_b) return at_index(node, a, index(b));
  if (!has_a) return at_index(node, b, index(a));
  indices.push_back(indices[a]);
  const Id t = static_cast<Id>(indices.size()) - 1;
  return at_index(at_index(at_index(node, a, index(t)), b, index(a)), t, index(b));
}

Id Graph::last_place(Course course, Id index) {
  return course == Course::Backward ? constant(0, Type::Int) : binary(Op::Sub, extent(indices[index].axis), constant(1, Type::Int));
}

bool Graph::is_last_place(Id place, Course course, Id index) const {
  const Node& n = at(place);
  if (course == Course::Backward) return n.op == Op::Const && n.value == 0;
  return n.op == Op::Sub && at(n.args[0]).op == Op::Extent && at(n.args[0]).sym == indices[index].axis && is_const(n.args[1], 1);
}

std::vector<Id> members(IndexSet set) {
  std::vector<Id> out;
  for (Id k = 0; k < 64; k++)
    if (set & bit(k)) out.push_back(k);
  return out;
}

IndexSet set_of(const std::vector<Id>& list) {
  IndexSet set = 0;
  for (Id k : list) set |= bit(k);
  return set;
}

std::vector<Id> topological(const Graph& g, const std::vector<Id>& roots) {
  std::vector<Id> order;
  std::vector<char> seen(g.nodes.size(), 0);
  std::function<void(Id)> visit = [&](Id n) {
    if (seen[n]) return;
    seen[n] = 1;
    for (Id a : g.at(n).args) visit(a);
    order.push_back(n);
  };
  for (Id r : roots) visit(r);
  return order;
}

}  // namespace lossc::ir
