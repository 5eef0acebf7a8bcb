// Tensors of another float type than kernels compute in, against tables written by hand: what they give, in how much
// memory, and which types may meet.
#include <cmath>

#include "capi_fake.h"
#include "capi_util.h"

namespace {

using namespace capi;

// Numbers that bf16 has, and their upper halves.
std::vector<float> coarse(size_t n, uint32_t seed) {
  std::vector<float> x = numbers<float>(n, seed);
  for (float& v : x) v = std::round(v * 32) / 32;
  return x;
}
uint16_t top(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
std::vector<uint16_t> bf16(const std::vector<float>& x) {
  std::vector<uint16_t> y;
  for (const float v : x) y.push_back(top(v));
  return y;
}
Tensor bf16_tensor(std::vector<uint16_t>& data, std::vector<int64_t> shape,
                   std::optional<std::vector<int64_t>> strides = std::nullopt) {
  Tensor t = Tensor::of(data.data(), std::move(shape), std::move(strides));
  t.raw().dtype = {kDLBfloat, 16, 1};
  return t;
}

// The same sum of squares in f32 and with everything in bf16.
struct Pair {
  int64_t n, d;
  std::vector<float> x, w, g, grad, column_max, loss;
  std::vector<uint16_t> x16, w16, g16, grad16, max16, loss16;
  Tensor xt, wt, gt, gradt, maxt, losst, xt16, wt16, gt16, gradt16, maxt16, losst16;
  Problem plain, narrow;

  Pair(int64_t rows, int64_t columns, int reduction)
      : n(rows), d(columns), x(coarse(size_t(n * d), 1)), w(coarse(size_t(n), 2)), g(coarse(size_t(n), 3)),
        grad(x.size()), column_max(size_t(d)), loss(reduction == LOSSC_REDUCE_NONE ? size_t(n) : 1), x16(bf16(x)),
        w16(bf16(w)), g16(bf16(g)), grad16(x.size()), max16(size_t(d)), loss16(loss.size()) {
    const std::vector<int64_t> scalar = reduction == LOSSC_REDUCE_NONE ? std::vector<int64_t>{n} : std::vector<int64_t>{};
    xt = tensor(x, {n, d}), wt = tensor(w, {n}), gt = tensor(g, {n});
    gradt = tensor(grad, {n, d}), maxt = tensor(column_max, {d}), losst = tensor(loss, scalar);
    xt16 = bf16_tensor(x16, {n, d}), wt16 = bf16_tensor(w16, {n}), gt16 = bf16_tensor(g16, {n});
    gradt16 = bf16_tensor(grad16, {n, d}), maxt16 = bf16_tensor(max16, {d}), losst16 = bf16_tensor(loss16, scalar);
    plain.loss = narrow.loss = fake::handle(fake::squares::loss);
    plain.inputs = {xt.get()}, plain.outputs = {losst.get(), gradt.get(), maxt.get()};
    plain.row_weight = wt.get(), plain.grad_output = gt.get();
    narrow.inputs = {xt16.get()}, narrow.outputs = {losst16.get(), gradt16.get(), maxt16.get()};
    narrow.row_weight = wt16.get(), narrow.grad_output = gt16.get();
    plain.reduction = narrow.reduction = reduction;
  }
  void set(int threads, int panel, int flags) {
    for (Problem* p : {&plain, &narrow}) p->threads = threads, p->panel_rows = panel, p->flags = flags;
  }
  void expect_rounded() {
    ASSERT_RUNS(plain.run());
    ASSERT_RUNS(narrow.run());
    EXPECT_EQ(loss16, bf16(loss));
    EXPECT_EQ(grad16, bf16(grad));
    EXPECT_EQ(max16, bf16(column_max));
  }
};

TEST(Border, GivesTheRoundedResults) {
  lossc_set_num_threads(4);
  for (int64_t n : {0, 1, 5, 64, 1000}) {
    for (int reduction : {LOSSC_REDUCE_NONE, LOSSC_REDUCE_SUM, LOSSC_REDUCE_MEAN}) {
      for (int panel : {1, 7, 4000}) {
        for (int threads : {1, 4}) {
          for (int flags : {0, int(LOSSC_PLAN_REPRODUCIBLE)}) {
            SCOPED_TRACE(testing::Message() << n << " rows, panels of " << panel << ", " << threads << " threads");
            Pair p(n, 40, reduction);
            p.set(threads, panel, flags);
            p.expect_rounded();
          }
        }
      }
    }
  }
  lossc_set_num_threads(0);
}

TEST(Border, SplitsWideRowsAmongWorkers) {
  lossc_set_num_threads(4);
  Pair p(3, 200000, LOSSC_REDUCE_MEAN);
  p.set(4, 1, LOSSC_PLAN_REPRODUCIBLE);
  p.expect_rounded();
  lossc_set_num_threads(0);
}

TEST(Border, TakesWeightsInF32AndGivesGradientsInF32) {
  Pair p(50, 9, LOSSC_REDUCE_SUM);
  p.set(1, 8, 0);
  p.narrow.row_weight = p.wt.get(), p.narrow.grad_output = p.gt.get();
  std::vector<float> grad(p.x.size());
  const Tensor gradt = tensor(grad, {50, 9});
  p.narrow.outputs[1] = gradt.get();
  ASSERT_RUNS(p.plain.run());
  ASSERT_RUNS(p.narrow.run());
  EXPECT_EQ(grad, p.grad);
  EXPECT_EQ(p.loss16, bf16(p.loss));
}

TEST(Border, TakesOneWeightForAllRows) {
  Pair p(20, 3, LOSSC_REDUCE_SUM);
  std::vector<float> two{2};
  std::vector<uint16_t> two16 = bf16(two);
  const Tensor t = tensor(two, {}), t16 = bf16_tensor(two16, {});
  p.plain.row_weight = t.get(), p.narrow.row_weight = t16.get();
  p.set(1, 8, 0);
  p.expect_rounded();
}

TEST(Border, AnythingNotAskedForIsLeftOut) {
  for (size_t left : {0u, 1u, 2u}) {
    Pair p(40, 5, LOSSC_REDUCE_MEAN);
    p.set(1, 8, 0);
    p.narrow.outputs[left] = nullptr;
    ASSERT_RUNS(p.plain.run());
    ASSERT_RUNS(p.narrow.run());
    EXPECT_EQ(p.loss16, left == 0 ? std::vector<uint16_t>(1) : bf16(p.loss));
    EXPECT_EQ(p.grad16, left == 1 ? std::vector<uint16_t>(p.grad.size()) : bf16(p.grad));
    EXPECT_EQ(p.max16, left == 2 ? std::vector<uint16_t>(5) : bf16(p.column_max));
  }
}

TEST(Border, ForwardAndBackwardApart) {
  Pair p(100, 6, LOSSC_REDUCE_MEAN);
  p.set(1, 16, 0);
  ASSERT_RUNS(p.plain.run());
  p.narrow.mode = LOSSC_FORWARD;
  const std::vector<const DLTensor*> outputs = p.narrow.outputs;
  p.narrow.outputs = {outputs[0], nullptr, outputs[2]};
  const Plan forward = p.narrow.plan();
  const Guarded saved(lossc_plan_saved_size(forward.get()));
  p.narrow.saved = saved.data(), p.narrow.saved_size = lossc_plan_saved_size(forward.get());
  ASSERT_RUNS(p.narrow.run(forward.get()));
  p.narrow.mode = LOSSC_BACKWARD;
  p.narrow.outputs = {nullptr, outputs[1]};
  ASSERT_RUNS(p.narrow.run());
  EXPECT_EQ(p.loss16, bf16(p.loss));
  EXPECT_EQ(p.grad16, bf16(p.grad));
}

// Rows of an image stored upside down, every other column.
TEST(Border, TakesStrides) {
  Pair p(30, 8, LOSSC_REDUCE_SUM);
  p.set(1, 7, 0);
  std::vector<uint16_t> wide(30 * 20), wide_grad(30 * 20, 0x5555);
  for (int i = 0; i < 30; ++i)
    for (int j = 0; j < 8; ++j) wide[size_t((29 - i) * 20 + 2 * j)] = p.x16[size_t(i * 8 + j)];
  Tensor x = bf16_tensor(wide, {30, 8}, {{-20, 2}}), grad = bf16_tensor(wide_grad, {30, 8}, {{-20, 2}});
  x.raw().byte_offset = grad.raw().byte_offset = 29 * 20 * 2;
  p.narrow.inputs = {x.get()}, p.narrow.outputs[1] = grad.get();
  ASSERT_RUNS(p.plain.run());
  ASSERT_RUNS(p.narrow.run());
  for (int i = 0; i < 30; ++i) {
    for (int j = 0; j < 20; ++j) {
      const uint16_t got = wide_grad[size_t((29 - i) * 20 + j)];
      ASSERT_EQ(got, j % 2 == 0 && j < 16 ? top(p.grad[size_t(i * 8 + j / 2)]) : 0x5555) << i << ' ' << j;
    }
  }
}

TEST(Border, NanAndInfinityComeThrough) {
  Pair p(6, 2, LOSSC_REDUCE_NONE);
  p.set(1, 2, 0);
  p.x[0] = NAN, p.x[2] = INFINITY, p.x[4] = -INFINITY, p.x[6] = 3e38f;
  p.x16 = bf16(p.x);
  p.x16[0] = 0x7fc0;
  p.xt16 = bf16_tensor(p.x16, {6, 2});
  p.narrow.inputs = {p.xt16.get()};
  ASSERT_RUNS(p.narrow.run());
  EXPECT_EQ(p.loss16[0] & 0x7fc0, 0x7fc0);
  EXPECT_EQ(p.grad16[0] & 0x7fc0, 0x7fc0);
  for (int row : {1, 2, 3}) EXPECT_EQ(p.loss16[size_t(row)] & 0x7fff, p.w[size_t(row)] == 0 ? 0x7fc0 : 0x7f80) << row;
}

// What crosses by panel costs panels, what is read anywhere a copy; a plan of one type pays nothing.
TEST(Border, MemoryIsThatOfPanels) {
  const auto size = [](const Problem& p) { return lossc_plan_workspace_size(p.plan().get()); };
  Pair p(20000, 64, LOSSC_REDUCE_MEAN);
  p.set(1, 0, 0);
  const size_t all_of_x = 20000 * 64 * 4;
  EXPECT_LT(size(p.plain), all_of_x / 4);
  EXPECT_LT(size(p.narrow), all_of_x / 4);
  EXPECT_GT(size(p.narrow), size(p.plain));
  std::vector<float> x(300 * 40), y(200 * 40);
  std::vector<uint16_t> y16(200 * 40);
  const Tensor xt = tensor(x, {300, 40}), yt = tensor(y, {200, 40}), yt16 = bf16_tensor(y16, {200, 40});
  Problem g{.loss = fake::handle(fake::gram::loss), .inputs = {xt.get(), yt.get()}};
  g.threads = 1, g.mode = LOSSC_FORWARD;
  const size_t plain = size(g);
  g.inputs[1] = yt16.get();
  EXPECT_GE(size(g), plain + y.size() * 4);
  EXPECT_LE(size(g), plain + y.size() * 4 + 300 * 4 + 1024);  // and the unreduced loss, which could be asked for
}

TEST(Border, ThePlanSaysWhatItConverts) {
  Pair p(100, 4, LOSSC_REDUCE_MEAN);
  const std::string text = lossc_plan_explain(p.narrow.plan().get());
  EXPECT_NE(text.find("inputs x bf16, computed in f32"), std::string::npos) << text;
  EXPECT_NE(text.find("converted in pieces: x, w, g, grad, max_out"), std::string::npos) << text;
  EXPECT_NE(text.find("converted whole: loss, rows"), std::string::npos) << text;
  EXPECT_EQ(std::string(lossc_plan_explain(p.plain.plan().get())).find("converted"), std::string::npos);
}

TEST(Border, LabelsAndMasksOfAnyType) {
  std::vector<float> logits = coarse(12, 5);
  std::vector<uint16_t> logits16 = bf16(logits), grad(12), loss(1);
  std::vector<int64_t> target = {2, 0, -100, 1};
  std::vector<uint8_t> mask = {1, 0, 1, 1};
  bool flags[] = {true, false, true, true};
  const Tensor x = bf16_tensor(logits16, {4, 3}), y = tensor(target, {4}), m = tensor(mask, {4}),
               b = Tensor::of(flags, {4}), gt = bf16_tensor(grad, {4, 3}), lt = bf16_tensor(loss, {});
  for (const Tensor* t : {&m, &b}) {
    Problem p{.loss = fake::handle(fake::pick::loss), .inputs = {x.get(), y.get(), t->get()}, .outputs = {lt.get(), gt.get()}};
    loss[0] = 0;
    ASSERT_RUNS(p.run());
    EXPECT_EQ(loss[0], top(-logits[2] - logits[10]));
    EXPECT_EQ(grad[2], top(-1));
  }
}

TEST(Border, SaysWhichTypesMayMeet) {
  Pair p(4, 2, LOSSC_REDUCE_SUM);
  const auto with = [](Tensor t, uint8_t code, uint8_t bits) { return t.raw().dtype = {code, bits, 1}, t; };
  const Tensor half = with(p.gradt16, kDLFloat, 16), weight = with(p.wt16, kDLFloat, 16);
  p.narrow.outputs[1] = half.get();
  EXPECT_FAILS(p.narrow.run(), LOSSC_E_ARGUMENT,
               "grad_x: dtype is f16, want bf16 or f32, as the inputs have or the plan computes in");
  p.narrow.outputs[1] = p.gradt16.get(), p.narrow.row_weight = weight.get();
  EXPECT_FAILS(p.narrow.run(), LOSSC_E_ARGUMENT, "row_weight: dtype is f16, want bf16 or f32");
  p.plain.outputs[1] = p.gradt16.get();
  EXPECT_FAILS(p.plain.run(), LOSSC_E_ARGUMENT, "grad_x: dtype is bf16, but the other tensors are f32");
  const Plan plan = p.narrow.plan();
  p.narrow.inputs = {p.xt.get()};
  EXPECT_FAILS(p.narrow.run(plan.get()), LOSSC_E_ARGUMENT, "x: dtype is f32, but the plan was made for bf16");
}

TEST(Border, ComputesInDoubleWhereAskedTo) {
  Pair p(70, 5, LOSSC_REDUCE_SUM);
  p.set(1, 16, LOSSC_PLAN_F64);
  ASSERT_RUNS(p.narrow.run());  // bf16 in and out, f64 between
  double total = 0;
  for (size_t i = 0; i < p.x.size(); ++i) total += double(p.w[i / 5]) * p.x[i] * p.x[i];
  EXPECT_EQ(p.loss16[0], top(static_cast<float>(total)));
  std::vector<double> loss(1);
  const Tensor in_double = tensor(loss, {});
  p.narrow.outputs[0] = in_double.get();
  ASSERT_RUNS(p.narrow.run());
  EXPECT_NEAR(loss[0], total, 1e-13 * std::abs(total) + 1e-13);
  p.narrow.outputs[0] = p.losst.get();
  EXPECT_FAILS(p.narrow.run(), LOSSC_E_ARGUMENT, "loss: dtype is f32, want bf16 or f64");
}

}  // namespace
