// lossc explain: what will run, in how much memory, and what the machine needs for it at least.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "dsl/hessian.h"
#include "generators/cli/definition.h"
#include "generators/cli/ir_text.h"
#include "generators/cli/kernels.h"
#include "generators/cli/library.h"
#include "generators/cli/plan_cost.h"

namespace lossc::cli {
namespace {

struct ExplainWords {
  std::string loss, dtype = "f32", mode = "both", isa;
  FormWords form;
  int threads = 0;
  bool json = false, ir = false, gradient = false, plan = false;
};

std::string index_list(const plan::Plan& p, const std::vector<ir::Id>& indices) {
  std::vector<std::string> names;
  for (ir::Id i : indices) names.push_back(p.graph.indices[i].name);
  return fmt::format("{}", fmt::join(names, ","));
}

const char* kind_name(plan::StepKind kind) {
  constexpr const char* kNames[] = {"map", "reduce", "scatter", "walk", "loop", "product A B", "product A' B"};
  return kNames[static_cast<int>(kind)];
}
const char* storage_name(plan::Storage storage) {
  constexpr const char* kNames[] = {"input", "output", "whole", "sum over panels", "panel", "lent"};
  return kNames[static_cast<int>(storage)];
}

Json steps_json(const plan::Plan& p, const PlanCost& cost) {
  Json steps = Json::array();
  for (const StepCost& c : cost.steps) {
    const plan::Step& s = p.steps[c.step];
    std::vector<std::string> reads, writes;
    for (int b : s.reads) reads.push_back(p.buffers[b].name);
    for (int b : s.outputs) writes.push_back(p.buffers[b].name);
    for (const auto& [node, b] : s.left) writes.push_back(p.buffers[b].name);
    steps.push_back({{"pass", c.pass},
                     {"in_panel", c.panel},
                     {"kind", kind_name(s.kind)},
                     {"over", index_list(p, s.domain)},
                     {"sums_over", s.over == ir::kNone ? "" : p.graph.indices[s.over].name},
                     {"reads", reads},
                     {"writes", writes},
                     {"flops", c.flops},
                     {"bytes_read", c.bytes_read},
                     {"bytes_written", c.bytes_written},
                     {"text", s.text}});
  }
  return steps;
}

Json buffers_json(const plan::Plan& p, const PlanCost& cost) {
  Json buffers = Json::array();
  for (const BufferCost& c : cost.buffers) {
    const plan::Buffer& b = p.buffers[c.buffer];
    buffers.push_back({{"name", b.name},
                       {"storage", storage_name(b.storage)},
                       {"over", index_list(p, b.layout.order)},
                       {"tiled", b.layout.tiled},
                       {"bytes", c.bytes}});
    // In that output's memory instead, where the caller wants it with dense rows.
    if (b.lender >= 0) buffers.back()["shares_with"] = p.buffers[b.lender].name;
  }
  return buffers;
}

// Measured for a tenth of a second or so, each.
Json bound_json(const PlanCost& cost, const CallOptions& options, Team& team, const Blas& blas) {
  const Memory from(size_t{128} << 20), to(from.size());
  double copy_ms = 1e300, gemm_rate = 0;
  for (int k = 0; k < 4; k++) {
    const double start = now_ms();
    copy(team, to.data(), from.data(), from.size());
    copy_ms = std::min(copy_ms, now_ms() - start);
  }
  const double bandwidth = 2.0 * static_cast<double>(from.size()) / copy_ms;  // bytes a millisecond
  const double fma = fma_rate(team, options.dtype.bits, 50);
  constexpr int kSize = 1024;
  for (int k = 0; k < 3 && blas; k++) {
    const double start = now_ms();
    blas.gemm(options.dtype.bits, false, false, kSize, kSize, kSize, from.data(), from.data(), to.data());
    gemm_rate = std::max(gemm_rate, 2.0 * kSize * kSize * kSize / (now_ms() - start));
  }
  const double products = cost.product_flops / (gemm_rate > 0 ? gemm_rate : fma), other = cost.other_flops / fma;
  const double memory = cost.memory_bytes / bandwidth;
  return {{"ms", std::max(memory, products + other)},
          {"by", memory > products + other ? "memory"
                 : products > other        ? "matrix products"
                                           : "arithmetic"},
          {"memory_ms", memory},
          {"products_ms", products},
          {"other_ms", other},
          {"copy_gb_s", bandwidth / 1e6},
          {"gemm_gflop_s", gemm_rate / 1e6},
          {"gemm", blas ? blas.name() : ""},
          {"fma_gflop_s", fma / 1e6}};
}

// That a word has no second derivative is the user's to know, not a failure of the tool.
Program hessian_of(const Program& program) {
  try {
    return hessian_program(program);
  } catch (const DefinitionError& e) {
    throw UsageError(e.what());
  }
}

Json explain(const ExplainWords& words) {
  const int32_t mode = words.mode == "forward"    ? LOSSC_FORWARD
                       : words.mode == "backward" ? LOSSC_BACKWARD
                       : words.mode == "hvp"      ? LOSSC_HVP
                                                  : LOSSC_FORWARD | LOSSC_BACKWARD;
  const CallOptions options{false, dtype_of(words.dtype), mode, isa_code(words.isa), words.threads};
  const Definition definition = load_one(words.loss);
  Form form = choose_form(definition, words.form);
  if (mode == LOSSC_HVP) form.program = hessian_of(form.program);
  const plan::Plan plan = plan::make_plan(form.program);
  const PlanCost cost = plan_cost(plan, form, options);
  Json recomputed = Json::array();
  for (const auto& [node, steps] : cost.recomputed)
    recomputed.push_back({{"expression", ir::print(plan.graph, node, 4)}, {"steps", steps}});
  const lossc_loss* loss = kernels_of(definition, options.dtype.bits, words.isa, mode == LOSSC_HVP);
  if (mode == LOSSC_HVP) loss = lossc_loss_hvp(loss);
  const int threads = words.threads > 0 ? words.threads : lossc_get_num_threads();
  const Blas blas = cost.product_flops > 0 ? Blas::choose(threads) : Blas();
  const Tensors tensors(loss, form, options);
  const Call call(loss, form, options, tensors);
  Team team(threads);
  Json result = {{"loss", definition.name},
                 {"shape", form.shape_json()},
                 {"dtype", words.dtype},
                 {"mode", words.mode},
                 {"form", form.text()},
                 {"threads", threads},
                 {"steps", steps_json(plan, cost)},
                 {"buffers", buffers_json(plan, cost)},
                 {"recomputed", recomputed},
                 {"memory_bytes", cost.memory_bytes},
                 {"product_flops", cost.product_flops},
                 {"other_flops", cost.other_flops},
                 {"workspace_bytes", call.workspace_size()},
                 {"saved_bytes", call.saved_size()},
                 {"bound", bound_json(cost, options, team, blas)},
                 {"runtime_plan", call.explain()}};
  if (words.ir) result["ir"] = value_text(form.program);
  if (words.gradient) result["gradient"] = gradient_text(form.program);
  if (words.plan) result["plan"] = plan::print(plan);
  return result;
}

std::string amount(double n, const char* unit) {
  const char* prefix = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (n < 1000) break;
    n /= 1000, prefix = next;
  }
  return fmt::format("{:.3g} {}{}", n, prefix, unit);
}

void print_steps(const Json& steps) {
  int pass = -1;
  bool panel = false;
  for (const Json& s : steps) {
    if (s["pass"] != pass || s["in_panel"] != panel) {
      pass = s["pass"], panel = s["in_panel"];
      fmt::print("pass {}, {}\n", pass, panel ? "in each panel of rows" : "once");
    }
    const std::string sums = s["sums_over"];
    fmt::print("  {} over ({}{})  {} <- {}  {}, {} read, {} written\n", s["kind"].get<std::string>(),
               s["over"].get<std::string>(), sums.empty() ? "" : "; sum " + sums,
               fmt::join(s["writes"].get<std::vector<std::string>>(), ", "),
               fmt::join(s["reads"].get<std::vector<std::string>>(), ", "), amount(s["flops"], "flop"),
               amount(s["bytes_read"], "B"), amount(s["bytes_written"], "B"));
    fmt::print("      {}\n", s["text"].get<std::string>());
  }
}

void print_memory(const Json& r) {
  fmt::print("\nstored (a panel holds a share of this for each thread)\n");
  for (const Json& b : r["buffers"]) {
    const std::string shared = b.contains("shares_with") ? ", in " + b["shares_with"].get<std::string>() + " if dense" : "";
    fmt::print("  {:<24} {:<16} ({}){}  {}\n", b["name"].get<std::string>(), b["storage"].get<std::string>() + shared,
               b["over"].get<std::string>(), b["tiled"].get<bool>() ? " in tiles" : "", amount(b["bytes"], "B"));
  }
  if (!r["recomputed"].empty()) fmt::print("computed again rather than stored\n");
  for (const Json& n : r["recomputed"])
    fmt::print("  in {} steps: {}\n", n["steps"].get<int>(), n["expression"].get<std::string>());
  fmt::print("\nworkspace {}, kept from forward to backward {}\n", amount(r["workspace_bytes"], "B"),
             amount(r["saved_bytes"], "B"));
}

void print_bound(const Json& r) {
  const Json& b = r["bound"];
  fmt::print("bound on this machine ({} threads): {:.4g} ms, by {}\n", r["threads"].get<int>(), b["ms"].get<double>(),
             b["by"].get<std::string>());
  fmt::print("  memory    {:>10.4g} ms  {} at {:.3g} GB/s, as a copy\n", b["memory_ms"].get<double>(),
             amount(r["memory_bytes"], "B"), b["copy_gb_s"].get<double>());
  const std::string gemm = b["gemm"];
  if (r["product_flops"] > 0)
    fmt::print("  products  {:>10.4g} ms  {} at {:.4g} GFLOP/s, {}\n", b["products_ms"].get<double>(),
               amount(r["product_flops"], "flop"),
               gemm.empty() ? b["fma_gflop_s"].get<double>() : b["gemm_gflop_s"].get<double>(),
               gemm.empty() ? "as multiply-adds" : "as " + gemm);
  fmt::print("  the rest  {:>10.4g} ms  {} at {:.4g} GFLOP/s, as multiply-adds; a transcendental function counts 10\n",
             b["other_ms"].get<double>(), amount(r["other_flops"], "flop"), b["fma_gflop_s"].get<double>());
}

void print_plan(const Json& r) {
  std::string shape;
  for (const auto& [axis, extent] : r["shape"].items()) shape += fmt::format(" {}={}", axis, extent.get<int64_t>());
  const std::string form = r["form"], mode = r["mode"];
  fmt::print("{}{}  {}, {}{}\n\n", r["loss"].get<std::string>(), shape, r["dtype"].get<std::string>(),
             mode == "both" ? "value and gradient" : mode == "hvp" ? "Hessian product" : mode, form.empty() ? "" : "; " + form);
  print_steps(r["steps"]);
  print_memory(r);
  print_bound(r);
  for (auto [key, title] : {std::pair{"ir", "loss of a row"}, {"gradient", "derivative"}, {"plan", "plan"}})
    if (r.contains(key)) fmt::print("\n{}\n{}", title, r[key].get<std::string>());
  if (r.contains("plan")) fmt::print("\nas it runs\n{}", r["runtime_plan"].get<std::string>());
}

}  // namespace

