#include "generators/emit/tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsl/hessian.h"
#include "generators/emit/reach.h"
#include "generators/emit/shape_code.h"
#include "generators/lower/lower.h"

namespace lossc::emit {
namespace {

rt::Elem elem(plan::Elem e) {
  return e == plan::Elem::Float ? rt::Elem::Float : e == plan::Elem::Int32 ? rt::Elem::Int32 : rt::Elem::UInt8;
}

rt::DimKind scratch(plan::Scratch s) {
  return s == plan::Scratch::Lanes   ? rt::DimKind::TileInner
         : s == plan::Scratch::Chunk ? rt::DimKind::Chunk
                                     : rt::DimKind::OrderWords;
}

rt::Storage storage(plan::Storage s) {
  switch (s) {
    case plan::Storage::Input:
      return rt::Storage::Input;
    case plan::Storage::Output:
      return rt::Storage::Output;
    case plan::Storage::Whole:
      return rt::Storage::Whole;
    case plan::Storage::Accumulator:
      return rt::Storage::Accumulator;
    case plan::Storage::Panel:
      return rt::Storage::Panel;
    case plan::Storage::Lent:
      return rt::Storage::Lent;
  }
  throw std::logic_error("storage");
}

rt::Merge merge(ir::ReduceKind k) {
  switch (k) {
    case ir::ReduceKind::Sum:
      return rt::Merge::Sum;
    case ir::ReduceKind::Prod:
      return rt::Merge::Prod;
    case ir::ReduceKind::Max:
    case ir::ReduceKind::MaxNum:
      return rt::Merge::Max;
    case ir::ReduceKind::Min:
      return rt::Merge::Min;
    case ir::ReduceKind::Any:
      return rt::Merge::Or;
    case ir::ReduceKind::All:
      return rt::Merge::And;
    case ir::ReduceKind::ArgMax:
    case ir::ReduceKind::ArgMin:
    case ir::ReduceKind::LogSumExp:
      break;
  }
  throw std::logic_error("an argmax over panels cannot be merged from its values alone, a prefix not at all");
}

class FormMaker {
 public:
  FormMaker(const plan::Plan& plan, const FormIds& ids, const LossTables& loss, KernelSet* kernels)
      : plan_(plan), ids_(ids), loss_(loss.interface.name), lowest_(loss.hessian), kernels_(*kernels) {}

  Form make() {
    for (const plan::Buffer& b : plan_.buffers) add_buffer(b);
    for (const plan::Pass& p : plan_.passes) add_pass(p);
    form_.slots = plan_.slots;
    form_.contracts = plan_.contracts;
    for (ir::Id i : plan_.program->rows) form_.rows.push_back(axis_of(i));
    std::string identity = plan::print(plan_);
    for (int k : form_.kernels) identity += "\n" + kernels_.list()[k].name;
    form_.digest = hash64(identity);
    check_limits();
    return std::move(form_);
  }

 private:
  void check_limits() const {
    const auto at_most = [&](const char* what, size_t n, int most) {
      if (n > static_cast<size_t>(most))
        throw DefinitionError(fmt::format("loss '{}': a form of it has {} {}, more than {}; not supported yet", loss_, n, what, most));
    };
    at_most("buffers", form_.buffers.size(), rt::kMaxBuffers);
    at_most("steps", form_.steps.size(), rt::kMaxSteps);
    for (const Step& s : form_.steps) at_most("arguments of a step", s.row.n_args, rt::kMaxStepArgs);
  }

  int8_t axis_of(ir::Id index) const { return static_cast<int8_t>(ids_.axes[plan_.graph.indices[index].axis]); }

  rt::Dim dim(ir::Id index) const {
    return {index == plan_.row ? rt::DimKind::Rows : rt::DimKind::Full, axis_of(index)};
  }

  std::vector<rt::Dim> dims_of(const plan::Buffer& b) const {
    const std::vector<ir::Id>& order = b.layout.order;
    if (b.layout.tiled) {
      return {{rt::DimKind::TileInner, axis_of(order[1])}, dim(order[0]), {rt::DimKind::TileOuter, axis_of(order[1])}};
    }
    std::vector<rt::Dim> dims;
    if (b.scratch != plan::Scratch::None) dims.push_back({scratch(b.scratch), -1});
    for (auto it = order.rbegin(); it != order.rend(); ++it) dims.push_back(dim(*it));
    return dims;
  }

