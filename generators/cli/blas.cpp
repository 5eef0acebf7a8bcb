// Which BLAS there is, and its fastest form.
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>

#include "generators/cli/library.h"
#include "generators/cli/machine.h"

namespace lossc::cli {
namespace {

template <class T>
using Gemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, T alpha, const T* a, int lda,
                      const T* b, int ldb, T beta, T* c, int ldc);

template <class T>
void call(void* function, bool trans_a, bool trans_b, int m, int n, int k, const void* a, const void* b, void* c) {
  constexpr int kRowMajor = 101, kPlain = 111, kTrans = 112;
  reinterpret_cast<Gemm<T>>(function)(kRowMajor, trans_a ? kTrans : kPlain, trans_b ? kTrans : kPlain, m, n, k, 1,
                                      static_cast<const T*>(a), trans_a ? m : k, static_cast<const T*>(b),
                                      trans_b ? k : n, 0, static_cast<T*>(c), n);
}

}  // namespace

struct Blas::Candidate {
  std::string library, core;  // core: OPENBLAS_CORETYPE, empty: let it look
};

Blas Blas::open(const Candidate& candidate, int threads) {
  // What the caller's environment says is for other programs; the timeout is so that its threads do not spin (until
  // 2^26 cycles) while ours are measured.
  unsetenv("OPENBLAS_CORETYPE");
  unsetenv("OPENBLAS_L2_SIZE");
  if (!candidate.core.empty()) setenv("OPENBLAS_CORETYPE", candidate.core.c_str(), 1);
  setenv("OPENBLAS_THREAD_TIMEOUT", "18", 1);
  Blas blas;
  void* library = dlopen(candidate.library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return blas;
  blas.sgemm_ = dlsym(library, "cblas_sgemm");
  blas.dgemm_ = dlsym(library, "cblas_dgemm");
  if (!blas.sgemm_ || !blas.dgemm_) return blas;
  blas.name_ = candidate.library;
  if (auto config = reinterpret_cast<const char* (*)()>(dlsym(library, "openblas_get_config"))) blas.name_ = config();
  if (auto core = reinterpret_cast<const char* (*)()>(dlsym(library, "openblas_get_corename")))
    blas.name_ = fmt::format("{} ({})", blas.name_.substr(0, blas.name_.find(' ', 9)), core());
  for (const char* name : {"openblas_set_num_threads", "MKL_Set_Num_Threads"})
    if (auto set = reinterpret_cast<void (*)(int)>(dlsym(library, name))) set(threads);
  return blas;
}

// In a child: milliseconds of one product; infinity if it crashes, is wrong, or is not there.
double Blas::try_out(const Candidate& candidate, int threads) {
  int ends[2];
  if (pipe(ends) != 0) return INFINITY;
  const pid_t child = fork();
  if (child == 0) {
    constexpr int kSize = 640;
    double best = INFINITY;
    if (const Blas blas = open(candidate, threads)) {
      // Small whole numbers, so that the product is exact in any order.
      std::vector<float> a(kSize * kSize), b(kSize * kSize), c(kSize * kSize);
      for (size_t k = 0; k < a.size(); k++) a[k] = static_cast<float>(k % 7), b[k] = static_cast<float>(k % 11);
      for (int run = 0; run < 4; run++) {
        const double start = now_ms();
        blas.gemm(32, false, false, kSize, kSize, kSize, a.data(), b.data(), c.data());
        best = std::min(best, now_ms() - start);
      }
      for (size_t at = 0; at < c.size(); at += 4099) {  // every row and column block, but not every element
        float want = 0;
        for (size_t k = 0; k < kSize; k++) want += a[at / kSize * kSize + k] * b[k * kSize + at % kSize];
        if (c[at] != want) best = INFINITY;
      }
    }
    _exit(write(ends[1], &best, sizeof best) == sizeof best ? 0 : 1);
  }
  close(ends[1]);
  double best = INFINITY;
  if (child < 0 || ::read(ends[0], &best, sizeof best) != sizeof best) best = INFINITY;
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return best;
}

Blas Blas::choose(int threads) {
  std::vector<Candidate> candidates = {{"libopenblas.so.0", ""}, {"libmkl_rt.so.2", ""}};
  const std::string isa = best_isa();
  if (isa != "sse41") candidates.push_back({"libopenblas.so.0", "Haswell"});
  if (isa == "avx512") candidates.push_back({"libopenblas.so.0", "SkylakeX"});
  const Candidate* chosen = nullptr;
  double least = INFINITY;
  for (const Candidate& c : candidates) {
    const double ms = try_out(c, threads);
    if (ms < least) chosen = &c, least = ms;
  }
  return chosen ? open(*chosen, threads) : Blas();
}

void Blas::gemm(int bits, bool trans_a, bool trans_b, int m, int n, int k, const void* a, const void* b,
                void* c) const {
  if (bits == 32)
    call<float>(sgemm_, trans_a, trans_b, m, n, k, a, b, c);
  else
    call<double>(dgemm_, trans_a, trans_b, m, n, k, a, b, c);
}

}  // namespace lossc::cli
