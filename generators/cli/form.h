// Which form of a loss a command is about, and how large: the words --shape, --option, --param and --with.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "dsl/sample.h"
#include "generators/cli/command.h"

namespace lossc::cli {

struct FormWords {
  std::vector<std::string> shape, options, params, with;
};
void add_form_words(CLI::App* command, FormWords* words, bool shape_required);

struct Form {
  Program program;
  std::map<std::string, int64_t> extents;      // by axis; complete, but for absent optional axes
  std::map<std::string, double> params;        // as given
  std::map<std::string, std::string> options;  // as given

  int64_t extent(ir::Id index) const;
  std::vector<int64_t> shape(const std::vector<ir::Id>& indices) const;
  int choice(const std::string& option) const;  // 0 if this form does not have it
  std::string shape_text() const;               // "N=4096, D=128"
  std::string choice_text(const OptionInfo& option) const;
  std::string text() const;                     // "target=index, weight absent", choices made at run time included
  Json shape_json() const;
  // A call of exactly this form and its params on small random tensors, for a check: no extent above `most`, but the
  // longest up to `longest`.
  Case small_case(int64_t most, int64_t longest, unsigned seed) const;
};

// "target=index, weight absent"; empty for the only form of a loss.
std::string form_text(const Program& program);

// Throws UsageError for a name that the loss does not know, or an axis without an extent; without any shape `fallback`
// is every extent, if it is not 0.
Form choose_form(const Definition& definition, const FormWords& words, int64_t fallback = 0);

}  // namespace lossc::cli
