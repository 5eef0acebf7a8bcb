#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

layer layer_create(int in, int out, rng *r) {
  const size_t bytes = sizeof(float) * (size_t)(in + 1) * (size_t)out;
  layer l = {in, out, 0, need(bytes), need(bytes), need(bytes), need(bytes)};
  const float bound = sqrtf(6.0f / (float)in);
  for (int k = 0; k < in * out; k++) l.w[k] = bound * (2 * rng_uniform(r) - 1);
  return l;
}

void layer_free(layer *l) {
  free(l->w);
  free(l->grad);
  free(l->mean);
  free(l->square);
}

/* a += factor b */
static void add_scaled(float *restrict a, float factor, const float *restrict b, int n) {
  for (int k = 0; k < n; k++) a[k] += factor * b[k];
}

static float dot(const float *a, const float *b, int n) {
  float sum = 0;
  for (int k = 0; k < n; k++) sum += a[k] * b[k];
  return sum;
}

void layer_forward(const layer *l, const float *x, int rows, float *y) {
  for (int i = 0; i < rows; i++) {
    float *y_i = y + i * l->out;
    memcpy(y_i, l->w + l->in * l->out, sizeof(float) * (size_t)l->out);
    for (int k = 0; k < l->in; k++) add_scaled(y_i, x[i * l->in + k], l->w + k * l->out, l->out);
  }
}

void layer_backward(layer *l, const float *x, const float *grad_y, int rows, float *grad_x) {
  memset(l->grad, 0, sizeof(float) * (size_t)(l->in + 1) * (size_t)l->out);
  for (int i = 0; i < rows; i++) {
    const float *g = grad_y + i * l->out;
    for (int k = 0; k < l->in; k++) add_scaled(l->grad + k * l->out, x[i * l->in + k], g, l->out);
    add_scaled(l->grad + l->in * l->out, 1, g, l->out);
    if (!grad_x) continue;
    for (int k = 0; k < l->in; k++) grad_x[i * l->in + k] = dot(l->w + k * l->out, g, l->out);
  }
}

void layer_adam(layer *l, float rate) {
  const float b1 = 0.9f, b2 = 0.999f;
  l->steps++;
  const float mean_scale = 1 / (1 - powf(b1, (float)l->steps)), square_scale = 1 / (1 - powf(b2, (float)l->steps));
  for (int k = 0; k < (l->in + 1) * l->out; k++) {
    l->mean[k] = b1 * l->mean[k] + (1 - b1) * l->grad[k];
    l->square[k] = b2 * l->square[k] + (1 - b2) * l->grad[k] * l->grad[k];
    l->w[k] -= rate * mean_scale * l->mean[k] / (sqrtf(square_scale * l->square[k]) + 1e-8f);
  }
}

mlp mlp_create(int in, int hidden, int out, int max_rows, rng *r) {
  const size_t bytes = sizeof(float) * (size_t)max_rows * (size_t)hidden;
  mlp m = {.max_rows = max_rows, .hidden = need(bytes), .grad_hidden = need(bytes)};
  m.first = layer_create(in, hidden, r);
  m.second = layer_create(hidden, out, r);
  return m;
}

void mlp_free(mlp *m) {
  layer_free(&m->first);
  layer_free(&m->second);
  free(m->hidden);
  free(m->grad_hidden);
}

void mlp_forward(mlp *m, const float *x, int rows, float *y) {
  if (rows > m->max_rows) die("mlp_forward: %d rows, at most %d", rows, m->max_rows);
  layer_forward(&m->first, x, rows, m->hidden);
  for (int k = 0; k < rows * m->first.out; k++) m->hidden[k] = fmaxf(m->hidden[k], 0);
  layer_forward(&m->second, m->hidden, rows, y);
}

void mlp_train(mlp *m, const float *x, const float *grad_y, int rows, float rate) {
  layer_backward(&m->second, m->hidden, grad_y, rows, m->grad_hidden);
  for (int k = 0; k < rows * m->first.out; k++) m->grad_hidden[k] *= m->hidden[k] > 0;
  layer_backward(&m->first, x, m->grad_hidden, rows, NULL);
  layer_adam(&m->first, rate);
  layer_adam(&m->second, rate);
}
