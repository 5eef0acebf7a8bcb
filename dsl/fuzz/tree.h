// Random definitions: a program of the language as a tree that can be made from a seed, run, printed as C++ and made
// smaller. One table of words (words.cpp) serves all of it; whatever is not in it is not fuzzed.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "dsl/program.h"

namespace lossc::fuzz {

// Every program has the same names to choose from, and declares those that it uses. i, j, k run over N; c, d over C.
inline constexpr int kIndices = 5;
inline constexpr const char* kIndexNames[kIndices] = {"i", "j", "k", "c", "d"};
inline char axis_of(int index) { return index < 3 ? 'N' : 'C'; }
using Scope = unsigned;  // bit k: index k may be used

struct Names {
  Tensor x, y, w, s, z, t, m;
  Param alpha;
};

// How a word treats its index: it only reads it; it reduces over it; it is a function of it and of its operand as a
// whole; it looks up its first operand, a function of that index, elsewhere.
enum class Binds : uint8_t { Nothing, Reduces, Along, Looks };

using Operands = const std::vector<Expr>&;
using At = const std::vector<Index>&;
struct Word {
  const char* text;    // what `build` is in C++, where a[k] are operands, n[k] indices, v a number
  char result;         // 'f' float, 'b' truth value, 'k' position along the axis of n[0] (or of the operands), 'C' along C
  const char* args;    // types of the operands; all 'k' of a word are positions along the same axis
  const char* axes;    // of the indices; '*': any
  Binds binds = Binds::Nothing;
  Expr (*build)(const Names& in, At n, Operands a, double v);
};
const std::vector<Word>& words();

struct Term {
  int word;
  std::vector<int> indices = {};
  double value = 0;
  std::vector<Term> args = {};
};

struct Tree {
  unsigned seed = 0;
  std::vector<int> rows;
  Term value;
  std::optional<Term> valid, weight;   // which rows count; what the mean divides by
  std::optional<Term> output;          // an auxiliary one, over the rows
};

Tree generate(unsigned seed);
// Does each axis that it uses have a tensor that says how long it is, and is there a derivative at all?
bool is_whole(const Tree& tree);
size_t size(const Tree& tree);
std::string name(const Tree& tree);  // fuzz_SEED
std::string text(const Tree& tree);  // as a file with one definition

// The definition of the tree, by its name; valid until the next tree of that name. Not registered.
Definition definition(const Tree& tree);
// All its forms: one. Throws DefinitionError where the tree, as a shrunk one may be, is not well formed.
Program program(const Tree& tree);

// The smallest tree found for which `fails` still holds, by leaving parts out; it is asked at most `tries` times.
Tree shrink(Tree tree, const std::function<bool(const Tree&)>& fails, int tries = 2000);
// The next smaller trees, smallest first.
std::vector<Tree> smaller(const Tree& tree);

struct Verdict {
  enum { Fine, Useless, Wrong } is = Fine;  // Useless: nothing finite and smooth to compare with
  std::string what = {};
};
// The derived gradient against central differences of the oracle.
Verdict check_derivative(const Tree& tree);

}  // namespace lossc::fuzz
