// What the libraries show to a linker, and that several of them can share a process.
#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>

#include "abi_util.h"
#include "capi_util.h"
#include "tests/support/folder.h"

namespace {

using namespace abi_tests;
namespace fs = std::filesystem;

// Name to type letter.
std::map<std::string, char> symbols(const std::string& nm) {
  const Output o = command(nm);
  EXPECT_EQ(o.code, 0) << o.text;
  std::map<std::string, char> found;
  for (const std::string& line : lines(o.text)) {
    std::istringstream in(line);
    std::string address, type, name;
    if (in >> address >> type >> name && type.size() == 1) found[name.substr(0, name.find('@'))] = type[0];
  }
  return found;
}

TEST(Symbols, FunctionsAreThoseOfTheFirstRelease) {
  const auto names = declared_functions();
  compare_with_record("v1.syms", {names.begin(), names.end()});
}

TEST(Symbols, SharedLibraryShowsTheHeaderAndTheLosses) {
  const auto shown = symbols("nm -D --defined-only " LOSSC_SHARED_LIBRARY);
  const auto declared = declared_functions();
  for (const std::string& name : declared) EXPECT_TRUE(shown.count(name)) << name << " is missing";
  size_t losses = 0, products = 0, has_products = 0;
  for (const auto& [name, type] : shown) {
    if (declared.count(name) || name == "LOSSC_1") continue;
    const bool loss = name.rfind("lossc_loss_", 0) == 0, product = name.rfind("lossc_hvp_", 0) == 0;
    EXPECT_TRUE((loss || product) && strchr("RDVB", type) != nullptr) << name << ' ' << type;
    losses += loss, products += product;
  }
  for (size_t i = 0; i < lossc_loss_count(); ++i) has_products += lossc_loss_hvp(lossc_loss_at(i)) != nullptr;
  EXPECT_EQ(losses, lossc_loss_count());
  EXPECT_EQ(products, has_products);
}

TEST(Symbols, SharedLibraryNeedsNoHalide) {
  const Output o = command("nm -D --undefined-only " LOSSC_SHARED_LIBRARY);
  EXPECT_EQ(o.text.find("halide"), std::string::npos) << o.text;
  EXPECT_NE(command("readelf -d " LOSSC_SHARED_LIBRARY).text.find("[liblossc.so.1]"), std::string::npos);
}

TEST(Symbols, StaticLibraryHasOneName) {
  for (const auto& [name, type] : symbols("nm -g --defined-only " LOSSC_STATIC_LIBRARY)) {
    EXPECT_EQ(name.rfind("lossc_", 0), 0u) << name << ' ' << type;
  }
}

// A C program that asks for a plan of one loss without tensors: what it prints, and the symbols in it.
struct OneLoss {
  std::string text;
  std::map<std::string, char> linked;
};
OneLoss one_loss(const std::string& loss, const std::string& mode, bool names_products) {
  const lossc::tests::Folder folder("abi");
  const std::string source = folder.path / "one.c", program = folder.path / "one";
  std::ofstream out(source);
  out << "#include <lossc/lossc.h>\n#include <stdio.h>\nLOSSC_DECLARE(" << loss << ");\n";
  if (names_products) out << "LOSSC_DECLARE_HVP(" << loss << ");\nconst lossc_loss *products = &lossc_hvp_" << loss << ";\n";
  out << "int main(void) {\n"
         "  lossc_plan_desc desc = {0};\n  lossc_plan *plan;\n  lossc_error err;\n  desc.struct_size = sizeof desc;\n"
         "  desc.mode = " << mode << ";\n  desc.device.device_type = kDLCPU;\n"
         "  printf(\"%d \", lossc_plan_create(&lossc_loss_" << loss << ", &desc, &plan, &err));\n  puts(err.text);\n"
         "  return puts(lossc_loss_name(&lossc_loss_" << loss << ")) < 0;\n}\n";
  out.close();
  const Output built = command("cc -std=c99 -Wall -Werror " + source + " -I" + include_dir() +
                               " " LOSSC_STATIC_LIBRARY " -o " + program + " -lm -lpthread");
  EXPECT_EQ(built.code, 0) << built.text;
  return {command(program).text, symbols("nm " + program)};
}

// It links with the C compiler alone, and has that loss alone.
TEST(Symbols, CProgramLinksOneLoss) {
#ifdef CAPI_SANITIZED
  GTEST_SKIP() << "the library wants the sanitizer's runtime";
#endif
  const std::string loss = lossc_loss_name(lossc_loss_at(0));
  const OneLoss p = one_loss(loss, "0", false);
  EXPECT_EQ(p.text.rfind("1 mode is 0", 0), 0u) << p.text;
  EXPECT_NE(p.text.find("\n" + loss + "\n"), std::string::npos) << p.text;
  EXPECT_TRUE(p.linked.count("lossc_loss_" + loss));
  for (size_t i = 1; i < lossc_loss_count(); ++i)
    EXPECT_FALSE(p.linked.count(std::string("lossc_loss_") + lossc_loss_name(lossc_loss_at(i))));
}

// Hessian products are there for who names them, and only then.
TEST(Symbols, CProgramLinksHessianProductsThatItNames) {
#ifdef CAPI_SANITIZED
  GTEST_SKIP() << "the library wants the sanitizer's runtime";
#endif
  const std::string loss = lossc_loss_name(lossc_loss_at(0));
  if (!lossc_loss_hvp(lossc_loss_at(0))) GTEST_SKIP() << loss << " has none in this library";
  const auto kernels = [](const OneLoss& p) {
    return std::count_if(p.linked.begin(), p.linked.end(), [](auto& s) { return s.first.rfind("lossc_internal_k_", 0) == 0; });
  };
  const OneLoss without = one_loss(loss, "LOSSC_HVP", false), with = one_loss(loss, "LOSSC_HVP", true);
  EXPECT_EQ(without.text.rfind("2 the Hessian products of " + loss + " are not linked", 0), 0u) << without.text;
  EXPECT_FALSE(without.linked.count("lossc_hvp_" + loss));
  EXPECT_EQ(with.text.rfind("1 inputs: 0 given", 0), 0u) << with.text;
  EXPECT_TRUE(with.linked.count("lossc_hvp_" + loss));
  EXPECT_GT(kernels(with), kernels(without));
}

// Two copies of the shared library, and the static one that this program is linked with: each has its own state.
TEST(Symbols, CopiesShareNoState) {
  const lossc::tests::Folder folder("abi");
  struct Copy {
    void* handle;
    void (*set)(int32_t);
    int32_t (*get)();
    size_t (*count)();
  };
  std::vector<Copy> copies;
  for (const char* name : {"first.so", "second.so"}) {
    const fs::path path = folder.path / name;
    fs::copy_file(LOSSC_SHARED_LIBRARY, path);
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(handle, nullptr) << dlerror();
    copies.push_back({handle, reinterpret_cast<void (*)(int32_t)>(dlsym(handle, "lossc_set_num_threads")),
                      reinterpret_cast<int32_t (*)()>(dlsym(handle, "lossc_get_num_threads")),
                      reinterpret_cast<size_t (*)()>(dlsym(handle, "lossc_loss_count"))});
  }
  lossc_set_num_threads(2);
  copies[0].set(3);
  copies[1].set(4);
  EXPECT_EQ(lossc_get_num_threads(), 2);
  EXPECT_EQ(copies[0].get(), 3);
  EXPECT_EQ(copies[1].get(), 4);
  EXPECT_EQ(copies[0].count(), lossc_loss_count());
  for (const Copy& c : copies) EXPECT_EQ(dlclose(c.handle), 0);
  lossc_set_num_threads(0);
}

// A library whose threads run its code can be unloaded.
TEST(Symbols, LibraryUnloadsWithItsThreads) {
  const lossc::tests::Folder folder("abi");
  const fs::path path = folder.path / "third.so";
  fs::copy_file(LOSSC_SHARED_LIBRARY, path);
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(handle, nullptr) << dlerror();
  const auto create = reinterpret_cast<decltype(&lossc_plan_create)>(dlsym(handle, "lossc_plan_create"));
  const auto destroy = reinterpret_cast<decltype(&lossc_plan_destroy)>(dlsym(handle, "lossc_plan_destroy"));
  reinterpret_cast<decltype(&lossc_set_num_threads)>(dlsym(handle, "lossc_set_num_threads"))(4);
  const void* huber = dlsym(handle, "lossc_loss_huber");
  if (huber == nullptr) GTEST_SKIP() << "no huber in this library";
  std::vector<float> x(1 << 20);
  const capi::Tensor t = capi::tensor(x, {1 << 20});
  const capi::Problem p{.loss = static_cast<const lossc_loss*>(huber), .inputs = {t.get(), t.get()}};
  const lossc_plan_desc d = p.desc();
  lossc_plan* plan = nullptr;
  lossc_error err{};
  ASSERT_EQ(create(p.loss, &d, &plan, &err), LOSSC_OK) << err.text;
  destroy(plan);
  EXPECT_EQ(dlclose(handle), 0);
  usleep(1000);
}

}  // namespace
