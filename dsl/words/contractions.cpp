// Products over an index, lookups, and what a derivative means.
#include "dsl/words/entry.h"

namespace lossc::words {

const Group kContraction = {"products and lookups", "what the operands have together, without the index",
                            "one multiply-add an element; between two sides of a batch a matrix product, found by the compiler"};
const Group kMeaning = {"what a derivative means", "that of the value", "none"};

std::vector<Word> contractions() {
  return {
      {.name = "dot", .group = &kContraction, .takes = "dot(over, a, b)", .means = "sum(over, a * b).",
       .derivative = "b and a", .example = VALUE(dot(c, x(c), y(c))), .shown = {{{1, 2}, {3, 4}, {11}, {3, 4}},
                 {{3, 4}, {3, 4}, {25}, {3, 4}},
                 {{0, 0}, {1, 1}, {0}, {1, 1}},
                 {{kInf, 1}, {1, 1}, {kInf}, {1, 1}},
                 {{-kInf, 1}, {1, 1}, {-kInf}, {1, 1}},
                 {{kNaN, 1}, {1, 1}, {kNaN}, {1, 1}},
                 {{}, {}, {0}}},
       .forms = {FORM('f', "ff", "*", Reduces, dot(n[0], a[0], a[1]))}},
      {.name = "norm", .group = &kContraction, .takes = "norm(over, a)", .means = "Euclidean length, sqrt(sum(over, a * a)).",
       .derivative = "a / norm; 0 at the zero vector", .example = VALUE(norm(c, x(c))),
       .shown = {{{3, 4}, {}, {5}, {0.6, 0.8}},
                 {{0, 0}, {}, {0}, {0, 0}},
                 {{kInf, 1}, {}, {kInf}, {kNaN, 0}},
                 {{-kInf, 1}, {}, {kInf}, {kNaN, 0}},
                 {{kNaN, 1}, {}, {kNaN}, {kNaN, kNaN}},
                 {{}, {}, {0}}},
       .forms = {FORM('f', "f", "*", Reduces, norm(n[0], a[0]))}},
      {.name = "normalize", .group = &kContraction, .takes = "normalize(over, a)",
       .means = "a / norm(over, a); the zero vector stays zero.",
       .derivative = "that of the quotient; 0 at the zero vector", .example = VALUE(normalize(c, x(c)) * y(c)), .shown = {{{1, 2}, {3, 4}, {1.3416, 3.5777}, {0.35777, -0.17889}},
                 {{3, 4}, {3, 4}, {1.8, 3.2}, {0, 0}},
                 {{0, 0}, {1, 1}, {0, 0}, {0, 0}},
                 {{kInf, 1}, {1, 1}, {kNaN, 0}, {kNaN, kNaN}},
                 {{-kInf, 1}, {1, 1}, {kNaN, 0}, {kNaN, kNaN}},
                 {{kNaN, 1}, {1, 1}, {kNaN, kNaN}, {kNaN, kNaN}},
                 {}},
       .forms = {FORM('f', "f", "*", Along, normalize(n[0], a[0]))}, .shape = "that of a"},
      {.name = "cosine", .group = &kContraction, .takes = "cosine(over, a, b)",
       .means = "Cosine of the angle between two vectors, dot of both normalized; 0 if one is zero.",
       .derivative = "(normalize(b) - cosine normalize(a)) / norm(a); 0 by a vector that is zero",
       .example = VALUE(cosine(c, x(c), y(c))), .shown = {{{1, 2}, {3, 4}, {0.98387}, {0.071554, -0.035777}},
                 {{3, 4}, {3, 4}, {1}, {0, 0}},
                 {{0, 0}, {1, 1}, {0}, {0, 0}},
                 {{kInf, 1}, {1, 1}, {kNaN}, {kNaN, kNaN}},
                 {{-kInf, 1}, {1, 1}, {kNaN}, {kNaN, kNaN}},
                 {{kNaN, 1}, {1, 1}, {kNaN}, {kNaN, kNaN}},
                 {{}, {}, {0}}},
       .forms = {FORM('f', "ff", "*", Reduces, cosine(n[0], a[0], a[1]))}},
      {.name = "sqdist", .group = &kContraction, .takes = "sqdist(over, a, b)",
       .means = "Squared distance, as |a|^2 + |b|^2 - 2 a.b and at least 0, so that between two sides of a batch it is a matrix "
                "product. Near 0 it has an absolute error of eps |a|^2; sum(over, sq(a - b)) has not.",
       .derivative = "2 (a - b); 0 where the value is 0", .example = VALUE(sqdist(c, x(c), y(c))), .shown = {{{1, 2}, {3, 4}, {8}, {-4, -4}},
                 {{3, 4}, {3, 4}, {0}, {0, 0}},
                 {{0, 0}, {1, 1}, {2}, {-2, -2}},
                 {{kInf, 1}, {1, 1}, {kNaN}, {kInf, 0}},
                 {{-kInf, 1}, {1, 1}, {kInf}, {-kInf, 0}},
                 {{kNaN, 1}, {1, 1}, {kNaN}, {kNaN, 0}},
                 {{}, {}, {0}}},
       .forms = {FORM('f', "ff", "*", Reduces, sqdist(n[0], a[0], a[1]))}},
      {.name = "at", .group = &kContraction, .takes = "at(e, index, key)",
       .means = "e with the index replaced by an integer expression: a gather. at(e, c, argmax(c, s)), at(e, i, j) for a twin "
                "j. Of a tensor also x(i, key). The key must lie within the axis; where a label that is to be ignored does not, "
                "the row is dropped or a select hides it.",
       .derivative = "goes to the element looked up, summed over all who look there",
       .example = VALUE(at(sq(x(c)), c, min(c + 1, extent(c) - 1))), .shown = {{{1, 2, 3}, {}, {4, 9, 9}, {0, 4, 12}},
                 {{kInf, 1}, {}, {1, 1}, {0, 4}},
                 {{1, -kInf, kNaN}, {}, {kInf, kNaN, kNaN}, {0, -kInf, kNaN}},
                 {}},
       .forms = {FORM('f', "fk", "*", Looks, at(a[0], n[0], a[1]))}, .shape = "what e has without the index, and what the key has",
       .cost = "a load; what is looked up is kept in memory unless it is a tensor"},
      {.name = "stop_gradient", .group = &kMeaning, .takes = "stop_gradient(e)", .means = "e, taken as a constant.",
       .derivative = "0", .example = VALUE(stop_gradient(x(c)) * x(c)), .shown = {{{1, 2}, {}, {1, 4}, {1, 2}},
                 {{kInf, -kInf, kNaN}, {}, {kInf, kInf, kNaN}, {kInf, -kInf, kNaN}}},
       .forms = {FORM('f', "f", "", Nothing, stop_gradient(a[0]))}},
      {.name = "straight_through", .group = &kMeaning, .takes = "straight_through(value, surrogate)",
       .means = "The value of the first with the derivative of the second: straight_through(round(a), a).",
       .derivative = "of the surrogate; 0 by the value", .example = VALUE(straight_through(round(x(c)), sq(x(c)))),
       .shown = {{{1.2, 2.7}, {}, {1, 3}, {2.4, 5.4}},
                 {{kInf, -kInf, kNaN}, {}, {kInf, -kInf, kNaN}, {kInf, -kInf, kNaN}}},
       // A value that does not change with its surrogate ties with others while their derivatives differ.
       .forms = {FORM('f', "ff", "", Nothing, straight_through(a[0] + 0.01 * a[1], a[1]))}},
      {.name = "custom_gradient", .group = &kMeaning, .takes = "custom_gradient(value, {{input, derivative}, ...})",
       .means = "The value with a derivative of your own: for upstream g each input receives g * derivative, elementwise.",
       .derivative = "as said; whatever the inputs depend on receives it", .example = VALUE(custom_gradient(sq(x(c)), {{x(c), 3.0 * x(c)}})),
       .shown = {{{1, 2}, {}, {1, 4}, {3, 6}},
                 {{kInf, -kInf, kNaN}, {}, {kInf, kInf, kNaN}, {kInf, -kInf, kNaN}}},
       .forms = {FORM('f', "ff", "", Nothing, custom_gradient(sin(a[0]) * a[1], {{a[0], a[1]}, {a[1], cos(a[0])}}))}},
  };
}

}  // namespace lossc::words
