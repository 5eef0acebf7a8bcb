// Definitions written inside a test, and what the oracle makes of them.
#pragma once
#include <functional>
#include <random>

#include "dsl/case.h"
#include "dsl/finite_difference.h"
#include "lossc/loss.h"
#include "tests/support/tolerance.h"

namespace lossc::tests {

inline const Definition& definition(std::function<void()> body) {
  static std::function<void()> current;
  static const Definition trampoline{"test", "test", __FILE__, [] {
                                       about({.title = "-", .paper = "-", .equation = "-", .edges = "-"});
                                       current();
                                     }};
  current = std::move(body);
  return trampoline;
}

// Every word of documentation in a test is the same.
inline Tensor input(const char* name, std::initializer_list<Index> dims) { return tensor(name, dims, "-"); }

// Uniform between the bounds, the same on every machine: mt19937 is specified, the distributions of <random> are not.
inline Array uniform(std::vector<int64_t> shape, double low, double high, unsigned seed = 1) {
  std::mt19937 rng(seed);
  Array a{shape, {}};
  size_t n = 1;
  for (int64_t extent : shape) n *= size_t(extent);
  for (size_t k = 0; k < n; k++) a.data.push_back(low + (high - low) * (rng() / 4294967296.0));
  return a;
}
inline Array array(std::vector<double> values) { return {{int64_t(values.size())}, values}; }
inline Array array(std::vector<int64_t> shape, std::vector<double> values) { return {std::move(shape), values}; }

struct Outcome {
  std::vector<double> rows;  // the unreduced loss
  double loss;
  std::map<std::string, std::vector<double>> gradient;
};

inline Case sum_of(std::map<std::string, Array> inputs) {
  Case c;
  c.inputs = std::move(inputs);
  c.reduction = Reduction::Sum;
  return c;
}

inline Outcome evaluate(const std::function<void()>& body, const Case& c) {
  const Program p = program_for(definition(body), c);
  Oracle oracle(p.graph, oracle_inputs(p, c));
  Outcome out{oracle.evaluate(p.loss_rows, p.rows).data, oracle.scalar(p.loss), {}};
  for (const Gradient& g : p.gradients) {
    const ir::Tensor& t = p.graph.tensors[g.tensor];
    if (c.inputs.count(t.name)) out.gradient[t.name] = oracle.evaluate(g.node, t.dims).data;
  }
  return out;
}

// As evaluate, and every derived gradient is compared with differences of the value.
inline Outcome check(const std::function<void()>& body, const Case& c) {
  const Program p = program_for(definition(body), c);
  const Inputs inputs = oracle_inputs(p, c);
  const Outcome out = evaluate(body, c);
  EXPECT_TRUE(std::isfinite(out.loss)) << out.loss;
  for (const Gradient& g : p.gradients) {
    const std::string& name = p.graph.tensors[g.tensor].name;
    auto it = out.gradient.find(name);
    if (it == out.gradient.end()) continue;
    EXPECT_TRUE(close(it->second, finite_difference(p, inputs, g.tensor)))
        << "gradient of " << name << ": " << ir::print(p.graph, g.node, 12);
  }
  return out;
}

}  // namespace lossc::tests
