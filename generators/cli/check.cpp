// lossc check: is a loss what it says? Its derived gradient against differences of its value, its compiled kernels
// against the float64 oracle.
#include <fmt/format.h>

#include <fstream>
#include <set>

#include "generators/cli/call.h"
#include "generators/cli/comparison.h"
#include "generators/cli/definition.h"
#include "generators/cli/kernels.h"
#include "generators/cli/library.h"
#include "generators/cli/plot.h"

namespace lossc::cli {
namespace {

struct CheckWords {
  std::string loss, isa, plot, along;
  std::vector<std::string> dtypes = {"f32"};
  bool json = false, hvp = false;
};

// Forms are many where options are; those that do not fit into the time are left out, which is said.
constexpr double kBudgetMs = 20e3;

Json place_json(const Place& p) {
  return {{"element", p.element}, {"values", p.values}, {"got", p.got}, {"want", p.want}};
}

// Names of the steps whose derivative the writer gave.
Json by_hand(const std::vector<Program>& forms) {
  std::set<std::string> names;
  for (const Program& p : forms)
    for (ir::Id node : ir::topological(p.graph, {p.value}))
      if (const ir::Node& n = p.graph.at(node); n.op == ir::Op::ByHand || n.op == ir::Op::WholeByHand)
        names.insert(p.graph.by_hand[static_cast<size_t>(n.sym)]->name);
  return names;
}

// Is some recurrence differentiated as what it tends to, rather than as what it is after so many steps?
bool of_fixed_points(const std::vector<Program>& forms) {
  return std::any_of(forms.begin(), forms.end(), [](const Program& p) {
    const std::vector<ir::Id> nodes = ir::topological(p.graph, {p.value});
    return std::any_of(nodes.begin(), nodes.end(), [&](ir::Id node) {
      const ir::Node& n = p.graph.at(node);
      return n.op == ir::Op::Scan && ir::course(n) == ir::Course::ToFixedPoint;
    });
  });
}

void add_errors(Json& entry, const std::string& what, const Errors& e) {
  entry[what + "_error"] = e.relative;
  entry[what + "_error_absolute"] = e.absolute;
  if (e.relative > 0) entry[what + "_worst"] = place_json(e.worst);
}

Json result_json(const Definition& d, const std::string& dtype, const Comparison& c, size_t forms, size_t done) {
  Json quantities = Json::array();
  for (const Quantity& q : c.quantities()) {
    Json entry = {{"name", q.name}, {"elements", q.kernel.elements}, {"kernel_agrees", q.kernel.agree}};
    add_errors(entry, "kernel", q.kernel);
    if (q.name.starts_with("grad_") || q.name.starts_with("product_")) {
      entry["elements_by_differences"] = q.difference.elements;
      entry["differences_agree"] = q.difference.agree;
      add_errors(entry, "difference", q.difference);
    }
    quantities.push_back(entry);
  }
  return {{"loss", d.name},           {"ok", c.good()},           {"dtype", dtype},
          {"forms", forms},           {"forms_checked", done},    {"calls", c.calls()},
          {"quantities", quantities}, {"failures", c.failures()}, {"warnings", c.warnings()}};
}

// As the library says it when asked for a plan.
std::string why_none(const lossc_loss* loss) {
  lossc_plan_desc desc{};
  desc.struct_size = sizeof desc;
  desc.mode = LOSSC_HVP;
  lossc_plan* plan = nullptr;
  lossc_error error{};
  lossc_plan_create(loss, &desc, &plan, &error);
  lossc_plan_destroy(plan);
  return error.text;
}

Json check_one(const Definition& d, const CheckWords& words, const std::string& dtype) {
  const std::vector<Program> forms = build_all(d);
  const Dtype type = dtype_of(dtype);
  const lossc_loss* loss = kernels_of(d, type.bits, words.isa, words.hvp);
  if (words.hvp && !lossc_loss_hvp(loss)) throw UsageError(why_none(loss));
  Comparison comparison(loss, type, isa_code(words.isa));
  Progress progress(fmt::format("checking {}", d.name));
  const double start = now_ms();
  size_t done = 0;
  for (; done < forms.size() && (done == 0 || now_ms() - start < kBudgetMs); done++) {
    progress.at(fmt::format("form {} of {}", done + 1, forms.size()));
    comparison.form(forms[done], done == 0);
    if (words.hvp) comparison.hessian(forms[done]);
  }
  Json result = result_json(d, dtype, comparison, forms.size(), done);
  result["by_hand"] = by_hand(forms);
  result["of_fixed_points"] = of_fixed_points(forms);
  return result;
}

// Relative to the largest value; absolute where nothing but what is 0 for all that can be told was compared.
std::string error_text(const Json& q, const std::string& what, bool agrees, size_t n) {
  const auto relative = q[what + "_error"].get<double>(), absolute = q[what + "_error_absolute"].get<double>();
  const bool only_absolute = relative == 0 && absolute > 0;
  return fmt::format("{:<7.1e} {} {:<5} of {}", only_absolute ? absolute : relative, only_absolute ? "abs" : "   ", agrees ? "ok" : "WRONG", n);
}

void print_quantities(const Json& quantities) {
  size_t width = 8;
  for (const Json& q : quantities) width = std::max(width, q["name"].get<std::string>().size());
  fmt::print("  {:<{}}  {:<28}  {}\n", "", width, "gradient - differences", "kernel - float64");
  for (const Json& q : quantities) {
    std::string differences;
    if (q.contains("differences_agree")) {
      const auto n = q["elements_by_differences"].get<size_t>();
      differences = n == 0 ? "nowhere smooth" : error_text(q, "difference", q["differences_agree"], n);
    }
    fmt::print("  {:<{}}  {:<28}  {}\n", q["name"].get<std::string>(), width, differences, error_text(q, "kernel", q["kernel_agrees"], q["elements"]));
  }
}

// Which row, which input: where the largest errors are.
void print_worst(const Json& quantities) {
  const auto show = [](const Json& q, const char* key, const char* got, const char* want) {
    if (!q.contains(key)) return;
    const Json& w = q[key];
    const auto element = w["element"].get<std::string>();
    fmt::print("  largest: {}{}{}, {}: {} {}, {} {}\n", q["name"].get<std::string>(), element.starts_with("row") ? " " : "", element,
               w["values"].get<std::string>(), got, w["got"].dump(), want, w["want"].dump());
  };
  for (const Json& q : quantities) show(q, "difference_worst", "gradient", "differences");
  for (const Json& q : quantities) show(q, "kernel_worst", "kernel", "float64");
}

void print_check(const Json& r) {
  const auto forms = r["forms"].get<size_t>(), done = r["forms_checked"].get<size_t>();
  fmt::print("{} {}: {} form{}{}, {} calls; largest errors, relative (abs: absolute, next to 0), and how many elements were compared\n",
             r["loss"].get<std::string>(), r["dtype"].get<std::string>(), done, done == 1 ? "" : "s",
             done < forms ? fmt::format(" of {}, for want of time", forms) : "", r["calls"].get<size_t>());
  print_quantities(r["quantities"]);
  print_worst(r["quantities"]);
  for (const Json& w : r["warnings"]) fmt::print("  note: {}\n", w.get<std::string>());
  for (const Json& f : r["failures"]) fmt::print("  wrong: {}\n", f.get<std::string>());
  if (r["ok"]) return;
  if (r["of_fixed_points"])
    fmt::print("  A recurrence here has the derivative of its fixed point (Derivative::OfFixedPoint); differences agree with that once it has come to it: try more iterations first.\n");
  std::string but;
  for (const Json& name : r["by_hand"]) but += fmt::format("{}'{}'", but.empty() ? "but for the derivative given by hand with " : ", ", name.get<std::string>());
  fmt::print("  Gradients are derived and kernels compiled{}, so this is most likely {}a bug of lossc: please report it with the definition.\n",
             but.empty() ? "" : ", " + but, but.empty() ? "" : "that derivative, or ");
}

void write_plot(const Definition& d, const CheckWords& words) {
  const std::string picture = plot(build_all(d)[0], words.along);
  std::ofstream file(words.plot);
  file << picture;
  file.close();
  if (!file) throw UsageError(fmt::format("{} cannot be written", words.plot));
}

Exit run_check(const CheckWords& words) {
  const std::vector<Definition> all = load(words.loss);
  if (!words.plot.empty() && all.size() > 1) throw UsageError(fmt::format("{} defines {} losses: --plot is about one", words.loss, all.size()));
  if (!words.plot.empty()) write_plot(all[0], words);
  Json results = Json::array();
  bool good = true;
  for (const Definition& d : all) {
    for (const std::string& dtype : words.dtypes) {
      results.push_back(check_one(d, words, dtype));
      good &= results.back()["ok"].get<bool>();
      if (!words.json) print_check(results.back());
    }
  }
  if (words.json) print_json({{"ok", good}, {"results", results}});
  return good ? kOk : kFailed;
}

}  // namespace

void add_check(CLI::App& app, Action* action) {
  auto words = std::make_shared<CheckWords>();
  CLI::App* command = app.add_subcommand("check", "Compares a loss's value, gradient and kernels with each other");
  command->add_option("loss", words->loss, "FILE.cpp with definitions, or a loss")->required();
  command->add_option("--dtype", words->dtypes, "float types: f16,bf16,f32,f64")
      ->delimiter(',')
      ->check(CLI::IsMember(dtype_names()))
      ->capture_default_str();
  command->add_option("--isa", words->isa, "default: the best of this machine")
      ->check(CLI::IsMember({"sse41", "avx2", "avx512"}));
  CLI::Option* plot = command->add_option("--plot", words->plot, "FILE.svg: a picture of value and slope along a line through the inputs");
  command->add_option("--along", words->along, "the one input that moves in the picture; default: all with a gradient")->needs(plot);
  command->add_flag("--hvp", words->hvp, "also the products of its Hessian, against differences of the gradient and float64");
  command->add_flag("--json", words->json, "one object: ok, and results, one for each loss and dtype");
  command->callback([=] { *action = [=] { return run_check(*words); }; });
}

}  // namespace lossc::cli
