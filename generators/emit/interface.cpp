#include "generators/emit/interface.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "generators/emit/shape_code.h"

namespace lossc::emit {

static_assert(kMostTensorDims == rt::kMaxDims, "the language and the runtime allow tensors of the same rank");

namespace {

template <class T>
int find(const std::vector<T>& list, const std::string& name) {
  auto it = std::find_if(list.begin(), list.end(), [&](const T& e) { return e.name == name; });
  return it == list.end() ? -1 : static_cast<int>(it - list.begin());
}

class Union {
 public:
  explicit Union(const Program& first) {
    all_.name = first.name;
    all_.family = first.family;
    all_.about = first.about;
  }

  // In two rounds: outputs come after all inputs are known.
  void declare(const Program& p, FormIds* ids) {
    for (const OptionInfo& o : p.options) ids->options.push_back(add_option(o));
    for (const ir::Axis& a : p.graph.axes) ids->axes.push_back(add_axis(p, a, *ids));
    for (const Requirement& r : p.requirements)
      if (std::find(all_.wants.begin(), all_.wants.end(), r.text) == all_.wants.end()) all_.wants.push_back(r.text);
    for (size_t k = 0; k < p.graph.params.size(); k++) ids->params.push_back(add_param(p, static_cast<ir::Id>(k)));
    for (size_t k = 0; k < p.graph.tensors.size(); k++)
      ids->inputs.push_back(add_input(p, static_cast<ir::Id>(k), *ids));
    for (const Gradient& g : p.gradients) all_.inputs[ids->inputs[g.tensor]].differentiable = true;
  }

  void start_outputs() {
    all_.outputs.push_back({.name = "loss", .doc = "reduced by sum or mean", .shapes = {{}}});
    all_.outputs.push_back({.name = "loss", .doc = "with reduction none one per row, else 0-d"});
    for (size_t k = 0; k < all_.inputs.size(); k++) {
      const Input& t = all_.inputs[k];
      if (!t.differentiable) continue;
      all_.outputs.push_back({.name = "grad_" + t.name,
                              .doc = fmt::format("gradient with respect to {}", t.name),
                              .shapes = t.shapes,
                              .gradient_of = static_cast<int>(k)});
    }
  }

  void add_outputs(const Program& p, FormIds* ids) {
    add_shape(&all_.outputs[1].shapes, shape(p, p.rows, *ids));
    ids->outputs = {0, 1};
    for (const Gradient& g : p.gradients) {
      const int input = ids->inputs[g.tensor];
      auto it = std::find_if(all_.outputs.begin(), all_.outputs.end(), [&](auto& o) { return o.gradient_of == input; });
      ids->outputs.push_back(static_cast<int>(it - all_.outputs.begin()));
    }
    for (const NamedOutput& o : p.outputs) ids->outputs.push_back(add_output(p, o, *ids));
  }

  // What not every form knows is optional; what is implicit is numbered after the declared.
  void finish(const std::vector<Program>& forms, std::vector<FormIds>* ids) {
    const int n_inputs = static_cast<int>(all_.inputs.size()), n_params = static_cast<int>(all_.params.size());
    for (size_t f = 0; f < forms.size(); f++) {
      const Program& p = forms[f];
      FormIds& form = (*ids)[f];
      for (int k = 0; k < n_inputs; k++)
        if (std::find(form.inputs.begin(), form.inputs.end(), k) == form.inputs.end()) all_.inputs[k].optional = true;
      const ir::Id tensors[] = {p.row_weight, p.row_mask, p.grad_output}, params[] = {p.reduction, p.denominator};
      for (int k = 0; k < 3; k++) form.inputs[tensors[k]] = n_inputs + k;
      for (int k = 0; k < 2; k++) form.params[params[k]] = n_params + k;
      for (size_t k = 0; k < p.options.size(); k++)
        if (p.options[k].param != ir::kNone) form.params[p.options[k].param] = n_params + 2 + form.options[k];
    }
    for (size_t k = 0; k < forms[0].graph.tensors.size(); k++)
      if (!forms[0].graph.tensors[k].optional && (*ids)[0].inputs[k] >= 0) all_.inputs[(*ids)[0].inputs[k]].by_default = true;
    for (int k = 0; k < n_inputs; k++) say_when_known(forms, *ids, k);
  }

  Interface take() { return std::move(all_); }

