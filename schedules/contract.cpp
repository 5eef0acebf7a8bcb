#include "schedules/contract.h"

#include <algorithm>

namespace lossc::schedules {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Type;
using Halide::Var;

// The register tile is rows x JT, JT being two vectors: per k two loads of B, and per row one broadcast of A that feeds
// two FMAs. Storage tiles make every address of it base + constant. Numbers in this file: Zen 5, one thread, f32
// GFLOP/s, best of a few runs beside other work: in cache they repeat within 3 %, where memory matters within 15 %. The
// FMA units end at about 287 (avx512) and 143 (avx2).
constexpr int register_rows(ContractForm form, const Isa& isa) {
  // 24 of 32 registers are sums. TN takes 8 rows, which divide JT; 12 + 12 + 8 is no faster.
  if (isa.vector_bytes == 64) return is_tn(form) ? 8 : 12;
  // 12 of 16. 4 rows would leave 8 chains, too few to hide the latency of FMA: 121 instead of 137.
  if (isa.vector_bytes == 32) return 6;
  // mul and add want one more temporary: 6 rows spill (37 instead of 51).
  return 4;
}

// NN walks C in blocks of so many rows, more than a panel has; it matters for a caller without panels (4080 rows,
// k = 4096, 128 columns: 192 instead of 148).
constexpr int kNnBlockRows = 192;

// One row of A in a k block. 192 rows of it (768 KB) stay in a 1 MB L2 while B passes by. 2 KB passes over C twice as
// often: scores of D = 1024 then run at 221 instead of 244 (avx512); 8 KB loses 5 % on avx2, k = 4096.
constexpr int kBlockBytes = 4096;

// Unrolling of k. 1, 2 and 4 differ by 1 % on avx512; on avx2, 2 gains 8 % over 1 on long k.
constexpr int kUnroll = 2;

// TN walks C in blocks of so many rows, all columns of a block before the next: A's block (100 KB at k = 96) stays in
// L2, a tile of B in L1, and C comes as 32 KB runs that the hardware prefetcher follows. 64 rows: 208 instead of 219 at
// 32768 x 256; 1024 rows: 218. No software prefetch of Old: Halide's is prefetchnta, which throws C out of L2 before
// it is written (190 instead of 219, the same at every loop level and distance tried).
constexpr int kTnBlockRows = 256;

// A contraction under construction: operands, loop variables, register tile.
struct Builder {
  Builder(ContractForm form, Type type, const Isa& isa)
      : form(form),
        type(type),
        jt(tile_columns(type.bits(), isa)),
        lanes(vector_lanes(type.bits(), isa)),
        rows(register_rows(form, isa)),
        a(tiled("a")),
        b(tiled("b")),
        old(tiled("old")) {}

  ImageParam tiled(const char* name) const {
    ImageParam p(type, 3, name);
    p.dim(0).set_bounds(0, jt).set_stride(1);
    p.dim(1).set_stride(jt);
    return p;
  }

  Expr zero() const { return Halide::cast(type, 0); }
  Expr with_old(const Expr& sum) const { return accumulates(form) ? old(ji, i, jo) + sum : sum; }

  // A tile's columns as vectors, its rows unrolled: then LLVM keeps the accumulators in registers across the k loops.
  template <typename RowVar>
  Halide::Stage unroll_tile(Halide::Stage stage, const RowVar& row) const {
    return stage.vectorize(ji, lanes).unroll(ji).unroll(row);
  }

  ContractKernel finish() {
    out.bound(ji, 0, jt);
    out.output_buffer().dim(0).set_bounds(0, jt).set_stride(1);
    out.output_buffer().dim(1).set_stride(jt);
    std::vector<Halide::Argument> args = {a, b};
    if (accumulates(form)) args.push_back(old);
    if (!is_tn(form)) args.push_back(k_extent);
    return {out, args};
  }

