// Neighbours and windows along an axis.
#include "dsl/words/entry.h"

namespace lossc::words {

const Group kPlace = {"place", "of the result the operand's indices, the axis replaced by those of the place",
                      "a lookup for each element; a window's sum its length"};

std::vector<Word> places() {
  return {
      {.name = "padded", .group = &kPlace, .takes = "padded(e, along, place, border)",
       .means = "e at an integer place of the axis that may lie outside of it. There is seen Border::Zero: 0; Border::Edge: the "
                "outermost element; Border::Reflect: the axis mirrored at its outermost element; Border::Wrap: its other end. As "
                "far as the axis is long (mirrored: one element less).",
       .derivative = "back to the element that was seen",
       .example = VALUE(padded(x(c), c, c - 1, Border::Edge)),
       .shown = {{{1, 2, 3}, {}, {1, 1, 2}, {2, 1, 0}},
                 {{kInf, 1, -kInf}, {}, {kInf, kInf, 1}, {2, 1, 0}},
                 {{1, kNaN, 2}, {}, {1, 1, kNaN}, {2, 1, 0}},
                 {}},
       .forms = {FORM('f', "f", "*", Along, padded(a[0], n[0], n[0] + 1, Border::Zero)),
                 FORM('f', "f", "*", Along, padded(a[0], n[0], n[0] - 1, Border::Reflect))}},
      {.name = "gaussian", .group = &kPlace, .takes = "gaussian(window, sigma)",
       .means = "Weights over the places of a window, which sum to 1: exp(-d^2 / (2 sigma^2)) up to a factor, d the distance from "
                "the window's centre in places.",
       .derivative = "of sigma, if that has one",
       .example = VALUE(x(c) * gaussian(c, 1.0)),
       .shown = {{{0, 0, 0}, {}, {0, 0, 0}, {0.27407, 0.45186, 0.27407}},
                 {{kInf, 0, -kInf}, {}, {kInf, 0, -kInf}, {0.27407, 0.45186, 0.27407}},
                 {{kNaN, 0, 0}, {}, {kNaN, 0, 0}, {0.27407, 0.45186, 0.27407}},
                 {}},
       .forms = {FORM('f', "f", "*", Along, a[0] * gaussian(n[0], 0.7))}},
      {.name = "pool", .group = &kPlace, .takes = "pool(along, window, out, e)",
       .means = "Means of consecutive elements, as many as the window has places; out runs over extent(along) / extent(window) of "
                "them, and elements left over at the end do not count.",
       .derivative = "an equal share to each element",
       .example = BODY(auto i = axis("N", "elements"), half = derived_axis("N/2", extent(i) / 2, "pairs"), two = axis("2", "of a pair");
                       auto x = tensor("x", {i}, "score"); loss_per(half, pool(i, two, half, x(i)))),
       .shown = {{{1, 3, 5, 7}, {}, {2, 6}, {0.5, 0.5, 0.5, 0.5}}, {{1, 3, 5}, {}, {2}, {0.5, 0.5, 0}},
                 {{kInf, 3, 5, kNaN}, {}, {kInf, kNaN}, {0.5, 0.5, 0.5, 0.5}}, {}},
       .forms = {FORM('f', "f", "*", Along, a[0] - pool(n[0], axis("1", "-"), n[0], a[0]))}},
  };
}

}  // namespace lossc::words
