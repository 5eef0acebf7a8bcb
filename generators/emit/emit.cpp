#include "generators/emit/emit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "generators/emit/compile.h"
#include "generators/emit/files.h"
#include "generators/emit/print_header.h"

namespace lossc::emit {
namespace {

using Json = nlohmann::ordered_json;
struct Loss {
  std::unique_ptr<LossTables> tables, hessian;  // hessian: nullptr if there is none, and `no_hessian` says why
  std::string no_hessian;
};
using Losses = std::vector<Loss>;

std::vector<Definition> chosen(const std::vector<std::string>& names) {
  std::vector<Definition> list;
  for (const Definition& d : definitions())
    if (names.empty() || std::find(names.begin(), names.end(), d.name) != names.end()) list.push_back(d);
  for (const std::string& name : names) {
    if (std::none_of(list.begin(), list.end(), [&](const Definition& d) { return d.name == name; }))
      throw std::runtime_error(fmt::format("no loss '{}' is linked", name));
  }
  return list;
}

std::string build_info(const Matrix& m) {
  std::vector<std::string_view> isas;
  for (const schedules::Isa* isa : m.isas) isas.push_back(isa->name);
  return fmt::format("{}; f{}; {}", version_text(), fmt::join(m.float_bits, " f"), fmt::join(isas, " "));
}

std::string fact_text(const Interface& all, const Fact& f) {
  switch (f.kind) {
    case lossc::Fact::Option:
      return fmt::format("{} = {}", all.options[f.id].name, all.options[f.id].choices[f.value]);
    case lossc::Fact::TensorGiven: {
      constexpr const char* kImplicit[] = {"row_weight", "row_mask", "grad_output"};
      const int implicit = f.id - static_cast<int>(all.inputs.size());
      return fmt::format("{} {}", implicit >= 0 ? kImplicit[implicit] : all.inputs[f.id].name,
                         f.value ? "given" : "absent");
    }
    case lossc::Fact::AxisGiven:
      return fmt::format("{} {}", all.axes[f.id].name, f.value ? "given" : "absent");
    case lossc::Fact::ParamZero:
      return fmt::format("{} {} 0", all.params[f.id].name, f.value ? "=" : "!=");
  }
  return "";
}

Json describe_forms(const LossTables& t, const KernelSet& kernels) {
  Json forms = Json::array();
  for (const Form& f : t.forms) {
    Json facts = Json::array(), names = Json::array();
    for (const Fact& x : f.facts) facts.push_back(fact_text(t.interface, x));
    for (int k : f.kernels) names.push_back(kernels.list()[k].name);
    forms.push_back({{"facts", facts}, {"digest", fmt::format("{:016x}", f.digest)}, {"kernels", names}});
  }
  return forms;
}

Json describe_loss(const Loss& loss, const KernelSet& kernels) {
  const LossTables& t = *loss.tables;
  Json entry = {{"family", t.interface.family}, {"file", t.file}, {"forms", describe_forms(t, kernels)}};
  if (loss.hessian) entry["hessian"] = describe_forms(*loss.hessian, kernels);
  return entry;
}

// Copies the objects out of the cache and returns what the manifest says of them.
Json write_objects(const KernelSet& kernels, const std::vector<ObjectFile>& objects, Folder* out) {
  Json list = Json::object();
  std::string names;
  for (const ObjectFile& o : objects) {
    const auto object = read_file(o.object), stmt = o.stmt.empty() ? std::nullopt : read_file(o.stmt);
    if (!object) throw std::runtime_error(fmt::format("{} has vanished from the cache", o.object));
    out->write(fmt::format("objects/{}.o", o.symbol), *object);
    if (stmt) out->write(fmt::format("stmt/{}.stmt", o.symbol), *stmt);
    names += fmt::format("objects/{}.o\n", o.symbol);
    const Kernel& kernel = kernels.list()[o.kernel];
    Json& entry = list[kernel.name];
    if (entry.is_null()) entry = {{"kind", kernel.kind}, {"losses", kernel.losses}, {"objects", Json::object()}};
    entry["objects"][fmt::format("f{} {}", o.float_bits, o.isa->name)] = {{"bytes", object->size()},
                                                                          {"hash", hash128(*object)}};
  }
  out->write("objects.rsp", names);
  return list;
}

void write_all(const Options& options, const Losses& losses, const KernelSet& kernels,
               const std::vector<ObjectFile>& objects) {
  Folder out(options.out);
  const std::string info = build_info(options.matrix);
  Json manifest = {{"build", info}, {"losses", Json::object()}};
  const Matrix lowest{options.matrix.float_bits, {options.matrix.isas.front()}};
  std::vector<std::string> names, hessians;
  for (const Loss& loss : losses) {
    const std::string name = loss.tables->interface.name;
    names.push_back(name);
    manifest["losses"][name] = describe_loss(loss, kernels);
    out.write(fmt::format("losses/{}.cpp", name), print_loss(*loss.tables, kernels, options.matrix, loss.no_hessian));
    out.write(fmt::format("include/lossc/losses/{}.h", name),
              print_header(loss.tables->interface, loss.hessian ? &loss.hessian->interface : nullptr, options.matrix.float_bits));
    if (loss.hessian) hessians.push_back(name);
    if (options.hessians)
      out.write(fmt::format("hessians/{}.cpp", name),
                loss.hessian ? print_loss(*loss.hessian, kernels, lowest, "")
                             : fmt::format("// No Hessian products of {}: {}.\n", name, loss.no_hessian));
  }
  manifest["kernels"] = write_objects(kernels, objects, &out);
  out.write("registry.cpp", print_registry(names, hessians, info, options.matrix));
  out.write("manifest.json", manifest.dump(1) + "\n");
  out.remove_others({"losses", "hessians", "include/lossc/losses", "objects", "stmt"});
}

}  // namespace

Report emit(const Options& options) {
  Report report;
  KernelSet kernels;
  Losses losses;
  for (const Definition& d : chosen(options.losses)) {
    try {
      Loss loss{make_tables(d, &kernels), nullptr, "this library was compiled without them"};
      report.forms += loss.tables->forms.size();
      if (options.hessians) {
        loss.no_hessian.clear();
        loss.hessian = make_hessian_tables(*loss.tables, &kernels, &loss.no_hessian);
      }
      losses.push_back(std::move(loss));
    } catch (const std::exception& e) {
      report.failures.push_back(e.what());
    }
  }
  // A loss that failed half-way has left kernels of a plan that is gone: compiled, they would be cached under names that
  // promise something else.
  if (!report.failures.empty()) return report;
  CompileResult compiled = compile_kernels(kernels, options.matrix.float_bits, options.matrix.isas, options.cache,
                                           options.jobs, options.quiet);
  report.failures.insert(report.failures.end(), compiled.failures.begin(), compiled.failures.end());
  report.losses = losses.size();
  report.kernels = kernels.list().size();
  report.objects = compiled.objects.size();
  for (const ObjectFile& o : compiled.objects) report.compiled += !o.cached;
  if (report.failures.empty()) write_all(options, losses, kernels, compiled.objects);
  return report;
}

Matrix make_matrix(const std::vector<std::string>& dtypes, const std::vector<std::string>& isas) {
  Matrix m;
  for (const std::string& d : dtypes)
    if (d != "f32" && d != "f64") throw std::runtime_error(fmt::format("dtype '{}': want f32 or f64", d));
  for (const std::string& i : isas)
    if (!schedules::find_isa(i)) throw std::runtime_error(fmt::format("ISA level '{}': want sse41, avx2 or avx512", i));
  for (int bits : {32, 64})
    if (std::find(dtypes.begin(), dtypes.end(), fmt::format("f{}", bits)) != dtypes.end()) m.float_bits.push_back(bits);
  for (const schedules::Isa& isa : schedules::kIsas)
    if (std::find(isas.begin(), isas.end(), isa.name) != isas.end()) m.isas.push_back(&isa);
  if (m.float_bits.empty() || m.isas.empty()) throw std::runtime_error("want at least one dtype and one ISA level");
  return m;
}

}  // namespace lossc::emit
