#include "tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>

#include "dsl/builder.h"

namespace lossc::fuzz {
namespace {

// What can be declared: the member of Names, its axes, its line.
struct Declared {
  const char *in, *axes, *line;
};
constexpr Declared kDeclared[] = {
    {"in.x(", "NC", "auto x = tensor(\"x\", {i, c}, \"-\");"},
    {"in.y(", "NC", "auto y = tensor(\"y\", {i, c}, \"-\");"},
    {"in.w(", "C", "auto w = tensor(\"w\", {c}, \"-\");"},
    {"in.s(", "N", "auto s = tensor(\"s\", {i}, \"-\");"},
    {"in.z(", "", "auto z = tensor(\"z\", {}, \"-\");"},
    {"in.t(", "NC", "auto t = labels(\"t\", {i}, \"-\").in_range(c);"},
    {"in.m(", "NC", "auto m = mask(\"m\", {i, c}, \"-\");"},
    {"in.alpha", "", "auto alpha = param(\"alpha\", 0.7, \"-\").positive();"},
};

struct Uses {
  bool names[std::size(kDeclared)] = {};
  bool axes[2] = {};  // N, C

  explicit Uses(const Tree& t) {
    bool covered[2] = {};
    walk(t.value);
    for (const auto* part : {&t.valid, &t.weight, &t.output})
      if (*part) walk(**part);
    for (int r : t.rows) axes[r >= 3] = true;
    for (size_t k = 0; k < std::size(kDeclared); k++)
      for (const char* a = kDeclared[k].axes; names[k] && *a; a++) axes[*a == 'C'] = covered[*a == 'C'] = true;
    whole = (!axes[0] || covered[0]) && (!axes[1] || covered[1]);
    // The label's range is an axis, but no tensor need have it.
    if (axes[1] && !(names[0] || names[1] || names[2] || names[6])) whole = false;
    if (!std::any_of(names, names + 5, [](bool used) { return used; })) whole = false;
  }
  bool whole;
  bool by_hand = false;  // words of <lossc/halide.h>

