// lossc.h alone, under every compiler and standard at hand, without a warning.
#include "abi_util.h"

namespace {

using namespace abi_tests;

std::string flags() {
  return " -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -fsyntax-only -I" + include_dir();
}

void check(const std::string& compiler, const std::string& language, const std::vector<std::string>& standards,
           const std::string& include, const std::string& more = "") {
  if (!have(compiler)) GTEST_SKIP() << compiler << " is not here";
  for (const std::string& standard : standards) {
    const std::string std_flag = " -std=" + standard;
    if (command("echo | " + compiler + std_flag + " -x " + language + " -fsyntax-only -").code != 0)
      continue;  // unknown to it
    const Output o = command("printf '#include <" + include + ">\\nint main(void) { return 0; }\\n' | " + compiler +
                             std_flag + flags() + more + " -x " + language + " -");
    EXPECT_EQ(o.code, 0) << compiler << ' ' << standard << '\n' << o.text;
  }
}

const std::vector<std::string> kC = {"c99", "c11", "c17", "c2x", "gnu99", "gnu17"};
const std::vector<std::string> kCpp = {"c++11", "c++14", "c++17", "c++20", "c++2b", "gnu++17"};

TEST(Header, CompilesAsC) {
  check("gcc", "c", kC, "lossc/lossc.h", " -Wpadded");  // padding would be bytes that no version owns
}
TEST(Header, CompilesAsCWithClang) { check("clang", "c", kC, "lossc/lossc.h", " -Wpadded"); }
TEST(Header, CompilesAsCpp) { check("g++", "c++", kCpp, "lossc/lossc.h", " -Wpadded"); }
TEST(Header, CompilesAsCppWithClang) { check("clang++", "c++", kCpp, "lossc/lossc.h", " -Wpadded"); }
TEST(Header, WrapperCompiles) { check("g++", "c++", {"c++17", "c++20", "c++2b"}, "lossc/lossc.hpp"); }
TEST(Header, WrapperCompilesWithClang) { check("clang++", "c++", {"c++17", "c++20", "c++2b"}, "lossc/lossc.hpp"); }

TEST(Header, NamesNothingOutsideItsPrefix) {
  // Macros: what the header defines beyond DLPack's and the includes'.
  const std::string text = header();
  const std::regex define(R"(#define\s+(\w+))");
  for (std::sregex_iterator it(text.begin(), text.end(), define), end; it != end; ++it) {
    EXPECT_EQ((*it)[1].str().rfind("LOSSC_", 0), 0u) << (*it)[1];
  }
  EXPECT_GE(declared_functions().size(), 25u);
}

}  // namespace
