// A Case (see dsl/case.h) run through the C API, and how far its results may be from the oracle's. Header-only, because
// the kernel tests link the testing form of the library and the tool links the plain one.
#pragma once
#include <lossc/lossc.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "dsl/case.h"
#include "dsl/oracle.h"

namespace lossc::check {

// How the tensors of a call lie in memory.
enum class Strides { Dense, RowPadded, Reversed, InnerTwo };

// Float types of tensors. Their 16-bit forms are made here by arithmetic, not by the runtime that is under test.
inline constexpr DLDataType kF16 = {kDLFloat, 16, 1}, kBF16 = {kDLBfloat, 16, 1}, kF32 = {kDLFloat, 32, 1},
                            kF64 = {kDLFloat, 64, 1};
inline DLDataType real_type(int bits) { return bits == 64 ? kF64 : kF32; }
inline bool sixteen(DLDataType t) { return t.bits == 16 && (t.code == kDLFloat || t.code == kDLBfloat); }

inline uint16_t encode16(double v, DLDataType type) {
  const bool b = type.code == kDLBfloat;
  const int width = b ? 7 : 10, bias = b ? 127 : 15;
  const uint32_t sign = std::signbit(v) ? 0x8000 : 0, infinity = (b ? 255u : 31u) << width;
  if (std::isnan(v)) return static_cast<uint16_t>(sign | infinity | 1u << (width - 1));
  const double size = std::fabs(v);
  if (std::isinf(v)) return static_cast<uint16_t>(sign | infinity);
  const int exponent = std::max(size > 0 ? std::ilogb(size) : -10000, 1 - bias);
  if (exponent > bias) return static_cast<uint16_t>(sign | infinity);
  // In units of the last place, ties to even; a carry goes into the exponent, as it should.
  const double units = std::nearbyint(std::ldexp(size, width - exponent));
  const uint32_t pattern = (static_cast<uint32_t>(exponent + bias - 1) << width) + static_cast<uint32_t>(units);
  return static_cast<uint16_t>(sign | std::min(pattern, infinity));
}
inline double decode16(uint16_t bits, DLDataType type) {
  const bool b = type.code == kDLBfloat;
  const int width = b ? 7 : 10, bias = b ? 127 : 15, top = b ? 255 : 31;
  const int exponent = bits >> width & top, mantissa = bits & ((1 << width) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == top) return mantissa ? NAN : sign * INFINITY;
  return sign * std::ldexp(mantissa + (exponent ? 1 << width : 0), std::max(exponent, 1) - bias - width);
}
// The nearest number that the type has.
inline double round_to(double v, DLDataType type) {
  if (sixteen(type)) return decode16(encode16(v, type), type);
  return type.bits == 32 ? static_cast<double>(static_cast<float>(v)) : v;
}

struct KernelCall {
  int bits = 32;                            // that the plan computes in
  DLDataType real = {kDLFloat, 0, 1};       // of float tensors; 0 bits: as the plan
  std::map<std::string, DLDataType> types = {};  // of single ones, by name: inputs, "loss", "grad_x", "row_weight", ...
  int32_t isa = LOSSC_ISA_BEST;
  int32_t mode = LOSSC_FORWARD | LOSSC_BACKWARD;  // 0: forward, then backward with what it saved. LOSSC_HVP: the program
                                                  // is a hessian_program(), its slope comes back as loss, products as gradients
  int32_t threads = 0, panel_rows = 0, flags = 0;
  Strides strides = Strides::Dense;
  bool wide_labels = false;           // i64
  std::string only_gradient;          // ask for this one alone
  const lossc_loss* loss = nullptr;   // default: the library's of the program's name

