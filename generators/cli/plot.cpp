#include "generators/cli/plot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <random>

#include "dsl/sample.h"
#include "generators/cli/command.h"
#include "generators/cli/form.h"
#include "generators/cli/svg.h"

namespace lossc::cli {
namespace {

constexpr int kPoints = 241;
constexpr double kReach = 4;  // of t, to both sides

// By tensor: what each element moves by for t = 1. Empty: it stays.
std::vector<std::vector<double>> directions(const Program& p, const Inputs& inputs, const std::string& along) {
  std::vector<std::vector<double>> out(p.graph.tensors.size());
  std::vector<std::string> names;
  std::mt19937 random(1);
  for (const Gradient& g : p.gradients) {
    const auto t = static_cast<size_t>(g.tensor);
    names.push_back(p.graph.tensors[t].name);
    if (!along.empty() && along != names.back()) continue;
    std::vector<double>& u = out[t];
    double length = 0;
    for (size_t k = 0; k < inputs.tensors[t].size(); k++) {
      u.push_back(random() / 2147483648.0 - 1);
      length += u.back() * u.back();
    }
    for (double& v : u) v /= std::sqrt(length);
  }
  const bool known = along.empty() || std::find(names.begin(), names.end(), along) != names.end();
  if (names.empty()) throw UsageError(fmt::format("loss '{}' has no gradient: there is nothing to move along", p.name));
  if (!known) throw UsageError(fmt::format("loss '{}' has no gradient for '{}': want {}", p.name, along, fmt::join(names, ", ")));
  return out;
}

}  // namespace

std::string plot(const Program& p, const std::string& along) {
  const Inputs base = oracle_inputs(p, sample(p, {.extent = 6, .seed = 1}));
  const auto direction = directions(p, base, along);
  std::vector<double> ts, value, slope, differences;
  for (int k = 0; k < kPoints; k++) {
    ts.push_back(kReach * (2.0 * k / (kPoints - 1) - 1));
    Inputs moved = base;
    for (size_t t = 0; t < direction.size(); t++)
      for (size_t e = 0; e < direction[t].size(); e++) moved.tensors[t][e] += ts.back() * direction[t][e];
    Oracle oracle(p.graph, moved);
    value.push_back(oracle.scalar(p.loss));
    double along_it = 0;
    for (const Gradient& g : p.gradients) {
      const auto& u = direction[static_cast<size_t>(g.tensor)];
      if (u.empty()) continue;
      const std::vector<double> gradient = oracle.evaluate(g.node, p.graph.tensors[static_cast<size_t>(g.tensor)].dims).data;
      for (size_t e = 0; e < u.size(); e++) along_it += gradient[e] * u[e];
    }
    slope.push_back(along_it);
  }
  for (size_t k = 0; k < ts.size(); k++) {
    const size_t from = k ? k - 1 : 0, to = std::min(k + 1, ts.size() - 1);
    differences.push_back((value[to] - value[from]) / (ts[to] - ts[from]));
  }
  const std::string form = form_text(p);
  return svg(p.name + (form.empty() ? "" : fmt::format(" ({})", form)),
             fmt::format("t: {} + t * direction of length 1", along.empty() ? "every input with a gradient" : along), ts,
             {{"value (reduction mean)", {{"value", value}}}, {"slope", {{"derived", slope}, {"differences", differences, true}}}});
}

}  // namespace lossc::cli
