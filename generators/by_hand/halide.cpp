// The words of <lossc/halide.h>: the writer's functions, called and their results looked at while the definition is built.
#include "lossc/halide.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "dsl/builder.h"
#include "generators/by_hand/describe.h"
#include "generators/by_hand/placeholder.h"
#include "generators/by_hand/pointwise.h"
#include "generators/by_hand/step.h"

namespace lossc {
namespace {

using by_hand::Pointwise;
using by_hand::Value;
using by_hand::Step;
using Halide::Internal::Call;

// Calls a function of the writer's for float32 and float64, and looks at what it returns.
class Caller {
 public:
  Caller(const char* word, const char* name, const Where& where) : where_(where), word_(word), name_(name) {
    if (name_.empty()) fail("a step wants a name");
  }
  [[noreturn]] void fail(const std::string& what) const { b_.fail(fmt::format("{} \"{}\": {}", word_, name_, what), where_); }

 protected:
  template <class F>
  auto guarded(const std::string& what, F f) const -> decltype(f()) {
    try {
      return f();
    } catch (const Halide::Error& e) {
      std::string text = e.what();
      text.erase(text.find_last_not_of(" \n") + 1);
      fail(fmt::format("{}: Halide says: {}", what, text));
    }
  }

  // The value, its parts shared, which is added to `text`.
  Halide::Expr checked(const std::string& what, const Halide::Expr& e, int bits, bool reads, std::string* text) const {
    if (!e.defined()) fail(what + " is an undefined Halide::Expr");
    if (e.type() != Halide::Float(bits)) {
      std::ostringstream type;
      type << e.type();
      const char* hint = e.type() == Halide::Float(64) ? "; a constant is literal(0.1, x), for Halide::Expr(0.1) makes all float64" : "";
      fail(fmt::format("{} is {} where the operands are float{}{}", what, type.str(), bits, hint));
    }
    const by_hand::Description found = guarded(what, [&] { return by_hand::describe(e, reads); });
    if (!found.wrong.empty()) fail(fmt::format("{} {}", what, found.wrong));
    *text += found.text;
    return Halide::Internal::common_subexpression_elimination(e);
  }

  Builder& b_ = Builder::current();
  const Where where_;
  const std::string word_, name_;
};

class Elementwise : public Caller {
 public:
  Elementwise(const char* name, std::initializer_list<Arg> operands, const Where& where) : Caller("halide_expr", name, where) {
    if (operands.size() == 0) fail("no operands");
    for (const Arg& a : operands) args.push_back(a.node), types_.push_back(b_.program.graph.type(a.node));
  }

  std::vector<ir::Id> args;

  std::shared_ptr<const Pointwise> read(const HalideValue& value, const HalideDerivatives& derivatives, const HalideSecond& second) const {
    if (!value) fail("no function for the value");
    if (!derivatives) fail("no function for the derivatives");
    const Value v = both("the value", [&](HalideOperands x) { return value(x); });
    const std::vector<Value> slopes = list("the derivatives", derivatives);
    Pointwise::Slopes made(args.size());
    for (size_t k = 0; k < args.size(); k++) {
      if (!is_float(k)) continue;
      Pointwise::Slopes curvature;
      if (second) curvature = row(second, k);
      made[k] = std::make_shared<Pointwise>(fmt::format("{}_d{}", name_, k), types_, slopes[k], std::move(curvature));
    }
    return std::make_shared<Pointwise>(name_, types_, v, std::move(made));
  }

 private:
  bool is_float(size_t k) const { return types_[k] == ir::Type::Float; }

  Pointwise::Slopes row(const HalideSecond& second, size_t k) const {
    const std::string what = fmt::format("the second derivatives, row {}", k);
    const std::vector<Value> values = list(what, [&](HalideOperands x) {
      const auto rows = second(x);
      if (rows.size() != args.size()) fail(fmt::format("the second derivatives are {} rows for {} operands", rows.size(), args.size()));
      return rows[k];
    });
    Pointwise::Slopes out(args.size());
    for (size_t l = 0; l < args.size(); l++)
      if (is_float(l)) out[l] = std::make_shared<Pointwise>(fmt::format("{}_d{}d{}", name_, k, l), types_, values[l], Pointwise::Slopes());
    return out;
  }

