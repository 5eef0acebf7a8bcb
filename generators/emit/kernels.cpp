#include "generators/emit/kernels.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <stdexcept>

namespace lossc::emit {

int KernelSet::add(const plan::Plan& plan, int step, const std::string& kind, const std::string& structure,
                   const std::string& loss, bool lowest) {
  const std::string name = fmt::format("{}_{:016x}", kind, hash64(structure));
  auto [it, fresh] = by_name_.try_emplace(name, static_cast<int>(list_.size()));
  if (fresh) list_.push_back({name, kind, structure, &plan, step, {}, true});
  Kernel& kernel = list_[it->second];
  if (kernel.structure != structure) throw std::logic_error("two kernels have the hash of " + name);
  if (std::find(kernel.losses.begin(), kernel.losses.end(), loss) == kernel.losses.end()) kernel.losses.push_back(loss);
  kernel.lowest &= lowest;
  return it->second;
}

std::string symbol(const Kernel& kernel, int float_bits, std::string_view isa) {
  return fmt::format("lossc_internal_k_{}_f{}_{}", kernel.name, float_bits, isa);
}

uint64_t hash64(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

std::string hash128(std::string_view text) {
  const XXH128_hash_t h = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", h.high64, h.low64);
}

}  // namespace lossc::emit
