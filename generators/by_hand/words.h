// The words of <lossc/halide.h>, entries like those of dsl/words, which has no Halide.
#pragma once
#include <vector>

#include "dsl/words/words.h"

namespace lossc::by_hand {

const std::vector<words::Word>& words();

}  // namespace lossc::by_hand