  void add_buffer(const plan::Buffer& b) {
    const std::vector<rt::Dim> dims = dims_of(b);
    if (dims.size() > rt::kMostDims)
      throw DefinitionError(fmt::format("loss '{}': {} has {} dimensions, more than {}; not supported yet", loss_, b.name, dims.size(),
                                        rt::kMostDims));
    rt::Buffer row{.name = nullptr,
                   .storage = storage(b.storage),
                   .elem = elem(b.elem),
                   .merge = rt::Merge::None,
                   .ndim = static_cast<uint8_t>(dims.size()),
                   .dims = {},
                   .tensor = -1,
                   .slot = static_cast<int16_t>(b.slot),
                   .saved = false};
    std::copy(dims.begin(), dims.end(), row.dims);
    if (b.storage == plan::Storage::Accumulator) row.merge = merge(b.merge);
    if (b.storage == plan::Storage::Input) row.tensor = static_cast<int16_t>(ids_.inputs[b.tensor]);
    if (b.storage == plan::Storage::Output) row.tensor = static_cast<int16_t>(ids_.outputs[b.tensor]);
    // Small enough to be worth keeping, and finished after the forward pass.
    row.saved = b.storage == plan::Storage::Whole && !in_loop(b) && b.elem != plan::Elem::Int32 && b.layout.order.size() <= 1;
    // The innermost dimension has stride 1 in any case.
    for (ir::Id k : b.layout.order)
      if (const int d = dimension(static_cast<int>(&b - plan_.buffers.data()), k); d > 0 && (b.rolling & ir::bit(k)))
        row.rolling |= static_cast<uint8_t>(1 << d);
    if (b.continues >= 0) {
      row.continues = static_cast<int16_t>(b.continues);
      row.place_dim = dimension(static_cast<int>(&b - plan_.buffers.data()), plan_.graph.tensors[b.tensor].dims[0]);
      row.backward = goes_backward(b.continues);
    }
    row.lender = static_cast<int16_t>(b.lender);
    form_.buffers.push_back({b.name, row});
  }

  // The loop that writes a buffer; nullptr: none.
  const plan::Step* loop_of(int buffer) const {
    for (const plan::Step& s : plan_.steps)
      if (s.kind == plan::StepKind::Loop && std::find(s.outputs.begin(), s.outputs.end(), buffer) != s.outputs.end()) return &s;
    return nullptr;
  }
  bool in_loop(const plan::Buffer& b) const { return loop_of(static_cast<int>(&b - plan_.buffers.data())) != nullptr; }
  bool goes_backward(int after) const {
    const ir::Node& value = plan_.graph.at(plan_.buffers[after].node);
    return ir::course(plan_.graph.at(value.args[0])) == ir::Course::Backward;
  }

  void add_pass(const plan::Pass& p) {
    rt::Pass row{};
    row.first_once = static_cast<uint16_t>(form_.steps.size());
    row.n_once = add_steps(p.once);
    row.first_panel = static_cast<uint16_t>(form_.steps.size());
    row.n_panel = add_steps(p.panel);
    row.row_axis = p.panel.empty() ? int8_t{-1} : axis_of(plan_.row);
    form_.passes.push_back(row);
  }

  // How many there are with those inside of loops.
  uint16_t add_steps(const std::vector<int>& list) {
    const size_t before = form_.steps.size();
    for (int s : list) plan_.steps[s].kind == plan::StepKind::Loop ? add_loop(s) : add_step(s);
    return static_cast<uint16_t>(form_.steps.size() - before);
  }

  void add_loop(int index) {
    const plan::Step& s = plan_.steps[index];
    rt::Step row{};
    row.kind = rt::StepKind::Loop;
    row.kernel = -1;
    row.split_dim = row.k_axis = -1;
    row.place_axis = axis_of(s.over);
    row.depth = static_cast<int8_t>(s.places.size());
    row.backward = s.backward;
    if (s.places.size() >= rt::kMaxLoops)
      throw DefinitionError(fmt::format("loss '{}': more than {} recurrences in each other", loss_, rt::kMaxLoops));
    const size_t at = form_.steps.size();
    form_.steps.push_back({s.text, row});
    form_.steps[at].row.n_first = add_steps(s.first);
    form_.steps[at].row.n_body = add_steps(s.body);
  }

