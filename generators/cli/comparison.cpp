#include "generators/cli/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsl/finite_difference.h"
#include "dsl/hessian.h"
#include "dsl/oracle_nest.h"
#include "dsl/plan.h"
#include "generators/check/kernel_case.h"
#include "generators/cli/form.h"

namespace lossc::cli {
namespace {

double scale_of(const std::vector<double>& values) {
  double scale = 0;
  for (double v : values)
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  return scale;
}

std::string place(const Program& p, const std::string& what) {
  const std::string form = form_text(p);
  return form.empty() ? what : fmt::format("{} ({})", what, form);
}

// Where `undetermined` holds of what came and what was wanted, anything may stand.
template <class Undetermined>
void forgive(const check::Results& got, check::Expectation& want, Undetermined undetermined) {
  const auto look = [&](const std::vector<double>& came, const std::vector<double>& wanted, std::vector<double>& slack) {
    for (size_t k = 0; k < came.size(); k++)
      if (undetermined(came[k], wanted[k])) slack[k] = -1;
  };
  look(got.loss, want.value.loss, want.slack.loss);
  for (const auto& [name, came] : got.gradients) look(came, want.value.gradients.at(name), want.slack.gradients.at(name));
  for (const auto& [name, came] : got.outputs) look(came, want.value.outputs.at(name), want.slack.outputs.at(name));
}

bool agree(const check::Results& got, const check::Expectation& want, const Dtype& dtype) {
  const auto same = [&](const std::vector<double>& a, const std::vector<double>& b, const std::vector<double>& slack) {
    return check::disagreement(a, b, slack, dtype.bits, check::kFactor, dtype.type).empty();
  };
  bool all = same(got.loss, want.value.loss, want.slack.loss);
  for (const auto& [name, values] : got.gradients) all = all && same(values, want.value.gradients.at(name), want.slack.gradients.at(name));
  for (const auto& [name, values] : got.outputs) all = all && same(values, want.value.outputs.at(name), want.slack.outputs.at(name));
  return all;
}

// In a matrix product a dropped element is 0 times what it meets (dsl/contractions.cpp): NaN where that is not finite,
// though the definition says 0. Then other elements of the row are not finite, either. And what all its terms have in common
// multiplies their sum: an infinity, where inf * 0 in one of the terms is NaN; exp overflows to one also of finite inputs.
void forgive_products(const Case& c, const check::Results& got, check::Expectation& want) {
  const auto finite = [](const auto& input) {
    return std::all_of(input.second.data.begin(), input.second.data.end(), [](double v) { return std::isfinite(v); });
  };
  const bool all_finite = std::all_of(c.inputs.begin(), c.inputs.end(), finite);
  forgive(got, want, [&](double came, double wanted) {
    return (std::isnan(came) && !all_finite) || (std::isinf(came) && std::isnan(wanted));
  });
}

// Is a sine taken of more than it is documented for (generators/math/trig.cpp)? Then anything may come of it; in float32 the
// numbers there are so far apart that nothing is known of the sine anyway.
bool beyond_sines(const Program& p, const Case& c) {
  std::vector<ir::Id> roots{p.loss};
  for (const Gradient& g : p.gradients) roots.push_back(g.node);
  for (const NamedOutput& o : p.outputs) roots.push_back(o.node);
  std::vector<ir::Id> sines = ir::topological(p.graph, roots);
  std::erase_if(sines, [&](ir::Id node) {
    const ir::Node& n = p.graph.at(node);
    return (n.op != ir::Op::Sin && n.op != ir::Op::Cos) || n.carried;
  });
  if (sines.empty()) return false;  // as nearly always: what they are of costs an evaluation
  Oracle oracle(p.graph, oracle_inputs(p, c));
  return std::any_of(sines.begin(), sines.end(), [&](ir::Id node) {
    const ir::Id angle = p.graph.at(node).args[0];
    const std::vector<double> of = oracle.evaluate(angle, ir::members(p.graph.free(angle))).data;
    return std::any_of(of.begin(), of.end(), [](double v) { return std::isfinite(v) && std::abs(v) > oracle::kSineRange; });
  });
}

// "[i=3, c=2]": the k-th element of those over the indices; of the loss, rows.
std::string element_text(const Program& p, const Case& c, const std::vector<ir::Id>& dims, size_t k, bool rows) {
  if (dims.empty()) return "";
  const std::vector<int64_t> extents = extents_of(p, c);
  std::string text;
  for (size_t d = dims.size(); d-- > 0;) {
    const ir::IndexInfo& index = p.graph.indices[static_cast<size_t>(dims[d])];
    const auto n = static_cast<size_t>(std::max<int64_t>(extents[static_cast<size_t>(index.axis)], 1));
    text = fmt::format("{}={}{}{}", index.name, k % n, text.empty() ? "" : ", ", text);
    k /= n;
  }
  return fmt::format("{}[{}]", rows ? "row " : "", text);
}

// Of a hessian_program() the slope is the loss, and products are the gradients.
bool is_hessian(const Program& p) { return p.loss_rows == ir::kNone; }
std::string prefix(const Program& p) { return is_hessian(p) ? "product_" : "grad_"; }

}  // namespace

void Errors::note(double error, double largest_value, double allowed, const std::function<Place()>& where) {
  if (allowed >= largest_value) {
    absolute = std::max(absolute, error);
  } else if (error / largest_value > relative) {
    relative = error / largest_value;
    worst = where();
  }
}

Quantity& Comparison::quantity(const std::string& name) {
  for (Quantity& q : quantities_)
    if (q.name == name) return q;
  quantities_.push_back({name});
  return quantities_.back();
}

void Comparison::fail(const std::string& text) {
  if (failures_.size() < 10) failures_.push_back(text);
}
void Comparison::warn(const std::string& text) {
  if (std::find(warnings_.begin(), warnings_.end(), text) == warnings_.end()) warnings_.push_back(text);
}

namespace {
// Extents for differences, which cost an evaluation per element, and for kernels: larger than a vector and no multiple of one.
// Less where a loss has so many axes that the oracle would take more than a second or so.
int64_t small_extent(const Program& p) {
  for (const int64_t extent : {6, 4, 3}) {
    const SampleCost c = cost(p, {.extent = extent});
    if (c.oracle * c.differentiable < 1e8) return extent;
  }
  return 2;
}
int64_t large_extent(const Program& p) {
  for (const int64_t extent : {21, 13, 9}) {
    if (cost(p, {.extent = extent}).oracle < 4e6) return extent;
  }
  return 7;
}
}  // namespace

void Comparison::form(const Program& p, bool stresses) {
  const int64_t few = small_extent(p), many = large_extent(p);
  for (const auto& choices : runtime_choices(p)) {
    const Case plain = sample(p, {.extent = few, .seed = 1, .choices = choices});
    differences(p, plain);
    kernel(p, plain, false);
    kernel(p, plain, false, LOSSC_FORWARD | LOSSC_BACKWARD, 4);
  }
  kernel(p, sample(p, {.extent = many, .seed = 2, .row_inputs = true, .reduction = Reduction::None}), false);
  if (!stresses) return;
  for (Stress s : all_stresses()) {
    if (s == Stress::None) continue;
    const Case c = sample(p, {.extent = few, .stress = s, .seed = 11});
    if (s == Stress::Ascending) differences(p, c);  // values as ordinary as independent ones, though these never come about so
    kernel(p, c, s == Stress::Ties || s == Stress::Duplicates);
  }
}

namespace {
// Labels of an axis without elements would be out of range, whatever they are.
bool labels_exist(const Program& p, const Case& c) {
  const std::vector<int64_t> extents = extents_of(p, c);
  return std::none_of(p.graph.tensors.begin(), p.graph.tensors.end(), [&](const ir::Tensor& t) {
    const auto given = c.inputs.find(t.name);
    return t.range_axis != ir::kNone && given != c.inputs.end() && !given->second.data.empty() &&
           extents[static_cast<size_t>(t.range_axis)] == 0;
  });
}
}  // namespace

void Comparison::kernels(const Program& p) {
  kernel(p, sample(p, {.extent = 6, .seed = 1}), false);
  const Case rows = sample(p, {.extents = {{"N", 21}, {"C", 17}}, .seed = 2, .row_inputs = true, .reduction = Reduction::None});
  kernel(p, rows, false);
  kernel(p, rows, false, LOSSC_FORWARD | LOSSC_BACKWARD, 5);
  kernel(p, rows, false, 0);  // forward, then backward from what it saved
  for (auto [n, c] : {std::pair(0, 5), std::pair(5, 0), std::pair(1, 1)})
    if (const Case small = sample(p, {.extents = {{"N", n}, {"C", c}}, .seed = 3}); labels_exist(p, small)) kernel(p, small, false);
  for (Stress s : {Stress::Ties, Stress::MinusInfinity, Stress::Infinity, Stress::Nan})
    kernel(p, sample(p, {.extents = {{"N", 6}, {"C", 9}}, .stress = s, .seed = 4}), s == Stress::Ties);
}

void Comparison::hessian(const Program& form) {
  const Program p = hessian_program(form);
  const Case plain = with_directions(sample(form, {.extent = small_extent(p), .seed = 1}), form, 1);
  differences(p, plain);
  kernel(p, plain, false, LOSSC_HVP);
  const Case rows = sample(form, {.extent = large_extent(p), .seed = 2, .row_inputs = true, .reduction = Reduction::None});
  kernel(p, with_directions(rows, form, 2), false, LOSSC_HVP);
}

void Comparison::differences(const Program& p, const Case& c) {
  Oracle oracle(p.graph, oracle_inputs(p, c));
  const Array rows = is_hessian(p) ? oracle.evaluate(p.loss) : oracle.evaluate(p.loss_rows, p.rows);
  if (std::any_of(rows.data.begin(), rows.data.end(), [](double v) { return !std::isfinite(v); }))
    warn(place(p, "the loss of some row is not finite for ordinary values of its inputs"));
  quantity(is_hessian(p) ? "slope" : "loss");
  for (const Gradient& g : p.gradients) difference(p, c, g, oracle);
}

void Comparison::difference(const Program& p, const Case& c, const Gradient& g, Oracle& oracle) {
  const ir::Tensor& t = p.graph.tensors[g.tensor];
  Errors& errors = quantity(prefix(p) + t.name).difference;
  const std::vector<double> gradient = oracle.evaluate(g.node, t.dims).data;
  const Inputs inputs = oracle_inputs(p, c);
  constexpr double kMostWork = 3.2e7;  // a requirement may want large images
  const std::vector<Difference> differences = is_hessian(p) ? finite_difference_of(p.graph, p.loss, inputs, g.tensor, kMostWork)
                                                            : finite_difference(p, inputs, g.tensor, kMostWork);
  const double scale = scale_of(gradient);
  for (size_t k = 0; k < gradient.size(); k++) {
    const Difference& d = differences[k];
    if (!d.smooth) continue;
    errors.elements++;
    const double error = std::abs(gradient[k] - d.value), allowed = 4 * d.error;  // a bound but for the constant that an estimate lacks
    errors.note(error, scale, allowed, [&] {
      return Place{element_text(p, c, t.dims, k, false), place(p, "ordinary values"), gradient[k], d.value};
    });
    if (error <= allowed) continue;
    if (errors.agree) {
      fail(place(p, fmt::format("{} of {}: element {} is {:.9g}, but differences of the {} give {:.9g} +- {:.2g}",
                                is_hessian(p) ? "Hessian product" : "gradient", t.name, k, gradient[k],
                                is_hessian(p) ? "slope" : "loss", d.value, allowed)));
    }
    errors.agree = false;
  }
}

void Comparison::kernel(const Program& p, const Case& exact, bool ties, int32_t mode, int32_t panel_rows) {
  check::KernelCall call;
  call.loss = loss_;
  call.bits = dtype_.bits;
  call.real = dtype_.type;
  const Case c = check::rounded(exact, call, &p);
  if (beyond_sines(p, c)) return;
  call.isa = isa_;
  call.mode = mode;
  call.panel_rows = panel_rows;
  const check::Results got = check::run_kernel(p, c, call);
  const bool contracts = plan::make_plan(p).contracts;
  const auto expected = [&](int draws, bool ties, bool by_sum) {
    check::Expectation e = check::expectation(p, c, dtype_.bits, draws, ties, by_sum);
    if (contracts) forgive_products(c, got, e);
    return e;
  };
  // Of elements that are equal but for rounding one is selected, whose gradient is then rounded: that of the others is 0.
  // Few draws need not have selected the one that the kernel has, so what they contradict is asked again of more. Where
  // nothing is selected, equal rows may then cancel but for rounding, as in a kernel's sums of products they do; so may in any
  // case the norm of a row and its product with one that is equal, of which the square root is then taken.
  check::Expectation want = expected(4, ties, false);
  for (int draws = 16; draws <= 256 && failures_.empty() && !agree(got, want, dtype_); draws *= 4)
    want = expected(draws, ties && check::selects(p), true);
  calls_++;
  const Call here{p, c, place(p, c.name == "none" ? "ordinary values" : fmt::format("values: {}", c.name))};
  const bool rows = c.reduction == Reduction::None && !is_hessian(p);
  compare(here, is_hessian(p) ? "slope" : "loss", rows ? p.rows : std::vector<ir::Id>(), got.loss, want.value.loss, want.slack.loss);
  for (const auto& [name, values] : got.gradients) {
    const auto is = [&](const Gradient& g) { return p.graph.tensors[static_cast<size_t>(g.tensor)].name == name; };
    const ir::Id tensor = std::find_if(p.gradients.begin(), p.gradients.end(), is)->tensor;
    compare(here, prefix(p) + name, p.graph.tensors[static_cast<size_t>(tensor)].dims, values, want.value.gradients.at(name),
            want.slack.gradients.at(name));
  }
  for (const auto& [name, values] : got.outputs) {
    const auto is = [&](const NamedOutput& o) { return o.name == name; };
    const auto& indices = std::find_if(p.outputs.begin(), p.outputs.end(), is)->indices;
    compare(here, name, indices, values, want.value.outputs.at(name), want.slack.outputs.at(name));
  }
}

void Comparison::compare(const Call& call, const std::string& name, const std::vector<ir::Id>& dims,
                         const std::vector<double>& got, const std::vector<double>& want, const std::vector<double>& slack) {
  Errors& errors = quantity(name).kernel;
  errors.elements += got.size();
  const double scale = scale_of(want);
  for (size_t k = 0; k < std::min(got.size(), want.size()); k++) {
    if (!std::isfinite(got[k]) || !std::isfinite(want[k]) || slack[k] < 0) continue;
    errors.note(std::abs(got[k] - want[k]), scale, check::room(slack[k], dtype_.bits), [&] {
      return Place{element_text(call.program, call.c, dims, k, name == "loss"), call.where, got[k], want[k]};
    });
  }
  const std::string bad = check::disagreement(got, want, slack, dtype_.bits, check::kFactor, dtype_.type);
  if (bad.empty()) return;
  errors.agree = false;
  fail(fmt::format("kernel, {}, {}: {}", name, call.where, bad));
}

}  // namespace lossc::cli
