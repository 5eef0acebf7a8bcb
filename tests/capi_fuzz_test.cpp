// Arbitrary descriptions and arguments: a status each time, never a crash or a byte out of bounds (run it under
// AddressSanitizer, too). Deterministic; LOSSC_FUZZ_RUNS sets the number of runs.
#include <array>
#include <random>

#include "capi_fake.h"
#include "capi_util.h"

namespace {

using namespace capi;

// Mostly sensible values, so that much gets past the first check.
struct Dice {
  std::mt19937 engine;
  int below(int n) { return static_cast<int>(engine() % static_cast<unsigned>(n)); }
  bool once_in(int n) { return below(n) == 0; }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return *(values.begin() + below(static_cast<int>(values.size())));
  }
};

// Tensors over one piece of memory, large enough for whatever strides come up (elements within 4^4 * 6 of its middle).
struct FuzzTensor {
  std::array<int64_t, 5> shape{}, strides{};
  DLTensor t{};
};

struct Fuzz {
  Dice dice;
  std::vector<std::vector<double>> memory;  // one piece per tensor
  std::vector<std::unique_ptr<FuzzTensor>> tensors;
  int64_t axes[3];

  explicit Fuzz(uint32_t seed) : dice{std::mt19937(seed)} {
    for (int64_t& a : axes) a = dice.pick<int64_t>({1, 2, 3, 3, 5, 9, 0});
  }

  // Most tensors of a call are of one type, or hardly any call would be accepted.
  DLDataType any_real() {
    return dice.pick<DLDataType>(
        {{kDLFloat, 32, 1}, {kDLFloat, 32, 1}, {kDLFloat, 64, 1}, {kDLFloat, 16, 1}, {kDLBfloat, 16, 1}});
  }
  const DLDataType real = any_real();

  const DLTensor* make(const lossc::rt::Argument& a) {
    if (dice.once_in(a.optional ? 2 : 40)) return nullptr;
    tensors.push_back(std::make_unique<FuzzTensor>());
    FuzzTensor& f = *tensors.back();
    DLTensor& t = f.t;
    t.device = {dice.once_in(50) ? kDLCUDA : kDLCPU, 0};
    for (int d = 0; d < a.ndim; ++d)
      f.shape[t.ndim++] = dice.once_in(40) ? dice.pick<int64_t>({-1, 0, 4, int64_t{1} << 40}) : axes[a.dims[d]];
    if (dice.once_in(30)) t.ndim = dice.pick({0, 1, 2, 3, 4, 5, -1, 17});
    t.shape = dice.once_in(60) ? nullptr : f.shape.data();
    if (t.ndim > 5) t.shape = nullptr;
    int64_t size = 1;
    for (int d = 4; d >= 0; --d) {
      f.strides[d] = d < t.ndim ? size : 1;
      if (d < t.ndim && f.shape[d] > 0 && f.shape[d] < 10) size *= f.shape[d];
      if (dice.once_in(20)) f.strides[d] = dice.pick<int64_t>({0, 1, -1, 2, 7, -9, 100});
    }
    t.strides = dice.once_in(2) || t.ndim > 5 ? nullptr : f.strides.data();
    t.dtype = a.integer            ? DLDataType{kDLInt, dice.pick<uint8_t>({32, 64}), 1}
              : a.dtypes[0] == 'f' ? (dice.once_in(5) ? any_real() : real)
                                   : DLDataType{dice.pick<uint8_t>({kDLUInt, kDLBool}), 8, 1};
    if (dice.once_in(40))
      t.dtype = {static_cast<uint8_t>(dice.below(20)), static_cast<uint8_t>(dice.below(130)),
                 static_cast<uint16_t>(dice.below(3))};
    memory.emplace_back(20000);
    if (t.dtype.code == kDLInt && t.dtype.bits == 32) {
      auto* labels = reinterpret_cast<int32_t*>(memory.back().data());
      for (int i = 0; i < 40000; ++i)
        labels[i] = dice.once_in(300) ? dice.pick({-1, 99, -100, 1 << 30}) : dice.below(2) * (axes[1] > 1);
    } else if (t.dtype.code == kDLInt) {
      auto* labels = reinterpret_cast<int64_t*>(memory.back().data());
      for (int i = 0; i < 20000; ++i)
        labels[i] =
            dice.once_in(300) ? dice.pick({int64_t{-1}, int64_t{99}, int64_t{1} << 40}) : dice.below(2) * (axes[1] > 1);
    }
    t.data = dice.once_in(60) ? nullptr : memory.back().data() + 10000;
    t.byte_offset = dice.once_in(40) ? static_cast<uint64_t>(dice.below(64)) : 0;
    if (dice.once_in(60)) t.data = memory.front().data() + 10000;  // shares memory
    return &t;
  }

