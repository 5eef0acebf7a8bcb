// Kernels to objects, by way of a cache.
#pragma once
#include <string>
#include <vector>

#include "generators/emit/kernels.h"
#include "generators/emit/workers.h"
#include "schedules/isa.h"

namespace lossc::emit {

// One kernel for one float type and ISA level.
struct ObjectFile {
  int kernel;  // in the set
  int float_bits;
  const schedules::Isa* isa;
  std::string symbol;
  std::string object;  // path in the cache
  // Path in the cache; only for the first float type at the kernel's last level, as the others differ in types and widths alone,
  // and all of them would take more room than the objects.
  std::string stmt;
  bool cached;  // it was there already
};

// What the objects of a kernel depend on besides its structure, dtype and ISA level: the sources of the code generator,
// Halide and its LLVM. Part of every key.
std::string toolchain();
// "lossc 0.1.0 (git), Halide 21.0.0, LLVM 21".
std::string version_text();

struct CompileResult {
  std::vector<ObjectFile> objects;    // by kernel, float type, ISA level
  std::vector<std::string> failures;  // one text each: which kernel, of which losses, and why
};

// Compiles what the cache lacks, `jobs` at a time. An object's key is the hash of all that it depends on, so an entry
// is never wrong, only unused: throwing the folder away costs time and nothing else.
CompileResult compile_kernels(const KernelSet& kernels, const std::vector<int>& float_bits,
                              const std::vector<const schedules::Isa*>& isas, const std::string& cache, int jobs,
                              bool quiet);

}  // namespace lossc::emit
