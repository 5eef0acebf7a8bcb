// Matrix products over tiled matrices: the `contract` steps of a plan. One serial kernel per form, dtype and ISA level;
// they know nothing of any loss.
//
// A tiled matrix over (row r, column c) is a 3-D buffer, innermost first:
//   dim 0: c % JT, min 0, extent JT, stride 1   (JT = tile_columns of dtype and ISA)
//   dim 1: r,      stride JT
//   dim 2: c / JT, any stride (JT * row capacity)
//
//   NN      C(r,c) =           sum_k A(r,k) B(k,c)    A tiled (row r, column k)
//   NNAcc   C(r,c) = Old(r,c) + the same
//   TN      C(r,c) =           sum_k A(k,r) B(k,c)    A tiled (row k, column r)
//   TNAcc   C(r,c) = Old(r,c) + the same
//
// Arguments:  NN: A, B, k_extent (int32), C            TN: A, B, C
//             NNAcc: A, B, Old, k_extent, C            TNAcc: A, B, Old, C
//
// Which elements are computed: exactly C's box, so work is split by cropping C on dim 1 or dim 2.
//   Rows: C's row extent is a multiple of tile_rows(form, ...) at every crop. What A holds in rows past the last real
//         one is free (NaN included); those rows of C are then garbage. TN: A's column is the row, and C's row crop
//         also begins at a multiple of JT.
//   k:    NN takes k in [0, k_extent); TN takes A's dim 1 [min, min + extent), the same coordinates in B, which may
//         hold more rows. No other k is ever read into arithmetic, so padding may be NaN. k may be empty: C = 0 or Old.
//   Old may be C itself (same pointer, same strides); A and B may not overlap C.
// Nothing is checked (the target is no_asserts) and nothing is allocated.
#pragma once
#include <string>
#include <vector>

#include "schedules/isa.h"

namespace lossc::schedules {

enum class ContractForm { NN, NNAcc, TN, TNAcc };

constexpr bool is_tn(ContractForm form) { return form == ContractForm::TN || form == ContractForm::TNAcc; }
constexpr bool accumulates(ContractForm form) { return form == ContractForm::NNAcc || form == ContractForm::TNAcc; }

struct ContractKernel {
  Halide::Func out;
  std::vector<Halide::Argument> args;
};

// The row granularity of C (see above). For TN it is JT.
int tile_rows(ContractForm form, int dtype_bits, const Isa& isa);

// type is Float(32) or Float(64). The Func and argument names are fixed, one kernel a pipeline.
ContractKernel build_contract(ContractForm form, Halide::Type type, const Isa& isa);

// "nn", "nn_acc", "tn", "tn_acc"
std::string to_string(ContractForm form);

}  // namespace lossc::schedules
