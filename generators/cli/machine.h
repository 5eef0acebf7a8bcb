// What this machine can do at best: the limits that kernels are measured against.
#pragma once
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace lossc::cli {

double now_ms();

// Threads that wait for work, so that starting them is not what is measured; awake for a while, as those of a BLAS and
// of lossc are.
class Team {
 public:
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  int size() const { return size_; }
  // task(k) on thread k, for k in [0, size()); returns when all have.
  void run(const std::function<void(int)>& task);

 private:
  void work(int k);
  int size_;
  std::vector<int> cpus_;                           // of each; empty: fewer than threads
  const std::function<void(int)>* task_ = nullptr;  // nullptr: stop
  std::atomic<int> round_ = 0, done_ = 0;
  std::vector<std::thread> threads_;
};

// A plain vectorised loop, ordinary stores. (memcpy would use non-temporal stores from some size on.)
void copy(Team& team, void* to, const void* from, size_t bytes);
// The same without the stores.
void read(Team& team, const void* from, size_t bytes);
// Multiply-adds out of registers for about `ms` on all of the team; returns flops per millisecond (a multiply-add: 2).
double fma_rate(Team& team, int bits, double ms);

// Matrix products of a vendor's BLAS, whichever is here and fastest.
class Blas {
 public:
  // Tries OpenBLAS (as it detects the machine, and told to use its AVX-512 or AVX2 kernels, for an old one does not
  // know a new processor) and MKL, each in a process of its own, because a wrong choice may crash. Call before threads
  // start.
  static Blas choose(int threads);
  explicit operator bool() const { return !name_.empty(); }
  const std::string& name() const { return name_; }
  // C (m x n) = op(A) op(B), row major, dense.
  void gemm(int bits, bool trans_a, bool trans_b, int m, int n, int k, const void* a, const void* b, void* c) const;

 private:
  struct Candidate;
  static Blas open(const Candidate& candidate, int threads);
  static double try_out(const Candidate& candidate, int threads);
  std::string name_;
  void* sgemm_ = nullptr;
  void* dgemm_ = nullptr;
};

size_t free_memory();  // bytes that could be had without swapping; 0: not known

// Memory for measurements: on huge pages, where it is large; touched.
class Memory {
 public:
  explicit Memory(size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept : data_(other.data_), bytes_(other.bytes_) { other.data_ = nullptr; }
  Memory(const Memory&) = delete;
  void* data() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

}  // namespace lossc::cli
