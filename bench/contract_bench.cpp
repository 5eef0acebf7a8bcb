// The contract kernels against the sgemm of a BLAS, one thread, on the three products of a score-panel loss:
//   scores    nn      panel x D   times  D x M       (k = D)
//   grad rows nn      panel x M   times  M x D       (k = M, long)
//   grad cols tn_acc  (panel x M)' times panel x D   (k = panel), added to M x D
//
//   contract_bench <isa> [blas.so] [filter]
// blas.so exports cblas_sgemm (32-bit ints) or scipy_cblas_sgemm64_ (numpy's OpenBLAS); without it only our own numbers
// are printed. For a fair OpenBLAS set OPENBLAS_CORETYPE to SkylakeX (avx512) or Haswell (avx2): on a Zen 5 the bundled
// one detects Haswell and runs at half the speed. BLAS is timed on the panel ("panel") and on kWholeRows rows in one
// call ("whole"); the ratio is to the better of the two.
#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "schedules/contract.h"

using namespace lossc::schedules;
namespace {

constexpr int kWholeRows = 2048;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Row major, no scaling; m x n x k of op(A) op(B).
struct Blas {
  using Fn32 = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
  using Fn64 = void (*)(int, int, int, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*, int64_t,
                        float, float*, int64_t);
  Fn32 fn32 = nullptr;
  Fn64 fn64 = nullptr;

  explicit Blas(const char* path) {
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    void* lib = path ? dlopen(path, RTLD_NOW) : nullptr;
    if (path && !lib) fprintf(stderr, "%s\n", dlerror());
    if (!lib) return;
    fn32 = reinterpret_cast<Fn32>(dlsym(lib, "cblas_sgemm"));
    fn64 = reinterpret_cast<Fn64>(dlsym(lib, "scipy_cblas_sgemm64_"));
  }
  explicit operator bool() const { return fn32 || fn64; }
  void operator()(bool ta, int m, int n, int k, const float* a, const float* b, float beta, float* c) const {
    const int row_major = 101, plain = 111, trans = 112, lda = ta ? m : k;
    if (fn32) return fn32(row_major, ta ? trans : plain, plain, m, n, k, 1, a, lda, b, n, beta, c, n);
    fn64(row_major, ta ? trans : plain, plain, m, n, k, 1, a, lda, b, n, beta, c, n);
  }
};

// Huge pages for both sides, to compare kernels and not page tables: with 4 KB pages every number of the larger shapes
// depends on which pages one happened to get (114 to 188 for the same kernel).
template <typename T>
struct HugePages {
  using value_type = T;
  static constexpr size_t kPage = size_t{2} << 20;
  T* allocate(size_t n) {
    const size_t bytes = (n * sizeof(T) + kPage - 1) / kPage * kPage;
    void* p = std::aligned_alloc(kPage, bytes);
    if (!p) throw std::bad_alloc();
    madvise(p, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(p);
  }
  void deallocate(T* p, size_t) { std::free(p); }
  bool operator==(const HugePages&) const { return true; }
};
using Floats = std::vector<float, HugePages<float>>;

struct Tiled {
  Tiled(int jt, int rows, int columns)
      : jt(jt), rows(rows), tiles((columns + jt - 1) / jt), data(size_t(jt) * rows * tiles) {
    for (size_t x = 0; x < data.size(); x++) data[x] = float(x * 2654435761u % 1021) / 1021 - 0.5f;
  }
  float at(int r, int c) const { return data[(size_t(c / jt) * rows + r) * jt + c % jt]; }
  Halide::Buffer<float> rows_at(int r, int n) {
    const halide_dimension_t dims[3] = {{0, jt, 1}, {0, n, jt}, {0, tiles, jt * rows}};
    return Halide::Buffer<float>(&data[size_t(r) * jt], 3, dims);
  }
  int jt, rows, tiles;
  Floats data;
};

// One product C(m x n) over k, m and k of one panel. Ours walks all panels of kWholeRows rows, so that what a panel
// shares with the next is as warm as in the real loop and what it does not share is as cold.
struct Product {
  const char* what;
  ContractForm form;
  int panel, d, columns;

