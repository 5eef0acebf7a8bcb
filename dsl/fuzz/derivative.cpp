#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsl/finite_difference.h"
#include "dsl/sample.h"
#include "tree.h"

namespace lossc::fuzz {
namespace {

// Where two values tie exactly, what is selected is decided by a rule, and no derivative exists: the second largest of
// three equal values that rise, stay and fall has the same slope to both sides, which is none of theirs. Ties break if
// every operation is off by a little, each place by another; where the gradient then is another one, there is nothing to
// compare. What is that ill-conditioned without a tie says nothing either.
std::vector<char> determined(const Program& p, const Inputs& inputs, const Gradient& g, const std::vector<double>& gradient) {
  constexpr double kOff = 1e-11, kMoves = 1e-5;
  const std::vector<ir::Id>& dims = p.graph.tensors[static_cast<size_t>(g.tensor)].dims;
  std::vector<char> same(gradient.size(), 1);
  for (unsigned draw = 1; draw <= 4; draw++) {
    Oracle off(p.graph, inputs);
    off.round_like(kOff, false, draw, true);
    const std::vector<double> moved = off.evaluate(g.node, dims).data;
    for (size_t k = 0; k < moved.size(); k++)
      same[k] &= moved[k] == gradient[k] || std::isnan(gradient[k]) ||  // NaN is no tie, and to be found
                 std::abs(moved[k] - gradient[k]) <= kMoves * std::max(1.0, std::abs(gradient[k]));
  }
  return same;
}

// At one draw of inputs. Extents differ from each other, that a mix-up of axes shows.
Verdict at_draw(const Program& p, unsigned seed) {
  const Case c = sample(p, {.extents = {{"N", 4}, {"C", 3}}, .seed = seed, .row_inputs = seed % 2 == 0});
  const Inputs inputs = oracle_inputs(p, c);
  Oracle oracle(p.graph, inputs);
  // Beyond this size differences have few digits left.
  if (!(std::abs(oracle.scalar(p.loss)) < 1e6)) return {Verdict::Useless, "the loss is not finite, or large"};
  size_t compared = 0;
  for (const Gradient& g : p.gradients) {
    const ir::Tensor& t = p.graph.tensors[static_cast<size_t>(g.tensor)];
    if (!c.inputs.count(t.name)) continue;
    const std::vector<double> gradient = oracle.evaluate(g.node, t.dims).data;
    const std::vector<Difference> differences = finite_difference(p, inputs, g.tensor);
    const std::vector<char> same = determined(p, inputs, g, gradient);
    for (size_t k = 0; k < gradient.size(); k++) {
      const Difference& d = differences[k];
      const double scale = 1e-7 * std::max(1.0, std::abs(d.value));
      if (!same[k] || !d.smooth || d.error > 1e-3 * std::max(1.0, std::abs(d.value))) continue;
      compared++;
      if (!(std::abs(gradient[k] - d.value) <= 4 * d.error + scale))
        return {Verdict::Wrong, fmt::format("gradient of {}, element {}: {:.12g}, differences {:.12g} +- {:.2g}", t.name,
                                            k, gradient[k], d.value, d.error)};
    }
  }
  return {compared ? Verdict::Fine : Verdict::Useless, "nothing smooth"};
}

}  // namespace

// What differs at one draw must differ at another of five, or a kink lay within the step of the differences.
Verdict check_derivative(const Tree& tree) {
  const Program p = program(tree);
  Verdict first = at_draw(p, 1), last = at_draw(p, 2);
  if (first.is == Verdict::Fine && last.is == Verdict::Fine) return first;
  int wrong = (first.is == Verdict::Wrong) + (last.is == Verdict::Wrong);
  for (unsigned seed = 3; wrong == 1 && seed <= 6; seed++) {
    if (at_draw(p, seed).is == Verdict::Wrong) wrong++;
  }
  if (wrong >= 2) return first.is == Verdict::Wrong ? first : last;
  return first.is == Verdict::Fine ? first : last.is == Verdict::Fine ? last : Verdict{Verdict::Useless, first.what};
}

}  // namespace lossc::fuzz
