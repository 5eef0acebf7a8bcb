#include "hessian.h"

namespace lossc {

using ir::Id;
using ir::Op;

HessianProduct add_hessian_product(Program& p) {
  ir::Graph& g = p.graph;
  HessianProduct out{{}, g.constant(0), {}};
  for (const Gradient& gradient : p.gradients) {
    const ir::Tensor t = g.tensors[gradient.tensor];
    g.tensors.push_back({.name = "direction_" + t.name, .doc = "direction of " + t.name, .dims = t.dims, .differentiable = false});
    out.directions.push_back(static_cast<Id>(g.tensors.size() - 1));
    std::vector<Id> at;
    for (Id d : t.dims) at.push_back(g.index(d));
    Id term = g.binary(Op::Mul, gradient.node, g.load(out.directions.back(), at));
    for (auto d = t.dims.rbegin(); d != t.dims.rend(); ++d) term = g.reduce(ir::ReduceKind::Sum, *d, term);
    out.slope = g.binary(Op::Add, out.slope, term);
  }
  out.products = differentiate(p, out.slope, g.constant(1), g.constant(1, ir::Type::Bool));
  return out;
}

Program hessian_program(Program p) {
  const HessianProduct h = add_hessian_product(p);
  p.loss = h.slope;
  p.loss_rows = ir::kNone;
  p.gradients = h.products;
  p.outputs.clear();
  return p;
}

}  // namespace lossc
