#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(margin_loss, "metric_learning") {
  about({
      .title = "Margin loss with learnable boundary",
      .paper = "Wu et al. 2017 (Sampling Matters in Deep Embedding Learning), eqs. 4 to 6",
      .equation = "L = (sum_pos max(0, margin + D - beta) + sum_neg max(0, margin - D + beta)) / #{terms > 0} "
                  "+ nu mean beta, D = |u_i - u_j| of unit rows, beta that of the anchor's class",
      .edges = "Without a term above 0 the first part is 0; the number of terms is a constant of the gradient. Equal "
               "embeddings are at distance 0 with gradient 0. A zero embedding stays zero, at distance 1 from unit "
               "rows. A given triplet of negative -1 has its positive's term alone.",
      .note = "pairs = given takes one anchor, positive and negative per term, such as distance_weighted_miner draws.",
  });
  auto [i, j] = batch_pair("N", "items");
  auto d = axis("D", "features"), c = optional_axis("C", "classes with a boundary of their own");
  auto pairs = option("pairs", {"all", "given"}, "all pairs of the batch, or those of the given triplets");
  auto z = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto beta = tensor("beta", {c}, "bound between positives and negatives, 0 to 2, for all or of each class; first 1.2");
  auto margin = param("margin", 0.2, "wanted gap on each side of beta, a distance; >= 0").at_least(0);
  auto nu = param("nu", 0, "weight of beta, which lets it shrink; >= 0").at_least(0);

  auto none_if_0 = [](Expr terms) { return select(terms > 0, 1 / terms, 0); };
  auto y = c.given() ? labels("target", {i}, "class of each row, for a beta of each class").in_range(c)
                     : labels("label", {i}, "class of each row; any integer");
  auto b = [&](Arg row) { return c.given() ? beta(y(row)) : beta(); };
  auto u = normalize(d, z(i, d));
  Expr hinges, terms;
  if (pairs.is("all")) {
    auto dist = norm(d, u - at(u, i, j));  // not sqdist: of duplicates it would leave 1e-8 of rounding, and divide by it
    auto same = y(i) == y(j);
    auto hinge = relu(margin + select(same, dist - b(i), b(i) - dist));
    hinges = sum(i, sum(j, hinge, i != j)), terms = sum(i, count(j, i != j && hinge != 0));
  } else {
    auto t = axis("T", "triplets");
    auto row = [&](const char* name, const char* doc) { return labels(name, {t}, doc).in_range(i); };
    auto a = row("anchor", "row of each anchor")(t), p = row("positive", "row of each positive")(t),
         n = row("negative", "row of each negative, -1: none").or_minus_one()(t);
    auto to = [&](Expr k) { return norm(d, at(u, i, a) - at(u, i, k)); };
    auto pull = relu(margin + to(p) - b(a)), push = select(n >= 0, relu(margin + b(a) - to(n)), 0);
    hinges = sum(t, pull + push), terms = count(t, pull != 0) + count(t, push != 0);
  }
  loss_total(hinges * none_if_0(terms) + nu * mean(c, beta(c)));
}
