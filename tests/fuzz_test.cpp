// Random definitions: the derivative that the language derives equals differences of the oracle, for each of some hundred
// seeds that are always the same; and what the fuzzer itself promises, as a failure is only as good as its replay.
#include <gtest/gtest.h>

#include "dsl/fuzz/tree.h"
#include "tests/support/by_hand_words.h"
#include "tests/support/definition.h"

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
      EXPECT_TRUE(expected(e)) << e.what() << "\n" << text(tree);
      continue;
    }
    useful += v.is == Verdict::Fine;
    EXPECT_NE(v.is, Verdict::Wrong) << v.what << "\n" << text(tree);
  }
  EXPECT_GT(useful, kPrograms / 2);  // else the programs are too dull, or too wild, to say anything
}

TEST(Fuzz, ASeedIsAProgramAndPrintsAsOne) {
  EXPECT_EQ(text(generate(2)), text(generate(2)));
  EXPECT_NE(text(generate(2)), text(generate(3)));
  EXPECT_NE(text(generate(2)).find("LOSSC_LOSS(fuzz_2, \"fuzz\")"), std::string::npos);
}

// The header that a printed program includes is the one that has its words.
TEST(Fuzz, APrintedProgramIncludesWhatItUses) {
  size_t by_hand = 0;
  for (unsigned seed = 1; seed <= 300; seed++) {
    const std::string program = text(generate(seed));
    const bool uses = program.find("halide_") != std::string::npos;
    EXPECT_EQ(program.find(uses ? "#include <lossc/halide.h>" : "#include <lossc/loss.h>"), 0u) << program;
    by_hand += uses;
  }
  EXPECT_GT(by_hand, 10u);
}

TEST(Fuzz, ShrinksToWhatFails) {
  const auto has_tanh = [](const Tree& t) { return text(t).find("tanh(") != std::string::npos; };
  size_t shrunk = 0;
  for (unsigned seed = 1; seed <= 60; seed++) {
    const Tree tree = generate(seed);
    if (!has_tanh(tree)) continue;
    const Tree least = shrink(tree, has_tanh);
    EXPECT_TRUE(has_tanh(least));
    EXPECT_LE(size(least), 6u) << text(least);  // a word with a tanh of its own may want a truth value and its parts
    shrunk++;
  }
  EXPECT_GT(shrunk, 5u);
}

// Found by seed 75: each row has the value, also where the value is the same for all of them.
TEST(Fuzz, AValueThatLacksItsRowGetsTheGradientOfAllRows) {
  tests::check(
      [] {
        auto r = axis("N"), i = twin(r, "i");
        loss_per(r, sum(i, sq(tests::input("x", {r})(i))));
      },
      tests::sum_of({{"x", tests::array({1, 2, -3})}}));
  tests::check(
      [] {
        auto r = axis("N"), c = axis("C");
        auto x = tests::input("x", {r, c}), z = tests::input("z", {});
        loss_per({r, c}, sq(z()), x(r, c) > 1.5);  // which rows count differs from row to row
      },
      tests::sum_of({{"x", tests::array({2, 2}, {1, 2, 3, 4})}, {"z", tests::array({}, {0.7})}}));
}

}  // namespace
}  // namespace lossc::fuzz
