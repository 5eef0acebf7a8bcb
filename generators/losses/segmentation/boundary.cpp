#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(boundary, "segmentation") {
  about({
      .title = "Boundary loss",
      .paper = "Kervadec et al. 2019 (Boundary loss for highly unbalanced segmentation), eq. 5",
      .equation = "L = scale / P sum_p phi_p s_p, s the probability of the class, phi its signed distance map",
      .edges = "The loss may be negative. A class absent from an image has phi = 0, and loss 0. Linear in s: the "
               "gradient is phi itself.",
      .note = "The paper trains with a (generalised Dice) + (1 - a) (this), a falling from 1 to 0.01: scale is 1 - a. "
              "Classes are chosen by the row mask.",
  });
  auto n = axis("N", "images"), c = axis("C", "classes"), p = axis("P", "pixels or voxels").flat();
  auto s = tensor("probability", {n, c, p}, "of each class, 0 to 1");
  auto phi = tensor("distance", {n, c, p}, "to the boundary of the class, in pixels, negative inside").constant();
  auto scale = param("scale", 1, "factor of the loss; >= 0").at_least(0);

  loss_per({n, c}, scale * mean(p, phi(n, c, p) * s(n, c, p)));
}
