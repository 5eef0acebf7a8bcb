#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(multi_similarity_miner, "mining") {
  about({
      .title = "Multi-similarity miner",
      .paper = "Wang et al. 2019 (Multi-Similarity Loss with General Pair Weighting), section 4.1",
      .equation = "keep negative j of row i if S_ij > min over positives S_i - epsilon, positive j if S_ij < max over "
                  "negatives S_i + epsilon; the number returned is that of the kept pairs of each row",
      .edges = "Without positives no negative is kept, and the other way round. The comparisons are strict.",
      .note = "multi_similarity does the same inside and stores no matrix. Nothing here has a gradient.",
  });
  auto [i, j] = batch_pair("N", "anchors");
  auto similarity = tensor("similarity", {i, j}, "S, such as cosines; any real").constant();
  auto y = labels("label", {i}, "class of each row; any integer");
  auto epsilon = param("epsilon", 0.1, "slack, in the units of S; any real");

  auto s = similarity(i, j);
  auto pos = y(i) == y(j) && i != j, neg = y(i) != y(j);
  auto keep_pos = pos && !(s >= max(j, s, neg) + epsilon), keep_neg = neg && !(s <= min(j, s, pos) - epsilon);
  output("kept_positive", {i, j}, number(keep_pos), "1 where a positive is kept, else 0");
  output("kept_negative", {i, j}, number(keep_neg), "1 where a negative is kept, else 0");
  loss_per(i, count(j, keep_pos || keep_neg));
}