  void add_step(int index) {
    const plan::Step& s = plan_.steps[index];
    const lower::Signature sig = lower::signature(plan_, index);
    rt::Step row{};
    row.kind = s.kind == plan::StepKind::ContractNN   ? rt::StepKind::ContractNN
               : s.kind == plan::StepKind::ContractTN ? rt::StepKind::ContractTN
               : s.kind == plan::StepKind::Walk       ? rt::StepKind::Walk
                                                      : rt::StepKind::Kernel;
    if (s.kind == plan::StepKind::Walk)
      set_walk(s, &row);
    else
      row.kernel = add_kernel(kernels_.add(plan_, index, sig.kind, sig.structure, loss_, lowest_));
    row.first_arg = static_cast<uint16_t>(form_.args.size());
    row.n_args = static_cast<uint16_t>(sig.args.size());
    for (const lower::KernelArg& a : sig.args) form_.args.push_back(arg(a, index));
    row.split_dim = static_cast<int8_t>(sig.split_dim);
    row.k_axis = s.kind < plan::StepKind::ContractNN ? int8_t{-1} : axis_of(s.over);
    row.flops = sig.flops;
    row.with = static_cast<int16_t>(s.with);
    row.without = static_cast<int16_t>(s.without);
    row.inner = sig.inner;
    row.over_axis = sig.over ? axis_of(s.over) : int8_t{-1};
    if (sig.over) set_parts(s, row);
    set_domain(s, &row);
    form_.steps.push_back({s.text, row});
  }

  // What the parts of a step cut along what it reduces over read, and how their results are merged.
  void set_parts(const plan::Step& s, const rt::Step& row) {
    for (size_t k = row.first_arg; k < size_t{row.first_arg} + row.n_args; k++) {
      rt::Arg& a = form_.args[k];
      if (!rt::names_buffer(a.kind) && a.kind != rt::ArgKind::Left) continue;
      const rt::Buffer& b = form_.buffers[a.id].row;
      for (int d = 0; d < b.ndim && !a.written; d++)
        if (b.dims[d].axis == row.over_axis) a.over_dim = static_cast<int8_t>(d);
      const auto out = std::find(s.outputs.begin(), s.outputs.end(), static_cast<int>(a.id));
      if (out != s.outputs.end()) a.merge = merge(plan_.graph.at(s.nodes[static_cast<size_t>(out - s.outputs.begin())]).kind);
    }
  }

  void set_walk(const plan::Step& s, rt::Step* row) const {
    const ir::Node& n = plan_.graph.at(s.nodes[0]);
    const bool back = n.value != 0;
    const auto either = [&](rt::Walk forward, rt::Walk backward) { return back ? backward : forward; };
    row->kernel = -1;
    row->walk = n.op == ir::Op::Order                        ? either(rt::Walk::Order, rt::Walk::Inverse)
                : n.kind == ir::ReduceKind::Sum       ? either(rt::Walk::Sum, rt::Walk::SumBack)
                : n.kind == ir::ReduceKind::LogSumExp ? either(rt::Walk::LogSumExp, rt::Walk::LogSumExpBack)
                : n.kind == ir::ReduceKind::ArgMax    ? either(rt::Walk::ArgMax, rt::Walk::ArgMaxBack)
                                                      : either(rt::Walk::ArgMin, rt::Walk::ArgMinBack);
    row->walk_in = dimension(s.reads[0], n.sym);
    row->walk_out = dimension(s.outputs[0], n.sym2);
  }

  void set_domain(const plan::Step& s, rt::Step* row) const {
    std::vector<ir::Id> domain = s.domain;
    if (s.over != ir::kNone && std::find(domain.begin(), domain.end(), s.over) == domain.end())
      domain.push_back(s.over);
    if (domain.size() > rt::kMostDims) {
      throw DefinitionError(fmt::format("loss '{}': `{}` loops over {} indices, more than {}; not supported yet", loss_, s.text,
                                        domain.size(), rt::kMostDims));
    }
    row->n_domain = static_cast<uint8_t>(domain.size());
    for (size_t k = 0; k < domain.size(); k++) row->domain[k] = axis_of(domain[k]);
  }

