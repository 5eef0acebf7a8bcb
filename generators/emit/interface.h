// What a loss shows its callers: the union of what its compiled forms declare.
//
// A definition runs once per form, and a form may declare what another lacks (`target` where the option says index,
// `target_probability` where it does not), so ids differ between forms. Callers see one list: by name, in first-seen
// order, the default form first.
#pragma once
#include <string>
#include <vector>

#include "dsl/program.h"
#include "runtime/table.h"

namespace lossc::emit {

struct Shape {
  std::vector<int> axes;  // outermost first
  bool operator==(const Shape&) const = default;
};

struct Input {
  std::string name, doc;
  ir::Type type = ir::Type::Float;
  ir::TensorRole role = ir::TensorRole::Input;
  std::vector<Shape> shapes;    // each once, the widest first: forms without an optional axis lack the dimension
  bool differentiable = false;  // some form has a gradient for it
  bool optional = false;        // it may be absent, or some forms do not know it
  bool by_option = false;       // which forms do is decided by one option; the documentation says so
  bool by_default = false;      // the default form needs it
  int range_axis = -1, ignore_param = -1;
  bool allow_minus_one = false, range_inclusive = false, ascending = false;
};

struct Output {
  std::string name, doc;
  ir::Type type = ir::Type::Float;
  std::vector<Shape> shapes;
  int gradient_of = -1;  // input
  bool state = false;
};

struct Interface {
  std::string name, family;
  About about;
  std::vector<ir::Axis> axes;
  std::vector<std::vector<rt::ShapeCode>> lengths;  // of the axes; empty: tensors say it
  std::vector<Input> inputs;      // declared ones
  std::vector<ir::Param> params;  // declared ones
  std::vector<OptionInfo> options;
  std::vector<std::string> wants;  // of the extents, in some form or all
  std::vector<Output> outputs;  // the order of rt::Loss::outputs
};

// From the ids of one form to those of the interface. Inputs and params go on with the implicit ones, the
// params with the options' choices, too (runtime/table.h).
struct FormIds {
  std::vector<int> axes, inputs, params, options;
  std::vector<int> outputs;  // by plan::Buffer::tensor
};

struct Fact {
  lossc::Fact::Kind kind;
  int id, value;
};

// Throws DefinitionError where forms contradict each other: the same name with another type or meaning.
Interface unite(const std::vector<Program>& forms, std::vector<FormIds>* ids);

// The form's facts, and those that follow from what it declares: an input that it needs is given, one that it does not
// know is absent, and so are the axes that its tensors lack and the same tensors of another form have.
std::vector<Fact> facts_of(const Program& form, const FormIds& ids, const Interface& all);

// What the Hessian products of a loss show: its inputs and a direction for each differentiable one, all optional; the
// slope along them (in both of the loss's places), and a product for each. `hessians` are hessian_program() of the loss's
// forms, whose ids are taken over into those of the result.
Interface with_directions(const Interface& loss, const std::vector<Program>& hessians, std::vector<FormIds>* ids);

// "[N, C, (P)]": an axis in brackets may be lacking, one with dots stands for several dimensions.
std::string shape_text(const Interface& all, const std::vector<Shape>& shapes);
// "f16 bf16 f32 f64", "i32 i64", "bool u8".
std::string dtype_text(ir::Type type, const std::vector<int>& float_bits, bool output);
// "> 0", "0 to 1", "any real", ...
std::string range_text(const ir::Param& param);

}  // namespace lossc::emit
