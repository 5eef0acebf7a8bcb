#include "sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace lossc {
namespace {

using ir::Id;
enum class Domain { Normal, Unit, Simplex };

// mt19937 is specified bit by bit; the distributions of <random> are not, and a seed has to mean the same everywhere.
class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  double uniform(double low = 0, double high = 1) { return low + (high - low) * ((engine_() + 0.5) / 4294967296.0); }
  int64_t below(int64_t n) { return n <= 1 ? 0 : static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
  bool chance(double p) { return uniform() < p; }
  double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * M_PI * uniform()); }

 private:
  std::mt19937 engine_;
};

size_t count(const std::vector<int64_t>& shape) {
  size_t n = 1;
  for (int64_t extent : shape) n *= static_cast<size_t>(extent);
  return n;
}

// Counts are small, so that an oracle is not asked to do a hundred iterations, and odd where the default is. But a fixed point
// has to be reached, for its derivative to be that of the value.
int64_t count_for(const Program& p, const OptionInfo& option, const SampleOptions& o) {
  auto given = o.choices.find(option.name);
  const bool settles = std::any_of(p.graph.nodes.begin(), p.graph.nodes.end(), [](const ir::Node& n) {
    return n.op == ir::Op::Scan && ir::course(n) == ir::Course::ToFixedPoint;
  });
  if (settles && given == o.choices.end()) return option.fallback;
  return given != o.choices.end() ? std::stoll(given->second) : std::min(option.fallback, option.fallback % 2 ? 3 : 4);
}

std::vector<int64_t> extents_for(const Program& p, const SampleOptions& o) {
  std::vector<int64_t> extents;
  for (const ir::Axis& a : p.graph.axes) {
    auto it = o.extents.find(a.name);
    extents.push_back(it == o.extents.end() ? o.extent : it->second);
  }
  std::vector<double> params = default_params(p);
  for (const OptionInfo& option : p.options)
    if (option.is_count()) params[option.param] = static_cast<double>(count_for(p, option, o));
  derive_extents(p.graph, params, &extents);
  return extents;
}

class Sampler {
 public:
  Sampler(const Program& p, const SampleOptions& o, std::vector<Domain> domains)
      : p_(p), o_(o), domains_(std::move(domains)), random_(o.seed), extents_(extents_for(p, o)) {}

  Case run() {
    c_.loss = p_.name;
    c_.name = name(o_.stress);
    c_.reduction = o_.reduction;
    for (const OptionInfo& option : p_.options)
      c_.options[option.name] = option.is_count() ? std::to_string(count_for(p_, option, o_)) : option.choices[0];
    for (size_t k = 0; k < p_.options.size(); k++) choose(k);
    for (const Fact& f : p_.facts) {
      if (f.kind == Fact::Option) c_.options[p_.options[f.id].name] = p_.options[f.id].choices[f.value];
    }
    for (Id q = 0; q < static_cast<Id>(p_.graph.params.size()); q++) param(q);
    for (Id t = 0; t < static_cast<Id>(p_.graph.tensors.size()); t++) {
      if (given(t)) c_.inputs[p_.graph.tensors[t].name] = tensor(t);
    }
    if (o_.row_inputs) rows();
    return std::move(c_);
  }

 private:
  bool given(Id t) const {
    if (!is_declared(p_.graph.tensors[t].role)) return false;
    for (const Fact& f : p_.facts) {
      if (f.kind == Fact::TensorGiven && f.id == t) return f.value != 0;
    }
    return !p_.graph.tensors[t].optional;
  }

  int64_t extent(Id index) const { return extents_[p_.graph.indices[index].axis]; }
  std::vector<int64_t> shape(const std::vector<Id>& indices) const {
    std::vector<int64_t> s;
    for (Id i : indices) s.push_back(extent(i));
    return s;
  }

  // By the seed and not by a draw: what else is drawn stays the same.
  void choose(size_t k) {
    const OptionInfo& o = p_.options[k];
    if (o.param == ir::kNone) return;
    auto given = o_.choices.find(o.name);
    if (given != o_.choices.end()) c_.options[o.name] = given->second;
    else if (o_.vary_params && !o.is_count()) c_.options[o.name] = o.choices[(o_.seed + k) % o.choices.size()];
  }