  ContractForm form;
  Type type;
  int jt, lanes, rows;
  ImageParam a, b, old;
  Halide::Param<int32_t> k_extent{"k_extent"};
  Func out{"contract_out"};
  Var ji{"ji"}, i{"i"}, jo{"jo"}, ii{"ii"};
};

// C is made from the first k block together with the remainder of k (less than a tile of A's columns), so that it is
// written once when k fits a block; the later blocks add to it.
ContractKernel build_nn(Builder& n) {
  const int jt = n.jt, block = kBlockBytes * 8 / n.type.bits() / jt;  // in tiles of A
  const Expr tiles = n.k_extent / jt;
  Var block_index("block_index");

  RDom k(0, jt, 0, min(tiles, block), "k"), tail(0, n.k_extent % jt, "tail");
  Func first("contract_first");
  first(n.ji, n.i, n.jo) = n.zero();
  first(n.ji, n.i, n.jo) += n.a(k.x, n.i, k.y) * n.b(n.ji, k.y * jt + k.x, n.jo);
  first(n.ji, n.i, n.jo) += n.a(tail, n.i, tiles) * n.b(n.ji, tiles * jt + tail, n.jo);

  RDom m(0, jt, 0, block, "m");
  const Expr tile = block_index * block + m.y;
  m.where(tile < tiles);
  Func more("contract_more");
  more(n.ji, n.i, n.jo, block_index) = n.zero();
  more(n.ji, n.i, n.jo, block_index) += n.a(m.x, n.i, tile) * n.b(n.ji, tile * jt + m.x, n.jo);

  RDom later(1, max((tiles + block - 1) / block - 1, 0), "later");
  n.out(n.ji, n.i, n.jo) = n.with_old(first(n.ji, n.i, n.jo));
  n.out(n.ji, n.i, n.jo) += more(n.ji, n.i, n.jo, later);

  Var io("io"), io_block("io_block"), more_io("more_io"), more_block("more_block");
  auto tile_loops = [&](Halide::Stage stage, const Var& in, const Var& block_var) {
    stage.split(n.i, in, n.ii, n.rows, TailStrategy::RoundUp)
        .split(in, block_var, in, kNnBlockRows / n.rows, TailStrategy::GuardWithIf)
        .never_partition(in, block_var);
    return stage;
  };
  n.unroll_tile(tile_loops(n.out, io, io_block).reorder(n.ji, n.ii, io, n.jo, io_block), n.ii);
  n.unroll_tile(tile_loops(n.out.update(), more_io, more_block).reorder(n.ji, n.ii, more_io, n.jo, later, more_block),
                n.ii);
  n.unroll_tile(first.compute_at(n.out, io), n.i);
  n.unroll_tile(first.update(0).reorder(n.ji, n.i, k.x, k.y).unroll(k.x, kUnroll), n.i);
  n.unroll_tile(first.update(1).reorder(n.ji, n.i, tail), n.i);
  n.unroll_tile(more.compute_at(n.out, more_io), n.i);
  n.unroll_tile(more.update().reorder(n.ji, n.i, m.x, m.y).unroll(m.x, kUnroll), n.i);
  return n.finish();
}

// A's tile is JT columns wide, so the JT rows of C below it are cut into register tiles, the last one smaller where it
// must be (6 + 6 + 4); rows of one size throughout would straddle A's tiles. Each register tile is written before the
// next is begun. All of JT in one Func, written at the end, is level at 32768 x 256 and 2 to 10 % slower at 8192 x 512
// to 1024 (huge pages; 20 % in one run with 4 KB pages): 64 vectors of C at once leave no FMAs to run under the misses.
ContractKernel build_tn(Builder& n) {
  const int register_tiles = (n.jt + n.rows - 1) / n.rows;
  const int rows = (n.jt + register_tiles - 1) / register_tiles;  // f64, avx2: 4 + 4 rather than 6 + 2
  RDom k(n.a.dim(1).min(), n.a.dim(1).extent(), "k");
  Func sum("contract_sum");
  sum(n.ji, n.i, n.jo) = n.zero();
  sum(n.ji, n.i, n.jo) += n.a(n.i % n.jt, k, n.i / n.jt) * n.b(n.ji, k, n.jo);
  n.out(n.ji, n.i, n.jo) = n.with_old(sum(n.ji, n.i, n.jo));

  Var it("it"), it_block("it_block"), io("io");  // row = it * JT + io * rows + ii
  n.unroll_tile(n.out.align_bounds(n.i, n.jt)
                    .split(n.i, it, io, n.jt, TailStrategy::RoundUp)
                    .split(io, io, n.ii, rows, TailStrategy::GuardWithIf)
                    .split(it, it_block, it, kTnBlockRows / n.jt, TailStrategy::GuardWithIf)
                    .never_partition(it, it_block)
                    .reorder(n.ji, n.ii, io, it, n.jo, it_block)
                    .unroll(io),
                n.ii);
  n.unroll_tile(sum.compute_at(n.out, io), n.i);
  n.unroll_tile(sum.update().reorder(n.ji, n.i, k).unroll(k, kUnroll), n.i);
  return n.finish();
}

}  // namespace

int tile_rows(ContractForm form, int dtype_bits, const Isa& isa) {
  return is_tn(form) ? tile_columns(dtype_bits, isa) : register_rows(form, isa);
}

ContractKernel build_contract(ContractForm form, Type type, const Isa& isa) {
  Builder n(form, type, isa);
  return is_tn(form) ? build_tn(n) : build_nn(n);
}

std::string to_string(ContractForm form) {
  return std::string(is_tn(form) ? "tn" : "nn") + (accumulates(form) ? "_acc" : "");
}

}  // namespace lossc::schedules