void add_explain(CLI::App& app, Action* action) {
  auto words = std::make_shared<ExplainWords>();
  CLI::App* command =
      app.add_subcommand("explain", "What runs for a loss: steps, memory, work, and the machine's bound");
  command->add_option("loss", words->loss, "a loss, or a FILE.cpp that defines one")->required();
  add_form_words(command, &words->form, true);
  command->add_option("--dtype", words->dtype, "of all float tensors; f16 and bf16 are computed with in f32")
      ->check(CLI::IsMember(dtype_names()))
      ->capture_default_str();
  command->add_option("--mode", words->mode, "value and gradient in one call, one of them, or the Hessian product")
      ->check(CLI::IsMember({"both", "forward", "backward", "hvp"}))
      ->capture_default_str();
  command->add_option("--isa", words->isa, "default: the best there is")
      ->check(CLI::IsMember({"sse41", "avx2", "avx512"}));
  command->add_option("--threads", words->threads, "default: every core")->check(CLI::Range(1, 1024));
  command->add_flag("--ir", words->ir, "also the loss as the language reads it");
  command->add_flag("--gradient", words->gradient, "also its derivative");
  command->add_flag("--plan", words->plan, "also the plan, as made and as it runs");
  command->add_flag("--json", words->json,
                    "one object: steps, buffers, recomputed, bytes, flops, workspace_bytes, bound, ...");
  command->callback([=] {
    *action = [=] {
      const Json result = explain(*words);
      words->json ? print_json(result) : print_plan(result);
      return kOk;
    };
  });
}

}  // namespace lossc::cli
