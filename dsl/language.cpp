// Declarations, operators and elementwise words. Reductions and contractions are in reductions.cpp.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "builder.h"

namespace lossc {

using ir::Id;
using ir::Op;
using ir::Type;

namespace {

Expr unary(Op op, Arg a) {
  Id x = B().as_float(a);
  return Expr::of(G().unary(op, x));
}
Expr arithmetic(Op op, Arg a, Arg b) {
  auto [x, y] = B().same(a, b);
  return Expr::of(G().binary(op, x, y));
}

const ir::Axis& axis_of(Id index) { return G().axes[G().indices[index].axis]; }

// Of a tensor that crosses the C interface. How many of its dimensions a flat axis takes is known from how many are left
// over: one can be told, not two.
void check_dims(const std::vector<Id>& dims, const std::string& what) {
  if (dims.size() > kMostTensorDims)
    B().fail(fmt::format("{} has {} dimensions; at most {} are supported", what, dims.size(), kMostTensorDims));
  Id first = ir::kNone;
  for (Id i : dims) {
    if (!axis_of(i).flat) continue;
    if (first != ir::kNone)
      B().fail(fmt::format("{} has two flat axes, '{}' and '{}': which of its dimensions are whose cannot be told", what,
                           G().indices[first].name, G().indices[i].name));
    first = i;
  }
}

Id add_tensor(const char* name, std::initializer_list<Index> dims, const char* doc, Where where, Type type,
              ir::TensorRole role) {
  B().locate(where);
  ir::Tensor t{.name = name, .doc = doc, .type = type, .role = role, .dims = {}, .differentiable = type == Type::Float};
  for (const ir::Tensor& other : G().tensors)
    if (other.name == t.name) B().fail(fmt::format("two tensors are named '{}'; the name is the argument's in the C interface, so each wants its own", name));
  for (const Index* i = dims.begin(); i != dims.end(); i++) {
    if (std::any_of(dims.begin(), i, [&](Index j) { return j.id == i->id; }))
      B().fail(fmt::format("tensor '{0}' has index '{1}' twice, which would be its diagonal; a second dimension over the same axis "
                           "wants an index of its own, as twin({1}, \"k\")", name, G().indices[i->id].name));
    if (!B().absent(i->id)) t.dims.push_back(i->id);
  }
  check_dims({t.dims.begin(), t.dims.end()}, fmt::format("tensor '{}'", name));
  G().tensors.push_back(std::move(t));
  return static_cast<Id>(G().tensors.size() - 1);
}

// The extent that an axis has by its name: 4 for "4"; 0: any.
int64_t extent_by_name(const std::string& axis) {
  if (axis.empty() || axis.size() > 9 || axis.find_first_not_of("0123456789") != std::string::npos) return 0;
  return std::stoll(axis);
}

Index add_axis(const char* name, const char* doc, bool optional, Where where) {
  B().locate(where);
  for (const ir::Axis& a : G().axes)
    if (a.name == name) B().fail(fmt::format("axis '{}' is declared twice; use twin() for a second index over it", name));
  G().axes.push_back({.name = name, .doc = doc, .optional = optional});
  B().axes_at.push_back(where);
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
  if (const int64_t length = extent_by_name(lower)) {
    lower = "k" + lower;
    G().axes.back().length = G().constant(static_cast<double>(length), Type::Int);
  }
  G().indices.push_back({lower, static_cast<Id>(G().axes.size() - 1)});
  if (G().indices.size() > 60) B().fail("more than 60 indices");
  return {static_cast<Id>(G().indices.size() - 1)};
}

void check_of_extents(const char* word, Id node) {
  if (const Id other = other_than_extents(G(), node); other != ir::kNone)
    B().fail(fmt::format("{}: `{}` is not of extents and integers alone, but holds `{}`", word, B().show(node), B().show(other)));
}

}  // namespace

// ---- operands --------------------------------------------------------------------------------------------------

Arg::Arg(double v, Where w) : node(G().constant(v)), where(w) {}
Arg::Arg(int v, Where w) : node(G().constant(v, Type::Int)), where(w) {}
Arg::Arg(bool v, Where w) : node(G().constant(v, Type::Bool)), where(w) {}
Arg::Arg(Index i, Where w) : node(G().index(i.id)), where(w), name(true) {}
Arg::Arg(Param p, Where w) : node(G().param(p.id)), where(w) {}
Arg::Arg(Mask m, Where w) : node(m.node < 0 ? G().constant(1, Type::Bool) : m.node), where(w) {}

Expr::Expr(double v) : node(G().constant(v)) {}
Expr::Expr(int v) : node(G().constant(v, Type::Int)) {}
Expr::Expr(bool v) : node(G().constant(v, Type::Bool)) {}
Expr::Expr(Index i) : node(G().index(i.id)) {}
Expr::Expr(Param p) : node(G().param(p.id)) {}
Expr::Expr(Arg operand) : node(operand.node) {}
Expr Expr::of(int node) {
  Expr e;
  e.node = node;
  return e;
}

// ---- declarations ----------------------------------------------------------------------------------------------

void about(About text) { B().program.about = std::move(text); }
Index axis(const char* name, const char* doc, Where w) { return add_axis(name, doc, false, w); }
Index derived_axis(const char* name, Arg length, const char* doc, Where w) {
  B().locate(w);
  const Id node = B().as_int(length);
  check_of_extents("derived_axis", node);
  const Index index = add_axis(name, doc, false, w);
  G().axes[G().indices[index.id].axis].length = node;
  return index;
}
Index count_axis(const char* name, int fallback, const char* doc, Where w) {
  const Option o = option(name, {}, doc, w);
  if (fallback < 0) B().fail(fmt::format("count_axis: the default of '{}' is {}, wanted 0 or more", name, fallback));
  B().program.options[o.id].fallback = fallback;
  const Id param = B().program.options[o.id].param = static_cast<Id>(G().params.size());
  G().params.push_back({.name = name, .doc = doc, .fallback = static_cast<double>(fallback), .low = 0, .integer = true});
  const Index index = add_axis(name, doc, false, w);
  G().axes[G().indices[index.id].axis].length = G().param(param);
  return index;
}
Index optional_axis(const char* name, const char* doc, Where w) { return add_axis(name, doc, true, w); }
Index Index::flat(Where w) {
  B().locate(w);
  const Id axis = G().indices[id].axis;
  for (const ir::Tensor& t : G().tensors)
    for (Id d : t.dims)
      if (G().indices[d].axis == axis)
        B().fail(fmt::format("axis '{}' is made flat after tensor '{}' was declared over it; say so at the axis",
                             G().axes[axis].name, t.name));
  G().axes[axis].flat = true;
  return *this;
}
bool Index::given() const { return !B().absent(id); }

Index twin(Index index, const char* name) {
  G().indices.push_back({name, G().indices[index.id].axis});
  return {static_cast<Id>(G().indices.size() - 1)};
}
IndexPair batch_pair(const char* name, const char* doc, Where w) {
  Index i = axis(name, doc, w);
  G().indices[i.id].name = "i";
  return {i, twin(i, "j")};
}

Tensor tensor(const char* name, std::initializer_list<Index> dims, const char* doc, Where w) {
  return {add_tensor(name, dims, doc, w, Type::Float, ir::TensorRole::Input)};
}
Tensor labels(const char* name, std::initializer_list<Index> dims, const char* doc, Where w) {
  return {add_tensor(name, dims, doc, w, Type::Int, ir::TensorRole::Labels)};
}
Tensor mask(const char* name, std::initializer_list<Index> dims, const char* doc, Where w) {
  return {add_tensor(name, dims, doc, w, Type::Bool, ir::TensorRole::Mask)};
}

namespace {
// "x(i, c)": an element, or how the tensor was declared.
std::string element(const std::string& name, const std::vector<Id>& at) {
  std::string list;
  for (Id node : at) list += (list.empty() ? "" : ", ") + B().show(node);
  return fmt::format("{}({})", name, list);
}
std::vector<Id> plain_indices(const std::vector<Id>& dims) {
  std::vector<Id> at;
  for (Id i : dims) at.push_back(G().index(i));
  return at;
}
}  // namespace

Expr Tensor::load(std::initializer_list<Arg> args, Where where) const {
  Builder& b = B();
  b.locate(where);
  const ir::Tensor t = G().tensors[id];
  if (t.optional && !given())
    b.fail(fmt::format("optional tensor '{0}' is used in the form that lacks it; ask first, as in {0}.given() ? ... : ...", t.name));
  std::vector<Id> at;
  std::vector<char> name;
  for (const Arg& a : args) {
    Id node = b.as_int(a);
    Id plain = G().plain_index(node);
    if (plain != ir::kNone && b.absent(plain)) continue;
    at.push_back(node);
    name.push_back(a.name);
  }
  if (at.size() != t.dims.size())
    b.fail(fmt::format("tensor '{}' has {} dimension{}, {}, but is used with {}: {}", t.name, t.dims.size(),
                       t.dims.size() == 1 ? "" : "s", element(t.name, plain_indices(t.dims)), at.size(), element(t.name, at)));
  for (size_t k = 0; k < at.size(); k++) {
    Id plain = G().plain_index(at[k]);
    b.check_key(at[k], t.dims[k], element(t.name, at));
    if (plain == ir::kNone) continue;
    const ir::Axis &want = axis_of(t.dims[k]), &got = axis_of(plain);
    const Id axis = G().indices[t.dims[k]].axis;
    if (never_longer(G(), G().indices[plain].axis, axis, !name[k])) continue;
    if (!name[k]) {  // a number, which like any other must lie within the axis
      at[k] = G().binary(Op::Min, at[k], G().binary(Op::Sub, G().extent(axis), G().constant(1, Type::Int)));
      continue;
    }
    const bool elsewhere = std::any_of(t.dims.begin(), t.dims.end(), [&](Id d) { return &axis_of(d) == &got; });
    b.fail(fmt::format("`{}`: index '{}' runs over axis {}, but dimension {} of tensor '{}' over axis {}; it is declared as {}{}",
                       element(t.name, at), G().indices[plain].name, got.name, k + 1, t.name, want.name,
                       element(t.name, plain_indices(t.dims)), elsewhere ? "" : "; to look up at a place of that number, add 0 to the index"));
  }
  return Expr::of(G().load(id, at));
}
Tensor Tensor::optional() {
  G().tensors[id].optional = true;
  return *this;
}
bool Tensor::given() const {
  return !G().tensors[id].optional || B().fact(Fact::TensorGiven, id, 0) != 0;
}
Tensor Tensor::constant() {
  G().tensors[id].differentiable = false;
  return *this;
}
Tensor Tensor::in_range(Index index) {
  G().tensors[id].range_axis = G().indices[index.id].axis;
  return *this;
}
Tensor Tensor::up_to(Index index) {
  in_range(index);
  G().tensors[id].range_inclusive = true;
  return *this;
}
Tensor Tensor::ascending(Where w) {
  B().locate(w);
  ir::Tensor& t = G().tensors[id];
  if (t.type != Type::Int || t.dims.empty())
    B().fail(fmt::format("ascending: tensor '{}' is no row of integers", t.name));
  t.ascending = true;
  return *this;
}
Tensor Tensor::ignoring(Param p) {
  G().tensors[id].ignore_param = p.id;
  return *this;
}
Tensor Tensor::or_minus_one() {
  G().tensors[id].allow_minus_one = true;
  return *this;
}

Param param(const char* name, double fallback, const char* doc, Where w) {
  B().locate(w);
  for (const ir::Param& other : G().params)
    if (other.name == name) B().fail(fmt::format("two params are named '{}'", name));
  G().params.push_back({.name = name, .doc = doc, .fallback = fallback});
  B().params_at[static_cast<Id>(G().params.size() - 1)] = w;
  return {static_cast<Id>(G().params.size() - 1)};
}
Param Param::positive() {
  auto& p = G().params[id];
  p.low = 0, p.low_open = true;
  return *this;
}
Param Param::at_least(double low) {
  G().params[id].low = low;
  return *this;
}
Param Param::between(double low, double high) {
  auto& p = G().params[id];
  p.low = low, p.high = high;
  return *this;
}
Param Param::integer() {
  G().params[id].integer = true;
  return *this;
}
bool Param::is_zero() const { return B().fact(Fact::ParamZero, id, G().params[id].fallback == 0) != 0; }

Option option(const char* name, std::initializer_list<const char*> choices, const char* doc, Where w) {
  B().locate(w);
  for (const OptionInfo& other : B().program.options)
    if (other.name == name) B().fail(fmt::format("two options are named '{}'", name));
  OptionInfo info{name, doc, {}};
  for (const char* c : choices) info.choices.emplace_back(c);
  B().program.options.push_back(std::move(info));
  return {static_cast<int>(B().program.options.size() - 1)};
}
namespace {
int number_of(const OptionInfo& o, const char* choice, Where w) {
  auto it = std::find(o.choices.begin(), o.choices.end(), choice);
  if (it == o.choices.end())
    B().fail(fmt::format("option '{}' has no choice '{}': want {}", o.name, choice, fmt::join(o.choices, ", ")), w);
  return static_cast<int>(it - o.choices.begin());
}
}  // namespace
bool Option::is(const char* choice, Where w) const {
  const OptionInfo& o = B().program.options[id];
  const int n = number_of(o, choice, w);
  if (o.param != ir::kNone)
    B().fail(fmt::format("option '{}' is known only when the loss runs; ask chosen(), which is a condition on values", o.name), w);
  return B().fact(Fact::Option, id, 0) == n;
}
Option Option::at_runtime() {
  OptionInfo& o = B().program.options[id];
  for (const Fact& f : B().program.facts)
    if (f.kind == Fact::Option && f.id == id) B().fail(fmt::format("option '{}' was asked is() before at_runtime()", o.name));
  o.param = static_cast<Id>(G().params.size());
  G().params.push_back({.name = o.name, .doc = o.doc, .low = 0, .high = static_cast<double>(o.choices.size()) - 1, .integer = true});
  return *this;
}
Expr Option::chosen(const char* choice, Where w) const {
  const OptionInfo& o = B().program.options[id];
  const int n = number_of(o, choice, w);
  if (o.param == ir::kNone)
    B().fail(fmt::format("option '{}' is structural; ask is(), or declare it at_runtime()", o.name), w);
  B().locate(w);
  return Expr::of(G().binary(Op::Eq, G().param(o.param), G().constant(n, Type::Int)));
}

void require(Arg condition, const char* text, Where w) {
  B().locate(w);
  const Id node = B().as_bool(condition);
  check_of_extents("require", node);
  if (!*text) B().fail("require: say in words what is wanted");
  B().program.requirements.push_back({node, text});
}

// ---- operators -------------------------------------------------------------------------------------------------

Expr operator+(Arg a, Arg b) { return arithmetic(Op::Add, a, b); }
Expr operator-(Arg a, Arg b) { return arithmetic(Op::Sub, a, b); }
Expr operator*(Arg a, Arg b) { return arithmetic(Op::Mul, a, b); }
Expr operator/(Arg a, Arg b) { return arithmetic(Op::Div, a, b); }
Expr operator%(Arg a, Arg b) { return Expr::of(G().binary(Op::Mod, B().as_int(a), B().as_int(b))); }
Expr operator-(Arg a) {
  if (G().type(a.node) == Type::Int) return Expr::of(G().unary(Op::Neg, a.node));
  return unary(Op::Neg, a);
}
Expr operator<(Arg a, Arg b) { return arithmetic(Op::Lt, a, b); }
Expr operator<=(Arg a, Arg b) { return arithmetic(Op::Le, a, b); }
Expr operator>(Arg a, Arg b) { return arithmetic(Op::Lt, b, a); }
Expr operator>=(Arg a, Arg b) { return arithmetic(Op::Le, b, a); }
Expr operator==(Arg a, Arg b) { return arithmetic(Op::Eq, a, b); }
Expr operator!=(Arg a, Arg b) { return arithmetic(Op::Ne, a, b); }
Expr operator&&(Arg a, Arg b) { return Expr::of(G().binary(Op::And, B().as_bool(a), B().as_bool(b))); }
Expr operator||(Arg a, Arg b) { return Expr::of(G().binary(Op::Or, B().as_bool(a), B().as_bool(b))); }
Expr operator!(Arg a) { return Expr::of(G().unary(Op::Not, B().as_bool(a))); }

Expr select(Arg c, Arg t, Arg f) {
  Id condition = B().as_bool(c);
  if (G().type(t.node) == Type::Bool && G().type(f.node) == Type::Bool) return Expr::of(G().select(condition, t.node, f.node));
  auto [x, y] = B().same(t, f);
  return Expr::of(G().select(condition, x, y));
}
Expr number(Arg a) {
  if (G().type(a.node) == Type::Bool) return Expr::of(G().select(a.node, G().constant(1), G().constant(0)));
  return Expr::of(B().as_float(a));
}

// ---- elementwise words -----------------------------------------------------------------------------------------

Expr abs(Arg a) { return unary(Op::Abs, a); }
Expr sign(Arg a) { return unary(Op::Sign, a); }
Expr exp(Arg a) { return unary(Op::Exp, a); }
Expr expm1(Arg a) { return unary(Op::Expm1, a); }
Expr log(Arg a) { return unary(Op::Log, a); }
Expr log1p(Arg a) { return unary(Op::Log1p, a); }
Expr sqrt(Arg a) { return unary(Op::Sqrt, a); }
Expr rsqrt(Arg a) { return 1.0 / sqrt(a); }
Expr sq(Arg a) { return Expr::of(a.node) * Expr::of(a.node); }
Expr pow(Arg a, Arg b) { return Expr::of(G().binary(Op::Pow, B().as_float(a), B().as_float(b))); }
Expr tanh(Arg a) { return unary(Op::Tanh, a); }
Expr sigmoid(Arg a) { return unary(Op::Sigmoid, a); }
Expr softplus(Arg a) { return unary(Op::Softplus, a); }
Expr log_sigmoid(Arg a) { return -softplus(-Expr::of(B().as_float(a))); }
Expr erf(Arg a) { return unary(Op::Erf, a); }
Expr erfc(Arg a) { return unary(Op::Erfc, a); }
Expr sin(Arg a) { return unary(Op::Sin, a); }
Expr cos(Arg a) { return unary(Op::Cos, a); }
Expr acos(Arg a) { return unary(Op::Acos, a); }
Expr asin(Arg a) { return unary(Op::Asin, a); }
Expr atan2(Arg y, Arg x) { return Expr::of(G().binary(Op::Atan2, B().as_float(y), B().as_float(x))); }
Expr lgamma(Arg a) { return unary(Op::Lgamma, a); }
Expr to_int(Arg a) { return Expr::of(G().unary(Op::ToInt, B().as_float(a))); }
Expr floor(Arg a) { return unary(Op::Floor, a); }
Expr round(Arg a) { return unary(Op::Round, a); }
Expr is_nan(Arg a) { return unary(Op::IsNan, a); }
Expr extent(Index index) { return Expr::of(G().extent(G().indices[index.id].axis)); }

// relu keeps NaN because the comparison fails for it and the value itself is taken.
Expr relu(Arg a) {
  Id x = B().as_float(a), zero = G().constant(0);
  return Expr::of(G().select(G().binary(Op::Le, x, zero), zero, x));
}
Expr clamp(Arg a, Arg low, Arg high) {
  const auto whole = [](const Arg& e) { return G().at(e.node).type == Type::Int; };
  if (whole(a) && whole(low) && whole(high)) return min(max(a, low), high);
  Id x = B().as_float(a), l = B().as_float(low), h = B().as_float(high);
  return Expr::of(G().select(G().binary(Op::Lt, x, l), l, G().select(G().binary(Op::Lt, h, x), h, x)));
}
Expr max(Arg a, Arg b) { return arithmetic(Op::Max, a, b); }
Expr min(Arg a, Arg b) { return arithmetic(Op::Min, a, b); }

// ---- derivatives -----------------------------------------------------------------------------------------------

Expr stop_gradient(Arg e) {
  if (G().at(e.node).carried) B().fail("stop_gradient of what a scan carries is not supported inside its step; stop that of the result, outside", e.where);
  return Expr::of(G().unary(Op::StopGradient, e.node));
}
Expr straight_through(Arg value, Arg surrogate) {
  if (G().at(value.node).carried) B().fail("straight_through of what a scan carries is not supported inside its step", value.where);
  return Expr::of(G().straight_through(B().as_float(value), B().as_float(surrogate)));
}
Expr custom_gradient(Arg value, std::initializer_list<Adjoint> adjoints) {
  // The surrogate is linear in each input with the given slope; only its derivative is ever used.
  Expr surrogate = 0.0;
  for (const Adjoint& a : adjoints) surrogate = surrogate + stop_gradient(a.derivative) * a.input;
  return straight_through(value, surrogate);
}

// ---- results ---------------------------------------------------------------------------------------------------

namespace {
// "sum(j, ...)", for the first index of the set.
std::string reduced(ir::IndexSet set) {
  Id first = 0;
  while (!(set & ir::bit(first))) first++;
  return fmt::format("sum({}, ...)", G().indices[first].name);
}
void check_free(Id node, const std::vector<Id>& rows, const char* what) {
  ir::IndexSet allowed = 0;
  for (Id r : rows) allowed |= ir::bit(r);
  if (ir::IndexSet extra = G().free(node) & ~allowed)
    B().fail(fmt::format("the {} `{}` still depends on {}, where only {} is left; reduce over it, as in {}, or list it among the rows",
                         what, B().show(node), B().list(extra), B().list(allowed), reduced(extra)));
}
}  // namespace

void loss_per(Indices rows, Arg value, Mask valid, MeanRule mean, Where w) {
  Program& p = B().program;
  B().locate(w);
  if (p.value != ir::kNone) B().fail("a definition states its loss once");
  p.rows = B().present(rows);
  check_dims(p.rows, "the loss");
  p.value = B().as_float(value);
  p.valid = valid.node < 0 ? G().constant(1, Type::Bool) : B().as_bool(Expr::of(valid.node));
  p.mean_weight = mean.weight.node < 0 ? G().constant(1) : B().as_float(mean.weight);
  p.mean_at_least = mean.at_least;
  B().locate(w);
  check_free(p.value, p.rows, "loss");
  check_free(p.valid, p.rows, "validity");
  check_free(p.mean_weight, p.rows, "weight of the mean");
}

void loss_total(Arg value, Where w) { loss_per(Indices({}), value, {}, {}, w); }

void output(const char* name, Indices indices, Arg value, const char* doc) {
  B().program.outputs.push_back({name, doc, B().present(indices), value.node, false});
  check_dims(B().present(indices), fmt::format("output '{}'", name));
  check_free(value.node, B().present(indices), "output");
}
void new_state(const char* name, Indices indices, Arg value, const char* doc) {
  output(name, indices, value, doc);
  B().program.outputs.back().state = true;
}

}  // namespace lossc
