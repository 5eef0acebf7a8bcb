#include "generators/emit/compile.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "codegen_hash.h"
#include "generators/emit/files.h"
#include "generators/emit/object_file.h"
#include "generators/lower/lower.h"
#include "version.h"

namespace lossc::emit {
namespace {

std::string halide_version() {
  return fmt::format("Halide {}.{}.{}", HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH);
}

// Tells two builds of one Halide version apart.
uintmax_t halide_size() {
  Dl_info info{};
  std::error_code none;
  dladdr(reinterpret_cast<void*>(&Halide::load_plugin), &info);
  return info.dli_fname ? fs::file_size(info.dli_fname, none) : 0;
}

lower::Code code_of(const Kernel& kernel) { return kernel.lowest ? lower::Code::Small : lower::Code::Fast; }

std::string key_of(const Kernel& kernel, const ObjectFile& o) {
  return hash128(fmt::format("{}\n{}\n{}\n{}\n{}", toolchain(), o.symbol, schedules::target_string(*o.isa),
                             static_cast<int>(code_of(kernel)), kernel.structure));
}

// The object comes last: that it is there says that the entry is whole.
void compile_into_cache(const Kernel& kernel, const ObjectFile& o) {
  const std::string suffix = fmt::format(".{}.raw", getpid());
  const fs::path raw = o.object + suffix + ".o", stmt = o.object + suffix + ".stmt";
  fs::create_directories(raw.parent_path());
  try {
    lower::compile(*kernel.plan, kernel.step, o.float_bits, *o.isa, code_of(kernel), o.symbol,
                   {raw, o.stmt.empty() ? "" : stmt.string()});
  } catch (const std::exception& e) {  // whose definition did it?
    throw std::runtime_error(fmt::format("{}\nin the step {}", e.what(), kernel.plan->steps[kernel.step].text));
  }
  const auto text = read_file(stmt), object = read_file(raw);
  fs::remove(stmt);
  fs::remove(raw);
  if (!object) throw std::runtime_error("the compiler wrote no object");
  if (text) replace_file(o.stmt, *text);
  replace_file(o.object, hide_symbols(*object));
}

std::string describe(const Kernel& kernel, const ObjectFile& o) {
  return fmt::format("{} f{} {} ({})", kernel.name, o.float_bits, o.isa->name, fmt::join(kernel.losses, ", "));
}

}  // namespace

std::string toolchain() {
  static const std::string text = fmt::format("{} {} {}", LOSSC_CODEGEN_HASH, halide_version(), halide_size());
  return text;
}

// The wheel of Halide 21 has LLVM 21 inside; no macro says so.
std::string version_text() {
  return fmt::format("lossc {} ({}), {}, LLVM 21", LOSSC_VERSION, LOSSC_GIT, halide_version());
}

CompileResult compile_kernels(const KernelSet& kernels, const std::vector<int>& float_bits,
                              const std::vector<const schedules::Isa*>& isas, const std::string& cache, int jobs,
                              bool quiet) {
  CompileResult result;
  std::vector<Task> tasks;
  for (size_t k = 0; k < kernels.list().size(); k++) {
    for (int bits : float_bits) {
      for (const schedules::Isa* isa : isas) {
        const Kernel& kernel = kernels.list()[k];
        if (kernel.lowest && isa != isas.front()) continue;
        ObjectFile o{static_cast<int>(k), bits, isa, symbol(kernel, bits, isa->name), {}, {}, false};
        const std::string key = key_of(kernel, o);
        const std::string base = fmt::format("{}/{}/{}", cache, key.substr(0, 2), key.substr(2));
        o.object = base + ".o";
        if (bits == float_bits.front() && isa == (kernel.lowest ? isas.front() : isas.back())) o.stmt = base + ".stmt";
        o.cached = fs::exists(o.object) && (o.stmt.empty() || fs::exists(o.stmt));
        if (!o.cached) tasks.push_back({describe(kernel, o), [&kernel, o] { compile_into_cache(kernel, o); }});
        result.objects.push_back(std::move(o));
      }
    }
  }
  if (tasks.empty()) return result;
  for (const Failure& f : run_tasks(tasks, jobs, quiet ? "" : "kernels"))
    result.failures.push_back(fmt::format("kernel {}: {}", tasks[f.task].label, f.what));
  return result;
}

}  // namespace lossc::emit
