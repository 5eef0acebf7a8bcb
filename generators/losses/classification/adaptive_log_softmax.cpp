#include <lossc/loss.h>
#include <string>
using namespace lossc;

LOSSC_LOSS(adaptive_log_softmax, "classification") {
  about({
      .title = "Adaptive (clustered) log-softmax",
      .paper = "Grave et al. 2017 (Efficient softmax approximation for GPUs), section 4",
      .equation = "z = W x + b over S frequent classes and K clusters of rarer ones; y < S: L = -log softmax(z)_y; "
                  "y in cluster k, at place r: L = -log softmax(z)_{S+k} - log softmax(U_k P_k x)_r",
      .edges = "Classes are numbered from the shortlist through the clusters, in order. Rows whose target is not one of "
               "them (a negative one, say) are dropped.",
      .note = "torch's cutoffs are S, S + V1, S + V1 + V2, ...; its div_value makes E1 = D/4, E2 = D/16 and so on. "
              "There are at most eight clusters, and the tail of each is computed for all rows, not only those of its "
              "classes.",
  });
  auto n = axis("N", "rows (tokens)").flat(), d = axis("D", "features");
  auto h = axis("H", "outputs of the head: classes of the shortlist, then one for each cluster");
  auto clusters = option("clusters", {"1", "2", "3", "4", "5", "6", "7", "8"}, "number of clusters");
  auto x = tensor("embedding", {n, d}, "input of the head; any real");
  auto head = tensor("head_weight", {h, d}, "W, one row per class of the shortlist and per cluster; any real");
  auto bias = tensor("head_bias", {h}, "b; any real; 0 if absent").optional();
  auto y = labels("target", {n}, "class of each row; outside the classes: dropped")(n);

  Expr z = dot(d, x(n, d), head(h, d));
  if (bias.given()) z = z + bias(h);
  auto lse = logsumexp(h, z);
  int K = 1;
  while (!clusters.is(std::to_string(K).c_str())) K++;
  require(extent(h) >= K, "an output of the head for each cluster");
  Expr first = extent(h) - K, loss = lse - at(z, h, min(y, extent(h) - 1));
  for (int k = 0; k < K; k++) {
    const std::string s = std::to_string(k + 1);
    auto e = axis(("E" + s).c_str(), "features of the cluster"), v = axis(("V" + s).c_str(), "classes of the cluster");
    auto down = tensor(("tail_projection_" + s).c_str(), {e, d}, "P of the cluster; any real");
    auto up = tensor(("tail_weight_" + s).c_str(), {v, e}, "U of the cluster, one row per class; any real");
    auto t = dot(e, dot(d, x(n, d), down(e, d)), up(v, e));
    auto rare = lse - at(z, h, extent(h) - K + k) + logsumexp(v, t) - at(t, v, y - first);
    loss = select(y >= first, rare, loss);
    first = first + extent(v);
  }
  loss_per(n, loss, y >= 0 && y < first);
}
