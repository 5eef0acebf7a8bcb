#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(vae_elbo, "generative") {
  about({
      .title = "Negative evidence lower bound of a VAE",
      .paper = "Kingma and Welling 2014 (Auto-Encoding Variational Bayes), eq. 10 and appendix B; beta: Higgins et al. "
               "2017; free bits: Kingma et al. 2016, appendix C.8",
      .equation = "L = sum_d R(x_d, f_d) + beta sum_z max(KL_z, free_bits), KL_z = 1/2 (mu^2 + s^2 - log s^2 - 1); "
                  "R: (x - f)^2, or softplus(f) - x f, or |x - f|; free_bits_of = batch: max(mean of KL_z over the batch, free_bits)",
      .edges = "A dimension whose KL is below free_bits gets no gradient from it. For batch it is the mean over all rows, dropped "
               "ones too, that decides: each row has its own KL_z or free_bits, of which the maximum is the mean. "
               "s^2 beyond the largest number is +inf.",
      .note = "Sums over features and latent dimensions; the mean is over the batch. mse is a Gaussian of variance 1/2 "
              "up to a constant; for variance v multiply beta by 2 v.",
  });
  auto n = axis("N", "batch"), d = axis("D", "features").flat(), z = axis("Z", "latent dimensions");
  auto recon = option("reconstruction", {"mse", "bce", "l1"}, "Gaussian, Bernoulli or Laplace likelihood of the data");
  auto bits_of = option("free_bits_of", {"sample", "batch"}, "what is held to free_bits: each row's divergence, or their mean")
                     .at_runtime();
  auto output_ = tensor("output", {n, d}, "reconstruction; for bce its log-odds; any real");
  auto target = tensor("target", {n, d}, "the data; 0 to 1 for bce").constant();
  auto mean_ = tensor("mean", {n, z}, "mean of the latent Gaussian; any real");
  auto log_variance = tensor("log_variance", {n, z}, "logarithm of its variance; any real");
  auto beta = param("beta", 1, "weight of the divergence; >= 0").at_least(0);
  auto free_bits = param("free_bits", 0, "least divergence of a latent dimension, nats; >= 0; 0: off").at_least(0);

  auto f = output_(n, d), x = target(n, d), lv = log_variance(n, z);
  auto r = recon.is("mse") ? sq(x - f) : recon.is("bce") ? softplus(f) - x * f : abs(x - f);
  auto kl = 0.5 * (sq(mean_(n, z)) + expm1(lv) - lv);
  auto held = select(bits_of.chosen("batch"), mean(n, kl), kl);
  loss_per(n, sum(d, r) + beta * sum(z, select(held < free_bits && free_bits > 0, free_bits, kl)));
}
