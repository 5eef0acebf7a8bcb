// lossc.hpp: the same as lossc.h, with exceptions.
#include <gtest/gtest.h>

#include <array>

#include "capi_fake.h"
#include "lossc/lossc.hpp"

namespace {

namespace ll = lossc::api;

TEST(Wrapper, RunsALoss) {
  const std::vector<float> logits = {1, 2, 3, 4, 5, 6};
  const std::array<int64_t, 2> target = {2, 0};
  std::vector<float> grad(6);
  float loss = 0;
  ll::Call call(fake::handle(fake::pick::loss));
  call.inputs({ll::tensor(logits, {2, 3}), ll::tensor(target, {2}), nullptr});
  call.outputs({ll::scalar(loss), ll::tensor(grad, {2, 3})});
  const ll::Plan plan(call);
  plan.run(call);
  EXPECT_EQ(loss, -3 - 4);
  EXPECT_EQ(grad, (std::vector<float>{0, 0, -1, -1, 0, 0}));
  EXPECT_FALSE(plan.explain().empty());
  EXPECT_NE(plan.digest(), 0u);

  const ll::Workspace workspace(plan.workspace_size());  // kept
  call.outputs({ll::scalar(loss)}).params({0.5, 0});
  plan.run(call, workspace);
  EXPECT_EQ(loss, -3);
  call.options({1});
  const ll::Plan shifted(call);
  shifted.run(call);
  EXPECT_EQ(loss, -2.5f);
}

TEST(Wrapper, TakesSixteenBits) {
  const std::vector<ll::bf16> logits = {{0x3f80}, {0x4000}, {0x4040}, {0x4080}, {0x40a0}, {0x40c0}};  // 1 ... 6
  const std::array<int64_t, 2> target = {2, 0};
  std::vector<ll::bf16> grad(6);
  float loss = 0;
  ll::Call call(fake::handle(fake::pick::loss));
  call.inputs({ll::tensor(logits, {2, 3}), ll::tensor(target, {2}), nullptr});
  call.outputs({ll::scalar(loss), ll::tensor(grad, {2, 3})});
  ll::Plan(call).run(call);
  EXPECT_EQ(loss, -3 - 4);
  for (size_t k = 0; k < 6; ++k) EXPECT_EQ(grad[k].bits, k == 2 || k == 3 ? 0xbf80 : 0) << k;
  EXPECT_EQ(ll::dtype<ll::f16>().code, kDLFloat);
}

TEST(Wrapper, TakesWeightsAndStrides) {
  std::vector<double> x = {1, 2, 3, 4}, grad(4);
  const std::vector<double> weight = {1, 10};
  const std::vector<uint8_t> mask = {1, 1};
  double loss = 0;
  ll::Call call(fake::handle(fake::squares::loss));
  call.inputs({ll::Tensor(x.data(), {2, 2}, {1, 2})});  // transposed: rows 1 3, 2 4
  call.outputs({ll::scalar(loss), ll::tensor(grad, {2, 2})})
      .row_weight(ll::tensor(weight, {2}))
      .row_mask(ll::tensor(mask, {2}));
  call.desc.reduction = LOSSC_REDUCE_SUM;
  ll::Plan(call).run(call);
  EXPECT_EQ(loss, 1 + 9 + 10 * (4 + 16));
  EXPECT_EQ(grad, (std::vector<double>{2, 6, 40, 80}));
}

TEST(Wrapper, ThrowsWhatTheLibrarySays) {
  ll::Call call(fake::handle(fake::pick::loss));
  try {
    ll::Plan plan(call);
    FAIL();
  } catch (const ll::Error& e) {
    EXPECT_EQ(e.status(), LOSSC_E_ARGUMENT);
    EXPECT_STREQ(e.what(), "inputs: 0 given, pick has 3");
  }
}

}  // namespace
