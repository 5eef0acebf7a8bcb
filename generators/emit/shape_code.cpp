#include "generators/emit/shape_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace lossc::emit {
namespace {

rt::ShapeOp shape_op(ir::Op op) {
  switch (op) {
    case ir::Op::Const: return rt::ShapeOp::Const;
    case ir::Op::Extent: return rt::ShapeOp::Extent;
    case ir::Op::Neg: return rt::ShapeOp::Neg;
    case ir::Op::Not: return rt::ShapeOp::Not;
    case ir::Op::Sqrt: return rt::ShapeOp::Sqrt;
    case ir::Op::Add: return rt::ShapeOp::Add;
    case ir::Op::Sub: return rt::ShapeOp::Sub;
    case ir::Op::Mul: return rt::ShapeOp::Mul;
    case ir::Op::Div: return rt::ShapeOp::Div;
    case ir::Op::Mod: return rt::ShapeOp::Mod;
    case ir::Op::Max: return rt::ShapeOp::Max;
    case ir::Op::Min: return rt::ShapeOp::Min;
    case ir::Op::Lt: return rt::ShapeOp::Lt;
    case ir::Op::Le: return rt::ShapeOp::Le;
    case ir::Op::Eq: return rt::ShapeOp::Eq;
    case ir::Op::Ne: return rt::ShapeOp::Ne;
    case ir::Op::And: return rt::ShapeOp::And;
    case ir::Op::Or: return rt::ShapeOp::Or;
    case ir::Op::Param: return rt::ShapeOp::Option;
    default: throw std::logic_error("not of extents and integers");
  }
}

struct Writer {
  const Program& p;
  const std::vector<int>&axes, &options;
  // The only params that the language lets in here are counts, which are options.
  int option_of(ir::Id param) const {
    const auto it = std::find_if(p.options.begin(), p.options.end(), [&](const OptionInfo& o) { return o.param == param; });
    return options[static_cast<size_t>(it - p.options.begin())];
  }

  std::vector<rt::ShapeCode> write(ir::Id node) const {
    const ir::Node& n = p.graph.at(node);
    std::vector<std::vector<rt::ShapeCode>> args;
    for (ir::Id a : n.args) args.push_back(write(a));
    // Which operand of a sum comes first is an accident of the order in which a form's nodes were made.
    if (n.op == ir::Op::Add || n.op == ir::Op::Mul || n.op == ir::Op::Max || n.op == ir::Op::Min) std::sort(args.begin(), args.end());
    std::vector<rt::ShapeCode> code;
    for (const auto& a : args) code.insert(code.end(), a.begin(), a.end());
    const int32_t value = n.op == ir::Op::Const    ? static_cast<int32_t>(n.value)
                          : n.op == ir::Op::Extent ? axes[static_cast<size_t>(n.sym)]
                          : n.op == ir::Op::Param  ? option_of(n.sym)
                                                   : 0;
    code.push_back({shape_op(n.op), value});
    return code;
  }
};

}  // namespace

std::vector<rt::ShapeCode> shape_code(const Program& p, const std::vector<int>& axes, const std::vector<int>& options,
                                      ir::Id node) {
  std::vector<rt::ShapeCode> code = Writer{p, axes, options}.write(node);
  if (code.size() > rt::kMaxShapeCode)
    throw DefinitionError(fmt::format("loss '{}': `{}` is too long for a length or a condition", p.name, ir::print(p.graph, node, 4)));
  return code;
}

}  // namespace lossc::emit
