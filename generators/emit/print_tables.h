// Tables as C++: constant aggregates that the runtime reads. Only "runtime/table.h" is included by what is printed.
#pragma once
#include <string>
#include <vector>

#include "generators/emit/tables.h"
#include "schedules/isa.h"

namespace lossc::emit {

struct Matrix {
  std::vector<int> float_bits;              // ascending
  std::vector<const schedules::Isa*> isas;  // ascending
};

// losses/<id>.cpp: lossc_loss_<id>; of Hessian products hessians/<id>.cpp: lossc_hvp_<id>. `no_hessian`: why the library
// has no products of this loss; empty: it has.
std::string print_loss(const LossTables& tables, const KernelSet& kernels, const Matrix& matrix, const std::string& no_hessian);
// registry.cpp: lossc_registry.
std::string print_registry(const std::vector<std::string>& losses, const std::vector<std::string>& hessians,
                           const std::string& build_info, const Matrix& matrix);

// A string literal of C and C++, a line each.
std::string quote(const std::string& text);

}  // namespace lossc::emit
