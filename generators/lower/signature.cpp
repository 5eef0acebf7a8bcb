// Arguments and identity of a step's kernel.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "step_reader.h"

namespace lossc::lower {

using ir::Id;
using ir::kNone;
using ir::Op;
using plan::StepKind;
using plan::Storage;
using rt::ArgKind;

namespace {

// The step in names that do not depend on the loss: indices by their place in the domain, buffers, params and axes by
// their place among the arguments.
class Canonical {
 public:
  explicit Canonical(const StepReader& r) : r_(r) {
    for (Id k : r.step.domain) index(k);
  }

  std::string text() {
    std::string out = fmt::format("k{} t{} a{} d{} o{}\n", static_cast<int>(r_.step.kind), r_.step.tiled, r_.step.accumulates,
                                  r_.step.domain.size(), r_.step.over == kNone ? "-" : index(r_.step.over));
    const auto args = r_.args();
    for (const KernelArg& a : args) out += argument(a);
    r_.walk([&](Id node) { out += line(node); });
    if (r_.step.over != kNone) out += "over " + ranged(r_.step.over) + "\n";
    if (r_.step.kind == StepKind::Scatter) out += "to " + ranged(r_.g.at(r_.step.nodes[0]).sym2) + "\n";
    for (Id e : r_.expressions()) out += "=" + number(e) + "\n";
    for (Id n : r_.step.nodes)
      if (r_.g.at(n).op == Op::Reduce || r_.g.at(n).op == Op::Scatter) out += fmt::format("r{}\n", static_cast<int>(r_.g.at(n).kind));
    for (Id n : r_.step.kept) out += "keep " + number(n) + "\n";
    for (const auto& [n, left] : r_.step.left) out += "leave " + number(n) + " in " + buffer(left) + "\n";
    if (r_.careful() || r_.fetches_written()) out += "in place\n";
    return out;
  }

 private:
  std::string index(Id k) {
    return fmt::format("i{}", index_.try_emplace(k, static_cast<int>(index_.size())).first->second);
  }
  // An index summed over, with the argument that bounds it: the loops of two kernels may be alike but for which extent
  // ends which.
  std::string ranged(Id k) { return index(k) + (k == r_.plan.row ? "r" : axis(r_.g.indices[k].axis)); }
  std::string number(Id node) { return fmt::format("n{}", node_.try_emplace(node, static_cast<int>(node_.size())).first->second); }
  std::string axis(Id a) { return fmt::format("x{}", axis_.try_emplace(a, static_cast<int>(axis_.size())).first->second); }
  std::string param(Id p) { return fmt::format("p{}", param_.try_emplace(p, static_cast<int>(param_.size())).first->second); }

  std::string buffer(int b) {
    const plan::Buffer& f = r_.plan.buffers[b];
    buffer_.try_emplace(b, static_cast<int>(buffer_.size()));
    const bool callers = f.storage == Storage::Input || f.storage == Storage::Output;
    const bool implicit = f.storage == Storage::Input && r_.g.tensors[f.tensor].role == ir::TensorRole::Implicit;
    std::string out = fmt::format("b{}e{}c{}{}{}t{}[", buffer_[b], static_cast<int>(f.elem), f.storage == Storage::Lent ? 2 : callers,
                                  implicit ? "i" : "", f.scratch != plan::Scratch::None ? "s" : "", f.layout.tiled);
    // Dimensions of an input are positions, not the indices it happens to be declared with.
    for (Id k : f.layout.order) out += f.storage == Storage::Input ? "." : index(k);
    return out + "]";
  }

  std::string argument(const KernelArg& a) {
    switch (a.kind) {
      case ArgKind::Buffer: return "B" + buffer(a.id) + (a.written ? "w\n" : "\n");
      case ArgKind::Left: return "L" + buffer(a.id) + "\n";
      case ArgKind::Param: return "P" + param(a.id) + "\n";
      case ArgKind::IntParam: return "I" + param(a.id) + "\n";
      case ArgKind::Extent: return "E" + axis(a.id) + "\n";
      default: return "R\n";
    }
  }

