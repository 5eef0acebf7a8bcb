#include "digits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static digits digits_create(int n) {
  digits d = {n, need(sizeof(float) * PIXELS * (size_t)n), need(sizeof(int32_t) * (size_t)n)};
  return d;
}

void digits_free(digits *d) {
  free(d->pixels);
  free(d->digit);
}

static void read_line(FILE *file, const char *path, int line, digits *d, int row) {
  for (int k = 0; k <= PIXELS; k++) {
    const int last = k == PIXELS, top = last ? CLASSES - 1 : 16;
    float value;
    if (fscanf(file, last ? "%f" : "%f,", &value) != 1 || !(value >= 0 && value <= (float)top)) {
      die("%s, line %d, value %d: not a number from 0 to %d", path, line, k + 1, top);
    }
    if (last) d->digit[row] = (int32_t)value;
    else d->pixels[row * PIXELS + k] = value / 16;
  }
}

static int count_lines(FILE *file) {
  int n = 0;
  for (int c; (c = getc(file)) != EOF;) n += c == '\n';
  rewind(file);
  return n;
}

void digits_read(const char *path, digits *train, digits *held_out) {
  FILE *file = fopen(path, "r");
  if (!file) die("%s cannot be opened", path);
  const int n = count_lines(file);
  if (n <= HELD_OUT) die("%s has %d lines: want more than the %d that are held out", path, n, HELD_OUT);
  *train = digits_create(n - HELD_OUT);
  *held_out = digits_create(HELD_OUT);
  for (int i = 0; i < n; i++) {
    if (i < train->n) read_line(file, path, i + 1, train, i);
    else read_line(file, path, i + 1, held_out, i - train->n);
  }
  fclose(file);
}

void digits_gather(const digits *d, const int *picked, int n, float *pixels, int32_t *digit) {
  for (int i = 0; i < n; i++) {
    memcpy(pixels + i * PIXELS, d->pixels + picked[i] * PIXELS, sizeof(float) * PIXELS);
    digit[i] = d->digit[picked[i]];
  }
}
