#include "generators/emit/print_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <set>

#include "runtime/cpu.h"
#include "schedules/contract.h"

namespace lossc::emit {
namespace {

using Rows = std::vector<std::string>;

const char* name(rt::Storage s) {
  constexpr const char* kNames[] = {"Input", "Output", "Whole", "Accumulator", "Panel", "Lent"};
  return kNames[static_cast<int>(s)];
}
const char* name(rt::Elem e) {
  constexpr const char* kNames[] = {"Float", "Int32", "UInt8"};
  return kNames[static_cast<int>(e)];
}
const char* name(rt::Merge m) {
  constexpr const char* kNames[] = {"None", "Sum", "Max", "Min", "Prod", "Or", "And"};
  return kNames[static_cast<int>(m)];
}
const char* name(rt::DimKind k) {
  constexpr const char* kNames[] = {"Full", "Rows", "TileInner", "TileOuter", "Chunk", "OrderWords"};
  return kNames[static_cast<int>(k)];
}
const char* name(rt::ArgKind k) {
  constexpr const char* kNames[] = {"Buffer", "Param", "IntParam", "Extent", "RowBegin", "RowEnd", "Heap", "Left"};
  return kNames[static_cast<int>(k)];
}
const char* name(rt::StepKind k) {
  constexpr const char* kNames[] = {"Kernel", "ContractNN", "ContractTN", "Walk", "Loop"};
  return kNames[static_cast<int>(k)];
}
const char* name(rt::Walk w) {
  constexpr const char* kNames[] = {"None", "Order", "Inverse", "Sum", "SumBack", "LogSumExp", "LogSumExpBack",
                                    "ArgMax", "ArgMaxBack", "ArgMin", "ArgMinBack"};
  return kNames[static_cast<int>(w)];
}
const char* name(lossc::Fact::Kind k) {
  constexpr const char* kNames[] = {"Option", "InputGiven", "AxisGiven", "ParamZero"};
  return kNames[static_cast<int>(k)];
}

std::string number(double v) {
  if (std::isnan(v)) return "__builtin_nan(\"\")";
  if (std::fabs(v) >= 1e300) return v > 0 ? "__builtin_inf()" : "-__builtin_inf()";  // the language's "no bound"
  return fmt::format("{:.17g}", v);
}

template <class T>
std::string list(const T& values) {
  return fmt::format("{{{}}}", fmt::join(values, ", "));
}

// Definitions in the order of first use; equal ones are printed once and share a name.
class Definitions {
 public:
  // The name of an array of these rows; "nullptr" for none.
  std::string array(const char* type, const char* prefix, const Rows& rows) {
    if (rows.empty()) return "nullptr";
    std::string body = "{\n";
    for (const std::string& row : rows) body += "    " + row + ",\n";
    return define(fmt::format("{} {{}}[]", type), prefix, body + "}");
  }
  // `declarator` has {} for the name.
  std::string define(const std::string& declarator, const char* prefix, const std::string& value) {
    auto [it, fresh] = names_.try_emplace(declarator + value);
    if (fresh) {
      it->second = fmt::format("{}{}", prefix, ++counts_[prefix]);
      text_ += fmt::format("const {} = {};\n", fmt::format(fmt::runtime(declarator), it->second), value);
    }
    return it->second;
  }
  const std::string& text() const { return text_; }

