#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(arcface, "margin_softmax") {
  about({
      .title = "ArcFace (additive angular margin)",
      .paper = "Deng et al. 2019 (ArcFace), eq. 3",
      .equation = "t_c = cos(x, W_c) = cos theta_c; phi = cos(theta_y + m) where theta_y < pi - m, else t_y - m sin m; "
                  "L = log(exp(s phi) + sum_{c != y} exp(s t_c)) - s phi",
      .edges =
          "Rows of label -1 are dropped. Beyond pi - m the margin turns linear, so that the target logit keeps falling "
          "with the angle. At theta_y = 0 and pi the slope of sin theta counts as 0. A zero embedding or class "
          "weight has cosine 0 and gradient 0.",
  });
  auto i = axis("N", "rows"), c = axis("C", "classes"), d = axis("D", "features");
  auto gradient = option("gradient", {"exact", "straight_through"},
                         "that of phi, or d phi / d t_y = 1 as in insightface; the value is the same").at_runtime();
  auto easy_margin = option("easy_margin", {"off", "on"}, "on: the margin applies only where t_y > 0").at_runtime();
  auto x = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto weight = tensor("weight", {c, d}, "one centre per class; normalised here");
  auto label = labels("label", {i}, "class of each row, -1: none").in_range(c).or_minus_one();
  auto scale = param("scale", 64, "factor s of the cosines; > 0").positive();
  auto m = param("margin", 0.5, "angle added to the target's, radians, 0 to pi").between(0, 3.14159265358979);

  auto y = label(i);
  auto t = cosine(d, x(i, d), weight(c, d)), t_y = at(t, c, y);
  auto wide = t_y * cos(m) - sqrt(relu(1 - sq(t_y))) * sin(m);
  Expr phi = select(easy_margin.chosen("on"), select(t_y > 0, wide, t_y), select(t_y > -cos(m), wide, t_y - m * sin(m)));
  phi = select(gradient.chosen("straight_through"), straight_through(phi, t_y), phi);
  // log(exp a + exp b) - a = softplus(b - a) keeps the margin out of the class loop.
  loss_per(i, softplus(logsumexp(c, scale * t, c != y) - scale * phi), y >= 0);
}
