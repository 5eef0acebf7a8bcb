#include "case.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace lossc {
namespace {

using ir::Id;

bool implicit(const Program& p, Id tensor) { return !is_declared(p.graph.tensors[tensor].role); }

bool used(const Program& p, Id tensor) {
  for (const Fact& f : p.facts) {
    if (f.kind == Fact::TensorGiven && f.id == tensor) return f.value != 0;
  }
  return !p.graph.tensors[tensor].optional;
}

int choice_of(const Program& p, const OptionInfo& o, const std::string& name) {
  auto choice = std::find(o.choices.begin(), o.choices.end(), name);
  if (choice == o.choices.end())
    throw DefinitionError(fmt::format("loss '{}': option '{}' has no choice '{}'", p.name, o.name, name));
  return static_cast<int>(choice - o.choices.begin());
}

using AxisGuess = std::map<Id, bool>;  // optional axis: given? Those not listed: no

// The value a structural fact must have for the case. Only shapes can tell about axes, hence the guess.
int wanted(const Program& p, const Case& c, const AxisGuess& axes, const Fact& f) {
  switch (f.kind) {
    case Fact::Option: {
      const OptionInfo& o = p.options[f.id];
      auto it = c.options.find(o.name);
      if (it == c.options.end()) return 0;
      return choice_of(p, o, it->second);
    }
    case Fact::TensorGiven:
      return c.inputs.count(p.graph.tensors[f.id].name) > 0;
    case Fact::ParamZero: {
      const ir::Param& q = p.graph.params[f.id];
      auto it = c.params.find(q.name);
      return (it == c.params.end() ? q.fallback : it->second) == 0;
    }
    case Fact::AxisGiven: {
      auto it = axes.find(f.id);
      return it != axes.end() && it->second;
    }
  }
  return 0;
}

// Walks the tree of forms of build_all down the one path that the case names.
Program follow(const Definition& d, const Case& c, const AxisGuess& axes) {
  std::vector<Fact> choices;
  for (;;) {
    Program p = build(d, choices);
    size_t k = choices.size();
    while (k < p.facts.size() && p.facts[k].value == wanted(p, c, axes, p.facts[k])) k++;
    if (k == p.facts.size()) return p;
    choices.assign(p.facts.begin(), p.facts.begin() + static_cast<long>(k));
    choices.push_back({p.facts[k].kind, p.facts[k].id, wanted(p, c, axes, p.facts[k])});
  }
}

// Tries the optional axes absent first, then one after the other given.
std::optional<Program> search(const Definition& d, const Case& c, AxisGuess axes, std::string& why) {
  Program p = follow(d, c, axes);
  try {
    extents_of(p, c);
    return p;
  } catch (const DefinitionError& e) {
    why += std::string(why.empty() ? "" : "; or ") + e.what();
  }
  for (const Fact& f : p.facts) {
    if (f.kind != Fact::AxisGiven || axes.count(f.id)) continue;
    axes[f.id] = true;
    if (auto found = search(d, c, axes, why)) return found;
    axes[f.id] = false;
  }
  return std::nullopt;
}

// Extents of the dimensions of one tensor; the flat axis takes as many of the caller's dimensions as are left over.
std::vector<int64_t> fold_flat(const Program& p, const ir::Tensor& t, const std::vector<int64_t>& shape) {
  const auto& g = p.graph;
  const size_t rank = t.dims.size();
  auto flat = std::find_if(t.dims.begin(), t.dims.end(), [&](Id i) { return g.axes[g.indices[i].axis].flat; });
  const bool any_rank = flat != t.dims.end();
  if (any_rank ? shape.size() + 1 < rank : shape.size() != rank)
    throw DefinitionError(fmt::format("loss '{}': '{}' has shape [{}], wanted {} dimensions", p.name, t.name,
                                      fmt::join(shape, ", "), rank));
  std::vector<int64_t> out;
  size_t next = 0;
  for (size_t k = 0; k < rank; k++) {
    const bool here = any_rank && k == static_cast<size_t>(flat - t.dims.begin());
    int64_t extent = 1;
    for (size_t n = here ? shape.size() + 1 - rank : 1; n > 0; n--) extent *= shape[next++];
    out.push_back(extent);
  }
  return out;
}

size_t count(const Program& p, const std::vector<int64_t>& extents, const std::vector<Id>& indices) {
  size_t n = 1;
  for (Id i : indices) n *= static_cast<size_t>(extents[p.graph.indices[i].axis]);
  return n;
}

std::vector<double> per_row(const Program& p, const char* what, const std::optional<Array>& given, size_t rows) {
  if (!given) return std::vector<double>(rows, 1);
  if (given->data.size() == 1) return std::vector<double>(rows, given->data[0]);
  if (given->data.size() != rows)
    throw DefinitionError(
        fmt::format("loss '{}': {} has {} elements, but there are {} rows", p.name, what, given->data.size(), rows));
  return given->data;
}

}  // namespace

const Definition& definition_of(const std::string& loss) {
  for (const Definition& d : definitions()) {
    if (d.name == loss) return d;
  }
  throw DefinitionError(fmt::format("there is no loss '{}'", loss));
}

