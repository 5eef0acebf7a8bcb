// Text forms of IR expressions: what error messages, `lossc explain` and plans show.
#include <fmt/format.h>

#include "ir.h"

namespace lossc::ir {
namespace {

constexpr const char* kOpNames[] = {
    "const",  "param",   "index",    "extent", "load",   "neg",      "abs",      "sign",   "exp",      "exp_ftz",  "expm1",
    "log",    "log1p",   "sqrt",     "tanh",   "sigmoid", "softplus", "erf",      "erfc",   "sin",    "cos",      "acos",
    "asin",   "lgamma",  "digamma",  "trigamma", "floor",  "round",  "zero_recip", "is_nan", "is_finite", "!",     "float",  "int",
    "stop_gradient", "+", "-",       "*",      "/",      "mod",      "pow",      "atan2",  "max",      "min",
    "<",      "<=",      "==",       "!=",     "&&",     "||",       "select",   "reduce", "straight_through", "at",
    "scatter", "order", "prefix", "scan", "after", "by_hand", "whole_by_hand"};
constexpr const char* kReduceNames[] = {"sum", "prod", "max", "min", "maxnum", "argmax", "argmin", "any", "all", "logsumexp"};

std::string join(const Graph& g, const std::vector<Id>& args, int depth) {
  std::string out;
  for (size_t k = 0; k < args.size(); k++) out += (k ? ", " : "") + print(g, args[k], depth);
  return out;
}

bool infix(Op op) { return op >= Op::Add && op <= Op::Div; }
bool infix_logic(Op op) { return op >= Op::Lt && op <= Op::Or; }

}  // namespace

const char* name(Op op) { return kOpNames[static_cast<int>(op)]; }
const char* name(ReduceKind kind) { return kReduceNames[static_cast<int>(kind)]; }

std::string print(const Graph& g, Id node, int depth) {
  const Node& n = g.at(node);
  switch (n.op) {
    case Op::Const:
      return n.type == Type::Bool ? (n.value != 0 ? "true" : "false") : fmt::format("{:.6g}", n.value);
    case Op::Param: return g.params[n.sym].name;
    case Op::Index: return g.indices[n.sym].name;
    case Op::Extent: return g.axes[n.sym].name;
    default: break;
  }
  if (depth <= 0) return "...";
  switch (n.op) {
    case Op::Load: return n.args.empty() ? g.tensors[n.sym].name : g.tensors[n.sym].name + "(" + join(g, n.args, depth - 1) + ")";
    case Op::Neg: return "-" + print(g, n.args[0], depth - 1);
    case Op::Not: return "!" + print(g, n.args[0], depth - 1);
    case Op::Reduce:
      return fmt::format("{}({}, {})", name(n.kind), g.indices[n.sym].name, print(g, n.args[0], depth - 1));
    case Op::At:
      return fmt::format("at({}, {} := {})", print(g, n.args[0], depth - 1), g.indices[n.sym].name,
                         print(g, n.args[1], depth - 1));
    case Op::Scatter:
      return fmt::format("scatter{}({}, {} -> {})", n.kind == ReduceKind::Sum ? "" : fmt::format("_{}", name(n.kind)), print(g, n.args[0], depth - 1), print(g, n.args[1], depth - 1),
                         g.indices[n.sym2].name);
    case Op::Order:
      return fmt::format("{}({}, {})", n.value != 0 ? "rank" : "argsort", g.indices[n.sym].name, print(g, n.args[0], depth - 1));
    case Op::Prefix:
      return fmt::format("{}_{}({}, {})", n.value != 0 ? "suffix" : "prefix", name(n.kind), g.indices[n.sym].name,
                         print(g, n.args[0], depth - 1));
    case Op::Scan: {
      const std::vector<Id> first(n.args.begin(), n.args.begin() + static_cast<long>(n.args.size() / 2)),
          next(n.args.begin() + static_cast<long>(n.args.size() / 2), n.args.end());
      return fmt::format("{}({}, {} -> {})", course(n) == Course::Forward ? "scan" : course(n) == Course::Backward ? "scan_back" : "fixed_point", g.indices[n.sym].name,
                         join(g, first, depth - 1), join(g, next, depth - 1));
    }
    case Op::ByHand: case Op::WholeByHand: return g.by_hand[static_cast<size_t>(n.sym)]->name + "(" + join(g, n.args, depth - 1) + ")";
    case Op::After: return fmt::format("{} of {}", g.tensors[n.sym].name, print(g, n.args[0], depth - 1));
    default: break;
  }
  if (infix(n.op) || infix_logic(n.op))
    return fmt::format("({} {} {})", print(g, n.args[0], depth - 1), name(n.op), print(g, n.args[1], depth - 1));
  return fmt::format("{}({})", name(n.op), join(g, n.args, depth - 1));
}

}  // namespace lossc::ir
