// A loss as JSON: what `lossc list` and `lossc describe` show.
#pragma once
#include "dsl/program.h"
#include "generators/cli/command.h"

namespace lossc::cli {

// id, family, title; inputs, params and options by name.
Json describe_briefly(const Definition& definition);
// All of it: documentation, shapes, dtypes, ranges, outputs.
Json describe(const Definition& definition);

}  // namespace lossc::cli
