// Every status is reachable, and its text names the argument, what was wanted and what came.
#include <cmath>
#include <limits>
#include <set>

#include "capi_fake.h"
#include "capi_util.h"

namespace {

using namespace capi;

// logits [4, 3], target [4]: a problem that runs, for tests to spoil.
struct Pick : Problem {
  std::vector<float> logits = numbers<float>(12), grad = std::vector<float>(12);
  std::vector<int32_t> labels = {2, 0, -100, 1};
  float value = 0;
  Tensor logits_t = tensor(logits, {4, 3}), labels_t = tensor(labels, {4}), grad_t = tensor(grad, {4, 3}),
         value_t = Tensor::of(&value, {});
  Pick() {
    loss = fake::handle(fake::pick::loss);
    inputs = {logits_t.get(), labels_t.get(), nullptr};
    outputs = {value_t.get(), grad_t.get()};
  }
  Pick(const Pick&) = delete;
};

lossc_status create(const lossc_loss* loss, const lossc_plan_desc& d, std::string* text = nullptr) {
  lossc_plan* plan = reinterpret_cast<lossc_plan*>(1);
  lossc_error err{};
  const lossc_status status = lossc_plan_create(loss, &d, &plan, &err);
  if (status != LOSSC_OK) {
    EXPECT_EQ(plan, nullptr);
  }
  lossc_plan_destroy(plan);
  if (text != nullptr) *text = err.text;
  return status;
}

TEST(Errors, StatusesHaveNames) {
  std::set<std::string> names;
  for (int s = -1; s <= 9; ++s) names.insert(lossc_status_name(s));
  EXPECT_EQ(names.size(), 10u);  // nine, and one for both unknown values
}

TEST(Errors, NullArguments) {
  const Pick p;
  lossc_plan_desc d = p.desc();
  lossc_plan* plan = nullptr;
  EXPECT_EQ(lossc_plan_create(p.loss, &d, nullptr, nullptr), LOSSC_E_ARGUMENT);
  EXPECT_EQ(lossc_plan_create(nullptr, &d, &plan, nullptr), LOSSC_E_ARGUMENT);
  EXPECT_EQ(lossc_plan_create(p.loss, nullptr, &plan, nullptr), LOSSC_E_ARGUMENT);
  EXPECT_EQ(lossc_run(nullptr, nullptr, nullptr), LOSSC_E_ARGUMENT);
  EXPECT_EQ(lossc_run(p.plan().get(), nullptr, nullptr), LOSSC_E_ARGUMENT);
  lossc_plan_destroy(nullptr);
  EXPECT_EQ(lossc_plan_workspace_size(nullptr), 0u);
  EXPECT_STREQ(lossc_plan_explain(nullptr), "");
}

TEST(Errors, NumbersOfTheDescription) {
  Pick p;
  p.mode = 0;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "mode is 0, want");
  p.mode = 5;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "mode is 5, want");
  p.mode = LOSSC_HVP;
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "Hessian products of pick are not linked");
  p.mode = 3, p.reduction = 3;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "reduction is 3, want");
  p.reduction = 1, p.flags = 8;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "flags is 8, want");
  p.flags = LOSSC_PLAN_EXACT;
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "LOSSC_PLAN_EXACT");
  p.flags = 0, p.threads = -1;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "threads is -1");
  p.threads = 0, p.options = {2};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "option form is 2, want 0 to 1");
  p.options = {0, 0};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "options: 2 given, pick has 1");
  p.options = {}, p.isa = LOSSC_ISA_AVX512;  // the fakes have one level
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "isa is 3");
  p.isa = 0, p.inputs.pop_back();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "inputs: 2 given, pick has 3");
  std::string text;
  lossc_plan_desc d = Pick().desc();
  d.shard = LOSSC_SHARD_ROWS;
  EXPECT_EQ(create(p.loss, d, &text), LOSSC_E_UNSUPPORTED);
  EXPECT_NE(text.find("shard is 1"), std::string::npos) << text;
  d.shard = 0, d.device.device_type = kDLCUDA;
  EXPECT_EQ(create(p.loss, d, &text), LOSSC_E_UNSUPPORTED);
  EXPECT_NE(text.find("device type is 2"), std::string::npos) << text;
}

