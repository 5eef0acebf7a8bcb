// The language of losses: the only header that a definition includes.
//
// A definition says what one element is, in index notation; the compiler derives gradients, loops, memory and kernels.
//
//   LOSSC_LOSS(huber, "regression") {
//     about({.title = "Huber loss", .paper = "Huber 1964", .equation = "...", .edges = "..."});
//     auto i = axis("N", "elements");
//     auto f = tensor("input", {i}, "prediction");
//     auto y = tensor("target", {i}, "observation");
//     auto delta = param("delta", 1.0, "where the loss turns linear").positive();
//     auto r = abs(f(i) - y(i));
//     loss_per(i, select(r <= delta, 0.5 * sq(r), delta * (r - 0.5 * delta)));
//   }
//
// The body runs once for every combination of structural choices (Option::is, Param::is_zero, Tensor::given,
// Index::given), so an `if` on one of them in C++ means two compiled forms, not a branch in the kernel.
// Every error (an index that is not free, a rank, a type, a missing word of documentation) is a DefinitionError that
// names the loss, the expression and the source line.
#pragma once
#include <cmath>  // M_PI and the like
#include <functional>
#include <initializer_list>
#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

namespace lossc {

using Where = std::source_location;

struct DefinitionError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A name for a position along an axis; used in arithmetic it is an integer.
struct Index {
  int id = -1;
  // Its axis stands for any number of the tensors' dimensions, none included, seen as one: the positions of an image or
  // volume, elements of a tensor of any shape. Said where the axis is declared; at most one of them in a tensor.
  Index flat(Where where = Where::current());
  // For an optional axis: does the caller's tensor have it?
  bool given() const;
};

struct Param {
  int id = -1;
  Param positive();               // > 0
  Param at_least(double low);     // >= low
  Param between(double low, double high);  // inclusive
  Param integer();
  // Structural: is its value exactly 0 in this compiled form? The runtime picks the form by the value it is given.
  bool is_zero() const;
};

struct Arg;

// An expression: a value for each setting of its free indices. Numbers, indices and params become one where it is wanted:
// Expr total = 0.0; Expr w = weight.given() ? weight(i) : 1.0.
struct Expr {
  int node = -1;
  Expr() = default;
  Expr(double value);
  Expr(int value);
  Expr(bool value);
  Expr(Index index);
  Expr(Param param);
  Expr(Arg operand);
  static Expr of(int node);  // the compiler's own: of a node of the graph
};

struct Option {
  int id = -1;
  bool is(const char* choice, Where where = Where::current()) const;  // structural
  // For choices that change numbers and no loop: one compiled form serves them all, and chosen() is a condition on
  // values, for select and masks.
  Option at_runtime();
  Expr chosen(const char* choice, Where where = Where::current()) const;
};

// Where a reduction counts its elements; without a condition everywhere.
struct Mask {
  int node = -1;
  Mask() = default;
  Mask(Expr e) : node(e.node) {}
};

// What an operand may be written as. Carries the source line, which operators have no room for.
struct Arg {
  int node;
  Where where;
  bool name = false;  // an index as it stands, not a number made of it
  Arg(Expr e, Where where = Where::current()) : node(e.node), where(where) {}
  Arg(double value, Where where = Where::current());
  Arg(int value, Where where = Where::current());
  Arg(bool value, Where where = Where::current());
  Arg(Index index, Where where = Where::current());
  Arg(Param param, Where where = Where::current());
  Arg(Mask mask, Where where = Where::current());
};

struct Tensor {
  int id = -1;
  // One element; an index expression in place of an index is a gather. One form for each rank, that operands carry the
  // line of the call.
  Expr operator()(Where where = Where::current()) const { return load({}, where); }
  Expr operator()(Arg a) const { return load({a}, a.where); }
  Expr operator()(Arg a, Arg b) const { return load({a, b}, a.where); }
  Expr operator()(Arg a, Arg b, Arg c) const { return load({a, b, c}, a.where); }
  Expr operator()(Arg a, Arg b, Arg c, Arg d) const { return load({a, b, c, d}, a.where); }
  Expr operator()(Arg a, Arg b, Arg c, Arg d, Arg e) const { return load({a, b, c, d, e}, a.where); }
  Expr operator()(Arg a, Arg b, Arg c, Arg d, Arg e, Arg f) const { return load({a, b, c, d, e, f}, a.where); }
  Expr load(std::initializer_list<Arg> args, Where where = Where::current()) const;
  Tensor optional();                      // may be absent: ask given() before use
  bool given() const;                     // structural
  Tensor constant();                      // no gradient is offered
  Tensor in_range(Index axis);            // index tensor: values lie in [0, extent of the axis)
  Tensor up_to(Index axis);               // index tensor: a length, in [0, extent of the axis]
  Tensor ascending(Where where = Where::current());  // index tensor: along its last dimension it does not decrease
  Tensor ignoring(Param ignore_index);    // index tensor: this value is allowed too
  Tensor or_minus_one();                  // index tensor: -1 is allowed too
};

// ---- declarations ----------------------------------------------------------------------------------------------

struct About {
  std::string title, paper, equation, edges;  // all four are required
  std::string note = {};
};
void about(About text);

// An axis whose name is a number, axis("4", "corners"), has that extent; a call with another is refused.
Index axis(const char* name, const char* doc = "", Where where = Where::current());
// An axis whose extent follows from those of others: derived_axis("H/2", extent(h) / 2). No tensor need have it; one that
// does is checked.
Index derived_axis(const char* name, Arg length, const char* doc = "", Where where = Where::current());
// An axis without tensors whose extent the caller chooses when a plan is made, as an option of that name: how often
// something is done. `fallback`: its default.
Index count_axis(const char* name, int fallback, const char* doc, Where where = Where::current());
// An axis the caller's tensors may lack; given() says which form is being compiled.
Index optional_axis(const char* name, const char* doc = "", Where where = Where::current());
// Another index over the same axis.
Index twin(Index index, const char* name);
struct IndexPair {
  Index first, second;
};
// Two indices (i, j) over one batch axis.
IndexPair batch_pair(const char* axis, const char* doc = "", Where where = Where::current());

Tensor tensor(const char* name, std::initializer_list<Index> dims, const char* doc = "", Where where = Where::current());
Tensor labels(const char* name, std::initializer_list<Index> dims, const char* doc = "", Where where = Where::current());
Tensor mask(const char* name, std::initializer_list<Index> dims, const char* doc = "", Where where = Where::current());
Param param(const char* name, double fallback, const char* doc = "", Where where = Where::current());
// The first choice is the default.
Option option(const char* name, std::initializer_list<const char*> choices, const char* doc = "",
              Where where = Where::current());

// What the extents of a call must satisfy, such as extent(i) % 2 == 0. Seen to when a plan is made, before anything runs;
// the text completes "wants ...".
void require(Arg condition, const char* text, Where where = Where::current());

// ---- expressions -----------------------------------------------------------------------------------------------

Expr operator+(Arg a, Arg b);
Expr operator-(Arg a, Arg b);
Expr operator*(Arg a, Arg b);
Expr operator/(Arg a, Arg b);  // of integers: floor
Expr operator%(Arg a, Arg b);  // of integers: sign of the divisor
Expr operator-(Arg a);
Expr operator<(Arg a, Arg b);
Expr operator<=(Arg a, Arg b);
Expr operator>(Arg a, Arg b);
Expr operator>=(Arg a, Arg b);
Expr operator==(Arg a, Arg b);
Expr operator!=(Arg a, Arg b);
Expr operator&&(Arg a, Arg b);
Expr operator||(Arg a, Arg b);
Expr operator!(Arg a);

Expr select(Arg condition, Arg then, Arg otherwise);
Expr number(Arg a);  // integer or truth value as a float
Expr abs(Arg a);     // derivative 0 at 0
Expr sign(Arg a);
Expr exp(Arg a);
Expr expm1(Arg a);
Expr log(Arg a);
Expr log1p(Arg a);
Expr sqrt(Arg a);    // derivative 0 at 0
Expr rsqrt(Arg a);
Expr sq(Arg a);
Expr pow(Arg a, Arg b);
Expr tanh(Arg a);
Expr sigmoid(Arg a);
Expr softplus(Arg a);
Expr log_sigmoid(Arg a);
Expr erf(Arg a);
Expr erfc(Arg a);     // 1 - erf(a), also where that is small
Expr sin(Arg a);
Expr cos(Arg a);
Expr acos(Arg a);
Expr asin(Arg a);
Expr atan2(Arg y, Arg x);
Expr lgamma(Arg a);
Expr floor(Arg a);
Expr to_int(Arg a);  // floor as an integer, within +-2^30; NaN: -1. Derivative 0
Expr round(Arg a);
Expr relu(Arg a);    // derivative 0 at 0
Expr clamp(Arg a, Arg low, Arg high);  // derivative 1 at the bounds
Expr max(Arg a, Arg b);  // derivative shared equally where a == b
Expr min(Arg a, Arg b);
Expr is_nan(Arg a);
Expr log_add_exp(std::initializer_list<Arg> terms);  // log of the sum of the exponentials; of nothing but -inf: -inf
Expr log_add_exp(const std::vector<Expr>& terms);
Expr extent(Index axis);  // its length, an integer

// ---- reductions: over one index, optionally where a mask holds; an empty one has its identity --------------------
// What does not depend on the index counts once for each of its values: sum(i, 1) is the extent, mean(i, e) is e.

Expr sum(Index over, Arg e, Mask where = {});
Expr mean(Index over, Arg e, Mask where = {});  // 0 when empty
Expr prod(Index over, Arg e, Mask where = {});
Expr max(Index over, Arg e, Mask where = {});   // ties share the derivative equally
Expr min(Index over, Arg e, Mask where = {});
Expr logsumexp(Index over, Arg e, Mask where = {});
Expr softmax(Index over, Arg e, Mask where = {});      // value at the index itself
Expr log_softmax(Index over, Arg e, Mask where = {});
Expr count(Index over, Arg condition);                 // a float
Expr any(Index over, Arg condition);
Expr all(Index over, Arg condition);
Expr argmax(Index over, Arg e, Mask where = {});       // lowest index among ties; 0 when empty
Expr argmin(Index over, Arg e, Mask where = {});
// Index of the k-th largest (k = 1: argmax), ties to the lowest index; k is structural and small.
Expr kth_argmax(Index over, int k, Arg e, Mask where = {});
Expr kth_largest(Index over, int k, Arg e, Mask where = {});
// Sum of the k largest.
Expr top_k_sum(Index over, int k, Arg e, Mask where = {});

// ---- order and sequence: of one index as a whole; the result is a function of that index again --------------------
// Ascending, NaN last, ties by position; masked-out elements count as +inf (descending: -inf). A sorted value passes
// its derivative to the element that it is.

Expr argsort(Index over, Arg e, Mask where = {});             // at place k: which element comes there
Expr argsort_descending(Index over, Arg e, Mask where = {});
Expr rank(Index over, Arg e, Mask where = {});                // of each element: its place, from 0
Expr sort(Index over, Arg e, Mask where = {});
Expr sort_descending(Index over, Arg e, Mask where = {});
Expr quantile(Index over, Arg e, Arg q);                      // linear between the two places around q (n - 1)
Expr cumsum(Index over, Arg e, Mask where = {});              // of the elements up to and with this one
Expr cumsum_from(Index over, Arg e, Mask where = {});         // of this one and those after it
Expr cumlogsumexp(Index over, Arg e, Mask where = {});
Expr cumlogsumexp_from(Index over, Arg e, Mask where = {});
Expr cummax(Index over, Arg e);  // derivative to the first element that is the maximum so far
Expr cummin(Index over, Arg e);

// ---- sets: of the elements along one index, which belong to segments numbered by another ---------------------------
// `key`, an integer expression, says the segment of each; one whose key is no value of `segment` is dropped, as where the
// mask does not hold. One pass over the elements, however many segments there are.

Expr segment_sum(Index over, Arg e, Arg key, Index segment, Mask where = {});
Expr segment_count(Index over, Arg key, Index segment, Mask where = {});         // a float
Expr segment_mean(Index over, Arg e, Arg key, Index segment, Mask where = {});   // 0 when empty
Expr segment_max(Index over, Arg e, Arg key, Index segment, Mask where = {});    // -inf when empty; ties share the derivative
Expr segment_min(Index over, Arg e, Arg key, Index segment, Mask where = {});
Expr segment_logsumexp(Index over, Arg e, Arg key, Index segment, Mask where = {});  // -inf when empty, with derivative 0
// Of each element within its segment; 0 for those that are dropped.
Expr segment_softmax(Index over, Arg e, Arg key, Index segment, Mask where = {});
// The segment of each place where they lie one after another: segment s has the places from the s-th value of `offset`, an
// integer expression of `ends`, up to the next one's, and so there is one less than the axis of `ends` is long; -1 for places
// before the first and from the last on.
Expr segment_of(Index over, Arg offset, Index ends);

// Which of equally wide bins from low to high a value is in, an integer; in the last one also high itself; -1: in none, as
// a NaN is. Derivative 0.
Expr bin_of(Arg e, Index bin, Arg low, Arg high);
Expr histogram(Index over, Arg e, Index bin, Arg low, Arg high, Mask where = {});  // how many are in each bin, a float
// Each element is shared linearly between the two nearest of equally spaced centres, the first at low, the last at high:
// of bin k the sum of relu(1 - |e - centre_k| / spacing).
Expr soft_histogram(Index over, Arg e, Index bin, Arg low, Arg high, Mask where = {});

// ---- place: neighbours and windows along an axis -------------------------------------------------------------------
// A window is an index of its own over its places, as axis("3") or count_axis; several of them one after another, each along
// its axis, are a separable filter.

// What is seen outside: 0; the outermost element; the axis mirrored at its outermost element; its other end.
enum class Border { Zero, Edge, Reflect, Wrap };
// e at a place of the axis, which may lie outside: as far as the axis is long, mirrored one element less (a single element
// is its own mirror image).
Expr padded(Arg e, Index along, Arg place, Border border);
// Weights of a window, which sum to 1: a normal distribution around its centre, sigma in places.
Expr gaussian(Index window, Arg sigma);
// e at a place of the axis that is a float: linear between the places below and above, each as padded() sees it.
Expr interpolated(Arg e, Index along, Arg place, Border border);
// e spread or shrunk to the length of the axis of `out`, linearly between its elements, which are the middles of equal parts.
Expr resampled(Index along, Index out, Arg e);
// Means of consecutive elements, as many as the window has places; `out` runs over extent(along) / extent(window) of them.
Expr pool(Index along, Index window, Index out, Arg e);

// ---- recurrences -------------------------------------------------------------------------------------------------

struct Indices {
  std::vector<Index> list;
  Indices(Index i) : list{i} {}
  Indices(std::initializer_list<Index> l) : list(l) {}
};
// A value carried from place to place: over which indices, and what it starts from.
struct Carried {
  Indices indices;
  Arg first;
};
using ScanStep = std::function<std::vector<Expr>(const std::vector<Expr>& before)>;
// The carried values that are kept for the derivative: those of all steps; or checkpoints, those of every so many places,
// from which the steps between are gone through once more: memory for as many places as the root of their number, at the
// price of one more evaluation of each step. A value that is read otherwise than as what it comes to in the end,
// at(v, t, extent(t) - 1) (of scan_back: at(v, t, 0)) or by iterate, is kept of all places in any case, and so is what flows
// back to that which a step reads at its place.
struct Storage {
  int every;          // places from one to the next; 1: all are kept
  bool root = false;  // as many as the root of the number of places, rounded up
  static const Storage AllSteps, Checkpoints;
  static Storage checkpoints_every(int places) { return {places}; }
};
inline constexpr Storage Storage::AllSteps{1}, Storage::Checkpoints{0, true};
// Place after place along an index, from the first on or (scan_back) from the last: `step` says the carried values after
// a place by those before it. Within the step those may be looked up at other positions (at), reduced over, and read
// together with anything that depends on the place. The result is the values after each place. The derivative is a recurrence
// in the other direction; what it wants to know of the carried values is kept as `storage` says.
std::vector<Expr> scan(Index along, std::vector<Carried> carried, const ScanStep& step, Storage storage = Storage::AllSteps,
                       Where where = Where::current());
std::vector<Expr> scan_back(Index along, std::vector<Carried> carried, const ScanStep& step,
                            Storage storage = Storage::AllSteps, Where where = Where::current());
// How the derivative of iterations is found: that of each of them, from all values kept; or that of the fixed point which
// they are taken to have reached (implicit function theorem), from the last values alone, whatever they started from.
enum class Derivative { OfEachStep, OfFixedPoint };
// The values after the last place alone; what they start from where there is none. Over a count_axis: so many iterations.
std::vector<Expr> iterate(Index times, std::vector<Carried> carried, const ScanStep& step,
                          Derivative how = Derivative::OfEachStep, Where where = Where::current());
std::vector<Expr> iterate(Index times, std::vector<Carried> carried, const ScanStep& step, Storage storage,
                          Where where = Where::current());

// Contractions over an index.
Expr dot(Index over, Arg a, Arg b);
Expr norm(Index over, Arg a);                       // derivative 0 at the zero vector
Expr normalize(Index over, Arg a);                  // a / |a|; the zero vector stays zero, with gradient 0
Expr cosine(Index over, Arg a, Arg b);
Expr sqdist(Index over, Arg a, Arg b);              // |a|^2 + |b|^2 - 2 a.b, at least 0
// e with `index` replaced by the integer expression `key`: a gather.
Expr at(Arg e, Index index, Arg key);

// ---- what a derivative means -----------------------------------------------------------------------------------

Expr stop_gradient(Arg e);
Expr straight_through(Arg value, Arg surrogate);  // value of the first, derivative of the second
struct Adjoint {
  Expr input, derivative;  // d(value)/d(input), elementwise
};
// `value` with a derivative of the writer's own: for upstream g, each input receives g * derivative.
Expr custom_gradient(Arg value, std::initializer_list<Adjoint> adjoints);

// ---- results ---------------------------------------------------------------------------------------------------

struct MeanRule {
  Expr weight = {};            // what the mean divides by is the sum of this over kept rows (default 1 each)
  double at_least = 0;         // and not less than this
};
// One loss per row. Rows where `valid` is false are dropped: they contribute 0 and do not count in a mean.
// Reduction, row weights, row mask and the upstream gradient are added by the compiler.
void loss_per(Indices rows, Arg value, Mask valid = {}, MeanRule mean = {}, Where where = Where::current());
// A single number (reduction mean and sum are the same).
void loss_total(Arg value, Where where = Where::current());
// A named auxiliary output, over exactly its free indices in the given order.
void output(const char* name, Indices indices, Arg value, const char* doc = "");
// State is functional: what was read comes in as a tensor, what is to be kept goes out under its name.
void new_state(const char* name, Indices indices, Arg value, const char* doc = "");

// ---- registration ----------------------------------------------------------------------------------------------

struct Definition {
  const char *name, *family, *file;
  void (*body)();
};
const std::vector<Definition>& definitions();  // all that are linked, by name
struct Registrar {
  Registrar(const char* name, const char* family, const char* file, void (*body)());
};

}  // namespace lossc

// Defines the loss NAME of a family (a string: the catalogue's family).
#define LOSSC_LOSS(NAME, FAMILY)                                                       \
  static void lossc_define_##NAME();                                                   \
  static const ::lossc::Registrar lossc_registrar_##NAME(#NAME, FAMILY, __FILE__, lossc_define_##NAME); \
  static void lossc_define_##NAME()
