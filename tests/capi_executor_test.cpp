// The executor against tables written by hand: panels, accumulators, contractions, modes, workers.
#include <cmath>

#include "capi_fake.h"
#include "capi_util.h"

namespace {

using namespace capi;

template <class T>
struct Squares {
  int n, d;
  std::vector<T> x, w, g;
  double a = 0.5;

  Squares(int rows, int columns)
      : n(rows), d(columns), x(numbers<T>(size_t(rows) * columns)), w(numbers<T>(rows, 7)), g(numbers<T>(rows, 9)) {
    for (T& v : w) v = std::abs(v) + T(0.1);
  }
  double row(int i) const {
    double sum = 0;
    for (int j = 0; j < d; ++j) sum += a * a * double(x[i * d + j]) * double(x[i * d + j]);
    return sum;
  }
  double weight(int i, bool weighted) const { return weighted ? w[i] : 1; }
  double weights(bool weighted) const {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += weight(i, weighted);
    return sum;
  }
};

template <class T>
double tolerance(double magnitude, int terms) {
  return 4 * std::numeric_limits<T>::epsilon() * magnitude * (terms + 8);
}

// Everything a run gives, against plain loops in double.
template <class T>
void check_squares(int n, int d, int threads, int flags, int panel_rows, bool weighted, bool upstream, int reduction) {
  SCOPED_TRACE(testing::Message() << "n=" << n << " d=" << d << " threads=" << threads << " flags=" << flags
                                  << " panel=" << panel_rows << " w=" << weighted << " g=" << upstream
                                  << " reduction=" << reduction);
  Squares<T> q(n, d);
  const Tensor x = tensor(q.x, {n, d}), w = tensor(q.w, {n}), g = tensor(q.g, {n});
  const bool none = reduction == LOSSC_REDUCE_NONE;
  std::vector<T> loss(none ? n : 1, -7), grad(q.x.size(), -7), top(d, -7);
  const Tensor loss_t = none ? tensor(loss, {n}) : tensor(loss, {}), grad_t = tensor(grad, {n, d}),
               top_t = tensor(top, {d});
  lossc_set_num_threads(threads);
  Problem p{.loss = fake::handle(fake::squares::loss),
            .inputs = {x.get()},
            .outputs = {loss_t.get(), grad_t.get(), top_t.get()},
            .params = {q.a}};
  p.reduction = reduction, p.flags = flags, p.panel_rows = panel_rows;
  if (weighted) p.row_weight = w.get();
  if (upstream) p.grad_output = g.get();
  ASSERT_RUNS(p.run());
  const double scale = reduction == LOSSC_REDUCE_MEAN && n > 0 ? 1 / q.weights(weighted) : 1;
  double total = 0;
  for (int i = 0; i < n; ++i) {
    const double want = q.weight(i, weighted) * q.row(i);
    total += want;
    if (none) {
      EXPECT_NEAR(loss[i], want, tolerance<T>(want, d)) << i;
    }
    for (int j = 0; j < d; ++j) {
      const double slope = 2 * q.a * q.a * q.x[i * d + j] * q.weight(i, weighted) * (upstream ? q.g[i] : 1) * scale;
      ASSERT_NEAR(grad[i * d + j], slope, tolerance<T>(std::abs(slope), 4)) << i << ' ' << j;
    }
  }
  if (!none) {
    EXPECT_NEAR(loss[0], total * scale, tolerance<T>(total * scale, n + d));
  }
  for (int j = 0; j < d; ++j) {
    T best = -std::numeric_limits<T>::infinity();
    for (int i = 0; i < n; ++i) best = std::max(best, q.x[i * d + j]);
    ASSERT_EQ(top[j], best) << j;
  }
}

TEST(Executor, SumsPanelsOfAnySize) {
  for (int n : {0, 1, 2, 7, 64, 65, 1000}) {
    for (int panel : {0, 1, 3, 100000}) {
      check_squares<float>(n, 5, 1, 0, panel, true, true, LOSSC_REDUCE_MEAN);
      check_squares<double>(n, 5, 1, 0, panel, false, false, LOSSC_REDUCE_NONE);
    }
  }
}

TEST(Executor, MergesThePartialsOfEveryWorker) {
  for (int threads : {1, 2, 3, 8}) {
    for (int flags : {0, int(LOSSC_PLAN_REPRODUCIBLE)}) {
      check_squares<float>(3000, 70, threads, flags, 0, true, true, LOSSC_REDUCE_MEAN);
      check_squares<double>(1001, 200, threads, flags, 0, true, false, LOSSC_REDUCE_SUM);
      check_squares<float>(3, 90000, threads, flags, 0, false, false, LOSSC_REDUCE_NONE);  // fewer rows than workers
    }
  }
}

TEST(Executor, EmptyAxesGiveZero) {
  check_squares<float>(0, 3, 2, 0, 0, false, false, LOSSC_REDUCE_MEAN);
  check_squares<float>(3, 0, 2, 0, 0, false, false, LOSSC_REDUCE_MEAN);
  check_squares<float>(0, 0, 2, 0, 0, false, false, LOSSC_REDUCE_NONE);
}

TEST(Executor, UsesTheDenominatorWhenGiven) {
  Squares<float> q(6, 2);
  const Tensor x = tensor(q.x, {6, 2});
  float mean = 0, given = 0;
  const Tensor mean_t = Tensor::of(&mean, {}), given_t = Tensor::of(&given, {1});
  Problem p{.loss = fake::handle(fake::squares::loss), .inputs = {x.get()}, .outputs = {mean_t.get()}};
  ASSERT_RUNS(p.run());
  p.outputs = {given_t.get()};
  p.denominator = 12;
  ASSERT_RUNS(p.run());
  EXPECT_NEAR(given, mean / 2, 1e-6f * mean);
}

TEST(Executor, TakesOneWeightAndOneGradientForAllRows) {
  Squares<float> q(9, 4);
  const Tensor x = tensor(q.x, {9, 4});
  const float two = 2, three = 3;
  std::vector<float> plain(36), scaled(36);
  const Tensor plain_t = tensor(plain, {9, 4}), scaled_t = tensor(scaled, {9, 4}), w = Tensor::of(&two, {}),
               g = Tensor::of(&three, {});
  Problem p{.loss = fake::handle(fake::squares::loss), .inputs = {x.get()}, .outputs = {nullptr, plain_t.get()}};
  p.reduction = LOSSC_REDUCE_SUM;
  ASSERT_RUNS(p.run());
  p.outputs = {nullptr, scaled_t.get()};
  p.row_weight = w.get(), p.grad_output = g.get();
  ASSERT_RUNS(p.run());
  for (int i = 0; i < 36; ++i) EXPECT_EQ(scaled[i], 6 * plain[i]);
}

TEST(Executor, SameBitsForAnyNumberOfThreadsWhenReproducible) {
  Squares<float> q(5000, 33);
  const Tensor x = tensor(q.x, {5000, 33});
  std::vector<float> losses;
  for (int threads : {1, 2, 3, 5, 16}) {
    lossc_set_num_threads(threads);
    float loss = 0;
    const Tensor loss_t = Tensor::of(&loss, {});
    Problem p{.loss = fake::handle(fake::squares::loss), .inputs = {x.get()}, .outputs = {loss_t.get()}};
    p.flags = LOSSC_PLAN_REPRODUCIBLE;
    ASSERT_RUNS(p.run());
    losses.push_back(loss);
  }
  for (float loss : losses) EXPECT_EQ(loss, losses[0]);
}

TEST(Executor, ForwardThenBackwardIsTheFusedRun) {
  Squares<double> q(40, 6);
  const Tensor x = tensor(q.x, {40, 6}), w = tensor(q.w, {40});
  std::vector<double> loss(2), grad(240), grad2(240);
  const Tensor loss_t = Tensor::of(&loss[0], {}), loss2_t = Tensor::of(&loss[1], {}), grad_t = tensor(grad, {40, 6}),
               grad2_t = tensor(grad2, {40, 6});
  Problem p{.loss = fake::handle(fake::squares::loss), .inputs = {x.get()}, .outputs = {loss_t.get(), grad_t.get()}};
  p.row_weight = w.get();
  ASSERT_RUNS(p.run());
  EXPECT_EQ(lossc_plan_saved_size(p.plan().get()), 0u);

  p.mode = LOSSC_FORWARD;
  p.outputs = {loss2_t.get()};
  const Plan forward = p.plan();
  ASSERT_EQ(lossc_plan_saved_size(forward.get()), 128u);  // header, sum of weights
  const Guarded saved(128);
  ASSERT_RUNS(p.run(forward.get()));  // without saving
  EXPECT_EQ(loss[1], loss[0]);
  p.saved = saved.data(), p.saved_size = 128;
  p.outputs = {};  // only what backward needs
  ASSERT_RUNS(p.run(forward.get()));

  p.mode = LOSSC_BACKWARD;
  p.outputs = {nullptr, grad2_t.get()};
  const Plan backward = p.plan();
  ASSERT_EQ(lossc_plan_saved_size(backward.get()), 128u);
  const std::string explained = lossc_plan_explain(backward.get());
  EXPECT_EQ(explained.find("weights += w"), std::string::npos) << explained;  // taken from saved
  ASSERT_RUNS(p.run(backward.get()));
  EXPECT_EQ(grad2, grad);

  memset(saved.data(), 0, 128);
  EXPECT_FAILS(p.run(backward.get()), LOSSC_E_ARGUMENT, "saved: not written by a forward run");
  p.saved_size = 127;
  EXPECT_FAILS(p.run(backward.get()), LOSSC_E_WORKSPACE, "saved_size is 127, want 128");
  p.saved = nullptr, p.saved_size = 128;
  EXPECT_FAILS(p.run(backward.get()), LOSSC_E_WORKSPACE, "saved is NULL");
}

TEST(Executor, ComputesOnlyWhatIsAskedFor) {
  Squares<float> q(10, 3);
  const Tensor x = tensor(q.x, {10, 3});
  std::vector<float> loss(1, -7), grad(30, -7);
  const Tensor loss_t = tensor(loss, {}), grad_t = tensor(grad, {10, 3});
  Problem p{
      .loss = fake::handle(fake::squares::loss), .inputs = {x.get()}, .outputs = {nullptr, grad_t.get(), nullptr}};
  const Plan plan = p.plan();
  ASSERT_RUNS(p.run(plan.get()));
  EXPECT_EQ(loss[0], -7);
  EXPECT_NE(grad[29], -7);
  std::fill(grad.begin(), grad.end(), -7.f);
  p.outputs = {loss_t.get()};
  ASSERT_RUNS(p.run(plan.get()));
  EXPECT_GT(loss[0], 0);
  EXPECT_EQ(grad, std::vector<float>(30, -7));
  p.mode = LOSSC_FORWARD;
  EXPECT_LT(lossc_plan_workspace_size(p.plan().get()), lossc_plan_workspace_size(plan.get()) + 1);
}

TEST(Executor, ReadsAndWritesAnyStrides) {
  const int n = 11, d = 4;
  Squares<float> q(n, d);
  std::vector<float> columns(n * d), grad(n * d), spread(n * d * 6, -7), want(n * d);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < d; ++j) columns[(d - 1 - j) * n + i] = q.x[i * d + j];  // transposed, columns backwards
  const Tensor dense = tensor(q.x, {n, d}), want_t = tensor(want, {n, d});
  Problem p{.loss = fake::handle(fake::squares::loss), .inputs = {dense.get()}, .outputs = {nullptr, want_t.get()}};
  ASSERT_RUNS(p.run());
  Tensor odd = Tensor::of(columns.data(), {n, d}, {{1, -n}});
  odd.raw().byte_offset = sizeof(float) * (d - 1) * n;
  const Tensor odd_out = Tensor::of(spread.data() + 3, {n, d}, {{2, 2 * n}});
  p.inputs = {odd.get()}, p.outputs = {nullptr, odd_out.get()};
  ASSERT_RUNS(p.run());
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < d; ++j) EXPECT_EQ(spread[3 + 2 * i + 2 * n * j], want[i * d + j]);
  EXPECT_EQ(spread[4], -7);
}