 private:
  void walk(const Term& t) {
    const char* text = forms()[static_cast<size_t>(t.form)].text;
    for (size_t k = 0; k < std::size(kDeclared); k++) names[k] |= std::strstr(text, kDeclared[k].in) != nullptr;
    by_hand |= std::strstr(text, "halide_") != nullptr;
    for (int i : t.indices) axes[i >= 3] = true;
    for (const Term& a : t.args) walk(a);
  }
};

Expr build_term(const Term& t, const Names& in, const std::vector<Index>& all) {
  std::vector<Index> n;
  std::vector<Expr> a;
  for (int i : t.indices) n.push_back(all[static_cast<size_t>(i)]);
  for (const Term& arg : t.args) a.push_back(build_term(arg, in, all));
  return forms()[static_cast<size_t>(t.form)].build(in, n, a, t.value);
}

Names declare(const Uses& uses, const std::vector<Index>& all) {
  const Index i = all[0], c = all[3];
  Names in;
  if (uses.names[0]) in.x = tensor("x", {i, c}, "-");
  if (uses.names[1]) in.y = tensor("y", {i, c}, "-");
  if (uses.names[2]) in.w = tensor("w", {c}, "-");
  if (uses.names[3]) in.s = tensor("s", {i}, "-");
  if (uses.names[4]) in.z = tensor("z", {}, "-");
  if (uses.names[5]) in.t = labels("t", {i}, "-").in_range(c);
  if (uses.names[6]) in.m = mask("m", {i, c}, "-");
  if (uses.names[7]) in.alpha = param("alpha", 0.7, "-").positive();
  return in;
}

Indices rows_of(const Tree& tree, const std::vector<Index>& all) {
  Indices rows({});
  for (int r : tree.rows) rows.list.push_back(all[static_cast<size_t>(r)]);
  return rows;
}

void build_tree(const Tree& tree) {
  about({.title = "-", .paper = "-", .equation = "-", .edges = "-"});
  const Uses uses(tree);
  if (!uses.whole) throw DefinitionError(name(tree) + ": an axis that no tensor has, or nothing to differentiate");
  std::vector<Index> all(kIndices);
  if (uses.axes[0]) all[0] = axis("N", "-"), all[1] = twin(all[0], "j"), all[2] = twin(all[0], "k");
  if (uses.axes[1]) all[3] = axis("C", "-"), all[4] = twin(all[3], "d");
  const Names in = declare(uses, all);
  auto part = [&](const std::optional<Term>& t) { return t ? build_term(*t, in, all) : Expr{}; };
  const Expr value = build_term(tree.value, in, all);
  const Expr valid = part(tree.valid), weight = part(tree.weight), aux = part(tree.output);
  loss_per(rows_of(tree, all), value, valid.node < 0 ? Mask() : Mask(valid), {.weight = weight});
  if (tree.output) output("aux", rows_of(tree, all), aux, "-");
}

std::map<std::string, Tree>& trees() {
  static std::map<std::string, Tree> all;
  return all;
}
void body() { build_tree(trees().at(Builder::current().program.name)); }

// The text of a form with its operands, indices and number put in.
std::string text_of(const Term& t) {
  const std::string w = forms()[static_cast<size_t>(t.form)].text;
  std::string out;
  for (size_t k = 0; k < w.size(); k++) {
    const bool starts = k == 0 || !(std::isalnum(w[k - 1]) || w[k - 1] == '_');
    if (starts && w.compare(k, 3, "in.") == 0) {
      k += 2;
    } else if (starts && (w.compare(k, 2, "a[") == 0 || w.compare(k, 2, "n[") == 0)) {
      const auto n = static_cast<size_t>(w[k + 2] - '0');
      out += w[k] == 'a' ? text_of(t.args[n]) : kIndexNames[t.indices[n]];
      k += 3;
    } else if (starts && w.compare(k, 2, "v)") == 0) {
      out += fmt::format("{:#}", t.value);
    } else {
      out += w[k];
    }
  }
  // What an operator stands in is one operand to others.
  const bool call = std::isalpha(out[0]) && w.find_first_of("+-*/%<>=!&|") == std::string::npos;
  return call ? out : "(" + out + ")";
}

size_t size_of(const Term& t) {
  size_t n = t.form == 0 ? 0 : 1;
  for (const Term& a : t.args) n += size_of(a);
  return n;
}

}  // namespace

bool is_whole(const Tree& tree) { return Uses(tree).whole; }

size_t size(const Tree& t) {
  size_t n = size_of(t.value);
  for (const auto* part : {&t.valid, &t.weight, &t.output}) n += *part ? 1 + size_of(**part) : 0;
  return n;
}

std::string name(const Tree& tree) { return fmt::format("fuzz_{}", tree.seed); }

std::string text(const Tree& tree) {
  const Uses uses(tree);
  const char* header = uses.by_hand ? "halide" : "loss";
  std::string out = fmt::format("#include <lossc/{}.h>\nusing namespace lossc;\n\n", header);
  out += fmt::format("LOSSC_LOSS({}, \"fuzz\") {{\n", name(tree));
  out += "  about({.title = \"-\", .paper = \"-\", .equation = \"-\", .edges = \"-\"});\n";
  if (uses.axes[0]) out += "  auto i = axis(\"N\", \"-\"), j = twin(i, \"j\"), k = twin(i, \"k\");\n";
  if (uses.axes[1]) out += "  auto c = axis(\"C\", \"-\"), d = twin(c, \"d\");\n";
  for (size_t k = 0; k < std::size(kDeclared); k++)
    if (uses.names[k]) out += fmt::format("  {}\n", kDeclared[k].line);
  out += "  auto expr = [](Arg a) { return Expr(a); };\n";
  std::vector<std::string> rows;
  for (int r : tree.rows) rows.push_back(kIndexNames[r]);
  const std::string list = fmt::format("Indices({{{}}})", fmt::join(rows, ", "));
  auto part = [&](const std::optional<Term>& t, const char* none) { return t ? text_of(*t) : none; };
  out += fmt::format("  loss_per({}, {}, {}, {{.weight = {}}});\n", list, text_of(tree.value), part(tree.valid, "{}"),
                     part(tree.weight, "{}"));
  if (tree.output) out += fmt::format("  output(\"aux\", {}, {}, \"-\");\n", list, text_of(*tree.output));
  return out + "}\n";
}

Definition definition(const Tree& tree) {
  const auto kept = trees().insert_or_assign(name(tree), tree).first;
  return {kept->first.c_str(), "fuzz", __FILE__, body};
}

Program program(const Tree& tree) { return build(definition(tree), {}); }

bool expected(const DefinitionError& refusal) {
  const std::string what = refusal.what();
  return what.find("use a twin") != std::string::npos || what.find("more than 63 tensors") != std::string::npos;
}

}  // namespace lossc::fuzz
