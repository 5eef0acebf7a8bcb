// The loss that a command is about: one that is built in, or one in a file of the caller's.
#pragma once
#include <string>
#include <vector>

#include "dsl/program.h"

namespace lossc::cli {

// What `word` names: the id of a built-in loss, or a .cpp file, which is compiled and loaded into this process. A file
// may define several losses; one that has the name of a built-in loss takes its place. Throws UsageError, for a file
// that does not compile with the compiler's own words.
std::vector<Definition> load(const std::string& word);
// Does it come from such a file?
bool from_file(const Definition& definition);
// The same as load(), for commands about one loss.
Definition load_one(const std::string& word);

}  // namespace lossc::cli