TEST(Errors, StructsOfOtherVersions) {
  const Pick p;
  struct {
    lossc_plan_desc desc;
    unsigned char more[64];
  } longer{};
  longer.desc = p.desc();
  const auto with_size = [&](size_t size) {
    longer.desc.struct_size = size;
    return create(p.loss, longer.desc);
  };
  EXPECT_EQ(with_size(sizeof(lossc_plan_desc)), LOSSC_OK);
  EXPECT_EQ(with_size(offsetof(lossc_plan_desc, options)), LOSSC_OK);  // an older program
  EXPECT_EQ(with_size(sizeof longer), LOSSC_OK);                       // a newer one that uses nothing new
  EXPECT_EQ(with_size(0), LOSSC_E_ABI);
  EXPECT_EQ(with_size(8), LOSSC_E_ABI);
  EXPECT_EQ(with_size(4097), LOSSC_E_ABI);
  EXPECT_EQ(with_size(~size_t{0}), LOSSC_E_ABI);
  longer.more[40] = 1;
  EXPECT_EQ(with_size(sizeof longer), LOSSC_E_ABI);
  longer.desc.reserved = 1;
  EXPECT_EQ(with_size(sizeof(lossc_plan_desc)), LOSSC_E_ABI);
  // What an older struct does not have counts as zero, whatever follows it in memory.
  EXPECT_EQ(with_size(offsetof(lossc_plan_desc, reserved)), LOSSC_OK);

  const Plan plan = p.plan();
  struct {
    lossc_run_args args;
    unsigned char more[64];
  } run{};
  run.args = p.args();
  const Guarded workspace(lossc_plan_workspace_size(plan.get()));
  run.args.workspace = workspace.data(), run.args.workspace_size = lossc_plan_workspace_size(plan.get());
  for (const size_t size : {offsetof(lossc_run_args, row_weight), sizeof(lossc_run_args), sizeof run}) {
    run.args.struct_size = size;
    EXPECT_EQ(lossc_run(plan.get(), &run.args, nullptr), LOSSC_OK) << size;
  }
  run.more[0] = 1;
  EXPECT_EQ(lossc_run(plan.get(), &run.args, nullptr), LOSSC_E_ABI);
  run.args.struct_size = 16;
  EXPECT_EQ(lossc_run(plan.get(), &run.args, nullptr), LOSSC_E_ABI);
}

TEST(Errors, TablesOfAnotherVersion) {
  const Pick p;
  lossc::rt::Build build = fake::build;
  build.version++;
  lossc::rt::Loss loss = fake::pick::loss;
  loss.build = &build;
  EXPECT_EQ(create(fake::handle(loss), p.desc()), LOSSC_E_ABI);
  loss.build = nullptr;
  EXPECT_EQ(create(fake::handle(loss), p.desc()), LOSSC_E_ABI);
}

TEST(Errors, ShapesOfInputs) {
  Pick p;
  const Tensor rank = tensor(p.logits, {12});
  p.inputs[0] = rank.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "logits: shape is [12], want [N, C, S...]");
  const Tensor extra = tensor(p.logits, {4, 3, 1});  // a trailing dimension that the target lacks
  p.inputs[0] = extra.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target [N, S...]: axis S is [], but logits has [1]");
  p.inputs[0] = nullptr;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "logits: is NULL, want a tensor [N, C, S...]");
  p.inputs[0] = p.logits_t.get();
  const Tensor five = Tensor::of(p.logits.data(), {5, 3}, {{0, 1}});
  p.inputs[0] = five.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target [N, S...]: axis N is [4], but logits has [5]");
  Tensor bad = tensor(p.logits, {4, -3});
  p.inputs[0] = bad.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "logits: shape[1] is -3");
  Tensor deep = Tensor::of(p.logits.data(), std::vector<int64_t>(17, 1));
  p.inputs[0] = deep.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: ndim is 17");
  Tensor shapeless = tensor(p.logits, {4, 3});
  DLTensor raw = *shapeless.get();
  raw.shape = nullptr;
  p.inputs[0] = &raw;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "logits: shape is NULL with ndim 2");
}

