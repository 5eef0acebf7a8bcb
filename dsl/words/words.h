// The words of the language, one entry each: what `lossc help` says, an example with its results that tests compute, and
// the forms in which random definitions use the word. A word that loss.h or halide.h declares and that has no entry, or
// whose entry lacks a part, fails tests/words_test.cpp; so adding a word is its declaration, its meaning and one entry.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "dsl/case.h"
#include "dsl/words/form.h"

namespace lossc::words {

struct Group {
  const char *title, *shape, *cost;  // shape and cost: of words whose entry does not say
};
extern const Group kOperator, kElementwise, kReduction, kOrder, kSet, kPlace, kRecurrence, kContraction, kMeaning, kDeclaration, kResult;

// An expression over x(c) and y(c), which is the loss of each c if it depends on c; or the body of a definition over
// tensors of these names, and labels t. Its text is its code.
struct Example {
  const char* text = "";
  Expr (*value)() = nullptr;
  void (*body)() = nullptr;
};
#define LOSSC_VALUE(...) ::lossc::words::Example{#__VA_ARGS__, []() -> ::lossc::Expr { return __VA_ARGS__; }, nullptr}
#define LOSSC_BODY(...) ::lossc::words::Example{#__VA_ARGS__, nullptr, [] { __VA_ARGS__; }}

// The example at some inputs: the loss of each row, and the derivative of their sum by each x, to five digits.
struct Shown {
  std::vector<double> x = {}, y = {}, value = {}, derivative = {};
  std::vector<double> t = {};
  int64_t columns = 0;  // x and y have two dimensions, so many columns
};

struct Word {
  const char* name;   // as in the header; of a method with its class, Tensor::given; of an operator its sign
  const Group* group;
  const char* takes;  // how it is written
  const char* means;
  const char* derivative = "none: it is no value";  // by rule where there is none: at kinks, ties, beyond the domain
  Example example = {};
  std::vector<Shown> shown = {};  // with infinities and NaN; of what goes over an axis also an empty one
  std::vector<fuzz::Form> forms = {};  // none: it makes no value, or another word's forms use it
  const char* shape = nullptr;
  const char* cost = nullptr;
};

const std::vector<Word>& list();  // in the order of loss.h, then those added
// The words of a further header (generators/by_hand/words.h), before anyone asks for the list; those that it has already
// are not added twice.
using Part = std::vector<Word> (*)();
void add(Part part);
// Is that its name? Of a method also without its class.
bool is_called(const Word& word, const std::string& name);
std::string page(const Word& word);
std::string book();  // all pages, as Markdown: generators/losses/words.md
// The definition of the example, its text as it would be written, and its call at the inputs shown.
Definition definition(const Word& word);
std::string text(const Word& word);
Case call(const Word& word, const Shown& shown);

// One file each.
std::vector<Word> operators(), elementwise(), reductions(), orders(), sets(), places(), recurrences(), contractions(), declarations();

inline constexpr double kInf = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();
// What the examples of expressions are about.
struct Names {
  Index c, d;  // two indices over one axis
  Tensor x, y;
};
Names& names();

}  // namespace lossc::words