  rt::Arg arg(const lower::KernelArg& a, int step) const {
    int id = a.id;
    if (a.kind == rt::ArgKind::Param || a.kind == rt::ArgKind::IntParam) id = ids_.params[a.id];
    if (a.kind == rt::ArgKind::Extent) id = ids_.axes[a.id];
    const bool input = a.kind == rt::ArgKind::Buffer && !a.written;
    const int own = input ? own_dim(plan_, step, a.id) : -1;
    rt::Arg out{a.kind, static_cast<int16_t>(id), a.written, static_cast<int8_t>(own)};
    const plan::Step& s = plan_.steps[step];
    if (a.kind == rt::ArgKind::Buffer && (a.written || s.kind == plan::StepKind::Walk))
      for (size_t k = 0; k < s.places.size(); k++) out.place_dim[k] = dimension(a.id, s.places[k]);
    return out;
  }

  // The dimension of a linear buffer that an index is, counted from the innermost; -1: it has none.
  int8_t dimension(int buffer, ir::Id index) const {
    const plan::Buffer& b = plan_.buffers[buffer];
    const auto it = std::find(b.layout.order.begin(), b.layout.order.end(), index);
    return it == b.layout.order.end() ? int8_t{-1} : static_cast<int8_t>(b.layout.order.end() - it - 1 + (b.scratch != plan::Scratch::None));
  }

  int16_t add_kernel(int kernel) {
    auto it = std::find(form_.kernels.begin(), form_.kernels.end(), kernel);
    if (it == form_.kernels.end()) it = form_.kernels.insert(it, kernel);
    return static_cast<int16_t>(it - form_.kernels.begin());
  }

  const plan::Plan& plan_;
  const FormIds& ids_;
  const std::string& loss_;
  const bool lowest_;
  KernelSet& kernels_;
  Form form_;
};

}  // namespace

std::unique_ptr<LossTables> make_tables(const Definition& definition, KernelSet* kernels) {
  auto t = std::make_unique<LossTables>();
  const std::string path = definition.file;
  t->file = path.substr(path.find_last_of('/') + 1);
  t->programs = build_all(definition);
  std::vector<FormIds> ids;
  t->interface = unite(t->programs, &ids);
  for (size_t f = 0; f < t->programs.size(); f++) {
    t->plans.push_back(plan::make_plan(t->programs[f]));
    t->forms.push_back(FormMaker(t->plans.back(), ids[f], *t, kernels).make());
    t->forms.back().facts = facts_of(t->programs[f], ids[f], t->interface);
    for (const Requirement& r : t->programs[f].requirements) {
      t->forms.back().requirements.emplace_back(r.text, shape_code(t->programs[f], ids[f].axes, ids[f].options, r.node));
    }
  }
  return t;
}

namespace {

// Forms correspond to those of the loss: same facts, but for the implicit inputs' places, and same requirements.
std::unique_ptr<LossTables> hessian_tables(const LossTables& loss, KernelSet* kernels) {
  auto t = std::make_unique<LossTables>();
  t->file = loss.file;
  t->hessian = true;
  for (const Program& p : loss.programs) t->programs.push_back(hessian_program(p));
  std::vector<FormIds> ids;
  unite(loss.programs, &ids);
  t->interface = with_directions(loss.interface, t->programs, &ids);
  const int n_inputs = static_cast<int>(loss.interface.inputs.size());
  const int n_directions = static_cast<int>(t->interface.inputs.size()) - n_inputs;
  for (size_t f = 0; f < t->programs.size(); f++) {
    t->plans.push_back(plan::make_plan(t->programs[f]));
    t->forms.push_back(FormMaker(t->plans.back(), ids[f], *t, kernels).make());
    t->forms.back().facts = loss.forms[f].facts;
    for (Fact& fact : t->forms.back().facts)
      if (fact.kind == lossc::Fact::TensorGiven && fact.id >= n_inputs) fact.id += n_directions;
    t->forms.back().requirements = loss.forms[f].requirements;
  }
  return t;
}

}  // namespace

std::unique_ptr<LossTables> make_hessian_tables(const LossTables& loss, KernelSet* kernels, std::string* why) {
  const auto differentiable = [](const Input& t) { return t.differentiable; };
  if (std::none_of(loss.interface.inputs.begin(), loss.interface.inputs.end(), differentiable))
    return *why = "it has no gradient", nullptr;
  try {
    KernelSet trial;  // a form that fails would leave kernels of a plan that is gone
    hessian_tables(loss, &trial);
  } catch (const DefinitionError& e) {
    return *why = e.what(), nullptr;
  }
  return hessian_tables(loss, kernels);
}

}  // namespace lossc::emit