TEST(Errors, TensorsTooLargeForAnExtent) {
  Pick p;
  const Tensor long_axis = Tensor::of(p.logits.data(), {1, int64_t{1} << 31}, {{0, 0}});
  p.inputs[0] = long_axis.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: axis C has 2147483648 elements");
  const Tensor long_stride = Tensor::of(p.logits.data(), {4, 3}, {{int64_t{1} << 31, 1}});
  p.inputs[0] = long_stride.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: stride 2147483648 of axis N");
  const Tensor overflow = Tensor::of(p.logits.data(), {int64_t{1} << 40, int64_t{1} << 40}, {{0, 0}});
  p.inputs[0] = overflow.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: its elements do not fit 63 bits");
}

TEST(Errors, DtypesOfInputs) {
  Pick p;
  std::vector<double> doubles(12);
  std::vector<int16_t> shorts(4);
  std::vector<uint16_t> halves(12);
  const Tensor d = tensor(doubles, {4, 3}), s = tensor(shorts, {4}), f = tensor(p.logits, {4});
  p.inputs[0] = d.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "pick: not compiled for dtype f64");
  Tensor half = tensor(halves, {4, 3});
  half.raw().dtype = {kDLFloat, 8, 1};
  p.inputs[0] = half.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: dtype is f8, want f16, bf16, f32 or f64");
  half.raw().dtype = {kDLBfloat, 8, 1};
  half.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: dtype is bf8, want f16, bf16, f32 or f64");
  half.raw().dtype = {kDLFloat, 32, 4};
  half.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: dtype is f32x4, want f16, bf16, f32 or f64");
  p.inputs[0] = p.logits_t.get();
  p.inputs[1] = s.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target: dtype is i16, want i32 or i64");
  p.inputs[1] = f.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target: dtype is f32, want i32 or i64");
  p.inputs[1] = p.labels_t.get();
  p.inputs[2] = f.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "mask: dtype is f32, want bool or u8");
  Tensor gpu = tensor(p.logits, {4, 3});
  gpu.raw().device = {kDLCUDA, 0};
  p.inputs = {gpu.get(), p.labels_t.get(), nullptr};
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "logits: device type is 2");
}

TEST(Errors, RunsOnOtherTensorsThanThePlan) {
  Pick p;
  const Plan plan = p.plan();
  const Tensor other = tensor(p.logits, {3, 4}), f = tensor(p.logits, {4});
  std::vector<int64_t> wide = {1, 1, 1, 1};
  const Tensor wide_t = tensor(wide, {4});
  std::vector<uint8_t> keep(4, 1);
  const Tensor keep_t = tensor(keep, {4});
  p.inputs[0] = other.get();
  EXPECT_FAILS(p.run(plan.get()), LOSSC_E_ARGUMENT, "logits [N, C, S...]: axis N is [3], but logits has [4]");
  p.inputs[0] = nullptr;
  EXPECT_FAILS(p.run(plan.get()), LOSSC_E_ARGUMENT, "logits: NULL here, but the plan was made with it");
  p.inputs[0] = p.logits_t.get();
  p.inputs[1] = wide_t.get();
  EXPECT_FAILS(p.run(plan.get()), LOSSC_E_ARGUMENT, "target: dtype is i64, but the plan was made for i32");
  p.inputs[1] = p.labels_t.get();
  p.inputs[2] = keep_t.get();
  EXPECT_FAILS(p.run(plan.get()), LOSSC_E_ARGUMENT, "mask: given here, but the plan was made without it");
  p.inputs[2] = nullptr;
  Tensor no_data = tensor(p.logits, {4, 3});
  no_data.raw().data = nullptr;
  p.inputs[0] = no_data.get();
  EXPECT_FAILS(p.run(plan.get()), LOSSC_E_ARGUMENT, "logits: data is NULL");
  EXPECT_NE(p.plan(), nullptr);  // fine for a plan
  Tensor misaligned = tensor(p.logits, {4, 3});
  misaligned.raw().byte_offset = 2;
  p.inputs[0] = misaligned.get();
  EXPECT_FAILS(p.run(plan.get()), LOSSC_E_ARGUMENT, "not aligned to its elements of 4 bytes");
}