  // The default, moved a little; where the form is for (not) zero, (not) zero.
  void param(Id q) {
    if (!is_declared(p_, q)) return;
    const ir::Param& info = p_.graph.params[q];
    double v = info.fallback;
    if (o_.vary_params && !info.integer && v != 0) v *= random_.uniform(0.6, 1.6);
    if (o_.vary_params && !info.integer && v == 0) v = random_.chance(0.5) ? 0 : inside(info);
    for (const Fact& f : p_.facts) {
      if (f.kind != Fact::ParamZero || f.id != q) continue;
      if (f.value) v = 0;
      if (!f.value && v == 0) v = info.integer ? 1 : inside(info);
    }
    v = std::clamp(v, info.low, info.high);
    if ((info.low_open && v == info.low) || (info.high_open && v == info.high)) v = info.fallback;
    c_.params[info.name] = v;
  }
  double inside(const ir::Param& info) {
    const double low = info.low > -1e300 ? info.low : 0, high = std::min(info.high, low + 1);
    return random_.uniform(low + 0.1 * (high - low), high - 0.1 * (high - low));
  }

  Array tensor(Id t) {
    const ir::Tensor& info = p_.graph.tensors[t];
    Array a{shape(info.dims), {}};
    a.data.resize(count(a.shape));
    if (info.type == ir::Type::Float) {
      floats(a, domains_[t]);
    } else if (info.type == ir::Type::Bool) {
      for (double& v : a.data) v = o_.stress != Stress::Ignored && random_.chance(0.75);
    } else {
      keys(a, t);
    }
    return a;
  }

  void floats(Array& a, Domain domain) {
    const size_t width = a.shape.empty() ? 1 : std::max<size_t>(static_cast<size_t>(a.shape.back()), 1);
    for (double& v : a.data) v = domain == Domain::Normal ? random_.normal() : random_.uniform(0.02, 0.98);
    stress(a, width, domain);
    for (size_t row = 0; row + width <= a.data.size(); row += width) {
      const auto begin = a.data.begin() + static_cast<long>(row), end = begin + static_cast<long>(width);
      if (o_.stress == Stress::Ascending) std::sort(begin, end);
      if (domain != Domain::Simplex) continue;
      const double total = std::accumulate(begin, end, 0.0);
      for (size_t k = 0; k < width && total != 0; k++) a.data[row + k] /= total;
    }
  }

  void stress(Array& a, size_t width, Domain domain) {
    auto& v = a.data;
    constexpr double kInf = std::numeric_limits<double>::infinity();
    const size_t chosen = v.empty() ? 0 : static_cast<size_t>(random_.below(static_cast<int64_t>(v.size())));
    const bool any_real = domain == Domain::Normal && !a.shape.empty();
    for (size_t k = 0; k < v.size(); k++) {
      switch (o_.stress) {
        case Stress::Ties:
          v[k] = domain == Domain::Normal ? std::round(2 * v[k]) / 2 : std::ceil(4 * v[k]) / 8;  // halves and eighths: equal products are equal in any type
          break;
        case Stress::Equal:
          v[k] = v[0];
          break;
        case Stress::Duplicates:
          if (k >= width && (k / width) % 2 == 1) v[k] = v[k - width];
          break;
        case Stress::ZeroVectors:
          if (any_real && (k / width) % 3 == 1) v[k] = 0;
          break;
        case Stress::Large:
          if (any_real) v[k] *= 1000;
          break;
        case Stress::Tiny:
          if (any_real) v[k] *= 1e-20;
          break;
        case Stress::MinusInfinity:
          if (any_real && random_.chance(0.25)) v[k] = -kInf;
          break;
        case Stress::Nan:
          if (k == chosen) v[k] = std::numeric_limits<double>::quiet_NaN();
          break;
        case Stress::Infinity:
          if (any_real && k == chosen) v[k] = kInf;
          break;
        default:
          break;
      }
    }
  }

