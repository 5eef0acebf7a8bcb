// Every loss of the library through the C API: whatever way it is run, it gives the same. (That it gives the right
// thing is for the tests against the oracle.)
#include <cmath>
#include <map>
#include <sstream>

#include "capi_util.h"
#include "runtime/shape_code.h"
#include "runtime/plan.h"

namespace {

using namespace capi;
using lossc::rt::Argument;
using lossc::rt::Loss;

const Loss& table(const lossc_loss* loss) { return *reinterpret_cast<const Loss*>(loss); }
bool has_word(const char* words, const std::string& word) {
  std::istringstream in(words);
  for (std::string w; in >> w;) {
    if (w == word) return true;
  }
  return false;
}

// How tensors lie in memory.
enum class Layout { Dense, Strided };

// An argument's elements, padded and reversed when strided. No byte before (strided) or after (dense) them is mapped: a
// kernel that reads a vector too many dies.
struct Data {
  std::unique_ptr<Guarded> memory;
  std::optional<Tensor> t;
  std::vector<int64_t> shape, strides;
  DLDataType type{};

  void make(DLDataType dtype, std::vector<int64_t> extents, Layout layout) {
    shape = std::move(extents), type = dtype;
    strides.assign(shape.size(), 1);
    int64_t size = 1, offset = 0;
    for (size_t d = shape.size(); d-- > 0;) {
      const int64_t spread = layout == Layout::Dense ? 1 : 2;
      strides[d] = size * spread;
      size = strides[d] * std::max<int64_t>(shape[d], 1) + (layout == Layout::Dense ? 0 : 3);
      if (layout == Layout::Strided && d == 0 && shape[d] > 0)
        offset = strides[d] * (shape[d] - 1), strides[d] = -strides[d];
    }
    memory = std::make_unique<Guarded>(size * type.bits / 8, type.bits / 8,
                                       layout == Layout::Dense ? Guarded::AtEnd : Guarded::AtBeginning);
    t = Tensor::of(bytes(), shape, strides);
    t->raw().dtype = type;
    t->raw().byte_offset = offset * type.bits / 8;
  }
  char* bytes() const { return static_cast<char*>(memory->data()); }
  int64_t count() const {
    int64_t n = 1;
    for (const int64_t e : shape) n *= e;
    return n;
  }
  char* at(int64_t i) {
    int64_t place = 0;
    for (size_t d = shape.size(); d-- > 0; i /= shape[d]) place += i % shape[d] * strides[d];
    return bytes() + t->raw().byte_offset + place * type.bits / 8;
  }
  void set(int64_t i, double x) {
    char* p = at(i);
    if (type.code == kDLFloat && type.bits == 32) {
      const auto v = static_cast<float>(x);
      memcpy(p, &v, 4);
    } else if (type.code == kDLFloat)
      memcpy(p, &x, 8);
    else if (type.bits == 64) {
      const auto v = static_cast<int64_t>(x);
      memcpy(p, &v, 8);
    } else if (type.bits == 32) {
      const auto v = static_cast<int32_t>(x);
      memcpy(p, &v, 4);
    } else
      *p = static_cast<char>(x);
  }
  double get(int64_t i) {
    const char* p = at(i);
    float f;
    double d;
    int32_t k;
    if (type.code == kDLFloat && type.bits == 32) return memcpy(&f, p, 4), f;
    if (type.code == kDLFloat) return memcpy(&d, p, 8), d;
    if (type.bits == 32) return memcpy(&k, p, 4), k;
    return *p;
  }
};

struct Setting {
  const lossc_loss* loss;
  const lossc::rt::Variant* variant;  // the compiled form that is to run
  int bits = 32;
  std::map<int, int64_t> extents;  // by axis
  int wrong_axis = -1;             // whose extent is not the one that follows from others
  Layout layout = Layout::Dense;
  int label_bits = 32;
  int mode = 3, reduction = LOSSC_REDUCE_MEAN, flags = 0, isa = 0, threads = 1, panel_rows = 0;
  bool weights = false;
  bool coarse = false;  // inputs are multiples of 1/64: sums of products come out exact, in whatever order
  uint32_t nudge = 0;   // seed: every float input one unit in the last place up or down
  uint32_t ask = ~0u;
};

double epsilon(const Setting& s) {
  return s.bits == 32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
}

// What the form was compiled for; `otherwise` if it does not care.
int fact(const Setting& s, lossc::rt::FactKind kind, int id, int otherwise) {
  for (int f = 0; f < s.variant->n_facts; ++f) {
    const lossc::rt::Fact& x = s.variant->facts[f];
    if (x.kind == kind && x.id == id) return x.value;
  }
  return otherwise;
}
bool axis_given(const Setting& s, int axis) { return fact(s, lossc::rt::FactKind::AxisGiven, axis, 1) != 0; }
bool input_given(const Setting& s, int i) {
  return fact(s, lossc::rt::FactKind::InputGiven, i,
              i < table(s.loss).n_inputs ? !table(s.loss).inputs[i].optional : s.weights) != 0;
}

// Does the code depend on that (the extent of an axis, the choice of an option), directly or by an axis that follows from it?
bool depends(const Loss& t, const lossc::rt::ShapeCode* code, int n, lossc::rt::ShapeOp op, int id) {
  return std::any_of(code, code + n, [&](const auto& c) {
    const bool axis = c.op == lossc::rt::ShapeOp::Extent;
    return (c.op == op && c.value == id) || (axis && depends(t, t.axes[c.value].length, t.axes[c.value].n_length, op, id));
  });
}
bool required(const Setting& s, lossc::rt::ShapeOp op, int id) {
  const auto* r = s.variant->requirements;
  return std::any_of(r, r + s.variant->n_requirements,
                     [&](const auto& x) { return depends(table(s.loss), x.code, x.n_code, op, id); });
}

struct Extents {
  std::vector<int64_t> axes;     // all, in their order: some follow from earlier ones
  std::vector<int32_t> choices;  // of options
  bool met;                      // the requirements
};

// With requirements an even number. Where that does not do, counts that they are about are 2, the least of which a window or a
// histogram is more than one place, and axes that they are about get `more`.
Extents extents_with(const Setting& s, bool fewer, int64_t more) {
  using lossc::rt::ShapeOp;
  const Loss& t = table(s.loss);
  Extents out;
  for (int k = 0; k < t.n_options; ++k) {
    const bool count = t.options[k].n_choices == 0;
    const bool two = fewer && count && required(s, ShapeOp::Option, k);
    out.choices.push_back(two ? 2 : fact(s, lossc::rt::FactKind::Option, k, t.options[k].fallback));
  }
  int32_t here[lossc::rt::kMaxAxes] = {};
  for (int axis = 0; axis < t.n_axes; ++axis) {
    const lossc::rt::Axis& a = t.axes[axis];
    // Sequences of labels (S) are shorter than what they label, or there is no alignment of the two.
    int64_t n = s.extents.count(axis) ? s.extents.at(axis) : std::string(a.name) == "S" ? 2 : 5 + axis;
    if (a.n_length > 0 && axis != s.wrong_axis)
      n = std::max<int64_t>(lossc::rt::evaluate(a.length, a.n_length, here, out.choices.data()), 0);
    else if (s.variant->n_requirements > 0)
      n += n % 2;
    if (more > 0 && a.n_length == 0 && !s.extents.count(axis) && required(s, ShapeOp::Extent, axis)) n += more;
    here[axis] = static_cast<int32_t>(axis_given(s, axis) ? n : 1);
    out.axes.push_back(n);
  }
  const auto* r = s.variant->requirements;
  out.met = std::all_of(r, r + s.variant->n_requirements, [&](const auto& x) {
    return lossc::rt::evaluate(x.code, x.n_code, here, out.choices.data()) != 0;
  });
  return out;
}

// What a setting leaves open, as the loss requires it; where nothing does (an axis is to be empty) as it is without.
Extents found(const Setting& s) {
  const Extents plain = extents_with(s, false, 0);
  if (plain.met) return plain;
  for (const bool fewer : {true, false})
    for (int64_t more = 0; more <= 64; ++more)
      if (Extents e = extents_with(s, fewer, more); e.met) return e;
  return plain;
}
// Once for each setting: it is asked for every dimension of every tensor.
const Extents& of(const Setting& s) {
  static std::map<std::tuple<const lossc::rt::Variant*, std::map<int, int64_t>, int>, Extents> known;
  const auto [it, is_new] = known.try_emplace({s.variant, s.extents, s.wrong_axis});
  if (is_new) it->second = found(s);
  return it->second;
}
int64_t extent(const Setting& s, int axis) { return of(s).axes[static_cast<size_t>(axis)]; }

// Does a tensor that the form is given have the axis?
bool told_by_an_input(const Setting& s, int axis) {
  const Loss& t = table(s.loss);
  for (int i = 0; i < t.n_inputs; ++i) {
    const Argument& x = t.inputs[i];
    if (input_given(s, i) && axis_given(s, axis) && std::find(x.dims, x.dims + x.ndim, axis) != x.dims + x.ndim) return true;
  }
  return false;
}

DLDataType dtype(const Argument& a, const Setting& s) {
  if (a.integer) return {kDLInt, static_cast<uint8_t>(s.label_bits), 1};
  if (has_word(a.dtypes, "u8")) return {kDLUInt, 8, 1};
  if (has_word(a.dtypes, "i32")) return {kDLInt, 32, 1};
  return {kDLFloat, static_cast<uint8_t>(s.bits), 1};
}

std::vector<int64_t> shape_of(const Argument& a, const Setting& s) {
  std::vector<int64_t> shape;
  for (int d = 0; d < a.ndim; ++d) {
    if (axis_given(s, a.dims[d])) shape.push_back(extent(s, a.dims[d]));
  }
  return shape;
}

// The rows of a loss are its form's: an option may change what a row is.
Argument rows_of(const Setting& s) {
  Argument a = table(s.loss).outputs[1];
  a.ndim = static_cast<uint8_t>(s.variant->n_rows);
  std::copy_n(s.variant->rows, a.ndim, a.dims);
  return a;
}

// A problem of this setting, with values from 0.05 to 0.95 (in range for scores, probabilities and targets alike).
struct Made {
  Problem p;
  std::vector<std::unique_ptr<Data>> data;  // inputs, then outputs
  std::vector<Data*> outputs;
  Data weight, mask, upstream;

