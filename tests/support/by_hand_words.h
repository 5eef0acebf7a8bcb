// Random definitions and pages have the words of <lossc/halide.h>, as the tool's have, so that a seed is the same program.
#pragma once
#include "generators/by_hand/words.h"

namespace lossc::tests {

inline const bool kWordsByHand = (words::add(by_hand::words), true);

}  // namespace lossc::tests
