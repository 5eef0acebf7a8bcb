// Sets: of elements that say by an integer to which segment they belong.
#include "dsl/words/entry.h"

#define KEYS " Which segment an element is in, `key` says, an integer; one whose key is no value of `segment` is dropped, as is one " \
             "that is masked out."

namespace lossc::words {

const Group kSet = {"sets",
                    "what e, the key and the mask have, without `over`, and `segment`, on which none of them may depend (a twin, or "
                    "a lookup at the key, may stand for it)",
                    "one pass over the elements, however many segments there are, each row of them after the other: a sum of n has "
                    "up to n roundings"};
namespace {
constexpr const char* kNone = "0: what it gives does not change by a little";
}  // namespace

std::vector<Word> sets() {
  return {
      {.name = "segment_sum", .group = &kSet, .takes = "segment_sum(over, e, key, segment, mask)",
       .means = "For each segment the sum of its elements; 0 when empty." KEYS,
       .derivative = "1 for each element of the segment, 0 where dropped, whatever the element is",
       .example = VALUE(segment_sum(d, x(d), d / 2, c)),
       .shown = {{{1, 2, 3}, {}, {3, 3, 0}, {1, 1, 1}},
                 {{kInf, 1, -kInf, 2}, {}, {kInf, -kInf, 0, 0}, {1, 1, 1, 1}},
                 {{1, kNaN, 2}, {}, {kNaN, 2, 0}, {1, 1, 1}},
                 {}},
       .forms = {FORM('f', "fk", "**", Parts, segment_sum(n[0], a[0], a[1], n[1])),
                 FORM('f', "fkb", "**", Parts, segment_sum(n[0], a[0], a[1] - 1, n[1], a[2]))}},
      {.name = "segment_count", .group = &kSet, .takes = "segment_count(over, key, segment, mask)",
       .means = "For each segment how many elements it has, a float." KEYS, .derivative = kNone,
       .example = VALUE(segment_count(d, to_int(x(d)), c)),
       .shown = {{{0, 2, 2.5, -1, 7}, {}, {1, 0, 2, 0, 0}, {0, 0, 0, 0, 0}},
                 {{kInf, 1, -kInf}, {}, {0, 1, 0}, {0, 0, 0}},
                 {{1, kNaN, 1}, {}, {0, 2, 0}, {0, 0, 0}},
                 {}},
       .forms = {FORM('f', "k", "**", Parts, segment_count(n[0], a[0], n[1])),
                 FORM('f', "kb", "**", Parts, segment_count(n[0], a[0] + 1, n[1], a[1]))}},
      {.name = "segment_mean", .group = &kSet, .takes = "segment_mean(over, e, key, segment, mask)",
       .means = "For each segment the mean of its elements; 0 when empty." KEYS,
       .derivative = "1/n for each of the n elements of the segment, 0 where dropped",
       .example = VALUE(segment_mean(d, x(d), d / 2, c)),
       .shown = {{{1, 2, 3}, {}, {1.5, 3, 0}, {0.5, 0.5, 1}},
                 {{kInf, 1, -kInf, 2}, {}, {kInf, -kInf, 0, 0}, {0.5, 0.5, 0.5, 0.5}},
                 {{1, kNaN, 2}, {}, {kNaN, 2, 0}, {0.5, 0.5, 1}},
                 {}},
       .forms = {FORM('f', "fk", "**", Parts, segment_mean(n[0], a[0], a[1], n[1]))}},
      {.name = "segment_max", .group = &kSet, .takes = "segment_max(over, e, key, segment, mask)",
       .means = "For each segment the greatest of its elements, NaN if any is; -inf when empty." KEYS,
       .derivative = "1 for the greatest of the segment; equal ones share it equally",
       .example = VALUE(segment_max(d, x(d), d / 2, c)),
       .shown = {{{1, 2, 3, 3}, {}, {2, 3, -kInf, -kInf}, {0, 1, 0.5, 0.5}},
                 {{kInf, 1, -kInf}, {}, {kInf, -kInf, -kInf}, {1, 0, 1}},
                 {{1, kNaN, 2}, {}, {kNaN, 2, -kInf}, {0, 1, 1}},
                 {}},
       .forms = {FORM('f', "fk", "**", Parts, clamp(segment_max(n[0], a[0], a[1], n[1]), -4.0, 4.0)),
                 FORM('f', "fkb", "**", Parts, clamp(segment_max(n[0], a[0], a[1], n[1], a[2]), -4.0, 4.0))}},
      {.name = "segment_min", .group = &kSet, .takes = "segment_min(over, e, key, segment, mask)",
       .means = "For each segment the least of its elements, NaN if any is; inf when empty." KEYS,
       .derivative = "1 for the least of the segment; equal ones share it equally",
       .example = VALUE(segment_min(d, x(d), d / 2, c)),
       .shown = {{{1, 2, 3, 3}, {}, {1, 3, kInf, kInf}, {1, 0, 0.5, 0.5}},
                 {{kInf, 1, -kInf}, {}, {1, -kInf, kInf}, {0, 1, 1}},
                 {{1, kNaN, 2}, {}, {kNaN, 2, kInf}, {0, 1, 1}},
                 {}},
       .forms = {FORM('f', "fk", "**", Parts, clamp(segment_min(n[0], a[0], a[1], n[1]), -4.0, 4.0))}},
      {.name = "segment_logsumexp", .group = &kSet, .takes = "segment_logsumexp(over, e, key, segment, mask)",
       .means = "For each segment the log of the sum of the exponentials of its elements, shifted by their maximum so that nothing "
                "overflows; -inf when empty." KEYS,
       .derivative = "the softmax within the segment; 0 where there is nothing, or nothing but -inf",
       .example = VALUE(segment_logsumexp(d, x(d), d / 2, c)),
       .shown = {{{1, 2, 1000}, {}, {2.3133, 1000, -kInf}, {0.26894, 0.73106, 1}},
                 {{kInf, 1, 2, -kInf}, {}, {kInf, 2, -kInf, -kInf}, {kNaN, 0, 1, 0}},
                 {{-kInf, -kInf, 2}, {}, {-kInf, 2, -kInf}, {0, 0, 1}},
                 {{1, kNaN, 2}, {}, {kNaN, 2, -kInf}, {kNaN, kNaN, 1}},
                 {}},
       .forms = {FORM('f', "fk", "**", Parts, clamp(segment_logsumexp(n[0], a[0], a[1], n[1]), -8.0, 8.0)),
                 FORM('f', "fkb", "**", Parts, clamp(segment_logsumexp(n[0], a[0], a[1], n[1], a[2]), -8.0, 8.0))},
       .cost = "two passes over the elements, for the maximum and for the sum, and an exp for each"},
      {.name = "segment_softmax", .group = &kSet, .takes = "segment_softmax(over, e, key, segment, mask)",
       .means = "Of each element exp(e) as a share of the sum of its segment; where dropped, or where all of the segment is -inf, "
                "0." KEYS,
       .derivative = "as of softmax, within the segment", .example = VALUE(segment_softmax(c, x(c), c / 2, d) * y(c)),
       .shown = {{{1, 2, 1000}, {1, 0, 3}, {0.26894, 0, 3}, {0.19661, -0.19661, 0}},
                 {{kInf, 1, 2, -kInf}, {1, 1, 1, 1}, {kNaN, 0, 1, 0}, {kNaN, kNaN, 0, 0}},
                 {{-kInf, -kInf, 2}, {1, 2, 3}, {0, 0, 3}, {0, 0, 0}},
                 {{1, kNaN, 2}, {1, 1, 1}, {kNaN, kNaN, 1}, {kNaN, kNaN, 0}},
                 {}},
       .forms = {FORM('f', "fk", "**", Shares, segment_softmax(n[0], a[0], a[1], n[1])),
                 FORM('f', "fkb", "**", Shares, segment_softmax(n[0], a[0], a[1] - 1, n[1], a[2]))},
       .shape = "of e, the key and the mask, `over` included: its value at the element itself",
       .cost = "two passes over the elements and an exp for each, twice where they are not kept"},
      {.name = "segment_of", .group = &kSet, .takes = "segment_of(over, offset, ends)",
       .means = "The segment of each place where segments lie one after another: segment s has the places from the s-th value of "
                "`offset`, an integer, up to the next one's, so there is one segment less than the axis of `ends` is long; -1 for "
                "places before the first value and from the last one on. A place is i - offset(s) from its segment's begin, and "
                "offset(s + 1) - offset(s) is the segment's length. See Tensor::ascending.",
       .derivative = kNone, .example = VALUE(number(segment_of(c, to_int(x(d)), d))),
       .shown = {{{0, 2, 2}, {}, {0, 0, -1}, {0, 0, 0}},
                 {{0, 0, 2, 4}, {}, {1, 1, 2, 2}, {0, 0, 0, 0}},
                 {{1, 1, 3}, {}, {-1, 1, 1}, {0, 0, 0}},
                 {{0, 2, kInf}, {}, {0, 0, 1}, {0, 0, 0}},
                 {{0, 2, kNaN}, {}, {0, 0, 1}, {0, 0, 0}},
                 {}},
       .forms = {FORM('k', "k", "**", Parts, max(segment_of(n[1], a[0], n[0]), 0))},
       .shape = "what `offset` has, without `ends`, and `over`",
       .cost = "one pass over the ends and one over the places, which one thread walks; at most 2^24 ends"},
      {.name = "bin_of", .group = &kSet, .takes = "bin_of(e, bin, low, high)",
       .means = "Which of equally wide bins from low to high a value is in, an integer; there are as many as the axis of `bin` is "
                "long. A bin has its lower end, and the last one also high itself; values outside, and NaN, are in none: -1.",
       .derivative = kNone, .example = VALUE(number(bin_of(x(c), d, 0.0, 3.0))),
       .shown = {{{0, 1.5, 3}, {}, {0, 1, 2}, {0, 0, 0}},
                 {{1, -0.1, 3.1}, {}, {1, -1, -1}, {0, 0, 0}},
                 {{kInf, -kInf, kNaN}, {}, {-1, -1, -1}, {0, 0, 0}},
                 {}},
       .forms = {FORM('k', "f", "*", Nothing, max(bin_of(a[0], n[0], -2.0, 2.0), 0))},
       .shape = "that of e, low and high together", .cost = "a division and a few comparisons an element"},
      {.name = "histogram", .group = &kSet, .takes = "histogram(over, e, bin, low, high, mask)",
       .means = "How many elements are in each of equally wide bins from low to high, a float. A bin has its lower end, and the last "
                "one also high itself; values outside, and NaN, are in none.",
       .derivative = kNone, .example = VALUE(histogram(d, x(d), c, 0.0, 3.0)),
       .shown = {{{0, 1.5, 3}, {}, {1, 1, 1}, {0, 0, 0}},
                 {{1, 1, 3.1}, {}, {0, 2, 0}, {0, 0, 0}},
                 {{kInf, 2.5, -kInf}, {}, {0, 0, 1}, {0, 0, 0}},
                 {{1, kNaN, 0}, {}, {1, 1, 0}, {0, 0, 0}},
                 {}},
       .forms = {FORM('f', "f", "**", Parts, histogram(n[0], a[0], n[1], -2.0, 2.0)),
                 FORM('f', "fb", "**", Parts, histogram(n[0], a[0], n[1], -2.0, 2.0, a[1]))},
       .shape = "what e and the mask have, without `over`, and `bin`, on which none of them may depend"},
      {.name = "soft_histogram", .group = &kSet, .takes = "soft_histogram(over, e, bin, low, high, mask)",
       .means = "Of bin k the sum of relu(1 - |e - centre_k| / spacing): each element is shared linearly between the two nearest of "
                "equally spaced centres, the first at low and the last at high, so that one within counts 1 in all. Outside, the "
                "share falls to 0 within one spacing; a NaN makes every bin NaN.",
       .derivative = "1/spacing to the centre above, -1/spacing to the one below; at a centre itself that of the side above",
       .example = VALUE(soft_histogram(d, x(d), c, 0.0, 2.0) * y(c)),
       .shown = {{{0.25, 1, 1.5}, {1, 2, 4}, {0.75, 3.5, 2}, {1, 2, 2}},
                 {{-0.5, 2.25, 5}, {1, 2, 4}, {0.5, 0, 3}, {1, -4, 0}},
                 {{kInf, 0.5, -kInf}, {1, 2, 4}, {0.5, 1, 0}, {0, 1, 0}},
                 {{1, kNaN, 0}, {1, 2, 4}, {kNaN, kNaN, kNaN}, {2, kNaN, 1}},
                 {}},
       .forms = {FORM('f', "f", "**", Parts, soft_histogram(n[0], a[0], n[1], -2.0, 2.0)),
                 FORM('f', "fb", "**", Parts, soft_histogram(n[0], a[0], n[1], -2.0, 2.0, a[1]))},
       .shape = "what e and the mask have, without `over`, and `bin`, on which none of them may depend",
       .cost = "one pass over the elements, each of which goes to two bins"},
  };
}

}  // namespace lossc::words
