/* score.h - how good an embedding or a classifier is, and whether that is good enough. */
#ifndef SCORE_H_
#define SCORE_H_

#include <stdint.h>

/* Rows x[n, d] to length 1. */
void normalize(float *x, int n, int d);

/* Share of the queries whose label most of their k nearest keys (k <= 16, by cosine; both normalised) have. A tie goes
 * to the label whose nearest key is nearest. */
double knn_accuracy(const float *keys, const int32_t *key_label, int n_keys, const float *queries,
                    const int32_t *query_label, int n_queries, int d, int k);

/* Share of the rows whose largest logit is the label's. */
double accuracy(const float *logits, const int32_t *label, int n, int classes);

/* Prints the accuracy and whether it is above the 95 % that the demo asks for; returns 1 if not. */
int report_accuracy(const char *what, double value);

#endif
