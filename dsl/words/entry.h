// What the files of entries share.
#pragma once
#include "dsl/words/words.h"

#define VALUE LOSSC_VALUE
#define BODY LOSSC_BODY
#define FORM LOSSC_FORM

namespace lossc::words {
namespace {
[[maybe_unused]] const Index &c = names().c, &d = names().d;
[[maybe_unused]] const Tensor &x = names().x, &y = names().y;
[[maybe_unused]] constexpr const char* kTranscendental = "some ten multiply-adds an element";
}  // namespace
}  // namespace lossc::words
