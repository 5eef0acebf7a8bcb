#include <lossc/loss.h>

#include <limits>
using namespace lossc;

LOSSC_LOSS(ctc, "transport_sequence") {
  about({
      .title = "Connectionist temporal classification",
      .paper = "Graves, Fernandez, Gomez and Schmidhuber 2006 (Connectionist Temporal Classification), section 4.1, eqs. 5 to 8",
      .equation =
          "L = -log sum of prod_t p_t(a_t) over the alignments a that give the target when repeats are merged and blanks "
          "dropped; alpha_t(k) = p_t(l_k) (alpha_{t-1}(k) + alpha_{t-1}(k-1) + [l_k != l_{k-2}] alpha_{t-1}(k-2)), l the "
          "target with blanks between and around its labels",
      .edges =
          "A target that no alignment gives (longer than the input, counting a blank between equal labels) has loss +inf and "
          "gradient 0; with zero_infinity = on loss 0. Steps from input_length on do not count, nor labels from target_length "
          "or from the first -1 on, whatever class they hold. No steps and no labels: 0.",
      .note = "The reduction 'mean' of PyTorch divides each loss by its target's length first: normalise = target_length.",
  });
  auto t = axis("T", "steps"), n = axis("N", "sequences"), c = axis("C", "classes"), s = axis("S", "labels of a target");
  auto k = derived_axis("2S+1", 2 * extent(s) + 1, "labels with blanks between and around them");
  auto from = option("input", {"log_probs", "logits"}, "logarithms of probabilities as they are, or to be normalised first");
  auto normalise = option("normalise", {"none", "target_length"}, "divide each loss by max(target length, 1)?").at_runtime();
  auto zero_infinity = option("zero_infinity", {"off", "on"}, "0 in place of +inf").at_runtime();
  auto x = tensor("input", {t, n, c}, "log-probabilities (<= 0), or logits: any real");
  auto target = labels("target", {n, s}, "classes, without blanks; filled up with -1, beyond target_length with any class or -1").in_range(c).or_minus_one();
  auto input_length = labels("input_length", {n}, "steps that count; absent: T").up_to(t).optional();
  auto target_length = labels("target_length", {n}, "labels that count; absent: S").up_to(s).optional();
  auto blank = param("blank", 0, "class that stands for no label").integer().at_least(0);

  const double never = -std::numeric_limits<double>::infinity();
  auto steps = input_length.given() ? input_length(n) : extent(t) + 0;
  auto padding = to_int(min(s, select(target(n, s) < 0, number(s), number(extent(s)))));  // where it begins
  auto length = min(padding, target_length.given() ? target_length(n) : extent(s) + 0);
  auto log_p = [&](Arg label) { return x(t, n, label) - (from.is("logits") ? logsumexp(c, x(t, n, c)) : Expr(number(0))); };
  auto label = [&](Expr at) { return target(n, at); };
  auto emit = select(k % 2 == 0, log_p(blank), select(label(k / 2) >= 0, log_p(label(k / 2)), never));
  auto skips = k % 2 == 1 && k > 1 && label(k / 2) != label(k / 2 - 1);
  auto last = iterate(t, {{{n, k}, select(k == 0, 0.0, never)}}, [&](const std::vector<Expr>& v) {
    const Expr a = v[0], one = select(k > 0, at(a, k, k - 1), never), two = select(skips, at(a, k, k - 2), never);
    return std::vector<Expr>{select(t < steps, emit + log_add_exp({a, one, two}), a)};
  })[0];
  auto loss = -log_add_exp({at(last, k, 2 * length), select(length > 0, at(last, k, 2 * length - 1), never)});
  auto kept = select(zero_infinity.chosen("on") && loss == -never, 0, loss);
  loss_per(n, kept / select(normalise.chosen("none"), 1.0, number(max(length, 1))));
}
