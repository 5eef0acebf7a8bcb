#include "generators/cli/form.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "generators/emit/interface.h"

namespace lossc::cli {
namespace {

std::pair<std::string, std::string> name_and_value(const std::string& word, const char* what) {
  const size_t at = word.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == word.size())
    throw UsageError(fmt::format("'{}': want {}", word, what));
  return {word.substr(0, at), word.substr(at + 1)};
}

template <class T>
T number(const std::string& text, const std::string& word) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw UsageError(fmt::format("'{}': '{}' is no {}", word, text, std::is_integral_v<T> ? "whole number" : "number"));
  return value;
}

struct Wanted {
  std::map<std::string, int64_t> extents;
  std::map<std::string, std::string> options;
  std::map<std::string, double> params;
  std::vector<std::string> with;
};

Wanted read(const FormWords& words) {
  Wanted w{{}, {}, {}, words.with};
  for (const std::string& s : words.shape) {
    const auto [name, value] = name_and_value(s, "AXIS=EXTENT, as in --shape N=4096,D=128");
    w.extents[name] = number<int64_t>(value, s);
    if (w.extents[name] < 0 || w.extents[name] > INT32_MAX)
      throw UsageError(fmt::format("'{}': an extent is 0 to {}", s, INT32_MAX));
  }
  for (const std::string& s : words.options) w.options.insert(name_and_value(s, "NAME=CHOICE"));
  for (const std::string& s : words.params) {
    const auto [name, value] = name_and_value(s, "NAME=VALUE");
    w.params[name] = number<double>(value, s);
  }
  return w;
}

int choice_of(const OptionInfo& o, const std::string& name) {
  if (o.is_count()) {
    const int n = number<int>(name, o.name + "=" + name);
    if (n < 0) throw UsageError(fmt::format("option {} is {}, want 0 or more", o.name, n));
    return n;
  }
  auto choice = std::find(o.choices.begin(), o.choices.end(), name);
  if (choice == o.choices.end())
    throw UsageError(fmt::format("option {} is one of {}, not '{}'", o.name, fmt::join(o.choices, ", "), name));
  return static_cast<int>(choice - o.choices.begin());
}

int value_of(const Program& p, const Wanted& w, const Fact& f) {
  switch (f.kind) {
    case Fact::Option: {
      const OptionInfo& o = p.options[f.id];
      auto it = w.options.find(o.name);
      if (it == w.options.end()) return 0;
      return choice_of(o, it->second);
    }
    case Fact::TensorGiven:
      return std::count(w.with.begin(), w.with.end(), p.graph.tensors[f.id].name) > 0;
    case Fact::AxisGiven:
      return w.extents.count(p.graph.axes[f.id].name) > 0;
    case Fact::ParamZero: {
      auto it = w.params.find(p.graph.params[f.id].name);
      return (it == w.params.end() ? p.graph.params[f.id].fallback : it->second) == 0;
    }
  }
  return 0;
}

// Chooses one structural fact after the other until the form asks about no more.
Program follow(const Definition& d, const Wanted& w) {
  std::vector<Fact> choices;
  for (;;) {
    Program p = build(d, choices);
    size_t k = choices.size();
    while (k < p.facts.size() && p.facts[k].value == value_of(p, w, p.facts[k])) k++;
    if (k == p.facts.size()) return p;
    choices.assign(p.facts.begin(), p.facts.begin() + static_cast<long>(k));
    choices.push_back({p.facts[k].kind, p.facts[k].id, value_of(p, w, p.facts[k])});
  }
}

template <class Names, class List>
void check_names(const char* kind, const Names& given, const List& known) {
  std::vector<std::string> names;
  for (const auto& k : known) names.push_back(k.name);
  for (const std::string& name : given) {
    if (std::count(names.begin(), names.end(), name)) continue;
    throw UsageError(names.empty() ? fmt::format("there is no {} '{}': this loss has none", kind, name)
                                   : fmt::format("there is no {} '{}': want {}", kind, name, fmt::join(names, ", ")));
  }
}

