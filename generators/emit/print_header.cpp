#include "generators/emit/print_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

namespace lossc::emit {
namespace {

constexpr size_t kColumns = 120;

std::string upper(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::toupper(c); });
  return s;
}

// A name as a member: not a word of C or C++.
std::string member(const std::string& name) {
  static const std::set<std::string> kWords = {
      "alignas",  "alignof",   "and",      "asm",     "auto",     "bitand",   "bitor",    "bool",      "break",
      "case",     "catch",     "char",     "class",   "compl",    "concept",  "const",    "continue",  "decltype",
      "default",  "delete",    "do",       "double",  "else",     "enum",     "explicit", "export",    "extern",
      "false",    "float",     "for",      "friend",  "goto",     "if",       "inline",   "int",       "long",
      "mutable",  "namespace", "new",      "not",     "operator", "or",       "private",  "protected", "public",
      "register", "requires",  "restrict", "return",  "short",    "signed",   "sizeof",   "static",    "struct",
      "switch",   "template",  "this",     "throw",   "true",     "try",      "typedef",  "typeid",    "typename",
      "union",    "unsigned",  "using",    "virtual", "void",     "volatile", "while",    "xor"};
  return kWords.count(name) ? name + "_" : name;
}

std::string plain(std::string text) {  // nothing that ends or opens a comment
  for (size_t at; (at = text.find("*/")) != std::string::npos;) text.replace(at, 2, "* /");
  for (size_t at; (at = text.find("/*")) != std::string::npos;) text.replace(at, 2, "/ *");
  return text;
}

// Words filled into lines; the first line begins with `first`, the others with `rest`.
std::string filled(const std::string& first, const std::string& rest, const std::string& text) {
  std::string out, line = first;
  bool empty = true;
  size_t at = 0;
  const std::string clean = plain(text);
  while (at < clean.size()) {
    size_t end = std::min(clean.find(' ', at), clean.size());
    const std::string word = clean.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    if (!empty && line.size() + 1 + word.size() > kColumns) {
      out += line + "\n";
      line = rest;
      empty = true;
    }
    line += (empty ? "" : " ") + word;
    empty = false;
  }
  return out + line + "\n";
}

// "  code;  /* remark */", or the remark on lines of its own before the code where it is long.
std::string remarked(const std::string& indent, const std::string& code, const std::string& remark) {
  const std::string line = fmt::format("{}{} /* {} */\n", indent, code, plain(remark));
  if (line.size() <= kColumns + 1) return line;
  std::string comment = filled(indent + "/* ", indent + " * ", remark);
  comment.insert(comment.size() - 1, " */");
  return comment + indent + code + "\n";
}

std::string number(double v) {
  if (std::isnan(v)) return "(0.0 / 0.0)";
  return fmt::format("{}", v);
}

class Header {
 public:
  Header(const Interface& all, const Interface* hessian, const std::vector<int>& float_bits)
      : all_(all), hessian_(hessian), bits_(float_bits), id_(all.name), big_("LOSSC_" + upper(all.name)) {}

  std::string print() {
    std::string guard = "LOSSC_LOSSES_" + upper(id_) + "_H_";
    return documentation() +
           fmt::format(
               "#ifndef {0}\n#define {0}\n\n#include <lossc/lossc.h>\n#include <string.h>\n\n"
               "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\nLOSSC_DECLARE({1});\n\n",
               guard, id_) +
           (hessian_ ? fmt::format("LOSSC_DECLARE_HVP({});\n\n", id_) : "") + positions() + choices() + call() + defaults() +
           plan("plan", false) + run("run", false) + (hessian_ ? plan("hvp_plan", true) + run("hvp_run", true) : "") +
           fmt::format("#ifdef __cplusplus\n}}\n#endif\n#endif /* {} */\n", guard);
  }

