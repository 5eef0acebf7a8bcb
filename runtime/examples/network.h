/* network.h - as much of a neural network as the examples need: dense layers, one hidden ReLU, Adam. Written for
 * reading; the losses are lossc's. */
#ifndef NETWORK_H_
#define NETWORK_H_

#include "util.h"

/* y = x W + b. */
typedef struct {
  int in, out, steps;
  float *w;             /* [in + 1, out]: W, and b as the last row */
  float *grad;          /* as w; of the last layer_backward */
  float *mean, *square; /* as w; Adam's running means of grad and grad^2 */
} layer;

layer layer_create(int in, int out, rng *r); /* uniform in +-sqrt(6 / in) (He et al. 2015), b = 0 */
void layer_free(layer *l);
void layer_forward(const layer *l, const float *x, int rows, float *y);
/* From grad_y = d(loss)/dy to l->grad and, unless NULL, grad_x. */
void layer_backward(layer *l, const float *x, const float *grad_y, int rows, float *grad_x);
void layer_adam(layer *l, float rate); /* Kingma and Ba 2015, algorithm 1, with their constants */

/* y = relu(x W1 + b1) W2 + b2, for at most max_rows rows at a time. */
typedef struct {
  layer first, second;
  int max_rows;
  float *hidden, *grad_hidden; /* [max_rows, first.out] */
} mlp;

mlp mlp_create(int in, int hidden, int out, int max_rows, rng *r);
void mlp_free(mlp *m);
void mlp_forward(mlp *m, const float *x, int rows, float *y);
void mlp_train(mlp *m, const float *x, const float *grad_y, int rows, float rate); /* after mlp_forward of the same x */

#endif
