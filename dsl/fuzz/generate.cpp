#include "tree.h"

#include <algorithm>
#include <cstring>

namespace lossc::fuzz {
namespace {

class Generator {
 public:
  explicit Generator(unsigned seed) : engine_(seed) {}

  Tree tree(unsigned seed) {
    static const std::vector<std::vector<int>> kRows = {{0}, {0}, {0, 3}, {3}, {}};
    Tree t{.seed = seed, .rows = kRows[below(kRows.size())]};
    Scope scope = 0;
    for (int r : t.rows) scope |= 1u << r;
    t.value = make('f', 'N', scope, 2 + static_cast<int>(below(3)), true);
    if (!t.rows.empty() && below(4) == 0) t.valid = make('b', 'N', scope, 2);
    if (!t.rows.empty() && below(6) == 0) t.weight = Term{number_(1.5)};
    if (below(5) == 0) t.output = make('f', 'N', scope, 2);
    return t;
  }

 private:
  size_t below(size_t n) { return engine_() % n; }

  static Scope all_of(const std::vector<int>& indices) {
    Scope all = 0;
    for (int i : indices) all |= 1u << i;
    return all;
  }
  static Term number_(double v) { return {.form = 0, .value = v}; }
  Term number() { return number_(static_cast<double>(below(9)) / 4 - 1); }

  // Is the form one that gives this type here? A position is along an axis: of its index, or of its operands.
  static bool gives(const Form& w, char type, char axis) {
    if (w.result == 'C') return type == 'k' && axis == 'C';
    return w.result == type;
  }
  static bool binds(const Form& w, size_t k) {
    switch (w.binds) {
      case Binds::Reduces: case Binds::Looks: case Binds::Iterates: return true;
      case Binds::Parts: return k == 0;
      case Binds::Shares: return k == 1;
      default: return false;
    }
  }
  // An index for the k-th place, or -1: of the axis that is wanted there; in scope, unless the form binds it.
  int index(const Form& w, size_t k, char type, char axis, Scope scope) {
    const bool bound = binds(w, k);
    char want = w.axes[k];
    if (want == '*' && type == 'k') want = axis;
    std::vector<int> fit, fresh;
    for (int q = 0; q < kIndices; q++) {
      if (want != '*' && axis_of(q) != want) continue;
      const bool inside = scope >> q & 1;
      if (inside || bound) fit.push_back(q);
      if (!inside && bound) fresh.push_back(q);
    }
    if (!fresh.empty() && below(8) != 0) return fresh[below(fresh.size())];
    return fit.empty() ? -1 : fit[below(fit.size())];
  }

  // `root`: no leaf, or there would be little to check.
  Term make(char type, char axis, Scope scope, int depth, bool root = false) {
    std::vector<int> fit;
    const bool leaf = depth <= 0 || (!root && below(5) == 0);
    for (int attempt = 0; attempt < 2 && fit.empty(); attempt++)
      for (int k = 0; k < static_cast<int>(forms().size()); k++) {
        const Form& w = forms()[static_cast<size_t>(k)];
        if (gives(w, type, axis) && (!*w.args == leaf || attempt == 1)) fit.push_back(k);
      }
    for (int tries = 0; tries < 60; tries++) {
      Term t{.form = fit[below(fit.size())]};
      if (fill(t, type, axis, scope, depth)) return t;
    }
    if (type == 'b') return compare(scope, depth);
    if (type == 'k') return reduced(axis, scope);
    return number();
  }

  bool fill(Term& t, char type, char axis, Scope scope, int depth) {
    const Form& w = forms()[static_cast<size_t>(t.form)];
    if (t.form == 0) {
      if (below(3) != 0) return false;  // numbers are dull
      t = number();
    }
    for (size_t k = 0; w.axes[k]; k++) {
      const int found = index(w, k, type, axis, scope);
      if (found < 0 || std::count(t.indices.begin(), t.indices.end(), found)) return false;
      t.indices.push_back(found);
    }
    const bool any_axis = type != 'k' || t.indices.empty();
    const bool sets = w.binds == Binds::Parts || w.binds == Binds::Shares;
    const char keys = sets                    ? axis_of(t.indices[1])
                      : w.binds == Binds::Looks ? axis_of(t.indices[0])
                      : any_axis              ? "NC"[below(2)]
                                              : axis;
    for (size_t k = 0; w.args[k]; k++) {
      const bool within = w.binds == Binds::Reduces || sets || (w.binds == Binds::Looks && k == 0);
      const bool alone = w.binds == Binds::Scans || w.binds == Binds::Iterates;
      Scope own = alone ? all_of(t.indices) : within ? scope | 1u << t.indices[0] : scope;
      if (sets) own &= ~(1u << t.indices[1]);
      t.args.push_back(make(w.args[k], keys, own, depth - 1));
    }
    return true;
  }

  // Where nothing fits, as no index is in scope: a comparison of numbers, a position that a reduction gives.
  Term compare(Scope scope, int depth) {
    for (int k = 0;; k++)
      if (!std::strcmp(forms()[static_cast<size_t>(k)].text, "a[0] < a[1]"))
        return {.form = k, .args = {make('f', 'N', scope, depth - 1), number()}};
  }
  Term reduced(char axis, Scope scope) {
    const int over = axis == 'N' ? 1 : 4;
    for (int k = 0;; k++)
      if (!std::strcmp(forms()[static_cast<size_t>(k)].text, "argmax(n[0], a[0])"))
        return {.form = k, .indices = {over}, .args = {make('f', axis, scope | 1u << over, 0)}};
  }

  std::mt19937 engine_;
};

}  // namespace

Tree generate(unsigned seed) {
  Generator generator(seed);
  for (;;) {
    Tree t = generator.tree(seed);
    if (is_whole(t)) return t;
  }
}

}  // namespace lossc::fuzz