 private:
  std::string input_remark(const Input& t) const {
    std::string s = fmt::format("{} {}: {}", dtype_text(t.type, bits_, false), shape_text(all_, t.shapes), t.doc);
    if (t.optional) s += t.by_option ? ", else NULL" : "; may be NULL";
    if (t.range_axis >= 0) s += fmt::format("; 0 to {}{}", all_.axes[t.range_axis].name, t.range_inclusive ? "" : " - 1");
    if (t.ignore_param >= 0) s += fmt::format(", or {}", all_.params[t.ignore_param].name);
    if (t.allow_minus_one) s += ", or -1";
    if (t.ascending) s += ", ascending";
    return s;
  }
  std::string output_remark(const Output& o) const {
    return fmt::format("{} {}: {}", dtype_text(o.type, bits_, true), shape_text(all_, o.shapes), o.doc);
  }
  static std::string param_remark(const ir::Param& p) {
    const std::string range = range_text(p);
    const bool said = p.doc.find(range) != std::string::npos;  // as the rules for documentation want
    return fmt::format("default {}: {}{}", number(p.fallback), p.doc, said ? "" : "; " + range);
  }

  std::string documentation() const {
    const About& a = all_.about;
    std::string s = filled("/* ", " * ", fmt::format("lossc/losses/{}.h - {}", id_, a.title));
    auto paragraph = [&](const std::string& first, const std::string& text) {
      s += " *\n" + filled(" * " + first, " *   ", text);
    };
    paragraph("Paper: ", a.paper);
    paragraph("Equation: ", a.equation);
    paragraph("Edges: ", a.edges);
    if (!a.note.empty()) paragraph("Note: ", a.note);
    for (const std::string& w : all_.wants) paragraph("Wants: ", w);
    s += " *\n";
    for (const ir::Axis& axis : all_.axes) {
      std::string text = axis.doc.empty() ? "an axis" : axis.doc;
      if (axis.optional) text += "; tensors may lack it";
      if (axis.flat) text += "; any number of dimensions";
      s += filled(fmt::format(" * {}: ", axis.name), " *   ", text);
    }
    s += filled(" *\n * ", " *   ",
                "Float tensors may differ in type; what is computed in, and what outputs may be, is in lossc.h.");
    return s + usage() + " *\n * Emitted by lossc: changes here are lost. */\n";
  }

  std::string usage() const {
    std::string s = fmt::format(" *\n *   lossc_{0}_call c = lossc_{0}_defaults();\n", id_);
    std::string first_gradient;
    for (const Input& t : all_.inputs)
      if (t.by_default) s += fmt::format(" *   c.in.{0} = &{0};\n", member(t.name));
    for (const Output& o : all_.outputs)
      if (o.gradient_of >= 0 && first_gradient.empty()) first_gradient = o.name;
    s += fmt::format(" *   lossc_{}_plan(&c, &plan, &error);\n *   c.out.loss = &loss;\n", id_);
    if (!first_gradient.empty()) s += fmt::format(" *   c.out.{0} = &{0};\n", member(first_gradient));
    s += " *   c.run.workspace = aligned_alloc(64, c.run.workspace_size = lossc_plan_workspace_size(plan));\n";
    return s + fmt::format(" *   lossc_{}_run(plan, &c, &error);\n", id_);
  }

  template <class T>
  std::string enumeration(const std::string& title, const std::string& prefix, const std::string& count,
                          const T& list) const {
    std::string s = "/* " + title + " */\nenum {\n";
    int k = 0;
    for (const auto& name : list) s += fmt::format("  {}_{}{} = {},\n", big_, prefix, upper(name), k++);
    return s + fmt::format("  {}_{} = {}\n}};\n", big_, count, k);
  }

  std::string positions() const {
    std::vector<std::string> in, param, option, out;
    for (const Input& t : all_.inputs) in.push_back(t.name);
    for (const ir::Param& p : all_.params) param.push_back(p.name);
    for (const OptionInfo& o : all_.options) option.push_back(o.name);
    for (size_t k = 1; k < all_.outputs.size(); k++) out.push_back(all_.outputs[k].name);
    std::string s = enumeration("Positions in the arrays of lossc.h, for those who fill them in themselves: inputs,",
                                "IN_", "N_IN", in);
    s += enumeration("params,", "PARAM_", "N_PARAM", param);
    if (!option.empty()) s += enumeration("options,", "OPTION_", "N_OPTION", option);
    return s + enumeration("outputs.", "OUT_", "N_OUT", out) + "\n";
  }

