// lossc compile: a library of the caller's own losses.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "generators/cli/command.h"
#include "generators/cli/definition.h"
#include "generators/cli/library.h"

namespace lossc::cli {
namespace {

struct CompileWords {
  std::string source, out;
  std::vector<std::string> dtypes = {"f32", "f64"}, isas = {"sse41", "avx2", "avx512"};
  bool json = false, hvp = false;
};

void replace_folder(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

Json compile(const CompileWords& words) {
  Build build{{}, words.dtypes, words.isas, words.hvp};
  for (const Definition& d : load(words.source)) {
    build_all(d);  // a definition that is wrong says so before anything is compiled
    build.losses.push_back(d.name);
  }
  const std::string name = build.losses.size() == 1 ? build.losses[0] : fs::path(words.source).stem().string();
  const fs::path out = words.out;
  make_folder(out, "the folder to write to");
  const TemporaryFolder work;
  emit_losses(build, work.path());
  link_library(build, work.path(), fs::absolute(out / ("lib" + name)));
  replace_folder(install().headers, out / "include");
  replace_folder(work.path() / "include", out / "include");
  fs::remove_all(out / "stmt");
  replace_folder(work.path() / "stmt", out / "stmt");
  fs::copy_file(work.path() / "manifest.json", out / "manifest.json", fs::copy_options::overwrite_existing);
  const std::string archive = out / ("lib" + name + ".a");
  Json headers = Json::array();
  for (const std::string& loss : build.losses) headers.push_back(out / "include/lossc/losses" / (loss + ".h"));
  return {{"losses", build.losses},
          {"archive", archive},
          {"shared", (out / ("lib" + name + ".so")).string()},
          {"headers", headers},
          {"stmt", (out / "stmt").string()},
          {"use", fmt::format("cc main.c -I{} {} -lstdc++ -lm -lpthread", (out / "include").string(), archive)}};
}

void print_compiled(const Json& made) {
  fmt::print("{}\n{}\n", made["archive"].get<std::string>(), made["shared"].get<std::string>());
  for (const Json& header : made["headers"]) fmt::print("{}\n", header.get<std::string>());
  fmt::print("{}/  the kernels in readable form\n", made["stmt"].get<std::string>());
  fmt::print("\nUse it from C:\n  {}\n", made["use"].get<std::string>());
}

}  // namespace

void add_compile(CLI::App& app, Action* action) {
  auto words = std::make_shared<CompileWords>();
  CLI::App* command =
      app.add_subcommand("compile", "Makes a library of the losses in a file: archive, shared object, headers");
  command->add_option("source", words->source, "FILE.cpp with definitions, or a loss")->required();
  command->add_option("-o,--out", words->out, "folder to write to")->required();
  command->add_option("--dtype", words->dtypes, "float types: f32,f64")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "f64"}))
      ->capture_default_str();
  command->add_option("--isa", words->isas, "x86-64 levels, of which the library picks when it runs: sse41,avx2,avx512")
      ->delimiter(',')
      ->check(CLI::IsMember({"sse41", "avx2", "avx512"}))
      ->capture_default_str();
  command->add_flag("--hvp", words->hvp, "Hessian products, too (mode LOSSC_HVP), for the lowest of the levels");
  command->add_flag("--json", words->json, "one object: losses, archive, shared, headers, stmt, use");
  command->callback([=] {
    *action = [=] {
      const Json made = compile(*words);
      words->json ? print_json(made) : print_compiled(made);
      return kOk;
    };
  });
}

}  // namespace lossc::cli
