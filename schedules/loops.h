// Schedule families of the kernels that are not contractions: one function per loop structure, parameters with an
// analytic default. They see Funcs and Vars, never a loss.
//
// All kernels are serial functions over a box of any extent: tails are guarded, nothing is allocated on the heap.
#pragma once
#include <vector>

#include "Halide.h"

namespace lossc::schedules {

// f(x, ...): x in blocks of `block` (a multiple of `lanes`), vectorised and unrolled, the rest element by element.
void dense_loop(Halide::Stage f, Halide::Var x, int block, int lanes);

// f(ci, row, co) over tiles of `tile` columns: a tile's row is consecutive memory, rows follow each other.
void tile_loop(Halide::Func f, Halide::Var ci, Halide::Var row, Halide::Var co, int tile, int lanes);

// A Func computed for a chunk of the vectorised index at a time.
struct Chunked {
  Halide::Func f;
  bool along;  // its first argument is that index; else it has none of it
  bool every;  // another one for every place of the walked index: computed inside that loop
  int update;  // of the consumer, that uses it
};

// f(x, y, ...) that uses Funcs over x and perhaps y: computed for a chunk of x at a time, inside the loops over all but
// y, and so shared by all y (softmax over the classes y of the pixels x).
struct ChunkLoop {
  std::vector<Chunked> inner;
  int chunk, block, lanes;         // `block` of a chunk are computed at a time, in vectors of `lanes`
  std::vector<Halide::Expr> fast;  // cases in which all loops have versions of their own
  bool whole;                      // there x is at least a chunk long, and elements may be computed twice
};
void chunk_loop(Halide::Func f, const std::vector<Halide::Var>& vars, const ChunkLoop& loop);

// A reduction inside a tiled kernel.
void inner_reduction(Halide::Func inner, Halide::Func consumer, Halide::Var at, int lanes);

// Sum over the vectorised index by lanes.
struct LaneSum {
  Halide::Func out, part;
  Halide::Func chunk_sum = {};       // scratch lanes: of a chunk, taken into part by its first update
  std::vector<Halide::Func> folds;
  Halide::Var lane;
  std::vector<Halide::Var> outer;    // rows, innermost first
  std::vector<Halide::RVar> loops;   // of part's updates: blocks (of scratch lanes: chunks), rest
  Halide::RVar chunk_tiles, tiles;   // blocks within a chunk: of chunk_sum, of part's second update
  int width, lanes, chunk, block;    // the last two as for chunk_loop
  std::vector<Chunked> inner;
  std::vector<Halide::Expr> fast;    // as for chunk_loop
};
void register_lanes(LaneSum& s);  // one row at a time, lanes in registers
void block_lanes(LaneSum& s);     // tiles: a few rows at a time, so that memory is read in order
void scratch_lanes(LaneSum& s);   // lanes of all outer indices in the caller's scratch memory

// Sum over an index outside the vectorised one: accumulators of a chunk in registers.
void outside_sum(Halide::Func out, Halide::Func sum, const std::vector<Halide::Var>& vars, size_t vectorised, bool tiled,
                 Halide::RVar r, const std::vector<Chunked>& inner, int chunk, int block, int lanes,
                 const std::vector<Halide::Expr>& fast);

// f(..) takes v in at a computed place: rows one after another, vectorised along the row if that is dimension 0.
void scatter_loop(Halide::Func f, const std::vector<Halide::Var>& vars, Halide::RVar rows, bool row_dense, int lanes);

}  // namespace lossc::schedules