  std::string choices() const {
    std::string s;
    for (const OptionInfo& o : all_.options) {
      if (o.is_count()) continue;
      std::string comment = filled("/* ", " * ", fmt::format("Option {}: {}.", o.name, o.doc));
      comment.insert(comment.size() - 1, " */");
      s += comment + "enum {";
      for (size_t k = 0; k < o.choices.size(); k++)
        s += fmt::format("{} {}_{}_{} = {}", k ? "," : "", big_, upper(o.name), upper(o.choices[k]), k);
      s += " };\n";
    }
    return s.empty() ? s : s + "\n";
  }

  std::string call() const {
    std::string s =
        "/* Everything of one call, by name. Begin with the defaults; what is NULL is absent or not wanted. "
        "*/\ntypedef struct {\n";
    s += "  struct {\n";
    for (const Input& t : all_.inputs)
      s += remarked("    ", fmt::format("const DLTensor *{};", member(t.name)), input_remark(t));
    s += "  } in;\n";
    if (!all_.params.empty()) {
      s += "  struct {\n";
      for (const ir::Param& p : all_.params)
        s += remarked("    ", fmt::format("double {};", member(p.name)), param_remark(p));
      s += "  } param;\n";
    }
    if (!all_.options.empty()) {
      s += "  struct {\n";
      for (const OptionInfo& o : all_.options)
        s += remarked("    ", fmt::format("int32_t {};", member(o.name)),
                      o.is_count() ? o.doc + ", 0 or more" : fmt::format("{}_{}_...", big_, upper(o.name)));
      s += "  } option;\n";
    }
    s += "  struct {\n";
    for (size_t k = 1; k < all_.outputs.size(); k++)
      s += remarked("    ", fmt::format("const DLTensor *{};", member(all_.outputs[k].name)),
                    output_remark(all_.outputs[k]));
    s += "  } out;\n";
    if (hessian_) s += hessian_members();
    s += remarked("  ", "lossc_plan_desc plan;",
                  "mode, reduction, device, threads, ...; inputs and options are filled in");
    s += remarked("  ", "lossc_run_args run;",
                  "workspace, saved, row_weight, ...; inputs, params and outputs are filled in");
    return s + fmt::format("}} lossc_{}_call;\n\n", id_);
  }

  std::string hessian_members() const {
    std::string s = "  struct {\n";
    for (const std::string& name : directions()) {
      const Input& t = *std::find_if(hessian_->inputs.begin(), hessian_->inputs.end(), [&](auto& i) { return i.name == name; });
      s += remarked("    ", fmt::format("const DLTensor *{};", name),
                    fmt::format("{} {}: {}", dtype_text(t.type, bits_, false), shape_text(*hessian_, t.shapes), t.doc));
    }
    for (size_t k = 1; k < hessian_->outputs.size(); k++)
      s += remarked("    ", fmt::format("const DLTensor *{};", hessian_->outputs[k].name), output_remark(hessian_->outputs[k]));
    return s + remarked("  ", "} hvp;", fmt::format("what lossc_{}_hvp_run takes and gives, in place of out", id_));
  }

  std::string defaults() const {
    std::string s = fmt::format(
        "/* Value and gradients on the CPU, mean over the rows; params and options at their defaults. */\n"
        "static inline lossc_{0}_call lossc_{0}_defaults(void) {{\n  lossc_{0}_call c;\n"
        "  memset(&c, 0, sizeof c);\n",
        id_);
    for (const ir::Param& p : all_.params)
      if (p.fallback != 0) s += fmt::format("  c.param.{} = {};\n", member(p.name), number(p.fallback));
    for (const OptionInfo& o : all_.options)
      if (o.fallback != 0) s += fmt::format("  c.option.{} = {};\n", member(o.name), o.fallback);
    return s +
           "  c.plan.struct_size = sizeof c.plan;\n  c.plan.device.device_type = kDLCPU;\n"
           "  c.plan.mode = LOSSC_FORWARD | LOSSC_BACKWARD;\n  c.plan.reduction = LOSSC_REDUCE_MEAN;\n"
           "  c.run.struct_size = sizeof c.run;\n  return c;\n}\n\n";
  }

  // `const DLTensor *inputs[N];` and one assignment per element: C++11 and C99 with -pedantic have no shorter form that
  // both take without a warning for every kind of member.
  template <class T>
  static std::string array(const std::string& type, const std::string& name, const std::string& group, const T& names) {
    std::string s = fmt::format("  {}{}[{}];\n", type, name, names.size());
    for (size_t k = 0; k < names.size(); k++)
      s += fmt::format("  {}[{}] = c->{}.{};\n", name, k, group, member(names[k]));
    return s;
  }