  std::string line(Id node) {
    const ir::Node& n = r_.g.at(node);
    std::string out = number(node) + "=";
    if (int b = r_.buffer_of(node); b >= 0) return out + "load " + buffer(b) + "\n";
    out += fmt::format("{}:{}:{}", static_cast<int>(n.op), static_cast<int>(n.type), static_cast<int>(n.kind));
    switch (n.op) {
      case Op::Const: out += fmt::format(" {:a}", n.value); break;
      case Op::Param: out += " " + param(n.sym); break;
      case Op::Extent: out += " " + axis(n.sym); break;
      case Op::Index: out += " " + index(n.sym); break;
      case Op::Reduce: out += " " + ranged(n.sym); break;
      case Op::ByHand: out += " {" + r_.g.by_hand[static_cast<size_t>(n.sym)]->text() + "}"; break;
      case Op::WholeByHand: {
        out += " {" + r_.g.by_hand[static_cast<size_t>(n.sym)]->text() + "}";
        const ir::Whole& over = r_.g.whole[static_cast<size_t>(n.sym2)];
        for (Id d : over.out) out += " " + index(d) + axis(r_.g.indices[d].axis);
        for (const auto& dims : over.operands) {
          out += " (";
          for (Id d : dims) out += " " + index(d) + axis(r_.g.indices[d].axis);
          out += ")";
        }
        break;
      }
      case Op::Load:
        out += " " + buffer(r_.buffer_of_tensor(n.sym));
        for (Id a : r_.positions(node)) out += " " + number(a);
        return out + "\n";
      case Op::At: {
        const int b = r_.buffer_of(n.args[0]);
        return out + " " + index(n.sym) + " " + (b >= 0 ? buffer(b) : number(n.args[0])) + " " + number(n.args[1]) + "\n";
      }
      default: break;
    }
    for (Id a : n.args) out += " " + number(a);
    return out + "\n";
  }

  const StepReader& r_;
  std::map<Id, int> index_, node_, axis_, param_;
  std::map<int, int> buffer_;
};

}  // namespace

float cost(const StepReader& r) {
  if (r.contract()) return 2;
  if (r.step.kind == StepKind::Walk) return 20;  // a sort's log n comparisons, a log-sum's exp and log
  float total = 0;
  r.walk([&](Id node) {
    if (r.buffer_of(node) >= 0) return;
    switch (r.g.at(node).op) {
      case Op::Const: case Op::Param: case Op::Index: case Op::Extent: case Op::Load: case Op::ToFloat: case Op::At: break;
      case Op::WholeByHand: total += 100; break;  // nobody knows; it reads at will because one element is of many
      default: total += ir::transcendental(r.g.at(node).op) ? 10 : 1;
    }
  });
  return total + (r.step.kind == StepKind::Reduce ? static_cast<float>(r.step.outputs.size()) : 0);
}

namespace {

// Outputs may be cropped along their outermost dimension, if all written buffers share it there. Scratch and sums
// over rows into few numbers are one worker's.
int split_dimension(const StepReader& r) {
  const plan::Buffer& first = r.plan.buffers[r.step.outputs[0]];
  if (r.step.kind == StepKind::Scatter) return -1;
  const size_t places = static_cast<size_t>(std::count_if(first.layout.order.begin(), first.layout.order.end(), [&](Id k) {
    return std::find(r.step.places.begin(), r.step.places.end(), k) != r.step.places.end();
  }));
  if (first.layout.order.size() == places) return -1;  // one element at a place
  if (r.step.kind == StepKind::Walk && first.layout.order.size() == places + 1) return -1;  // one piece
  if (!r.step.scratch.empty() && !r.plan.in_panel(static_cast<int>(&r.step - r.plan.steps.data()))) return -1;
  if (r.step.kind == StepKind::ContractNN) return 1;
  if (first.layout.order.empty()) return -1;
  return first.layout.tiled ? 2 : static_cast<int>(first.layout.order.size() - places) - 1;
}

// May a worker do a range of what the vectorised loop goes along, by whole chunks? What is in loops over places has one place
// of some dimensions at a time; lanes in memory are one worker's.
bool splits_inside(const StepReader& r) {
  const plan::Layout& layout = r.plan.buffers[r.step.outputs[0]].layout;
  const bool kind = r.step.kind == StepKind::Map || r.step.kind == StepKind::Reduce;
  return kind && !r.step.tiled && !layout.tiled && r.step.places.empty() && r.step.scratch.empty() && layout.order.size() >= 2 &&
         layout.order.back() == r.step.domain.back();
}

// May parts of what it reduces over be reduced apart? The kernel is then told of a shorter axis, with what it reads moved: so
// nothing else may ask for a place along that axis, or for how long it is.
class Divisible {
 public:
  explicit Divisible(const StepReader& r) : r_(r), g_(r.g), over_(r.step.over) {}

