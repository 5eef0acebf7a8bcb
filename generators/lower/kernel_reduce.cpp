// Reductions over one index, several at once if they share the loop. Which index is summed decides the form:
//   - the vectorised one: each row has partial results in vector lanes (registers, a block of rows, or scratch memory),
//     folded at the end. Written out as lanes, because Halide proves associativity for few combinations and a pair
//     (value, index) is not one of them;
//   - another one: the vectorised index stays, the sum runs outside of it.
#include <fmt/format.h>

#include "../../schedules/loops.h"
#include "kernels.h"
#include "mask.h"
#include "strict.h"

namespace lossc::lower {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using ir::Id;
using ir::ReduceKind;
using plan::Storage;

namespace {

// The reductions of a step as one tuple of accumulators.
class Accumulators {
 public:
  explicit Accumulators(Lowering& l) : l_(l) {
    for (Id n : l.reader.step.nodes) {
      kinds_.push_back(l.reader.g.at(n).kind);
      bodies_.push_back(l.reader.g.at(n).args[0]);
      arity_.push_back(selects(kinds_.back()) ? 2 : 1);
    }
  }

  std::vector<Expr> start() const {
    std::vector<Expr> out;
    for (size_t k = 0; k < kinds_.size(); k++)
      for (Expr e : lower::start(kinds_[k], body_type(k))) out.push_back(e);
    return out;
  }
  // One more element, at `at`; where `inside` is false the identity in its place.
  std::vector<Expr> step(const std::vector<Expr>& acc, const Positions& at, Expr inside = {}) const {
    std::vector<Expr> next;
    for (size_t k = 0; k < kinds_.size(); k++) {
      Expr v = l_.stored(l_.value(bodies_[k], at));
      Expr id = lower::start(kinds_[k], v.type())[0];
      next.push_back(inside.defined() ? strict::select(inside, v, id) : v);
      if (arity_[k] == 2) next.push_back(at.at(l_.reader.step.over).value);
    }
    return merge(acc, next);
  }
  std::vector<Expr> merge(const std::vector<Expr>& a, const std::vector<Expr>& b) const {
    std::vector<Expr> out;
    for (size_t k = 0, p = 0; k < kinds_.size(); p += arity_[k], k++) {
      std::vector<Expr> x(a.begin() + p, a.begin() + p + arity_[k]), y(b.begin() + p, b.begin() + p + arity_[k]);
      for (Expr e : combine(kinds_[k], x, y)) out.push_back(e);
    }
    return out;
  }
  // What is stored: a selection's index, otherwise the value.
  std::vector<Expr> results(const std::vector<Expr>& acc) const {
    std::vector<Expr> out;
    for (size_t k = 0, p = 0; k < kinds_.size(); p += arity_[k], k++) out.push_back(acc[p + arity_[k] - 1]);
    return out;
  }
  std::vector<Expr> read(Func f, const std::vector<Expr>& at) const {
    std::vector<Expr> out;
    int n = 0;
    for (int a : arity_) n += a;
    for (int k = 0; k < n; k++) out.push_back(n == 1 ? Expr(f(at)) : Expr(f(at)[k]));
    return out;
  }