 private:
  std::map<std::string, std::string> names_;
  std::map<std::string, int> counts_;
  std::string text_;
};

Rows isa_rows(const Matrix& m) {
  using schedules::ContractForm;
  Rows rows;
  for (const schedules::Isa* isa : m.isas) {
    const auto level = static_cast<size_t>(isa - schedules::kIsas.data());
    constexpr const char* kEnum[] = {"Sse41", "Avx2", "Avx512"};
    constexpr int kNeeds[] = {rt::kNeedsSse41, rt::kNeedsAvx2, rt::kNeedsAvx512};
    auto both = [](auto f) { return list(std::vector<int>{f(32), f(64)}); };
    rows.push_back(fmt::format("{{Isa::{}, {}, {}, {}, {}, {}}}", kEnum[level], quote(std::string(isa->name)),
                               kNeeds[level], both([&](int bits) { return schedules::tile_columns(bits, *isa); }),
                               both([&](int bits) { return tile_rows(ContractForm::NN, bits, *isa); }),
                               both([&](int bits) { return tile_rows(ContractForm::TN, bits, *isa); })));
  }
  return rows;
}

Rows fact_rows(const Form& f) {
  Rows rows;
  for (const Fact& x : f.facts) rows.push_back(fmt::format("{{FactKind::{}, {}, {}}}", name(x.kind), x.id, x.value));
  return rows;
}

Rows buffer_rows(const Form& f) {
  Rows rows;
  for (const Buffer& b : f.buffers) {
    const rt::Buffer& r = b.row;
    Rows dims;
    for (int d = 0; d < r.ndim; d++)
      dims.push_back(fmt::format("{{DimKind::{}, {}}}", name(r.dims[d].kind), r.dims[d].axis));
    rows.push_back(fmt::format(
        "{{.name = {}, .storage = Storage::{}, .elem = Elem::{}, .merge = Merge::{}, .ndim = {}, "
        ".dims = {}, .tensor = {}, .slot = {}, .saved = {}, .continues = {}, .place_dim = {}, .backward = {}, .rolling = {}, .lender = {}}}",
        quote(b.name), name(r.storage), name(r.elem), name(r.merge), r.ndim, list(dims), r.tensor, r.slot, r.saved,
        r.continues, r.place_dim, r.backward, r.rolling, r.lender));
  }
  return rows;
}

Rows step_rows(const Form& f) {
  Rows rows;
  for (const Step& s : f.steps) {
    const rt::Step& r = s.row;
    const std::vector<int> domain(r.domain, r.domain + r.n_domain);
    rows.push_back(
        fmt::format("{{.text = {},\n     .kind = StepKind::{}, .kernel = {}, .first_arg = {}, .n_args = {}, "
                    ".split_dim = {}, .k_axis = {}, .flops = {}, .n_domain = {}, .domain = {}, .walk = Walk::{}, .walk_in = {}, .walk_out = {}, "
                    ".place_axis = {}, .depth = {}, .backward = {}, .n_first = {}, .n_body = {}, .with = {}, .without = {}, .inner = {}, .over_axis = {}}}",
                    quote(s.text), name(r.kind), r.kernel, r.first_arg, r.n_args, r.split_dim, r.k_axis, r.flops,
                    r.n_domain, list(domain), name(r.walk), r.walk_in, r.walk_out, r.place_axis, r.depth, r.backward,
                    r.n_first, r.n_body, r.with, r.without, r.inner, r.over_axis));
  }
  return rows;
}

Rows arg_rows(const Form& f) {
  Rows rows;
  for (const rt::Arg& a : f.args) 
    rows.push_back(fmt::format("{{ArgKind::{}, {}, {}, {}, {}, {}, Merge::{}}}", name(a.kind), a.id, a.written, a.own, list(a.place_dim),
                               a.over_dim, name(a.merge)));
  return rows;
}

Rows pass_rows(const Form& f) {
  Rows rows;
  for (const rt::Pass& p : f.passes)
    rows.push_back(fmt::format("{{{}, {}, {}, {}, {}}}", p.first_once, p.n_once, p.first_panel, p.n_panel, p.row_axis));
  return rows;
}

class LossPrinter {
 public:
  LossPrinter(const LossTables& t, const KernelSet& kernels, const Matrix& matrix, const std::string& no_hessian)
      : t_(t), all_(t.interface), kernels_(kernels), m_(matrix), no_hessian_(no_hessian) {}

  std::string print() {
    const std::string loss = loss_row();
    std::string text =
        fmt::format("// Emitted by lossc from {}: the tables of {}. See runtime/table.h.\n", t_.file, all_.name);
    text += "#include \"runtime/table.h\"\n\nusing namespace lossc::rt;\n\n";
    for (const std::string& f : functions_)
      text += fmt::format("extern \"C\" __attribute__((visibility(\"hidden\"))) int {}(void**);\n", f);
    // What a loss says of its products is weak: a program that does not name them links without.
    if (no_hessian_.empty()) text += fmt::format("extern \"C\" __attribute__(({}visibility(\"default\"))) const Loss lossc_hvp_{};\n",
                                                 t_.hessian ? "" : "weak, ", all_.name);
    text += "\nnamespace {\n" + d_.text() + "}  // namespace\n\n";
    return text + fmt::format("extern \"C\" __attribute__((visibility(\"default\"))) const Loss lossc_{}_{} = {};\n",
                              t_.hessian ? "hvp" : "loss", all_.name, loss);
  }

 private:
  std::string kernel(int index, int bits) {
    Rows functions;
    for (const schedules::Isa* isa : m_.isas) {
      functions.push_back(symbol(kernels_.list()[index], bits, isa->name) + "_argv");
      if (known_.insert(functions.back()).second) functions_.push_back(functions.back());
    }
    const std::string by_isa = d_.array("KernelFn", "functions", functions);
    const std::string row = fmt::format("{{{}, {}}}", quote(kernels_.list()[index].name), by_isa);
    return fmt::format("&{}", d_.define("Kernel {}", "kernel", row));
  }