  bool check() {
    const plan::Step& s = r_.step;
    if (s.kind != StepKind::Reduce || s.tiled || s.accumulates || s.over != s.domain.back() || s.over == r_.plan.row || !s.places.empty()) return false;
    axis_ = g_.indices[over_].axis;
    for (Id n : s.nodes) good_ = good_ && !selects(g_.at(n).kind) && g_.at(n).kind != ir::ReduceKind::LogSumExp;
    for (int b : s.reads) check_buffer(r_.plan.buffers[b]);
    for (Id e : r_.expressions()) visit(e);
    return good_;
  }

 private:
  void check_buffer(const plan::Buffer& b) {
    good_ = good_ && !b.layout.tiled;
    for (Id d : b.layout.order) good_ = good_ && (b.storage == Storage::Input || d == over_ || g_.indices[d].axis != axis_);
  }
  void visit(Id node) {
    if (!seen_.insert(node).second || r_.buffer_of(node) >= 0) return;
    const ir::Node& n = g_.at(node);
    switch (n.op) {
      case Op::Load: return visit_load(n);
      case Op::Index: good_ = good_ && g_.indices[n.sym].axis != axis_; break;
      case Op::Extent: good_ = good_ && n.sym != axis_; break;
      case Op::Reduce: good_ = good_ && g_.indices[n.sym].axis != axis_; break;
      case Op::At: case Op::WholeByHand: good_ = false; break;
      default: break;
    }
    for (Id a : n.args) visit(a);
  }
  void visit_load(const ir::Node& n) {
    int along = 0;
    for (size_t k = 0; k < n.args.size(); k++) {
      const bool dimension = g_.indices[g_.tensors[n.sym].dims[k]].axis == axis_, index = g_.plain_index(n.args[k]) == over_;
      good_ = good_ && dimension == index;
      along += index;
      if (g_.plain_index(n.args[k]) == kNone) visit(n.args[k]);
    }
    good_ = good_ && along <= 1;
  }

  const StepReader& r_;
  const ir::Graph& g_;
  const Id over_;
  Id axis_ = kNone;
  std::set<Id> seen_;
  bool good_ = true;
};

}  // namespace

Signature signature(const plan::Plan& plan, int step) {
  static const char* kKinds[] = {"map", "reduce", "scatter", "walk", "loop", "contract_nn", "contract_tn"};
  const StepReader r(plan, step);
  Signature s;
  s.kind = kKinds[static_cast<int>(r.step.kind)];
  s.args = r.args();
  s.structure = r.contract() || r.step.kind == StepKind::Walk ? s.kind : Canonical(r).text();
  s.split_dim = split_dimension(r);
  s.inner = splits_inside(r);
  s.over = Divisible(r).check();
  s.flops = cost(r);
  return s;
}

}  // namespace lossc::lower
