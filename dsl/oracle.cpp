#include "oracle.h"

#include <algorithm>
#include <cmath>

#include "oracle_nest.h"

namespace lossc {

using ir::Id;
using ir::Op;
using ir::ReduceKind;
using oracle::Nest;
using oracle::Strip;

namespace {

// Sums and products are held in long double: their error is then far below that of any kernel they judge.
long double fold(ReduceKind kind, Strip x, int64_t n) {
  long double acc = ir::identity(kind);
  switch (kind) {
    case ReduceKind::Sum:
      for (int64_t k = 0; k < n; k++) acc += x[k];
      return acc;
    case ReduceKind::Prod:
      for (int64_t k = 0; k < n; k++) acc *= x[k];
      return acc;
    case ReduceKind::Any:
      return std::any_of(x.at, x.at + (x.stride ? n : std::min<int64_t>(n, 1)), [](double v) { return v != 0; });
    case ReduceKind::All:
      return std::all_of(x.at, x.at + (x.stride ? n : std::min<int64_t>(n, 1)), [](double v) { return v != 0; });
    default:
      break;
  }
  const bool lowest = kind == ReduceKind::Min || kind == ReduceKind::ArgMin;
  int64_t best = 0;
  for (int64_t k = 0; k < n; k++) {
    if (std::isnan(x[k])) {
      if (kind == ReduceKind::MaxNum) continue;
      best = k, acc = x[k];
      break;
    }
    if (lowest ? x[k] < acc : x[k] > acc) best = k, acc = x[k];
  }
  return selects(kind) ? best : acc;
}

// A sum's rounding errors are relative to its terms, which may cancel.
double total_size(Strip x, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++) sum += std::abs(x[k]);
  return sum;
}

size_t count(const std::vector<int64_t>& shape) {
  size_t n = 1;
  for (int64_t extent : shape) n *= size_t(extent);
  return n;
}

}  // namespace

Oracle::Oracle(const ir::Graph& graph, Inputs inputs) : graph_(graph), inputs_(std::move(inputs)) {
  if (inputs_.extents.size() != graph.axes.size() || inputs_.params.size() != graph.params.size() ||
      inputs_.tensors.size() != graph.tensors.size())
    throw std::invalid_argument("oracle: one extent per axis, one array per tensor and one value per param are wanted");
  for (size_t t = 0; t < graph.tensors.size(); t++) {
    const auto& data = inputs_.tensors[t];
    if (!data.empty() && data.size() != count(shape_of(graph.tensors[t].dims)))
      throw std::invalid_argument("oracle: tensor '" + graph.tensors[t].name + "' has the wrong number of elements");
  }
}
Oracle::~Oracle() = default;

void Oracle::set(Id tensor, size_t element, double value) {
  inputs_.tensors[tensor].at(element) = value;
  stored_.clear();
  after_.clear();
}

std::vector<int64_t> Oracle::shape_of(const std::vector<Id>& indices) const {
  std::vector<int64_t> shape;
  for (Id index : indices) shape.push_back(extent(index));
  return shape;
}

Nest& Oracle::nest(const NestKey& key, const std::vector<Id>& roots) {
  auto [it, fresh] = nests_.try_emplace(key);
  if (fresh) {
    it->second = std::make_unique<Nest>();
    it->second->loops = key.second;
    oracle::Compiler compiler(*this, *it->second);
    for (Id root : roots) it->second->roots.push_back(compiler.compile(root));
    it->second->rounding = rounding_.get();
  }
  return *it->second;
}

// Everything a nest reads has to be there before it runs.
void Oracle::prepare(Nest& nest) {
  for (auto& [r, value] : nest.bound) nest.values[nest.registers[r].offset] = *value;
  for (auto& level : nest.levels) {
    for (auto& i : level) {
      if (i.op != Op::Load) continue;
      const bool node = i.node != ir::kNone;
      const uint64_t carried = node ? graph_.at(i.node).carried : i.carried;
      Oracle& holder = i.frozen ? *base_ : owner(carried);
      const auto& data = node            ? holder.stored(i.node).data
                         : carried != 0 ? holder.place_->before.at(i.tensor)
                                        : inputs_.tensors[i.tensor];
      if (data.size() != count(i.shape))
        throw std::invalid_argument("oracle: tensor '" + graph_.tensors[i.tensor].name + "' is read but was not given");
      i.data = data.data();
    }
  }
}

const Array& Oracle::stored(Id node) {
  if (auto it = stored_.find(node); it != stored_.end()) return it->second;
  const Op op = graph_.at(node).op;
  const std::vector<Id> indices = ir::members(graph_.free(node) & ~bound());
  Array out{shape_of(indices), {}};
  if (op == Op::After) {
    fill_after(graph_.at(node), out);
  } else if (op == Op::WholeByHand) {
    fill_by_hand(graph_.at(node), out);
  } else if (op == Op::Reduce || ir::makes_index(op)) {
    fill(node, out);
  } else {
    out = evaluate(node, indices);
  }
  return stored_[node] = std::move(out);
}