Program program_for(const Definition& definition, const Case& c) {
  std::string why;
  if (auto found = search(definition, c, {}, why)) return std::move(*found);
  throw DefinitionError(why);
}

namespace {

int count_of(const Program& p, const OptionInfo& o, const std::string& text) {
  int n = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < 0)
    throw DefinitionError(fmt::format("loss '{}': option '{}' is '{}', wanted an integer, 0 or more", p.name, o.name, text));
  return n;
}

// By param: what the case says, or the default.
std::vector<double> params_of(const Program& p, const Case& c) {
  std::vector<double> params;
  for (const ir::Param& q : p.graph.params) {
    auto it = c.params.find(q.name);
    params.push_back(it == c.params.end() ? q.fallback : it->second);
  }
  for (const OptionInfo& o : p.options) {
    auto it = c.options.find(o.name);
    if (o.param != ir::kNone && it != c.options.end())
      params[o.param] = o.is_count() ? count_of(p, o, it->second) : choice_of(p, o, it->second);
  }
  return params;
}

}  // namespace

std::vector<int64_t> extents_of(const Program& p, const Case& c) {
  const auto& g = p.graph;
  std::vector<int64_t> extents(g.axes.size(), -1);
  for (Id t = 0; t < static_cast<Id>(g.tensors.size()); t++) {
    if (implicit(p, t) || !used(p, t)) continue;
    const ir::Tensor& tensor = g.tensors[t];
    auto it = c.inputs.find(tensor.name);
    if (it == c.inputs.end()) throw DefinitionError(fmt::format("loss '{}': '{}' is not given", p.name, tensor.name));
    const std::vector<int64_t> shape = fold_flat(p, tensor, it->second.shape);
    for (size_t k = 0; k < shape.size(); k++) {
      const Id axis = g.indices[tensor.dims[k]].axis;
      if (extents[axis] >= 0 && extents[axis] != shape[k])
        throw DefinitionError(fmt::format("loss '{}': axis {} is {} in '{}' but {} elsewhere", p.name,
                                          g.axes[axis].name, shape[k], tensor.name, extents[axis]));
      extents[axis] = shape[k];
    }
  }
  std::vector<int64_t> told = extents;
  std::replace(extents.begin(), extents.end(), int64_t{-1}, int64_t{1});
  derive_extents(g, params_of(p, c), &extents);
  for (size_t a = 0; a < told.size(); a++)
    if (told[a] >= 0 && told[a] != extents[a])
      throw DefinitionError(fmt::format("loss '{}': axis {} is {}, wanted {}", p.name, g.axes[a].name, told[a], extents[a]));
  return extents;
}

Inputs oracle_inputs(const Program& p, const Case& c) {
  const auto& g = p.graph;
  Inputs in{extents_of(p, c), std::vector<std::vector<double>>(g.tensors.size()), {}};
  if (const Requirement* r = unmet(p, in.extents))
    throw DefinitionError(fmt::format("loss '{}': wants {}", p.name, r->text));
  for (Id t = 0; t < static_cast<Id>(g.tensors.size()); t++) {
    if (implicit(p, t) || !used(p, t)) continue;
    in.tensors[t] = c.inputs.at(g.tensors[t].name).data;
    if (in.tensors[t].size() != count(p, in.extents, g.tensors[t].dims))
      throw DefinitionError(fmt::format("loss '{}': '{}' has {} elements, not what its shape says", p.name,
                                        g.tensors[t].name, in.tensors[t].size()));
  }
  const size_t rows = count(p, in.extents, p.rows);
  in.tensors[p.row_weight] = per_row(p, "row_weight", c.row_weight, rows);
  in.tensors[p.row_mask] = per_row(p, "row_mask", c.row_mask, rows);
  in.tensors[p.grad_output] = per_row(p, "grad_output", c.grad_output, rows);
  in.params = params_of(p, c);
  in.params[p.reduction] = static_cast<int>(c.reduction);
  in.params[p.denominator] = c.denominator;
  return in;
}

std::string unknown_names(const Program& p, const Case& c) {
  std::string out;
  auto check = [&](const char* kind, const std::string& name, bool known) {
    if (!known) out += fmt::format("{}{} '{}'", out.empty() ? "" : ", ", kind, name);
  };
  for (const auto& [name, value] : c.inputs) {
    bool known = false;
    for (Id t = 0; t < static_cast<Id>(p.graph.tensors.size()); t++)
      known |= p.graph.tensors[t].name == name && !implicit(p, t);
    check("input", name, known);
  }
  for (const auto& [name, value] : c.params) {
    bool known = false;
    for (Id q = 0; q < static_cast<Id>(p.graph.params.size()); q++)
      known |= p.graph.params[q].name == name && is_declared(p, q);
    check("param", name, known);
  }
  for (const auto& [name, value] : c.options) {
    check("option", name, std::any_of(p.options.begin(), p.options.end(), [&](auto& o) { return o.name == name; }));
  }
  return out;
}

}  // namespace lossc
