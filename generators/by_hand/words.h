// The words of <lossc/halide.h>, entries like those of dsl/words, which has no Halide.
#pragma once
#include <vector>

#include "dsl/words/words.h"

namespace lossc::by_hand {

std::vector<words::Word> words();  // for words::add

}  // namespace lossc::by_hand
