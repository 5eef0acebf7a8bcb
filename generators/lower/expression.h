// Nodes to Halide expressions, for one kernel.
#pragma once
#include <map>
#include <optional>
#include <vector>

#include "Halide.h"
#include "../../schedules/loops.h"
#include "../math/math.h"
#include "prefetch.h"
#include "step_reader.h"

namespace lossc::lower {

// The value of an index where an expression is evaluated. In a loop over tiles, also its two parts.
struct Position {
  Halide::Expr value;
  Halide::Expr inner, outer;  // value == outer * tile + inner; undefined outside tiles
  bool past_end = false;      // may lie past the axis' end, in lanes whose result is not used
};
using Positions = std::map<ir::Id, Position>;

class Lowering {
 public:
  Lowering(const plan::Plan& plan, int step, int float_bits, const schedules::Isa& isa, Code code);

  const StepReader reader;
  const Halide::Type real;
  const schedules::Isa& isa;
  const Code code;
  const int lanes;  // of a native vector of `real`
  const int tile;   // columns of a storage tile
  const int chunk;  // elements of a chunk: see schedules::Chunked
  const int block;  // elements that a loop over dense memory computes at a time

  // Elements that a loop over a chunk computes at a time: in short code one vector; four where registers are 32 or no function
  // is computed, whose constants would fill 16, else two. Two take dice 5 % longer at AVX-512, and eight as long as four; at
  // AVX2 four for functions, too, would make cross_entropy's code an eighth longer, which would be above 1 MB.
  int several() const { return lanes * (code == Code::Small ? 1 : isa.vector_bytes == 64 || !transcendental_ ? 4 : 2); }

  Halide::Expr value(ir::Id node, const Positions& at);
  Halide::Expr load(int buffer, const Positions& at);
  Halide::Expr extent(ir::Id index);             // of the index's axis
  Halide::Expr begin(ir::Id index), end(ir::Id index);  // range of an index summed over: the panel's rows or all
  Halide::Type type(plan::Elem elem) const;
  Halide::Expr stored(Halide::Expr e) const;     // as kept in memory: truth values as bytes
  Halide::Expr constant(double v, ir::Type t) const;

  std::vector<Halide::Argument> arguments() const;
  Halide::ImageParam& image(int buffer) { return images_.at(buffer); }
  Halide::ImageParam& old_image(int buffer) { return old_.at(buffer); }

  // What is evaluated inside the kernel once for a chunk of the vectorised index: reductions, values kept for several
  // walks (plan::Step::kept), and what follows from reductions alone. To be scheduled by the caller.
  struct Inner {
    Halide::Func f;
    std::vector<ir::Id> indices;  // of its arguments, the vectorised one first
    int stage;                    // the stage of the kernel that uses it
    bool heap;                    // as long as the walk: in memory
  };
  std::vector<Inner> inner;
  std::vector<schedules::Chunked> chunked() const;
  std::vector<Ahead> ahead;
  Halide::Expr leaves;  // does this call leave values behind? Undefined: none does. See left.h
  void fetch_rest_ahead();
  std::vector<std::string> written;  // set by the caller: outputs over the whole domain
  // Set by the caller. The kernel computes whole chunks of its vectorised index, some past the end:
  bool past_end = false;
  Halide::Expr whole;   // but not where this holds,
  bool at_end = false;  // this stage is about nothing else
  int stage = 0;  // set by the caller: a Func is computed in one place, so each stage of a kernel has its own

  // Do all of the caller's tensors that are read along `index` have stride 1 (implicit ones: `implicit_stride`, if given)?
  Halide::Expr dense(ir::Id index, std::optional<int> implicit_stride);
  // Is `index`, of which a box must have all, at least a chunk long? Undefined: no tensor tells.
  Halide::Expr has_chunk(ir::Id index);
  // Versions of a wide loop along `index` worth their code, best first: dense (and `also`), rows without weights (their
  // stand-in has stride 0) or with, and where options are chosen at run time, their first choices, so that the others
  // need not be computed and dropped for every element. Small code has one for them all. Empty: no tensor of the caller's
  // is touched.
  std::vector<Halide::Expr> fast_cases(ir::Id index, const Halide::Expr& also = {});

 private:
  Halide::Expr first_choices() const;
  Halide::Expr compute(ir::Id node, const Positions& at);
  Halide::Expr by_hand(const ir::Node& n, const Positions& at);
  Halide::Expr whole_by_hand(const ir::Node& n, const Positions& at);
  std::vector<size_t> coordinates_of(const ir::Node& step, size_t operand, int* buffer) const;
  Halide::Expr from_inner(ir::Id node, const Positions& at);
  size_t new_inner(ir::Id node, bool heap, Positions* here);
  void define_reduction(size_t id, ir::Id node, Positions here);
  void define_value(size_t id, ir::Id node, const Positions& here);
  bool chunks() const;
  bool once_a_chunk(ir::Id node) const;
  bool dear(ir::Id node) const;
  bool stands_in(ir::Id node) const;
  Halide::Expr left_behind(ir::Id node, const Halide::Expr& value, const Positions& at);
  void fetch_ahead(size_t id, ir::Id node);
  Halide::Expr within(const Halide::Expr& v, const Halide::Expr& end) const;
  Halide::Expr element(int buffer, std::vector<Position> dims);
  math::Env env() const;
  Halide::Expr unary(ir::Op op, Halide::Expr x, ir::Type operand);
  Halide::Expr binary(ir::Op op, Halide::Expr a, Halide::Expr b);
  void make_image(int buffer, std::map<int, Halide::ImageParam>& into, const std::string& name);

  std::map<int, Halide::ImageParam> images_, old_;
  std::map<ir::Id, Halide::Expr> params_, extents_;
  Halide::Expr row_begin_, row_end_;
  std::map<std::pair<ir::Id, std::string>, Halide::Expr> memo_;
  std::vector<Position> kept_;
  std::map<std::pair<ir::Id, int>, size_t> inner_of_;
  std::map<ir::Id, bool> reduces_;  // does a reduction take part in it?
  bool transcendental_ = false;     // is such a function computed?
  bool walking_ = true;             // is what is being evaluated evaluated for every element?
  std::vector<Halide::Argument> arguments_;
};

// A step of a running reduction, and the merge of two partial ones. ArgMax and ArgMin carry (value, index).
std::vector<Halide::Expr> start(ir::ReduceKind kind, Halide::Type value);
std::vector<Halide::Expr> combine(ir::ReduceKind kind, const std::vector<Halide::Expr>& acc,
                                  const std::vector<Halide::Expr>& next);

}  // namespace lossc::lower
