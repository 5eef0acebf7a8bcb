#include "generators/by_hand/describe.h"

#include <fmt/format.h>

#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "generators/by_hand/placeholder.h"
#include "generators/by_hand/strict_code.h"

namespace lossc::by_hand {
namespace {

using namespace Halide::Internal;
using Halide::Expr;

class Describer : public IRGraphVisitor {
 public:
  explicit Describer(bool reads) : reads_(reads) {}

  Description run(const Expr& value) {
    add("=", value);
    for (size_t k = 0; k < functions_.size(); k++) add(Function(functions_[k]));
    return {renamed(), wrong_};
  }

 private:
  using IRGraphVisitor::visit;

  // Shared parts get names first: what is printed is a tree, and Newton's iteration is a large one.
  void add(const std::string& what, const Expr& e) {
    if (!e.defined()) return;
    const Expr shared = common_subexpression_elimination(e);
    details_.clear();
    shared.accept(this);
    std::ostringstream out;
    out << what << " " << shared << details_ << "\n";
    text_ += out.str();
  }
  void add(Function f) {
    names_.insert(f.name());
    if (f.has_extern_definition()) return refuse(fmt::format("has the extern Func '{}'", f.name()));
    if (!f.schedule().compute_level().lock().is_inlined())  // only a locked one says; the writer is done with it
      return refuse(fmt::format("has a schedule for '{}': a Func of the step is computed where it is used", f.name()));
    for (const std::string& a : f.args()) names_.insert(a), bound_.insert(a);
    text_ += "Func " + f.name() + "\n";
    add(f.definition());
    for (const Definition& d : f.updates()) add(d);
  }
  void add(const Definition& d) {
    for (const ReductionVariable& r : d.schedule().rvars()) {
      names_.insert(r.var);
      text_ += "over " + r.var + "\n";
      add("from", r.min), add("places", r.extent);
    }
    add("where", d.predicate());
    for (const Expr& a : d.args()) add("at", a);
    for (const Expr& v : d.values()) add("is", v);
  }
  void refuse(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  // Halide's printer shows six digits of a number and no place in a tuple.
  void visit(const FloatImm* op) override { details_ += fmt::format(" {:a}", op->value); }
  void visit(const Variable* op) override {
    if (op->name.starts_with(kPlaceholder)) return;
    names_.insert(op->name);
    const bool known = bound_.count(op->name) || (reads_ && op->reduction_domain.defined());
    if (!known || op->param.defined()) refuse(fmt::format("depends on '{}', which is none of its operands", op->name));
  }
  void visit(const Let* op) override {
    names_.insert(op->name), bound_.insert(op->name);
    IRGraphVisitor::visit(op);
  }
  void visit(const Call* op) override {
    IRGraphVisitor::visit(op);
    if (op->call_type == Call::Halide && reads_) {
      details_ += fmt::format(" #{}", op->value_index);
      if (names_.insert(op->name).second) functions_.push_back(op->func);
    } else if (op->call_type == Call::Halide || op->call_type == Call::Image) {
      refuse(fmt::format("reads '{}', {}", op->name, reads_ ? "which is none of its operands" : "though a step of halide_expr is made of elements alone"));
    } else if (op->is_extern() && !op->name.starts_with(kPlaceholder + "operand") && !knows_function(function_of(op->name))) {
      refuse(fmt::format("calls '{}', of which the kernels have no code", op->name));
    } else if (op->is_intrinsic({Call::random, Call::return_second, Call::undef, Call::require, Call::memoize_expr})) {
      refuse(fmt::format("uses {}(), which is no value of its operands", op->name));
    }
  }

  // Names that Halide makes are counted anew, in order of appearance.
  std::string renamed() const {
    std::map<std::string, size_t> number;
    std::string out, word;
    for (char c : text_ + "\n") {
      if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$') {
        word += c;
        continue;
      }
      out += names_.count(word) ? fmt::format("n{}", number.try_emplace(word, number.size()).first->second) : word;
      out += c;
      word.clear();
    }
    return out;
  }

  const bool reads_;
  std::string text_, wrong_, details_;
  std::set<std::string> names_, bound_;
  std::vector<FunctionPtr> functions_;
};

}  // namespace

Description describe(const Expr& value, bool reads) { return Describer(reads).run(value); }

}  // namespace lossc::by_hand
