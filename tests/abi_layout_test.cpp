// Sizes, offsets and values of the public header are those of the first release of this ABI (runtime/abi/v1.layout).
#include "abi_util.h"
#include "lossc/lossc.h"

namespace {

using namespace abi_tests;

struct Member {
  const char* name;
  size_t offset, size;
};
#define MEMBER(type, name) \
  { #name, offsetof(type, name), sizeof(static_cast <type*>(nullptr)->name) }

void add(std::vector<std::string>* out, const std::string& type, size_t size, const std::vector<Member>& members) {
  size_t sum = 0;
  for (const Member& m : members) {
    out->push_back(type + "." + m.name + " " + std::to_string(m.offset) + " " + std::to_string(m.size));
    sum += m.size;
  }
  EXPECT_EQ(sum, size) << type << " has members that this test does not know, or padding";
}

std::vector<std::string> layout() {
  std::vector<std::string> out;
  add(&out, "lossc_error", sizeof(lossc_error), {MEMBER(lossc_error, text)});
  add(&out, "lossc_doc", sizeof(lossc_doc),
      {MEMBER(lossc_doc, name), MEMBER(lossc_doc, family), MEMBER(lossc_doc, title), MEMBER(lossc_doc, paper),
       MEMBER(lossc_doc, equation), MEMBER(lossc_doc, edges)});
  add(&out, "lossc_arg", sizeof(lossc_arg),
      {MEMBER(lossc_arg, name), MEMBER(lossc_arg, shape), MEMBER(lossc_arg, dtypes), MEMBER(lossc_arg, doc),
       MEMBER(lossc_arg, role), MEMBER(lossc_arg, differentiable), MEMBER(lossc_arg, optional),
       MEMBER(lossc_arg, integer), MEMBER(lossc_arg, fallback), MEMBER(lossc_arg, low), MEMBER(lossc_arg, high),
       MEMBER(lossc_arg, low_open), MEMBER(lossc_arg, high_open)});
  add(&out, "lossc_axis", sizeof(lossc_axis),
      {MEMBER(lossc_axis, name), MEMBER(lossc_axis, doc), MEMBER(lossc_axis, optional), MEMBER(lossc_axis, flat)});
  add(&out, "lossc_option", sizeof(lossc_option),
      {MEMBER(lossc_option, name), MEMBER(lossc_option, doc), MEMBER(lossc_option, choices),
       MEMBER(lossc_option, n_choices), MEMBER(lossc_option, fallback), MEMBER(lossc_option, reserved)});
  using D = lossc_plan_desc;
  add(&out, "lossc_plan_desc", sizeof(D),
      {MEMBER(D, struct_size), MEMBER(D, device), MEMBER(D, mode), MEMBER(D, reduction), MEMBER(D, shard),
       MEMBER(D, flags), MEMBER(D, inputs), MEMBER(D, n_inputs), MEMBER(D, options), MEMBER(D, n_options),
       MEMBER(D, isa), MEMBER(D, threads), MEMBER(D, panel_rows), MEMBER(D, reserved)});
  using R = lossc_run_args;
  add(&out, "lossc_run_args", sizeof(R),
      {MEMBER(R, struct_size), MEMBER(R, inputs), MEMBER(R, n_inputs), MEMBER(R, params), MEMBER(R, n_params),
       MEMBER(R, outputs), MEMBER(R, n_outputs), MEMBER(R, workspace), MEMBER(R, workspace_size), MEMBER(R, saved),
       MEMBER(R, saved_size), MEMBER(R, stream), MEMBER(R, allreduce), MEMBER(R, user), MEMBER(R, row_weight),
       MEMBER(R, row_mask), MEMBER(R, grad_output), MEMBER(R, denominator)});
  const std::string text = header();
  const std::regex constant(R"((LOSSC_\w+) = (-?\d+))");
  for (std::sregex_iterator it(text.begin(), text.end(), constant), end; it != end; ++it) {
    out.push_back((*it)[1].str() + " " + (*it)[2].str());
  }
  out.push_back("LOSSC_ABI_VERSION " + std::to_string(LOSSC_ABI_VERSION));
  return out;
}

TEST(Layout, IsThatOfTheFirstRelease) {
  if (sizeof(void*) != 8) GTEST_SKIP() << "recorded for 64 bits";
  compare_with_record("v1.layout", layout());
}

}  // namespace