  DLDataType type_of(const std::string& tensor) const {
    auto it = types.find(tensor);
    return it != types.end() ? it->second : real.bits ? real : real_type(bits);
  }
};

// The shape of a tensor over these indices as callers give it: a flat axis has the dimensions that it has in an input.
inline std::vector<int64_t> full_shape(const Program& p, const Case& c, const std::vector<ir::Id>& dims) {
  const std::vector<int64_t> extents = extents_of(p, c);
  std::vector<int64_t> shape;
  for (ir::Id d : dims) {
    const ir::Id axis = p.graph.indices[d].axis;
    bool found = false;
    for (const ir::Tensor& t : p.graph.tensors) {
      auto given = c.inputs.find(t.name);
      if (!p.graph.axes[axis].flat || found || !is_declared(t.role) || given == c.inputs.end()) continue;
      for (size_t k = 0; k < t.dims.size(); k++) {
        if (p.graph.indices[t.dims[k]].axis != axis) continue;
        const auto first = given->second.shape.begin() + static_cast<long>(k);
        shape.insert(shape.end(), first, first + static_cast<long>(given->second.shape.size() + 1 - t.dims.size()));
        found = true;
        break;
      }
    }
    if (!found) shape.push_back(extents[axis]);
  }
  return shape;
}

struct Results {
  std::vector<double> loss;  // one, or one per row
  std::map<std::string, std::vector<double>> gradients, outputs;
};

// A DLTensor with its memory; elements are set and read as doubles whatever the layout.
// A pattern that is neither 0 nor 1, where no run may write.
inline constexpr uint8_t kMark = 0xA5;
inline constexpr size_t kZone = 64;

class Owned {
 public:
  Owned(DLDataType type, std::vector<int64_t> shape, Strides layout) : shape_(std::move(shape)), type_(type) {
    const size_t rank = shape_.size();
    strides_.resize(rank);
    int64_t step = layout == Strides::InnerTwo ? 2 : 1, offset = 0;
    for (size_t k = rank; k-- > 0;) {
      const int64_t n = std::max<int64_t>(shape_[k], 1);
      strides_[k] = step;
      if (layout == Strides::Reversed) {
        offset += step * (n - 1);
        strides_[k] = -step;
      }
      step *= n;
      if (layout == Strides::RowPadded && k == rank - 1 && rank > 1) step += 5;
    }
    data_.assign(static_cast<size_t>(step + 8) * bytes() + 2 * kZone, kMark);
    tensor_ = {data_.data() + kZone, {kDLCPU, 0}, static_cast<int32_t>(rank), type_, shape_.data(), strides_.data(),
               static_cast<uint64_t>(offset) * bytes()};
  }
  Owned(const Owned&) = delete;

  size_t size() const {
    size_t n = 1;
    for (int64_t s : shape_) n *= static_cast<size_t>(s);
    return n;
  }
  void set(size_t k, double v) {
    void* p = at(k);
    if (sixteen(type_)) return store(p, encode16(v, type_));
    if (type_.code == kDLFloat && type_.bits == 32) return store(p, static_cast<float>(v));
    if (type_.code == kDLFloat) return store(p, v);
    if (type_.bits == 64) return store(p, static_cast<int64_t>(v));
    if (type_.bits == 32) return store(p, static_cast<int32_t>(v));
    store(p, static_cast<uint8_t>(v != 0));
  }
  double get(size_t k) {
    void* p = at(k);
    if (sixteen(type_)) return decode16(load<uint16_t>(p), type_);
    if (type_.code == kDLFloat && type_.bits == 32) return load<float>(p);
    if (type_.code == kDLFloat) return load<double>(p);
    if (type_.bits == 8) return load<uint8_t>(p);
    return type_.bits == 64 ? static_cast<double>(load<int64_t>(p)) : load<int32_t>(p);
  }
  std::vector<double> values() {
    std::vector<double> out(size());
    for (size_t k = 0; k < out.size(); k++) out[k] = get(k);
    return out;
  }
  const DLTensor* tensor() const { return &tensor_; }
  void check(const std::string& name) const {
    const auto touched = [](uint8_t b) { return b != kMark; };
    if (std::any_of(data_.begin(), data_.begin() + kZone, touched) || std::any_of(data_.end() - kZone, data_.end(), touched))
      throw std::runtime_error("the run writes outside tensor '" + name + "'");
  }