// ---- contractions -------------------------------------------------------------------------------------------------

void check_gram(int n, int m, int d, int threads, int flags, int panel_rows) {
  SCOPED_TRACE(testing::Message() << n << ' ' << m << ' ' << d << " threads=" << threads << " flags=" << flags
                                  << " panel=" << panel_rows);
  const auto x = numbers<float>(size_t(n) * d, 3), y = numbers<float>(size_t(m) * d, 4);
  std::vector<float> dx(x.size(), -7), dy(y.size(), -7);
  float loss = -7;
  const Tensor xt = tensor(x, {n, d}), yt = tensor(y, {m, d}), dxt = tensor(dx, {n, d}), dyt = tensor(dy, {m, d}),
               loss_t = Tensor::of(&loss, {});
  lossc_set_num_threads(threads);
  Problem p{.loss = fake::handle(fake::gram::loss),
            .inputs = {xt.get(), yt.get()},
            .outputs = {loss_t.get(), dxt.get(), dyt.get()}};
  p.reduction = LOSSC_REDUCE_SUM, p.flags = flags, p.panel_rows = panel_rows;
  ASSERT_RUNS(p.run());
  std::vector<double> s(size_t(n) * m);
  double total = 0;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) {
      for (int k = 0; k < d; ++k) s[i * m + j] += double(x[i * d + k]) * y[j * d + k];
      total += s[i * m + j] * s[i * m + j] / 2;
    }
  EXPECT_NEAR(loss, total, 1e-5 * total);
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < d; ++k) {
      double want = 0, size = 0;
      for (int j = 0; j < m; ++j) want += s[i * m + j] * y[j * d + k], size += std::abs(s[i * m + j] * y[j * d + k]);
      ASSERT_NEAR(dx[i * d + k], want, tolerance<float>(size, d)) << i << ' ' << k;
    }
  for (int j = 0; j < m; ++j)
    for (int k = 0; k < d; ++k) {
      double want = 0, size = 0;
      for (int i = 0; i < n; ++i) want += s[i * m + j] * x[i * d + k], size += std::abs(s[i * m + j] * x[i * d + k]);
      ASSERT_NEAR(dy[j * d + k], want, tolerance<float>(size, d)) << j << ' ' << k;
    }
}

