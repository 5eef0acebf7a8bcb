/* util.h - what every example needs: memory, the end, random numbers, the time, tensors. */
#ifndef UTIL_H_
#define UTIL_H_

#include <dlpack/dlpack.h>
#include <stddef.h>
#include <stdint.h>

void die(const char *format, ...); /* prints, exits with 1 */
void *need(size_t bytes);          /* zeroed, 64-byte aligned; dies if there is none */
double seconds(void);              /* since some moment */

/* The same numbers on every machine. */
typedef struct {
  uint64_t state;
} rng;
float rng_uniform(rng *r); /* [0, 1) */
void rng_shuffle(rng *r, int *list, int n);

/* A dense tensor on the CPU. Shape and data stay the caller's. */
DLTensor tensor_f32(float *data, int ndim, int64_t *shape);
DLTensor tensor_i32(int32_t *data, int ndim, int64_t *shape);

#endif
