// The emitter: from linked definitions to everything that a library of losses is put together from.
#pragma once
#include <string>
#include <vector>

#include "generators/emit/print_tables.h"

namespace lossc::emit {

struct Options {
  std::string out;                  // folder; see emit() for what comes there
  std::string cache;                // folder of compiled kernels, may be shared
  std::vector<std::string> losses;  // which; empty: all that are linked
  Matrix matrix;
  bool hessians = false;  // the losses' Hessian products, too, for the lowest level of the matrix
  int jobs = 1;
  bool quiet = false;  // no progress on stderr
};

struct Report {
  std::vector<std::string> failures;  // empty: all is well, and only then are the sources and objects.rsp written
  size_t losses = 0, forms = 0, kernels = 0, objects = 0, compiled = 0;
};

// Writes, each only if its content changes:
//   losses/NAME.cpp               the tables of one loss, lossc_loss_NAME
//   hessians/NAME.cpp             those of its Hessian products, lossc_hvp_NAME; a comment if it has none
//   registry.cpp                  lossc_registry
//   objects/*.o, objects.rsp      kernels; their names, one a line, relative to `out`
//   stmt/*.stmt                   the kernels in Halide's readable form (first float type, last ISA level)
//   include/lossc/losses/NAME.h   typed C wrappers
//   manifest.json                 losses, forms, kernels and the hash of every object
// The same definitions give the same bytes on any day, in any folder. Throws std::runtime_error for what no loss is to
// blame for (files, processes, an unknown name in Options::losses).
Report emit(const Options& options);

// The matrix of these words ("f32", "avx2"), in ascending order. Throws std::runtime_error for a word it does not know.
Matrix make_matrix(const std::vector<std::string>& dtypes, const std::vector<std::string>& isas);

}  // namespace lossc::emit