  // One for each operand, undefined for those that have no derivative.
  std::vector<Value> list(const std::string& what, const HalideDerivatives& function) const {
    std::vector<Value> out(args.size());
    for (int bits : {32, 64}) {
      const std::vector<Halide::Expr> all = guarded(what, [&] { return function(operands(bits)); });
      if (all.size() != args.size())
        fail(fmt::format("{} are {} expressions for {} operands; want one each, Halide::Expr() for an integer or a truth value", what,
                         all.size(), args.size()));
      for (size_t k = 0; k < args.size(); k++)
        if (is_float(k)) (bits == 32 ? out[k].f32 : out[k].f64) = checked(fmt::format("{}, number {},", what, k), all[k], bits, false, &out[k].text);
    }
    return out;
  }

  Value both(const std::string& what, const HalideValue& function) const {
    Value v;
    for (int bits : {32, 64})
      (bits == 32 ? v.f32 : v.f64) = checked(what, guarded(what, [&] { return function(operands(bits)); }), bits, false, &v.text);
    return v;
  }

  std::vector<Halide::Expr> operands(int bits) const {
    std::vector<Halide::Expr> out;
    for (size_t k = 0; k < types_.size(); k++) out.push_back(by_hand::placeholder(k, types_[k], bits));
    return out;
  }

  std::vector<ir::Type> types_;
};

class AtWill : public Caller {
 public:
  AtWill(const char* name, std::initializer_list<HalideOperand> operands, const Indices& indices, const Where& where)
      : Caller("halide_step", name, where) {
    if (operands.size() == 0) fail("no operands");
    for (const HalideOperand& o : operands) {
      args.push_back(o.value.node), types_.push_back(graph().type(o.value.node));
      over.operands.push_back(distinct(o.indices));
      check(o.value.node, over.operands.back());
    }
    over.out = distinct(indices);
    if (over.out.size() > 4) fail("a result over more than four indices");
    want_elements();
  }

  ir::Whole over;
  std::vector<ir::Id> args;

  std::shared_ptr<const Step> read(const HalideBody& body, const std::vector<HalideBody>& adjoints) const {
    if (!body) fail("no function for the value");
    if (adjoints.size() != args.size())
      fail(fmt::format("{} adjoints for {} operands; want one each, HalideBody() for an integer or a truth value", adjoints.size(), args.size()));
    std::vector<ir::Type> types = types_;
    types.push_back(ir::Type::Float);
    ir::Whole back = over;
    back.operands.push_back(over.out);
    Step::Adjoints made(args.size());
    for (size_t k = 0; k < args.size(); k++) {
      if (types_[k] != ir::Type::Float) continue;
      if (!adjoints[k]) fail(fmt::format("no adjoint of operand {}, a float", k));
      back.out = over.operands[k];
      made[k] = step(fmt::format("{}_d{}", name_, k), fmt::format("the adjoint of operand {}", k), adjoints[k], types, back, {});
    }
    return step(name_, "the value", body, types_, over, std::move(made));
  }

 private:
  ir::Graph& graph() const { return b_.program.graph; }

  std::vector<ir::Id> distinct(const Indices& indices) const {
    const std::vector<ir::Id> list = b_.present(indices);
    for (size_t k = 0; k < list.size(); k++)
      if (std::find(list.begin(), list.begin() + static_cast<long>(k), list[k]) != list.begin() + static_cast<long>(k))
        fail(fmt::format("index '{}' twice in one list; use a twin", graph().indices[list[k]].name));
    return list;
  }
  void check(ir::Id node, const std::vector<ir::Id>& dims) const {
    ir::IndexSet allowed = 0;
    for (ir::Id d : dims) allowed |= ir::bit(d);
    if (const ir::IndexSet extra = graph().free(node) & ~allowed)
      fail(fmt::format("operand `{}` depends on {}, which is not among its indices {}", b_.show(node), b_.list(extra), b_.list(allowed)));
    if (graph().at(node).carried) fail(fmt::format("operand `{}` is carried by a scan, whose step this cannot be part of", b_.show(node)));
  }
  // A reader always finds an element. An axis of all operands and of the result needs none: without places nobody reads.
  void want_elements() const {
    std::vector<std::vector<ir::Id>> all = over.operands;
    all.push_back(over.out);
    for (const auto& list : all) {
      for (ir::Id d : list) {
        const auto has = [&](const auto& other) { return std::find(other.begin(), other.end(), d) != other.end(); };
        if (std::all_of(all.begin(), all.end(), has)) continue;
        const ir::Id axis = graph().indices[d].axis;
        const ir::Id some = graph().binary(ir::Op::Lt, graph().constant(0, ir::Type::Int), graph().extent(axis));
        auto& wanted = b_.program.requirements;
        if (std::none_of(wanted.begin(), wanted.end(), [&](const Requirement& r) { return r.node == some; }))
          wanted.push_back({some, fmt::format("axis '{}' not to be empty, for '{}' reads along it", graph().axes[axis].name, name_)});
      }
    }
  }