 private:
  size_t bytes() const { return type_.bits / 8u; }
  void* at(size_t k) {
    int64_t place = 0;
    for (size_t d = shape_.size(); d-- > 0;) {
      place += static_cast<int64_t>(k % static_cast<size_t>(shape_[d])) * strides_[d];
      k /= static_cast<size_t>(shape_[d]);
    }
    return data_.data() + kZone + tensor_.byte_offset + place * static_cast<int64_t>(bytes());
  }
  template <class T>
  static void store(void* p, T v) {
    std::memcpy(p, &v, sizeof v);
  }
  template <class T>
  static T load(void* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  std::vector<int64_t> shape_, strides_;
  DLDataType type_;
  std::vector<uint8_t> data_;
  DLTensor tensor_{};
};

// Float values as the kernel will see them, so that rounding the inputs is no error of the kernel's. Index tensors and
// masks are left alone if the program is given: f16 has not every class.
inline Case rounded(Case c, const KernelCall& call, const Program* p = nullptr) {
  auto round = [&](Array& a, const std::string& name) {
    for (double& v : a.data) v = round_to(v, call.type_of(name));
  };
  auto real = [&](const std::string& name) {
    if (p == nullptr) return true;
    return std::any_of(p->graph.tensors.begin(), p->graph.tensors.end(),
                       [&](const ir::Tensor& t) { return t.name == name && t.type == ir::Type::Float; });
  };
  for (auto& [name, a] : c.inputs)
    if (real(name)) round(a, name);
  for (auto& [name, v] : c.params) v = round_to(v, real_type(call.bits));
  if (c.row_weight) round(*c.row_weight, "row_weight");
  if (c.grad_output) round(*c.grad_output, "grad_output");
  return c;
}
inline Case rounded(Case c, int bits) { return rounded(std::move(c), KernelCall{.bits = bits}); }

// Memory of exactly the size that a plan says, 64-byte aligned, filled with NaN so that reading what was not written
// shows; around it what no run may touch.
class Guarded {
 public:
  explicit Guarded(size_t size) : size_(size), bytes_(size + 3 * kZone, 0xFF) {
    const uintptr_t at = reinterpret_cast<uintptr_t>(bytes_.data()) + kZone;
    start_ = bytes_.data() + kZone + (kZone - at % kZone) % kZone;
    std::fill_n(start_ - kZone, kZone, kMark);
    std::fill_n(start_ + size, kZone, kMark);
  }
  void* data() { return start_; }
  void check(const char* what) const {
    for (size_t k = 0; k < kZone; k++)
      if (*(start_ - kZone + k) != kMark || start_[size_ + k] != kMark)
        throw std::runtime_error(std::string("the run writes outside the ") + what + " memory that its plan says, " +
                                 std::to_string(size_) + " bytes");
  }

 private:
  size_t size_;
  std::vector<uint8_t> bytes_;
  uint8_t* start_;
};

class KernelRun {
 public:
  KernelRun(const Program& program, const Case& c, const KernelCall& call) : p_(program), c_(c), call_(call) {
    loss_ = call_.loss ? call_.loss : lossc_loss_find(p_.name.c_str());
    if (loss_ && call_.mode == LOSSC_HVP) loss_ = lossc_loss_hvp(loss_);
    if (!loss_) throw std::runtime_error("the library has no loss '" + p_.name + "' for this mode");
    bind_arguments();
  }

  Results run() {
    lossc_error err{};
    if (call_.mode != 0) return execute(call_.mode, nullptr, 0, err);
    const size_t saved = plan(LOSSC_FORWARD, err).second;
    Guarded memory(saved);
    Results forward = execute(LOSSC_FORWARD, memory.data(), saved, err);
    memory.check("saved");
    Results backward = execute(LOSSC_BACKWARD, memory.data(), saved, err);
    backward.loss = forward.loss;
    return backward;
  }

 private:
  using PlanPtr = std::unique_ptr<lossc_plan, decltype(&lossc_plan_destroy)>;

  [[noreturn]] static void raise(lossc_status s, const lossc_error& e) {
    throw std::runtime_error(std::string(lossc_status_name(s)) + ": " + e.text);
  }

  static constexpr DLDataType kTruth = {kDLUInt, 8, 1};
  static bool is_truth(const lossc_arg* a) { return std::string(a->dtypes).find("u8") != std::string::npos; }

  Owned& own(DLDataType type, std::vector<int64_t> shape) {
    owned_.push_back(std::make_unique<Owned>(type, std::move(shape), call_.strides));
    return *owned_.back();
  }
  const DLTensor* make(const Array& a, DLDataType type) {
    Owned& o = own(type, a.shape);
    for (size_t k = 0; k < a.data.size(); k++) o.set(k, a.data[k]);
    return o.tensor();
  }

