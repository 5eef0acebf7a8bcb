// Words over an axis as a whole, in the oracle: orders and running reductions.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "oracle.h"
#include "oracle_nest.h"

namespace lossc {

using ir::Id;
using ir::Op;
using ir::ReduceKind;
using oracle::Strip;

namespace {

// Positions in ascending order of value; NaN last, equals by position.
std::vector<double> order_of(Strip x, int64_t n, bool rank) {
  std::vector<int64_t> at(static_cast<size_t>(n));
  std::iota(at.begin(), at.end(), 0);
  std::stable_sort(at.begin(), at.end(), [&](int64_t a, int64_t b) {
    return std::isnan(x[b]) ? !std::isnan(x[a]) : x[a] < x[b];
  });
  std::vector<double> out(at.size());
  for (size_t k = 0; k < at.size(); k++) rank ? out[static_cast<size_t>(at[k])] = double(k) : out[k] = double(at[k]);
  return out;
}

double log_add(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? a : b;
  const double high = std::max(a, b), low = std::min(a, b);
  return high == low && std::isinf(high) ? high : high + std::log1p(std::exp(low - high));
}

// What is kept of the elements walked so far, and the error a kernel may make in a sum is relative to its terms.
struct Walk {
  ReduceKind kind;
  long double sum = 0;
  double size = 0, log = -std::numeric_limits<double>::infinity(), best = 0;
  int64_t best_at = -1;

  double step(double v, int64_t at) {
    switch (kind) {
      case ReduceKind::Sum:
        sum += v;
        size += std::abs(v);
        return double(sum);
      case ReduceKind::LogSumExp:
        size = std::abs(log = log_add(log, v));
        return log;
      default: {
        const bool better = kind == ReduceKind::ArgMax ? v > best : v < best;
        if (best_at < 0 || (!std::isnan(best) && (std::isnan(v) || better))) best = v, best_at = at;
        return double(best_at);
      }
    }
  }
};

}  // namespace

void Oracle::fill_axis(const ir::Node& n, Id node, Array& out) {
  const std::vector<Id> dims = ir::members(n.free & ~bound());
  std::vector<Id> loops = dims;
  std::erase(loops, n.sym2);
  loops.push_back(n.sym);
  out.data.resize(std::accumulate(out.shape.begin(), out.shape.end(), size_t{1}, [](size_t a, int64_t b) { return a * size_t(b); }));
  oracle::Nest& nest = this->nest({-1 - node, loops}, {n.args[0]});
  prepare(nest);
  // The loops around come in the order of the result's dimensions but for the one in question.
  size_t inner = 1;
  for (size_t d = dims.size(); d-- > 0 && dims[d] != n.sym2;) inner *= size_t(out.shape[d]);
  size_t row = 0;
  nest.run([&] {
    const Strip x = nest.strip(nest.roots[0]);
    const int64_t length = nest.strip_length();
    double* to = out.data.data() + row / inner * inner * size_t(length) + row % inner;
    row++;
    if (n.op == Op::Order) {
      const std::vector<double> order = order_of(x, length, n.value != 0);
      for (int64_t k = 0; k < length; k++) to[size_t(k) * inner] = order[size_t(k)];
      return;
    }
    Walk walk{n.kind};
    for (int64_t q = 0; q < length; q++) {
      const int64_t k = n.value != 0 ? length - 1 - q : q;
      const double v = walk.step(x[k], k);
      const bool exact = selects(n.kind);
      to[size_t(k) * inner] = rounding_ && !exact ? (*rounding_)(v, walk.size, k) : v;
    }
  });
}

}  // namespace lossc