TEST(Errors, Labels) {
  Pick p;
  p.labels[3] = 3;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target[3] is 3, want 0 to 2 or -100");
  p.labels[3] = -1;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target[3] is -1, want 0 to 2 or -100");
  p.params = {0.5, -1};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target[2] is -100, want 0 to 2 or -1");
  p.labels[2] = -1;
  ASSERT_RUNS(p.run());
  // i64, two dimensions, values that only look right in their low half
  std::vector<int64_t> wide = {0, 1, 2, 0, 1, int64_t{1} << 32, 0, 0};
  std::vector<float> logits(4 * 3 * 2);
  const Tensor wide_t = tensor(wide, {4, 2}), logits_t = tensor(logits, {4, 3, 2});
  p.inputs = {logits_t.get(), wide_t.get(), nullptr}, p.outputs = {p.value_t.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target[2, 1] is 4294967296, want 0 to 2 or -1");
  wide[5] = -1;
  ASSERT_RUNS(p.run());
}

TEST(Errors, LabelsThatDecrease) {
  lossc::rt::Loss loss = fake::pick::loss;
  std::vector<lossc::rt::Argument> inputs(loss.inputs, loss.inputs + loss.n_inputs);
  inputs[1].ascending = true;
  loss.inputs = inputs.data();
  Pick p;
  p.loss = fake::handle(loss);
  ASSERT_RUNS(p.run());  // each row of the last dimension by itself; here it has one element
  const Tensor row = tensor(p.labels, {1, 4}), of_row = tensor(p.logits, {1, 3, 4});
  p.inputs = {of_row.get(), row.get(), nullptr}, p.outputs = {p.value_t.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target[0, 1] is 0 after 2, want values that do not decrease");
  p.labels = {-100, 0, 0, 2};
  ASSERT_RUNS(p.run());
  p.labels[0] = 3;  // what is out of range is told first
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target[0, 0] is 3, want 0 to 2 or -100");
  // i64, with strides
  std::vector<int64_t> wide = {1, 9, 2, 9, 0, 9, 1, 9, 2, 9, 2, 9, 1, 9, 0, 9};
  std::vector<float> logits(4 * 3 * 2);
  const Tensor wide_t = Tensor::of(wide.data(), {4, 2}, {{4, 2}}), logits_t = tensor(logits, {4, 3, 2});
  p.inputs = {logits_t.get(), wide_t.get(), nullptr};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target[3, 1] is 0 after 1, want values that do not decrease");
  wide[14] = 1;
  ASSERT_RUNS(p.run());
}

TEST(Errors, Params) {
  Pick p;
  p.params = {0.5};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "params: 1 given, pick has 2");
  p.params = {0.5, 1.5};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "ignore_index: is 1.5, want a whole number");
  p.params = {0.5, 3e9};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "ignore_index: is 3e+09");
  p.params = {std::nan(""), -100};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "bias: is nan");
  p.params = {};
  for (const double bad : {-1.0, std::nan("")}) {
    p.denominator = bad;
    EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "denominator: is");
  }
  std::vector<float> x(6);
  const Tensor x_t = tensor(x, {2, 3});
  Problem s{
      .loss = fake::handle(fake::squares::loss), .inputs = {x_t.get()}, .outputs = {p.value_t.get()}, .params = {0}};
  EXPECT_FAILS(s.run(), LOSSC_E_ARGUMENT, "a: is 0, want a number in (0, 100]");
  s.params = {101};
  EXPECT_FAILS(s.run(), LOSSC_E_ARGUMENT, "a: is 101");
}