 private:
  Halide::Type body_type(size_t k) const {
    const ir::Type t = l_.reader.g.type(bodies_[k]);
    return t == ir::Type::Float ? l_.real : t == ir::Type::Int ? Halide::Int(32) : Halide::UInt(8);
  }
  Lowering& l_;
  std::vector<ReduceKind> kinds_;
  std::vector<Id> bodies_;
  std::vector<int> arity_;
};

std::vector<Expr> exprs(const std::vector<Var>& vars) { return std::vector<Expr>(vars.begin(), vars.end()); }

std::vector<Expr> with(Expr first, const std::vector<Expr>& rest) {
  std::vector<Expr> out{first};
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

// The previous content of the outputs joined in, where the step accumulates over panels.
std::vector<Expr> with_old(Lowering& l, const Accumulators& acc, std::vector<Expr> value, const std::vector<Expr>& at) {
  if (!l.reader.reads_old()) return value;
  std::vector<Expr> old;
  for (int b : l.reader.step.outputs) old.push_back(l.old_image(b)(at));
  return acc.merge(old, value);
}

// Lanes [0, width) of `part` folded into one by halving; each stage is a Func so that it stays in registers.
Func fold_lanes(const Accumulators& acc, Func part, int width, const std::vector<Var>& outer, std::vector<Func>& stages) {
  Func from = part;
  for (int w = width / 2; w >= 1; w /= 2) {
    Var lane("lane");
    Func next(fmt::format("fold{}", w));
    std::vector<Expr> low = with(lane, exprs(outer)), high = with(lane + w, exprs(outer));
    std::vector<Var> args{lane};
    args.insert(args.end(), outer.begin(), outer.end());
    next(args) = Halide::Tuple(acc.merge(acc.read(from, low), acc.read(from, high)));
    next.bound(lane, 0, w);
    stages.push_back(next);
    from = next;
  }
  return from;
}

// The sums of one chunk, to be taken into `part`: in registers. Lanes in the scratch memory itself would be stored for every
// vector that they take in, because LLVM cannot tell them from what else a chunk touches: a third of the time of a sum whose
// chunks also leave their exponentials behind.
Func chunk_sum(Lowering& l, const Accumulators& acc, Positions at, int tiles, schedules::LaneSum* s) {
  Var block("block");
  std::vector<Var> args{s->lane, block};
  args.insert(args.end(), s->outer.begin(), s->outer.end());
  RDom r(0, tiles, "tiles");
  at[l.reader.step.over] = {l.begin(l.reader.step.over) + (block * tiles + r.x) * s->width + s->lane, Expr(), Expr()};
  Func f("chunk");
  f(args) = Halide::Tuple(acc.start());
  f(args) = Halide::Tuple(acc.step(acc.read(f, exprs(args)), at));
  s->chunk_tiles = r.x;
  return f;
}

// Defines part(lane, outer...) over the summed index: whole blocks, then the rest behind a mask. A block is `width` lanes
// (in tiles, a tile), or a chunk of `tiles` times that. The loops of the two updates go into `s`.
void define_lanes(Lowering& l, const Accumulators& acc, Positions at, int tiles, schedules::LaneSum* s) {
  const Id over = l.reader.step.over;
  const Expr first = l.begin(over), n = Halide::max(l.end(over) - first, 0);
  const int width = s->width, block = width * tiles;
  std::vector<Var> args{s->lane};
  args.insert(args.end(), s->outer.begin(), s->outer.end());
  const std::vector<Expr> here = exprs(args);
  Func part = s->part;
  part(args) = Halide::Tuple(acc.start());
  RDom main(0, n / block, "blocks");
  const Expr whole = main.x;
  l.stage = 0;
  if (tiles > 1) {
    s->chunk_sum = chunk_sum(l, acc, at, tiles, s);
    std::vector<Expr> there{s->lane, main.x};
    there.insert(there.end(), here.begin() + 1, here.end());
    part(args) = Halide::Tuple(acc.merge(acc.read(part, here), acc.read(s->chunk_sum, there)));
  } else {
    at[over] = l.reader.step.tiled ? Position{whole * width + s->lane, s->lane, whole}
                                   : Position{first + whole * width + s->lane, Expr(), Expr()};
    part(args) = Halide::Tuple(acc.step(acc.read(part, here), at));
  }

  const Expr left = n % block;
  RDom rest(0, (left + width - 1) / width, 0, Halide::select(left > 0, 1, 0), "rest");
  const Expr tile = n / block * tiles + rest.x, index = first + tile * width + s->lane;
  if (l.reader.step.tiled)
    at[over] = {index, s->lane, tile};
  else if (tiles > 1)
    at[over] = {index, Expr(), Expr(), true};  // what is computed once a chunk reaches as far
  else
    at[over] = {Halide::min(index, last_place(first + n - 1)), Expr(), Expr()};
  l.stage = 1;
  l.past_end = l.at_end = true;  // of inner Funcs, which are computed for a whole block
  part(args) = Halide::Tuple(acc.step(acc.read(part, here), at, index < first + n));
  s->tiles = rest.x;
  s->loops = {main.x, rest.y};
}

std::vector<Func> sum_lanes(Lowering& l) {
  const plan::Step& step = l.reader.step;
  const Accumulators acc(l);
  std::vector<Var> outer;
  Positions at;
  for (size_t k = step.domain.size() - 1; k-- > 0;) {
    outer.emplace_back(fmt::format("x{}", outer.size()));
    at[step.domain[k]] = {outer.back(), Expr(), Expr()};
  }
  const bool scratch = !step.scratch.empty();
  const int width = step.tiled || scratch ? l.tile : l.block;
  Var lane("lane");
  Func part("part"), out("reduce");
  schedules::LaneSum s{.out = out, .part = part, .lane = lane, .outer = outer, .width = width, .lanes = l.lanes, .chunk = l.chunk, .block = l.several()};
  define_lanes(l, acc, at, scratch ? rt::kChunkTiles : 1, &s);
  Func total = fold_lanes(acc, part, width, outer, s.folds);
  std::vector<Expr> value = acc.results(acc.read(total, with(Expr(0), exprs(outer))));
  out(outer) = Halide::Tuple(with_old(l, acc, value, exprs(outer)));
  constrain_output(l, out, step.outputs);
  s.inner = l.chunked();
  s.fast = l.fast_cases(step.over);
  if (scratch) {
    constrain_output(l, part, step.scratch);
    if (!s.inner.empty()) l.fetch_rest_ahead();
    schedules::scratch_lanes(s);
  } else if (step.tiled) {
    schedules::block_lanes(s);
  } else {
    schedules::register_lanes(s);
  }
  if (scratch) return {part, out};
  return {out};
}

std::vector<Func> sum_outside(Lowering& l) {
  const plan::Step& step = l.reader.step;
  const Accumulators acc(l);
  const plan::Buffer& target = l.reader.plan.buffers[step.outputs[0]];
  std::vector<Var> vars;
  Positions at;
  Func sum("sum"), out("reduce");
  Var ci("ci"), row("row"), co("co");
  const Id inner = step.domain.back();
  if (target.layout.tiled) {
    vars = {ci, row, co};
    at[target.layout.order[0]] = {row, Expr(), Expr()};
    at[target.layout.order[1]] = {co * l.tile + ci, ci, co};
  } else {
    for (size_t k = target.layout.order.size(); k-- > 0;) {
      vars.emplace_back(fmt::format("x{}", vars.size()));
      at[target.layout.order[k]] = {vars.back(), Expr(), Expr()};
    }
  }
  // The accumulators of a chunk are computed whole, so that they stay in registers; see past_end.
  l.past_end = true;
  at[inner].past_end = true;
  const Expr first = l.begin(step.over);
  RDom r(first, Halide::max(l.end(step.over) - first, 0), "r");
  at[step.over] = {r.x, Expr(), Expr()};
  const std::vector<Expr> here = exprs(vars);
  sum(vars) = Halide::Tuple(acc.start());
  sum(vars) = Halide::Tuple(acc.step(acc.read(sum, here), at));
  out(vars) = Halide::Tuple(with_old(l, acc, acc.results(acc.read(sum, here)), here));
  constrain_output(l, out, step.outputs);
  const int chunk = target.layout.tiled || step.tiled ? l.tile : 2 * l.lanes;
  // The vectorised index is dimension 0 of the output unless the output keeps its own order.
  size_t v = 0;
  if (!target.layout.tiled)
    for (size_t k = 0; k < target.layout.order.size(); k++)
      if (target.layout.order[target.layout.order.size() - 1 - k] == inner) v = k;
  schedules::outside_sum(out, sum, vars, v, target.layout.tiled, r.x, l.chunked(), chunk,
                         std::min(chunk, l.several()), l.lanes, l.fast_cases(inner));
  return {out};
}

}  // namespace

std::vector<Func> reduce_kernel(Lowering& l) {
  return l.reader.step.domain.back() == l.reader.step.over ? sum_lanes(l) : sum_outside(l);
}

}  // namespace lossc::lower
