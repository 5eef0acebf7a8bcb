// What a loss wants of its extents is seen to when the plan is made. (nt_xent wants an even N, but for given positives;
// adaptive_log_softmax an output of the head for each cluster, which it would else look up before the first; ms_ssim an image
// that holds a window at the last scale, without which it has no luminance.)
#include <map>

#include "capi_util.h"

namespace {

using namespace capi;

// Plans the loss with the inputs given, the others absent, in the form that the options say.
Result planned(const lossc_loss* loss, const std::map<std::string, const Tensor*>& given, std::vector<int32_t> options) {
  Problem p{.loss = loss};
  for (size_t k = 0; k < lossc_loss_arg_count(loss); k++) {
    const lossc_arg* a = lossc_loss_arg(loss, k);
    const auto it = given.find(a->name);
    if (a->role == LOSSC_INPUT) p.inputs.push_back(it == given.end() ? nullptr : it->second->get());
  }
  p.options = std::move(options);
  Result result;
  p.plan(&result);
  return result;
}

Result plan_of(const lossc_loss* loss, int64_t rows, bool index) {
  const std::vector<float> z = numbers<float>(static_cast<size_t>(rows * 3));
  const std::vector<int32_t> positive(static_cast<size_t>(rows), 0);
  const Tensor zt = tensor(z, {rows, 3}), pt = tensor(positive, {rows});
  std::map<std::string, const Tensor*> given{{"embedding", &zt}};
  if (index) given["positive"] = &pt;
  return planned(loss, given, {index});
}

TEST(Requirements, AreSeenToByThePlan) {
  const lossc_loss* loss = lossc_loss_find("nt_xent");
  if (loss == nullptr) GTEST_SKIP() << "no nt_xent in this library";
  EXPECT_FAILS(plan_of(loss, 5, false), LOSSC_E_ARGUMENT, "nt_xent: wants an even N: ");
  EXPECT_FAILS(plan_of(loss, 5, false), LOSSC_E_ARGUMENT, "; N is 5");
  ASSERT_RUNS(plan_of(loss, 6, false));
  ASSERT_RUNS(plan_of(loss, 0, false));
  ASSERT_RUNS(plan_of(loss, 5, true));
}

Result clusters_of(const lossc_loss* loss, int64_t outputs, int clusters) {
  const std::vector<float> x = numbers<float>(static_cast<size_t>(15 + outputs * 3));
  const std::vector<int32_t> target(5, 0);
  const Tensor embedding = tensor(x, {5, 3}), head = tensor(x, {outputs, 3}), y = tensor(target, {5});
  const Tensor down = tensor(x, {2, 3}), up = tensor(x, {4, 2});
  std::map<std::string, const Tensor*> given{{"embedding", &embedding}, {"head_weight", &head}, {"target", &y}};
  for (int k = 1; k <= clusters; k++) {
    given["tail_projection_" + std::to_string(k)] = &down;
    given["tail_weight_" + std::to_string(k)] = &up;
  }
  return planned(loss, given, {clusters - 1});
}

TEST(Requirements, EveryClusterHasAnOutputOfTheHead) {
  const lossc_loss* loss = lossc_loss_find("adaptive_log_softmax");
  if (loss == nullptr) GTEST_SKIP() << "no adaptive_log_softmax in this library";
  EXPECT_FAILS(clusters_of(loss, 2, 3), LOSSC_E_ARGUMENT, "wants an output of the head for each cluster");
  ASSERT_RUNS(clusters_of(loss, 3, 3));
  ASSERT_RUNS(clusters_of(loss, 2, 1));
}

Result image_of(const lossc_loss* loss, int64_t height, int64_t width, int window, int less_scales) {
  const std::vector<float> x = numbers<float>(static_cast<size_t>(height * width));
  const Tensor image = tensor(x, {1, height, width});
  return planned(loss, {{"input", &image}, {"target", &image}}, {window, less_scales});
}

TEST(Requirements, AnImageHoldsAWindowAtTheLastScale) {
  const lossc_loss* loss = lossc_loss_find("ms_ssim");
  if (loss == nullptr) GTEST_SKIP() << "no ms_ssim in this library";
  EXPECT_FAILS(image_of(loss, 64, 200, 11, 0), LOSSC_E_ARGUMENT, "wants an image that holds a window at the last scale");
  EXPECT_FAILS(image_of(loss, 200, 64, 11, 0), LOSSC_E_ARGUMENT, "window is 11, H/16 is 12, W/16 is 4");
  EXPECT_FAILS(image_of(loss, 64, 64, 0, 0), LOSSC_E_ARGUMENT, "window is 0");
  ASSERT_RUNS(image_of(loss, 176, 180, 11, 0));
  ASSERT_RUNS(image_of(loss, 64, 64, 11, 2));
  ASSERT_RUNS(image_of(loss, 16, 17, 1, 0));
}

}  // namespace