TEST(Errors, Outputs) {
  Pick p;
  const Tensor wrong = tensor(p.grad, {3, 4}), row = tensor(p.grad, {4});
  std::vector<double> doubles(12);
  const Tensor d = tensor(doubles, {4, 3});
  p.outputs = {p.value_t.get(), wrong.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_logits [N, C, S...]: axis N is [3], but logits has [4]");
  p.outputs = {p.value_t.get(), d.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_logits: dtype is f64, but the other tensors are f32");
  p.outputs = {row.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "loss: shape is [4], want []");
  p.outputs = {p.value_t.get(), nullptr, nullptr};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "outputs: 3 given, pick has 2");
  p.outputs = {p.value_t.get(), p.grad_t.get()};
  p.mode = LOSSC_FORWARD;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_logits: asked for, but the plan's mode (1) does not compute it");
  p.mode = LOSSC_BACKWARD;
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "loss: asked for, but the plan's mode (2) does not compute it");
  p.mode = 3;
  const Tensor heap = Tensor::of(p.grad.data(), {4, 3}, {{0, 1}}), window = Tensor::of(p.grad.data(), {4, 3}, {{2, 1}});
  for (const Tensor* t : {&heap, &window}) {
    p.outputs = {nullptr, t->get()};
    EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_logits: its strides put several elements into one place");
  }
}

TEST(Errors, Overlap) {
  Pick p;
  const Tensor in_place = tensor(p.logits, {4, 3}), first = Tensor::of(&p.grad[3], {}),
               inside = Tensor::of(&p.logits[11], {});
  p.outputs = {nullptr, in_place.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_logits: shares memory with logits");
  p.outputs = {inside.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "loss: shares memory with logits");
  p.outputs = {first.get(), p.grad_t.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_logits: shares memory with loss");
  // Halves of one matrix interleave and do not overlap.
  std::vector<float> both(24);
  for (int i = 0; i < 24; ++i) both[i] = i % 6 < 3 ? 1.f : -7.f;
  const Tensor left = Tensor::of(both.data(), {4, 3}, {{6, 1}}), right = Tensor::of(both.data() + 3, {4, 3}, {{6, 1}}),
               shifted = Tensor::of(both.data() + 2, {4, 3}, {{6, 1}});
  p.inputs[0] = left.get(), p.outputs = {nullptr, right.get()};
  ASSERT_RUNS(p.run());
  for (int i = 0; i < 24; ++i) EXPECT_EQ(both[i], i % 6 < 3 ? 1 : i == 5 || i == 9 || i == 22 ? -1 : 0) << i;
  p.outputs = {nullptr, shifted.get()};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_logits: shares memory with logits");
  // Something in the workspace.
  p.inputs[0] = p.logits_t.get(), p.outputs = {nullptr, p.grad_t.get()};
  const Plan plan = p.plan();
  alignas(64) char memory[4096];
  ASSERT_LE(lossc_plan_workspace_size(plan.get()), sizeof memory);
  lossc_run_args a = p.args();
  const Tensor in_workspace = Tensor::of(reinterpret_cast<float*>(memory), {4, 3});
  const DLTensor* outputs[] = {nullptr, in_workspace.get()};
  a.outputs = outputs, a.workspace = memory, a.workspace_size = sizeof memory;
  lossc_error err{};
  if (lossc_plan_workspace_size(plan.get()) > 0) {
    EXPECT_EQ(lossc_run(plan.get(), &a, &err), LOSSC_E_ARGUMENT);
    EXPECT_STREQ(err.text, "grad_logits: shares memory with workspace");
  }
}

TEST(Errors, Workspace) {
  const Pick p;
  const Plan plan = p.plan();
  const size_t size = lossc_plan_workspace_size(plan.get());
  ASSERT_GT(size, 0u);
  alignas(64) char memory[4096];
  lossc_error err{};
  lossc_run_args a = p.args();
  a.workspace_size = size;
  EXPECT_EQ(lossc_run(plan.get(), &a, &err), LOSSC_E_WORKSPACE);
  EXPECT_EQ(std::string(err.text).find("workspace is NULL"), 0u) << err.text;
  a.workspace = memory, a.workspace_size = size - 1;
  EXPECT_EQ(lossc_run(plan.get(), &a, &err), LOSSC_E_WORKSPACE);
  EXPECT_EQ(err.text, "workspace_size is " + std::to_string(size - 1) + ", want " + std::to_string(size));
  a.workspace = memory + 32, a.workspace_size = size;
  EXPECT_EQ(lossc_run(plan.get(), &a, &err), LOSSC_E_WORKSPACE);
  a.workspace = memory;
  EXPECT_EQ(lossc_run(plan.get(), &a, &err), LOSSC_OK) << err.text;
  EXPECT_EQ(lossc_run_stage(plan.get(), 0, &a, nullptr, nullptr, &err), LOSSC_OK);
  EXPECT_EQ(lossc_run_stage(plan.get(), 1, &a, nullptr, nullptr, &err), LOSSC_E_ARGUMENT);
  EXPECT_EQ(lossc_plan_stage_count(plan.get()), 1u);
}

TEST(Errors, LongTextsAreCutOff) {
  Pick p;
  const std::string name(2000, 'x');
  lossc::rt::Loss loss = fake::pick::loss;
  loss.name = name.c_str();
  p.loss = fake::handle(loss);
  p.inputs.pop_back();
  Result result;
  p.plan(&result);
  EXPECT_EQ(result.status, LOSSC_E_ARGUMENT);
  EXPECT_EQ(result.text.size(), sizeof(lossc_error) - 1);
}

TEST(Errors, RowWeightsAndUpstreamGradients) {
  std::vector<float> x(6), w(3);
  std::vector<double> d(2);
  float value;
  const Tensor x_t = tensor(x, {2, 3}), w_t = tensor(w, {3}), d_t = tensor(d, {2}),
               value_t = Tensor::of(&value, {1, 1});
  Problem p{.loss = fake::handle(fake::squares::loss), .inputs = {x_t.get()}, .outputs = {value_t.get()}};
  ASSERT_RUNS(p.run());
  p.row_weight = w_t.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "row_weight [N]: axis N is [3], but x has [2]");
  p.row_weight = d_t.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "row_weight: dtype is f64, but the other tensors are f32");
  p.row_weight = nullptr, p.row_mask = w_t.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "row_mask: dtype is f32, want bool or u8");
  p.row_mask = nullptr, p.grad_output = x_t.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "grad_output: shape is [2, 3], want [N]");
}

