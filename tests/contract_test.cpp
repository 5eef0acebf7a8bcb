// The contract kernels against a sum in long double: every form, dtype and ISA level that this CPU can run. Everything
// a kernel may not use is NaN, and everything it may not write is checked afterwards.
#include "schedules/contract.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace lossc::schedules {
namespace {

bool cpu_runs(const Isa& isa) {
  __builtin_cpu_init();
  if (isa.name == "avx512") {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd");
  }
  if (isa.name == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("sse4.1");
}

int round_up(int n, int to) { return (n + to - 1) / to * to; }

// A tiled matrix over rows [row0, row0 + capacity) and whole tiles of columns; NaN until set.
template <typename T>
struct Tiled {
  Tiled(int jt, int row0, int capacity, int columns)
      : jt(jt),
        row0(row0),
        capacity(capacity),
        tiles((columns + jt - 1) / jt),
        data(size_t(jt) * (capacity + 1) * (tiles + 1), std::numeric_limits<T>::quiet_NaN()) {}

  T& at(int r, int c) { return data[(size_t(c / jt) * capacity + (r - row0)) * jt + c % jt]; }

  // Rows [r, r + n), tiles [t, t + m). The host is never null, also when empty.
  Halide::Buffer<T> box(int r, int n, int t, int m) {
    const halide_dimension_t dims[3] = {{0, jt, 1}, {r, n, jt}, {t, m, jt * capacity}};
    return Halide::Buffer<T>(&data[(size_t(t) * capacity + (r - row0)) * jt], 3, dims);
  }

  int jt, row0, capacity, tiles;
  std::vector<T> data;
};

struct Case {
  int rows, columns, k;
  int row0 = 0;               // first row of C
  int k0 = 0;                 // TN: first row of A, of a B that starts at 0
  int crop_rows[2] = {0, 0};  // in units of tile_rows: compute only these (begin, end); {0, 0}: all
  int crop_tiles[2] = {0, 0};
  bool in_place = true;  // Acc forms: old is C
};

using Param = std::tuple<ContractForm, int, int>;  // form, dtype bits, index into kIsas

class Contract : public testing::TestWithParam<Param> {
 protected:
  ContractForm form() const { return std::get<0>(GetParam()); }
  int bits() const { return std::get<1>(GetParam()); }
  const Isa& isa() const { return kIsas[std::get<2>(GetParam())]; }
  int jt() const { return tile_columns(bits(), isa()); }
  int it() const { return tile_rows(form(), bits(), isa()); }

  void SetUp() override {
    if (!cpu_runs(isa())) GTEST_SKIP() << "this CPU has no " << isa().name;
  }

  void check(const Case& c) { bits() == 32 ? check_as<float>(c) : check_as<double>(c); }

 private:
  Halide::Callable& kernel() {
    static std::map<Param, Halide::Callable> compiled;
    auto found = compiled.find(GetParam());
    if (found == compiled.end()) {
      ContractKernel k = build_contract(form(), Halide::Float(bits()), isa());
      found = compiled.emplace(GetParam(), k.out.compile_to_callable(k.args, jit_target(isa()))).first;
    }
    return found->second;
  }

  template <typename T>
  void call(const Case& c, Tiled<T>& a, Tiled<T>& b, Tiled<T>& old, Tiled<T>& out, int row0, int rows, int t0, int t1) {
    auto A = is_tn(form()) ? a.box(c.k0, c.k, 0, a.tiles) : a.box(a.row0, a.capacity, 0, a.tiles);
    auto B = b.box(0, b.capacity, 0, b.tiles);
    auto Old = old.box(old.row0, old.capacity, 0, old.tiles), C = out.box(row0, rows, t0, t1 - t0);
    switch (form()) {
      case ContractForm::NN:
        kernel()(A, B, c.k, C);
        break;
      case ContractForm::NNAcc:
        kernel()(A, B, Old, c.k, C);
        break;
      case ContractForm::TN:
        kernel()(A, B, C);
        break;
      case ContractForm::TNAcc:
        kernel()(A, B, Old, C);
        break;
    }
  }

  template <typename T>
  void check_as(const Case& c);
};

template <typename T>
void Contract::check_as(const Case& c) {
  std::mt19937 rng(c.rows * 131 + c.k);
  std::uniform_real_distribution<T> value(-1, 1);
  const int capacity = round_up(c.rows, it()), k_end = c.k0 + c.k;
  const bool tn = is_tn(form());
  Tiled<T> a = tn ? Tiled<T>(jt(), c.k0, c.k, c.row0 + c.rows) : Tiled<T>(jt(), c.row0, capacity, c.k);
  Tiled<T> b(jt(), 0, k_end + 3, c.columns), out(jt(), c.row0, capacity, c.columns), old = out;
  for (int r = c.row0; r < c.row0 + c.rows; r++) {
    for (int k = c.k0; k < k_end; k++) (tn ? a.at(k, r) : a.at(r, k)) = value(rng);
    for (int j = 0; j < c.columns; j++) out.at(r, j) = old.at(r, j) = value(rng);
  }
  for (int k = c.k0; k < k_end; k++) {
    for (int j = 0; j < c.columns; j++) b.at(k, j) = value(rng);
  }
  const Tiled<T> before = out;

  const bool crop_r = c.crop_rows[1] > 0, crop_t = c.crop_tiles[1] > 0;
  const int r0 = c.row0 + (crop_r ? c.crop_rows[0] * it() : 0);
  const int r1 = crop_r ? c.row0 + c.crop_rows[1] * it() : c.row0 + capacity;
  const int t0 = crop_t ? c.crop_tiles[0] : 0, t1 = crop_t ? c.crop_tiles[1] : out.tiles;
  call(c, a, b, c.in_place ? out : old, out, r0, r1 - r0, t0, t1);

  Tiled<T> expect = before;
  for (int r = c.row0; r < c.row0 + c.rows; r++) {
    for (int j = 0; j < c.columns; j++) {
      const bool inside = r >= r0 && r < r1 && j / jt() >= t0 && j / jt() < t1;
      if (!inside) {
        ASSERT_EQ(out.at(r, j), expect.at(r, j)) << "written outside of the box: row " << r << " column " << j;
        continue;
      }
      long double sum = accumulates(form()) ? expect.at(r, j) : 0, size = std::abs(sum);
      for (int k = c.k0; k < k_end; k++) {
        const long double term = (long double)(tn ? a.at(k, r) : a.at(r, k)) * b.at(k, j);
        sum += term;
        size += std::abs(term);
      }
      // At most k + 2 roundings touch a term in any order of summation, one more without FMA; each is eps / 2.
      const long double bound = (c.k + 3) * size * std::numeric_limits<T>::epsilon() / 2;
      ASSERT_LE(std::abs(out.at(r, j) - sum), bound) << "row " << r << " column " << j << " k " << c.k;
    }
  }
  for (size_t x = size_t(out.tiles) * capacity * jt(); x < out.data.size(); x++) {
    ASSERT_TRUE(std::isnan(out.data[x])) << "written past the last tile";
  }
}

TEST_P(Contract, TakesExactlyTheGivenK) {
  for (int k : {0, 1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 67, 100, 129})
    check({.rows = it() + 1, .columns = 2 * jt(), .k = k});
}

TEST_P(Contract, CrossesBlocksOfK) {
  for (int k : {255, 256, 257, 511, 512, 513, 544, 1023, 1024, 1056, 1601, 2085})
    check({.rows = 5, .columns = jt(), .k = k});
}

TEST_P(Contract, TakesAnyRowCount) {
  for (int rows = 1; rows <= 2 * it() + 1; rows++) check({.rows = rows, .columns = jt() + 3, .k = 19});
  for (int rows : {5 * it() - 1, 9 * it() + 2}) check({.rows = rows, .columns = 1, .k = 45});
}

TEST_P(Contract, CrossesBlocksOfRows) {
  for (int k : {3, 1100}) check({.rows = 401, .columns = 2 * jt(), .k = k});
}

TEST_P(Contract, ReadsOldFromElsewhere) { check({.rows = 37, .columns = 3 * jt(), .k = 70, .in_place = false}); }

TEST_P(Contract, KeepsToACroppedBox) {
  for (bool in_place : {false, true}) {
    for (int k : {1, 40, 600}) {
      Case c{.rows = 4 * it() - 1, .columns = 4 * jt() - 1, .k = k, .in_place = in_place};
      c.crop_tiles[0] = 1, c.crop_tiles[1] = 3;
      check(c);
      c.crop_rows[0] = 1, c.crop_rows[1] = 3;
      check(c);
      c.crop_tiles[1] = 0;
      check(c);
    }
  }
}

TEST_P(Contract, TakesPanelsInAbsoluteCoordinates) {
  if (is_tn(form())) {
    for (int k : {0, 1, 13, 96}) check({.rows = jt() + 7, .columns = 2 * jt(), .k = k, .k0 = 41});
  } else {
    for (int k : {0, 1, 13, 96, 700}) check({.rows = it() + 7, .columns = 2 * jt(), .k = k, .row0 = 41});
  }
}

std::string name(const testing::TestParamInfo<Param>& info) {
  const auto [form, bits, isa] = info.param;
  return to_string(form) + "_f" + std::to_string(bits) + "_" + std::string(kIsas[isa].name);
}

INSTANTIATE_TEST_SUITE_P(All, Contract,
                         testing::Combine(testing::Values(ContractForm::NN, ContractForm::NNAcc, ContractForm::TN,
                                                          ContractForm::TNAcc),
                                          testing::Values(32, 64), testing::Values(0, 1, 2)),
                         name);

}  // namespace
}  // namespace lossc::schedules
