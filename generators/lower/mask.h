// Vector loads whose last lanes may lie past the end of a row.
#pragma once
#include "../../schedules/isa.h"
#include "Halide.h"

namespace lossc::lower {

// A lane past the end is read at the last element instead (Lowering::within), which is a gather even of dense memory: eight
// addresses, each computed and compared, 45 instructions at AVX2. Where the row is known to be dense, this pass makes it one load
// behind a mask: nobody looks at what is in those lanes. Softmax over the classes of 64 pixels took seven times as long for
// each as of 128, of which a chunk is full.
Halide::Internal::IRMutator* mask_pass(const schedules::Isa& isa);

}  // namespace lossc::lower
