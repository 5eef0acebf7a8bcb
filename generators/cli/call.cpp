#include "generators/cli/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace lossc::cli {
namespace {

enum class Domain { Normal, Unit, Simplex };

// What a tensor holds, seen from a small random call that is known to be in the loss's domain (dsl/sample.h).
Domain domain_of(const Array& a) {
  if (std::any_of(a.data.begin(), a.data.end(), [](double v) { return v < 0 || v > 1; })) return Domain::Normal;
  const size_t width = a.shape.empty() ? 1 : static_cast<size_t>(a.shape.back());
  if (width < 2) return Domain::Unit;
  for (size_t row = 0; row + width <= a.data.size(); row += width) {
    double total = 0;
    for (size_t k = 0; k < width; k++) total += a.data[row + k];
    if (std::abs(total - 1) > 1e-9) return Domain::Unit;
  }
  return Domain::Simplex;
}

// Gigabytes are filled, so about a nanosecond an element: xorshift64, and a normal value from four 16-bit ones.
class Random {
 public:
  uint64_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  int64_t below(int64_t n) { return n < 2 ? 0 : static_cast<int64_t>((bits() >> 16) % static_cast<uint64_t>(n)); }
  float unit() { return 0.02f + 0.96f * static_cast<float>(bits() >> 40) * 0x1p-24f; }
  float normal() {
    const uint64_t b = bits();
    const auto sum = static_cast<int64_t>((b & 0xFFFF) + (b >> 16 & 0xFFFF) + (b >> 32 & 0xFFFF) + (b >> 48));
    return static_cast<float>(sum - 2 * 65535) * (1.7320508f / 65536);
  }

 private:
  uint64_t state_ = 0x9E3779B97F4A7C15u;
};

// To 16 bits, for numbers of ordinary size: what is too small for a normal f16 is 0.
uint16_t narrow(float x, bool bfloat) {
  const auto u = std::bit_cast<uint32_t>(x), size = u & 0x7fffffff;
  if (bfloat) return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
  if (size < 0x38800000) return 0;
  return static_cast<uint16_t>((u >> 16 & 0x8000) | (size + 0xfff + (size >> 13 & 1) - 0x38000000) >> 13);
}

void store(void* data, size_t at, float x, DLDataType type) {
  if (type.bits == 16)
    static_cast<uint16_t*>(data)[at] = narrow(x, type.code == kDLBfloat);
  else if (type.bits == 32)
    static_cast<float*>(data)[at] = x;
  else
    static_cast<double*>(data)[at] = x;
}

void fill_floats(const DLTensor& t, size_t n, Domain domain) {
  Random random;
  std::vector<float> row(t.ndim ? static_cast<size_t>(t.shape[t.ndim - 1]) : 1);
  for (size_t begin = 0; begin < n; begin += row.size()) {
    for (float& x : row) x = domain == Domain::Normal ? random.normal() : random.unit();
    float total = 0;
    for (const float x : row) total += x;
    for (size_t k = 0; k < row.size(); k++)
      store(t.data, begin + k, domain == Domain::Simplex ? row[k] / total : row[k], t.dtype);
  }
}

size_t elements(const DLTensor& t) {
  size_t n = 1;
  for (int k = 0; k < t.ndim; k++) n *= static_cast<size_t>(t.shape[k]);
  return n;
}

const ir::Tensor* find_tensor(const Program& p, const std::string& name) {
  for (const ir::Tensor& t : p.graph.tensors)
    if (t.name == name && is_declared(t.role)) return &t;
  return nullptr;
}

// Labels without a range are names of classes: as many classes as members in each.
int64_t label_range(const Form& form, const ir::Tensor& info, size_t n) {
  if (info.range_axis == ir::kNone) return std::max<int64_t>(2, std::llround(std::sqrt(double(n))));
  auto it = form.extents.find(form.program.graph.axes[info.range_axis].name);
  return it == form.extents.end() ? 1 : it->second;
}

void check(lossc_status status, const lossc_error& error) {
  if (status == LOSSC_OK) return;
  const std::string text = fmt::format("{}: {}", lossc_status_name(status), error.text);
  if (status == LOSSC_E_ARGUMENT || status == LOSSC_E_UNSUPPORTED) throw UsageError(text);
  throw std::runtime_error(text);
}

}  // namespace

const DLTensor* Tensors::hold(DLDataType type, std::vector<int64_t> shape) {
  size_t n = memory_ ? type.bits / 8u : 0;
  for (int64_t s : shape) n *= static_cast<size_t>(s);
  Held& h = held_.emplace_back(Held{Memory(n), std::move(shape), {}});
  h.tensor = {h.memory.data(), {kDLCPU, 0}, static_cast<int32_t>(h.shape.size()), type, h.shape.data(), nullptr, 0};
  return &h.tensor;
}

size_t Tensors::bytes() const {
  size_t sum = 0;
  for (const Held& h : held_) sum += elements(h.tensor) * h.tensor.dtype.bits / 8;
  return sum;
}

Tensors::Tensors(const lossc_loss* loss, const Form& form, const CallOptions& options) : memory_(options.memory) {
  const Case example = form.small_case(6, 6, 1);
  for (size_t k = 0; k < lossc_loss_arg_count(loss); k++) {
    const lossc_arg& arg = *lossc_loss_arg(loss, k);
    if (arg.role == LOSSC_INPUT) add_input(arg, form, example, options.dtype.type);
    if (arg.role == LOSSC_OUTPUT) add_output(arg, form, options);
  }
}

