// A loss that can be run: its kernels out of the library this tool is linked with, or compiled now.
#pragma once
#include <lossc/lossc.h>

#include <string>
#include <vector>

#include "dsl/program.h"

namespace lossc::cli {

// For the float type of `bits` bits and the ISA level (empty: the best of this machine). Kernels that the library
// lacks, as all of a definition in a file, are compiled (with progress on stderr) and loaded; what is returned lives as
// long as the process. Throws as emit_losses() does. `hessian`: with the kernels of its Hessian products (lossc_loss_hvp),
// if it has any; those of this library are for one level.
const lossc_loss* kernels_of(const Definition& definition, int bits, const std::string& isa, bool hessian = false);

}  // namespace lossc::cli
