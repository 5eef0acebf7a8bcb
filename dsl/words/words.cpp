#include "dsl/words/words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <stdexcept>
#include <string_view>

#include "dsl/builder.h"

namespace lossc::words {
namespace {

// Does the text use this name, and not only letters of it?
bool uses(std::string_view text, std::string_view name) {
  const auto letter = [](char l) { return std::isalnum(static_cast<unsigned char>(l)) || l == '_'; };
  for (size_t at = 0; (at = text.find(name, at)) != text.npos; at++)
    if ((at == 0 || !letter(text[at - 1])) && !letter(text[at + name.size()])) return true;
  return false;
}

// A result that is no float is shown as one.
Expr as_value(Expr e) { return number(Arg(e)); }

// An expression as a whole definition, that declares what the expression uses.
void build_value(const Word& word) {
  Names& n = names();
  n.c = axis("C", "elements"), n.d = twin(n.c, "d");
  n.x = tensor("x", {n.c}, "a value");
  if (uses(word.example.text, "y")) n.y = tensor("y", {n.c}, "another value");
  const Expr value = as_value(word.example.value());
  if (Builder::current().program.graph.free(value.node) != 0) loss_per(n.c, value);
  else loss_total(value);
}

std::map<std::string, const Word*>& running() {
  static std::map<std::string, const Word*> all;
  return all;
}
void body() {
  const Word& word = *running().at(Builder::current().program.name);
  about({.title = "-", .paper = "-", .equation = "-", .edges = "-"});
  if (word.example.body) word.example.body();
  else build_value(word);
}

// The name of a definition: letters of the word, and its place, for words of one name or of none.
std::string identifier(const Word& word) {
  std::string out = "word_";
  for (const char* l = word.name; *l; l++)
    if (std::isalnum(static_cast<unsigned char>(*l)) || *l == '_') out += static_cast<char>(std::tolower(*l));
  const bool listed = !std::less<>()(&word, list().data()) && std::less<>()(&word, list().data() + list().size());
  return listed ? fmt::format("{}_{}", out, &word - list().data()) : out;
}

std::vector<Part>& parts() {
  static std::vector<Part> all{declarations, operators, elementwise, reductions, orders, sets, places, recurrences, contractions};
  return all;
}
bool& listed() {
  static bool asked = false;
  return asked;
}

Array array(const std::vector<double>& values, size_t rank, int64_t columns) {
  const auto n = static_cast<int64_t>(values.size());
  if (rank == 0) return {{}, values};
  if (columns) return {{n / columns, columns}, values};
  return {{n}, values};
}

std::string numbers(const std::vector<double>& values) {
  if (values.empty()) return "nothing";
  std::vector<std::string> texts;
  for (double v : values) texts.push_back(fmt::format("{:.5g}", v));
  return fmt::format("{}", fmt::join(texts, ", "));
}

// Of the text at most `width` letters a line, every line indented; breaks at spaces.
std::string wrapped(const std::string& text, size_t indent, size_t width = 108) {
  std::string out, line;
  for (size_t at = 0; at < text.size();) {
    size_t to = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, to - at);
    if (!line.empty() && indent + line.size() + 1 + word.size() > width) out += line + "\n" + std::string(indent, ' '), line.clear();
    line += (line.empty() ? "" : " ") + word;
    at = to + 1;
  }
  return out + line;
}

std::string table_of(const Word& word) {
  std::vector<std::vector<std::string>> cells{{"x"}};
  const bool second = std::any_of(word.shown.begin(), word.shown.end(), [](auto& s) { return !s.y.empty(); });
  const bool labelled = std::any_of(word.shown.begin(), word.shown.end(), [](auto& s) { return !s.t.empty(); });
  if (second) cells[0].push_back("y");
  if (labelled) cells[0].push_back("t");
  cells[0].insert(cells[0].end(), {"value", "d sum / dx"});
  for (const Shown& s : word.shown) {
    cells.push_back({numbers(s.x)});
    if (second) cells.back().push_back(numbers(s.y));
    if (labelled) cells.back().push_back(numbers(s.t));
    cells.back().insert(cells.back().end(), {numbers(s.value), s.x.empty() ? "" : numbers(s.derivative)});
  }
  std::vector<size_t> widths(cells[0].size());
  for (auto& row : cells)
    for (size_t k = 0; k < row.size(); k++) widths[k] = std::max(widths[k], row[k].size());
  std::string out;
  for (auto& row : cells) {
    std::string line = "   ";
    for (size_t k = 0; k < row.size(); k++) line += fmt::format(" {:<{}} ", row[k], widths[k]);
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace

Names& names() {
  static Names all;
  return all;
}

const std::vector<Word>& list() {
  static const std::vector<Word> all = [] {
    listed() = true;
    std::vector<Word> out;
    for (Part part : parts())
      for (Word& w : part()) out.push_back(std::move(w));
    return out;
  }();
  return all;
}

void add(Part part) {
  if (std::find(parts().begin(), parts().end(), part) != parts().end()) return;
  if (listed()) throw std::logic_error("words::add: the list of words is in use already");
  parts().push_back(part);
}

bool is_called(const Word& word, const std::string& name) {
  const std::string whole = word.name;
  const size_t member = whole.find("::");
  return whole == name || (member != whole.npos && whole.substr(member + 2) == name);
}

std::string page(const Word& w) {
  const auto part = [](const char* title, const char* text) {
    return fmt::format("  {:<11} {}\n", title, wrapped(text, 14));
  };
  std::string out = fmt::format("{}    ({})\n  {}\n", w.takes, w.group->title, wrapped(w.means, 2));
  out += part("Shape", w.shape ? w.shape : w.group->shape);
  out += part("Derivative", w.derivative);
  out += part("Cost", w.cost ? w.cost : w.group->cost);
  out += "  Example\n" + text(w) + table_of(w);
  return out;
}

std::string book() {
  std::string out = "# The words of the language\n\nWhat `lossc help WORD` prints, written by `./dev readme` from `dsl/words` and `generators/by_hand`. The examples "
                    "are over `x(c)` and `y(c)`, two tensors of one axis;\ntests compute what they show.\n";
  const Group* group = nullptr;
  for (const Word& w : list()) {
    if (w.group != group) out += fmt::format("{}\n## {}\n\n```text\n", group ? "```\n" : "", w.group->title);
    else out += "\n";
    group = w.group;
    out += page(w);
  }
  return out + "```\n";
}

std::string text(const Word& w) {
  std::string out;
  if (w.example.value) return fmt::format("    {}\n", wrapped(w.example.text, 6));
  const std::string all = std::string(w.example.text) + ";";
  for (size_t at = 0, to; at < all.size(); at = to + 1) {
    at = all.find_first_not_of(' ', at);
    to = all.find(';', at);
    out += fmt::format("    {};\n", all.substr(at, to - at));
  }
  return out;
}

Definition definition(const Word& w) {
  const auto kept = running().insert_or_assign(identifier(w), &w).first;
  return {kept->first.c_str(), "words", __FILE__, body};
}

Case call(const Word& w, const Shown& s) {
  Case c;
  c.reduction = Reduction::Sum;
  const auto give = [&](const ir::Tensor& t, const std::vector<double>& values, int64_t columns) {
    c.inputs[t.name] = array(values, t.dims.size(), columns);
  };
  const std::vector<Program> forms = build_all(definition(w));
  for (const Program& p : forms) {
    for (const ir::Tensor& t : p.graph.tensors) {
      if (t.name == "x") give(t, s.x, s.columns);
      if (t.name == "y" && (!t.optional || !s.y.empty())) give(t, s.y, s.columns);
      if (t.name == "t") give(t, s.t, 0);
      if (t.name == "m") {  // every other one
        std::vector<double> m(s.x.size());
        for (size_t k = 0; k < m.size(); k += 2) m[k] = 1;
        give(t, m, s.columns);
      }
    }
  }
  return c;
}

}  // namespace lossc::words
