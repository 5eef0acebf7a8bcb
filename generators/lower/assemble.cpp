#include "assemble.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../process.h"

namespace lossc::lower {
namespace {

// Halide's prefetch is the non-temporal one. Intel's processors put such a line into the first level only, where the
// next panel's are gone before anybody reads them: memory is then read twice (Granite Rapids, AVX-512: cross_entropy
// 2.6 times a copy, with prefetcht1 1.6; dice 4.9 times, then 2.7). No option of Halide's or LLVM's chooses the level.
std::string into_second_level(std::string text) {
  static const std::string kHalides = "prefetchnta", kOurs = "prefetcht1";
  for (size_t at = 0; (at = text.find(kHalides, at)) != std::string::npos; at += kOurs.size())
    text.replace(at, kHalides.size(), kOurs);
  return text;
}

}  // namespace

void assemble(const std::string& text, const std::string& object) {
  std::ifstream in(text, std::ios::binary);
  const std::string code = into_second_level({std::istreambuf_iterator<char>(in), {}});
  in.close();
  std::ofstream(text, std::ios::binary) << code;
  const char* as = getenv("AS");
  must_run({as && *as ? as : "as", "--64", "-o", object, text});
  std::filesystem::remove(text);
}

}  // namespace lossc::lower
