// lossc fuzz: random definitions. Is the derivative of each that of its value, and do its kernels compute what the oracle
// does? What fails is made small and printed, with the words that do it again.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <map>

#include "dsl/fuzz/tree.h"
#include "dsl/words/words.h"
#include "generators/cli/call.h"
#include "generators/cli/comparison.h"
#include "generators/cli/library.h"
#include "generators/cli/progress.h"

namespace lossc::cli {
namespace {

using fuzz::Tree;
using fuzz::Verdict;

struct FuzzWords {
  double minutes = 0;
  size_t programs = 0;
  unsigned seed = 0;
  bool no_kernels = false, words = false, show = false, json = false;
};

// Programs whose kernels are compiled together: enough to keep all processors busy, few enough to see progress.
constexpr size_t kBatch = 16;
// A step of shrinking costs a compilation where kernels are what fails, else next to nothing.
constexpr int kKernelTries = 40, kTries = 2000;

struct Finding {
  Tree tree;
  std::string what;
};

// The tables of kernels of all definitions, by name; the code stays loaded. Throws if one of them does not compile.
std::map<std::string, const lossc_loss*> compile(const std::vector<Definition>& registered) {
  Build build{{}, {"f32"}, {best_isa()}};
  for (const Definition& d : registered) {
    Registrar(d.name, d.family, d.file, d.body);
    build.losses.push_back(d.name);
  }
  struct Forget {
    const std::vector<Definition>& list;
    ~Forget() {
      for (const Definition& d : list) forget(d);
    }
  } at_end{registered};
  const TemporaryFolder work;
  emit_losses(build, work.path());
  void* library = dlopen(link_tables(build, work.path()).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  std::map<std::string, const lossc_loss*> out;
  for (const std::string& name : build.losses)
    out[name] = static_cast<const lossc_loss*>(dlsym(library, ("lossc_loss_" + name).c_str()));
  return out;
}

// Empty: what `run` does to a comparison of the kernels finds no fault.
using Run = std::function<void(Comparison&)>;
std::string compare_kernel(const lossc_loss* loss, const Run& run) {
  Comparison comparison(loss, dtype_of("f32"), isa_code(""));
  try {
    run(comparison);
  } catch (const std::exception& e) {
    return fmt::format("the kernels do not run: {}", e.what());
  }
  return comparison.good() ? "" : comparison.failures()[0];
}

// The same in a process of its own: a kernel that writes where it should not must not take the fuzzer with it.
std::string wrong_kernel(const lossc_loss* loss, const Run& run) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe() failed");
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork() failed");
  if (child == 0) {
    close(ends[0]);
    const std::string wrong = compare_kernel(loss, run);
    const ssize_t written = ::write(ends[1], wrong.data(), std::min<size_t>(wrong.size(), 4000));  // a pipe holds as much
    _exit(written < 0);
  }
  close(ends[1]);
  std::string wrong;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) wrong.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return fmt::format("the kernels end the process: {}", strsignal(WTERMSIG(status)));
  return wrong;
}

// What the planner says it cannot do yet is a limit, and no wrong result.
constexpr const char* kNotYet = "not supported yet";
std::string wrong_kernel(const Tree& tree, const lossc_loss* loss) {
  return wrong_kernel(loss, [&](Comparison& c) { c.kernels(fuzz::program(tree)); });
}
std::string wrong_kernel(const Tree& tree) {
  try {
    return wrong_kernel(tree, compile({fuzz::definition(tree)}).at(fuzz::name(tree)));
  } catch (const std::exception& e) {
    return fmt::format("the kernels do not compile: {}", e.what());
  }
}

// The examples of the words, at the inputs that their pages show: infinities, NaN and empty axes.
Exit check_words(bool json) {
  Progress progress("checking words");
  std::vector<Definition> all;
  for (const words::Word& w : words::list()) all.push_back(words::definition(w));
  const auto losses = compile(all);
  Json found = Json::array();
  size_t calls = 0;
  for (size_t k = 0; k < all.size(); k++) {
    const words::Word& w = words::list()[k];
    progress.at(w.name);
    for (const words::Shown& shown : w.shown) {
      Case c = words::call(w, shown);
      const Program p = program_for(all[k], c);
      if (!p.rows.empty()) c.reduction = Reduction::None;
      calls++;
      const std::string wrong = wrong_kernel(losses.at(all[k].name), [&](Comparison& comparison) { comparison.kernels(p, c); });
      if (wrong.empty()) continue;
      found.push_back({{"word", w.name}, {"example", w.example.text}, {"shown", &shown - w.shown.data()}, {"what", wrong}});
      if (!json) fmt::print("{}, {}, line {}: {}\n", w.name, w.example.text, &shown - w.shown.data() + 1, wrong);
    }
  }
  if (json) print_json({{"ok", found.empty()}, {"words", all.size()}, {"calls", calls}, {"found", found}});
  else fmt::print("{} words, {} calls: {} wrong\n", all.size(), calls, found.size());
  return found.empty() ? kOk : kFailed;
}

// What a seed stands for, as a file that the other commands take: a kernel that does not end, or takes the fuzzer's host with
// it, is looked at without being run.
Exit show(const FuzzWords& words) {
  Json all = Json::array();
  const unsigned first = std::max(words.seed, 1u);
  for (unsigned seed = first; seed - first < std::max<size_t>(words.programs, 1); seed++) {
    const std::string definition = fuzz::text(fuzz::generate(seed));
    if (words.json) all.push_back({{"seed", seed}, {"definition", definition}});
    else fmt::print("{}{}", seed == first ? "" : "\n", definition);
  }
  if (words.json) print_json(all);
  return kOk;
}

class Fuzzer {
 public:
  explicit Fuzzer(const FuzzWords& words) : words_(words), progress_("fuzzing") {}

