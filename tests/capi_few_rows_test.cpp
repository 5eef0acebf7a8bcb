// Fewer rows than threads (one image, or a volume): steps are cut along pixels instead, sums into parts that are merged.
#include <cmath>

#include "capi_util.h"
#include "runtime/table.h"

namespace {

using namespace capi;

// A loss of logits (N, C, P) or (N, C) and of a class for each pixel, or of a value for each element.
struct Pixels : Problem {
  int64_t n, c, p;
  std::vector<float> x, dense, dx;
  std::vector<int32_t> labels;
  float value = 0;
  std::vector<Tensor> tensors;

  Pixels(const char* id, int64_t n, int64_t c, int64_t p)
      : n(n), c(c), p(p), x(numbers<float>(n * c * std::max<int64_t>(p, 1))), dense(numbers<float>(x.size(), 7)), dx(x.size()), labels(n * p) {
    loss = lossc_loss_find(id);
    for (size_t k = 0; k < labels.size(); ++k) labels[k] = static_cast<int32_t>((k * 2654435761u >> 7) % c);
    for (float& v : dense) v = std::fabs(v);
  }
  // Into `value` and dx.
  void run_with(int threads, int flags, int reduction) {
    this->threads = threads, this->flags = flags, this->reduction = reduction;
    const auto& t = *reinterpret_cast<const lossc::rt::Loss*>(loss);
    const std::vector<int64_t> all = p > 0 ? std::vector<int64_t>{n, c, p} : std::vector<int64_t>{n, c};
    tensors.clear(), tensors.reserve(8), inputs.clear(), params.clear();
    for (int i = 0; i < t.n_inputs; ++i) {
      const std::string name = t.inputs[i].name;
      if (name == "logits")
        tensors.push_back(tensor(x, all));
      else if (name == "target")
        tensors.push_back(p > 0 ? tensor(labels, {n, p}) : tensor(dense, all));
      inputs.push_back(name == "logits" || name == "target" ? tensors.back().get() : nullptr);
    }
    for (int i = 0; i < t.n_params; ++i) params.push_back(t.params[i].fallback);
    tensors.push_back(Tensor::of(&value, {}));
    outputs.assign(t.n_outputs - 1, nullptr);
    outputs[0] = tensors.back().get();
    tensors.push_back(tensor(dx, all));
    outputs[1] = tensors.back().get();
    std::fill(dx.begin(), dx.end(), -7.0f);
    ASSERT_RUNS(run());
  }
};

class FewRows : public testing::TestWithParam<const char*> {
 protected:
  void each(const std::function<void(Pixels&)>& check) {
    if (lossc_loss_find(GetParam()) == nullptr) GTEST_SKIP() << GetParam() << " is not in this library";
    const bool flat = std::string(GetParam()) == "focal_sigmoid";
    for (int64_t n : {1, 2, 3})
      for (int64_t size : {65536, 70001}) {  // whole chunks, and not
        Pixels p(GetParam(), n, flat ? 4 * size : 3, flat ? 0 : size);
        SCOPED_TRACE(testing::Message() << "rows " << n << ", " << size);
        check(p);
      }
  }
};

TEST_P(FewRows, GiveTheSameOnAnyNumberOfThreads) {
  each([](Pixels& p) {
    p.run_with(1, 0, LOSSC_REDUCE_SUM);
    const float value = p.value;
    const std::vector<float> dx = p.dx;
    float largest = 0;
    for (float v : dx) largest = std::max(largest, std::fabs(v));
    for (int threads : {2, 3, 16}) {
      p.run_with(threads, 0, LOSSC_REDUCE_SUM);
      EXPECT_NEAR(p.value, value, 2e-6f * std::fabs(value)) << threads;
      for (size_t k = 0; k < dx.size(); ++k) ASSERT_NEAR(p.dx[k], dx[k], 2e-6f * largest) << threads << " threads, element " << k;
    }
  });
}

TEST_P(FewRows, GiveTheSameBitsWhereThatIsAskedFor) {
  each([](Pixels& p) {
    p.run_with(1, LOSSC_PLAN_REPRODUCIBLE, LOSSC_REDUCE_MEAN);
    const float value = p.value;
    const std::vector<float> dx = p.dx;
    p.run_with(3, LOSSC_PLAN_REPRODUCIBLE, LOSSC_REDUCE_MEAN);
    EXPECT_EQ(p.value, value);
    EXPECT_TRUE(p.dx == dx);
  });
}

// In whichever part it is.
TEST_P(FewRows, KeepNan) {
  each([](Pixels& p) {
    for (size_t at : {size_t{5}, p.x.size() / 2 + 77, p.x.size() - 1}) {
      const float was = std::exchange(p.x[at], NAN);
      p.run_with(3, 0, LOSSC_REDUCE_SUM);
      EXPECT_TRUE(std::isnan(p.value)) << at;
      EXPECT_TRUE(std::isnan(p.dx[at])) << at;
      p.x[at] = was;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Losses, FewRows, testing::Values("dice", "cross_entropy", "focal_sigmoid"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
