// The emitter program: linked with definitions by lossc_add_library() (generators/cmake).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "generators/emit/emit.h"

int main(int argc, char** argv) {
  lossc::emit::Options options;
  std::vector<std::string> dtypes = {"f32", "f64"}, isas = {"sse41", "avx2", "avx512"};
  CLI::App app("Compiles the losses linked into this program.");
  app.add_option("--out", options.out, "folder to write to")->required();
  app.add_option("--cache", options.cache, "folder of compiled kernels, by content; may be shared")->required();
  app.add_option("--dtypes", dtypes, "float types: f32,f64")->delimiter(',');
  app.add_option("--isas", isas, "x86-64 levels: sse41,avx2,avx512")->delimiter(',');
  app.add_option("--losses", options.losses, "which losses; all that are linked if not given")->delimiter(',');
  app.add_flag("--hvp", options.hessians, "Hessian products, too, for the lowest level");
  app.add_option("-j,--jobs", options.jobs, "compile so many kernels at a time");
  app.add_flag("--quiet", options.quiet, "no progress");
  CLI11_PARSE(app, argc, argv);
  try {
    options.matrix = lossc::emit::make_matrix(dtypes, isas);
    const lossc::emit::Report report = lossc::emit::emit(options);
    for (const std::string& failure : report.failures) fmt::print(stderr, "error: {}\n", failure);
    if (!report.failures.empty()) {
      fmt::print(stderr, "{} failed; nothing was written\n", report.failures.size());
      return 1;
    }
    if (!options.quiet) {
      fmt::print(stderr, "{} losses in {} forms, {} kernels, {} objects ({} compiled now)\n", report.losses,
                 report.forms, report.kernels, report.objects, report.compiled);
    }
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 1;
  }
}