  Exit run() {
    const double end = words_.minutes > 0 ? now_ms() + 60e3 * words_.minutes : std::numeric_limits<double>::infinity();
    const size_t most = words_.programs  ? words_.programs
                        : words_.minutes ? std::numeric_limits<size_t>::max()
                        : words_.seed    ? 1
                                         : 300;
    for (unsigned seed = std::max(words_.seed, 1u); done_ < most && now_ms() < end; seed++, done_++) {
      progress_.at(fmt::format("seed {}, {} found", seed, findings_.size()));
      one(fuzz::generate(seed));
      if (batch_.size() == kBatch) kernels();
    }
    kernels();
    if (words_.json) print_json(result());
    else fmt::print("{} programs ({} with nothing smooth and finite), kernels of {} ({} cannot be planned yet): {} found\n", done_,
                    useless_, compiled_, not_yet_, findings_.size());
    return findings_.empty() ? kOk : kFailed;
  }

 private:
  void one(const Tree& tree) {
    const auto what = [](const Tree& t) -> std::string {
      try {
        const Verdict v = fuzz::check_derivative(t);
        return v.is == Verdict::Wrong ? v.what : "";
      } catch (const DefinitionError&) {
        return "";
      }
    };
    try {
      const Verdict v = fuzz::check_derivative(tree);
      useless_ += v.is == Verdict::Useless;
      if (v.is == Verdict::Wrong) return found(tree, v.what, what, kTries);
      if (!words_.no_kernels) batch_.push_back(tree);
    } catch (const DefinitionError& e) {
      if (!fuzz::expected(e)) add({tree, e.what()});
    }
  }

  void kernels() {
    if (batch_.empty()) return;
    std::map<std::string, const lossc_loss*> losses;
    try {
      std::vector<Definition> definitions;
      for (const Tree& t : batch_) definitions.push_back(fuzz::definition(t));
      losses = compile(definitions);
    } catch (const std::exception&) {
      losses.clear();  // one by one, to see whose fault it is
    }
    const auto alone = [](const Tree& t) {
      const std::string wrong = wrong_kernel(t);
      return wrong.find(kNotYet) == std::string::npos ? wrong : "";
    };
    for (const Tree& t : batch_) {
      const std::string wrong = losses.empty() ? wrong_kernel(t) : wrong_kernel(t, losses.at(fuzz::name(t)));
      compiled_++;
      if (wrong.find(kNotYet) != std::string::npos) not_yet_++;
      else if (!wrong.empty()) found(t, wrong, alone, kKernelTries);
    }
    batch_.clear();
  }

  // `wrong`, as it was found among others; alone it may not be.
  template <class What>
  void found(const Tree& tree, const std::string& wrong, const What& what, int tries) {
    const auto fails = [&](const Tree& t) {
      try {
        fuzz::program(t);  // before anything is compiled: is it a program at all?
      } catch (const DefinitionError&) {
        return false;
      }
      return !what(t).empty();
    };
    const Tree least = fuzz::shrink(tree, fails, tries);
    const std::string alone = what(least);
    add({least, alone.empty() ? wrong + "; not so when it was tried again alone" : alone});
  }
  void add(const Finding& f) {
    findings_.push_back(f);
    if (!words_.json)
      fmt::print("// {}\n// again: lossc fuzz --seed {}\n{}\n", f.what, f.tree.seed, fuzz::text(f.tree));
    std::fflush(stdout);  // an hour's run may be cut off
  }

  Json result() const {
    Json found = Json::array();
    for (const Finding& f : findings_)
      found.push_back({{"seed", f.tree.seed}, {"what", f.what}, {"definition", fuzz::text(f.tree)}});
    return {{"ok", findings_.empty()}, {"programs", done_}, {"useless", useless_}, {"kernels_of", compiled_},
            {"not_planned_yet", not_yet_}, {"found", found}};
  }

  const FuzzWords& words_;
  Progress progress_;
  std::vector<Tree> batch_;
  std::vector<Finding> findings_;
  size_t done_ = 0, useless_ = 0, compiled_ = 0, not_yet_ = 0;
};

}  // namespace

void add_fuzz(CLI::App& app, Action* action) {
  auto words = std::make_shared<FuzzWords>();
  CLI::App* command = app.add_subcommand("fuzz", "Checks random definitions: derivative and kernels");
  CLI::Option* minutes = command->add_option("--minutes", words->minutes, "goes on for so long")->check(CLI::PositiveNumber);
  command->add_option("--programs", words->programs, "how many; default: 300, with --seed alone or --show 1");
  command->add_option("--seed", words->seed, "of the first program; the next has the next");
  command->add_flag("--no-kernels", words->no_kernels, "the derivative alone: nothing is compiled");
  CLI::Option* examples =
      command->add_flag("--words", words->words, "instead, the kernels of each word's example, at the inputs that its page shows");
  command->add_flag("--show", words->show, "instead, prints the programs, each as a file for `lossc check`; runs none")
      ->excludes(minutes)->excludes(examples);
  command->add_flag("--json", words->json, "one object: ok, programs, useless, kernels_of, not_planned_yet, found; of --show an array: seed, definition");
  command->callback([=] {
    *action = [=] { return words->show ? show(*words) : words->words ? check_words(words->json) : Fuzzer(*words).run(); };
  });
}

}  // namespace lossc::cli