void check_values(const std::map<std::string, double>& given, const std::vector<ir::Param>& params) {
  for (const ir::Param& p : params) {
    const auto it = given.find(p.name);
    if (it == given.end()) continue;
    const double v = it->second;
    const bool low = p.low_open ? v > p.low : v >= p.low, high = p.high_open ? v < p.high : v <= p.high;
    if (!low || !high || (p.integer && v != std::floor(v)))
      throw UsageError(fmt::format("param {}={}: want {}", p.name, v, emit::range_text(p)));
  }
}

template <class Map>
std::vector<std::string> keys(const Map& map) {
  std::vector<std::string> list;
  for (const auto& [key, value] : map) list.push_back(key);
  return list;
}

// Fills in the axes whose extents follow from others.
void derive(Form* form) {
  const ir::Graph& g = form->program.graph;
  std::vector<int64_t> extents;
  for (const ir::Axis& a : g.axes) {
    auto it = form->extents.find(a.name);
    extents.push_back(it == form->extents.end() ? 1 : it->second);
  }
  std::vector<double> params = default_params(form->program);
  for (const OptionInfo& o : form->program.options)
    if (o.is_count()) params[o.param] = form->choice(o.name);
  derive_extents(g, params, &extents);
  for (size_t a = 0; a < extents.size(); a++) {
    if (g.axes[a].length == ir::kNone) continue;
    const int64_t told = form->extents.try_emplace(g.axes[a].name, extents[a]).first->second;
    if (told == extents[a]) continue;
    const std::string& name = g.axes[a].name;
    const bool count = std::any_of(form->program.options.begin(), form->program.options.end(),
                                   [&](const OptionInfo& o) { return o.is_count() && o.name == name; });
    throw UsageError(fmt::format("axis {} has {} elements, want {}{}", name, told, extents[a],
                                 count ? fmt::format("; its length is an option: --option {}={}", name, told) : ""));
  }
}

}  // namespace

void add_form_words(CLI::App* command, FormWords* words, bool shape_required) {
  auto* shape = command->add_option("--shape", words->shape, "extents of the axes, N=4096,D=128")->delimiter(',');
  if (shape_required) shape->required();
  command->add_option("--option", words->options, "a choice, NAME=CHOICE; may be repeated")->delimiter(',');
  command->add_option("--param", words->params, "a value, NAME=NUMBER; may be repeated")->delimiter(',');
  command->add_option("--with", words->with, "optional inputs to give, by name")->delimiter(',');
}

Form choose_form(const Definition& definition, const FormWords& words, int64_t fallback) {
  const Wanted w = read(words);
  Form form{follow(definition, w), w.extents, w.params, w.options};
  const Program& p = form.program;
  std::vector<ir::Tensor> optional;
  std::vector<ir::Param> params(p.graph.params.begin(), p.graph.params.end());
  for (ir::Id q = static_cast<ir::Id>(params.size()); q-- > 0;)
    if (!is_declared(p, q)) params.erase(params.begin() + q);
  for (const ir::Tensor& t : p.graph.tensors)
    if (t.optional && is_declared(t.role)) optional.push_back(t);
  // Of axes that follow from others, the compiler's own among them, none is asked for.
  std::vector<ir::Axis> free;
  for (const ir::Axis& a : p.graph.axes)
    if (a.length == ir::kNone || w.extents.count(a.name)) free.push_back(a);
  check_names("axis", keys(w.extents), free);
  check_names("option", keys(w.options), p.options);
  check_names("param", keys(w.params), params);
  check_values(w.params, params);
  for (const OptionInfo& o : p.options) {
    const auto given = w.options.find(o.name);
    if (given != w.options.end()) choice_of(o, given->second);
  }
  check_names("optional input", w.with, optional);
  std::vector<std::string> missing;
  for (const ir::Axis& a : p.graph.axes) {
    if (a.optional || a.length != ir::kNone || form.extents.count(a.name)) continue;
    if (fallback > 0 && words.shape.empty())
      form.extents[a.name] = fallback;
    else
      missing.push_back(fmt::format("{}=... ({})", a.name, a.doc.empty() ? "an extent" : a.doc));
  }
  if (!missing.empty()) throw UsageError(fmt::format("--shape lacks {}", fmt::join(missing, ", ")));
  derive(&form);
  return form;
}

