#include "generators/cli/limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace lossc::cli {
namespace {

// The products on memory of their own, so that the loss's tensors stay as they are.
struct Operands {
  Operands(const std::vector<Product>& products, int bits) {
    size_t a = 0, b = 0, c = 0;
    for (const Product& p : products) {
      a = std::max(a, static_cast<size_t>(p.m * p.k));
      b = std::max(b, static_cast<size_t>(p.k * p.n));
      c = std::max(c, static_cast<size_t>(p.m * p.n));
    }
    for (size_t n : {a, b, c}) memory.emplace_back(n * static_cast<size_t>(bits) / 8);
    // Not zeros: some processors multiply those at less power, and so faster.
    for (int m = 0; m < 2; m++) {
      for (size_t k = 0; k < (m ? b : a); k++) {
        const double v = 0.25 + 0.5 * static_cast<double>((k * 2654435761u >> 7 & 0xFF)) / 256;
        bits == 32 ? static_cast<float*>(memory[m].data())[k] = static_cast<float>(v)
                   : static_cast<double*>(memory[m].data())[k] = v;
      }
    }
  }
  std::vector<Memory> memory;
};

double run(const Blas& blas, const Operands& on, int bits, const Product& p, bool trans_b) {
  const double start = now_ms();
  blas.gemm(bits, p.trans_a, trans_b, static_cast<int>(p.m), static_cast<int>(p.n), static_cast<int>(p.k),
            on.memory[0].data(), on.memory[1].data(), on.memory[2].data());
  return now_ms() - start;
}

Limit gemm_limit(const std::vector<Product>& products, const std::string& text, int bits, const Blas& blas) {
  auto operands = std::make_shared<Operands>(products, bits);
  std::vector<bool> trans_b;  // the faster of the two ways that the right operand may lie in memory
  for (const Product& p : products) {
    double ms[2];
    for (int way : {0, 1, 0, 1}) ms[way] = run(blas, *operands, bits, p, way);
    trans_b.push_back(ms[1] < ms[0]);
  }
  return {"gemm", fmt::format("{} by {}", text, blas.name()), [=] {
            double ms = 0;
            for (size_t k = 0; k < products.size(); k++) ms += run(blas, *operands, bits, products[k], trans_b[k]);
            return ms;
          }};
}

Limit products_limit(const std::vector<Product>& products, const CallOptions& options, Team& team, const Blas& blas) {
  double flops = 0;
  std::string text;
  for (const Product& p : products) {
    flops += p.flops();
    text += fmt::format("{}{}x{}x{}", text.empty() ? "" : ", ", p.m, p.n, p.k);
  }
  text = fmt::format("{} product{} ({}), {:.3g} GFLOP", products.size(), products.size() == 1 ? "" : "s", text,
                     flops / 1e9);
  if (options.dtype.type.bits == 16) text += " in f32";
  const bool fits = std::all_of(products.begin(), products.end(), [](const Product& p) {
    return std::max({p.m, p.n, p.k}) < int64_t{1} << 31;
  });
  if (blas && fits) return gemm_limit(products, text, options.dtype.bits, blas);
  return {"flops", text + " at the rate of multiply-adds out of registers",
          [=, &team] { return flops / fma_rate(team, options.dtype.bits, 20); }};
}

}  // namespace

std::vector<int> needed_steps(const plan::Plan& plan, int32_t mode) {
  const auto gradients = static_cast<ir::Id>(plan.program->gradients.size());
  std::set<int> needed;
  for (int b = 0; b < static_cast<int>(plan.buffers.size()); b++) {
    const plan::Buffer& buffer = plan.buffers[b];
    if (buffer.storage != plan::Storage::Output) continue;
    const bool value = buffer.tensor == 0, gradient = buffer.tensor >= 2 && buffer.tensor < 2 + gradients;
    if ((value && mode != LOSSC_BACKWARD) || (gradient && mode != LOSSC_FORWARD)) needed.insert(b);
  }
  std::vector<int> order;
  for (const plan::Pass& p : plan.passes) {
    order.insert(order.end(), p.once.begin(), p.once.end());
    order.insert(order.end(), p.panel.begin(), p.panel.end());
  }
  std::vector<int> steps;
  for (auto s = order.rbegin(); s != order.rend(); ++s) {
    const plan::Step& step = plan.steps[*s];
    // The gradient is taken to be dense.
    if ((mode == (LOSSC_FORWARD | LOSSC_BACKWARD) ? step.without : step.with) >= 0) continue;
    if (std::none_of(step.outputs.begin(), step.outputs.end(), [&](int b) { return needed.count(b); })) continue;
    needed.insert(step.reads.begin(), step.reads.end());
    const std::vector<int> all = plan.flat({*s});
    steps.insert(steps.begin(), all.begin(), all.end());
  }
  return steps;
}

std::vector<Product> products_of(const plan::Plan& plan, const Form& form, int32_t mode) {
  auto extent = [&](ir::Id index) {
    auto it = form.extents.find(plan.graph.axes[plan.graph.indices[index].axis].name);
    return it == form.extents.end() ? 1 : it->second;
  };
  std::vector<Product> products;
  std::set<ir::Id> seen;
  for (int index : needed_steps(plan, mode)) {
    const plan::Step* s = &plan.steps[index];
    const bool nn = s->kind == plan::StepKind::ContractNN, tn = s->kind == plan::StepKind::ContractTN;
    if ((!nn && !tn) || !seen.insert(s->nodes[0]).second) continue;
    std::vector<ir::Id> over = s->domain;
    std::erase(over, s->over);
    products.push_back({extent(over.at(0)), extent(over.at(1)), extent(s->over), tn});
  }
  return products;
}

Limit make_limit(const Form& form, const Tensors& tensors, const CallOptions& options, Team& team, const Blas& blas) {
  const plan::Plan plan = plan::make_plan(form.program);
  const std::vector<Product> products = products_of(plan, form, options.mode);
  if (!products.empty()) return products_limit(products, options, team, blas);
  size_t bytes = 0;
  for (const Tensors::Pair& p : tensors.pairs()) bytes += p.bytes;
  const bool writes = options.mode & LOSSC_BACKWARD;
  return {writes ? "copy" : "read",
          fmt::format("{} of {:.4g} MB{}", writes ? "copy" : "reading", static_cast<double>(bytes) / 1e6,
                      writes ? " (the differentiable inputs into their gradients)" : " (the differentiable inputs)"),
          [&tensors, &team] {
            const double start = now_ms();
            for (const Tensors::Pair& p : tensors.pairs())
              p.gradient ? copy(team, p.gradient, p.input, p.bytes) : read(team, p.input, p.bytes);
            return now_ms() - start;
          }};
}

}  // namespace lossc::cli
