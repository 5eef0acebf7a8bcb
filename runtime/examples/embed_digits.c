/* embed_digits DIGITS.CSV [SEED] - an embedding of handwritten digits trained with supcon_out, then a linear classifier
 * on it trained with cross_entropy. Exits with 1 unless the losses fall and both judge over 95 % of the held-out digits
 * right. */
#include <lossc/losses/cross_entropy.h>
#include <lossc/losses/supcon_out.h>
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"
#include "network.h"
#include "score.h"
#include "train.h"

enum { FEATURES = 32, NEIGHBOURS = 5, CLASSIFIER_STEPS = 200 };

static void check(lossc_status status, const lossc_error *error) {
  if (status != LOSSC_OK) die("%s: %s", lossc_status_name(status), error->text);
}

/* supcon_out of a batch: a plan, made once, and where its tensors are. */
typedef struct {
  lossc_supcon_out_call call;
  lossc_plan *plan;
  int64_t shape[2];
  DLTensor embedding, label, loss, grad_embedding;
  float value;
} contrastive;

static void contrastive_create(contrastive *c, batch *b) {
  lossc_error error;
  c->call = lossc_supcon_out_defaults();
  c->shape[0] = b->rows;
  c->shape[1] = b->width;
  c->embedding = tensor_f32(b->output, 2, c->shape);
  c->label = tensor_i32(b->digit, 1, c->shape);
  c->loss = tensor_f32(&c->value, 0, NULL);
  c->grad_embedding = tensor_f32(b->grad, 2, c->shape);
  c->call.in.embedding = &c->embedding;
  c->call.in.label = &c->label;
  c->call.out.loss = &c->loss;
  c->call.out.grad_embedding = &c->grad_embedding;
  c->call.plan.flags = LOSSC_PLAN_REPRODUCIBLE;
  check(lossc_supcon_out_plan(&c->call, &c->plan, &error), &error);
  c->call.run.workspace_size = lossc_plan_workspace_size(c->plan);
  c->call.run.workspace = need(c->call.run.workspace_size);
}

static float contrastive_run(void *user) {
  contrastive *c = user;
  lossc_error error;
  check(lossc_supcon_out_run(c->plan, &c->call, &error), &error);
  return c->value;
}

static void contrastive_free(contrastive *c) {
  lossc_plan_destroy(c->plan);
  free(c->call.run.workspace);
}

static int train_embedding(mlp *network, const digits *train, rng *r) {
  contrastive loss;
  batch b = batch_create(BATCH, FEATURES);
  contrastive_create(&loss, &b);
  printf("supcon_out, network %d -> %d -> %d:\n", PIXELS, HIDDEN, FEATURES);
  const int bad = train_mlp(network, train, &b, contrastive_run, &loss, r);
  contrastive_free(&loss);
  batch_free(&b);
  return bad;
}

/* A linear layer from embeddings to digits, all of them at every step. */
static int train_classifier(layer *linear, float *embedding, int32_t *digit, int n) {
  lossc_error error;
  lossc_plan *plan;
  lossc_cross_entropy_call call = lossc_cross_entropy_defaults();
  float value, first = 0, *logits = need(sizeof(float) * CLASSES * (size_t)n);
  float *grad = need(sizeof(float) * CLASSES * (size_t)n);
  int64_t shape[] = {n, CLASSES};
  const DLTensor logits_tensor = tensor_f32(logits, 2, shape), grad_tensor = tensor_f32(grad, 2, shape);
  const DLTensor target_tensor = tensor_i32(digit, 1, shape), loss_tensor = tensor_f32(&value, 0, NULL);
  call.in.logits = &logits_tensor;
  call.in.target = &target_tensor;
  call.out.loss = &loss_tensor;
  call.out.grad_logits = &grad_tensor;
  call.plan.flags = LOSSC_PLAN_REPRODUCIBLE;
  check(lossc_cross_entropy_plan(&call, &plan, &error), &error);
  call.run.workspace_size = lossc_plan_workspace_size(plan);
  call.run.workspace = need(call.run.workspace_size);

  const double start = seconds();
  printf("cross_entropy, linear classifier %d -> %d on the embeddings:\n", FEATURES, CLASSES);
  for (int step = 1; step <= CLASSIFIER_STEPS; step++) {
    layer_forward(linear, embedding, n, logits);
    check(lossc_cross_entropy_run(plan, &call, &error), &error);
    layer_backward(linear, embedding, grad, n, NULL);
    layer_adam(linear, 0.05f);
    if (step == 1) first = value;
    if (step == 1 || step % (CLASSIFIER_STEPS / 5) == 0) printf("  step %3d: loss %.4f\n", step, value);
  }
  printf("  %d steps of %d rows, %.3f ms each\n", CLASSIFIER_STEPS, n, 1e3 * (seconds() - start) / CLASSIFIER_STEPS);
  lossc_plan_destroy(plan);
  free(call.run.workspace);
  free(logits);
  free(grad);
  if (value < first) return 0;
  printf("  the loss has not fallen\n");
  return 1;
}

int main(int argc, char **argv) {
  digits train, held_out;
  rng r = {argc == 3 ? (uint64_t)atoll(argv[2]) : 1};
  if (argc != 2 && argc != 3) die("embed_digits DIGITS.CSV [SEED]");
  digits_read(argv[1], &train, &held_out);
  printf("%s\n%d digits to train with, %d held out\n", lossc_build_info(), train.n, held_out.n);

  mlp network = mlp_create(PIXELS, HIDDEN, FEATURES, train.n, &r);
  int bad = train_embedding(&network, &train, &r);
  float *z = need(sizeof(float) * FEATURES * (size_t)train.n);
  float *z_held = need(sizeof(float) * FEATURES * (size_t)held_out.n);
  mlp_forward(&network, train.pixels, train.n, z);
  mlp_forward(&network, held_out.pixels, held_out.n, z_held);
  normalize(z, train.n, FEATURES);
  normalize(z_held, held_out.n, FEATURES);
  bad |= report_accuracy("  held-out digits right by their 5 nearest neighbours",
                         knn_accuracy(z, train.digit, train.n, z_held, held_out.digit, held_out.n, FEATURES, NEIGHBOURS));

  layer linear = layer_create(FEATURES, CLASSES, &r);
  bad |= train_classifier(&linear, z, train.digit, train.n);
  float *logits = need(sizeof(float) * CLASSES * (size_t)held_out.n);
  layer_forward(&linear, z_held, held_out.n, logits);
  bad |= report_accuracy("  held-out digits right", accuracy(logits, held_out.digit, held_out.n, CLASSES));

  free(logits);
  free(z);
  free(z_held);
  layer_free(&linear);
  mlp_free(&network);
  digits_free(&train);
  digits_free(&held_out);
  return bad;
}
