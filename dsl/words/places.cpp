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
      {.name = "interpolated", .group = &kPlace, .takes = "interpolated(e, along, place, border)",
       .means = "e at a place of the axis that is a float: linear between the elements at the places below and above, each as "
                "padded() sees it. An infinite one of the two counts also where its share is 0.",
       .derivative = "to the two elements by their shares; of the place the difference of the two, at an element itself that to the "
                     "next",
       .example = VALUE(interpolated(x(c), c, 0.75 * number(c), Border::Edge)),
       .shown = {{{1, 3, 9}, {}, {1, 2.5, 6}, {1.25, 1.25, 0.5}},
                 {{1, kInf, 9}, {}, {kNaN, kInf, kInf}, {1.25, 1.25, 0.5}},
                 {{1, kNaN, 9}, {}, {kNaN, kNaN, kNaN}, {1.25, 1.25, 0.5}},
                 {}},
       .forms = {FORM('f', "ff", "*", Along, interpolated(a[0], n[0], number(n[0]) + 0.9 * tanh(a[1]), Border::Reflect)),
                 FORM('f', "f", "*", Along, interpolated(a[0], n[0], 0.75 * number(n[0]) - 0.2, Border::Zero))},
       .cost = "two lookups for each element"},
      {.name = "resampled", .group = &kPlace, .takes = "resampled(along, out, e)",
       .means = "e spread or shrunk to the length of the axis of `out`: linear between the elements, which are the middles of equal "
                "parts of the axis (align_corners = False of others); beyond the middle of the outermost, that.",
       .derivative = "to the two elements by their shares",
       .example = BODY(auto i = axis("N", "elements"), twice = derived_axis("2N", 2 * extent(i), "twice as many");
                       auto x = tensor("x", {i}, "score"); loss_per(twice, resampled(i, twice, x(i)))),
       .shown = {{{1, 3}, {}, {1, 1.5, 2.5, 3}, {2, 2}}, {{0, 4, 0}, {}, {0, 1, 3, 3, 1, 0}, {2, 2, 2}},
                 {{0, kInf, 4}, {}, {kNaN, kInf, kInf, kInf, kInf, 4}, {2, 2, 2}}, {{1, kNaN}, {}, {kNaN, kNaN, kNaN, kNaN}, {2, 2}}, {}},
       .forms = {FORM('f', "f", "**", Parts, resampled(n[0], n[1], a[0]))},
       .shape = "that of e, the axis replaced by that of `out`", .cost = "two lookups for each element"},
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
