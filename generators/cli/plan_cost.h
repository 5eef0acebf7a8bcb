// What a plan costs at given extents: for each step and buffer, and in all.
#pragma once
#include "generators/cli/limit.h"

namespace lossc::cli {

struct StepCost {
  int step;  // of the plan
  int pass;
  bool panel;  // within the loop over panels of rows
  double flops, bytes_read, bytes_written;
};
struct BufferCost {
  int buffer;
  double bytes;  // if all rows were held; a panel holds some of them, once for each thread
};
struct PlanCost {
  std::vector<StepCost> steps;
  std::vector<BufferCost> buffers;                 // those that the steps touch
  std::vector<std::pair<ir::Id, int>> recomputed;  // what several steps compute, each for itself, and how many do
  double product_flops = 0, other_flops = 0;
  // To and from memory: in each pass, whatever is not in a panel, once. Panels are meant to stay in the cache.
  double memory_bytes = 0;
};
PlanCost plan_cost(const plan::Plan& plan, const Form& form, const CallOptions& options);

}  // namespace lossc::cli