 private:
  [[noreturn]] void contradiction(const std::string& what, const std::string& name) const {
    throw DefinitionError(fmt::format("loss '{}': two forms declare {} '{}' differently; give them different names",
                                      all_.name, what, name));
  }

  int add_axis(const Program& p, const ir::Axis& a, const FormIds& ids) {
    const std::vector<rt::ShapeCode> length =
        a.length == ir::kNone ? std::vector<rt::ShapeCode>{} : shape_code(p, ids.axes, ids.options, a.length);
    const int k = find(all_.axes, a.name);
    if (k < 0) {
      all_.axes.push_back(a);
      all_.lengths.push_back(length);
      return static_cast<int>(all_.axes.size()) - 1;
    }
    if (all_.axes[k].optional != a.optional || all_.axes[k].flat != a.flat || all_.lengths[k] != length)
      contradiction("axis", a.name);
    return k;
  }

  int add_option(const OptionInfo& o) {
    const int k = find(all_.options, o.name);
    if (k < 0) return all_.options.push_back(o), static_cast<int>(all_.options.size()) - 1;
    if (all_.options[k].choices != o.choices || all_.options[k].fallback != o.fallback || (all_.options[k].param == ir::kNone) != (o.param == ir::kNone))
      contradiction("option", o.name);
    return k;
  }

  int add_param(const Program& p, ir::Id id) {
    if (!is_declared(p, id)) return -1;
    const ir::Param& q = p.graph.params[id];
    const int k = find(all_.params, q.name);
    if (k < 0) return all_.params.push_back(q), static_cast<int>(all_.params.size()) - 1;
    const ir::Param& r = all_.params[k];
    if (r.fallback != q.fallback || r.low != q.low || r.high != q.high || r.integer != q.integer ||
        r.low_open != q.low_open || r.high_open != q.high_open)
      contradiction("param", q.name);
    return k;
  }

  int add_input(const Program& p, ir::Id id, const FormIds& ids) {
    const ir::Tensor& t = p.graph.tensors[id];
    if (!is_declared(t.role)) return -1;
    const int range_axis = t.range_axis == ir::kNone ? -1 : ids.axes[t.range_axis];
    const int ignore_param = t.ignore_param == ir::kNone ? -1 : ids.params[t.ignore_param];
    int k = find(all_.inputs, t.name);
    if (k < 0) {
      k = static_cast<int>(all_.inputs.size());
      all_.inputs.push_back({.name = t.name,
                             .doc = t.doc,
                             .type = t.type,
                             .role = t.role,
                             .optional = t.optional,
                             .range_axis = range_axis,
                             .ignore_param = ignore_param,
                             .allow_minus_one = t.allow_minus_one,
                             .range_inclusive = t.range_inclusive,
                             .ascending = t.ascending});
    }
    Input& known = all_.inputs[k];
    if (known.type != t.type || known.range_axis != range_axis || known.ignore_param != ignore_param ||
        known.allow_minus_one != t.allow_minus_one || known.range_inclusive != t.range_inclusive || known.ascending != t.ascending)
      contradiction("tensor", t.name);
    known.optional |= t.optional;
    const Shape own = shape(p, t.dims, ids);
    // A form has all axes of a larger one, or lacks some: what came is told apart by its rank alone.
    for (const Shape& other : known.shapes)
      if (!has_all(own, other) && !has_all(other, own)) contradiction("the axes of tensor", t.name);
    add_shape(&known.shapes, own);
    return k;
  }

  int add_output(const Program& p, const NamedOutput& o, const FormIds& ids) {
    int k = find(all_.outputs, o.name);
    if (k < 0) {
      k = static_cast<int>(all_.outputs.size());
      all_.outputs.push_back(
          {.name = o.name, .doc = o.doc, .type = p.graph.type(o.node), .shapes = {}, .state = o.state});
    }
    if (all_.outputs[k].type != p.graph.type(o.node) || k < 2 || all_.outputs[k].gradient_of >= 0)
      contradiction("output", o.name);
    add_shape(&all_.outputs[k].shapes, shape(p, o.indices, ids));
    return k;
  }

