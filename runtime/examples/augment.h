/* augment.h - new images from old, so that a network learns what a digit is and not what each of these looks like. */
#ifndef AUGMENT_H_
#define AUGMENT_H_

#include "util.h"

/* Warps each of n square images [n, side, side] in place: its four corners move by up to `most` pixels down and across,
 * at random, what lies between them with them, and 0 comes in from outside. That is shift, scale, rotation, shear and
 * perspective in one. */
void warp(float *images, int n, int side, float most, rng *r);

#endif
