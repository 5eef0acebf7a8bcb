// lossc bench: first right, then fast. A kernel that disagrees with the float64 oracle has no time.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "generators/check/kernel_case.h"
#include "generators/cli/definition.h"
#include "generators/cli/kernels.h"
#include "generators/cli/library.h"
#include "generators/cli/limit.h"
#include "generators/cli/progress.h"

namespace lossc::cli {
namespace {

struct BenchWords {
  std::string loss, dtype = "f32", mode = "both", isa;
  FormWords form;
  int threads = 0, runs = 10;
  bool json = false;
};

int32_t mode_code(const std::string& mode) {
  return mode == "forward" ? LOSSC_FORWARD : mode == "backward" ? LOSSC_BACKWARD : LOSSC_FORWARD | LOSSC_BACKWARD;
}

// Empty if kernel and oracle agree on a small call of the same form: `most` of each axis, `longest` of the longest.
std::string check_small(const lossc_loss* loss, const Form& form, const CallOptions& options, int64_t most, int64_t longest) {
  const int bits = options.dtype.bits;
  check::KernelCall call;
  call.loss = loss;
  call.bits = bits;
  call.real = options.dtype.type;
  const Case c = check::rounded(form.small_case(most, longest, 3), call, &form.program);
  call.isa = options.isa;
  call.threads = options.threads;
  call.mode = options.mode == LOSSC_BACKWARD ? 0 : options.mode;
  const check::Results got = check::run_kernel(form.program, c, call);
  const check::Expectation want = check::expectation(form.program, c, bits);
  std::string bad = check::disagreement(got.loss, want.value.loss, want.slack.loss, bits, 4, call.real);
  if (!bad.empty()) return "loss: " + bad;
  for (const auto& [name, values] : got.gradients) {
    bad = check::disagreement(values, want.value.gradients.at(name), want.slack.gradients.at(name), bits, 4, call.real);
    if (!bad.empty()) return fmt::format("gradient of {}: {}", name, bad);
  }
  return "";
}

// Before anything is filled: a machine that swaps, or kills, tells nobody why.
void check_memory(const lossc_loss* loss, const Form& form, CallOptions options) {
  options.memory = false;
  const Tensors tensors(loss, form, options);
  const Call call(loss, form, options, tensors);
  const size_t needed = tensors.bytes() + call.workspace_size() + call.saved_size(), free = free_memory();
  if (free > 0 && needed > free)
    throw UsageError(fmt::format("{} takes {:.3g} GB, and {:.3g} GB are free", form.shape_text(), double(needed) / 1e9,
                                 double(free) / 1e9));
}

// Most memory that the process has held since reset(), beyond what it held then.
class PeakMemory {
 public:
  PeakMemory() {
    std::ofstream reset("/proc/self/clear_refs");
    works_ = static_cast<bool>(reset << "5" << std::flush);
    before_ = status("VmRSS:");
  }
  bool works() const { return works_ && before_ > 0; }
  size_t growth() const {
    const size_t peak = status("VmHWM:");
    return peak > before_ ? peak - before_ : 0;
  }

