/* train_own_loss DIGITS.CSV [SEED] - a network that tells digits apart, trained with a loss of one's own:
 * poly1_cross_entropy.cpp, made a library by `lossc compile`. Exits with 1 unless the loss falls and over 95 % of the
 * held-out digits are judged right. */
#include <lossc/losses/poly1_cross_entropy.h>
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"
#include "network.h"
#include "score.h"
#include "train.h"

static void check(lossc_status status, const lossc_error *error) {
  if (status != LOSSC_OK) die("%s: %s", lossc_status_name(status), error->text);
}

/* The loss of a batch: a plan, made once, and where its tensors are. */
typedef struct {
  lossc_poly1_cross_entropy_call call;
  lossc_plan *plan;
  int64_t shape[2];
  DLTensor logits, target, loss, grad_logits;
  float value;
} poly1;

static void poly1_create(poly1 *p, batch *b) {
  lossc_error error;
  p->call = lossc_poly1_cross_entropy_defaults();
  p->shape[0] = b->rows;
  p->shape[1] = b->width;
  p->logits = tensor_f32(b->output, 2, p->shape);
  p->target = tensor_i32(b->digit, 1, p->shape);
  p->loss = tensor_f32(&p->value, 0, NULL);
  p->grad_logits = tensor_f32(b->grad, 2, p->shape);
  p->call.in.logits = &p->logits;
  p->call.in.target = &p->target;
  p->call.out.loss = &p->loss;
  p->call.out.grad_logits = &p->grad_logits;
  p->call.plan.flags = LOSSC_PLAN_REPRODUCIBLE;
  check(lossc_poly1_cross_entropy_plan(&p->call, &p->plan, &error), &error);
  p->call.run.workspace_size = lossc_plan_workspace_size(p->plan);
  p->call.run.workspace = need(p->call.run.workspace_size);
}

static float poly1_run(void *user) {
  poly1 *p = user;
  lossc_error error;
  check(lossc_poly1_cross_entropy_run(p->plan, &p->call, &error), &error);
  return p->value;
}

int main(int argc, char **argv) {
  digits train, held_out;
  rng r = {argc == 3 ? (uint64_t)atoll(argv[2]) : 1};
  poly1 loss;
  if (argc != 2 && argc != 3) die("train_own_loss DIGITS.CSV [SEED]");
  digits_read(argv[1], &train, &held_out);
  mlp network = mlp_create(PIXELS, HIDDEN, CLASSES, BATCH > held_out.n ? BATCH : held_out.n, &r);
  batch b = batch_create(BATCH, CLASSES);
  poly1_create(&loss, &b);
  printf("poly1_cross_entropy, network %d -> %d -> %d:\n", PIXELS, HIDDEN, CLASSES);
  int bad = train_mlp(&network, &train, &b, poly1_run, &loss, &r);

  float *logits = need(sizeof(float) * CLASSES * (size_t)held_out.n);
  mlp_forward(&network, held_out.pixels, held_out.n, logits);
  bad |= report_accuracy("  held-out digits right", accuracy(logits, held_out.digit, held_out.n, CLASSES));

  free(logits);
  lossc_plan_destroy(loss.plan);
  free(loss.call.run.workspace);
  batch_free(&b);
  mlp_free(&network);
  digits_free(&train);
  digits_free(&held_out);
  return bad;
}
