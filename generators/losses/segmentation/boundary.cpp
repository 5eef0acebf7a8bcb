#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(boundary, "segmentation") {
  about({
      .title = "Boundary loss, alone or with generalised Dice",
      .paper = "Kervadec et al. 2019 (Boundary loss for highly unbalanced segmentation), eq. 5; generalised Dice: Sudre et al. 2017",
      .equation = "L = scale / P sum_p phi_p s_p, s the probability of the class, phi its signed distance map; generalised_dice, of an "
                  "image: region_scale (1 - (2 sum_c w_c sum_p s g + smooth) / (sum_c w_c sum_p (s + g) + smooth)) + mean_c L, "
                  "g = [c is the class of p], w_c = 1 / (sum_p g)^2",
      .edges = "The loss may be negative. A class absent from an image has phi = 0, and loss 0. Linear in s: the "
               "gradient is phi itself. In generalised Dice an absent class weighs as much as the smallest one present.",
      .note = "The paper's schedule is region_scale = a, scale = 1 - a, a falling from 1 to 0.01. Classes of the boundary loss alone are "
              "chosen by the row mask.",
  });
  auto n = axis("N", "images"), c = axis("C", "classes"), p = axis("P", "pixels or voxels").flat();
  auto region = option("region", {"none", "generalised_dice"}, "what the boundary loss is added to; one loss per image then");
  auto s = tensor("probability", {n, c, p}, "of each class, 0 to 1");
  auto phi = tensor("distance", {n, c, p}, "to the boundary of the class, in pixels, negative inside").constant();
  auto scale = param("scale", 1, "factor of the boundary loss; >= 0").at_least(0);

  auto boundary = scale * mean(p, phi(n, c, p) * s(n, c, p));
  if (region.is("none")) return loss_per({n, c}, boundary);
  auto region_scale = param("region_scale", 1, "factor of generalised Dice; >= 0").at_least(0);
  auto smooth = param("smooth", 1e-5, "added to both sides of the ratio; >= 0").at_least(0);
  auto target = labels("target", {n, p}, "class of each pixel").in_range(c);
  auto g = number(c == target(n, p));
  auto pixels = sum(p, g), inverse = 1 / sq(max(pixels, 1));
  auto w = select(pixels > 0, inverse, max(c, select(pixels > 0, inverse, 0)));
  auto size = sum(c, w * sum(p, s(n, c, p) + g)) + smooth;
  auto ratio = select(size == 0, 1, (2 * sum(c, w * sum(p, s(n, c, p) * g)) + smooth) / size);
  loss_per(n, region_scale * (1 - ratio) + mean(c, boundary));
}
