#include "generators/cli/kernels.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "generators/cli/definition.h"
#include "generators/cli/library.h"

namespace lossc::cli {
namespace {

bool has_type(const lossc_loss* loss, int bits) {
  for (size_t k = 0; k < lossc_loss_arg_count(loss); k++) {
    const lossc_arg* a = lossc_loss_arg(loss, k);
    if (a->role == LOSSC_OUTPUT) return std::strstr(a->dtypes, bits == 32 ? "f32" : "f64") != nullptr;
  }
  return false;
}

// Whether the library's build has kernels for the level: its plans say so, but its build info is enough.
bool has_isa(const std::string& isa) {
  const char* levels = std::strrchr(lossc_build_info(), ';');
  return levels && std::strstr(levels, isa.c_str());
}

}  // namespace

const lossc_loss* kernels_of(const Definition& definition, int bits, const std::string& isa, bool hessian) {
  const std::string level = isa.empty() ? best_isa() : isa;
  const lossc_loss* built_in = from_file(definition) ? nullptr : lossc_loss_find(definition.name);
  // Products are for the lowest of the library's levels, which is nobody's choice.
  const bool there = built_in && (hessian ? isa.empty() && lossc_loss_hvp(built_in) : has_isa(level));
  if (there && has_type(built_in, bits)) return built_in;
  const Build build{{definition.name}, {fmt::format("f{}", bits)}, {level}, hessian};
  const TemporaryFolder work;
  emit_losses(build, work.path());
  const fs::path tables = link_tables(build, work.path());
  void* library = dlopen(tables.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  return static_cast<const lossc_loss*>(dlsym(library, fmt::format("lossc_loss_{}", definition.name).c_str()));
}

}  // namespace lossc::cli
