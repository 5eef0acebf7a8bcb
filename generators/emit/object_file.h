// What Halide's objects need before they may go into a library.
#pragma once
#include <string>
#include <string_view>

namespace lossc::emit {

// Of an x86-64 ELF object: makes every global symbol hidden (a library that links kernels exports none of them), and
// renames what it wants of Halide's runtime, halide_*, to lossc_internal_halide_*, which is ours
// (runtime/halide_stubs.cpp), so that a Halide in the same program never answers.
// Done here because objcopy (binutils 2.40) renames but cannot set visibility. Throws std::runtime_error if the file is
// no such object.
std::string hide_symbols(std::string_view object);

}  // namespace lossc::emit
