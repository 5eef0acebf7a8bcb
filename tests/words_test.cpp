// Every word of the language has its entry (dsl/words), and what the entry says is so: its example gives what it shows, by
// the oracle, infinities, NaN and empty axes included; the derivative is that of the value; random definitions use it.
// LOSSC_SHOW=1 prints what the examples give, for a new entry.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "dsl/finite_difference.h"
#include "dsl/fuzz/tree.h"
#include "dsl/words/words.h"
#include "tests/support/by_hand_words.h"
#include "tests/support/tolerance.h"

namespace lossc::tests {
namespace {

using words::Shown;
using words::Word;

// What a header declares as words: functions and operators, and the methods of its classes.
std::set<std::string> declared(const char* header) {
  std::ifstream file(std::string(LOSSC_SOURCE_DIR) + header);
  const std::regex function(R"(^(?:Expr|std::vector<Expr>|Index|IndexPair|Tensor|Param|Option|void) ((?:operator)?[a-z_0-9]+|operator\S+?)\()");
  const std::regex method(R"(^  (?:Expr|Index|Tensor|Param|Option|bool) ([a-z_]+)\()");
  const std::regex type(R"(^struct ([A-Z]\w*) \{)");
  std::set<std::string> names;
  std::string line, within;
  for (std::smatch m; std::getline(file, line);) {
    if (std::regex_search(line, m, type)) within = m[1];
    else if (line.starts_with("}")) within.clear();
    else if (within.empty() && std::regex_search(line, m, function)) names.insert(m[1]);
    else if (!within.empty() && std::regex_search(line, m, method) && m[1] != "load" && m[1] != "operator") names.insert(within + "::" + m[1].str());
  }
  return names;
}

TEST(Words, OfTheHeadersAreThoseWithAnEntry) {
  const std::set<std::string> loss = declared("/dsl/include/lossc/loss.h"), by_hand = declared("/generators/include/lossc/halide.h");
  EXPECT_GT(loss.size(), 90u);
  EXPECT_EQ(by_hand, std::set<std::string>({"halide_expr", "halide_step"}));
  std::set<std::string> both = loss, have;
  both.insert(by_hand.begin(), by_hand.end());
  for (const Word& w : words::list()) have.insert(std::isalpha(w.name[0]) ? w.name : "operator" + std::string(w.name));
  for (const std::string& name : both) EXPECT_TRUE(have.count(name)) << name << " wants an entry in dsl/words or generators/by_hand";
  for (const std::string& name : have) EXPECT_TRUE(both.count(name)) << name << " is no word of loss.h or halide.h";
}

// What Halide code may call beside Halide's own functions has no page of its own.
TEST(Words, FunctionsForHalideCodeAreOnThePageOfHalideExpr) {
  std::string page;
  for (const Word& w : words::list())
    if (words::is_called(w, "halide_expr")) page = w.means;
  std::ifstream file(LOSSC_SOURCE_DIR "/generators/include/lossc/halide.h");
  const std::regex function(R"(^Halide::Expr ([a-z_0-9]+)\()");
  size_t functions = 0;
  for (std::string line; std::getline(file, line);)
    if (std::smatch m; std::regex_search(line, m, function)) {
      functions++;
      EXPECT_TRUE(std::regex_search(page, std::regex("\\b" + m[1].str() + "\\b"))) << m[1];
    }
  EXPECT_GT(functions, 7u);
}

bool is_value(const Word& w) { return w.group != &words::kDeclaration && w.group != &words::kResult; }
bool goes_over_an_axis(const Word& w) {
  for (const fuzz::Form& f : w.forms)
    if (f.binds != fuzz::Binds::Nothing) return true;
  return false;
}

TEST(Words, HaveWholeEntries) {
  for (const Word& w : words::list()) {
    for (const char* text : {w.takes, w.means, w.derivative}) EXPECT_TRUE(text && *text) << w.name;
    EXPECT_TRUE(w.example.text && *w.example.text) << w.name;
    EXPECT_FALSE(w.shown.empty()) << w.name;
    if (!is_value(w)) continue;
    EXPECT_FALSE(w.forms.empty()) << w.name << " is in no random definition";
    bool empty = false, infinite = false, nan = false;
    for (const Shown& s : w.shown) {
      empty |= s.x.empty();
      for (double v : s.x) infinite |= std::isinf(v), nan |= std::isnan(v);
    }
    EXPECT_TRUE(infinite && nan) << w.name << ": an example with infinity, and one with NaN";
    EXPECT_TRUE(empty || !goes_over_an_axis(w)) << w.name << ": an example of an empty axis";
  }
}

std::string list(const std::vector<double>& values) {
  std::string text;
  for (double v : values)
    text += (text.empty() ? "" : ", ") + (std::isnan(v) ? "kNaN" : std::isinf(v) ? (v < 0 ? "-kInf" : "kInf") : fmt::format("{:.5g}", std::abs(v) < 1e-14 ? 0.0 : v));
  return "{" + text + "}";
}

void expect_shown(const Word& w, const char* what, const std::vector<double>& shown, const std::vector<double>& got) {
  bool same = shown.size() == got.size();
  for (size_t k = 0; same && k < got.size(); k++) {
    // Five digits; what cancels leaves some 1e-16.
    same &= std::isnan(got[k])   ? std::isnan(shown[k])
            : std::isinf(got[k]) ? got[k] == shown[k]
                                 : std::abs(got[k] - shown[k]) <= 5.1e-5 * std::abs(got[k]) + 1e-14;
  }
  EXPECT_TRUE(same) << w.name << ", " << w.example.text << ": shows the " << what << " " << list(shown) << ", gives " << list(got);
}

TEST(Words, ExamplesGiveWhatTheyShow) {
  for (const Word& w : words::list()) {
    for (const Shown& s : w.shown) {
      const Case c = words::call(w, s);
      const Program p = program_for(words::definition(w), c);
      Oracle oracle(p.graph, oracle_inputs(p, c));
      const std::vector<double> value = oracle.evaluate(p.loss_rows, p.rows).data;
      std::vector<double> derivative;
      for (const Gradient& g : p.gradients)
        if (p.graph.tensors[static_cast<size_t>(g.tensor)].name == "x")
          derivative = oracle.evaluate(g.node, p.graph.tensors[static_cast<size_t>(g.tensor)].dims).data;
      if (std::getenv("LOSSC_SHOW")) {
        fmt::print("SHOW {} {}: {} {} -> {}, {}\n", w.name, &s - w.shown.data(), list(s.x), list(s.y), list(value), list(derivative));
        continue;
      }
      expect_shown(w, "value", s.value, value);
      expect_shown(w, "derivative", s.derivative, derivative);
    }
  }
}

TEST(Words, DerivativesAreThoseOfTheValue) {
  size_t compared = 0;
  for (const Word& w : words::list()) {
    for (const Shown& s : w.shown) {
      const Case c = words::call(w, s);
      const Program p = program_for(words::definition(w), c);
      const Inputs inputs = oracle_inputs(p, c);
      for (const Gradient& g : p.gradients) {
        const std::vector<double> gradient = Oracle(p.graph, inputs).evaluate(g.node, p.graph.tensors[static_cast<size_t>(g.tensor)].dims).data;
        const std::vector<Difference> differences = finite_difference(p, inputs, g.tensor);
        for (size_t k = 0; k < gradient.size(); k++) {
          const Difference& d = differences[k];
          if (!d.smooth) continue;
          compared++;
          EXPECT_LE(std::abs(gradient[k] - d.value), 4 * d.error)
              << w.name << ", " << w.example.text << " at " << list(s.x) << ": element " << k << " of the derivative by "
              << p.graph.tensors[static_cast<size_t>(g.tensor)].name << " is " << gradient[k] << ", differences " << d.value;
        }
      }
    }
  }
  EXPECT_GT(compared, 200u);
}

// LOSSC_UPDATE_README=1 writes the file instead (./dev readme).
TEST(Words, AreInTheGuideAsTheToolPrintsThem) {
  const char* path = LOSSC_SOURCE_DIR "/generators/losses/words.md";
  if (std::getenv("LOSSC_UPDATE_README")) std::ofstream(path) << words::book();
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), words::book()) << "./dev readme writes it";
}

// Those that CI runs: see fuzz_test.cpp.
TEST(Words, AreInRandomDefinitions) {
  std::set<int> used;
  const std::function<void(const fuzz::Term&)> walk = [&](const fuzz::Term& t) {
    used.insert(t.form);
    for (const fuzz::Term& a : t.args) walk(a);
  };
  for (unsigned seed = 1; seed <= 300; seed++) {
    const fuzz::Tree tree = fuzz::generate(seed);
    walk(tree.value);
    for (const auto* part : {&tree.valid, &tree.weight, &tree.output})
      if (*part) walk(**part);
  }
  for (size_t k = 0; k < fuzz::forms().size(); k++) EXPECT_TRUE(used.count(static_cast<int>(k))) << fuzz::forms()[k].text;
}

}  // namespace
}  // namespace lossc::tests
