// Declarations and results.
#include "dsl/words/entry.h"

namespace lossc::words {

const Group kDeclaration = {"declarations", "none: it is no value", "none"};
const Group kResult = {"results", "as said", "none of its own"};
namespace {
constexpr const char* kForms = "one compiled form for each answer; the runtime picks";
}

std::vector<Word> declarations() {
  return {
      {.name = "about", .group = &kDeclaration, .takes = "about({.title, .paper, .equation, .edges})",
       .means = "What the loss is. All four are required; `edges` says what happens where the formula does not: ties, empty "
                "sums, zero vectors, ignored rows. A .note is added to the documentation.",
       .example = BODY(about({.title = "Square", .paper = "Gauss 1809", .equation = "x^2", .edges = "none"});
                       auto i = axis("N", "rows"); auto x = tensor("x", {i}, "residual"); loss_per(i, sq(x(i)))),
       .shown = {{{1, -3}, {}, {1, 9}, {2, -6}}}},
      {.name = "axis", .group = &kDeclaration, .takes = "axis(name, doc)",
       .means = "An axis of the caller's tensors, and an index over it. Its extent is known when the loss is called; an axis "
                "whose name is a number, axis(\"4\", \"corners\"), has that extent. Some tensor must have it.",
       .example = BODY(auto i = axis("N", "rows"); auto c = axis("2", "coordinates"); auto x = tensor("x", {i, c}, "point");
                       loss_per(i, sum(c, sq(x(i, c))))),
       .shown = {{.x = {1, 2, 3, 4}, .value = {5, 25}, .derivative = {2, 4, 6, 8}, .columns = 2}}},
      {.name = "derived_axis", .group = &kDeclaration, .takes = "derived_axis(name, length, doc)",
       .means = "An axis whose extent follows from those of others. No tensor need have it; one that does is checked.",
       .example = BODY(auto i = axis("N", "elements"), h = derived_axis("N/2", extent(i) / 2, "pairs of neighbours");
                       auto x = tensor("x", {i}, "score"); loss_per(h, x(2 * h) * x(2 * h + 1))),
       .shown = {{{1, 2, 3, 4}, {}, {2, 12}, {2, 1, 4, 3}}}},
      {.name = "count_axis", .group = &kDeclaration, .takes = "count_axis(name, default, doc)",
       .means = "An axis without tensors whose extent the caller chooses when a plan is made, as an option of that name: how often "
                "something is done.",
       .example = BODY(auto i = axis("N", "rows"), k = count_axis("terms", 3, "of the series"); auto x = tensor("x", {i}, "below 1 in size");
                       loss_per(i, sum(k, pow(x(i), number(k))))),
       .shown = {{{0.5, -0.5}, {}, {1.75, 0.75}, {2, 0}}}},
      {.name = "optional_axis", .group = &kDeclaration, .takes = "optional_axis(name, doc)",
       .means = "An axis that the caller's tensors may lack. Where they do, a reduction over it is its operand.",
       .example = BODY(auto i = axis("N", "rows"); auto c = optional_axis("C", "classes"); auto x = tensor("x", {i, c}, "score");
                       loss_per(i, logsumexp(c, x(i, c)))),
       .shown = {{.x = {1, 2}, .value = {1, 2}, .derivative = {1, 1}},
                 {.x = {1, 2, 3, 4}, .value = {2.3133, 4.3133}, .derivative = {0.26894, 0.73106, 0.26894, 0.73106}, .columns = 2}}, .cost = kForms},
      {.name = "twin", .group = &kDeclaration, .takes = "twin(index, name)",
       .means = "Another index over the same axis: pairs of rows, a second position.",
       .example = BODY(auto i = axis("N", "rows"); auto j = twin(i, "j"); auto x = tensor("x", {i}, "score");
                       loss_per(i, sum(j, sq(x(i) - x(j))))),
       .shown = {{{1, 2, 4}, {}, {10, 5, 13}, {-16, -4, 20}}},
       .forms = {FORM('k', "", "*", Nothing, expr(n[0]))}},
      {.name = "batch_pair", .group = &kDeclaration, .takes = "auto [i, j] = batch_pair(name, doc)",
       .means = "Two indices over one axis of the batch: an axis and its twin.",
       .example = BODY(auto [i, j] = batch_pair("N", "rows"); auto x = tensor("x", {i}, "score");
                       loss_per(i, logsumexp(j, x(j) - x(i), i != j))),
       .shown = {{{1, 2, 4}, {}, {3.1269, 2.0486, -1.6867}, {-0.68363, -0.14974, 0.83337}}}},
      {.name = "tensor", .group = &kDeclaration, .takes = "tensor(name, {indices}, doc)",
       .means = "A float input, with a gradient unless it is constant(). One element is x(i, c); an integer expression in "
                "place of an index is a gather. At most six dimensions, or one flat axis for any number of them.",
       .derivative = "1 for the element, summed over all who look there",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); auto y = tensor("y", {i}, "target").constant();
                       loss_per(i, sq(x(i) - y(i)))),
       .shown = {{{1, 2}, {0, 5}, {1, 9}, {2, -6}}},
       .forms = {FORM('f', "", "NC", Nothing, in.x(n[0], n[1])), FORM('f', "", "NC", Nothing, in.y(n[0], n[1])),
                 FORM('f', "", "C", Nothing, in.w(n[0])), FORM('f', "", "N", Nothing, in.s(n[0])), FORM('f', "", "", Nothing, in.z())},
       .shape = "its indices", .cost = "its elements are read once a pass"},
      {.name = "labels", .group = &kDeclaration, .takes = "labels(name, {indices}, doc)",
       .means = "An integer input, i32 or i64: classes, positions, a matching. Used to look up it wants in_range(index).",
       .derivative = "none: integers",
       .example = BODY(auto i = axis("N", "rows"), c = axis("C", "classes"); auto x = tensor("x", {i, c}, "score");
                       auto t = labels("t", {i}, "class").in_range(c); loss_per(i, x(i, t(i)))),
       .shown = {{.x = {1, 2, 3, 4}, .value = {2, 3}, .derivative = {0, 1, 1, 0}, .t = {1, 0}, .columns = 2}},
       .forms = {FORM('C', "", "N", Nothing, in.t(n[0]))}, .shape = "its indices"},
      {.name = "mask", .group = &kDeclaration, .takes = "mask(name, {indices}, doc)",
       .means = "A truth-valued input, one byte each: 0 is false.", .derivative = "none: truth values",
       .example = BODY(auto i = axis("N", "rows"), c = axis("C", "classes"); auto x = tensor("x", {i, c}, "score");
                       auto m = mask("m", {i, c}, "which count"); loss_per(i, sum(c, x(i, c), m(i, c)))),
       .shown = {{.x = {1, 2, 3, 4}, .value = {1, 3}, .derivative = {1, 0, 1, 0}, .columns = 2}},
       .forms = {FORM('b', "", "NC", Nothing, in.m(n[0], n[1]))}, .shape = "its indices"},
      {.name = "param", .group = &kDeclaration, .takes = "param(name, default, doc)",
       .means = "A number given with each call: temperature, margin. The default must lie in the range declared after it.",
       .derivative = "none; a learnable one is tensor(name, {}, doc)",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); auto w = param("weight", 3, "factor");
                       loss_per(i, w * x(i))),
       .shown = {{{1, 2}, {}, {3, 6}, {3, 3}}},
       .forms = {FORM('f', "", "", Nothing, expr(in.alpha))}, .shape = "a single number"},
      {.name = "option", .group = &kDeclaration, .takes = "option(name, {choices}, doc)",
       .means = "A choice by name; the first is the default. Asked in C++ by is(), or on values by chosen().",
       .example = BODY(auto i = axis("N", "rows"); auto o = option("power", {"square", "absolute"}, "of the residual");
                       auto x = tensor("x", {i}, "residual"); loss_per(i, o.is("square") ? sq(x(i)) : abs(x(i)))),
       .shown = {{{1, -3}, {}, {1, 9}, {2, -6}}}, .cost = kForms},
      {.name = "require", .group = &kDeclaration, .takes = "require(condition, text)",
       .means = "What the extents of a call must satisfy. Seen to when a plan is made, before anything runs; the text completes "
                "\"wants ...\".",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); require(extent(i) % 2 == 0, "an even N");
                       loss_per(i, x(i))),
       .shown = {{{1, 2}, {}, {1, 2}, {1, 1}}}, .cost = "none when it runs"},
      {.name = "Index::flat", .group = &kDeclaration, .takes = "axis(name, doc).flat()",
       .means = "The axis stands for any number of dimensions seen as one: the pixels of an image or volume, the elements of a "
                "tensor of any shape. At most one in a tensor.",
       .example = BODY(auto i = axis("N", "elements").flat(); auto x = tensor("x", {i}, "any shape"); loss_per(i, sq(x(i)))),
       .shown = {{.x = {1, 2, 3, 4}, .value = {1, 4, 9, 16}, .derivative = {2, 4, 6, 8}, .columns = 2}}},
      {.name = "Index::given", .group = &kDeclaration, .takes = "index.given()",
       .means = "For an optional axis: whether the caller's tensors have it, in this form. An `if` of C++.",
       .example = BODY(auto i = axis("N", "rows"); auto c = optional_axis("C", "classes"); auto x = tensor("x", {i, c}, "score");
                       loss_per(i, c.given() ? logsumexp(c, x(i, c)) : softplus(x(i, c)))),
       .shown = {{.x = {1, 2}, .value = {1.3133, 2.1269}, .derivative = {0.73106, 0.8808}}}, .cost = kForms},
      {.name = "Param::positive", .group = &kDeclaration, .takes = "param(...).positive()", .means = "It must be above 0.",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score");
                       auto tau = param("temperature", 0.5, "scale, above 0").positive(); loss_per(i, x(i) / tau)),
       .shown = {{{1, 2}, {}, {2, 4}, {2, 2}}}},
      {.name = "Param::at_least", .group = &kDeclaration, .takes = "param(...).at_least(low)", .means = "It must be low or above.",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score");
                       auto m = param("margin", 1, ">= 0").at_least(0); loss_per(i, relu(m - x(i)))),
       .shown = {{{0.5, 2}, {}, {0.5, 0}, {-1, 0}}}},
      {.name = "Param::between", .group = &kDeclaration, .takes = "param(...).between(low, high)",
       .means = "It must be low to high, both allowed.",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score");
                       auto q = param("quantile", 0.9, "0 to 1").between(0, 1); loss_per(i, max(q * x(i), (q - 1.0) * x(i)))),
       .shown = {{{1, -2}, {}, {0.9, 0.2}, {0.9, -0.1}}}},
      {.name = "Param::integer", .group = &kDeclaration, .takes = "param(...).integer()",
       .means = "It is a whole number, and an integer in expressions.",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score");
                       auto k = param("first", 1, "row that counts first").integer(); loss_per(i, x(i), i >= k)),
       .shown = {{{1, 2, 3}, {}, {0, 2, 3}, {0, 1, 1}}}},
      {.name = "Param::is_zero", .group = &kDeclaration, .takes = "param.is_zero()",
       .means = "Whether its value is exactly 0, in this form. An `if` of C++: what it switches off costs nothing.",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score");
                       auto w = param("smoothing", 0.5, ">= 0").at_least(0); loss_per(i, w.is_zero() ? x(i) : x(i) + w * sq(x(i)))),
       .shown = {{{1, 2}, {}, {1.5, 4}, {2, 3}}}, .cost = kForms},
      {.name = "Option::is", .group = &kDeclaration, .takes = "option.is(choice)",
       .means = "Whether this choice is made, in this form. An `if` of C++, for choices that change the loop.",
       .example = BODY(auto i = axis("N", "rows"); auto o = option("sign", {"plus", "minus"}, "of the loss");
                       auto x = tensor("x", {i}, "score"); loss_per(i, o.is("minus") ? -x(i) : x(i))),
       .shown = {{{1, 2}, {}, {1, 2}, {1, 1}}}, .cost = kForms},
      {.name = "Option::at_runtime", .group = &kDeclaration, .takes = "option(...).at_runtime()",
       .means = "For choices that change numbers and no loop: one compiled form serves them all, and chosen() asks.",
       .example = BODY(auto i = axis("N", "rows"); auto o = option("sign", {"plus", "minus"}, "of the loss").at_runtime();
                       auto x = tensor("x", {i}, "score"); loss_per(i, select(o.chosen("minus"), -x(i), x(i)))),
       .shown = {{{1, 2}, {}, {1, 2}, {1, 1}}}},
      {.name = "Option::chosen", .group = &kDeclaration, .takes = "option.chosen(choice)",
       .means = "A condition on values: whether this choice is made in the call. Of options at_runtime().", .derivative = "none: a truth value",
       .example = BODY(auto i = axis("N", "rows"); auto o = option("weighting", {"none", "linear"}, "of rows").at_runtime();
                       auto x = tensor("x", {i}, "score"); loss_per(i, x(i) * select(o.chosen("linear"), number(i), 1.0))),
       .shown = {{{1, 2}, {}, {1, 2}, {1, 1}}}, .shape = "a single truth value"},
      {.name = "Tensor::optional", .group = &kDeclaration, .takes = "tensor(...).optional()",
       .means = "The caller may leave it out. Ask given() before it is used.",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); auto y = tensor("y", {i}, "offset").optional();
                       loss_per(i, y.given() ? sq(x(i) - y(i)) : sq(x(i)))),
       .shown = {{{1, 2}, {}, {1, 4}, {2, 4}},
                 {{1, 2}, {0, 5}, {1, 9}, {2, -6}}}, .cost = kForms},
      {.name = "Tensor::given", .group = &kDeclaration, .takes = "tensor.given()",
       .means = "Whether the caller gives it, in this form. An `if` of C++.",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); auto y = tensor("y", {i}, "weight").optional();
                       loss_per(i, y.given() ? x(i) * y(i) : x(i))),
       .shown = {{{1, 2}, {}, {1, 2}, {1, 1}},
                 {{1, 2}, {0, 5}, {0, 10}, {0, 5}}}, .cost = kForms},
      {.name = "Tensor::constant", .group = &kDeclaration, .takes = "tensor(...).constant()", .means = "No gradient is offered for it.",
       .derivative = "none offered",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); auto y = tensor("y", {i}, "target").constant();
                       loss_per(i, x(i) * y(i))),
       .shown = {{{1, 2}, {3, 4}, {3, 8}, {3, 4}}}},
      {.name = "Tensor::in_range", .group = &kDeclaration, .takes = "labels(...).in_range(index)",
       .means = "Its values are positions along that axis, 0 to the extent less 1; a call with others is refused.",
       .example = BODY(auto i = axis("N", "rows"), c = axis("C", "classes"); auto x = tensor("x", {i, c}, "score");
                       auto t = labels("t", {i}, "class").in_range(c); loss_per(i, logsumexp(c, x(i, c)) - x(i, t(i)))),
       .shown = {{.x = {1, 2, 3, 4}, .value = {0.31326, 1.3133}, .derivative = {0.26894, -0.26894, -0.73106, 0.73106}, .t = {1, 0}, .columns = 2}}},
      {.name = "Tensor::up_to", .group = &kDeclaration, .takes = "labels(...).up_to(index)",
       .means = "Its values are lengths along that axis, 0 to the extent; a call with others is refused.",
       .example = BODY(auto i = axis("N", "rows"), c = axis("C", "places"); auto x = tensor("x", {i, c}, "score");
                       auto t = labels("t", {i}, "how many places count").up_to(c); loss_per(i, sum(c, x(i, c), c < t(i)))),
       .shown = {{.x = {1, 2, 3, 4}, .value = {1, 7}, .derivative = {1, 0, 1, 1}, .t = {1, 2}, .columns = 2}}},
      {.name = "Tensor::ascending", .group = &kDeclaration, .takes = "labels(...).ascending()",
       .means = "Along its last dimension its values do not decrease; a call in which they do is refused. With up_to(i), offsets of "
                "sequences packed one after another along i: where each begins, and where the last one ends.",
       .example = BODY(auto i = axis("N", "places"), e = axis("B+1", "ends"), b = derived_axis("B", extent(e) - 1, "sequences");
                       auto x = tensor("x", {i}, "score"); auto t = labels("t", {e}, "where sequences begin, and the end").up_to(i).ascending();
                       loss_per(b, segment_logsumexp(i, x(i), segment_of(i, t(e), e), b) / number(t(b + 1) - t(b)), t(b) < t(b + 1))),
       .shown = {{.x = {1, 2, 3}, .value = {1.1566, 0, 3}, .derivative = {0.13447, 0.36553, 1}, .t = {0, 2, 2, 3}}}},
      {.name = "Tensor::ignoring", .group = &kDeclaration, .takes = "labels(...).in_range(index).ignoring(param)",
       .means = "The value of the param is allowed, too, and is no position: drop such rows by the third argument of loss_per.",
       .example = BODY(auto i = axis("N", "rows"), c = axis("C", "classes"); auto x = tensor("x", {i, c}, "score");
                       auto ignore = param("ignore_index", -100, "label of rows that do not count").integer();
                       auto t = labels("t", {i}, "class").in_range(c).ignoring(ignore); loss_per(i, x(i, t(i)), t(i) != ignore)),
       .shown = {{.x = {1, 2, 3, 4}, .value = {2, 0}, .derivative = {0, 1, 0, 0}, .t = {1, -100}, .columns = 2}}},
      {.name = "Tensor::or_minus_one", .group = &kDeclaration, .takes = "labels(...).in_range(index).or_minus_one()",
       .means = "-1 is allowed, too: no position.",
       .example = BODY(auto i = axis("N", "rows"), c = axis("C", "classes"); auto x = tensor("x", {i, c}, "score");
                       auto t = labels("t", {i}, "class, or -1: none").in_range(c).or_minus_one();
                       loss_per(i, select(t(i) >= 0, x(i, t(i)), 0.0))),
       .shown = {{.x = {1, 2, 3, 4}, .value = {2, 0}, .derivative = {0, 1, 0, 0}, .t = {1, -1}, .columns = 2}}},
      {.name = "loss_per", .group = &kResult, .takes = "loss_per(rows, value, valid, mean)",
       .means = "The loss of each row. `valid`: rows where it is false are dropped, they contribute 0 and do not count in a mean. "
                "`mean`: {.weight, .at_least}, what a mean divides by is the sum of the weights of kept rows, and not less than "
                "at_least. Reduction, row weights, a row mask and the upstream gradient are added by the compiler.",
       .derivative = "the upstream gradient times the row's weight; exactly 0 for dropped rows",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); loss_per(i, log(x(i)), x(i) > 0)),
       .shown = {{{1, 2, -1}, {}, {0, 0.69315, 0}, {1, 0.5, 0}}}, .shape = "its indices must be among the rows"},
      {.name = "loss_total", .group = &kResult, .takes = "loss_total(value)", .means = "One number; reductions mean and sum are the same.",
       .derivative = "the upstream gradient",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); loss_total(logsumexp(i, x(i)))),
       .shown = {{{1, 2, 3}, {}, {3.4076}, {0.090031, 0.24473, 0.66524}}}, .shape = "no index may be left"},
      {.name = "output", .group = &kResult, .takes = "output(name, indices, value, doc)",
       .means = "A further result, over exactly these indices in this order: accuracy, a mean similarity.",
       .derivative = "none: only the loss has gradients",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); loss_per(i, x(i));
                       output("positive", i, number(x(i) > 0), "whether the score is positive")),
       .shown = {{{1, -2}, {}, {1, -2}, {1, 1}}}},
      {.name = "new_state", .group = &kResult, .takes = "new_state(name, indices, value, doc)",
       .means = "State is functional: what was read came in as a tensor, what is to be kept goes out under its name, and nothing "
                "is changed behind the caller's back.",
       .derivative = "none: only the loss has gradients",
       .example = BODY(auto i = axis("N", "rows"); auto x = tensor("x", {i}, "score"); auto y = tensor("y", {}, "running mean").constant();
                       loss_per(i, sq(x(i) - y())); new_state("new_y", Indices({}), 0.9 * y() + 0.1 * mean(i, x(i)), "the mean from here on")),
       .shown = {{{1, 3}, {2}, {1, 1}, {-2, 2}}}},
  };
}

}  // namespace lossc::words