  // Where one option decides whether an input exists, its documentation says so: "...; with target = index".
  void say_when_known(const std::vector<Program>& forms, const std::vector<FormIds>& ids, int input) {
    for (int o = 0; o < static_cast<int>(all_.options.size()); o++) {
      const OptionInfo& option = all_.options[o];
      std::vector<int> with(option.choices.size()), without(option.choices.size());
      for (size_t f = 0; f < forms.size(); f++) {
        const bool known = std::find(ids[f].inputs.begin(), ids[f].inputs.end(), input) != ids[f].inputs.end();
        for (size_t c = 0; c < option.choices.size(); c++)
          if (allows(forms[f], ids[f], o, static_cast<int>(c))) (known ? with : without)[c]++;
      }
      std::string choices;
      bool decides = true;
      for (size_t c = 0; c < option.choices.size(); c++) {
        decides &= with[c] == 0 || without[c] == 0;
        if (with[c] > 0) choices += (choices.empty() ? "" : " or ") + option.choices[c];
      }
      const bool all_with = std::count(without.begin(), without.end(), 0) == static_cast<long>(without.size());
      if (!decides || all_with || choices.empty()) continue;
      all_.inputs[input].doc += fmt::format("; with {} = {}", option.name, choices);
      all_.inputs[input].by_option = true;
      return;
    }
  }

  static bool allows(const Program& form, const FormIds& ids, int option, int choice) {
    for (const lossc::Fact& f : form.facts)
      if (f.kind == lossc::Fact::Option && ids.options[f.id] == option) return f.value == choice;
    return true;  // it never asked
  }

  static Shape shape(const Program& p, const std::vector<ir::Id>& indices, const FormIds& ids) {
    Shape s;
    for (ir::Id i : indices) s.axes.push_back(ids.axes[p.graph.indices[i].axis]);
    return s;
  }

  static bool has_all(const Shape& s, const Shape& of) {
    return std::all_of(of.axes.begin(), of.axes.end(), [&](int a) { return std::find(s.axes.begin(), s.axes.end(), a) != s.axes.end(); });
  }

  static void add_shape(std::vector<Shape>* shapes, const Shape& s) {
    if (std::find(shapes->begin(), shapes->end(), s) != shapes->end()) return;
    shapes->push_back(s);
    std::stable_sort(shapes->begin(), shapes->end(), [](auto& a, auto& b) { return a.axes.size() > b.axes.size(); });
  }

