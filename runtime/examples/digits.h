/* digits.h - handwritten digits: 8 x 8 grey values each, and which digit it is. */
#ifndef DIGITS_H_
#define DIGITS_H_

#include <stdint.h>

enum { SIDE = 8, PIXELS = SIDE * SIDE, CLASSES = 10, HELD_OUT = 500 };

typedef struct {
  int n;
  float *pixels;  /* [n, PIXELS], 0 to 1 */
  int32_t *digit; /* [n] */
} digits;

/* From a CSV file (a line: 64 values 0..16, then the digit): the last HELD_OUT lines held out, the others to train with.
 * Neighbouring lines are likely of one writer, so these are of writers not met in training. Exits if the file is not so. */
void digits_read(const char *path, digits *train, digits *held_out);
void digits_free(digits *d);

/* Rows picked[0..n) of d, side by side. */
void digits_gather(const digits *d, const int *picked, int n, float *pixels, int32_t *digit);

#endif
