// Operators, and the leaves that they act on.
#include "dsl/words/entry.h"

namespace lossc::words {

const Group kOperator = {"operators", "what either operand has; an index that one of them lacks is the same all along it",
                         "one operation an element"};
constexpr const char* kNoDerivative = "0: a truth value does not change by a little";
constexpr const char* kOfIntegers = "as the float operation; 0 for integers";

std::vector<Word> operators() {
  return {
      {.name = "+", .group = &kOperator, .takes = "a + b",
       .means = "Sum. Of two integers an integer, else a float.",
       .derivative = kOfIntegers,
       .example = VALUE(x(c) + 2.0 * y(c)), .shown = {{{1, -2, kInf, kInf, kNaN, 0}, {3, 4, 1, -kInf, 1, kNaN}, {7, 6, kInf, kNaN, kNaN, kNaN}, {1, 1, 1, 1, 1, 1}}},
       .forms = {FORM('f', "ff", "", Nothing, a[0] + a[1])}},
      {.name = "-", .group = &kOperator, .takes = "a - b, -a",
       .means = "Difference; negation. Of integers an integer, else a float.",
       .derivative = kOfIntegers,
       .example = VALUE(-x(c) - y(c)), .shown = {{{1, -2, kInf, kInf, kNaN, 0}, {3, 4, 1, -kInf, 1, kNaN}, {-4, -2, -kInf, kNaN, kNaN, kNaN}, {-1, -1, -1, -1, -1, -1}}},
       .forms = {FORM('f', "ff", "", Nothing, a[0] - a[1]), FORM('f', "f", "", Nothing, -a[0])}},
      {.name = "*", .group = &kOperator, .takes = "a * b",
       .means = "Product. Of two integers an integer, else a float. 0 * inf is NaN: what a factor of 0 is to hide goes "
                "under a select or a mask.",
       .derivative = "b and a; 0 for integers",
       .example = VALUE(x(c) * y(c)), .shown = {{{1, -2, 0, kInf, kNaN, 2}, {3, 4, kInf, -kInf, 1, kNaN}, {3, -8, kNaN, -kInf, kNaN, kNaN}, {3, 4, kInf, -kInf, 1, kNaN}}},
       .forms = {FORM('f', "ff", "", Nothing, a[0] * a[1])}},
      {.name = "/", .group = &kOperator, .takes = "a / b",
       .means = "Quotient; of two integers the floor of it (-7 / 2 is -4), and 0 where b is 0.",
       .derivative = "1 / b and -a / b^2, not finite at b = 0; 0 for integers",
       .example = VALUE(x(c) / y(c)), .shown = {{{1, -2, 1, 0, kInf, 1, kNaN}, {4, 4, 0, 0, 2, kInf, 1}, {0.25, -0.5, kInf, kNaN, kInf, 0, kNaN}, {0.25, 0.25, kInf, kInf, 0.5, 0, 1}}},
       .forms = {FORM('f', "ff", "", Nothing, a[0] / (1.5 + sq(a[1])))},
       .cost = "one division an element"},
      {.name = "%", .group = &kOperator, .takes = "a % b",
       .means = "Remainder of integers, with the sign of the divisor: (i - 1) % extent(i) is the place before i, and the "
                "last before 0. 0 where b is 0.",
       .derivative = "0: an integer",
       .example = VALUE(number((c - 1) % 3) + x(c)), .shown = {{{0, 0, 0, 0, kInf, kNaN}, {}, {2, 0, 1, 2, kInf, kNaN}, {1, 1, 1, 1, 1, 1}}},
       .forms = {FORM('k', "", "*", Nothing, (n[0] + 1) % extent(n[0]))},
       .cost = "one integer division an element"},
      {.name = "<", .group = &kOperator, .takes = "a < b", .means = "Less; false where either is NaN.",
       .derivative = kNoDerivative,
       .example = VALUE(number(x(c) < y(c))), .shown = {{{1, 2, -kInf, kNaN, 1}, {1, 3, kInf, 1, kNaN}, {0, 1, 1, 0, 0}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "ff", "", Nothing, a[0] < a[1])}},
      {.name = "<=", .group = &kOperator, .takes = "a <= b", .means = "Less or equal; false where either is NaN.",
       .derivative = kNoDerivative,
       .example = VALUE(number(x(c) <= y(c))), .shown = {{{1, 2, -kInf, kNaN, 1}, {1, 3, kInf, 1, kNaN}, {1, 1, 1, 0, 0}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "kk", "", Nothing, a[0] <= a[1])}},
      {.name = ">", .group = &kOperator, .takes = "a > b", .means = "Greater; false where either is NaN.",
       .derivative = kNoDerivative,
       .example = VALUE(number(x(c) > y(c))), .shown = {{{1, 3, kInf, kNaN, 1}, {1, 2, -kInf, 1, kNaN}, {0, 1, 1, 0, 0}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "", "*", Nothing, n[0] > 0)}},
      {.name = ">=", .group = &kOperator, .takes = "a >= b",
       .means = "Greater or equal; false where either is NaN. A condition that is to keep NaN is written with `!`: !(a < b).",
       .derivative = kNoDerivative,
       .example = VALUE(number(x(c) >= y(c))), .shown = {{{1, 3, kInf, kNaN, 1}, {1, 2, -kInf, 1, kNaN}, {1, 1, 1, 0, 0}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "ff", "", Nothing, a[0] >= a[1])}},
      {.name = "==", .group = &kOperator, .takes = "a == b", .means = "Equal; false where either is NaN.",
       .derivative = kNoDerivative,
       .example = VALUE(number(x(c) == y(c))), .shown = {{{1, 2, kInf, kNaN, 0}, {1, 3, kInf, kNaN, 0}, {1, 0, 1, 0, 1}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "kk", "", Nothing, a[0] == a[1])}},
      {.name = "!=", .group = &kOperator, .takes = "a != b", .means = "Not equal; true where either is NaN.",
       .derivative = kNoDerivative,
       .example = VALUE(number(x(c) != y(c))), .shown = {{{1, 2, kInf, kNaN, 0}, {1, 3, kInf, kNaN, 0}, {0, 1, 0, 1, 0}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "kk", "", Nothing, a[0] != a[1])}},
      {.name = "&&", .group = &kOperator, .takes = "p && q", .means = "Both hold.", .derivative = kNoDerivative,
       .example = VALUE(number(x(c) > 0 && y(c) > 0)), .shown = {{{1, 1, -1, kInf, kNaN}, {1, -1, -1, kInf, 1}, {1, 0, 0, 1, 0}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "bb", "", Nothing, a[0] && a[1])}},
      {.name = "||", .group = &kOperator, .takes = "p || q", .means = "At least one holds.", .derivative = kNoDerivative,
       .example = VALUE(number(x(c) > 0 || y(c) > 0)), .shown = {{{1, 1, -1, kInf, kNaN}, {1, -1, -1, -kInf, 1}, {1, 1, 0, 1, 1}, {0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "bb", "", Nothing, a[0] || a[1])}},
      {.name = "!", .group = &kOperator, .takes = "!p", .means = "Does not hold.", .derivative = kNoDerivative,
       .example = VALUE(number(!(x(c) > 0))), .shown = {{{1, 0, -1, kInf, -kInf, kNaN}, {}, {0, 1, 1, 0, 1, 1}, {0, 0, 0, 0, 0, 0}}},
       .forms = {FORM('b', "b", "", Nothing, !a[0])}},
  };
}

}  // namespace lossc::words
