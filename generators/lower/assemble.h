// From the assembly that Halide writes to an object.
#pragma once
#include <string>

namespace lossc::lower {

// `text` (a path, removed afterwards) to `object` by binutils' as, or what the environment variable AS names; prefetches
// go to the second level of cache. Throws std::runtime_error.
void assemble(const std::string& text, const std::string& object);

}  // namespace lossc::lower