  Interface all_;
};

std::string print_shape(const Interface& all, const Shape& s) {
  std::string text;
  for (int axis : s.axes) {
    const ir::Axis& a = all.axes[axis];
    std::string name = a.name + (a.flat ? "..." : "");
    text += (text.empty() ? "" : ", ") + (a.optional ? "(" + name + ")" : name);
  }
  return "[" + text + "]";
}

// Axes that this form's tensors have (true) or lack, where the same tensor of another form does otherwise: the choice of
// an option changes its rank. Flat axes may stand for no dimension at all, and tell forms apart by nothing.
std::map<int, bool> axes_of_form(const Program& form, const FormIds& ids, const Interface& all) {
  std::map<int, bool> found;
  for (size_t k = 0; k < ids.inputs.size(); k++) {
    if (ids.inputs[k] < 0 || ids.inputs[k] >= static_cast<int>(all.inputs.size())) continue;
    std::set<int> own;
    for (ir::Id d : form.graph.tensors[k].dims) own.insert(ids.axes[form.graph.indices[d].axis]);
    const std::vector<Shape>& shapes = all.inputs[ids.inputs[k]].shapes;
    for (const Shape& s : shapes)
      for (int axis : s.axes) {
        const auto has = [&](const Shape& other) { return std::find(other.axes.begin(), other.axes.end(), axis) != other.axes.end(); };
        if (!all.axes[axis].optional && !all.axes[axis].flat && !std::all_of(shapes.begin(), shapes.end(), has))
          found[axis] = own.count(axis) > 0;
      }
  }
  return found;
}

Shape without_optional(const Interface& all, Shape s) {
  std::erase_if(s.axes, [&](int a) { return all.axes[a].optional; });
  return s;
}

}  // namespace

Interface unite(const std::vector<Program>& forms, std::vector<FormIds>* ids) {
  Union all(forms[0]);
  ids->assign(forms.size(), {});
  for (size_t f = 0; f < forms.size(); f++) all.declare(forms[f], &(*ids)[f]);
  all.start_outputs();
  for (size_t f = 0; f < forms.size(); f++) all.add_outputs(forms[f], &(*ids)[f]);
  all.finish(forms, ids);
  return all.take();
}

std::vector<Fact> facts_of(const Program& form, const FormIds& ids, const Interface& all) {
  std::vector<Fact> facts;
  for (const lossc::Fact& f : form.facts) {
    const std::vector<int>& map = f.kind == lossc::Fact::Option        ? ids.options
                                  : f.kind == lossc::Fact::TensorGiven ? ids.inputs
                                  : f.kind == lossc::Fact::AxisGiven   ? ids.axes
                                                                       : ids.params;
    facts.push_back({f.kind, map[f.id], f.value});
  }
  for (int input = 0; input < static_cast<int>(all.inputs.size()); input++) {
    const auto at = std::find(ids.inputs.begin(), ids.inputs.end(), input);
    if (at == ids.inputs.end()) {
      facts.push_back({lossc::Fact::TensorGiven, input, 0});
    } else if (all.inputs[input].optional && !form.graph.tensors[at - ids.inputs.begin()].optional) {
      facts.push_back({lossc::Fact::TensorGiven, input, 1});
    }
  }
  for (const auto& [axis, has] : axes_of_form(form, ids, all)) facts.push_back({lossc::Fact::AxisGiven, axis, has});
  return facts;
}

Interface with_directions(const Interface& loss, const std::vector<Program>& hessians, std::vector<FormIds>* ids) {
  Interface all = loss;
  const int n_inputs = static_cast<int>(loss.inputs.size());
  const Output slope{.name = "slope", .doc = "derivative of the loss along the directions", .shapes = {{}}};
  all.outputs = {slope, slope};
  for (int k = 0; k < n_inputs; k++) {
    const Input& t = loss.inputs[k];
    if (!t.differentiable) continue;
    all.inputs.push_back({.name = "direction_" + t.name,
                          .doc = fmt::format("direction of {}; NULL: zero", t.name),
                          .shapes = t.shapes,
                          .optional = true});
    all.outputs.push_back({.name = "product_" + t.name,
                           .doc = fmt::format("rows of {} in the Hessian, times the directions", t.name),
                           .shapes = t.shapes,
                           .gradient_of = k});
  }
  const int n_directions = static_cast<int>(all.inputs.size()) - n_inputs;
  for (size_t f = 0; f < hessians.size(); f++) {
    FormIds& form = (*ids)[f];
    for (int& k : form.inputs)
      if (k >= n_inputs) k += n_directions;  // the implicit ones come last
    const std::vector<ir::Tensor>& tensors = hessians[f].graph.tensors;
    for (size_t t = form.inputs.size(); t < tensors.size(); t++)  // directions, and what recurrences carry
      form.inputs.push_back(tensors[t].role == ir::TensorRole::Input ? find(all.inputs, tensors[t].name) : -1);
    form.outputs = {0, 1};
    for (const Gradient& g : hessians[f].gradients) form.outputs.push_back(find(all.outputs, "product_" + tensors[g.tensor].name));
  }
  return all;
}

std::string shape_text(const Interface& all, const std::vector<Shape>& shapes) {
  std::string text;
  std::vector<Shape> said;  // a shape that another one covers by leaving out its optional axes is not worth a word
  for (const Shape& s : shapes) {
    const Shape core = without_optional(all, s);
    if (std::find(said.begin(), said.end(), core) != said.end()) continue;
    said.push_back(core);
    text += (text.empty() ? "" : " or ") + print_shape(all, s);
  }
  return text.empty() ? "[]" : text;
}

std::string dtype_text(ir::Type type, const std::vector<int>& float_bits, bool output) {
  if (type == ir::Type::Int) return output ? "i32" : "i32 i64";
  if (type == ir::Type::Bool) return "bool u8";
  std::string text;  // 16-bit tensors are computed with in f32
  for (int bits : float_bits) text += fmt::format("{}{}f{}", text.empty() ? "" : " ", bits == 32 ? "f16 bf16 " : "", bits);
  return text;
}

std::string range_text(const ir::Param& p) {
  const bool below = p.low > -1e300, above = p.high < 1e300;
  const char* kind = p.integer ? "integer" : "real";
  if (!below && !above) return fmt::format("any {}", kind);
  if (below && above && !p.low_open && !p.high_open)
    return fmt::format("{}{} to {}", p.integer ? "integer, " : "", p.low, p.high);
  std::string text = p.integer ? "integer" : "";
  if (below) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", p.low_open ? ">" : ">=", p.low);
  if (above) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", p.high_open ? "<" : "<=", p.high);
  return text;
}

}  // namespace lossc::emit
