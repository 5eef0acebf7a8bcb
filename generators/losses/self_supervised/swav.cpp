#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(swav, "self_supervised") {
  about({
      .title = "SwAV, swapped assignments to prototypes",
      .paper = "Caron et al. 2020 (Unsupervised Learning of Visual Features by Contrasting Cluster Assignments), eqs. 2 to 5",
      .equation = "S = z C'; Q of a global view: exp(S / epsilon), its prototypes and then its samples scaled to equal sums, "
                  "iterations times; L_n = mean over g, v != g of -sum_k Q_gk log softmax(S_v / T)_k",
      .edges = "Codes have no gradient. A view is not compared with its own codes; with no other view the loss is 0. Without "
               "iterations the codes are softmax(S / epsilon).",
      .note = "Unit rows of embeddings and prototypes are expected. new_queue exists only when a queue is given, "
              "which then counts in the codes: filling it is the caller's.",
  });
  auto g = axis("G", "global views"), n = axis("N", "images"), d = axis("D", "features"),
       k = axis("K", "prototypes"), times = count_axis("iterations", 3, "of Sinkhorn's scaling");
  auto wide = tensor("global_view", {g, n, d}, "embeddings of the large crops, of which codes are made");
  auto prototypes = tensor("prototypes", {k, d}, "one row per prototype");
  auto epsilon = param("epsilon", 0.05, "evenness of the codes; > 0").positive();
  auto T = param("temperature", 0.1, "divides the scores; > 0").positive();
  auto l = axis("L", "local views"), m = axis("M", "embeddings in the queue");
  auto narrow = tensor("local_view", {l, n, d}, "embeddings of the small crops").optional();
  auto queue = tensor("queue", {g, m, d}, "embeddings of earlier batches").optional().constant();

  auto score = [&](Expr z) { return dot(d, z, prototypes(k, d)); };
  auto s = score(wide(g, n, d));
  auto cost = stop_gradient(s / epsilon), old = queue.given() ? stop_gradient(score(queue(g, m, d)) / epsilon) : cost;
  std::vector<Carried> start{{{g, k}, 0.0}, {{g, n}, 0.0}};
  if (queue.given()) start.push_back({{g, m}, 0.0});
  auto scale = iterate(times, start, [&](const std::vector<Expr>& was) {
    auto mass = logsumexp(n, cost + was[1]);
    if (queue.given()) mass = mass + softplus(logsumexp(m, old + was[2]) - mass);
    std::vector<Expr> now{-mass, -logsumexp(k, cost - mass)};
    if (queue.given()) now.push_back(-logsumexp(k, old - mass));
    return now;
  });
  auto code = stop_gradient(softmax(k, cost + scale[0])), codes = sum(g, code);
  auto nll = [&](Expr s, Expr target, Expr of) { return of * logsumexp(k, s / T) - sum(k, target * s / T); };
  Expr total = sum(g, nll(s, codes - code, extent(g) - 1)), views = number(extent(g));
  if (narrow.given()) {
    total = total + sum(l, nll(score(narrow(l, n, d)), codes, number(extent(g))));
    views = views + number(extent(l));
  }
  loss_per(n, select(views > 1, total / (number(extent(g)) * (views - 1)), 0));
  if (queue.given())
    new_state("new_queue", {g, m, d}, select(m < extent(n), wide(g, min(extent(n) - 1, m), d), queue(g, max(m - extent(n), 0), d)),
              "the batch, and what of the queue is left behind it");
}