void Oracle::fill(Id node, Array& out) {
  const ir::Node n = graph_.at(node);
  std::vector<Id> loops = ir::members(n.free & ~bound());
  if (n.op == Op::Scatter) return fill_scatter(n, node, out);
  if (ir::whole_axis(n.op)) return fill_axis(n, node, out);
  out.data.resize(count(out.shape));
  loops.push_back(n.sym);
  Nest& nest = this->nest({-1 - node, loops}, {n.args[0]});
  prepare(nest);
  double* to = out.data.data();
  const bool rounds = rounding_ && (n.kind == ReduceKind::Sum || n.kind == ReduceKind::Prod);
  const oracle::Rounding round = rounds ? rounding_->of_sum(node) : oracle::Rounding{};
  nest.run([&] {
    const Strip x = nest.strip(nest.roots[0]);
    const double v = double(fold(n.kind, x, nest.strip_length()));
    *to = rounds ? round(v, n.kind == ReduceKind::Sum ? total_size(x, nest.strip_length()) : v, to - out.data.data()) : v;
    to++;
  });
}

// A scatter visits each source element once and takes it in where its key says. If value or key themselves depend on the
// target index, each setting of it takes only what belongs to it.
void Oracle::fill_scatter(const ir::Node& n, Id node, Array& out) {
  const std::vector<Id> dims = ir::members(n.free & ~bound());
  const bool looped = n.sym != n.sym2 && ((graph_.free(n.args[0]) | graph_.free(n.args[1])) & ir::bit(n.sym2));
  std::vector<Id> loops = dims;
  if (!looped) std::erase(loops, n.sym2);
  if (n.sym != ir::kNone) loops.push_back(n.sym);
  std::vector<size_t> loop_of;  // each dimension; loops.size(): none, it is the key
  for (Id dim : dims) {
    loop_of.push_back(dim == n.sym2 && !looped ? loops.size()
                                               : size_t(std::find(loops.begin(), loops.end(), dim) - loops.begin()));
  }
  Nest& nest = this->nest({-1 - node, loops}, {n.args[0], n.args[1]});
  prepare(nest);
  std::vector<long double> found(count(out.shape), ir::identity(n.kind));
  std::vector<double> sizes(rounding_ ? found.size() : 0, 0);
  const auto take = [&](size_t at, double v) {
    long double& to = found[at];
    if (n.kind == ReduceKind::Sum) to += v;
    else if (!std::isnan(to) && (std::isnan(v) || (n.kind == ReduceKind::Max ? v > to : v < to))) to = v;
    if (rounding_) sizes[at] += std::abs(v);
  };
  nest.run([&] {
    const Strip value = nest.strip(nest.roots[0]), key = nest.strip(nest.roots[1]);
    for (int64_t k = 0; k < nest.strip_length(); k++) {
      size_t at = 0;
      bool keep = true;
      for (size_t d = 0; d < dims.size() && keep; d++) {
        const size_t loop = loop_of[d];
        const double here = loop == loops.size()       ? key[k]
                            : loop + 1 == loops.size() ? double(k)
                                                       : nest.loop_value(loop);
        if (dims[d] == n.sym2) keep = key[k] == here && here >= 0 && here < double(out.shape[d]);
        if (keep) at = at * size_t(out.shape[d]) + size_t(here);
      }
      if (keep) take(at, value[k]);
    }
  });
  out.data.assign(found.begin(), found.end());
  if (rounding_ && n.kind == ReduceKind::Sum)
    for (double& v : out.data) v = (*rounding_)(v, sizes[static_cast<size_t>(&v - out.data.data())], &v - out.data.data());
}

void Oracle::fill_by_hand(const ir::Node& n, Array& out) {
  const ir::Whole& over = graph_.whole[size_t(n.sym2)];
  std::vector<Array> operands;
  for (size_t k = 0; k < n.args.size(); k++) operands.push_back(evaluate(n.args[k], over.operands[k]));
  std::vector<ir::ByHand::Elements> elements;
  for (const Array& a : operands) elements.push_back({a.data.data(), a.shape});
  Array made{shape_of(over.out), {}};
  made.data.resize(count(made.shape));
  ir::ByHand::Round round;
  if (rounding_) round = [&](double v) { return (*rounding_)(v, 0); };
  graph_.by_hand[size_t(n.sym)]->evaluate(elements, made.shape, made.data.data(), round);
  oracle::reorder(made, over.out, ir::members(n.free), out);
}

void Oracle::round_like(double epsilon, bool single, unsigned seed, bool by_place, bool by_sum) {
  rounding_ = std::make_unique<oracle::Rounding>(oracle::Rounding{epsilon, seed, single, by_place, by_sum});
  nests_.clear();
  stored_.clear();
  after_.clear();
}

Array Oracle::evaluate(Id node, const std::vector<Id>& indices) {
  for (Id index : ir::members(graph_.free(node) & ~bound())) {
    if (std::find(indices.begin(), indices.end(), index) == indices.end())
      throw std::invalid_argument("oracle: `" + ir::print(graph_, node, 3) + "` depends on '" +
                                  graph_.indices[index].name + "', which is not among the indices asked for");
  }
  Array out{shape_of(indices), {}};
  Nest& nest = this->nest({node, indices}, {node});
  prepare(nest);
  out.data.reserve(count(out.shape));
  nest.run([&] {
    const Strip x = nest.strip(nest.roots[0]);
    for (int64_t k = 0; k < nest.strip_length(); k++) out.data.push_back(x[k]);
  });
  return out;
}

double oracle_work(const ir::Graph& graph, const std::vector<Id>& nodes, const std::vector<int64_t>& extents) {
  double total = 0;
  for (const Id node : nodes) {
    const ir::Node& n = graph.at(node);
    double elements = 1;
    for (const Id index : ir::members(n.op == ir::Op::Reduce ? n.free | ir::bit(n.sym) : n.free))
      elements *= static_cast<double>(extents[graph.indices[index].axis]);
    total += elements;
  }
  return total;
}

}  // namespace lossc