  explicit Made(const Setting& s) {
    const Loss& t = table(s.loss);
    p.loss = s.loss;
    p.mode = s.mode, p.reduction = s.reduction, p.flags = s.flags, p.isa = s.isa, p.threads = s.threads,
    p.panel_rows = s.panel_rows;
    uint32_t seed = 17;
    for (int i = 0; i < t.n_inputs; ++i) {
      if (!input_given(s, i)) {
        p.inputs.push_back(nullptr);
        continue;
      }
      fill(t.inputs[i], s, &seed);
      p.inputs.push_back(data.back()->t->get());
    }
    p.options = of(s).choices;
    for (int i = 0; i < t.n_params; ++i) p.params.push_back(param(s, i));
    const Argument rows = rows_of(s);
    const auto n = shape_of(rows, s);
    weight.make({kDLFloat, static_cast<uint8_t>(s.bits), 1}, n, s.layout);
    mask.make({kDLBool, 8, 1}, n, s.layout);
    upstream.make({kDLFloat, static_cast<uint8_t>(s.bits), 1}, n, s.layout);
    for (int64_t i = 0; i < weight.count(); ++i)
      weight.set(i, 0.5 + 0.125 * (i % 5)), mask.set(i, i % 4 != 2), upstream.set(i, 1 - 0.25 * (i % 3));
    if (input_given(s, t.n_inputs + lossc::rt::kRowWeight)) p.row_weight = weight.t->get();
    if (input_given(s, t.n_inputs + lossc::rt::kRowMask)) p.row_mask = mask.t->get();
    if (input_given(s, t.n_inputs + lossc::rt::kGradOutput)) p.grad_output = upstream.t->get();
    for (int k = 1; k < t.n_outputs; ++k) {
      const Argument& a = k > 1 ? t.outputs[k] : s.reduction == LOSSC_REDUCE_NONE ? rows : t.outputs[0];
      const bool gradient = k >= 2 && k < 2 + gradients(t);
      int source = -1;  // of a gradient
      for (int left = k - 1; gradient && left > 0;) left -= t.inputs[++source].differentiable != 0;
      // What only other forms give is over axes that this one need not know.
      const bool computed = std::any_of(s.variant->buffers, s.variant->buffers + s.variant->n_buffers, [&](const lossc::rt::Buffer& b) {
        return b.storage == lossc::rt::Storage::Output && (b.tensor == k || (k == 1 && b.tensor == 0));
      });
      const bool given = computed && (!gradient || input_given(s, source)) &&
                         (s.mode & (gradient ? LOSSC_BACKWARD : LOSSC_FORWARD)) && (s.ask >> (k - 1) & 1);
      outputs.push_back(nullptr);
      if (given) {
        data.push_back(std::make_unique<Data>());
        Setting narrow = s;
        narrow.label_bits = 32;
        data.back()->make(dtype(a, narrow), shape_of(a, s), s.layout);
        outputs.back() = data.back().get();
      }
      p.outputs.push_back(given ? outputs.back()->t->get() : nullptr);
    }
  }
  // Zero where the form is for zero, a value in range where it is not, else the default.
  static double param(const Setting& s, int i) {
    const Argument& a = table(s.loss).params[i];
    const int zero = fact(s, lossc::rt::FactKind::ParamZero, i, -1);
    if (zero == 1) return 0;
    const double fallback = std::isnan(a.fallback) ? std::clamp(0.5, a.low, a.high) : a.fallback;
    return zero == 0 && fallback == 0 ? std::clamp(0.75, a.low, a.high) : fallback;
  }
  static int gradients(const Loss& t) {
    int n = 0;
    for (int i = 0; i < t.n_inputs; ++i) n += t.inputs[i].differentiable != 0;
    return n;
  }
  void fill(const Argument& a, const Setting& s, uint32_t* seed) {
    data.push_back(std::make_unique<Data>());
    Data& d = *data.back();
    d.make(dtype(a, s), shape_of(a, s), s.layout);
    const int64_t range = a.range_axis >= 0 ? std::max<int64_t>(extent(s, a.range_axis), 1) : 3;
    for (int64_t i = 0; i < d.count(); ++i) {
      *seed = *seed * 1664525u + 1013904223u;
      if (d.type.code == kDLFloat) {
        const double ulp = s.nudge == 0 ? 0 : (*seed * s.nudge >> 16 & 1 ? 1 : -1) * epsilon(s);
        d.set(i, (s.coarse ? (4 + (*seed >> 8) % 57) / 64.0 : 0.05 + 0.9 * (*seed >> 8) / double(1 << 24)) * (1 + ulp));
      } else
        d.set(i, static_cast<double>(a.ascending         ? (a.range_axis >= 0 ? extent(s, a.range_axis) : 3) * i / std::max<int64_t>(d.count() - 1, 1)
                                     : a.range_inclusive ? extent(s, a.range_axis)  // whole lengths
                                                         : (*seed >> 8) % (a.integer ? range : 2)));
    }
  }
};

std::string describe(const Setting& s) {
  std::ostringstream out;
  out << lossc_loss_name(s.loss) << " f" << s.bits << " mode " << s.mode << " reduction " << s.reduction << " flags "
      << s.flags << " isa " << s.isa << " threads " << s.threads << " panel " << s.panel_rows
      << (s.weights ? " weights" : "") << (s.layout == Layout::Dense ? "" : " strided");
  for (const auto& [axis, n] : s.extents) out << ' ' << table(s.loss).axes[axis].name << '=' << n;
  return out.str();
}

// How far each output moves when every input moves by a unit in its last place: no way of computing it can be expected to
// come closer to another than a few times that.
std::vector<double> sensitivity(const Setting& s) {
  Made at(s);
  if (at.p.run().status != LOSSC_OK) return {};
  std::vector<double> most(at.outputs.size());
  for (const uint32_t seed : {2654435761u, 2246822519u}) {
    Setting near = s;
    near.nudge = seed;
    Made moved(near);
    if (moved.p.run().status != LOSSC_OK) return {};
    for (size_t k = 0; k < at.outputs.size(); ++k) {
      for (int64_t i = 0; at.outputs[k] != nullptr && i < at.outputs[k]->count(); ++i)
        most[k] = std::fmax(most[k], std::abs(at.outputs[k]->get(i) - moved.outputs[k]->get(i)));
      if (!std::isfinite(most[k])) return {};
    }
  }
  return most;
}

// Runs both; outputs that both ask for agree to `ulps` of the largest element, or to what is allowed of each.
void expect_same(const Setting& a, const Setting& b, double ulps, const std::vector<double>& also_allowed = {}) {
  SCOPED_TRACE(describe(a) + "  |  " + describe(b));
  Made x(a), y(b);
  ASSERT_RUNS(x.p.run());
  ASSERT_RUNS(y.p.run());
  for (size_t k = 0; k < x.outputs.size(); ++k) {
    if (x.outputs[k] == nullptr || y.outputs[k] == nullptr) continue;
    double size = 0;
    for (int64_t i = 0; i < x.outputs[k]->count(); ++i) {
      if (std::isfinite(x.outputs[k]->get(i))) size = std::max(size, std::abs(x.outputs[k]->get(i)));
    }
    const double allowed = std::max(ulps * epsilon(a) * size, also_allowed.empty() ? 0 : also_allowed[k]);
    for (int64_t i = 0; i < x.outputs[k]->count(); ++i) {
      const double u = x.outputs[k]->get(i), v = y.outputs[k]->get(i);
      if (u == v || (std::isnan(u) && std::isnan(v))) continue;
      ASSERT_LE(std::abs(u - v), allowed)
          << table(a.loss).outputs[k + 1].name << " at " << i << ": " << u << " and " << v;
    }
  }
}

// Operations of a run, about, with those that fill its tensors.
double work(const Setting& s) {
  double total = 0;
  for (int i = 0; i < table(s.loss).n_inputs; ++i) {
    double elements = 20;
    for (const int64_t n : shape_of(table(s.loss).inputs[i], s)) elements *= static_cast<double>(n);
    total += input_given(s, i) ? elements : 0;
  }
  std::vector<std::pair<int, double>> loops;  // the step behind each loop's last; how often what is inside runs
  for (int k = 0; k < s.variant->n_steps; ++k) {
    const lossc::rt::Step& step = s.variant->steps[k];
    while (!loops.empty() && loops.back().first == k) loops.pop_back();
    double times = loops.empty() ? 1 : loops.back().second;
    if (step.kind == lossc::rt::StepKind::Loop) {
      times *= static_cast<double>(extent(s, step.place_axis));
      loops.emplace_back(k + 1 + step.n_first + step.n_body, times);
      continue;
    }
    for (int d = 0; d < step.n_domain; ++d) times *= static_cast<double>(extent(s, step.domain[d]));
    total += times * step.flops;
  }
  return total;
}

// Every compiled form of every loss.
struct Form {
  const lossc_loss* loss;
  const lossc::rt::Variant* variant;
};
std::vector<Form> all_forms() {
  std::vector<Form> forms;
  for (size_t i = 0; i < lossc_loss_count(); ++i) {
    const lossc_loss* loss = lossc_loss_at(i);
    for (int v = 0; v < table(loss).n_variants; ++v) forms.push_back({loss, table(loss).variants + v});
  }
  return forms;
}

class Losses : public testing::TestWithParam<Form> {
 protected:
  const lossc_loss* loss() const { return GetParam().loss; }
  Setting setting() const {
    return {.loss = loss(), .variant = GetParam().variant, .bits = GetParam().variant->dtype_bits};
  }
  // A sum in another order, and exponentials of what it went into.
  static constexpr double kReordered = 200;
  // With FMA products are not rounded, which shows where they cancel. How much the inputs' own last places tell: variances
  // of windows that hardly vary (ms_ssim) differ by up to 584 ulps, and by less than one such nudge moves them.
  static constexpr double kNudges = 8;
  // Of the unreduced loss; -1: it has one element.
  int row_axis() const {
    const Argument rows = rows_of(setting());
    return rows.ndim > 0 ? rows.dims[0] : -1;
  }
  // Large enough for several threads and panels, and small enough for the 70 runs or so that a form gets here.
  Setting large() const {
    constexpr double kMostWork = 2e7;
    Setting s = setting();
    for (const auto& [rows, others] : {std::pair{201, 50}, {201, 30}, {201, 20}, {201, 12}, {65, 12}, {65, 7}}) {
      for (int a = 0; a < table(loss()).n_axes; ++a) s.extents[a] = a == std::max(row_axis(), 0) ? rows : others;
      // What the loss requires to be longer is left to it: the least.
      for (int a = 0; a < table(loss()).n_axes && !of(s).met; ++a)
        if (a != row_axis() && required(s, lossc::rt::ShapeOp::Extent, a)) s.extents.erase(a);
      if (work(s) < kMostWork) break;
    }
    return s;
  }
  void SetUp() override { lossc_set_num_threads(4); }
};

TEST_P(Losses, RunsInEveryReduction) {
  for (const int reduction : {0, 1, 2}) {
    Setting s = setting();
    s.reduction = reduction;
    SCOPED_TRACE(describe(s));
    Made m(s);
    ASSERT_RUNS(m.p.run());
    s.weights = true;
    Made w(s);
    ASSERT_RUNS(w.p.run());
    for (Data* d : m.outputs) {
      for (int64_t i = 0; d != nullptr && d->type.code == kDLFloat && i < d->count(); ++i)
        ASSERT_TRUE(std::isfinite(d->get(i)));
    }
  }
}

TEST_P(Losses, ForwardAndBackwardApartAreTheFusedRun) {
  if (Made::gradients(table(loss())) == 0) GTEST_SKIP() << "no gradient: there is no backward run";
  for (const bool weights : {false, true}) {
    Setting both = large();
    both.weights = weights;
    Made fused(both);
    ASSERT_RUNS(fused.p.run());
    Setting half = both;
    half.mode = LOSSC_FORWARD;
    Made forward(half);
    half.mode = LOSSC_BACKWARD;
    Made backward(half);
    const Plan f = forward.p.plan(), b = backward.p.plan();
    const size_t size = lossc_plan_saved_size(f.get());
    ASSERT_EQ(size, lossc_plan_saved_size(b.get()));
    const Guarded saved(size);
    forward.p.saved = backward.p.saved = saved.data(), forward.p.saved_size = backward.p.saved_size = size;
    ASSERT_RUNS(forward.p.run(f.get()));
    ASSERT_RUNS(backward.p.run(b.get()));
    for (size_t k = 0; k < fused.outputs.size(); ++k) {
      if (fused.outputs[k] == nullptr) continue;
      Data* half_of_it = forward.outputs[k] != nullptr ? forward.outputs[k] : backward.outputs[k];
      double most = 0, off = 0;
      for (int64_t i = 0; i < fused.outputs[k]->count(); ++i) {
        most = std::max(most, std::abs(fused.outputs[k]->get(i)));
        off = std::max(off, std::abs(fused.outputs[k]->get(i) - half_of_it->get(i)));
      }
      EXPECT_LE(off, 200 * (both.bits == 32 ? 1.2e-7 : 2.3e-16) * most)
          << describe(both) << ' ' << table(loss()).outputs[k + 1].name;
    }
  }
}

TEST_P(Losses, EachOutputAloneIsThatOfAll) {
  const Loss& t = table(loss());
  for (int k = 0; k + 1 < t.n_outputs; ++k) {
    Setting alone = setting();
    alone.ask = 1u << k;
    expect_same(setting(), alone, 0);
  }
}

TEST_P(Losses, AnyLayoutGivesTheSame) {
  Setting s = setting();
  for (const bool weights : {false, true}) {
    s.weights = weights;
    Setting strided = s;
    strided.layout = Layout::Strided;
    strided.label_bits = 64;
    expect_same(s, strided, kReordered);
  }
}

TEST_P(Losses, AnyNumberOfThreadsAndPanelsGivesTheSame) {
  Setting one = large();
  one.weights = true;
  for (const int threads : {2, 3, 4}) {
    Setting s = one;
    s.threads = threads;
    expect_same(one, s, kReordered);
  }
  for (const int panel : {1, 7, 64}) {
    Setting s = one;
    s.panel_rows = panel;
    expect_same(one, s, kReordered);
  }
}

TEST_P(Losses, ReproduciblePlansGiveTheSameBits) {
  Setting one = large();
  one.flags = LOSSC_PLAN_REPRODUCIBLE;
  for (const int threads : {2, 3, 4}) {
    Setting s = one;
    s.threads = threads;
    expect_same(one, s, 0);
  }
}

TEST_P(Losses, EveryLevelOfTheMachineGivesTheSame) {
  Setting best = large();
  const bool recurs = std::any_of(best.variant->steps, best.variant->steps + best.variant->n_steps,  // roundings of all places
                                  [](const lossc::rt::Step& step) { return step.kind == lossc::rt::StepKind::Loop; });
  // What is sorted must not differ by a rounding: among thousands of projections there are some that would change places.
  for (int k = 0; k < best.variant->n_steps; ++k) best.coarse |= best.variant->steps[k].kind == lossc::rt::StepKind::Walk;
  std::vector<double> slack = best.coarse ? std::vector<double>{} : sensitivity(best);
  for (double& s : slack) s *= kNudges;
  for (const int isa : {LOSSC_ISA_SSE41, LOSSC_ISA_AVX2, LOSSC_ISA_AVX512}) {
    Setting s = best;
    s.isa = isa;
    Result r;
    Made(s).p.plan(&r);
    if (r.status == LOSSC_E_UNSUPPORTED) continue;
    expect_same(best, s, kReordered * (recurs ? 4 : 1), slack);
  }
}

TEST_P(Losses, AnAxisWhoseLengthFollowsHasThatExtent) {
  const Loss& t = table(loss());
  for (int a = 0; a < t.n_axes; ++a) {
    Setting s = setting();
    if (t.axes[a].n_length == 0 || !told_by_an_input(s, a)) continue;
    const int64_t only = extent(s, a);
    s.wrong_axis = a;
    s.extents[a] = only + 1;
    Made m(s);
    const Result r = m.p.run();
    EXPECT_EQ(r.status, LOSSC_E_ARGUMENT);
    EXPECT_NE(r.text.find("want " + std::to_string(only)), std::string::npos) << r.text;
  }
}

TEST_P(Losses, EmptyAxesDoNotCrash) {
  const Loss& t = table(loss());
  for (int a = 0; a < t.n_axes; ++a) {
    for (const int64_t n : {0, 1}) {
      for (const int reduction : {0, 2}) {
        Setting s = setting();
        s.extents[a] = n;
        s.reduction = reduction;
        SCOPED_TRACE(describe(s));
        Made m(s);
        const Result r = m.p.run();
        // Labels of an axis without elements are out of range, whatever they are.
        if (r.status != LOSSC_OK && r.text.find(" to -1") != std::string::npos) continue;
        // A loss may want more than nothing, and says so.
        if (r.status == LOSSC_E_ARGUMENT && s.variant->n_requirements > 0 && r.text.find(": wants ") != std::string::npos) continue;
        ASSERT_EQ(r.status, LOSSC_OK) << r.text;
        if (n > 0 || a != row_axis()) continue;
        if (reduction == LOSSC_REDUCE_MEAN) {
          EXPECT_EQ(m.outputs[0]->get(0), 0);
        }
        for (int k = 0; k < Made::gradients(t); ++k) {
          for (int64_t i = 0; m.outputs[1 + k] != nullptr && i < m.outputs[1 + k]->count(); ++i)
            ASSERT_EQ(m.outputs[1 + k]->get(i), 0) << t.outputs[2 + k].name;
        }
      }
    }
  }
}

TEST_P(Losses, ExplainsItself) {
  Made m(large());
  const std::string text = lossc_plan_explain(m.p.plan().get());
  EXPECT_NE(text.find("workspace"), std::string::npos);
  // Where everything needs all rows at once (a sort along them) there are no panels.
  EXPECT_TRUE(text.find("panels of") != std::string::npos || text.find("once:") != std::string::npos) << text;
  for (size_t i = 0; i < lossc_loss_arg_count(loss()); ++i) {
    const lossc_arg* a = lossc_loss_arg(loss(), i);
    for (const char* s : {a->name, a->shape, a->dtypes, a->doc}) EXPECT_NE(s, nullptr) << i;
  }
  const lossc_doc* doc = lossc_loss_doc(loss());
  for (const char* s : {doc->name, doc->family, doc->title, doc->paper, doc->equation, doc->edges})
    EXPECT_NE(s, nullptr);
  EXPECT_EQ(lossc_loss_find(doc->name), loss());
}

TEST_P(Losses, RunsTheFormThatItWasMadeFor) {
  char digest[17];
  snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(GetParam().variant->digest));
  Made m(setting());
  EXPECT_NE(std::string(lossc_plan_explain(m.p.plan().get())).find(digest), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(All, Losses, testing::ValuesIn(all_forms()), [](const auto& info) {
  const auto* variants = table(info.param.loss).variants;
  return std::string(lossc_loss_name(info.param.loss)) + "_f" + std::to_string(info.param.variant->dtype_bits) + "_" +
         std::to_string(info.param.variant - variants);
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Losses);

TEST(Registry, EndsWhereItEnds) {
  EXPECT_EQ(lossc_loss_at(lossc_loss_count()), nullptr);
  EXPECT_EQ(lossc_loss_find("no such loss"), nullptr);
  EXPECT_EQ(lossc_loss_find(nullptr), nullptr);
  EXPECT_GT(strlen(lossc_build_info()), 0u);
}

}  // namespace
