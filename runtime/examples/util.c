#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("error: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

void *need(size_t bytes) {
  const size_t whole = (bytes + 63) / 64 * 64;
  if (whole == 0) return NULL;
  void *p = aligned_alloc(64, whole);
  if (!p) die("no %zu bytes of memory", bytes);
  return memset(p, 0, whole);
}

double seconds(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* splitmix64 (Steele, Lea and Flood 2014) */
static uint64_t next(rng *r) {
  uint64_t z = r->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

float rng_uniform(rng *r) { return (float)(next(r) >> 40) * 0x1p-24f; }

void rng_shuffle(rng *r, int *list, int n) {
  for (int i = n - 1; i > 0; i--) {
    const int j = (int)(next(r) % (uint64_t)(i + 1)), kept = list[i];
    list[i] = list[j];
    list[j] = kept;
  }
}

static DLTensor tensor(void *data, DLDataType dtype, int ndim, int64_t *shape) {
  DLTensor t = {.data = data, .device = {kDLCPU, 0}, .ndim = ndim, .dtype = dtype, .shape = shape};
  return t;
}
DLTensor tensor_f32(float *data, int ndim, int64_t *shape) {
  return tensor(data, (DLDataType){kDLFloat, 32, 1}, ndim, shape);
}
DLTensor tensor_i32(int32_t *data, int ndim, int64_t *shape) {
  return tensor(data, (DLDataType){kDLInt, 32, 1}, ndim, shape);
}