  // 1: ran, 0: was refused.
  int run(const lossc::rt::Loss& loss) {
    memory.reserve(64);
    Problem p{.loss = fake::handle(loss)};
    for (int i = 0; i < loss.n_inputs; ++i) p.inputs.push_back(make(loss.inputs[i]));
    if (dice.once_in(50)) p.inputs.pop_back();
    p.mode = dice.pick({1, 2, 3, 3, 3, dice.below(9)});
    p.reduction = dice.pick({0, 1, 2, 2, dice.below(9)});
    p.flags = dice.pick({0, 0, 2, 4, dice.below(9)});
    p.threads = dice.below(4), p.panel_rows = dice.pick({0, 1, 5, 1 << 30});
    if (dice.once_in(4)) p.options.assign(loss.n_options, dice.below(3) - dice.once_in(9));
    Result result;
    const Plan plan = p.plan(&result);
    check(result);
    EXPECT_EQ(plan == nullptr, result.status != LOSSC_OK);
    if (plan == nullptr) return 0;
    const int k = p.reduction == LOSSC_REDUCE_NONE ? 1 : 0;
    for (int i = 1; i < loss.n_outputs; ++i) {
      const bool gradient = i >= 2 && i < 4;
      const bool fits = p.mode & (gradient ? 2 : 1);
      p.outputs.push_back(dice.once_in(8) || !fits ? nullptr : make(i == 1 ? loss.outputs[k] : loss.outputs[i]));
    }
    if (dice.once_in(4)) p.params.assign(loss.n_params, dice.pick({0.0, 0.5, -100.0, 1e300, std::nan("")}));
    lossc::rt::Argument rows = loss.outputs[1];
    rows.optional = 1;
    if (dice.once_in(3)) p.row_weight = make(rows);
    if (dice.once_in(3)) p.grad_output = make(rows);
    rows.dtypes = "bool u8";
    if (dice.once_in(3)) p.row_mask = make(rows);
    p.denominator = dice.pick({0.0, 0.0, 3.0, -1.0});
    const Guarded saved(lossc_plan_saved_size(plan.get()));
    p.saved = dice.once_in(5) ? nullptr : saved.data(),
    p.saved_size = lossc_plan_saved_size(plan.get()) - dice.once_in(20);
    result = p.run(plan.get());
    check(result);
    return result.status == LOSSC_OK;
  }
  static void check(const Result& r) {
    EXPECT_GE(r.status, 0);
    EXPECT_LE(r.status, LOSSC_E_INTERNAL);
    EXPECT_NE(r.status, LOSSC_E_INTERNAL) << r.text;
    EXPECT_EQ(r.text.empty(), r.status == LOSSC_OK);
  }
};

TEST(Fuzz, AnyArgumentsGiveAStatus) {
  const char* wanted = getenv("LOSSC_FUZZ_RUNS");
  const int runs = wanted != nullptr ? atoi(wanted) : 1500;
  lossc_set_num_threads(2);
  int ran = 0;
  for (int seed = 0; seed < runs; ++seed) {
    for (const lossc::rt::Loss* loss : {&fake::squares::loss, &fake::gram::loss, &fake::pick::loss}) {
      SCOPED_TRACE(testing::Message() << loss->name << " seed " << seed);
      ran += Fuzz(static_cast<uint32_t>(seed)).run(*loss);
    }
  }
  EXPECT_GT(ran, runs / 8);  // not only refusals
  printf("%d of %d ran\n", ran, 3 * runs);
}

}  // namespace
