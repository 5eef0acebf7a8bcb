// A step as the work of several workers: pieces of what it writes, parts of what it sums over, pieces that what is converted
// fits into.
#pragma once
#include "runtime/step_call.h"

namespace lossc::rt {

struct Splitter : Caller {
  // A step by several workers, when it is worth it.
  void run_split(int s, float ns, Call call);

 private:
  const Arg& first_written(const Step& step) const;
  // How many there are of what a step is usually cut along.
  int64_t split_extent(const Step& step, const Call& call) const;
  // A step in parts along what it reduces over, each with results of its own, which are then merged in their order.
  void run_parts(int s, int pieces, const Call& call);
  void merge_parts(const Step& step, const Call& call, int parts) const;
  // A step outside a panel loop, piece by piece: what its output needs comes in, what it writes goes out.
  void run_piece(int s, Call call);
  void run_pieces(int s, float ns, Call call);
};

}  // namespace lossc::rt