  std::string variant(const Form& f, int bits) {
    Rows kernels;
    for (int k : f.kernels) kernels.push_back(kernel(k, bits));
    return fmt::format(
        "{{.dtype_bits = {}, .facts = {}, .n_facts = {}, .buffers = {}, .n_buffers = {}, .steps = {}, .n_steps = {}, "
        ".args = {}, .passes = {}, .n_passes = {}, .kernels = {}, .n_kernels = {}, .n_slots = {}, .contracts = {}, "
        ".digest = {:#x}ull, .requirements = {}, .n_requirements = {}, .n_rows = {}, .rows = {}}}",
        bits, d_.array("Fact", "facts", fact_rows(f)), f.facts.size(), d_.array("Buffer", "buffers", buffer_rows(f)),
        f.buffers.size(), d_.array("Step", "steps", step_rows(f)), f.steps.size(), d_.array("Arg", "args", arg_rows(f)),
        d_.array("Pass", "passes", pass_rows(f)), f.passes.size(), d_.array("Kernel* const", "kernels", kernels),
        kernels.size(), f.slots, f.contracts, f.digest,
        d_.array("Requirement", "requirements", requirement_rows(f)), f.requirements.size(),
        f.rows.size(), list(f.rows));
  }

  static Rows code_rows(const std::vector<rt::ShapeCode>& code) {
    Rows rows;
    for (const rt::ShapeCode& c : code) rows.push_back(fmt::format("{{ShapeOp({}), {}}}", static_cast<int>(c.op), c.value));
    return rows;
  }
  Rows requirement_rows(const Form& f) {
    Rows rows;
    for (const auto& [text, condition] : f.requirements) {
      const Rows code = code_rows(condition);
      const std::string array = d_.array("ShapeCode", "condition", code);
      rows.push_back(fmt::format("{{{}, {}, {}}}", quote(text), array, code.size()));
    }
    return rows;
  }

  std::string input_row(const Input& t) {
    const std::vector<int>& axes = t.shapes[0].axes;
    return fmt::format(
        "{{.name = {}, .shape = {}, .dtypes = {}, .doc = {}, .role = Role::Input, .differentiable = {:d}, "
        ".optional = {:d}, .integer = {:d}, .ndim = {}, .dims = {}, .range_axis = {}, .ignore_param = {}, "
        ".allow_minus_one = {}, .range_inclusive = {}, .ascending = {}}}",
        quote(t.name), quote(shape_text(all_, t.shapes)), quote(dtype_text(t.type, m_.float_bits, false)), quote(t.doc),
        t.differentiable, t.optional, t.type == ir::Type::Int, axes.size(), list(axes), t.range_axis, t.ignore_param,
        t.allow_minus_one, t.range_inclusive, t.ascending);
  }
  std::string param_row(const ir::Param& p) {
    return fmt::format(
        "{{.name = {}, .shape = \"\", .dtypes = {}, .doc = {}, .role = Role::Param, .integer = {:d}, "
        ".fallback = {}, .low = {}, .high = {}, .low_open = {:d}, .high_open = {:d}, .range_axis = -1, "
        ".ignore_param = -1}}",
        quote(p.name), quote("f64"), quote(p.doc), p.integer, number(p.fallback), number(p.low), number(p.high),
        p.low_open, p.high_open);
  }
  std::string output_row(const Output& o) {
    const std::vector<int> axes = o.shapes.empty() ? std::vector<int>{} : o.shapes[0].axes;
    return fmt::format(
        "{{.name = {}, .shape = {}, .dtypes = {}, .doc = {}, .role = Role::Output, .integer = {:d}, "
        ".ndim = {}, .dims = {}, .range_axis = -1, .ignore_param = -1}}",
        quote(o.name), quote(shape_text(all_, o.shapes)), quote(dtype_text(o.type, m_.float_bits, true)), quote(o.doc),
        o.type == ir::Type::Int, axes.size(), list(axes));
  }
  std::string option_row(const OptionInfo& o) {
    Rows choices;
    for (const std::string& c : o.choices) choices.push_back(fmt::format("{{{}}}", quote(c)));
    const std::string array = d_.array("Choice", "choices", choices);
    return fmt::format("{{{}, {}, {}, {}, {}, 0}}", quote(o.name), quote(o.doc), array, choices.size(), o.fallback);
  }

