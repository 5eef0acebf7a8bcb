// lossc describe: the documentation of a loss, as its definition says it.
#include "generators/cli/describe.h"

#include <fmt/color.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "generators/cli/definition.h"
#include "generators/emit/interface.h"

namespace lossc::cli {
namespace {

emit::Interface interface_of(const Definition& d) {
  std::vector<emit::FormIds> ids;
  return emit::unite(build_all(d), &ids);
}

std::string range_of(const emit::Interface& all, const emit::Input& t) {
  std::string text;
  if (t.range_axis >= 0) text = fmt::format("0 to {}{}", all.axes[t.range_axis].name, t.range_inclusive ? "" : " - 1");
  if (t.ignore_param >= 0) text += fmt::format("{}{}", text.empty() ? "" : ", or ", all.params[t.ignore_param].name);
  if (t.allow_minus_one) text += fmt::format("{}-1 for none", text.empty() ? "" : ", or ");
  if (t.ascending) text += text.empty() ? "ascending" : ", ascending";
  return text;
}

Json input_json(const emit::Interface& all, const emit::Input& t) {
  return {{"name", t.name},
          {"shape", emit::shape_text(all, t.shapes)},
          {"dtypes", emit::dtype_text(t.type, {32, 64}, false)},
          {"range", range_of(all, t)},
          {"optional", t.optional},
          {"differentiable", t.differentiable},
          {"doc", t.doc}};
}

Json param_json(const ir::Param& p) {
  return {{"name", p.name},
          {"default", p.fallback},
          {"range", emit::range_text(p)},
          {"integer", p.integer},
          {"doc", p.doc}};
}

void heading(const char* text) {
  if (isatty(STDOUT_FILENO))
    fmt::print(fmt::emphasis::bold, "\n{}\n", text);
  else
    fmt::print("\n{}\n", text);
}

// Indented by four, cut at the last blank before the right margin.
void paragraph(const std::string& text, size_t indent = 4) {
  constexpr size_t kMargin = 100;
  std::string rest = text;
  while (!rest.empty()) {
    size_t cut = rest.size();
    if (rest.size() + indent > kMargin) {
      cut = rest.rfind(' ', kMargin - indent);
      if (cut == std::string::npos || cut == 0) cut = std::min(rest.find(' '), rest.size());
    }
    fmt::print("{:{}}{}\n", "", indent, rest.substr(0, cut));
    rest.erase(0, std::min(cut + 1, rest.size()));
  }
}

void print_arguments(const char* title, const Json& list) {
  if (list.empty()) return;
  heading(title);
  for (const Json& a : list) {
    std::string line = a["name"];
    if (a.contains("shape"))
      line += fmt::format("  {}  {}", a["shape"].get<std::string>(), a["dtypes"].get<std::string>());
    if (a.contains("default")) line += fmt::format(" = {}", a["default"].get<double>());
    if (a.contains("choices"))
      line += fmt::format("  {}", fmt::join(a["choices"].get<std::vector<std::string>>(), " | "));
    const std::string range = a.value("range", "");
    if (!range.empty()) line += fmt::format("  ({})", range);
    if (a.value("optional", false)) line += "  optional";
    if (a.contains("differentiable") && !a["differentiable"].get<bool>()) line += "  no gradient";
    const std::string doc = a["doc"];
    const bool short_one = !a.contains("shape") && line.size() + doc.size() < 80;
    fmt::print("    {}{}\n", line, short_one ? "  " + doc : "");
    if (!short_one) paragraph(doc, 8);
  }
}

void print_loss(const Json& loss) {
  fmt::print("{}: {} ({})\n", loss["id"].get<std::string>(), loss["title"].get<std::string>(),
             loss["family"].get<std::string>());
  for (auto [key, title] :
       {std::pair{"equation", "Equation"}, {"paper", "From"}, {"edges", "At the edges"}, {"note", "Note"}}) {
    if (loss[key].get<std::string>().empty()) continue;
    heading(title);
    paragraph(loss[key]);
  }
  if (!loss["wants"].empty()) heading("Wants");
  for (const Json& text : loss["wants"]) paragraph(text);
  print_arguments("Axes", loss["axes"]);
  print_arguments("Inputs", loss["inputs"]);
  print_arguments("Params", loss["params"]);
  print_arguments("Options (the first is the default)", loss["options"]);
  print_arguments("Outputs", loss["outputs"]);
  heading("Besides");
  paragraph(
      "Float tensors may be of different types: f64 if one of them is, else f32 is computed in. "
      "reduction none, sum or mean; row_weight, row_mask and grad_output over the rows; `lossc describe --json` and "
      "<lossc/lossc.h> say more.");
}

}  // namespace

Json describe_briefly(const Definition& d) {
  const emit::Interface all = interface_of(d);
  Json inputs = Json::array(), params = Json::array(), options = Json::array();
  for (const emit::Input& t : all.inputs) inputs.push_back(t.name);
  for (const ir::Param& p : all.params) params.push_back(p.name);
  for (const OptionInfo& o : all.options) options.push_back(o.name);
  return {{"id", all.name},   {"family", all.family}, {"title", all.about.title},
          {"inputs", inputs}, {"params", params},     {"options", options}};
}

Json describe(const Definition& d) {
  const emit::Interface all = interface_of(d);
  Json axes = Json::array(), inputs = Json::array(), params = Json::array(), options = Json::array(),
       outputs = Json::array();
  for (const ir::Axis& a : all.axes)
    axes.push_back({{"name", a.name}, {"optional", a.optional}, {"flat", a.flat}, {"doc", a.doc}});
  for (const emit::Input& t : all.inputs) inputs.push_back(input_json(all, t));
  for (const ir::Param& p : all.params) params.push_back(param_json(p));
  for (const OptionInfo& o : all.options) {
    options.push_back({{"name", o.name}, {"choices", o.choices}, {"doc", o.doc}});
    if (o.is_count()) options.back()["count"] = {{"default", o.fallback}, {"least", 0}};
  }
  for (size_t k = 1; k < all.outputs.size(); k++) {  // 0 and 1 are the loss, reduced and not
    const emit::Output& o = all.outputs[k];
    outputs.push_back({{"name", o.name},
                       {"shape", emit::shape_text(all, o.shapes)},
                       {"dtypes", emit::dtype_text(o.type, {32, 64}, true)},
                       {"state", o.state},
                       {"doc", o.doc}});
  }
  return {{"id", all.name},           {"family", all.family},
          {"title", all.about.title}, {"equation", all.about.equation},
          {"paper", all.about.paper}, {"edges", all.about.edges},
          {"note", all.about.note},   {"wants", all.wants},
          {"axes", axes},
          {"inputs", inputs},         {"params", params},
          {"options", options},       {"outputs", outputs}};
}

void add_describe(CLI::App& app, Action* action) {
  struct Words {
    std::string loss;
    bool json = false;
  };
  auto words = std::make_shared<Words>();
  CLI::App* command = app.add_subcommand("describe", "What a loss computes, takes and gives");
  command->add_option("loss", words->loss, "a loss, or a FILE.cpp that defines one")->required();
  command->add_flag("--json", words->json, "one object");
  command->callback([=] {
    *action = [=] {
      const Json loss = describe(load_one(words->loss));
      words->json ? print_json(loss) : print_loss(loss);
      return kOk;
    };
  });
}

}  // namespace lossc::cli
