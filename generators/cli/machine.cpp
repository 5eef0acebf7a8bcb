#include "generators/cli/machine.h"

#include <immintrin.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>

#include "generators/cli/library.h"

namespace lossc::cli {
namespace {

// The empty asm keeps the compiler from making memcpy of it.
typedef uint64_t Line __attribute__((vector_size(64), aligned(8)));

__attribute__((target_clones("default", "avx2", "avx512f"))) void copy_lines(Line* to, const Line* from, size_t n) {
  for (size_t k = 0; k < n; k++) {
    to[k] = from[k];
    asm volatile("");
  }
}

__attribute__((target_clones("default", "avx2", "avx512f"))) uint64_t sum_lines(const Line* from, size_t n) {
  Line a{}, b{};
  size_t k = 0;
  for (; k + 2 <= n; k += 2) a += from[k], b += from[k + 1];
  a += b;
  return a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

// Below this one thread is done before another has heard of it.
constexpr size_t kAlone = 256 << 10;

// The part of thread k of n, in whole lines.
std::pair<size_t, size_t> part(size_t lines, int k, int n) {
  const size_t each = (lines + static_cast<size_t>(n) - 1) / static_cast<size_t>(n);
  const size_t from = std::min(lines, each * static_cast<size_t>(k));
  return {from, std::min(lines, from + each) - from};
}

// Twelve independent chains hide a latency of four to five at two per cycle.
constexpr int kChains = 12, kRound = 4096;

__attribute__((target("avx512f"))) float fma_avx512(float x) {
  __m512 a[kChains], b = _mm512_set1_ps(x);
  for (__m512& v : a) v = b;
  for (int k = 0; k < kRound; k++) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; c++) a[c] = _mm512_fmadd_ps(a[c], b, b);
  }
  for (int c = 1; c < kChains; c++) a[0] = _mm512_add_ps(a[0], a[c]);
  return _mm512_cvtss_f32(a[0]);
}

__attribute__((target("avx2,fma"))) float fma_avx2(float x) {
  __m256 a[kChains], b = _mm256_set1_ps(x);
  for (__m256& v : a) v = b;
  for (int k = 0; k < kRound; k++) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; c++) a[c] = _mm256_fmadd_ps(a[c], b, b);
  }
  for (int c = 1; c < kChains; c++) a[0] = _mm256_add_ps(a[0], a[c]);
  return _mm256_cvtss_f32(a[0]);
}

float fma_sse(float x) {
  __m128 a[kChains], b = _mm_set1_ps(x);
  for (__m128& v : a) v = b;
  for (int k = 0; k < kRound; k++) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; c++) a[c] = _mm_add_ps(_mm_mul_ps(a[c], b), b);
  }
  for (int c = 1; c < kChains; c++) a[0] = _mm_add_ps(a[0], a[c]);
  return _mm_cvtss_f32(a[0]);
}

}  // namespace

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

namespace {

// Each of the team has a core of its own: woken threads otherwise like to queue behind the one that woke them, and a
// copy of a megabyte takes a time slice.
std::vector<int> allowed_cpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int k = 0; k < CPU_SETSIZE; k++)
    if (CPU_ISSET(k, &set)) cpus.push_back(k);
  return cpus;
}

void move_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

// Until the value is another. Not awake for long: the one waited for may be waiting for this very core.
void await(const std::atomic<int>& value, int seen) {
  const double start = now_ms();
  while (value.load() == seen && now_ms() - start < 0.05) _mm_pause();
  value.wait(seen);
}

}  // namespace

Team::Team(int size) : size_(std::max(size, 1)) {
  cpus_ = allowed_cpus();
  if (cpus_.size() < static_cast<size_t>(size_)) cpus_.clear();
  for (int k = 1; k < size_; k++) {
    threads_.emplace_back([this, k] {
      if (!cpus_.empty()) move_to(cpus_[static_cast<size_t>(k)]);
      work(k);
    });
  }
}

Team::~Team() {
  task_ = nullptr;
  round_.fetch_add(1);
  round_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void Team::work(int k) {
  for (int seen = 0;; seen++) {
    await(round_, seen);
    if (!task_) return;
    (*task_)(k);
    done_.fetch_add(1);
    done_.notify_all();
  }
}

void Team::run(const std::function<void(int)>& task) {
  if (!cpus_.empty() && size_ > 1 && sched_getcpu() != cpus_[0]) {
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    move_to(cpus_[0]);
    sched_setaffinity(0, sizeof before, &before);
  }
  task_ = &task;
  done_ = 0;
  round_.fetch_add(1);
  round_.notify_all();
  task(0);
  for (int seen; (seen = done_.load()) < size_ - 1;) await(done_, seen);
}

void copy(Team& team, void* to, const void* from, size_t bytes) {
  const size_t lines = bytes / sizeof(Line);
  const int threads = bytes < kAlone ? 1 : team.size();
  const std::function<void(int)> task = [&](int k) {
    const auto [first, n] = part(lines, k, threads);
    copy_lines(static_cast<Line*>(to) + first, static_cast<const Line*>(from) + first, n);
  };
  threads == 1 ? task(0) : team.run(task);
  const size_t done = lines * sizeof(Line);
  std::memcpy(static_cast<char*>(to) + done, static_cast<const char*>(from) + done, bytes - done);
}

void read(Team& team, const void* from, size_t bytes) {
  const int threads = bytes < kAlone ? 1 : team.size();
  const std::function<void(int)> task = [&](int k) {
    const auto [first, n] = part(bytes / sizeof(Line), k, threads);
    volatile uint64_t sink = sum_lines(static_cast<const Line*>(from) + first, n);
    (void)sink;
  };
  threads == 1 ? task(0) : team.run(task);
}

double fma_rate(Team& team, int bits, double ms) {
  const std::string isa = best_isa();
  const auto loop = isa == "avx512" ? fma_avx512 : isa == "avx2" ? fma_avx2 : fma_sse;
  const double lanes = (isa == "avx512" ? 512 : isa == "avx2" ? 256 : 128) / bits;
  std::vector<double> rate(static_cast<size_t>(team.size()));
  team.run([&](int k) {
    volatile float sink = 0;
    double rounds = 0;
    const double start = now_ms();
    double spent = 0;
    while (spent < ms) {
      for (int r = 0; r < 8; r++) sink = sink + loop(0.5f);
      rounds += 8;
      spent = now_ms() - start;
    }
    rate[static_cast<size_t>(k)] = rounds * kRound * kChains * lanes * 2 / spent;
  });
  double total = 0;
  for (double r : rate) total += r;
  return total;
}

size_t free_memory() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  for (size_t kilobytes; file >> word;)
    if (word == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  return 0;
}

Memory::Memory(size_t bytes) : bytes_(bytes) {
  constexpr size_t kHuge = size_t{2} << 20;
  const size_t align = bytes >= kHuge ? kHuge : 64;
  const size_t whole = std::max<size_t>((bytes + align - 1) / align * align, align);
  data_ = std::aligned_alloc(align, whole);
  if (!data_) throw std::bad_alloc();
  if (align == kHuge) madvise(data_, whole, MADV_HUGEPAGE);
  std::memset(data_, 0, whole);
}

Memory::~Memory() { std::free(data_); }

}  // namespace lossc::cli
