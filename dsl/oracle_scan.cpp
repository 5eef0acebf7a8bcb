// Recurrences in the oracle: place after place, each an evaluation with one value of the index.
#include <numeric>

#include "oracle.h"
#include "oracle_nest.h"

namespace lossc {

using ir::Id;

const Oracle& Oracle::const_owner(uint64_t carried) const {
  const Oracle* o = this;
  while (o->place_ && !(o->place_->carries & carried)) o = o->place_->parent;
  return *o;
}
Oracle& Oracle::owner(uint64_t carried) { return const_cast<Oracle&>(std::as_const(*this).const_owner(carried)); }

ir::IndexSet Oracle::bound() const {
  ir::IndexSet set = 0;
  for (const Oracle* o = this; o->place_; o = o->place_->parent) set |= ir::bit(o->place_->index);
  return set;
}

// The dimensions of a carried tensor but those whose index has one value.
std::vector<Id> Oracle::loose(Id tensor, ir::IndexSet bound) const {
  std::vector<Id> dims = graph_.tensors[tensor].dims;
  std::erase_if(dims, [&](Id d) { return (bound & ir::bit(d)) != 0; });
  return dims;
}

void Oracle::run_scan(const ir::Node& scan) {
  const size_t n = scan.args.size() / 2;
  Oracle step(graph_, inputs_);
  step.base_ = base_;
  if (rounding_) step.rounding_ = std::make_unique<oracle::Rounding>(*rounding_);
  step.place_ = std::make_unique<Place>(Place{this, scan.sym, 0, graph_.carries_of(scan), {}});
  std::vector<std::vector<Id>> dims;  // of the carried values, without the place
  for (size_t k = 0; k < n; k++) {
    const Id tensor = scan.sym2 + static_cast<Id>(k);
    dims.push_back(loose(tensor, step.bound()));
    step.place_->before[tensor] = evaluate(scan.args[k], dims[k]).data;
    Array& out = after_[tensor] = {shape_of(loose(tensor, bound())), {}};
    out.data.resize(step.place_->before[tensor].size() * static_cast<size_t>(out.shape[0]));
  }
  const int64_t length = extent(scan.sym);
  for (int64_t q = 0; q < length; q++) {
    const int64_t at = ir::course(scan) == ir::Course::Backward ? length - 1 - q : q;
    step.place_->at = static_cast<double>(at);
    step.stored_.clear();
    step.after_.clear();
    std::vector<std::vector<double>> next;
    for (size_t k = 0; k < n; k++) next.push_back(step.evaluate(scan.args[n + k], dims[k]).data);
    for (size_t k = 0; k < n; k++) {
      const Id tensor = scan.sym2 + static_cast<Id>(k);
      std::copy(next[k].begin(), next[k].end(), after_[tensor].data.begin() + at * static_cast<int64_t>(next[k].size()));
      step.place_->before[tensor] = std::move(next[k]);
    }
  }
}

// From the order in which the tensor is declared to that of stored values, by index.
void Oracle::fill_after(const ir::Node& n, Array& out) {
  if (!after_.count(n.sym)) run_scan(graph_.at(n.args[0]));
  const Array& from = after_.at(n.sym);
  oracle::reorder(from, loose(n.sym, bound()), ir::members(n.free & ~bound()), out);
}

void oracle::reorder(const Array& from, const std::vector<Id>& dims, const std::vector<Id>& order, Array& out) {
  std::vector<size_t> stride(64, 0);  // in `from`, by index
  size_t step = 1;
  for (size_t d = dims.size(); d-- > 0;) stride[static_cast<size_t>(dims[d])] = step, step *= static_cast<size_t>(from.shape[d]);
  out.data.resize(from.data.size());
  for (size_t k = 0; k < out.data.size(); k++) {
    size_t rest = k, at = 0;
    for (size_t d = order.size(); d-- > 0;) {
      const size_t extent = static_cast<size_t>(out.shape[d]);
      at += rest % extent * stride[static_cast<size_t>(order[d])];
      rest /= extent;
    }
    out.data[k] = from.data[at];
  }
}

}  // namespace lossc