  std::shared_ptr<const Step> step(std::string name, const std::string& what, const HalideBody& body, const std::vector<ir::Type>& types,
                                   const ir::Whole& dims, Step::Adjoints adjoints) const {
    std::string text;
    for (int bits : {32, 64}) checked(what, guarded(what, [&] { return body(symbolic(types, dims, bits)); }), bits, true, &text);
    std::vector<size_t> ranks;
    for (const auto& list : dims.operands) ranks.push_back(list.size());
    return std::make_shared<Step>(std::move(name), std::move(text), body, types, ranks, dims.out.size(), std::move(adjoints));
  }

  // With names in place of memory and extents: to be looked at.
  HalideStep symbolic(const std::vector<ir::Type>& types, const ir::Whole& dims, int bits) const {
    HalideStep s;
    for (size_t k = 0; k < types.size(); k++) {
      HalideReader reader;
      for (size_t d = 0; d < dims.operands[k].size(); d++) reader.extent.push_back(by_hand::integer(fmt::format("extent{}_{}", k, d)));
      reader.read = [=, this, type = by_hand::type_of(types[k], bits), rank = dims.operands[k].size()](const std::vector<Halide::Expr>& at) {
        check_coordinates(k, rank, at);
        return Call::make(type, by_hand::operand_name(k), at, Call::PureExtern);
      };
      s.in.push_back(reader);
    }
    for (size_t d = 0; d < dims.out.size(); d++)
      s.at.push_back(by_hand::integer(fmt::format("at{}", d))), s.extent.push_back(by_hand::integer(fmt::format("extent_{}", d)));
    return s;
  }
  void check_coordinates(size_t k, size_t rank, const std::vector<Halide::Expr>& at) const {
    if (at.size() != rank) fail(fmt::format("operand {} is read at {} coordinates, but has {} indices", k, at.size(), rank));
    for (const Halide::Expr& a : at)
      if (!a.defined() || a.type() != Halide::Int(32)) fail(fmt::format("operand {} is read at a coordinate that is no int32", k));
  }

  std::vector<ir::Type> types_;
};

Halide::Expr function(const char* name, const Halide::Expr& x) {
  if (!x.defined() || !x.type().is_float() || x.type().bits() < 32)
    throw DefinitionError(fmt::format("{} of a Halide::Expr that is no float32 or float64", name));
  return Call::make(x.type(), fmt::format("lossc_{}_f{}", name, x.type().bits()), {x}, Call::PureExtern);
}

}  // namespace

Expr halide_expr(const char* name, std::initializer_list<Arg> operands, const HalideValue& value, const HalideDerivatives& derivatives,
                 const HalideSecond& second, Where where) {
  const Elementwise reader(name, operands, where);
  Builder& b = Builder::current();
  b.locate(where);
  return Expr::of(b.program.graph.step_by_hand(reader.read(value, derivatives, second), reader.args));
}

Expr halide_step(const char* name, std::initializer_list<HalideOperand> operands, Indices indices, const HalideBody& body,
                 std::vector<HalideBody> adjoints, Where where) {
  Builder& b = Builder::current();
  b.locate(where);
  const AtWill reader(name, operands, indices, where);
  return Expr::of(b.program.graph.step_by_hand(reader.read(body, adjoints), reader.args, reader.over));
}

Halide::Expr literal(double value, const Halide::Expr& like) {
  if (!like.defined() || !like.type().is_float()) throw DefinitionError("literal(value, like): `like` is no float expression");
  return Halide::Internal::make_const(like.type(), value);
}
Halide::Expr expm1(const Halide::Expr& x) { return function("expm1", x); }
Halide::Expr log1p(const Halide::Expr& x) { return function("log1p", x); }
Halide::Expr sigmoid(const Halide::Expr& x) { return function("sigmoid", x); }
Halide::Expr softplus(const Halide::Expr& x) { return function("softplus", x); }
Halide::Expr erf(const Halide::Expr& x) { return function("erf", x); }
Halide::Expr erfc(const Halide::Expr& x) { return function("erfc", x); }
Halide::Expr lgamma(const Halide::Expr& x) { return function("lgamma", x); }
Halide::Expr digamma(const Halide::Expr& x) { return function("digamma", x); }
Halide::Expr trigamma(const Halide::Expr& x) { return function("trigamma", x); }

}  // namespace lossc