  // Index tensors within their range; labels without a range are names of a few classes, or, where the definition compares
  // them with lengths, of each part between those, and beyond, in turn.
  void keys(Array& a, Id t) {
    const ir::Tensor& info = p_.graph.tensors[t];
    const std::vector<int64_t> ends = info.range_axis == ir::kNone ? lengths_met_by(p_, t, extents_) : std::vector<int64_t>();
    int64_t range = !ends.empty() ? ends.back() : std::max<int64_t>(2, static_cast<int64_t>(a.data.size()) / 3);
    if (info.range_axis != ir::kNone) range = extent(first_index(info.range_axis)) + info.range_inclusive;
    for (size_t k = 0; k < a.data.size(); k++) {
      const int64_t different = info.range_axis == ir::kNone ? int64_t(k) : int64_t(k) % std::max<int64_t>(range, 1);
      double v = static_cast<double>(ends.empty() ? random_.below(range) : in_part(ends, (o_.seed + k) % (ends.size() + 1)));
      // Lengths are mostly nearly whole: a target does not fit into hardly any steps.
      if (info.range_inclusive && !info.ascending) v = static_cast<double>(range - 1 - random_.below((range - 1) / 4 + 1));
      if (o_.stress == Stress::OneClass) v = 0;
      if (o_.stress == Stress::NoPositives) v = static_cast<double>(different);
      const bool all = o_.stress == Stress::Ignored || range == 0;
      if (info.ignore_param != ir::kNone && (all || random_.chance(0.15)))
        v = c_.params.at(p_.graph.params[info.ignore_param].name);
      else if (info.allow_minus_one && (all || random_.chance(0.15)))
        v = -1;
      a.data[k] = v;
    }
    if (info.ascending && !a.data.empty()) ascend(a, range - 1);
  }
  int64_t in_part(const std::vector<int64_t>& ends, size_t part) {
    const int64_t first = part == 0 ? 0 : ends[part - 1], end = part == ends.size() ? first + 1 : ends[part];
    return first + random_.below(end - first);
  }
  // Mostly from the first place to the last.
  void ascend(Array& a, int64_t last) {
    const auto width = static_cast<size_t>(a.shape.back());
    const bool all = random_.chance(0.7);
    for (size_t row = 0; row < a.data.size(); row += width) {
      const auto begin = a.data.begin() + static_cast<long>(row), end = begin + static_cast<long>(width);
      std::sort(begin, end);
      if (all) *begin = 0, *(end - 1) = static_cast<double>(last);
    }
  }
  Id first_index(Id axis) const {
    Id k = 0;
    while (p_.graph.indices[k].axis != axis) k++;
    return k;
  }

  void rows() {
    const std::vector<int64_t> s = shape(p_.rows);
    auto fill = [&](auto value) {
      Array a{s, std::vector<double>(count(s))};
      for (double& v : a.data) v = value();
      return a;
    };
    c_.row_weight = fill([&] { return random_.uniform(0.2, 2); });
    c_.row_mask = fill([&] { return double(o_.stress != Stress::Ignored && random_.chance(0.8)); });
    c_.grad_output = fill([&] { return random_.uniform(-1, 1); });
  }

  const Program& p_;
  const SampleOptions& o_;
  std::vector<Domain> domains_;
  Random random_;
  std::vector<int64_t> extents_;  // by axis
  Case c_;
};

// Lengthens the axes that a requirement is about, by at most so much, until it is met: one alone after the other, else all
// together.
bool lengthen(const Program& p, const Requirement& r, int64_t most, SampleOptions* o) {
  const SampleOptions short_of_it = *o;
  const std::vector<int64_t> was = extents_for(p, *o);
  std::vector<std::vector<Id>> groups;
  for (Id axis : axes_of(p.graph, r.node)) groups.push_back({axis});
  groups.push_back(axes_of(p.graph, r.node));
  for (const std::vector<Id>& group : groups) {
    for (int64_t more = 0; more <= most; more++) {
      for (Id axis : group) o->extents[p.graph.axes[axis].name] = was[axis] + more;
      if (meets(p, r, extents_for(p, *o))) return true;
    }
    *o = short_of_it;
  }
  return false;
}

