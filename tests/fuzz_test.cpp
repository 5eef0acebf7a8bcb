// Random definitions: the derivative that the language derives equals differences of the oracle, for each of some hundred
// seeds that are always the same; and what the fuzzer itself promises, as a failure is only as good as its replay.
#include <gtest/gtest.h>

#include <cstring>

#include "dsl/fuzz/tree.h"

namespace lossc::fuzz {
namespace {

TEST(Fuzz, DerivativeEqualsDifferences) {
  size_t useful = 0;
  constexpr unsigned kPrograms = 300;
  for (unsigned seed = 1; seed <= kPrograms; seed++) {
    const Tree tree = generate(seed);
    Verdict v;
    try {
      v = check_derivative(tree);
    } catch (const DefinitionError& e) {
      // The generator knows types and scopes, but not that a gather cannot look through a reduction over its own key.
      const std::string what = e.what();
      EXPECT_TRUE(what.find("use a twin") != std::string::npos || what.find("that no tensor has") != std::string::npos)
          << what << "\n" << text(tree);
      continue;
    }
    useful += v.is == Verdict::Fine;
    EXPECT_NE(v.is, Verdict::Wrong) << v.what << "\n" << text(tree);
  }
  EXPECT_GT(useful, kPrograms / 2);  // else the programs are too dull, or too wild, to say anything
}

}  // namespace
}  // namespace lossc::fuzz
