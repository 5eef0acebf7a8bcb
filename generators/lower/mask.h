// Vector loads whose last lanes may lie past the end of a row.
#pragma once
#include "../../schedules/isa.h"
#include "Halide.h"

namespace lossc::lower {

// A lane past the end is read at the last element instead (Lowering::within), which is a gather even of dense memory: eight
// addresses at AVX2, each computed and compared. Where the row turns out to be dense, this pass makes it one load behind a mask:
// nobody looks at what is in those lanes. Softmax over the classes of 64 pixels took six times as long for each of them as of
// 128, which fill a chunk.
Halide::Internal::IRMutator* mask_pass(const schedules::Isa& isa);

}  // namespace lossc::lower
