// A form in which random definitions use a word: its code, and what it takes and gives.
#pragma once
#include <cstdint>
#include <vector>

#include "lossc/loss.h"

namespace lossc::fuzz {

struct Names {
  Tensor x, y, w, s, z, t, m;
  Param alpha;
};

// How a form treats its index: it only reads it; it reduces over it; it is a function of it and of its operand as a
// whole; it looks up its first operand, a function of that index, elsewhere; it goes along it, or goes along it for the
// end alone, with operands that have no other index than those of the form. Parts: it reduces over the first index into segments that the second
// numbers, with keys along that one's axis and no operand that depends on it; Shares: as that, but it is a function of
// the first index and binds the second.
enum class Binds : uint8_t { Nothing, Reduces, Along, Looks, Scans, Iterates, Parts, Shares };

using Operands = const std::vector<Expr>&;
using At = const std::vector<Index>&;
struct Form {
  const char* text;    // what `build` is in C++, where a[k] are operands, n[k] indices, `v` a number
  char result;         // 'f' float, 'b' truth value, 'k' position along the axis of n[0] (or of the operands), 'C' along C
  const char* args;    // types of the operands; all 'k' of a form are positions along the same axis
  const char* axes;    // of the indices; '*': any
  Binds binds = Binds::Nothing;
  Expr (*build)(const Names& in, At n, Operands a, double v);
};
inline Expr expr(Arg a) { return a; }

}  // namespace lossc::fuzz

// The text of a form and what it does are the same characters, so that a printed definition is the one that failed.
// Operands are kept where a word is finite and smooth almost everywhere: log(0.1 + softplus(a)) and not log(a), or most
// programs would be NaN and say nothing. The maximum of nothing is -inf; clamped, it must leave no NaN in the gradient.
#define LOSSC_FORM(result, args, axes, binds, ...)                                          \
  ::lossc::fuzz::Form {                                                                     \
    #__VA_ARGS__, result, args, axes, ::lossc::fuzz::Binds::binds,                          \
        [](const ::lossc::fuzz::Names& in, ::lossc::fuzz::At n, ::lossc::fuzz::Operands a, double v) -> ::lossc::Expr { \
          using ::lossc::fuzz::expr;                                                        \
          (void)in, (void)n, (void)a, (void)v;                                              \
          return __VA_ARGS__;                                                               \
        }                                                                                   \
  }