TEST(Executor, ContractsInWholeRegisterTiles) {
  for (int n : {0, 1, 5, 6, 7, 40}) {
    for (int m : {1, 8, 9, 30}) {
      for (int panel : {0, 1, 7, 12}) check_gram(n, m, 10, 2, 0, panel);
    }
  }
}

TEST(Executor, ContractsInParallel) {
  for (int threads : {1, 2, 3, 8}) {
    for (int flags : {0, int(LOSSC_PLAN_REPRODUCIBLE)}) {
      check_gram(150, 70, 33, threads, flags, 0);
      check_gram(5, 400, 200, threads, flags, 0);  // fewer panels than workers: steps are split
    }
  }
}

TEST(Executor, SaysWhichStepFailed) {
  // Row granularity is checked by the fake kernel itself.
  lossc::rt::IsaInfo odd = fake::isas[0];
  odd.nn_rows[0] = 5;
  const lossc::rt::Build build = {lossc::rt::kRegistryVersion, &odd, 1};
  lossc::rt::Loss loss = fake::gram::loss;
  loss.build = &build;
  const auto x = numbers<float>(60);
  const Tensor t = tensor(x, {6, 10});
  float value;
  const Tensor value_t = Tensor::of(&value, {});
  Problem p{.loss = fake::handle(loss), .inputs = {t.get(), t.get()}, .outputs = {value_t.get()}};
  EXPECT_FAILS(p.run(), LOSSC_E_INTERNAL, "s = xp yt");
}

