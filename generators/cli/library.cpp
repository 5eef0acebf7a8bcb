#include "generators/cli/library.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "generators/cli/command.h"
#include "generators/emit/emit.h"
#include "generators/emit/files.h"

namespace lossc::cli {
namespace {

// The tables of some losses, or the registry, as an object. Constants, so that -O1 loses nothing.
fs::path compile_table(const fs::path& source) {
  const fs::path object = fs::path(source).replace_extension(".o");
  std::vector<std::string> command = {cxx(), "-std=c++20", "-O1", "-fPIC", "-c"};
  for (const fs::path& include : install().includes) command.push_back("-I" + include.string());
  command.insert(command.end(), {"-o", object, source});
  must_run(command);
  return object;
}

std::vector<std::string> compile_tables(const Build& build, const fs::path& folder) {
  std::vector<std::string> objects;
  std::vector<std::string> folders = {"losses"};
  if (build.hessians) folders.push_back("hessians");
  for (const std::string& name : folders)
    for (const std::string& loss : build.losses) objects.push_back(compile_table(folder / name / (loss + ".cpp")));
  return objects;
}

// ar's own words for files are relative to where it runs, hence sh.
fs::path archive_kernels(const fs::path& folder) {
  must_run({"sh", "-c", "cd \"$1\" && rm -f kernels.a && ar qcS kernels.a @objects.rsp", "sh", folder});
  return folder / "kernels.a";
}

void link_step(std::vector<std::string> words) {
  for (auto [name, tool] : {std::pair{"AR", "ar"}, {"NM", "nm"}, {"LD", "ld"}, {"OBJCOPY", "objcopy"}})
    setenv(name, tool, 0);
  words.insert(words.begin(), {"sh", install().link_script});
  must_run(words);
}

}  // namespace

void emit_losses(const Build& build, const fs::path& folder) {
  emit::Options options;
  try {
    options.matrix = emit::make_matrix(build.dtypes, build.isas);
  } catch (const std::runtime_error& e) {
    throw UsageError(e.what());
  }
  options.out = folder;
  options.cache = kernel_cache();
  make_folder(options.cache, "the cache of kernels (LOSSC_CACHE names another)");
  options.losses = build.losses;
  options.hessians = build.hessians;
  options.jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const emit::Report report = emit::emit(options);
  if (report.failures.empty()) return;
  const std::string text = fmt::format("{}", fmt::join(report.failures, "\n"));
  if (report.losses < build.losses.size()) throw UsageError(text);  // the language refused a definition
  throw std::runtime_error(text);
}

fs::path link_tables(const Build& build, const fs::path& folder) {
  const fs::path object = folder / "tables.so";
  archive_kernels(folder);
  std::vector<std::string> command = {cxx(), "-shared", "-Wl,-Bsymbolic", "-o", object};
  for (const std::string& table : compile_tables(build, folder)) command.push_back(table);
  // Objects by a response file: there may be thousands. The runtime's archive has what kernels want of Halide's.
  emit::replace_file(folder / "link.rsp", [&] {
    std::string lines;
    const std::string names = emit::read_file(folder / "objects.rsp").value_or("");
    for (size_t from = 0, to; (to = names.find('\n', from)) != std::string::npos; from = to + 1)
      lines += fmt::format("{}/{}\n", folder.string(), names.substr(from, to - from));
    return lines;
  }());
  command.insert(command.end(), {"@" + (folder / "link.rsp").string(), install().runtime, "-lm"});
  must_run(command);
  return object;
}

void link_library(const Build& build, const fs::path& folder, const fs::path& stem) {
  const std::string core = folder / "core.o", enumeration = folder / "enumeration.o";
  const std::string archive = stem.string() + ".a", shared = stem.string() + ".so";
  const fs::path kernels = archive_kernels(folder);
  link_step({"runtime", install().runtime, core, enumeration});
  std::vector<std::string> command = {"ar", "qc",        folder / "library.a",
                                      core, enumeration, compile_table(folder / "registry.cpp")};
  for (const std::string& table : compile_tables(build, folder)) command.push_back(table);
  must_run(command);
  link_step({"add", folder / "library.a", kernels});
  fs::copy_file(folder / "library.a", archive, fs::copy_options::overwrite_existing);
  emit::replace_file(folder / "exports.map", "LOSSC_1 { global: lossc_*; local: lossc_registry; *; };\n");
  must_run({cxx(), "-shared", "-o", shared, "-Wl,--whole-archive", archive, "-Wl,--no-whole-archive",
            "-Wl,--version-script=" + (folder / "exports.map").string(), "-Wl,-z,defs",
            "-Wl,-soname," + fs::path(shared).filename().string(), "-lpthread", "-lm"});
}

// By CPUID and what the system saves of the registers (libgcc asks XGETBV), not by the model.
std::string best_isa() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
    return "avx512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
  return "sse41";
}

}  // namespace lossc::cli