std::string form_text(const Program& p) {
  std::vector<std::string> facts;
  for (const Fact& f : p.facts) {
    switch (f.kind) {
      case Fact::Option:
        facts.push_back(fmt::format("{}={}", p.options[f.id].name, p.options[f.id].choices[f.value]));
        break;
      case Fact::TensorGiven:
        facts.push_back(fmt::format("{} {}", p.graph.tensors[f.id].name, f.value ? "given" : "absent"));
        break;
      case Fact::AxisGiven:
        facts.push_back(fmt::format("axis {} {}", p.graph.axes[f.id].name, f.value ? "given" : "absent"));
        break;
      case Fact::ParamZero:
        facts.push_back(fmt::format("{} {} 0", p.graph.params[f.id].name, f.value ? "=" : "not"));
        break;
    }
  }
  return fmt::format("{}", fmt::join(facts, ", "));
}

int64_t Form::extent(ir::Id index) const {
  auto it = extents.find(program.graph.axes[program.graph.indices[index].axis].name);
  return it == extents.end() ? 1 : it->second;
}

std::vector<int64_t> Form::shape(const std::vector<ir::Id>& indices) const {
  std::vector<int64_t> s;
  for (ir::Id i : indices) s.push_back(extent(i));
  return s;
}

int Form::choice(const std::string& option) const {
  auto given = options.find(option);
  for (const OptionInfo& o : program.options) {
    if (o.name != option) continue;
    if (given == options.end()) return o.fallback;
    if (o.is_count()) return choice_of(o, given->second);
    return static_cast<int>(std::find(o.choices.begin(), o.choices.end(), given->second) - o.choices.begin());
  }
  return 0;
}

std::string Form::choice_text(const OptionInfo& o) const {
  const int n = choice(o.name);
  return o.is_count() ? std::to_string(n) : o.choices[static_cast<size_t>(n)];
}

std::string Form::text() const {
  std::string text = form_text(program);
  for (const OptionInfo& o : program.options) {
    if (o.param == ir::kNone) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", o.name, choice_text(o));
  }
  return text;
}

std::string Form::shape_text() const {
  std::string text;
  for (const ir::Axis& a : program.graph.axes) {
    auto it = extents.find(a.name);
    if (it != extents.end()) text += fmt::format("{}{}={}", text.empty() ? "" : ", ", a.name, it->second);
  }
  return text;
}

Json Form::shape_json() const {
  Json shape = Json::object();
  for (const ir::Axis& a : program.graph.axes) {
    auto it = extents.find(a.name);
    if (it != extents.end()) shape[a.name] = it->second;
  }
  return shape;
}

Case Form::small_case(int64_t most, int64_t longest, unsigned seed) const {
  constexpr int64_t kLeast = 6;
  constexpr double kWork = 4e6;  // that the oracle does in a second or two, roundings included
  SampleOptions options;
  options.extent = 1;  // of absent optional axes
  options.seed = seed;
  options.vary_params = false;
  for (const OptionInfo& o : program.options)
    if (o.param != ir::kNone) options.choices[o.name] = choice_text(o);
  const auto shorter = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto longest_axis = std::max_element(extents.begin(), extents.end(), shorter);
  // Where values have many indices all axes are shorter; still even, for losses over pairs of rows.
  for (;; most = std::max(most - 2, kLeast), longest = std::max(most, longest / 4 * 2)) {
    for (auto it = extents.begin(); it != extents.end(); ++it)
      options.extents[it->first] = std::min(it->second, it == longest_axis ? longest : most);
    if (longest <= kLeast || cost(program, options).oracle <= kWork) break;
  }
  Case c = sample(program, options);
  for (const auto& [name, value] : params) c.params[name] = value;
  return c;
}

}  // namespace lossc::cli