// ---- variants -------------------------------------------------------------------------------------------------------

// Whichever worker's rows have it: the maximum over all rows is NaN, and only in its column.
TEST(Executor, NanIsTheMaximumWhereverItIs) {
  constexpr int n = 3000, d = 70;
  for (const int row : {0, n / 2, n - 1}) {
    Squares<float> q(n, d);
    q.x[static_cast<size_t>(row) * d + 3] = std::numeric_limits<float>::quiet_NaN();
    const Tensor x = tensor(q.x, {n, d});
    std::vector<float> loss(1), grad(q.x.size()), top(d, -7);
    const Tensor loss_t = tensor(loss, {}), grad_t = tensor(grad, {n, d}), top_t = tensor(top, {d});
    lossc_set_num_threads(4);
    Problem p{.loss = fake::handle(fake::squares::loss),
              .inputs = {x.get()},
              .outputs = {loss_t.get(), grad_t.get(), top_t.get()},
              .params = {q.a}};
    ASSERT_RUNS(p.run());
    for (int j = 0; j < d; ++j) EXPECT_EQ(std::isnan(top[static_cast<size_t>(j)]), j == 3) << "row " << row << ", column " << j;
  }
}

TEST(Executor, PicksTheVariantByOptionInputAndZeroParam) {
  const auto logits = numbers<float>(12);
  const std::vector<int32_t> target = {2, 0, -100, 1};
  std::vector<uint8_t> keep = {1, 0, 1, 1};
  const Tensor logits_t = tensor(logits, {4, 3}), target_t = tensor(target, {4}), mask_t = tensor(keep, {4});
  float loss;
  const Tensor loss_t = Tensor::of(&loss, {});
  Problem p{.loss = fake::handle(fake::pick::loss),
            .inputs = {logits_t.get(), target_t.get(), nullptr},
            .outputs = {loss_t.get()}};
  const float plain = -logits[2] - logits[3] - logits[10];
  ASSERT_RUNS(p.run());
  EXPECT_FLOAT_EQ(loss, plain);
  p.options = {1};
  ASSERT_RUNS(p.run());
  EXPECT_FLOAT_EQ(loss, plain + 1.5f);
  p.params = {0, -100};
  ASSERT_RUNS(p.run());
  EXPECT_FLOAT_EQ(loss, plain);
  p.options = {0};
  p.inputs[2] = mask_t.get();
  ASSERT_RUNS(p.run());
  EXPECT_FLOAT_EQ(loss, -logits[2] - logits[10]);
  p.options = {1};
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "pick: not compiled for dtype f32, form shifted, mask given");
}

