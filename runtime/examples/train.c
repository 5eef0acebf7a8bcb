#include "train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "augment.h"

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

typedef struct {
  loss_function run;
  void *loss;
  rng *random;
  int steps, step;  /* of all epochs; done so far */
  double loss_time; /* seconds spent in the loss */
} training;

static float falling_rate(const training *t) {
  const float pi = 3.14159265f;
  return RATE * 0.5f * (1 + cosf(pi * (float)t->step / (float)t->steps));
}

/* The mean loss over one epoch. */
static double train_epoch(training *t, mlp *m, const digits *train, const int *order, batch *b, float *pixels) {
  const int steps = train->n / b->rows;
  double sum = 0;
  for (int s = 0; s < steps; s++, t->step++) {
    digits_gather(train, order + s * b->rows, b->rows, pixels, b->digit);
    warp(pixels, b->rows, SIDE, WARP, t->random);
    mlp_forward(m, pixels, b->rows, b->output);
    const double start = seconds();
    sum += t->run(t->loss);
    t->loss_time += seconds() - start;
    mlp_train(m, pixels, b->grad, b->rows, falling_rate(t));
  }
  return sum / steps;
}

int train_mlp(mlp *m, const digits *train, batch *b, loss_function run, void *loss, rng *r) {
  training t = {run, loss, r, EPOCHS * (train->n / b->rows), 0, 0};
  double first = 0, last = 0;
  float *pixels = need(sizeof(float) * PIXELS * (size_t)b->rows);
  int *order = need(sizeof(int) * (size_t)train->n);
  for (int i = 0; i < train->n; i++) order[i] = i;
  const double start = seconds();
  for (int epoch = 1; epoch <= EPOCHS; epoch++) {
    rng_shuffle(r, order, train->n);
    last = train_epoch(&t, m, train, order, b, pixels);
    if (epoch == 1) first = last;
    if (epoch == 1 || epoch % (EPOCHS / 5) == 0) printf("  epoch %3d: loss %.4f\n", epoch, last);
  }
  const double time = seconds() - start;
  printf("  %d steps of %d rows, %.3f ms each; %.3f ms of it the loss with its gradient\n", t.steps, b->rows,
         1e3 * time / t.steps, 1e3 * t.loss_time / t.steps);
  free(pixels);
  free(order);
  if (last < first) return 0;
  printf("  the loss has not fallen\n");
  return 1;
}
