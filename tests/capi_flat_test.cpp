// A flat axis stands for any number of dimensions: huber on tensors of every rank, dense or not, against its formula.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "capi_util.h"

namespace {

using namespace capi;

constexpr double kDelta = 0.5;

// Tensors of a shape, each with room around its elements.
struct Field {
  std::vector<int64_t> shape, strides;
  std::vector<float> memory;

  Field(std::vector<int64_t> extents, std::vector<int64_t> steps, uint32_t seed)
      : shape(std::move(extents)), strides(std::move(steps)) {
    int64_t last = 0;
    for (size_t d = 0; d < shape.size(); d++) last += (shape[d] - 1) * strides[d];
    memory = numbers<float>(static_cast<size_t>(std::max<int64_t>(last, 0) + 1), seed);
  }
  size_t count() const {
    return static_cast<size_t>(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
  }
  // Element k in the order of the indices.
  float& at(size_t k) {
    int64_t place = 0;
    for (size_t d = shape.size(); d-- > 0; k /= static_cast<size_t>(shape[d]))
      place += static_cast<int64_t>(k % static_cast<size_t>(shape[d])) * strides[d];
    return memory[static_cast<size_t>(place)];
  }
  Tensor tensor() { return Tensor::of(memory.data(), shape, strides); }
};

const lossc_loss* huber() { return lossc_loss_find("huber"); }

// Value per element, and gradient with respect to the input, of the sum.
double value_of(double r) { return std::abs(r) <= kDelta ? r * r / 2 : kDelta * (std::abs(r) - kDelta / 2); }
double slope_of(double r) { return std::clamp(r, -kDelta, kDelta); }

void expect_huber(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  SCOPED_TRACE(testing::PrintToString(shape) + " strides " + testing::PrintToString(strides));
  Field input(shape, strides, 1), target(shape, strides, 2), rows(shape, strides, 3), grad(shape, strides, 4);
  const Tensor x = input.tensor(), y = target.tensor(), loss = rows.tensor(), grad_x = grad.tensor();
  Problem p{.loss = huber(), .inputs = {x.get(), y.get()}, .outputs = {loss.get(), grad_x.get()}, .params = {kDelta}};
  p.reduction = LOSSC_REDUCE_NONE;
  ASSERT_RUNS(p.run());
  double sum = 0;
  for (size_t k = 0; k < input.count(); k++) {
    const double r = static_cast<double>(input.at(k)) - static_cast<double>(target.at(k));
    EXPECT_NEAR(rows.at(k), value_of(r), 1e-6) << k;
    EXPECT_NEAR(grad.at(k), slope_of(r), 1e-6) << k;
    sum += value_of(r);
  }
  float total = -1;
  const Tensor scalar = Tensor::of(&total, {});
  p.outputs = {scalar.get()};
  p.reduction = LOSSC_REDUCE_SUM;
  ASSERT_RUNS(p.run());
  EXPECT_NEAR(total, sum, 1e-5 * static_cast<double>(input.count() + 1));
}

class FlatAxis : public testing::Test {
 protected:
  void SetUp() override {
    if (huber() == nullptr) GTEST_SKIP() << "no huber in this library";
  }
};

TEST_F(FlatAxis, TakesEveryRank) {
  expect_huber({}, {});
  expect_huber({1}, {1});
  expect_huber({37}, {1});
  expect_huber({5, 7}, {7, 1});
  expect_huber({2, 3, 11}, {33, 11, 1});
  expect_huber({2, 1, 3, 1, 5}, {15, 15, 5, 5, 1});
  expect_huber({3, 0, 5}, {5, 5, 1});
}

// Wherever one stride walks all of the dimensions, whatever it is; extents of 1 may have any.
TEST_F(FlatAxis, TakesWhatOneStrideWalks) {
  expect_huber({2, 3, 4}, {24, 8, 2});
  expect_huber({2, 1, 4}, {12, 1000, 3});
  expect_huber({1, 1, 9}, {7, 5, 2});
}

TEST_F(FlatAxis, SaysWhichDimensionsNoStrideWalks) {
  Field input({2, 3, 4}, {1, 2, 6}, 1), target({2, 3, 4}, {12, 4, 1}, 2);
  const Tensor x = input.tensor(), y = target.tensor();
  const Problem p{.loss = huber(), .inputs = {x.get(), y.get()}, .params = {kDelta}};
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "input: dimensions N are laid out so that one stride cannot walk them");
}

TEST_F(FlatAxis, WantsOneShapeOfAllItsTensors) {
  Field input({2, 6}, {6, 1}, 1), target({3, 4}, {4, 1}, 2);
  const Tensor x = input.tensor(), y = target.tensor();
  const Problem p{.loss = huber(), .inputs = {x.get(), y.get()}, .params = {kDelta}};
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target [N...]: axis N is [3, 4], but input has [2, 6]");
}

TEST_F(FlatAxis, TakesRowWeightsOfItsShape) {
  Field input({2, 3, 2}, {6, 2, 1}, 1), target({2, 3, 2}, {6, 2, 1}, 2), weight({2, 3, 2}, {6, 2, 1}, 3);
  const Tensor x = input.tensor(), y = target.tensor(), w = weight.tensor();
  float total = -1;
  const Tensor scalar = Tensor::of(&total, {});
  Problem p{.loss = huber(), .inputs = {x.get(), y.get()}, .outputs = {scalar.get()}, .params = {kDelta}};
  p.row_weight = w.get();
  p.reduction = LOSSC_REDUCE_SUM;
  ASSERT_RUNS(p.run());
  double sum = 0;
  for (size_t k = 0; k < 12; k++) {
    const double r = static_cast<double>(input.at(k)) - static_cast<double>(target.at(k));
    sum += static_cast<double>(weight.at(k)) * value_of(r);
  }
  EXPECT_NEAR(total, sum, 1e-5);
}

}  // namespace
