#include "schedules/contract.h"

#include <algorithm>

namespace lossc::schedules {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::RDom;
using Halide::RVar;
using Halide::Type;
using Halide::Var;

struct Tuning {
  int nn_rows;       // register tile of NN
  int tn_rows;       // register tile of TN; divides JT
  int k_unroll;      // divides JT
  int k_block;       // bytes of one row of A per k block
  int tn_row_tiles;  // A tiles (of JT rows of C) per row block of TN
};

constexpr Tuning tuning(const Isa& isa) {
  return isa.vector_bytes == 64 ? Tuning{12, 8, 4, 2048, 4} : Tuning{6, 4, 4, 2048, 8};
}

// One contraction under construction: operands, loop variables, and the shape of the register tile.
struct Builder {
  Builder(ContractForm form, Type type, const Isa& isa)
      : form(form),
        type(type),
        jt(tile_columns(type.bits(), isa)),
        lanes(vector_lanes(type.bits(), isa)),
        rows(tile_rows(form, type.bits(), isa)),
        t(tuning(isa)),
        a(tiled("a")),
        b(tiled("b")),
        old(tiled("old")) {}

  ImageParam tiled(const char* name) const {
    ImageParam p(type, 3, name);
    p.dim(0).set_bounds(0, jt).set_stride(1);
    p.dim(1).set_stride(jt);
    return p;
  }

  Expr with_old(const Expr& sum) const { return accumulates(form) ? old(ji, i, jo) + sum : sum; }

  // Keeps a register tile's columns and rows innermost and unrolled.
  void unroll_tile(Halide::Stage stage) const { stage.vectorize(ji, lanes).unroll(ji).unroll(i); }

  ContractKernel finish() {
    out.output_buffer().dim(0).set_bounds(0, jt).set_stride(1);
    out.output_buffer().dim(1).set_stride(jt);
    std::vector<Halide::Argument> list = {a, b};
    if (accumulates(form)) list.push_back(old);
    if (!is_tn(form)) list.push_back(k_extent);
    return {out, list};
  }

  ContractForm form;
  Type type;
  int jt, lanes, rows;
  Tuning t;
  ImageParam a, b, old;
  Halide::Param<int32_t> k_extent{"k_extent"};
  Func out{"contract_out"};
  Var ji{"ji"}, i{"i"}, jo{"jo"}, io{"io"}, ii{"ii"}, kb{"kb"};
};

ContractKernel build_nn(Builder& n) {
  const int jt = n.jt;
  const int block = std::max(1, n.t.k_block * 8 / n.type.bits() / jt);  // A tiles of a k block
  const Expr full = n.k_extent / jt, rest = n.k_extent % jt;

  // The first k block and the remainder make C; later blocks add to it.
  Func first("contract_first"), more("contract_more");
  RDom k(0, jt, 0, min(full, block), "k"), tail(0, rest, "tail"), q(0, jt, 0, block, "q");
  first(n.ji, n.i, n.jo) = Halide::cast(n.type, 0);
  first(n.ji, n.i, n.jo) += n.a(k.x, n.i, k.y) * n.b(n.ji, k.y * jt + k.x, n.jo);
  first(n.ji, n.i, n.jo) += n.a(tail, n.i, full) * n.b(n.ji, full * jt + tail, n.jo);

  const Expr tile = n.kb * block + q.y;
  q.where(tile < full);
  more(n.ji, n.i, n.jo, n.kb) = Halide::cast(n.type, 0);
  more(n.ji, n.i, n.jo, n.kb) += n.a(q.x, n.i, tile) * n.b(n.ji, tile * jt + q.x, n.jo);

  RDom blocks(1, max((full + block - 1) / block, 1) - 1, "blocks");
  n.out(n.ji, n.i, n.jo) = n.with_old(first(n.ji, n.i, n.jo));
  n.out(n.ji, n.i, n.jo) += more(n.ji, n.i, n.jo, blocks);

  // ---- schedule
  using Halide::TailStrategy;
  Var more_io("more_io");
  n.out.bound(n.ji, 0, jt).split(n.i, n.io, n.ii, n.rows, TailStrategy::RoundUp).reorder(n.ji, n.ii, n.io, n.jo);
  n.out.vectorize(n.ji, n.lanes).unroll(n.ji).unroll(n.ii);
  n.out.update()
      .split(n.i, more_io, n.ii, n.rows, TailStrategy::RoundUp)
      .reorder(n.ji, n.ii, more_io, n.jo, blocks)
      .vectorize(n.ji, n.lanes)
      .unroll(n.ji)
      .unroll(n.ii);
  first.compute_at(n.out, n.io);
  n.unroll_tile(first);
  first.update(0).reorder(n.ji, n.i, k.x, k.y).unroll(k.x, n.t.k_unroll);
  first.update(1).reorder(n.ji, n.i, tail);
  more.compute_at(n.out, more_io);
  n.unroll_tile(more);
  more.update().reorder(n.ji, n.i, q.x, q.y).unroll(q.x, n.t.k_unroll);
  for (Halide::Stage s : {first.update(0), first.update(1), more.update(0)}) n.unroll_tile(s);
  return n.finish();
}

ContractKernel build_tn(Builder& n) {
  Func sum("contract_sum");
  RDom k(n.a.dim(1).min(), n.a.dim(1).extent(), "k");
  sum(n.ji, n.i, n.jo) = Halide::cast(n.type, 0);
  sum(n.ji, n.i, n.jo) += n.a(n.i % n.jt, k, n.i / n.jt) * n.b(n.ji, k, n.jo);
  n.out(n.ji, n.i, n.jo) = n.with_old(sum(n.ji, n.i, n.jo));

  // ---- schedule
  using Halide::TailStrategy;
  Var it("it"), itb("itb"), iti("iti");
  n.out.bound(n.ji, 0, n.jt)
      .align_bounds(n.i, n.jt)
      .split(n.i, it, n.io, n.jt, TailStrategy::RoundUp)
      .split(n.io, n.io, n.ii, n.t.tn_rows, TailStrategy::RoundUp)
      .split(it, itb, iti, n.t.tn_row_tiles, TailStrategy::GuardWithIf)
      .reorder(n.ji, n.ii, n.io, iti, n.jo, itb)
      .vectorize(n.ji, n.lanes)
      .unroll(n.ji)
      .unroll(n.ii);
  sum.compute_at(n.out, n.io);
  n.unroll_tile(sum);
  sum.update().reorder(n.ji, n.i, k).unroll(k, n.t.k_unroll);
  n.unroll_tile(sum.update());
  return n.finish();
}

}  // namespace

int tile_rows(ContractForm form, int dtype_bits, const Isa& isa) {
  return is_tn(form) ? tile_columns(dtype_bits, isa) : tuning(isa).nn_rows;
}

ContractKernel build_contract(ContractForm form, Type type, const Isa& isa) {
  Builder n(form, type, isa);
  return is_tn(form) ? build_tn(n) : build_nn(n);
}

std::string to_string(ContractForm form) {
  return std::string(is_tn(form) ? "tn" : "nn") + (accumulates(form) ? "_acc" : "");
}

}  // namespace lossc::schedules
