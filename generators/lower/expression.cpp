#include "expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "../by_hand/pointwise.h"
#include "../by_hand/step.h"
#include "../math/math.h"
#include "mask.h"
#include "strict.h"

namespace lossc::lower {

using Halide::Expr;
using ir::Id;
using ir::kNone;
using ir::Op;
using ir::ReduceKind;
using plan::Elem;
using plan::Storage;

namespace {

// Four vectors at a time hide latencies and the loop's own instructions. A long body does both by itself, and its code,
// in as many versions as there are strides and ends of loops, is what makes kernels large. An access is as long as four
// operations: two for the address, one for each dimension that is not the loop's, and itself.
int vectors_at_once(const StepReader& r) {
  bool loops = false;  // a reduction inside
  float length = cost(r);
  r.walk([&](Id node) {
    const Op op = r.g.at(node).op;
    if (r.buffer_of(node) >= 0 || op == Op::Load) length += 4;
    loops |= r.buffer_of(node) < 0 && op == Op::Reduce;
  });
  return loops || length > 40 ? 1 : length > 20 ? 2 : 4;
}

}  // namespace

// Where Halide takes a vector apart (x % 2 along it) it puts two lanes together as ramp(a, b - a), of floats, too: b then
// comes out as a + (b - a), and a NaN or infinity in one lane is in both. Four lanes it concatenates.
constexpr int kFewestLanes = 4;

Lowering::Lowering(const plan::Plan& plan, int step, int float_bits, const schedules::Isa& isa, Code code)
    : reader(plan, step), real(Halide::Float(float_bits)), isa(isa), code(code), lanes(std::max(schedules::vector_lanes(float_bits, isa), kFewestLanes)),
      tile(schedules::tile_columns(float_bits, isa)), chunk(tile * rt::kChunkTiles), block(lanes * (code == Code::Small ? 1 : vectors_at_once(reader))) {
  int count = 0;
  auto scalar = [&](Halide::Type t) {
    const std::string name = fmt::format("s{}", count++);
    arguments_.emplace_back(name, Halide::Argument::InputScalar, t, 0, Halide::ArgumentEstimates{});
    return Halide::Internal::Variable::make(t, name, Halide::Parameter(t, false, 0, name));
  };
  for (const KernelArg& a : reader.args()) {
    switch (a.kind) {
      case rt::ArgKind::Buffer: {
        if (a.written) break;
        const bool out = std::find(reader.step.outputs.begin(), reader.step.outputs.end(), a.id) != reader.step.outputs.end();
        auto& into = out ? old_ : images_;
        make_image(a.id, into, fmt::format("{}{}", out ? "old" : "in", count++));
        arguments_.push_back(into.at(a.id));
        break;
      }
      case rt::ArgKind::Param: params_[a.id] = scalar(real); break;
      case rt::ArgKind::IntParam: params_[a.id] = scalar(Halide::Int(32)); break;
      case rt::ArgKind::Extent: extents_[a.id] = scalar(Halide::Int(32)); break;
      case rt::ArgKind::RowBegin: row_begin_ = scalar(Halide::Int(32)); break;
      case rt::ArgKind::RowEnd: row_end_ = scalar(Halide::Int(32)); break;
      case rt::ArgKind::Heap: break;
    }
  }
  reader.walk([&](Id node) {
    const ir::Node& n = reader.g.at(node);
    const bool computed = reader.buffer_of(node) < 0;
    bool reduces = computed && n.op == Op::Reduce;
    for (Id a : n.args) reduces |= computed && n.op != Op::At && reduces_[a];
    reduces_[node] = reduces;
  });
}

Halide::Type Lowering::type(Elem elem) const {
  return elem == Elem::Float ? real : elem == Elem::Int32 ? Halide::Int(32) : Halide::UInt(8);
}
Expr Lowering::stored(Expr e) const { return e.type().is_bool() ? Halide::cast<uint8_t>(e) : e; }

Expr Lowering::constant(double v, ir::Type t) const {
  if (t == ir::Type::Bool) return Halide::cast<bool>(Expr(v != 0));
  if (t == ir::Type::Int) return Expr(static_cast<int32_t>(v));
  return Halide::Internal::make_const(real, v);
}

void Lowering::make_image(int b, std::map<int, Halide::ImageParam>& into, const std::string& name) {
  const plan::Buffer& f = reader.plan.buffers[b];
  const int dims = f.layout.tiled ? 3 : static_cast<int>(f.layout.order.size());
  Halide::ImageParam image(type(f.elem), dims, name);
  if (f.layout.tiled) {
    image.dim(0).set_bounds(0, tile).set_stride(1);
    image.dim(1).set_stride(tile);
  } else if (dims > 0 && f.storage == Storage::Input) {
    image.dim(0).set_stride(Expr());  // the caller's tensors have any stride; see dense()
  }
  into.emplace(b, image);
}

std::vector<Halide::Argument> Lowering::arguments() const { return arguments_; }

Expr Lowering::extent(Id index) { return extents_.at(reader.g.indices[index].axis); }
Expr Lowering::begin(Id index) { return index == reader.plan.row && row_begin_.defined() ? row_begin_ : Expr(0); }
Expr Lowering::end(Id index) { return index == reader.plan.row && row_end_.defined() ? row_end_ : extent(index); }

Expr Lowering::dense(Id index, std::optional<int> implicit_stride) {
  Expr all;
  for (auto& [b, image] : images_) {
    const plan::Buffer& f = reader.plan.buffers[b];
    if (f.storage != Storage::Input || f.layout.order.empty()) continue;
    const ir::Tensor& t = reader.g.tensors[f.tensor];
    if (reader.g.indices[f.layout.order.back()].axis != reader.g.indices[index].axis) continue;
    const bool implicit = t.role == ir::TensorRole::Implicit;
    if (implicit && (chunks() || !implicit_stride)) continue;  // see stands_in
    const int want = implicit ? *implicit_stride : 1;
    Expr here = image.dim(0).stride() == want;
    all = all.defined() ? all && here : here;
  }
  return all;
}

Expr Lowering::has_chunk(Id index) {
  for (auto& [b, image] : images_) {
    const plan::Buffer& f = reader.plan.buffers[b];
    const bool implicit = f.storage == Storage::Input && reader.g.tensors[f.tensor].role == ir::TensorRole::Implicit;
    if (implicit || f.layout.tiled || f.layout.order.empty()) continue;
    if (reader.g.indices[f.layout.order.back()].axis == reader.g.indices[index].axis) return image.dim(0).extent() >= chunk;
  }
  return {};
}

// Are all options that the step asks at run time at their first choice, number 0? Undefined: it asks none.
Expr Lowering::first_choices() const {
  std::set<Id> options;
  reader.walk([&](Id node) {
    const ir::Node& n = reader.g.at(node);
    if (n.op != Op::Eq || reader.buffer_of(node) >= 0) return;
    for (int k : {0, 1}) {
      const ir::Node &a = reader.g.at(n.args[k]), &b = reader.g.at(n.args[1 - k]);
      if (a.op == Op::Param && reader.g.params[a.sym].integer && b.op == Op::Const) options.insert(a.sym);
    }
  });
  Expr all;
  for (Id o : options) all = all.defined() ? all && params_.at(o) == 0 : params_.at(o) == 0;
  return all;
}

std::vector<Expr> Lowering::fast_cases(Id index, const Expr& also) {
  std::vector<Expr> cases;
  for (int implicit : {0, 1}) {
    Expr c = code == Code::Small ? dense(index, {}) : dense(index, implicit);
    if (also.defined()) c = c.defined() ? c && also : also;
    if (!c.defined()) break;
    if (cases.empty() || !Halide::Internal::equal(cases.back(), c)) cases.push_back(c);
  }
  if (code == Code::Small) return cases;
  const Expr first = first_choices();
  if (!cases.empty() && first.defined() && reader.step.domain.size() > 1) cases.insert(cases.begin(), cases[0] && first);
  return cases;
}

namespace {

std::vector<Halide::Var> vars_of(const std::vector<Expr>& list) {
  std::vector<Halide::Var> out;
  for (const Expr& e : list) out.emplace_back(e.as<Halide::Internal::Variable>()->name);
  return out;
}

}  // namespace

// ---- memory ----------------------------------------------------------------------------------------------------

// The last lanes of a tile or chunk may lie past the end of a linear array; what is read there is not used, but it must be
// memory. Either the loop has a version in which they do not, or it is all about the end, or `likely` lets Halide split
// off the part where it matters.
Expr Lowering::within(const Expr& v, const Expr& end) const {
  const Expr last = last_place(end);
  if (whole.defined()) return Halide::select(whole, v, Halide::min(v, last));
  return Halide::min(at_end ? v : Halide::likely(v), last);
}

Expr Lowering::element(int b, std::vector<Position> dims) {
  const plan::Buffer& f = reader.plan.buffers[b];
  Halide::ImageParam& image = images_.at(b);
  std::vector<Expr> at;
  if (f.layout.tiled) {
    const Position& c = dims[1];
    if (c.inner.defined())
      at = {c.inner, dims[0].value, c.outer};
    else
      at = {c.value % tile, dims[0].value, c.value / tile};
  } else {
    for (size_t k = dims.size(); k-- > 0;) {
      Expr v = dims[k].value;
      if (dims[k].inner.defined() || dims[k].past_end) {
        const auto dim = image.dim(static_cast<int>(dims.size() - 1 - k));
        // Rows of a panel, if they are what is vectorised, do not begin at 0 as the caller's do.
        const bool callers = f.storage == plan::Storage::Input || f.storage == plan::Storage::Output;
        const Expr first = callers ? Expr(0) : Expr(dim.min());
        v = within(v, first + Halide::max(dim.extent() - 1, 0));
      }
      at.push_back(v);
    }
  }
  Expr e = image(at);
  return f.elem == Elem::UInt8 ? e != 0 : e;
}

Expr Lowering::load(int b, const Positions& at) {
  std::vector<Position> dims;
  for (Id k : reader.plan.buffers[b].layout.order) dims.push_back(at.at(k));
  return element(b, dims);
}

// ---- expressions -----------------------------------------------------------------------------------------------

Expr Lowering::value(Id node, const Positions& at) {
  // Positions differ between the places where a node is evaluated (a lookup, an inner reduction), so they are part of
  // what is remembered.
  std::string where;
  where = fmt::format("{};", stage);
  for (Id k = 0; k < 64; k++)
    if (reader.g.free(node) >> k & 1)
      if (auto it = at.find(k); it != at.end()) {
        // What is remembered by address must not be freed, or a new expression could be taken for it.
        kept_.push_back(it->second);
        where += fmt::format("{}@{}/{};", k, static_cast<const void*>(it->second.value.get()), static_cast<const void*>(it->second.inner.get()));
      }
  auto key = std::make_pair(node, where);
  if (auto it = memo_.find(key); it != memo_.end()) return it->second;
  const int b = reader.buffer_of(node);
  const bool kept = std::find(reader.step.kept.begin(), reader.step.kept.end(), node) != reader.step.kept.end();
  // Outside the walks what costs more than a load is shared, too.
  const bool once = chunks() && (stands_in(node) || (once_a_chunk(node) && (walking_ || dear(node))));
  Expr e = b >= 0 ? load(b, at) : kept || once ? from_inner(node, at) : compute(node, at);
  return memo_[key] = e;
}

Expr Lowering::compute(Id node, const Positions& at) {
  const ir::Node n = reader.g.at(node);
  auto arg = [&](size_t k) { return value(n.args[k], at); };
  switch (n.op) {
    case Op::Const: return constant(n.value, n.type);
    case Op::Param: return params_.at(n.sym);
    case Op::Extent: return extents_.at(n.sym);
    case Op::Index: return at.at(n.sym).value;
    case Op::StopGradient: return arg(0);
    case Op::StraightThrough: return arg(0);
    case Op::ByHand: return by_hand(n, at);
    case Op::WholeByHand: return whole_by_hand(n, at);
    case Op::Select: return strict::select(arg(0), arg(1), arg(2));
    case Op::Reduce: return from_inner(node, at);
    case Op::Load: {
      const int b = reader.buffer_of_tensor(n.sym);
      const std::vector<Id> positions = reader.positions(node);
      std::vector<Position> dims;
      for (size_t k = 0; k < positions.size(); k++) {
        const Id plain = reader.g.plain_index(positions[k]);
        if (plain != kNone) {
          dims.push_back(at.at(plain));
          continue;
        }
        // Labels are checked before a run, but rows dropped by their definition may hold anything.
        Expr last = images_.at(b).dim(static_cast<int>(positions.size() - 1 - k)).extent() - 1;
        dims.push_back({Halide::clamp(value(positions[k], at), 0, Halide::max(last, 0)), Expr(), Expr()});
      }
      return element(b, dims);
    }
    case Op::At: {
      const int b = reader.buffer_of(plan::looked_up_in(reader.g, node));
      Positions there = at;
      const Id plain = reader.g.plain_index(n.args[1]);
      if (plain != kNone) {
        there[n.sym] = at.at(plain);
      } else if (const auto& dims = reader.plan.buffers[b].layout.order; std::find(dims.begin(), dims.end(), n.sym) == dims.end()) {
        // Only in the position of a lookup inside this one, which is kept within the memory itself.
        there[n.sym] = {arg(1), Expr(), Expr()};
      } else {
        const auto& order = reader.plan.buffers[b].layout.order;
        const bool tiled = reader.plan.buffers[b].layout.tiled;
        const int place = static_cast<int>(std::find(order.begin(), order.end(), n.sym) - order.begin());
        const int dim = tiled ? (place == 0 ? 1 : 2) : static_cast<int>(order.size()) - 1 - place;
        Expr last = images_.at(b).dim(dim).extent() * (tiled && place == 1 ? tile : 1) - 1;
        there[n.sym] = {Halide::clamp(arg(1), 0, Halide::max(last, 0)), Expr(), Expr()};
      }
      return reader.buffer_of(n.args[0]) < 0 ? compute(n.args[0], there) : load(b, there);
    }
    default: break;
  }
  return n.args.size() == 1 ? unary(n.op, arg(0), reader.g.type(n.args[0])) : binary(n.op, arg(0), arg(1));
}

Expr Lowering::by_hand(const ir::Node& n, const Positions& at) {
  std::vector<Expr> operands;
  for (Id a : n.args) operands.push_back(value(a, at));
  const auto& code = dynamic_cast<const lossc::by_hand::Pointwise&>(*reader.g.by_hand[static_cast<size_t>(n.sym)]);
  return code.lower(operands, real.bits(), math::Env{isa.features.find("fma") != std::string_view::npos});
}

// Where an operand of a step lies, and which of the coordinates it is read at is each dimension of that memory, outermost
// first: the caller's tensor has its own order, and what does not depend on an index is stored without it.
std::vector<size_t> Lowering::coordinates_of(const ir::Node& step, size_t operand, int* buffer) const {
  const Id node = step.args[operand];
  const std::vector<Id>& dims = reader.g.whole[static_cast<size_t>(step.sym2)].operands[operand];
  *buffer = reader.buffer_of(node);
  std::vector<Id> order;
  if (*buffer >= 0) {
    order = reader.plan.buffers[*buffer].layout.order;
  } else {
    *buffer = reader.buffer_of_tensor(reader.g.at(node).sym);
    for (Id position : reader.positions(node)) order.push_back(reader.g.plain_index(position));
  }
  std::vector<size_t> out;
  for (Id index : order) out.push_back(static_cast<size_t>(std::find(dims.begin(), dims.end(), index) - dims.begin()));
  return out;
}

Expr Lowering::whole_by_hand(const ir::Node& n, const Positions& at) {
  const ir::Whole& over = reader.g.whole[static_cast<size_t>(n.sym2)];
  HalideStep step;
  for (size_t k = 0; k < n.args.size(); k++) {
    int b = -1;
    const std::vector<size_t> coordinates = coordinates_of(n, k, &b);
    HalideReader read;
    for (Id d : over.operands[k]) read.extent.push_back(extent(d));
    read.read = [=, this, extents = read.extent](const std::vector<Expr>& place) {
      const std::vector<Expr> inside = lossc::by_hand::nearest(place, extents);
      std::vector<Position> dims;
      for (size_t c : coordinates) dims.push_back({inside.at(c), Expr(), Expr()});
      // What is the same along a coordinate still mentions it, for Halide::sum and its like look for their RDom in what they
      // reduce. Halide simplifies it away after that.
      Expr value = element(b, dims);
      for (size_t c = 0; c < inside.size(); c++)
        if (std::find(coordinates.begin(), coordinates.end(), c) == coordinates.end()) value = Halide::select(inside[c] >= 0, value, value);
      return value;
    };
    step.in.push_back(read);
  }
  for (Id d : over.out) step.at.push_back(at.at(d).value), step.extent.push_back(extent(d));
  return dynamic_cast<const lossc::by_hand::Step&>(*reader.g.by_hand[static_cast<size_t>(n.sym)]).lower(step);
}

Expr Lowering::unary(Op op, Expr x, ir::Type operand) {
  const math::Env env{isa.features.find("fma") != std::string_view::npos};
  auto c = [&](double v) { return Halide::Internal::make_const(x.type(), v); };
  switch (op) {
    case Op::Neg: return strict::neg(x);
    case Op::Abs: return strict::abs(x);
    case Op::Sign:
      return Halide::select(strict::is_nan(x), x, strict::lt(c(0), x), c(1), strict::lt(x, c(0)), c(-1), c(0));
    case Op::Exp: return math::exp(x, env);
    case Op::Expm1: return math::expm1(x, env);
    case Op::Log: return math::log(x);
    case Op::Log1p: return math::log1p(x);
    case Op::Sqrt: return math::sqrt(x);
    case Op::Tanh: return math::tanh(x, env);
    case Op::Sigmoid: return math::sigmoid(x, env);
    case Op::Softplus: return math::softplus(x, env);
    case Op::Erf: return math::erf(x, env);
    case Op::Erfc: return math::erfc(x, env);
    case Op::Sin: return math::sin(x);
    case Op::Cos: return math::cos(x);
    case Op::Acos: return math::acos(x);
    case Op::Asin: return math::asin(x);
    case Op::Lgamma: return math::lgamma(x);
    case Op::Digamma: return math::digamma(x);
    case Op::Trigamma: return math::trigamma(x);
    case Op::Floor: return Halide::floor(x);
    case Op::Round: return Halide::round(x);
    case Op::ZeroRecip: return strict::select(strict::eq(x, c(0)), c(0), strict::div(c(1), x));
    case Op::IsNan: return strict::is_nan(x);
    case Op::IsFinite: return strict::is_finite(x);
    case Op::Not: return !x;
    case Op::ToInt:
      return Halide::select(strict::is_nan(x), -1, Halide::cast<int32_t>(Halide::floor(
                 strict::max_nan(strict::min_nan(strict::select(strict::is_nan(x), c(0), x), c(0x1p30)), c(-0x1p30)))));
    case Op::ToFloat: return operand == ir::Type::Float ? x : Halide::cast(real, x);
    default: break;
  }
  throw std::runtime_error(fmt::format("`{}` has no code generation yet", ir::name(op)));
}

Expr Lowering::binary(Op op, Expr a, Expr b) {
  switch (op) {
    case Op::Add: return strict::add(a, b);
    case Op::Sub: return strict::sub(a, b);
    case Op::Mul: return strict::mul(a, b);
    case Op::Div: return strict::div(a, b);
    case Op::Mod: return a % b;
    case Op::Pow: return math::pow(a, b, math::Env{isa.features.find("fma") != std::string_view::npos});
    case Op::Atan2: return math::atan2(a, b);
    case Op::Max: return a.type().is_float() ? strict::max_nan(a, b) : Halide::max(a, b);
    case Op::Min: return a.type().is_float() ? strict::min_nan(a, b) : Halide::min(a, b);
    case Op::Lt: return strict::lt(a, b);
    case Op::Le: return strict::le(a, b);
    case Op::Eq: return strict::eq(a, b);
    case Op::Ne: return !strict::eq(a, b);
    case Op::And: return a && b;
    case Op::Or: return a || b;
    default: break;
  }
  throw std::runtime_error(fmt::format("`{}` has no code generation yet", ir::name(op)));
}

// ---- once a chunk ----------------------------------------------------------------------------------------------

// Kernels that walk one index several times for each chunk of the next (the last): see Step::kept. Maps also do so for what
// they reduce themselves.
bool Lowering::chunks() const {
  const plan::Step& s = reader.step;
  if (s.tiled || (s.over != kNone && s.over != s.domain.back())) return false;
  if (s.domain.size() >= 3) return true;
  const auto walk = [&](const auto& known) { return known.second && reader.g.at(known.first).op == Op::Reduce; };
  return s.domain.size() == 2 && s.over == kNone && std::any_of(reduces_.begin(), reduces_.end(), walk);
}

// A value that a walk does not change although it comes out of one: 1 / sum over the classes, for the pixel.
bool Lowering::once_a_chunk(Id node) const {
  const ir::Node& n = reader.g.at(node);
  const auto& domain = reader.step.domain;
  const auto has = [&](Id index) { return (n.free >> index & 1) != 0; };
  const auto it = reduces_.find(node);
  ir::IndexSet around = 0;
  for (Id k : domain) around |= ir::IndexSet{1} << k;
  if (n.free & ~around) return false;  // it changes with what an inner reduction runs over
  return n.op != Op::Reduce && it != reduces_.end() && it->second && has(domain.back()) && !has(domain[domain.size() - 2]);
}

// Weights and masks of the rows: dense, or a stand-in of stride 0. Read once a chunk, they need no version of the loops.
bool Lowering::stands_in(Id node) const {
  const ir::Node& n = reader.g.at(node);
  return n.op == Op::Load && reader.g.tensors[n.sym].role == ir::TensorRole::Implicit && !n.args.empty() &&
         reader.g.plain_index(n.args.back()) == reader.step.domain.back();
}

bool Lowering::dear(Id node) const {
  const Op op = reader.g.at(node).op;
  return op == Op::Div || op == Op::ZeroRecip || op == Op::Sqrt || ir::transcendental(op);
}

size_t Lowering::new_inner(Id node, bool heap, Positions* here) {
  const size_t id = inner.size();
  const ir::IndexSet free = reader.g.free(node);
  const Id along = reader.step.domain.back();
  inner.push_back({Halide::Func(fmt::format("inner{}", id)), {}, stage, heap});
  if (free >> along & 1) inner[id].indices.push_back(along);
  // The walked index next to the chunk, the rows outside.
  for (size_t k = reader.step.domain.size(); k-- > 0;)
    if (const Id index = reader.step.domain[k]; index != along && (free >> index & 1)) inner[id].indices.push_back(index);
  for (Id k : inner[id].indices) {
    Halide::Var v(fmt::format("v{}_{}", id, k));
    (*here)[k] = {v, Expr(), Expr(), past_end && k == along};
  }
  return id;
}

void Lowering::define_reduction(size_t id, Id node, Positions here) {
  const ir::Node n = reader.g.at(node);
  std::vector<Expr> at_vars;
  for (Id k : inner[id].indices) at_vars.push_back(here.at(k).value);
  Halide::RDom r(0, extent(n.sym), fmt::format("r{}", id));
  here[n.sym] = {r.x, Expr(), Expr()};
  std::vector<Expr> body{stored(value(n.args[0], here))};
  if (selects(n.kind)) body.push_back(r.x);
  Halide::Func f = inner[id].f;
  f(vars_of(at_vars)) = Halide::Tuple(start(*this, n.kind, body[0].type()));
  std::vector<Expr> acc;
  for (size_t k = 0; k < body.size(); k++) acc.push_back(body.size() == 1 ? Expr(f(at_vars)) : Expr(f(at_vars)[k]));
  f(vars_of(at_vars)) = Halide::Tuple(combine(n.kind, acc, body));
}

void Lowering::define_value(size_t id, Id node, const Positions& here) {
  std::vector<Expr> at_vars;
  for (Id k : inner[id].indices) at_vars.push_back(here.at(k).value);
  Halide::Func f = inner[id].f;
  f(vars_of(at_vars)) = stored(compute(node, here));
}

std::vector<schedules::Chunked> Lowering::chunked() const {
  std::vector<schedules::Chunked> out;
  const auto& domain = reader.step.domain;
  const Id walked = domain.size() >= 2 ? domain[domain.size() - 2] : kNone;
  for (const Inner& in : inner) {
    const bool every = !in.heap && std::find(in.indices.begin(), in.indices.end(), walked) != in.indices.end();
    const bool along = !in.indices.empty() && in.indices[0] == domain.back();
    out.push_back({in.f, along, every, in.stage});
  }
  // What one that is there before the walk reads is there before it, too.
  for (bool moved = true; moved;) {
    moved = false;
    for (const schedules::Chunked& user : out) {
      if (user.every) continue;
      const auto reads = Halide::Internal::find_direct_calls(user.f.function());
      for (schedules::Chunked& c : out)
        if (c.every && reads.count(c.f.name())) c.every = false, moved = true;
    }
  }
  return out;
}

// Memory sees one chunk of each class after another; what a kept value reads of the caller's tensors in the order of the
// loop is fetched a chunk ahead, while the exponentials keep the core busy.
void Lowering::fetch_ahead(size_t id, Id node) {
  const auto& domain = reader.step.domain;
  std::set<int> found;
  for (Id each : ir::topological(reader.g, {node})) {
    const ir::Node& n = reader.g.at(each);
    if (n.op != Op::Load || n.args.size() != domain.size()) continue;
    bool plain = true;
    for (size_t k = 0; k < domain.size(); k++) plain = plain && reader.g.plain_index(n.args[k]) == domain[k];
    const int b = reader.buffer_of_tensor(n.sym);
    if (plain && b >= 0) found.insert(b);
  }
  for (int b : found) {
    ahead.push_back({inner[id].f.name(), images_.at(b).name(), chunk});
    // What the walk after it writes: a store to a line that is not there waits for it, and others behind it.
    for (const auto& out : written) ahead.push_back({inner[id].f.name(), images_.at(b).name(), 0, out, static_cast<int>(domain.size())});
  }
}

// What all walks read, such as the labels of pixels.
void Lowering::fetch_rest_ahead() {
  const auto& domain = reader.step.domain;
  std::set<int> found;
  reader.walk([&](Id node) {
    const ir::Node& n = reader.g.at(node);
    if (n.op != Op::Load || reader.buffer_of(node) >= 0 || n.args.empty() || n.args.size() >= domain.size()) return;
    if (reader.g.plain_index(n.args.back()) == domain.back()) found.insert(reader.buffer_of_tensor(n.sym));
  });
  for (int b : found) ahead.push_back({"", images_.at(b).name(), chunk});
}

// The node as a Func of its own, over its free indices.
Expr Lowering::from_inner(Id node, const Positions& at) {
  const ir::Node n = reader.g.at(node);
  auto [it, fresh] = inner_of_.try_emplace({node, stage}, 0);
  if (fresh) {
    const bool keep = std::find(reader.step.kept.begin(), reader.step.kept.end(), node) != reader.step.kept.end();
    Positions here;
    const bool walking = std::exchange(walking_, n.op == Op::Reduce || keep);
    // Its operands may need Funcs of their own, which come first: producers before consumers.
    const size_t id = new_inner(node, keep, &here);
    n.op == Op::Reduce ? define_reduction(id, node, here) : define_value(id, node, here);
    walking_ = walking;
    inner_of_[{node, stage}] = id;
    if (keep) fetch_ahead(id, node);
  }
  const Inner& f = inner[inner_of_.at({node, stage})];
  std::vector<Expr> args;
  for (Id k : f.indices) args.push_back(at.at(k).value);
  Halide::Func func = f.f;
  Expr e = selects(n.kind) && n.op == Op::Reduce ? Expr(func(args)[1]) : Expr(func(args));
  return n.type == ir::Type::Bool ? e != 0 : e;
}

// ---- running reductions ----------------------------------------------------------------------------------------

std::vector<Expr> start(const Lowering& l, ReduceKind kind, Halide::Type value) {
  (void)l;
  Expr id = Halide::Internal::make_const(value, ir::identity(kind));
  if (selects(kind)) return {id, Expr(0)};
  return {id};
}

std::vector<Expr> combine(ReduceKind kind, const std::vector<Expr>& acc, const std::vector<Expr>& next) {
  const Expr a = acc[0], x = next[0];
  switch (kind) {
    case ReduceKind::Sum: return {strict::add(a, x)};  // lanes are written out: nothing is left to reassociate
    case ReduceKind::Prod: return {strict::mul(a, x)};
    case ReduceKind::Any: return {a | x};
    case ReduceKind::All: return {a & x};
    case ReduceKind::MaxNum: return {strict::select(strict::lt(a, x), x, a)};  // NaN loses
    case ReduceKind::Max: return {strict::max_nan(a, x)};
    case ReduceKind::Min: return {strict::min_nan(a, x)};
    default: {
      // Strictly better, or the first NaN; on a tie the lower index (partial results meet in any order).
      const Expr x_nan = strict::is_nan(x), a_nan = strict::is_nan(a);
      const Expr better = kind == ReduceKind::ArgMax ? strict::lt(a, x) : strict::lt(x, a);
      const Expr tie = (strict::eq(x, a) || (x_nan && a_nan)) && next[1] < acc[1];
      // An untouched accumulator holds the identity and index 0, which is the answer for an empty row too.
      const Expr take = (better && !a_nan) || (x_nan && !a_nan) || tie;
      return {strict::select(take, x, a), Halide::select(take, next[1], acc[1])};
    }
  }
}

}  // namespace lossc::lower
