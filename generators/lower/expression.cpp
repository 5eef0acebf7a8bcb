#include "expression.h"

#include <fmt/format.h>

#include <algorithm>

#include "../by_hand/pointwise.h"
#include "../by_hand/step.h"
#include "mask.h"
#include "strict.h"

namespace lossc::lower {

using Halide::Expr;
using ir::Id;
using ir::kNone;
using ir::Op;
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
      case rt::ArgKind::Left:
        make_image(a.id, images_, fmt::format("left{}", count++));
        arguments_.push_back(images_.at(a.id));
        break;
      case rt::ArgKind::Param: params_[a.id] = scalar(real); break;
      case rt::ArgKind::IntParam: params_[a.id] = scalar(Halide::Int(32)); break;
      case rt::ArgKind::Extent: extents_[a.id] = scalar(Halide::Int(32)); break;
      case rt::ArgKind::RowBegin: row_begin_ = scalar(Halide::Int(32)); break;
      case rt::ArgKind::RowEnd: row_end_ = scalar(Halide::Int(32)); break;
      case rt::ArgKind::Heap: break;
    }
  }
  transcendental_ = reader.computes(ir::transcendental);
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
  if (!cases.empty() && leaves.defined()) cases.insert(cases.begin(), cases[0] && leaves);
  return cases;
}

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
        const bool callers = f.storage == Storage::Input || f.storage == Storage::Lent;
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
  Expr e = b >= 0 ? load(b, at) : kept || once ? from_inner(node, at) : left_behind(node, compute(node, at), at);
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
  return code.lower(operands, real.bits(), env());
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

}  // namespace lossc::lower
