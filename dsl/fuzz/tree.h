// Random definitions: a program of the language as a tree that can be made from a seed, run, printed as C++ and made
// smaller. What it is made of are the forms that the words of the language come with (dsl/words).
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "dsl/program.h"
#include "dsl/words/form.h"

namespace lossc::fuzz {

// Every program has the same names to choose from, and declares those that it uses. i, j, k run over N; c, d over C.
inline constexpr int kIndices = 5;
inline constexpr const char* kIndexNames[kIndices] = {"i", "j", "k", "c", "d"};
inline char axis_of(int index) { return index < 3 ? 'N' : 'C'; }
using Scope = unsigned;  // bit k: index k may be used

// The forms of all words (dsl/words); the first is a number.
const std::vector<Form>& forms();

struct Term {
  int form;  // which of forms()
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
// Is this what program() may say of a generated tree? The generator knows types and scopes, but not that a gather cannot
// look through a reduction over its own key, nor how many tensors recurrences within recurrences come to.
bool expected(const DefinitionError& refusal);

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
