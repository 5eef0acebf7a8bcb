// The state of the definition being run, and the checks shared by the words of the language.
#pragma once
#include <map>
#include <string>

#include "program.h"

namespace lossc {

class Builder {
 public:
  Builder(const Definition& definition, std::vector<Fact> choices);
  ~Builder();
  static Builder& current();  // throws if no definition is running

  Program program;
  std::vector<Where> axes_at;  // where each was declared
  std::map<ir::Id, Where> params_at;
  std::vector<ir::Id> places;  // along which go the recurrences whose steps are being asked for, outermost first

  // Value of a structural fact: as chosen, else `fallback`; remembered in program.facts at first use.
  int fact(Fact::Kind kind, int id, int fallback);
  bool absent(ir::Id index) const;  // index over an optional axis that this form lacks

  std::vector<ir::Id> present(const Indices& indices) const;  // those of axes that this form has

  void locate(const Where& where);  // nodes made from here on come from this line
  [[noreturn]] void fail(const std::string& what, const Where& where) const;
  [[noreturn]] void fail(const std::string& what) const { fail(what, where_); }
  std::string show(ir::Id node) const { return ir::print(program.graph, node, 4); }
  std::string list(ir::IndexSet set) const;

  // Type rules of the language.
  ir::Id as_float(Arg a);                   // integers become floats; truth values are refused
  ir::Id as_bool(Arg a);
  ir::Id as_int(Arg a);
  std::pair<ir::Id, ir::Id> same(Arg a, Arg b);  // both Int or both Float
  // Labels that look up along an axis, in place of `index` in `expression`, must be known to lie within it.
  void check_key(ir::Id key, ir::Id index, const std::string& expression) const;

 private:
  std::vector<Fact> choices_;
  Where where_, written_;  // the latest, and the latest in the definition's own file
  Builder* outer_;
};

// The definition being written, and its graph: what every word adds to.
inline Builder& B() { return Builder::current(); }
inline ir::Graph& G() { return B().program.graph; }

// The node with `index` replaced by `key`: looked up in the value as a whole, where there is no cheaper way (look_up.cpp).
ir::Id look_up(ir::Id node, ir::Id index, ir::Id key);

// What a log-sum-exp takes from its terms so that none overflows, given the greatest; a term without it, and the logarithm of
// their sum with it again: of nothing but -inf that, with derivative exactly 0 (reductions.cpp).
ir::Id softmax_shift(ir::Id largest);
ir::Id softmax_term(ir::Id x, ir::Id shift);
ir::Id log_of_sum(ir::Id shift, ir::Id total);

}  // namespace lossc
