#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(distance_weighted_miner, "mining") {
  about({
      .title = "Distance-weighted sampling of negatives",
      .paper = "Wu et al. 2017 (Sampling Matters in Deep Embedding Learning), section 4, eqs. 1 to 3",
      .equation = "log q(d) = (D - 2) log d + (D - 3)/2 log(1 - d^2 / 4); weight of negative j of row i ~ 1 / q(max(d_ij, "
                  "cutoff)), 0 from nonzero_loss_cutoff on; draw k takes the first j whose cumulative weight exceeds its "
                  "random number; the number returned is how many negatives row i could have drawn",
      .edges = "A row without such a negative draws -1 and has weights 0.",
      .note = "Feeds margin_loss with pairs = given. Nothing here has a gradient.",
  });
  auto [i, j] = batch_pair("N", "anchors");
  auto m = twin(i, "m"), k = axis("K", "draws of each anchor");
  auto distance = tensor("distance", {i, j}, "distances of unit vectors, 0 to 2").constant();
  auto y = labels("label", {i}, "class of each row; any integer");
  auto uniform = tensor("uniform", {i, k}, "random numbers, 0 <= u < 1").constant();
  auto dimensions = param("dimensions", 128, "width D of the embedding; >= 2").at_least(2).integer();
  auto cutoff = param("cutoff", 0.5, "smaller distances weigh as this one; > 0 and < 2").between(1e-6, 1.999);
  auto farthest = param("nonzero_loss_cutoff", 1.4, "distances from here on are not drawn; 0 to 2").between(0, 2);

  auto d = clamp(distance(i, j), cutoff, 1.9999), n = number(dimensions);
  auto some = y(i) != y(j) && !(distance(i, j) >= farthest);
  auto weight = softmax(j, (2 - n) * log(d) - (n - 3) / 2 * log(1 - sq(d) / 4), some);
  auto reached = sum(m, at(weight, j, m), m <= j) > uniform(i, k);
  // The first that is reached; if rounding leaves none, the last.
  auto drawn = argmin(j, select(reached, j, 2 * extent(j) - j), some);
  output("weight", {i, j}, weight, "probability of each negative");
  output("negative", {i, k}, select(any(j, some), drawn, -1), "row drawn, -1: none");
  loss_per(i, count(j, some));
}
