// The time that a loss cannot beat: what the machine needs for its matrix products, or to move its bytes.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dsl/plan.h"
#include "generators/cli/call.h"

namespace lossc::cli {

// Steps of the plan that lead to the outputs of the mode, in the order they run.
std::vector<int> needed_steps(const plan::Plan& plan, int32_t mode);

struct Product {  // C (m x n) = sum over k
  int64_t m, n, k;
  bool trans_a;
  double flops() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
};
// The loss's own matrix products in this mode: the plan's contraction steps that lead to what is asked for, each once
// (a product that the plan computes again in a later pass is the plan's doing, not the loss's).
std::vector<Product> products_of(const plan::Plan& plan, const Form& form, int32_t mode);

struct Limit {
  std::string kind;                   // gemm, flops, copy, read
  std::string text;                   // what exactly, for people
  std::function<double()> sample_ms;  // does it once
};

// With products: their time by the fastest BLAS, or by the machine's multiply-adds where there is none. Without: a copy
// of the differentiable inputs into their gradients (a forward run only reads them).
Limit make_limit(const Form& form, const Tensors& tensors, const CallOptions& options, Team& team, const Blas& blas);

}  // namespace lossc::cli