TEST(Executor, FlatAxesStandForAnyNumberOfDimensions) {
  const auto logits = numbers<float>(2 * 3 * 4 * 5);
  std::vector<int64_t> target(2 * 20);
  for (size_t i = 0; i < target.size(); ++i) target[i] = i % 3;
  std::vector<float> rows(40);
  const Tensor logits_t = tensor(logits, {2, 3, 4, 5}), target_t = tensor(target, {2, 4, 5}),
               rows_t = tensor(rows, {2, 4, 5});
  Problem p{.loss = fake::handle(fake::pick::loss),
            .inputs = {logits_t.get(), target_t.get(), nullptr},
            .outputs = {rows_t.get()}};
  p.reduction = LOSSC_REDUCE_NONE;
  ASSERT_RUNS(p.run());
  for (int n = 0; n < 2; ++n)
    for (int s = 0; s < 20; ++s) EXPECT_EQ(rows[n * 20 + s], -logits[(n * 3 + target[n * 20 + s]) * 20 + s]);
  const Tensor other = tensor(target, {2, 5, 4});
  p.inputs[1] = other.get();
  EXPECT_FAILS(p.run(), LOSSC_E_ARGUMENT, "target [N, S...]: axis S is [5, 4], but logits has [4, 5]");
  const Tensor turned = Tensor::of(target.data(), {2, 4, 5}, {{20, 1, 4}});
  p.inputs[1] = turned.get();
  EXPECT_FAILS(p.run(), LOSSC_E_UNSUPPORTED, "target: dimensions S are laid out");
}

}  // namespace