  void bind_arguments() {
    for (size_t k = 0; k < lossc_loss_arg_count(loss_); k++) {
      const lossc_arg* a = lossc_loss_arg(loss_, k);
      if (a->role == LOSSC_INPUT) {
        auto it = c_.inputs.find(a->name);
        const DLDataType label = {kDLInt, static_cast<uint8_t>(call_.wide_labels ? 64 : 32), 1};
        const DLDataType type = is_truth(a) ? kTruth : a->integer ? label : call_.type_of(a->name);
        inputs_.push_back(it == c_.inputs.end() ? nullptr : make(it->second, type));
      } else if (a->role == LOSSC_PARAM) {
        auto it = c_.params.find(a->name);
        params_.push_back(it == c_.params.end() ? a->fallback : it->second);
      } else {
        outputs_.push_back(a);
      }
    }
    for (size_t k = 0; k < lossc_loss_option_count(loss_); k++) {
      const lossc_option* o = lossc_loss_option(loss_, k);
      auto it = c_.options.find(o->name);
      int32_t choice = o->fallback;
      if (it != c_.options.end() && o->n_choices == 0) choice = std::stoi(it->second);
      if (it != c_.options.end())
        for (size_t n = 0; n < o->n_choices; n++)
          if (it->second == o->choices[n]) choice = static_cast<int32_t>(n);
      options_.push_back(choice);
    }
    extents_ = extents_of(p_, c_);
  }

  lossc_plan_desc desc(int32_t mode) const {
    lossc_plan_desc d{};
    d.struct_size = sizeof d;
    d.device = {kDLCPU, 0};
    d.mode = mode;
    d.reduction = static_cast<int32_t>(c_.reduction);
    d.flags = call_.flags;
    d.inputs = inputs_.data();
    d.n_inputs = inputs_.size();
    d.options = options_.data();
    d.n_options = options_.size();
    d.isa = call_.isa;
    d.threads = call_.threads;
    d.panel_rows = call_.panel_rows;
    return d;
  }
  std::pair<PlanPtr, size_t> plan(int32_t mode, lossc_error& err) const {
    lossc_plan* raw = nullptr;
    const lossc_plan_desc d = desc(mode);
    if (lossc_status s = lossc_plan_create(loss_, &d, &raw, &err)) raise(s, err);
    PlanPtr owned(raw, lossc_plan_destroy);
    const size_t saved = lossc_plan_saved_size(raw);
    return {std::move(owned), saved};
  }

  std::vector<int64_t> shape(const std::vector<ir::Id>& dims) const { return full_shape(p_, c_, dims); }
  // An output tensor in the shape its input has (flat axes keep their several dimensions).
  Owned* output(const lossc_arg* a, bool first, int32_t mode) {
    const bool per_row = c_.reduction == Reduction::None && mode != LOSSC_HVP;
    if (first) return mode == LOSSC_BACKWARD ? nullptr : &own(call_.type_of(a->name), per_row ? shape(p_.rows) : std::vector<int64_t>{});
    for (const Gradient& g : p_.gradients) {
      const ir::Tensor& t = p_.graph.tensors[g.tensor];
      if (gradient_name(t.name) != a->name) continue;
      if (mode == LOSSC_FORWARD || !c_.inputs.count(t.name)) return nullptr;
      if (!call_.only_gradient.empty() && call_.only_gradient != t.name) return nullptr;
      return &own(call_.type_of(a->name), c_.inputs.at(t.name).shape);
    }
    for (const NamedOutput& o : p_.outputs)
      if (o.name == a->name && mode & LOSSC_FORWARD)
        return &own(is_truth(a) ? kTruth : a->integer ? DLDataType{kDLInt, 32, 1} : call_.type_of(a->name), shape(o.indices));
    return nullptr;
  }
  std::string gradient_name(const std::string& tensor) const {
    return (call_.mode == LOSSC_HVP ? "product_" : "grad_") + tensor;
  }