void Tensors::add_input(const lossc_arg& arg, const Form& form, const Case& example, DLDataType real_type) {
  const ir::Tensor* info = find_tensor(form.program, arg.name);
  const auto small = example.inputs.find(arg.name);
  if (!info || small == example.inputs.end()) return inputs_.push_back(nullptr);
  const bool real = info->type == ir::Type::Float, mask = info->type == ir::Type::Bool;
  const DLDataType type = real   ? real_type
                          : mask ? DLDataType{kDLUInt, 8, 1}
                                 : DLDataType{kDLInt, 32, 1};
  const DLTensor* t = hold(type, form.shape(info->dims));
  const size_t n = memory_ ? elements(*t) : 0;
  Random random;
  if (real) {
    fill_floats(*t, n, domain_of(small->second));
  } else if (mask) {
    for (size_t k = 0; k < n; k++) static_cast<uint8_t*>(t->data)[k] = random.below(4) > 0;
  } else {
    const int64_t range = label_range(form, *info, n);
    auto* const to = static_cast<int32_t*>(t->data);
    for (size_t k = 0; k < n; k++) to[k] = static_cast<int32_t>(random.below(range));
    const size_t row = info->ascending && n > 0 ? static_cast<size_t>(t->shape[t->ndim - 1]) : 0;
    for (size_t k = 0; row > 0 && k < n; k += row) std::sort(to + k, to + k + row);
  }
  inputs_.push_back(t);
  by_name_[arg.name] = t;
}

// In the order of lossc_loss_arg: the loss, then the gradients; what else a loss gives is not asked for.
void Tensors::add_output(const lossc_arg& arg, const Form& form, const CallOptions& options) {
  const DLDataType type = options.dtype.type;
  const bool first = values_.empty();
  values_.push_back(first ? hold(type, {}) : nullptr);
  gradients_.push_back(first && options.mode != LOSSC_BACKWARD ? values_[0] : nullptr);
  if (first) return;
  const Program& p = form.program;
  for (const Gradient& g : p.gradients) {
    const ir::Tensor& t = p.graph.tensors[g.tensor];
    if ((options.mode == LOSSC_HVP ? "product_" : "grad_") + t.name != arg.name || !by_name_.count(t.name)) continue;
    const DLTensor* input = by_name_[t.name];
    const bool wanted = options.mode != LOSSC_FORWARD;
    if (wanted) gradients_.back() = hold(type, form.shape(t.dims));
    pairs_.push_back({input->data, wanted ? gradients_.back()->data : nullptr,
                      elements(*input) * input->dtype.bits / 8});
  }
}

Call::Call(const lossc_loss* loss, const Form& form, const CallOptions& options, const Tensors& tensors)
    : tensors_(tensors), options_(options) {
  for (size_t k = 0; k < lossc_loss_arg_count(loss); k++) {
    const lossc_arg& arg = *lossc_loss_arg(loss, k);
    if (arg.role != LOSSC_PARAM) continue;
    auto it = form.params.find(arg.name);
    params_.push_back(it == form.params.end() ? arg.fallback : it->second);
  }
  for (size_t k = 0; k < lossc_loss_option_count(loss); k++)
    choices_.push_back(form.choice(lossc_loss_option(loss, k)->name));
  plan_ = make_plan(loss, options.mode);
  if (!options.memory) return;
  memory_.emplace_back(lossc_plan_workspace_size(plan_));
  memory_.emplace_back(lossc_plan_saved_size(plan_));
  if (options.mode != LOSSC_BACKWARD) return;
  const std::unique_ptr<lossc_plan, void (*)(lossc_plan*)> forward(make_plan(loss, LOSSC_FORWARD), lossc_plan_destroy);
  run(forward.get(), Memory(lossc_plan_workspace_size(forward.get())), LOSSC_FORWARD);
}

Call::~Call() { lossc_plan_destroy(plan_); }

lossc_plan* Call::make_plan(const lossc_loss* loss, int32_t mode) const {
  lossc_plan_desc desc{};
  desc.struct_size = sizeof desc;
  desc.device = {kDLCPU, 0};
  desc.mode = mode;
  desc.reduction = LOSSC_REDUCE_MEAN;
  desc.inputs = tensors_.inputs().data();
  desc.n_inputs = tensors_.inputs().size();
  desc.options = choices_.data();
  desc.n_options = choices_.size();
  desc.isa = options_.isa;
  desc.threads = options_.threads;
  lossc_plan* plan = nullptr;
  lossc_error error{};
  check(lossc_plan_create(loss, &desc, &plan, &error), error);
  return plan;
}

void Call::run() const { run(plan_, memory_[0], options_.mode); }

void Call::run(const lossc_plan* plan, const Memory& workspace, int32_t mode) const {
  lossc_run_args args{};
  args.struct_size = sizeof args;
  args.inputs = tensors_.inputs().data();
  args.n_inputs = tensors_.inputs().size();
  args.params = params_.data();
  args.n_params = params_.size();
  args.outputs = tensors_.outputs(mode).data();
  args.n_outputs = tensors_.outputs(mode).size();
  args.workspace = workspace.data();
  args.workspace_size = workspace.size();
  const Memory& saved = memory_[1];
  if (options_.mode == LOSSC_BACKWARD) args.saved = saved.data(), args.saved_size = saved.size();
  lossc_error error{};
  check(lossc_run(plan, &args, &error), error);
}

int32_t isa_code(const std::string& name) {
  for (auto [known, code] : {std::pair{"", LOSSC_ISA_BEST},
                             {"sse41", LOSSC_ISA_SSE41},
                             {"avx2", LOSSC_ISA_AVX2},
                             {"avx512", LOSSC_ISA_AVX512}})
    if (name == known) return code;
  throw UsageError(fmt::format("ISA level '{}': want sse41, avx2 or avx512", name));
}

}  // namespace lossc::cli