TEST(Errors, DescribesItself) {
  const lossc_loss* loss = fake::handle(fake::pick::loss);
  EXPECT_EQ(lossc_abi_version(), LOSSC_ABI_VERSION);
  EXPECT_STREQ(lossc_loss_name(loss), "pick");
  EXPECT_STREQ(lossc_loss_doc(loss)->family, "fake");
  ASSERT_EQ(lossc_loss_arg_count(loss), 7u);
  const char* names[] = {"logits", "target", "mask", "bias", "ignore_index", "loss", "grad_logits"};
  for (size_t i = 0; i < 7; ++i) {
    const lossc_arg* a = lossc_loss_arg(loss, i);
    EXPECT_STREQ(a->name, names[i]);
    EXPECT_EQ(a->role, i < 3 ? LOSSC_INPUT : i < 5 ? LOSSC_PARAM : LOSSC_OUTPUT);
  }
  EXPECT_EQ(lossc_loss_arg(loss, 7), nullptr);
  EXPECT_STREQ(lossc_loss_arg(loss, 5)->shape, "[N, S...]");
  EXPECT_EQ(lossc_loss_arg(loss, 0)->differentiable, 1);
  EXPECT_EQ(lossc_loss_arg(loss, 2)->optional, 1);
  EXPECT_EQ(lossc_loss_arg(loss, 4)->fallback, -100);
  EXPECT_EQ(lossc_loss_arg(loss, 4)->integer, 1);
  ASSERT_EQ(lossc_loss_axis_count(loss), 3u);
  EXPECT_EQ(lossc_loss_axis(loss, 2)->flat, 1);
  EXPECT_EQ(lossc_loss_axis(loss, 3), nullptr);
  ASSERT_EQ(lossc_loss_option_count(loss), 1u);
  const lossc_option* option = lossc_loss_option(loss, 0);
  ASSERT_EQ(option->n_choices, 2u);
  EXPECT_STREQ(option->choices[1], "shifted");
}

}  // namespace