// Shortens them one alone after the other: of some a loss wants so many and no more.
bool shorten(const Program& p, const Requirement& r, SampleOptions* o) {
  const SampleOptions as_it_is = *o;
  const std::vector<int64_t> was = extents_for(p, *o);
  for (const Id axis : axes_of(p.graph, r.node)) {
    for (int64_t extent = was[axis] - 1; extent > 0; extent--) {
      o->extents[p.graph.axes[axis].name] = extent;
      if (meets(p, r, extents_for(p, *o))) return true;
    }
    *o = as_it_is;
  }
  return false;
}

// As lengthen(), but the counts that the requirement is about, where nobody chose them, are 2: the least of which a window is more
// than one place, so that what varies in it still counts.
bool count_two(const Program& p, const Requirement& r, int64_t most, SampleOptions* o) {
  SampleOptions two = *o;
  for (const Id node : ir::topological(p.graph, {r.node})) {
    const ir::Node& n = p.graph.at(node);
    if (n.op != ir::Op::Extent || p.graph.axes[n.sym].length == ir::kNone) continue;
    const ir::Node& length = p.graph.at(p.graph.axes[n.sym].length);
    for (const OptionInfo& option : p.options)
      if (option.is_count() && length.op == ir::Op::Param && length.sym == option.param) two.choices.emplace(option.name, "2");
  }
  if (two.choices == o->choices || !lengthen(p, r, most, &two) || unmet(p, extents_for(p, two))) return false;
  *o = two;
  return true;
}

// A few places more do, or fewer; else, before axes get long, counts get small.
bool grow(const Program& p, const Requirement& r, SampleOptions* o) {
  constexpr int64_t kFew = 8, kMost = 256;
  return lengthen(p, r, kFew, o) || shorten(p, r, o) || count_two(p, r, kMost, o) || lengthen(p, r, kMost, o);
}

// Where the axes that had to grow make more than twice as many elements of those that were asked for, the axes that nobody
// asked about have as many times fewer: the call is as large as it was to be.
SampleOptions paid_for(const Program& p, const SampleOptions& wanted, const SampleOptions& grown) {
  double times = 1;
  for (const auto& [axis, extent] : grown.extents) {
    const auto it = wanted.extents.find(axis);
    times *= double(extent) / double(std::max<int64_t>(it == wanted.extents.end() ? wanted.extent : it->second, 1));
  }
  if (times <= 2) return grown;
  SampleOptions fewer = grown;
  fewer.extent = std::max<int64_t>(std::min<int64_t>(grown.extent, 1), static_cast<int64_t>(double(grown.extent) / times));
  return unmet(p, extents_for(p, fewer)) ? grown : fewer;
}

// Of a requirement that is several in one, one that is not met: two equations are solved one after the other.
Requirement part_unmet(const Program& p, Requirement r, const std::vector<int64_t>& extents) {
  while (p.graph.at(r.node).op == ir::Op::And) {
    const std::vector<Id> parts = p.graph.at(r.node).args;
    r.node = parts[0];
    if (meets(p, r, extents)) r.node = parts[1];
  }
  return r;
}

size_t parts_of(const Program& p, Id condition) {
  const ir::Node& n = p.graph.at(condition);
  return n.op == ir::Op::And ? parts_of(p, n.args[0]) + parts_of(p, n.args[1]) : 1;
}

// Options whose extents meet the requirements of the loss. One that is met may be lost to another: a few rounds.
SampleOptions that_fit(const Program& p, const SampleOptions& wanted) {
  SampleOptions o = wanted;
  size_t parts = 0;
  for (const Requirement& r : p.requirements) parts += parts_of(p, r.node);
  size_t rounds = 1 + parts * parts;
  while (const Requirement* r = unmet(p, extents_for(p, o))) {
    if (rounds-- == 0 || !grow(p, part_unmet(p, *r, extents_for(p, o)), &o)) throw DefinitionError("loss '" + p.name + "': no small extents are " + r->text);
  }
  return paid_for(p, wanted, o);
}

