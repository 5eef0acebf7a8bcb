// Words of place: neighbours with a rule for what lies outside, windows, pooling. All of them are lookups and sums, whose
// derivatives are lookups and sums again (gradient_lookup.cpp: shifted, strided).
#include "builder.h"

namespace lossc {

namespace {

Expr look(Arg e, Index along, Expr place) { return at(Expr::of(B().as_float(e)), along, place); }

}  // namespace

Expr padded(Arg e, Index along, Arg where, Border border) {
  Builder& b = Builder::current();
  const Expr place = Expr::of(b.as_int(where));
  if (b.absent(along.id)) b.fail("padded: the axis is absent");
  const Expr n = extent(along);
  const Expr here = look(e, along, place);
  const auto outside = [&](Expr before, Expr behind) { return select(place < 0, before, select(place >= n, behind, here)); };
  switch (border) {
    case Border::Zero: return select(place >= 0 && place < n, here, 0.0);
    case Border::Edge: return outside(look(e, along, Expr::of(G().constant(0, ir::Type::Int))), look(e, along, n - 1));
    case Border::Reflect:  // of a single element there is nothing but itself
      return select(n == 1, look(e, along, Expr::of(G().constant(0, ir::Type::Int))), outside(look(e, along, -place), look(e, along, n + n - 2 - place)));
    case Border::Wrap: return outside(look(e, along, place + n), look(e, along, place - n));
  }
  b.fail("padded: no such border");
}

Expr gaussian(Index window, Arg sigma) {
  const Expr from_centre = number(window) - 0.5 * (number(extent(window)) - 1.0);
  return softmax(window, -sq(from_centre) / (2.0 * sq(sigma)));
}

Expr interpolated(Arg e, Index along, Arg where, Border border) {
  const Expr place = Expr::of(Builder::current().as_float(where)), low = floor(place), part = place - low;
  const Expr a = padded(e, along, to_int(low), border), b = padded(e, along, to_int(low) + 1, border);
  return (1.0 - part) * a + part * b;
}

Expr resampled(Index along, Index out, Arg e) {
  const Expr place = (number(out) + 0.5) * (number(extent(along)) / number(extent(out))) - 0.5;
  return interpolated(e, along, clamp(place, 0.0, number(extent(along)) - 1.0), Border::Edge);
}

Expr pool(Index along, Index window, Index out, Arg e) { return mean(window, look(e, along, out * extent(window) + window)); }

}  // namespace lossc
