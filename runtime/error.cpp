#include "runtime/error.h"

#include <cstdarg>

namespace lossc::rt {

lossc_status fail(lossc_error* err, lossc_status code, const char* format, ...) {
  if (err != nullptr) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
  }
  return code;
}

lossc_status read_sized(const void* from, void* to, size_t size, size_t oldest, const char* name, lossc_error* err) {
  if (from == nullptr) return fail(err, LOSSC_E_ARGUMENT, "%s is NULL", name);
  size_t given;
  memcpy(&given, from, sizeof given);
  // No version of the struct will be larger than a page; a size that is was never set.
  if (given < oldest || given > 4096) {
    return fail(err, LOSSC_E_ABI, "%s: struct_size is %zu, this library knows sizes from %zu to %zu", name, given,
                oldest, size);
  }
  memset(to, 0, size);
  memcpy(to, from, given < size ? given : size);
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (size_t i = size; i < given; ++i) {
    if (bytes[i] != 0) {
      return fail(err, LOSSC_E_ABI,
                  "%s: byte %zu is set, but this library knows only the first %zu: it is older than the program", name,
                  i, size);
    }
  }
  return LOSSC_OK;
}

void Text::add(const char* format, ...) {
  va_list args;
  va_start(args, format);
  const size_t room = size < capacity ? capacity - size : 0;
  const int n = vsnprintf(room > 0 ? to + size : nullptr, room, format, args);
  va_end(args);
  if (n > 0) size += static_cast<size_t>(n);
}

}  // namespace lossc::rt

extern "C" const char* lossc_status_name(lossc_status status) {
  switch (status) {
    case LOSSC_OK:
      return "LOSSC_OK";
    case LOSSC_E_ARGUMENT:
      return "LOSSC_E_ARGUMENT";
    case LOSSC_E_UNSUPPORTED:
      return "LOSSC_E_UNSUPPORTED";
    case LOSSC_E_WORKSPACE:
      return "LOSSC_E_WORKSPACE";
    case LOSSC_E_MEMORY:
      return "LOSSC_E_MEMORY";
    case LOSSC_E_DEVICE:
      return "LOSSC_E_DEVICE";
    case LOSSC_E_COMM:
      return "LOSSC_E_COMM";
    case LOSSC_E_ABI:
      return "LOSSC_E_ABI";
    case LOSSC_E_INTERNAL:
      return "LOSSC_E_INTERNAL";
    default:
      return "unknown lossc_status";
  }
}
