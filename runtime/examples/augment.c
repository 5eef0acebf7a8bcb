#include "augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float pixel(const float *image, int side, int row, int column) {
  return row < 0 || row >= side || column < 0 || column >= side ? 0 : image[row * side + column];
}

static float mix(float a, float b, float share) { return a + share * (b - a); }

/* The image at a point between its pixels. */
static float at(const float *image, int side, float row, float column) {
  const int r = (int)floorf(row), c = (int)floorf(column);
  const float down = row - (float)r, across = column - (float)c;
  return mix(mix(pixel(image, side, r, c), pixel(image, side, r, c + 1), across),
             mix(pixel(image, side, r + 1, c), pixel(image, side, r + 1, c + 1), across), down);
}

void warp(float *images, int n, int side, float most, rng *r) {
  const size_t pixels = (size_t)(side * side);
  float *old = need(sizeof(float) * pixels);
  for (int i = 0; i < n; i++) {
    float *image = images + (size_t)i * pixels, moved[2][2][2]; /* [down or across][top, bottom][left, right] */
    for (int k = 0; k < 8; k++) moved[k / 4][k / 2 % 2][k % 2] = most * (2 * rng_uniform(r) - 1);
    memcpy(old, image, sizeof(float) * pixels);
    for (int row = 0; row < side; row++) {
      for (int column = 0; column < side; column++) {
        const float v = (float)row / (float)(side - 1), u = (float)column / (float)(side - 1);
        float from[2] = {(float)row, (float)column};
        for (int k = 0; k < 2; k++)
          from[k] += mix(mix(moved[k][0][0], moved[k][0][1], u), mix(moved[k][1][0], moved[k][1][1], u), v);
        image[row * side + column] = at(old, side, from[0], from[1]);
      }
    }
  }
  free(old);
}