  Results execute(int32_t mode, void* saved, size_t saved_size, lossc_error& err) {
    auto [pl, saved_bytes] = plan(mode, err);
    const size_t first_owned = owned_.size();
    std::vector<Owned*> outs;
    std::vector<const DLTensor*> tensors;
    for (size_t k = 0; k < outputs_.size(); k++) {
      outs.push_back(output(outputs_[k], k == 0, mode));
      tensors.push_back(outs.back() ? outs.back()->tensor() : nullptr);
    }
    const size_t workspace = lossc_plan_workspace_size(pl.get());
    Guarded memory(workspace);
    lossc_run_args args{};
    args.struct_size = sizeof args;
    args.inputs = inputs_.data();
    args.n_inputs = inputs_.size();
    args.params = params_.data();
    args.n_params = params_.size();
    args.outputs = tensors.data();
    args.n_outputs = tensors.size();
    args.workspace = memory.data();
    args.workspace_size = workspace;
    args.saved = saved;
    args.saved_size = saved_size;
    if (c_.row_weight) args.row_weight = make(*c_.row_weight, call_.type_of("row_weight"));
    if (c_.row_mask) args.row_mask = make(*c_.row_mask, kTruth);
    if (c_.grad_output) args.grad_output = make(*c_.grad_output, call_.type_of("grad_output"));
    args.denominator = c_.denominator;
    if (lossc_status s = lossc_run(pl.get(), &args, &err)) raise(s, err);
    memory.check("workspace");
    Results r;
    for (size_t k = 0; k < outs.size(); k++) {
      if (!outs[k]) continue;
      const std::string name = outputs_[k]->name;
      outs[k]->check(name);
      if (k == 0)
        r.loss = outs[k]->values();
      else if (const std::string prefix = gradient_name(""); name.rfind(prefix, 0) == 0)
        r.gradients[name.substr(prefix.size())] = outs[k]->values();
      else
        r.outputs[name] = outs[k]->values();
    }
    owned_.resize(first_owned);
    return r;
  }

