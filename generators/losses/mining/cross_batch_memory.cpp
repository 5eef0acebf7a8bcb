#include <lossc/loss.h>
using namespace lossc;

LOSSC_LOSS(cross_batch_memory, "mining") {
  about({
      .title = "Cross-batch memory with the contrastive loss",
      .paper = "Wang et al. 2020 (Cross-Batch Memory for Embedding Learning), section 3.2 and algorithm 1",
      .equation = "the batch enters the queue at `position`; S_im = cos(z_i, memory_m); L_i = sum_{m: equal label, not i "
                  "itself} max(0, pos_margin - S_im) + sum_{m: other label} max(0, S_im - neg_margin)",
      .edges = "The queue is a constant of the gradient. Slots of label -1 are empty. The batch's rows meet each other in "
               "the queue, none itself. A batch longer than the queue leaves its last rows there.",
      .note = "Another pair loss whose rows are its anchors takes a queue by concatenation: embedding and label are "
              "the batch's and those of the filled slots before it enters, row_mask is 0 on the slots' rows, so that only "
              "the batch's are anchors, and the slots' gradient is ignored. A batch row that another meets then has a "
              "gradient of that, too.",
  });
  auto i = axis("N", "rows of the batch"), m = axis("M", "slots of the queue"), d = axis("D", "features");
  auto z = tensor("embedding", {i, d}, "one row per item; normalised here");
  auto y = labels("label", {i}, "class of each row, >= 0");
  auto memory = tensor("memory", {m, d}, "embeddings of earlier batches").constant();
  auto memory_label = labels("memory_label", {m}, "class of each slot, -1: empty");
  auto position = labels("position", {}, "slot that the batch's first row enters").in_range(m);
  auto pos_margin = param("pos_margin", 1, "cosine below which a positive costs; -1 to 1").between(-1, 1);
  auto neg_margin = param("neg_margin", 0.5, "cosine above which a negative costs; -1 to 1").between(-1, 1);

  auto steps = (m - position()) % extent(m);  // from the entry to this slot; the last lap round the queue stays
  auto entered = steps < extent(i);
  auto row = select(entered, steps + (extent(i) - 1 - steps) / extent(m) * extent(m), 0);
  auto queue = select(entered, stop_gradient(z(row, d)), memory(m, d));
  auto key = select(entered, y(row), memory_label(m));
  auto s = cosine(d, z(i, d), queue);
  auto same = key == y(i), other_row = !(entered && row == i) && key != -1;
  loss_per(i, sum(m, relu(select(same, pos_margin - s, s - neg_margin)), other_row));
  new_state("new_memory", {m, d}, queue, "the queue with this batch");
  new_state("new_memory_label", {m}, key, "its labels");
  new_state("new_position", {}, (position() + extent(i)) % extent(m), "slot that the next batch enters");
}
