// A loss that can be run: its kernels out of the library this tool is linked with, or compiled now.
#pragma once
#include <lossc/lossc.h>

#include <string>
#include <vector>

#include "dsl/program.h"

namespace lossc::cli {

// For the float type of `bits` bits and the ISA level (empty: the best of this machine). Kernels that the library
// lacks, as all of a definition in a file, are compiled (with progress on stderr) and loaded; what is returned lives as
// long as the process. Throws as emit_losses() does.
const lossc_loss* kernels_of(const Definition& definition, int bits, const std::string& isa);

}  // namespace lossc::cli