  int m() const { return is_tn(form) ? columns : panel; }
  int n() const { return std::string(what) == "scores" ? columns : d; }
  int k() const { return is_tn(form) ? panel : n() == d ? columns : d; }
};

// Time of one panel.
struct Times {
  double ours = 1e9, blas_panel = 1e9, blas_whole = 1e9;
};

void keep_best(double& best, int panels, const std::function<void()>& f) {
  const double start = seconds();
  f();
  best = std::min(best, (seconds() - start) / panels);
}

void check_some(const Product& p, const Tiled& a, const Tiled& b, const Tiled& c, float old) {
  for (int r : {0, p.m() / 3, p.m() - 1}) {
    for (int j : {0, p.n() / 2, p.n() - 1}) {
      double sum = old;
      for (int k = 0; k < p.k(); k++) sum += double(is_tn(p.form) ? a.at(k, r) : a.at(r, k)) * b.at(k, j);
      if (std::abs(sum - c.at(r, j)) > 1e-4 * std::sqrt(p.k()) * 10) {
        fprintf(stderr, "%s: C(%d,%d) = %g, want %g\n", p.what, r, j, c.at(r, j), sum);
        exit(1);
      }
    }
  }
}

Times measure(const Product& p, const Isa& isa, const Halide::Callable& kernel, const Blas& blas) {
  const int jt = tile_columns(32, isa), panels = std::max(1, kWholeRows / p.panel);
  const bool tn = is_tn(p.form), scores = std::string(p.what) == "scores";
  // The score panel is one buffer, used again by every panel; the tall operands hold all rows.
  Tiled a(jt, scores ? p.panel * panels : p.panel, scores ? p.d : p.columns);
  Tiled b(jt, tn ? p.panel * panels : p.k(), p.n());
  Tiled c(jt, tn ? p.columns : scores ? p.panel : p.panel * panels, p.n());
  auto step = [&](int i) {
    auto A = a.rows_at(scores ? i * p.panel : 0, p.panel), B = b.rows_at(tn ? i * p.panel : 0, p.k());
    auto C = c.rows_at(scores || tn ? 0 : i * p.panel, p.m());
    tn ? kernel(A, B, C, C) : kernel(A, B, p.k(), C);
  };
  std::fill(c.data.begin(), c.data.end(), 0.5f);
  step(0);
  check_some(p, a, b, c, tn ? 0.5f : 0);

  Times t;
  const int whole = panels * p.panel;
  Floats wa, wb, wc;
  if (blas) {
    wa.assign(size_t(whole) * (scores ? p.d : p.columns), 0.25f);
    wb.assign(size_t(tn ? whole : p.k()) * p.n(), 0.5f);
    wc.assign(size_t(tn ? p.columns : whole) * p.n(), 0);
  }
  const double flops = 2.0 * p.m() * p.n() * p.k() * panels;
  const int repeats = std::clamp(int(0.15 * 150e9 / flops), 3, 40);
  for (int r = 0; r < repeats; r++) {
    keep_best(t.ours, panels, [&] {
      for (int i = 0; i < panels; i++) step(i);
    });
    if (!blas) continue;
    keep_best(t.blas_panel, panels, [&] {
      for (int i = 0; i < panels; i++) {
        const size_t at = size_t(i) * p.panel;
        blas(tn, p.m(), p.n(), p.k(), &wa[scores ? at * p.d : 0], &wb[tn ? at * p.n() : 0], tn,
             &wc[scores || tn ? 0 : at * p.n()]);
      }
    });
    keep_best(t.blas_whole, panels,
              [&] { blas(tn, tn ? p.m() : whole, p.n(), tn ? whole : p.k(), wa.data(), wb.data(), 0, wc.data()); });
  }
  return t;
}

}  // namespace

int main(int argc, char** argv) {
  const Isa* isa = argc > 1 ? find_isa(argv[1]) : nullptr;
  if (!isa) return fprintf(stderr, "usage: contract_bench sse41|avx2|avx512 [blas.so] [filter]\n"), 1;
  const Blas blas(argc > 2 && argv[2][0] ? argv[2] : nullptr);
  const std::string filter = argc > 3 ? argv[3] : "";

  auto compile = [&](ContractForm form) {
    ContractKernel k = build_contract(form, Halide::Float(32), *isa);
    return k.out.compile_to_callable(k.args, jit_target(*isa));
  };
  const Halide::Callable nn = compile(ContractForm::NN), tn_acc = compile(ContractForm::TNAcc);
  printf("%-10s %6s %6s %6s  %8s %10s %10s  GFLOP/s, %s\n", "product", "panel", "D", "M", "ours", "panel", "whole",
         std::string(isa->name).c_str());
  for (auto [panel, d, columns] : {std::array{96, 128, 4096},
                                   {192, 128, 4096},
                                   {96, 256, 32768},
                                   {192, 512, 8192},
                                   {96, 1024, 8192},
                                   {192, 1024, 4096}}) {
    for (Product p : {Product{"scores", ContractForm::NN, panel, d, columns},
                      Product{"grad_rows", ContractForm::NN, panel, d, columns},
                      Product{"grad_cols", ContractForm::TNAcc, panel, d, columns}}) {
      if (std::string(p.what).find(filter) == std::string::npos) continue;
      const Times t = measure(p, *isa, is_tn(p.form) ? tn_acc : nn, blas);
      const double gflop = 2e-9 * p.m() * p.n() * p.k();
      printf("%-10s %6d %6d %6d  %8.1f", p.what, panel, d, columns, gflop / t.ours);
      if (blas) {
        printf(" %10.1f %10.1f  ratio %.2f", gflop / t.blas_panel, gflop / t.blas_whole,
               std::min(t.blas_panel, t.blas_whole) / t.ours);
      }
      printf("\n");
      fflush(stdout);
    }
  }
}