  // The directions follow the inputs.
  std::vector<std::string> directions() const {
    std::vector<std::string> names;
    for (size_t k = all_.inputs.size(); k < hessian_->inputs.size(); k++) names.push_back(hessian_->inputs[k].name);
    return names;
  }

  std::string inputs_array(bool hvp) const {
    std::string s = fmt::format("  const DLTensor *inputs[{}];\n", (hvp ? hessian_->inputs : all_.inputs).size());
    for (size_t k = 0; k < all_.inputs.size(); k++) s += fmt::format("  inputs[{}] = c->in.{};\n", k, member(all_.inputs[k].name));
    if (!hvp) return s;
    size_t k = all_.inputs.size();
    for (const std::string& name : directions()) s += fmt::format("  inputs[{}] = c->hvp.{};\n", k++, name);
    return s;
  }
  // How many `inputs` or `outputs` has.
  std::string count(const char* what, bool hvp) const {
    if (hvp) return fmt::format("sizeof {0} / sizeof {0}[0]", what);
    return fmt::format("{}_N_{}", big_, what[0] == 'i' ? "IN" : "OUT");
  }

  std::string plan(const std::string& function, bool hvp) const {
    std::vector<std::string> names;
    for (const OptionInfo& o : all_.options) names.push_back(o.name);
    std::string s = fmt::format(
        "/* lossc_plan_create by c->in{2} (data may be NULL), c->option and c->plan{3}. */\n"
        "static inline lossc_status lossc_{0}_{1}(const lossc_{0}_call *c, lossc_plan **out, lossc_error *err) {{\n"
        "  lossc_plan_desc desc = c->plan;\n",
        id_, function, hvp ? ", c->hvp" : "", hvp ? ", in mode LOSSC_HVP" : "");
    s += inputs_array(hvp);
    if (!names.empty()) s += array("int32_t ", "options", "option", names);
    s += fmt::format("  desc.inputs = inputs;\n  desc.n_inputs = {};\n", count("inputs", hvp));
    if (!names.empty()) s += fmt::format("  desc.options = options;\n  desc.n_options = {}_N_OPTION;\n", big_);
    if (hvp) s += "  desc.mode = LOSSC_HVP;\n";
    return s + fmt::format("  return lossc_plan_create(&lossc_{}_{}, &desc, out, err);\n}}\n\n", hvp ? "hvp" : "loss", id_);
  }

  std::string run(const std::string& function, bool hvp) const {
    std::vector<std::string> params, outputs;
    for (const ir::Param& p : all_.params) params.push_back(p.name);
    const std::vector<Output>& given = hvp ? hessian_->outputs : all_.outputs;
    for (size_t k = 1; k < given.size(); k++) outputs.push_back(given[k].name);
    std::string s = fmt::format(
        "/* lossc_run by c->in, c->param, c->{2} and c->run. */\n"
        "static inline lossc_status lossc_{0}_{1}(const lossc_plan *plan, const lossc_{0}_call *c, lossc_error *err) "
        "{{\n"
        "  lossc_run_args args = c->run;\n",
        id_, function, hvp ? "hvp" : "out");
    s += inputs_array(hvp);
    if (!params.empty()) s += array("double ", "params", "param", params);
    s += array("const DLTensor *", "outputs", hvp ? "hvp" : "out", outputs);
    s += fmt::format("  args.inputs = inputs;\n  args.n_inputs = {};\n", count("inputs", hvp));
    if (!params.empty()) s += fmt::format("  args.params = params;\n  args.n_params = {}_N_PARAM;\n", big_);
    s += fmt::format("  args.outputs = outputs;\n  args.n_outputs = {};\n", count("outputs", hvp));
    return s + "  return lossc_run(plan, &args, err);\n}\n\n";
  }

  const Interface& all_;
  const Interface* hessian_;
  const std::vector<int>& bits_;
  const std::string id_, big_;
};

}  // namespace

std::string print_header(const Interface& all, const Interface* hessian, const std::vector<int>& float_bits) {
  return Header(all, hessian, float_bits).print();
}

}  // namespace lossc::emit
