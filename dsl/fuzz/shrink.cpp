#include <algorithm>

#include "tree.h"

namespace lossc::fuzz {
namespace {

char type_of(const Term& t) {
  const char r = forms()[static_cast<size_t>(t.form)].result;
  return r == 'C' ? 'k' : r;
}

// Descendants of the same type, largest last.
void descendants(const Term& t, char type, std::vector<Term>& out) {
  for (const Term& a : t.args) {
    if (type_of(a) == type) out.push_back(a);
    descendants(a, type, out);
  }
}

// Every term with one of its parts left out. An index that loses its binder thereby is found when the tree is built.
std::vector<Term> smaller_terms(const Term& t) {
  std::vector<Term> out;
  if (type_of(t) == 'f' && t.form != 0) out.push_back({.form = 0, .value = 1});
  descendants(t, type_of(t), out);
  for (size_t k = 0; k < t.args.size(); k++) {
    for (Term& a : smaller_terms(t.args[k])) {
      Term with = t;
      with.args[k] = std::move(a);
      out.push_back(std::move(with));
    }
  }
  return out;
}

}  // namespace

std::vector<Tree> smaller(const Tree& tree) {
  std::vector<Tree> out;
  auto add = [&](auto change) {
    Tree t = tree;
    change(t);
    out.push_back(std::move(t));
  };
  for (auto part : {&Tree::valid, &Tree::weight, &Tree::output}) {
    if (!(tree.*part)) continue;
    add([&](Tree& t) { t.*part = std::nullopt; });
    for (const Term& s : smaller_terms(*(tree.*part))) add([&](Tree& t) { t.*part = s; });
  }
  for (const Term& s : smaller_terms(tree.value)) add([&](Tree& t) { t.value = s; });
  std::stable_sort(out.begin(), out.end(), [](const Tree& a, const Tree& b) { return size(a) < size(b); });
  return out;
}

Tree shrink(Tree tree, const std::function<bool(const Tree&)>& fails, int tries) {
  for (bool found = true; found;) {
    found = false;
    for (Tree& t : smaller(tree)) {
      if (tries-- <= 0) return tree;
      if (!fails(t)) continue;
      tree = std::move(t);
      found = true;
      break;
    }
  }
  return tree;
}

}  // namespace lossc::fuzz
