// What every loss gets without its writer saying so: reduction, row weights, row mask, upstream gradient.
//
//   keep(r)   = valid(r) && row_mask(r)
//   rows(r)   = keep ? row_weight(r) * value(r) : 0
//   divisor   = denominator > 0 ? denominator : max(sum_r keep ? row_weight(r) * mean_weight(r) : 0, at_least)
//   scale     = reduction == mean ? 1 / divisor (0 if nothing is kept) : 1
//   loss      = scale * sum_r rows(r)
//   d loss / d value(r) = keep ? row_weight(r) * grad_output(r) * scale : 0
// The reduction is a run-time number: none, sum and mean share every kernel.
#include "program.h"

namespace lossc {

using ir::Id;
using ir::Op;
using ir::Type;

namespace {

Id implicit_tensor(Program& p, const char* name, Type type, const char* doc) {
  p.graph.tensors.push_back({.name = name, .doc = doc, .type = type, .role = ir::TensorRole::Implicit, .dims = p.rows,
                             .differentiable = false, .optional = true});
  return static_cast<Id>(p.graph.tensors.size() - 1);
}

Id implicit_param(Program& p, const char* name, bool integer) {
  p.graph.params.push_back({.name = name, .doc = name, .integer = integer});
  return static_cast<Id>(p.graph.params.size() - 1);
}

Id sum_rows(Program& p, Id node) {
  for (auto it = p.rows.rbegin(); it != p.rows.rend(); ++it) {
    if (!(p.graph.free(node) & ir::bit(*it)))
      node = p.graph.binary(Op::Mul, p.graph.unary(Op::ToFloat, p.graph.extent(p.graph.indices[*it].axis)), node);
    else
      node = p.graph.reduce(ir::ReduceKind::Sum, *it, node);
  }
  return node;
}

}  // namespace

void add_objective(Program& p) {
  ir::Graph& g = p.graph;
  std::vector<Id> roots{p.value, p.valid, p.mean_weight};
  for (const NamedOutput& o : p.outputs) roots.push_back(o.node);
  roots = share_twins(g, fold_sides(g, cut_at_checkpoints(g, roots)));
  p.value = roots[0], p.valid = roots[1], p.mean_weight = roots[2];
  for (size_t k = 0; k < p.outputs.size(); k++) p.outputs[k].node = roots[k + 3];

  p.row_weight = implicit_tensor(p, "row_weight", Type::Float, "weight of each row; absent: 1");
  p.row_mask = implicit_tensor(p, "row_mask", Type::Bool, "0 drops the row; absent: all are kept");
  p.grad_output = implicit_tensor(p, "grad_output", Type::Float, "upstream gradient; absent: 1");
  p.reduction = implicit_param(p, "reduction", true);
  p.denominator = implicit_param(p, "denominator", false);

  std::vector<Id> at;
  for (Id r : p.rows) at.push_back(g.index(r));
  const Id zero = g.constant(0), weight = g.load(p.row_weight, at);
  const Id keep = g.binary(Op::And, p.valid, g.load(p.row_mask, at));
  p.loss_rows = g.select(keep, g.binary(Op::Mul, weight, p.value), zero);
  Id scale = g.constant(1);
  if (!p.rows.empty()) {
    Id weights = sum_rows(p, g.select(keep, g.binary(Op::Mul, weight, p.mean_weight), zero));
    if (p.mean_at_least > 0) weights = g.binary(Op::Max, weights, g.constant(p.mean_at_least));
    const Id given = g.param(p.denominator);
    const Id divisor = g.select(g.binary(Op::Lt, zero, given), given, weights);
    const Id is_mean = g.binary(Op::Eq, g.param(p.reduction), g.constant(static_cast<int>(Reduction::Mean), Type::Int));
    scale = g.select(is_mean, g.unary(Op::ZeroRecip, divisor), scale);
  }
  p.loss = g.binary(Op::Mul, sum_rows(p, p.loss_rows), scale);
  p.seed = g.binary(Op::Mul, g.binary(Op::Mul, weight, g.load(p.grad_output, at)), scale);
  p.gradients = differentiate(p, p.value, p.seed, keep);
}

}  // namespace lossc
