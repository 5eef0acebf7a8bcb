#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(hl_gauss, "regression") {
  about({
      .title = "HL-Gauss, histogram loss with Gaussian target",
      .paper = "Imani and White 2018 (Improving Regression Performance with Distributional Losses); Farebrother et al. "
               "2024 (Stop Regressing)",
      .equation = "e_j = low + j d, d = (high - low) / M, F(e) = 1/2 erf((e - y) / (sqrt 2 s)), s = sigma d; "
                  "q_j = (F(e_{j+1}) - F(e_j)) / (F(e_M) - F(e_0)); L = -sum_j q_j log softmax(x)_j",
      .edges = "A target outside [low, high] counts as the nearer end. The target gets no gradient.",
  });
  auto n = axis("N", "rows"), j = axis("M", "bins of the histogram, usually 51 to 101");
  auto logits = tensor("logits", {n, j}, "unnormalised log-probabilities of the bins; any real");
  auto target = tensor("target", {n}, "observation").constant();
  auto low = param("low", -1, "lower end of the first bin, in the units of the target");
  auto high = param("high", 1, "upper end of the last bin; > low");
  auto sigma = param("sigma", 0.75, "deviation of the Gaussian, in bins; > 0").positive();

  auto d = (high - low) / extent(j);
  // Kept within the support, at least half of the Gaussian is on it: the divisor does not vanish.
  auto y = clamp(target(n), low, high);
  // Beyond +-8 lies less than 1e-28; as 0 it costs no arithmetic on subnormal numbers, which is slow.
  auto place = [&](Arg edge) { return clamp((low + edge * d - y) / (1.41421356237309505 * sigma * d), -8, 8); };
  // The mass of a bin is a difference of two tails, those on its own side of y: a few sigma away the others are 2, and erf
  // is 1, at both edges.
  auto u = place(j), v = place(j + 1);
  auto above = u + v > 0;
  auto mass = erfc(select(above, u, -v)) - erfc(select(above, v, -u));
  auto q = mass / (erf(place(extent(j))) - erf(place(0)));
  auto x = logits(n, j);
  loss_per(n, logsumexp(j, x) * sum(j, q) - sum(j, q * x, q != 0));
  output("prediction", {n}, sum(j, softmax(j, x) * (low + (j + 0.5) * d)), "mean of the predicted histogram");
  output("target_probability", {n, j}, q, "the histogram q that the logits are compared with");
}