 private:
  static size_t status(const std::string& key) {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;) {
      size_t kb = 0;
      if (word == key && file >> kb) return kb * 1024;
    }
    return 0;
  }
  bool works_;
  size_t before_;
};

struct Series {
  std::vector<double> ms;
  double median() const {
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    return sorted.size() % 2 ? sorted[sorted.size() / 2]
                             : (sorted[sorted.size() / 2 - 1] + sorted[sorted.size() / 2]) / 2;
  }
  double least() const { return *std::min_element(ms.begin(), ms.end()); }
  double most() const { return *std::max_element(ms.begin(), ms.end()); }
};

// One sample of each in turn, so that both see the same machine. The pause lets the other's threads go to sleep. A
// sample repeats what is short until it takes a millisecond, after a first time that wakes its own threads.
void interleave(const std::function<double()>& kernel, const std::function<double()>& limit, int runs, Series* a,
                Series* b) {
  auto sampler = [](const std::function<double()>& once) {
    once();  // warms up
    const double ms = once();
    const int repeats = ms >= 1 ? 1 : std::min(1000, static_cast<int>(1 / std::max(ms, 1e-3)) + 1);
    return [&once, repeats] {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (repeats > 1) once();
      double total = 0;
      for (int k = 0; k < repeats; k++) total += once();
      return total / repeats;
    };
  };
  Progress progress("timing");
  const auto first = sampler(kernel), second = sampler(limit);
  const double start = now_ms();
  // More than was asked for while it costs nothing: a median of many short runs is steadier.
  for (int k = 0; k < runs || (k < 10 * runs && now_ms() - start < 500); k++) {
    progress.at(fmt::format("run {} of {}", k + 1, runs));
    a->ms.push_back(first());
    b->ms.push_back(second());
  }
}

Json bench(const BenchWords& words) {
  const CallOptions options{true, dtype_of(words.dtype), mode_code(words.mode), isa_code(words.isa), words.threads};
  const Definition definition = load_one(words.loss);
  const Form form = choose_form(definition, words.form);
  const lossc_loss* loss = kernels_of(definition, options.dtype.bits, words.isa);
  const int threads = words.threads > 0 ? words.threads : lossc_get_num_threads();
  const Blas blas =
      products_of(plan::make_plan(form.program), form, options.mode).empty() ? Blas() : Blas::choose(threads);
  // Even, for losses over pairs of rows. More than two AVX-512 vectors of each axis, then more than two chunks of the longest.
  constexpr int64_t kSmall = 34, kShort = 6, kLong = 1090;
  for (const auto& [most, longest] : {std::pair(kSmall, kSmall), std::pair(kShort, kLong)})
    if (const std::string bad = check_small(loss, form, options, most, longest); !bad.empty())
      return {{"loss", definition.name}, {"checked", false}, {"disagreement", bad}};

  check_memory(loss, form, options);
  Progress("filling").at(form.shape_text());
  const Tensors tensors(loss, form, options);
  const PeakMemory memory;
  const Call call(loss, form, options, tensors);
  call.run();
  const size_t held = call.workspace_size() + call.saved_size();
  const size_t extra = memory.works() ? memory.growth() : held;

  Team team(threads);
  const Limit limit = make_limit(form, tensors, options, team, blas);
  Series kernel, bound;
  interleave(
      [&] {
        const double start = now_ms();
        call.run();
        return now_ms() - start;
      },
      limit.sample_ms, words.runs, &kernel, &bound);
  return {{"loss", definition.name},
          {"shape", form.shape_json()},
          {"dtype", words.dtype},
          {"mode", words.mode},
          {"isa", words.isa.empty() ? best_isa() : words.isa},
          {"threads", threads},
          {"checked", true},
          {"ms", kernel.median()},
          {"ms_least", kernel.least()},
          {"ms_most", kernel.most()},
          {"limit_ms", bound.median()},
          {"limit_ms_least", bound.least()},
          {"limit_ms_most", bound.most()},
          {"limit_kind", limit.kind},
          {"limit", limit.text},
          {"ratio", kernel.median() / bound.median()},
          {"runs", kernel.ms.size()},
          {"peak_extra_bytes", extra},
          {"peak_extra_by", memory.works() ? "peak resident memory" : "size of workspace and saved buffer"},
          {"workspace_bytes", held}};
}

void print_timing(const Json& r) {
  auto number = [&](const char* key) { return r[key].get<double>(); };
  auto text = [&](const char* key) { return r[key].get<std::string>(); };
  std::string shape;
  for (const auto& [axis, extent] : r["shape"].items()) shape += fmt::format(" {}={}", axis, extent.get<int64_t>());
  const std::string mode = text("mode");
  fmt::print("{}{}  {}, {}, {}, {} threads; agrees with the float64 oracle\n", text("loss"), shape, text("dtype"),
             mode == "both" ? "value and gradient" : mode, text("isa"), r["threads"].get<int>());
  auto row = [&](const char* name, const char* key, const std::string& remark) {
    fmt::print("  {:<8}{:>10.4g} ms  ({:.4g} to {:.4g})  {}\n", name, number(key),
               number((std::string(key) + "_least").c_str()), number((std::string(key) + "_most").c_str()), remark);
  };
  row("kernel", "ms", fmt::format("median of {} runs", r["runs"].get<int>()));
  row("limit", "limit_ms", fmt::format("{}: {}", text("limit_kind"), text("limit")));
  fmt::print("  {:<8}{:>10.3f}\n", "ratio", number("ratio"));
  fmt::print("  {:<8}{:>10.4g} MB  beyond inputs and outputs ({}; workspace {:.4g} MB)\n", "memory",
             number("peak_extra_bytes") / 1e6, text("peak_extra_by"), number("workspace_bytes") / 1e6);
}

Exit run_bench(const BenchWords& words) {
  const Json result = bench(words);
  const bool good = result["checked"];
  if (words.json)
    print_json(result);
  else if (good)
    print_timing(result);
  if (!good)
    fmt::print(stderr, "lossc: {} is wrong, so it is not timed: {}\n", words.loss,
               result["disagreement"].get<std::string>());
  return good ? kOk : kFailed;
}

}  // namespace

void add_bench(CLI::App& app, Action* action) {
  auto words = std::make_shared<BenchWords>();
  CLI::App* command = app.add_subcommand("bench", "Checks a loss, then times it beside the limit of the machine");
  command->add_option("loss", words->loss, "a loss, or a FILE.cpp that defines one")->required();
  add_form_words(command, &words->form, true);
  command->add_option("--dtype", words->dtype, "of all float tensors; f16 and bf16 are computed with in f32")
      ->check(CLI::IsMember(dtype_names()))
      ->capture_default_str();
  command->add_option("--mode", words->mode, "value and gradient in one call, or one of them")
      ->check(CLI::IsMember({"both", "forward", "backward"}))
      ->capture_default_str();
  command->add_option("--isa", words->isa, "default: the best there is")
      ->check(CLI::IsMember({"sse41", "avx2", "avx512"}));
  command->add_option("--threads", words->threads, "default: every core")->check(CLI::Range(1, 1024));
  command->add_option("--runs", words->runs, "at least so many of each, interleaved; the medians count")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_flag(
      "--json", words->json,
      "one object: loss, shape, dtype, mode, isa, threads, ms, limit_ms, limit_kind (gemm: the loss's matrix "
      "products by a BLAS; flops: the same without one; copy: its differentiable inputs into their gradients; "
      "read: a forward run's inputs), ratio, peak_extra_bytes, ...");
  command->callback([=] { *action = [=] { return run_bench(*words); }; });
}

}  // namespace lossc::cli
