/* train.h - the training loop of the examples: the network gives outputs, a loss gives their gradient. */
#ifndef TRAIN_H_
#define TRAIN_H_

#include "digits.h"
#include "network.h"

/* What the loss reads and writes at each step, always in the same place. */
typedef struct {
  int rows, width;
  float *output;  /* [rows, width], the network's */
  int32_t *digit; /* [rows], which digit it was given */
  float *grad;    /* [rows, width], d(loss)/d(output): the loss writes it */
} batch;

batch batch_create(int rows, int width);
void batch_free(batch *b);

/* Reads b->output and b->digit, writes b->grad, returns the loss. */
typedef float (*loss_function)(void *loss);

/* Trains for some epochs, each over the digits in a new order, b->rows at a time (what is left over waits for the next
 * epoch). Prints losses and the time of a step; returns 1 if the loss has not fallen. */
int train_mlp(mlp *m, const digits *train, batch *b, int epochs, float rate, loss_function run, void *loss, rng *r);

#endif