  std::string loss_row() {
    Rows axes, inputs, params, outputs, options, variants;
    for (size_t k = 0; k < all_.axes.size(); k++) {
      const ir::Axis& a = all_.axes[k];
      const Rows length = code_rows(all_.lengths[k]);
      axes.push_back(fmt::format("{{{}, {}, {:d}, {:d}, {}, {}}}", quote(a.name), quote(a.doc), a.optional, a.flat,
                                 d_.array("ShapeCode", "length", length), length.size()));
    }
    for (const Input& t : all_.inputs) inputs.push_back(input_row(t));
    for (const ir::Param& p : all_.params) params.push_back(param_row(p));
    for (const Output& o : all_.outputs) outputs.push_back(output_row(o));
    for (const OptionInfo& o : all_.options) options.push_back(option_row(o));
    for (const Form& f : t_.forms)
      for (int bits : m_.float_bits) variants.push_back(variant(f, bits));
    const std::string isas = d_.array("IsaInfo", "isas", isa_rows(m_));
    const std::string build =
        d_.define("Build {}", "build", fmt::format("{{kRegistryVersion, {}, {}}}", isas, m_.isas.size()));
    auto table = [&](const char* type, const char* member, const Rows& rows) {
      return fmt::format(".{} = {}, .n_{} = {}", member, d_.array(type, member, rows), member, rows.size());
    };
    const About& a = all_.about;
    return fmt::format(
        "{{\n    .name = {}, .family = {},\n    .title = {},\n    .paper = {},\n    .equation = {},\n    .edges = {},\n"
        "    {},\n    {},\n    {},\n    {},\n    {},\n    {},\n    .build = &{},\n    .hessian = {}, .no_hessian = {}}}",
        quote(all_.name), quote(all_.family), quote(a.title), quote(a.paper), quote(a.equation), quote(a.edges),
        table("Axis", "axes", axes), table("Argument", "inputs", inputs), table("Argument", "params", params),
        table("Argument", "outputs", outputs), table("Option", "options", options),
        table("Variant", "variants", variants), build,
        no_hessian_.empty() ? "&lossc_hvp_" + all_.name : "nullptr", no_hessian_.empty() ? "nullptr" : quote(no_hessian_));
  }

  const LossTables& t_;
  const Interface& all_;
  const KernelSet& kernels_;
  const Matrix& m_;
  const std::string& no_hessian_;
  Definitions d_;
  Rows functions_;
  std::set<std::string> known_;
};

}  // namespace

std::string quote(const std::string& text) {
  std::string out = "\"";
  for (size_t k = 0; k < text.size(); k++) {
    const char c = text[k];
    if (c == '\n') {
      out += k + 1 < text.size() ? "\\n\"\n    \"" : "\\n";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 32) {
      out += fmt::format("\\{:03o}", c);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string print_loss(const LossTables& tables, const KernelSet& kernels, const Matrix& matrix,
                       const std::string& no_hessian) {
  return LossPrinter(tables, kernels, matrix, no_hessian).print();
}

std::string print_registry(const std::vector<std::string>& losses, const std::vector<std::string>& hessians,
                           const std::string& build_info, const Matrix& matrix) {
  std::string text = "// Emitted by lossc: the list of losses. See runtime/table.h.\n#include \"runtime/table.h\"\n\n";
  text += "using namespace lossc::rt;\n\nextern \"C\" {\n";
  for (const std::string& l : losses)
    text += fmt::format("extern __attribute__((visibility(\"default\"))) const Loss lossc_loss_{};\n", l);
  for (const std::string& l : hessians)
    text += fmt::format("extern __attribute__((visibility(\"default\"))) const Loss lossc_hvp_{};\n", l);
  text += "}\n\nnamespace {\nconst IsaInfo isas[] = {\n";
  for (const std::string& row : isa_rows(matrix)) text += "    " + row + ",\n";
  text += "};\nconst Loss* const losses[] = {\n";
  for (const std::string& l : losses) text += fmt::format("    &lossc_loss_{},\n", l);
  if (losses.empty()) text += "    nullptr,\n";
  text += "};\nconst Loss* const hessians[] = {\n";
  for (const std::string& l : hessians) text += fmt::format("    &lossc_hvp_{},\n", l);
  if (hessians.empty()) text += "    nullptr,\n";
  text += "};\n}  // namespace\n\n";
  return text +
         fmt::format(
             "extern \"C\" __attribute__((visibility(\"hidden\"))) const Registry lossc_registry = {{\n"
             "    .version = kRegistryVersion, .build_info = {},\n    .isas = isas, .n_isas = {}, .losses = losses, "
             ".n_losses = {},\n    .hessians = hessians, .n_hessians = {}}};\n",
             quote(build_info), matrix.isas.size(), losses.size(), hessians.size());
}

}  // namespace lossc::emit
