// A loss as the rows of runtime/table.h, before they are printed as C++.
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "generators/emit/interface.h"
#include "generators/emit/kernels.h"
#include "runtime/table.h"

namespace lossc::emit {

struct Buffer {
  std::string name;
  rt::Buffer row;  // but for its name
};
struct Step {
  std::string text;
  rt::Step row;  // but for its text; `kernel` counts in Form::kernels
};

// One structural form; both dtypes share it, but for the kernels' symbols.
struct Form {
  std::vector<Fact> facts;
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  std::vector<rt::Arg> args;
  std::vector<rt::Pass> passes;
  std::vector<int> kernels;  // in the KernelSet
  std::vector<std::pair<std::string, std::vector<rt::ShapeCode>>> requirements;  // text and condition
  int slots = 0;
  bool contracts = false;
  std::vector<int> rows;  // axes of a row, outermost first
  uint64_t digest = 0;  // of the plan and the kernels' names
};

struct LossTables {
  std::string file;  // base name of the definition's source
  Interface interface;
  std::vector<Form> forms;
  bool hessian = false;  // the tables of its Hessian products, for the lowest level only
  // What the kernels point into.
  std::vector<Program> programs;
  std::deque<plan::Plan> plans;
};

// Runs the definition in all its forms, plans them, and adds their kernels to the set. Throws DefinitionError.
std::unique_ptr<LossTables> make_tables(const Definition& definition, KernelSet* kernels);
// The same of the loss's Hessian products; nothing, and `why`, if it has none: no input is differentiable, or a word of it
// has no second derivative.
std::unique_ptr<LossTables> make_hessian_tables(const LossTables& loss, KernelSet* kernels, std::string* why);

}  // namespace lossc::emit
