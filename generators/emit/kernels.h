// The kernels of a library, each once: two steps of equal structure, in whatever losses, share one.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dsl/plan.h"

namespace lossc::emit {

struct Kernel {
  std::string name;  // <kind>_<16 hex digits of the structure's hash>
  std::string kind, structure;
  const plan::Plan* plan;  // a plan and a step of it that it is compiled from
  int step;
  std::vector<std::string> losses;  // that use it
  bool lowest;                      // compiled for the lowest level only: nothing but Hessian products uses it
};

class KernelSet {
 public:
  // Index of the step's kernel. The plan must live as long as the set.
  int add(const plan::Plan& plan, int step, const std::string& kind, const std::string& structure,
          const std::string& loss, bool lowest);
  const std::vector<Kernel>& list() const { return list_; }

 private:
  std::vector<Kernel> list_;
  std::map<std::string, int> by_name_;
};

// Linker symbol of a kernel; hidden, so that no shared library exports it. Halide's argv form is <symbol>_argv.
std::string symbol(const Kernel& kernel, int float_bits, std::string_view isa);

uint64_t hash64(std::string_view text);
std::string hash128(std::string_view text);  // 32 hex digits

}  // namespace lossc::emit
