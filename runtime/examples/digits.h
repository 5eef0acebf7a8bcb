/* digits.h - handwritten digits: 8 x 8 grey values each, and which digit it is. */
#ifndef DIGITS_H_
#define DIGITS_H_

#include <stdint.h>

enum { PIXELS = 64, CLASSES = 10 };

typedef struct {
  int n;
  float *pixels;  /* [n, PIXELS], 0 to 1 */
  int32_t *digit; /* [n] */
} digits;

/* From a CSV file (a line: 64 values 0..16, then the digit): every fourth line held out, the others to train with. So
 * neighbours in the file, likely of one writer, are on both sides: see the README's limits. Exits if the file is not so. */
void digits_read(const char *path, digits *train, digits *held_out);
void digits_free(digits *d);

/* Rows picked[0..n) of d, side by side. */
void digits_gather(const digits *d, const int *picked, int n, float *pixels, int32_t *digit);

#endif