// Elements of loss and gradients that are not finite, over a few draws: one may be lucky.
size_t not_finite(const Program& p, SampleOptions o, const std::vector<Domain>& domains) {
  size_t bad = 0;
  auto add = [&](const Array& a) {
    for (double v : a.data) bad += !std::isfinite(v);
  };
  for (o.seed = 1; o.seed <= 6; o.seed++) {
    Oracle oracle(p.graph, oracle_inputs(p, Sampler(p, o, domains).run()));
    add(p.loss_rows == ir::kNone ? oracle.evaluate(p.loss) : oracle.evaluate(p.loss_rows, p.rows));
    for (const Gradient& g : p.gradients) add(oracle.evaluate(g.node, p.graph.tensors[g.tensor].dims));
  }
  return bad;
}

// Tensor by tensor, the first domain that leaves the fewest elements not finite; all normal if that leaves none.
std::vector<Domain> choose_domains(const Program& p, SampleOptions o) {
  o.stress = Stress::None;
  for (auto& [axis, extent] : o.extents) extent = std::clamp<int64_t>(extent, 2, 4);  // enough to tell
  o.extent = std::clamp<int64_t>(o.extent, 2, 4);
  o = that_fit(p, o);
  std::vector<Domain> best(p.graph.tensors.size(), Domain::Normal);
  size_t fewest = not_finite(p, o, best);
  for (Domain together : {Domain::Unit, Domain::Simplex}) {
    if (fewest == 0) return best;
    std::vector<Domain> all(best.size(), together);
    if (const size_t bad = not_finite(p, o, all); bad < fewest) fewest = bad, best = all;
  }
  // Give back to each tensor the widest domain that costs nothing.
  for (size_t t = 0; t < best.size(); t++) {
    for (Domain d : {Domain::Normal, Domain::Unit}) {
      if (p.graph.tensors[t].type != ir::Type::Float || d >= best[t]) continue;
      std::vector<Domain> wider = best;
      wider[t] = d;
      if (not_finite(p, o, wider) <= fewest) best = wider;
    }
  }
  return best;
}

}  // namespace

const char* name(Stress stress) {
  constexpr const char* kNames[] = {"none",           "ties", "equal",     "duplicates",   "zero_vectors",
                                    "large",          "tiny", "one_class", "no_positives", "ignored",
                                    "minus_infinity", "nan",  "infinity",  "ascending"};
  return kNames[static_cast<int>(stress)];
}

const std::vector<Stress>& all_stresses() {
  static const std::vector<Stress> all = [] {
    std::vector<Stress> list;
    for (int k = 0; k <= static_cast<int>(Stress::Ascending); k++) list.push_back(static_cast<Stress>(k));
    return list;
  }();
  return all;
}

std::vector<std::map<std::string, std::string>> runtime_choices(const Program& program) {
  std::vector<std::map<std::string, std::string>> all(1);
  for (const OptionInfo& o : program.options) {
    if (o.param == ir::kNone || o.is_count()) continue;
    std::vector<std::map<std::string, std::string>> longer;
    for (const auto& chosen : all) {
      for (const std::string& choice : o.choices) {
        longer.push_back(chosen);
        longer.back()[o.name] = choice;
      }
    }
    all = longer;
  }
  return all;
}

Case sample(const Program& program, const SampleOptions& options) {
  const SampleOptions o = that_fit(program, options);
  return Sampler(program, o, choose_domains(program, o)).run();
}

SampleCost cost(const Program& program, const SampleOptions& options) {
  const std::vector<int64_t> extents = extents_for(program, that_fit(program, options));
  std::vector<Id> nodes(program.graph.nodes.size());
  std::iota(nodes.begin(), nodes.end(), 0);
  SampleCost total{.oracle = oracle_work(program.graph, nodes, extents)};
  for (const Gradient& g : program.gradients) {
    double elements = 1;
    for (Id d : program.graph.tensors[g.tensor].dims) elements *= static_cast<double>(extents[program.graph.indices[d].axis]);
    total.differentiable += elements;
  }
  return total;
}

Case with_directions(Case c, const Program& program, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (const Gradient& g : program.gradients) {
    const std::string& name = program.graph.tensors[g.tensor].name;
    if (!c.inputs.count(name)) continue;
    Array direction = c.inputs.at(name);
    for (double& v : direction.data) v = uniform(random);
    c.inputs["direction_" + name] = direction;
  }
  return c;
}

}  // namespace lossc
