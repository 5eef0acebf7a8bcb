// Statuses, their text, and structs of the caller that may be older or newer than this library.
#pragma once
#include <cstdio>
#include <cstring>

#include "lossc/lossc.h"

namespace lossc::rt {

// Writes one sentence to err (may be null) and returns code.
[[gnu::format(printf, 3, 4)]] lossc_status fail(lossc_error* err, lossc_status code, const char* format, ...);

// Copies a struct whose first member is its size. Members beyond the caller's size read as zero; bytes beyond ours must
// be zero (Linux's copy_struct_from_user), so a program that relies on a newer member gets an error, not silence.
lossc_status read_sized(const void* from, void* to, size_t size, size_t oldest, const char* name, lossc_error* err);

#define LOSSC_TRY(expression)                                                     \
  do {                                                                            \
    if (lossc_status status_ = (expression); status_ != LOSSC_OK) return status_; \
  } while (0)

// Text that is built up in a fixed buffer and cut off at its end. With no buffer it only counts.
struct Text {
  char* to = nullptr;
  size_t capacity = 0;
  size_t size = 0;  // without the terminator, as if nothing had been cut off

  [[gnu::format(printf, 2, 3)]] void add(const char* format, ...);
};

}  // namespace lossc::rt