  const Program& p_;
  const Case& c_;
  const KernelCall& call_;
  const lossc_loss* loss_;
  std::vector<std::unique_ptr<Owned>> owned_;
  std::vector<const DLTensor*> inputs_;
  std::vector<const lossc_arg*> outputs_;
  std::vector<double> params_;
  std::vector<int32_t> options_;
  std::vector<int64_t> extents_;
};

inline Results run_kernel(const Program& program, const Case& c, const KernelCall& call) {
  return KernelRun(program, c, call).run();
}

inline Results run_oracle(const Program& p, const Case& c, Oracle* shared = nullptr) {
  std::unique_ptr<Oracle> own;
  if (!shared) own = std::make_unique<Oracle>(p.graph, oracle_inputs(p, c));
  Oracle& oracle = shared ? *shared : *own;
  Results r;
  const bool per_row = c.reduction == Reduction::None && p.loss_rows != ir::kNone;
  r.loss = per_row ? oracle.evaluate(p.loss_rows, p.rows).data : oracle.evaluate(p.loss).data;
  for (const Gradient& g : p.gradients) {
    const ir::Tensor& t = p.graph.tensors[g.tensor];
    if (c.inputs.count(t.name)) r.gradients[t.name] = oracle.evaluate(g.node, t.dims).data;
  }
  for (const NamedOutput& o : p.outputs) r.outputs[o.name] = oracle.evaluate(o.node, o.indices).data;
  return r;
}

// What the oracle says, and for each element how much of a difference is the problem's and not the kernel's.
//
// The slack of an element is the largest change seen when every operation of the oracle is off by up to `kUlps` eps at
// random, in a few draws (Monte-Carlo arithmetic), plus `kUlps` eps of the array's largest value. So cancellation, the
// conditioning of a small temperature and the range of f32 are measured at the very inputs, not guessed. kUlps = 4: what
// our exp and log are good to in ulp; plain operations are good to half a one, which pays for the log-like growth of
// blocked sums and for the kernel's other order of the same formula.
struct Expectation {
  Results value, slack;  // slack < 0: the element is not determined (a selection flips within rounding)
};
inline constexpr double kUlps = 4;

inline double epsilon(int bits) {
  return bits == 32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
}

namespace detail {
inline void widen(const std::vector<double>& base, const std::vector<double>& moved, std::vector<double>& slack) {
  for (size_t k = 0; k < base.size(); k++) {
    if (std::isfinite(base[k]) != std::isfinite(moved[k]) || std::isnan(base[k]) != std::isnan(moved[k]))
      slack[k] = -1;
    else if (std::isfinite(base[k]) && slack[k] >= 0)
      slack[k] = std::max(slack[k], std::abs(base[k] - moved[k]));
  }
}
inline std::vector<double> start(const std::vector<double>& v, double eps) {
  double scale = 0;
  for (double x : v)
    if (std::isfinite(x)) scale = std::max(scale, std::abs(x));
  return std::vector<double>(v.size(), kUlps * eps * scale);
}
}  // namespace detail

// Does it choose among elements, so that it matters which of equal ones wins?
inline bool selects(const Program& p) {
  return std::any_of(p.graph.nodes.begin(), p.graph.nodes.end(), [](const ir::Node& n) {
    if (n.op == ir::Op::Order) return true;
    return n.op == ir::Op::Reduce && n.kind != ir::ReduceKind::Sum && n.kind != ir::ReduceKind::MaxNum;
  });
}

// `ties`: what the case is about is which of equal elements wins, so equal values must stay equal in every draw.
// `by_sum`: see Oracle::round_like.
inline Expectation expectation(const Program& p, const Case& c, int bits, int draws = 6, bool ties = false, bool by_sum = false) {
  const double eps = epsilon(bits);
  Expectation e{run_oracle(p, c), {}};
  e.slack.loss = detail::start(e.value.loss, eps);
  for (auto& [name, v] : e.value.gradients) e.slack.gradients[name] = detail::start(v, eps);
  for (auto& [name, v] : e.value.outputs) e.slack.outputs[name] = detail::start(v, eps);
  for (int d = 0; d < draws; d++) {
    Oracle rounding(p.graph, oracle_inputs(p, c));
    rounding.round_like(kUlps * eps, bits == 32, static_cast<unsigned>(d + 1), !ties && d % 2, by_sum);
    const Results r = run_oracle(p, c, &rounding);
    detail::widen(e.value.loss, r.loss, e.slack.loss);
    for (auto& [name, v] : e.value.gradients) detail::widen(v, r.gradients.at(name), e.slack.gradients[name]);
    for (auto& [name, v] : e.value.outputs) detail::widen(v, r.outputs.at(name), e.slack.outputs[name]);
  }
  return e;
}

// How far from what is wanted an element may be. Below the smallest normal number a kernel may flush to zero.
inline constexpr double kFactor = 4;
inline double room(double slack, int bits, double factor = kFactor) { return factor * slack + (bits == 32 ? 1e-36 : 1e-290); }

// Empty if every element is within `factor` of its slack; else which is not. A result kept in fewer bits may be any that rounding
// makes of what is within.
inline std::string disagreement(const std::vector<double>& got, const std::vector<double>& want,
                                const std::vector<double>& slack, int bits, double factor = kFactor,
                                DLDataType kept = {kDLFloat, 0, 1}) {
  if (got.size() != want.size()) return "has " + std::to_string(got.size()) + " elements, wanted " + std::to_string(want.size());
  const double huge = bits == 32 ? 3.4e38 : 1.7e308;
  for (size_t k = 0; k < got.size(); k++) {
    if (slack[k] < 0) continue;
    const double w = std::abs(want[k]) > huge && std::isfinite(want[k]) ? std::copysign(INFINITY, want[k]) : want[k];
    const double room = check::room(slack[k], bits, factor);
    const bool narrow = kept.bits != 0 && kept.bits < bits;
    const bool same = std::isnan(w)   ? std::isnan(got[k])
                      : std::isinf(w) ? got[k] == w
                      : narrow        ? round_to(w - room, kept) <= got[k] && got[k] <= round_to(w + room, kept)
                                      : std::abs(got[k] - w) <= room;
    if (!same) {
      char text[160];
      std::snprintf(text, sizeof text, "element %zu of %zu is %.9g, wanted %.9g +- %.2g", k, got.size(), got[k], want[k],
                    factor * slack[k]);
      return text;
    }
  }
  return "";
}

}  // namespace lossc::check
