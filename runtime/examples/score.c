#include "score.h"

#include <math.h>
#include <stdio.h>

#include "util.h"

void normalize(float *x, int n, int d) {
  for (int i = 0; i < n; i++) {
    float sum = 0;
    for (int k = 0; k < d; k++) sum += x[i * d + k] * x[i * d + k];
    const float scale = sum > 0 ? 1 / sqrtf(sum) : 0;
    for (int k = 0; k < d; k++) x[i * d + k] *= scale;
  }
}

/* A list of the k best keys so far, best first. */
enum { MAX_K = 16 };
typedef struct {
  float similarity[MAX_K];
  int32_t label[MAX_K];
  int n;
} nearest;

static void insert(nearest *best, int k, float similarity, int32_t label) {
  if (best->n == k && !(similarity > best->similarity[k - 1])) return;
  int at = best->n < k ? best->n++ : k - 1;
  for (; at > 0 && best->similarity[at - 1] < similarity; at--) {
    best->similarity[at] = best->similarity[at - 1];
    best->label[at] = best->label[at - 1];
  }
  best->similarity[at] = similarity;
  best->label[at] = label;
}

static int32_t vote(const nearest *best) {
  int32_t winner = -1;
  int most = 0;
  for (int a = 0; a < best->n; a++) {
    int votes = 0;
    for (int b = 0; b < best->n; b++) votes += best->label[b] == best->label[a];
    if (votes > most) {
      most = votes;
      winner = best->label[a];
    }
  }
  return winner;
}

double knn_accuracy(const float *keys, const int32_t *key_label, int n_keys, const float *queries,
                    const int32_t *query_label, int n_queries, int d, int k) {
  int right = 0;
  if (k > MAX_K) die("knn_accuracy: k = %d, at most %d", k, MAX_K);
  for (int q = 0; q < n_queries; q++) {
    nearest best = {.n = 0};
    for (int i = 0; i < n_keys; i++) {
      float similarity = 0;
      for (int c = 0; c < d; c++) similarity += queries[q * d + c] * keys[i * d + c];
      insert(&best, k, similarity, key_label[i]);
    }
    right += vote(&best) == query_label[q];
  }
  return (double)right / n_queries;
}

double accuracy(const float *logits, const int32_t *label, int n, int classes) {
  int right = 0;
  for (int i = 0; i < n; i++) {
    int best = 0;
    for (int c = 1; c < classes; c++) {
      if (logits[i * classes + c] > logits[i * classes + best]) best = c;
    }
    right += best == label[i];
  }
  return (double)right / n;
}

int report_accuracy(const char *what, double value) {
  const int bad = !(value > 0.95);
  printf("%s: %.1f %%%s\n", what, 100 * value, bad ? ", but it should be above 95 %" : "");
  return bad;
}
