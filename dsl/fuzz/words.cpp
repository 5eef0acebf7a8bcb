#include "tree.h"

// The text of a word and what it does are the same characters, so that a printed definition is the one that failed.
// Operands are kept where a word is finite and smooth almost everywhere: log(0.1 + softplus(a)) and not log(a), or most
// programs would be NaN and say nothing. The maximum of nothing is -inf; clamped, it must leave no NaN in the gradient.
#define WORD(result, args, axes, binds, ...) \
  Word { #__VA_ARGS__, result, args, axes, Binds::binds, [](const Names& in, At n, Operands a, double v) -> Expr { \
    (void)in, (void)n, (void)a, (void)v; \
    return __VA_ARGS__; \
  } }

namespace lossc::fuzz {
namespace {
Expr expr(Arg a) { return {a.node}; }
}  // namespace

const std::vector<Word>& words() {
  static const std::vector<Word> table = {
      // Leaves.
      WORD('f', "", "", Nothing, expr(v)),
      WORD('f', "", "", Nothing, expr(in.alpha)),
      WORD('f', "", "NC", Nothing, in.x(n[0], n[1])),
      WORD('f', "", "NC", Nothing, in.y(n[0], n[1])),
      WORD('f', "", "C", Nothing, in.w(n[0])),
      WORD('f', "", "N", Nothing, in.s(n[0])),
      WORD('f', "", "", Nothing, in.z()),
      WORD('b', "", "NC", Nothing, in.m(n[0], n[1])),
      WORD('b', "", "*", Nothing, n[0] > 0),
      WORD('k', "", "*", Nothing, expr(n[0])),
      WORD('k', "", "*", Nothing, (n[0] + 1) % extent(n[0])),
      WORD('k', "", "*", Nothing, max(n[0] - 1, 0)),
      WORD('k', "", "*", Nothing, min(n[0] + 1, extent(n[0]) - 1)),
      WORD('k', "", "*", Nothing, extent(n[0]) - 1 - n[0]),
      WORD('C', "", "N", Nothing, in.t(n[0])),
      // Elementwise.
      WORD('f', "ff", "", Nothing, a[0] + a[1]),
      WORD('f', "ff", "", Nothing, a[0] - a[1]),
      WORD('f', "ff", "", Nothing, a[0] * a[1]),
      WORD('f', "ff", "", Nothing, a[0] / (1.5 + sq(a[1]))),
      WORD('f', "f", "", Nothing, -a[0]),
      WORD('f', "bff", "", Nothing, select(a[0], a[1], a[2])),
      WORD('f', "k", "", Nothing, number(a[0])),
      WORD('f', "b", "", Nothing, number(a[0])),
      WORD('f', "f", "", Nothing, abs(a[0])),
      WORD('f', "f", "", Nothing, sign(a[0])),
      WORD('f', "f", "", Nothing, exp(tanh(a[0]))),
      WORD('f', "f", "", Nothing, expm1(min(a[0], 2.0))),
      WORD('f', "f", "", Nothing, log(0.1 + softplus(a[0]))),
      WORD('f', "f", "", Nothing, log1p(sq(a[0]))),
      WORD('f', "f", "", Nothing, sqrt(0.1 + sq(a[0]))),
      WORD('f', "f", "", Nothing, rsqrt(0.5 + sq(a[0]))),
      WORD('f', "f", "", Nothing, sq(tanh(a[0]))),
      WORD('f', "ff", "", Nothing, pow(0.5 + softplus(a[0]), tanh(a[1]))),
      WORD('f', "f", "", Nothing, tanh(a[0])),
      WORD('f', "f", "", Nothing, sigmoid(a[0])),
      WORD('f', "f", "", Nothing, softplus(a[0])),
      WORD('f', "f", "", Nothing, log_sigmoid(a[0])),
      WORD('f', "f", "", Nothing, erf(a[0])),
      WORD('f', "f", "", Nothing, sin(a[0])),
      WORD('f', "f", "", Nothing, cos(a[0])),
      WORD('f', "f", "", Nothing, acos(0.9 * tanh(a[0]))),
      WORD('f', "f", "", Nothing, asin(0.9 * sin(a[0]))),
      WORD('f', "ff", "", Nothing, atan2(a[0], 0.5 + sq(a[1]))),
      WORD('f', "f", "", Nothing, lgamma(0.5 + softplus(a[0]))),
      WORD('f', "f", "", Nothing, a[0] - floor(a[0])),
      WORD('f', "f", "", Nothing, round(a[0])),
      WORD('f', "f", "", Nothing, number(to_int(3.0 * a[0]))),
      WORD('f', "f", "", Nothing, relu(a[0])),
      WORD('f', "f", "", Nothing, clamp(a[0], -0.5, 1.0)),
      WORD('f', "ff", "", Nothing, max(a[0], a[1])),
      WORD('f', "ff", "", Nothing, min(a[0], a[1])),
      WORD('f', "f", "", Nothing, stop_gradient(a[0])),
      WORD('f', "ff", "", Nothing, straight_through(a[0], a[1])),
      WORD('f', "ff", "", Nothing, custom_gradient(sin(a[0]) * a[1], {{a[0], a[1]}, {a[1], cos(a[0])}})),
      // Truth values.
      WORD('b', "ff", "", Nothing, a[0] < a[1]),
      WORD('b', "ff", "", Nothing, a[0] >= a[1]),
      WORD('b', "kk", "", Nothing, a[0] == a[1]),
      WORD('b', "kk", "", Nothing, a[0] != a[1]),
      WORD('b', "kk", "", Nothing, a[0] <= a[1]),
      WORD('b', "bb", "", Nothing, a[0] && a[1]),
      WORD('b', "bb", "", Nothing, a[0] || a[1]),
      WORD('b', "b", "", Nothing, !a[0]),
      WORD('b', "f", "", Nothing, !is_nan(a[0])),
      WORD('b', "b", "*", Reduces, any(n[0], a[0])),
      WORD('b', "b", "*", Reduces, all(n[0], a[0])),
      // Reductions.
      WORD('f', "f", "*", Reduces, sum(n[0], a[0])),
      WORD('f', "fb", "*", Reduces, sum(n[0], a[0], a[1])),
      WORD('f', "f", "*", Reduces, mean(n[0], a[0])),
      WORD('f', "fb", "*", Reduces, mean(n[0], a[0], a[1])),
      WORD('f', "fb", "*", Reduces, prod(n[0], 1.2 * tanh(a[0]), a[1])),
      WORD('f', "f", "*", Reduces, max(n[0], a[0])),
      WORD('f', "fb", "*", Reduces, clamp(max(n[0], a[0], a[1]), -4.0, 4.0)),
      WORD('f', "f", "*", Reduces, min(n[0], a[0])),
      WORD('f', "f", "*", Reduces, logsumexp(n[0], a[0])),
      WORD('f', "fb", "*", Reduces, clamp(logsumexp(n[0], a[0], a[1]), -8.0, 8.0)),
      WORD('f', "b", "*", Reduces, count(n[0], a[0])),
      WORD('f', "f", "*", Reduces, kth_largest(n[0], 2, a[0])),
      WORD('f', "f", "*", Reduces, top_k_sum(n[0], 2, a[0])),
      WORD('f', "f", "*", Reduces, quantile(n[0], a[0], 0.3)),
      WORD('f', "ff", "*", Reduces, dot(n[0], a[0], a[1])),
      WORD('f', "f", "*", Reduces, norm(n[0], a[0])),
      WORD('f', "ff", "*", Reduces, cosine(n[0], a[0], a[1])),
      WORD('f', "ff", "*", Reduces, sqdist(n[0], a[0], a[1])),
      WORD('k', "f", "*", Reduces, argmax(n[0], a[0])),
      WORD('k', "fb", "*", Reduces, argmax(n[0], a[0], a[1])),
      WORD('k', "f", "*", Reduces, argmin(n[0], a[0])),
      WORD('k', "f", "*", Reduces, kth_argmax(n[0], 2, a[0])),
      // Functions of an index of which they take the whole.
      WORD('f', "f", "*", Along, softmax(n[0], a[0])),
      WORD('f', "fb", "*", Along, softmax(n[0], a[0], a[1])),
      WORD('f', "f", "*", Along, log_softmax(n[0], a[0])),
      WORD('f', "f", "*", Along, normalize(n[0], a[0])),
      WORD('f', "f", "*", Along, sort(n[0], a[0])),
      WORD('f', "f", "*", Along, sort_descending(n[0], a[0])),
      WORD('f', "f", "*", Along, cumsum(n[0], a[0])),
      WORD('f', "fb", "*", Along, cumsum(n[0], a[0], a[1])),
      WORD('f', "f", "*", Along, cumsum_from(n[0], a[0])),
      WORD('f', "f", "*", Along, cumlogsumexp(n[0], a[0])),
      WORD('f', "f", "*", Along, cumlogsumexp_from(n[0], a[0])),
      WORD('f', "f", "*", Along, cummax(n[0], a[0])),
      WORD('f', "f", "*", Along, cummin(n[0], a[0])),
      WORD('k', "f", "*", Along, argsort(n[0], a[0])),
      WORD('k', "fb", "*", Along, argsort_descending(n[0], a[0], a[1])),
      WORD('k', "f", "*", Along, rank(n[0], a[0])),
      // Lookups.
      WORD('f', "fk", "*", Looks, at(a[0], n[0], a[1])),
  };
  return table;
}

}  // namespace lossc::fuzz
