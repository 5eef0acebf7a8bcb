#include "train.h"

#include <stdio.h>
#include <stdlib.h>

batch batch_create(int rows, int width) {
  const size_t bytes = sizeof(float) * (size_t)rows * (size_t)width;
  batch b = {rows, width, need(bytes), need(sizeof(int32_t) * (size_t)rows), need(bytes)};
  return b;
}

void batch_free(batch *b) {
  free(b->output);
  free(b->digit);
  free(b->grad);
}

/* The mean loss over one epoch; adds the seconds spent in the loss. */
static double train_epoch(mlp *m, const digits *train, const int *order, batch *b, float *pixels, float rate,
                          loss_function run, void *loss, double *loss_time) {
  const int steps = train->n / b->rows;
  double sum = 0;
  for (int s = 0; s < steps; s++) {
    digits_gather(train, order + s * b->rows, b->rows, pixels, b->digit);
    mlp_forward(m, pixels, b->rows, b->output);
    const double start = seconds();
    sum += run(loss);
    *loss_time += seconds() - start;
    mlp_train(m, pixels, b->grad, b->rows, rate);
  }
  return sum / steps;
}

int train_mlp(mlp *m, const digits *train, batch *b, int epochs, float rate, loss_function run, void *loss, rng *r) {
  const int steps = epochs * (train->n / b->rows);
  double first = 0, last = 0, loss_time = 0;
  float *pixels = need(sizeof(float) * PIXELS * (size_t)b->rows);
  int *order = need(sizeof(int) * (size_t)train->n);
  for (int i = 0; i < train->n; i++) order[i] = i;
  const double start = seconds();
  for (int epoch = 1; epoch <= epochs; epoch++) {
    rng_shuffle(r, order, train->n);
    last = train_epoch(m, train, order, b, pixels, rate, run, loss, &loss_time);
    if (epoch == 1) first = last;
    if (epoch == 1 || epoch % (epochs / 5) == 0) printf("  epoch %3d: loss %.4f\n", epoch, last);
  }
  const double time = seconds() - start;
  printf("  %d steps of %d rows, %.3f ms each; %.3f ms of it the loss with its gradient\n", steps, b->rows,
         1e3 * time / steps, 1e3 * loss_time / steps);
  free(pixels);
  free(order);
  if (last < first) return 0;
  printf("  the loss has not fallen\n");
  return 1;
}
