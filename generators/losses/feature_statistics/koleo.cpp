#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(koleo, "feature_statistics") {
  about({
      .title = "KoLeo, differential entropy regulariser",
      .paper = "Sablayrolles et al. 2019 (Spreading Vectors for Similarity Search), eq. 4; Oquab et al. 2023 (DINOv2)",
      .equation = "L_i = -log(min_{j != i} |u_i - u_j| + eps), u = z / |z|",
      .edges = "Of equally near neighbours the lowest index is taken. Duplicates give -log eps with gradient 0. A row "
               "alone is dropped. A zero vector stays zero, at distance 1 from unit rows.",
  });
  auto [i, j] = batch_pair("N", "rows");
  auto d = axis("D", "features");
  auto z = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto eps = param("eps", 1e-8, "added to the distance; > 0").positive();

  // A quotient, not a product with 1 / |z|: duplicates up to a power of 2 stay equal to the last bit.
  auto size = norm(d, z(i, d)), u = select(size == 0, 0, z(i, d) / size);
  auto nearest = argmax(j, dot(d, u, at(u, i, j)), i != j);
  loss_per(i, -log(norm(d, u - at(u, i, nearest)) + eps), extent(i) > 1);
}
