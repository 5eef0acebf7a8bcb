// Vector loads whose last lanes may lie past the end of a row.
#pragma once
#include "../../schedules/isa.h"
#include "Halide.h"

namespace lossc::lower {

// The last place that may be read, of lanes that nobody looks at beyond it. (A place that a definition wants kept within a row
// is looked at: clamped for its sake, it is not of these.) The pass takes the word away.
Halide::Expr last_place(const Halide::Expr& last);

// A lane past the end is read at the last element instead (Lowering::within), which is a gather even of dense memory: eight
// addresses at AVX2, each computed and compared. Where the row turns out to be dense, this pass makes it one load behind a mask:
// nobody looks at what is in those lanes. Softmax over the classes of 64 pixels took six times as long for each of them as of
// 128, which fill a chunk.
Halide::Internal::IRMutator* mask_pass(const schedules::Isa& isa);
int least_masked_bits(const schedules::Isa& isa);  // of elements that it masks vectors of

}  // namespace lossc::lower
