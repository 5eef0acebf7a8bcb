// One call of a loss in terms of its definition: tensors and params by name. Golden vectors, random samples, kernel
// tests and `lossc check` all speak it; which compiled form it means follows from it.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "oracle.h"
#include "program.h"

namespace lossc {

struct Case {
  std::string loss, name;
  std::map<std::string, Array> inputs;         // an optional tensor is given iff it is here
  std::map<std::string, std::string> options;  // others: the default choice
  std::map<std::string, double> params;        // others: the default value
  Reduction reduction = Reduction::Mean;
  std::optional<Array> row_weight, row_mask;
  std::optional<Array> grad_output;  // per row, or one value for all
  double denominator = 0;            // 0: as the loss says
};

// The definition linked under that name; throws DefinitionError if there is none.
const Definition& definition_of(const std::string& loss);

// The structural form for the case: options, optional tensors and zero params as it says, optional axes as the ranks
// and extents of its tensors say. Throws DefinitionError with the reason if no form fits.
Program program_for(const Definition& definition, const Case& c);

// Extent by axis from the shapes of the tensors; throws DefinitionError where they contradict each other or a rank is
// wrong. An axis that no tensor has, as an optional one that is absent, has extent 1.
std::vector<int64_t> extents_of(const Program& program, const Case& c);

// Everything the oracle needs, implicit inputs included.
Inputs oracle_inputs(const Program& program, const Case& c);

// Names in a case that its program does not know: misspelled, or of another form. Empty: none.
std::string unknown_names(const Program& program, const Case& c);

}  // namespace lossc
