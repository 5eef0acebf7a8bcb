#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(proxy_anchor, "metric_learning") {
  about({
      .title = "Proxy-Anchor loss",
      .paper = "Kim et al. 2020 (Proxy Anchor Loss for Deep Metric Learning), eq. 4; containers and direction = "
               "proxies: Ren et al. 2024 (Semantic Proxies from Visual Prompts)",
      .equation = "s_ic = cos(x_i, P_c); L = 1/|P+| sum_{c in P+} log(1 + sum_{y_i = c} exp(-alpha (s_ic - delta))) "
                  "+ 1/C sum_c log(1 + sum_{y_i != c} exp(alpha (s_ic + delta))), P+: proxies with a positive; P = (1 - w) proxy + w "
                  "container; with semantic rows z: container_c = unit(m container_c + (1 - m) mean_{y_i = c} unit(z_i))",
      .edges = "A proxy without positives has the negative term only; with none in the batch (no rows) the first term "
               "is 0. With proxies = in_batch C is |P+|, and the sums over proxies are over P+ in either direction. "
               "A zero embedding or proxy has cosine 0 with everything and gradient 0. The container of a class "
               "without rows is only normalised.",
      .note = "Where a recurrent cell makes the new container, give its state of each class as the semantic rows of that "
              "class, with container_momentum = 0.",
  });
  auto i = axis("N", "rows"), c = axis("C", "classes"), d = axis("D", "features");
  auto direction = option("direction", {"batch", "proxies"},
                          "sums run over the batch for each proxy, or (NCA) over the proxies for each row");
  auto positive_norm = option("positive_norm", {"present", "all"},
                              "the positive term of direction = batch is divided by |P+|, or by C").at_runtime();
  auto proxies = option("proxies", {"all", "in_batch"}, "those of all classes, or P+ alone").at_runtime();
  auto x = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto proxy = tensor("proxy", {c, d}, "one row per class; normalised here");
  auto container =
      tensor("container", {c, d}, "semantic part of each proxy, mixed in before normalising").optional().constant();
  auto label = labels("label", {i}, "class of each row").in_range(c);
  auto alpha = param("alpha", 32, "sharpness; > 0").positive();
  auto delta = param("delta", 0.1, "margin, a cosine; >= 0").at_least(0);
  auto share = param("container_weight", 0.5, "share of the container in the proxy, 0 to 1").between(0, 1);
  auto momentum = param("container_momentum", 0.8, "share of the old container in the new, 0 to 1").between(0, 1);

  auto pos = label(i) == c, present = any(i, pos), taken = present || proxies.chosen("all");
  Expr p = proxy(c, d);
  if (container.given()) {
    auto semantic = tensor("semantic", {i, d}, "semantic embedding of each row, of which the container takes up a share; normalised here").optional();
    Expr kept = container(c, d);
    if (semantic.given()) {
      auto batch = segment_mean(i, normalize(d, semantic(i, d)), label(i), c);
      kept = normalize(d, select(present, momentum * kept + (1 - momentum) * batch, kept));
      new_state("new_container", {c, d}, kept, "the container with this batch");
    }
    p = (1 - share) * p + share * kept;
  }
  auto s = cosine(d, x(i, d), p);
  auto pull = [&](Index over) { return softplus(logsumexp(over, -alpha * (s - delta), pos)); };
  auto push = [&](Index over) { return softplus(logsumexp(over, alpha * (s + delta), taken && !pos)); };
  if (direction.is("batch"))
    loss_total(mean(c, pull(i), present || (positive_norm.chosen("all") && taken)) + mean(c, push(i), taken));
  else
    loss_total(mean(i, pull(c) + push(c)));
}
