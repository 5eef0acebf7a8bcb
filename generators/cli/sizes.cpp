#include "generators/cli/sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <vector>

#include "generators/cli/command.h"

namespace lossc::cli {
namespace {

// binutils' words, which whoever links a library has.
std::string output_of(const std::vector<std::string>& words) {
  const CommandResult r = run_command(words);
  if (r.status != 0) throw UsageError(fmt::format("{} failed: {}", words[0], r.output));
  return r.output;
}

// Bytes by member: "text data bss dec hex member (ex ARCHIVE)".
std::map<std::string, size_t> member_sizes(const fs::path& archive) {
  std::map<std::string, size_t> sizes;
  std::istringstream lines(output_of({"size", archive}));
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    size_t text, data;
    std::string bss, dec, hex, member;
    if (words >> text >> data >> bss >> dec >> hex >> member) sizes[member] = text + data;
  }
  return sizes;
}

// What each member wants of the others, "ARCHIVE:MEMBER:  U SYMBOL"; and which one has each symbol.
struct Symbols {
  std::map<std::string, std::set<std::string>> wanted;
  std::map<std::string, std::string> member;
};
Symbols symbols_of(const fs::path& archive) {
  Symbols all;
  std::istringstream lines(output_of({"nm", "-A", archive}));
  std::string line;
  while (std::getline(lines, line)) {
    const size_t from = archive.string().size() + 1, to = line.find(':', from);
    if (to == line.npos) continue;
    const std::string member = line.substr(from, to - from), symbol = line.substr(line.rfind(' ') + 1);
    const char type = line[line.rfind(' ') - 1];
    if (type == 'U') all.wanted[member].insert(symbol);
    else if (std::isupper(type)) all.member[symbol] = member;
  }
  return all;
}

// The members of the kernels that each table wants, by the table's name without `prefix`.
std::map<std::string, std::set<std::string>> kernels_by_table(const Symbols& symbols, const std::string& prefix) {
  std::map<std::string, std::set<std::string>> all;
  for (const auto& [symbol, member] : symbols.member) {
    if (!symbol.starts_with(prefix) || !symbols.wanted.count(member)) continue;
    std::set<std::string>& mine = all[symbol.substr(prefix.size())];
    for (const std::string& wanted : symbols.wanted.at(member))
      if (wanted.starts_with("lossc_internal_k_") && symbols.member.count(wanted)) mine.insert(symbols.member.at(wanted));
  }
  return all;
}

}  // namespace

fs::path built_library() { return install().runtime.parent_path() / "liblossc.a"; }

std::map<std::string, LossSize> loss_sizes(const fs::path& archive) {
  if (!fs::is_regular_file(archive)) throw UsageError(fmt::format("there is no library '{}'", archive.string()));
  const std::map<std::string, size_t> sizes = member_sizes(archive);
  const Symbols symbols = symbols_of(archive);
  const std::string table = "lossc_loss_", products = "lossc_hvp_";
  std::map<std::string, std::set<std::string>> kernels = kernels_by_table(symbols, table);
  std::map<std::string, std::set<std::string>> more = kernels_by_table(symbols, products);
  std::map<std::string, std::set<std::string>> users;  // by member: losses
  for (const auto* tables : {&kernels, &more})
    for (const auto& [loss, members] : *tables)
      for (const std::string& m : members) users[m].insert(loss);
  std::erase_if(kernels, [](const auto& loss) { return loss.second.empty(); });
  if (kernels.empty()) throw UsageError(fmt::format("'{}' is no static library of losses", archive.string()));
  std::map<std::string, LossSize> out;
  for (const auto& [loss, members] : kernels) {
    LossSize& s = out[loss];
    s.kernels = members.size();
    s.tables = sizes.at(symbols.member.at(table + loss));
    for (const std::string& m : members) {
      s.bytes += sizes.at(m);
      if (users[m].size() == 1) s.alone += sizes.at(m);
    }
    if (!more.count(loss)) continue;
    s.hessian = sizes.at(symbols.member.at(products + loss));
    for (const std::string& m : more.at(loss))
      if (!members.count(m)) s.hessian += sizes.at(m);
  }
  return out;
}

}  // namespace lossc::cli
