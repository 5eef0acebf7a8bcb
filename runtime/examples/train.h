/* train.h - the training loop of the examples: the network gives outputs, a loss gives their gradient. */
#ifndef TRAIN_H_
#define TRAIN_H_

#include "digits.h"
#include "network.h"

/* Chosen on the digits to train with alone, each third of them judged by a network trained on the other two. */
enum { HIDDEN = 512, BATCH = 128, EPOCHS = 300 };
#define RATE 3e-3f /* of Adam, at the start */
#define WARP 1.5f  /* pixels that a corner moves at most */

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

/* Trains for some epochs, each over the digits in a new order, warped anew, b->rows at a time (what is left over waits
 * for the next epoch). The learning rate falls to 0 as half a cosine does (Loshchilov and Hutter 2017). Prints losses
 * and the time of a step; returns 1 if the loss has not fallen. */
int train_mlp(mlp *m, const digits *train, batch *b, loss_function run, void *loss, rng *r);

#endif
