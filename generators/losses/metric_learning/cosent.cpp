#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(cosent, "metric_learning") {
  about({
      .title = "CoSENT, cosine sentence ranking",
      .paper = "Su 2022 (CoSENT), kexue.fm/archives/8847",
      .equation = "c_i = cos(a_i, b_i); L = log(1 + sum_{i, k: y_i > y_k} exp(scale (c_k - c_i)))",
      .edges = "Pairs of equal score are not compared; with none to compare the loss is 0. A zero embedding has cosine "
               "0 and gradient 0. A score that is NaN is compared with nothing.",
  });
  auto [i, k] = batch_pair("N", "sentence pairs");
  auto d = axis("D", "features");
  auto a = tensor("a", {i, d}, "first sentence of each pair; normalised here");
  auto b = tensor("b", {i, d}, "second sentence of each pair; normalised here");
  auto score = tensor("score", {i}, "how alike the two are, any unit; only its order counts").constant();
  auto scale = param("scale", 20, "inverse temperature of the cosines (lambda); > 0").positive();

  auto c = scale * cosine(d, a(i, d), b(i, d));
  loss_total(softplus(logsumexp(i, logsumexp(k, at(c, i, k), score(i) > score(k)) - c)));
}
