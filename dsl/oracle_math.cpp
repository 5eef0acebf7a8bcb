// What each operation of the oracle does to one strip of values.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "oracle_nest.h"

namespace lossc::oracle {
namespace {

using ir::Op;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

double sign(double x) { return std::isnan(x) ? x : double((x > 0) - (x < 0)); }
double sigmoid(double x) {
  const double e = std::exp(-std::abs(x));  // at most 1, so neither side loses digits
  return (x < 0 ? e : 1) / (1 + e);
}
double softplus(double x) { return std::isnan(x) ? x : std::log1p(std::exp(-std::abs(x))) + std::fmax(x, 0); }
double lgamma(double x) {
  int sign;  // std::lgamma writes a global
  return ::lgamma_r(x, &sign);
}
double max(double x, double y) { return std::isnan(x) || x > y ? x : y; }
double min(double x, double y) { return std::isnan(x) || x < y ? x : y; }
double floor_mod(double x, double y) {
  const double r = std::fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

template <class F>
void map1(Nest& nest, const Instruction& i, int64_t n, F f) {
  const Strip x = nest.strip(i.args[0]);
  double* out = &nest.values[nest.registers[i.out].offset];
  for (int64_t k = 0; k < n; k++) out[k] = f(x[k]);
}

template <class F>
void map2(Nest& nest, const Instruction& i, int64_t n, F f) {
  const Strip x = nest.strip(i.args[0]), y = nest.strip(i.args[1]);
  double* out = &nest.values[nest.registers[i.out].offset];
  for (int64_t k = 0; k < n; k++) out[k] = f(x[k], y[k]);
}

bool unary(Nest& nest, const Instruction& i, int64_t n) {
  auto map = [&](auto f) { return map1(nest, i, n, f), true; };
  switch (i.op) {
    case Op::Neg:
      return map([](double x) { return -x; });
    case Op::Abs:
      return map([](double x) { return std::abs(x); });
    case Op::Sign:
      return map(sign);
    case Op::Exp:
    case Op::ExpFtz:
      return map([](double x) { return std::exp(x); });
    case Op::Expm1:
      return map([](double x) { return std::expm1(x); });
    case Op::Log:
      return map([](double x) { return std::log(x); });
    case Op::Log1p:
      return map([](double x) { return std::log1p(x); });
    case Op::Sqrt:
      return map([](double x) { return std::sqrt(x); });
    case Op::Tanh:
      return map([](double x) { return std::tanh(x); });
    case Op::Sigmoid:
      return map(sigmoid);
    case Op::Softplus:
      return map(softplus);
    case Op::Erf:
      return map([](double x) { return std::erf(x); });
    case Op::Erfc:
      return map([](double x) { return std::erfc(x); });
    case Op::Sin:
      return map([](double x) { return std::sin(x); });
    case Op::Cos:
      return map([](double x) { return std::cos(x); });
    case Op::Acos:
      return map([](double x) { return std::acos(x); });
    case Op::Asin:
      return map([](double x) { return std::asin(x); });
    case Op::Lgamma:
      return map(lgamma);
    case Op::Digamma:
      return map(digamma);
    case Op::Trigamma:
      return map(trigamma);
    case Op::Floor:
      return map([](double x) { return std::floor(x); });
    case Op::Round:
      return map([](double x) { return std::nearbyint(x); });
    case Op::ZeroRecip:
      return map([](double x) { return x == 0 ? 0 : 1 / x; });
    case Op::IsNan:
      return map([](double x) { return std::isnan(x); });
    case Op::IsFinite:
      return map([](double x) { return std::isfinite(x); });
    case Op::Not:
      return map([](double x) { return x == 0; });
    case Op::ToFloat:
      return map([](double x) { return x; });
    case Op::ToInt:
      return map([](double x) { return std::isnan(x) ? -1 : std::min(std::max(std::floor(x), -0x1p30), 0x1p30); });
    default:
      return false;
  }
}

bool binary(Nest& nest, const Instruction& i, int64_t n) {
  auto map = [&](auto f) { return map2(nest, i, n, f), true; };
  const bool integer = i.type == ir::Type::Int;
  switch (i.op) {
    case Op::Add:
      return map([](double x, double y) { return x + y; });
    case Op::Sub:
      return map([](double x, double y) { return x - y; });
    case Op::Mul:
      return map([](double x, double y) { return x * y; });
    case Op::Div:
      if (!integer) return map([](double x, double y) { return x / y; });
      return map([](double x, double y) { return y == 0 ? 0 : std::floor(x / y); });
    case Op::Mod:
      if (!integer) return map(floor_mod);
      return map([](double x, double y) { return y == 0 ? 0 : floor_mod(x, y); });
    case Op::Pow:
      return map([](double x, double y) { return std::pow(x, y); });
    case Op::Atan2:
      return map([](double x, double y) { return std::atan2(x, y); });
    case Op::Max:
      return map(max);
    case Op::Min:
      return map(min);
    case Op::Lt:
      return map([](double x, double y) { return x < y; });
    case Op::Le:
      return map([](double x, double y) { return x <= y; });
    case Op::Eq:
      return map([](double x, double y) { return x == y; });
    case Op::Ne:
      return map([](double x, double y) { return x != y; });
    case Op::And:
      return map([](double x, double y) { return x != 0 && y != 0; });
    case Op::Or:
      return map([](double x, double y) { return x != 0 || y != 0; });
    default:
      return false;
  }
}

bool in_range(double key, int64_t extent) { return key >= 0 && key < double(extent); }

// Of an element that is not there; `extent`: of its axis. See Oracle::round_like.
double outside(const Nest& nest, ir::Type type, int64_t extent) {
  if (nest.rounding && extent == 0) return nest.rounding->anything(type);
  return type == ir::Type::Bool ? 0 : kNan;
}

void gather(Nest& nest, const Instruction& i, int64_t n) {
  double* out = &nest.values[nest.registers[i.out].offset];
  const double poison = outside(nest, i.type, std::count(i.shape.begin(), i.shape.end(), 0) ? 0 : 1);
  const size_t rank = i.shape.size();
  // Dimensions with one key for the whole strip first, then the rest element by element.
  std::vector<std::pair<Strip, std::pair<int64_t, int64_t>>> varying;  // key, extent, step
  int64_t base = 0, step = 1;
  bool valid = true;
  for (size_t d = rank; d-- > 0; step *= i.shape[d]) {
    const Strip key = nest.strip(i.args[d]);
    if (key.stride) {
      varying.push_back({key, {i.shape[d], step}});
    } else if (in_range(key[0], i.shape[d])) {
      base += int64_t(key[0]) * step;
    } else {
      valid = false;
    }
  }
  for (int64_t k = 0; k < n; k++) {
    int64_t at = base;
    bool good = valid;
    for (const auto& [key, dim] : varying) {
      if (!(good = good && in_range(key[k], dim.first))) break;
      at += int64_t(key[k]) * dim.second;
    }
    out[k] = good ? i.data[at] : poison;
  }
}

}  // namespace

namespace {
void by_hand(Nest& nest, const Instruction& i, int64_t n) {
  std::vector<std::vector<double>> spread(i.args.size());  // one value for the whole strip, as many times
  std::vector<ir::ByHand::Elements> operands;
  for (size_t k = 0; k < i.args.size(); k++) {
    const Strip x = nest.strip(i.args[k]);
    if (!x.stride) spread[k].assign(size_t(n), x[0]);
    operands.push_back({x.stride ? x.at : spread[k].data(), {n}});
  }
  ir::ByHand::Round round;
  if (nest.rounding) round = [&](double v) { return (*nest.rounding)(v, 0); };
  i.by_hand->evaluate(operands, {n}, &nest.values[nest.registers[i.out].offset], round);
}

// Operations whose result is rounded; selecting, comparing and changing signs is exact.
bool rounds(Op op) {
  switch (op) {
    case Op::Neg: case Op::Abs: case Op::Sign: case Op::Floor: case Op::Round: case Op::ToFloat: case Op::StopGradient:
    case Op::StraightThrough: case Op::Max: case Op::Min: case Op::Param: return false;
    default: return true;
  }
}
}  // namespace

void execute(Nest& nest, const Instruction& i, int64_t n) {
  double* out = &nest.values[nest.registers[i.out].offset];
  if (i.op == Op::Const) {
    std::fill(out, out + n, nest.rounding && i.type == ir::Type::Float ? nest.rounding->constant(i.value) : i.value);
  } else if (i.op == Op::Load) {
    gather(nest, i, n);
  } else if (i.op == Op::ByHand) {
    by_hand(nest, i, n);
  } else if (i.op == Op::At) {
    const Strip value = nest.strip(i.args[0]), key = nest.strip(i.args[1]);
    const double poison = outside(nest, i.type, int64_t(i.value));
    for (int64_t k = 0; k < n; k++) out[k] = in_range(key[k], int64_t(i.value)) ? value[k] : poison;
  } else if (i.op == Op::Select) {
    // Both branches are computed, as neither can fault; only the chosen one is seen.
    const Strip c = nest.strip(i.args[0]), x = nest.strip(i.args[1]), y = nest.strip(i.args[2]);
    for (int64_t k = 0; k < n; k++) out[k] = c[k] != 0 ? x[k] : y[k];
  } else if (!unary(nest, i, n) && !binary(nest, i, n)) {
    throw std::logic_error(std::string("oracle: no rule for ") + ir::name(i.op));
  } else if (nest.rounding && i.type == ir::Type::Float && rounds(i.op)) {
    for (int64_t k = 0; k < n; k++) out[k] = (*nest.rounding)(out[k], k);
    if (i.op != Op::Sin && i.op != Op::Cos) return;
    const Strip x = nest.strip(i.args[0]);
    for (int64_t k = 0; k < n; k++)
      if (std::abs(x[k]) > kSineRange && std::isfinite(x[k])) out[k] = nest.rounding->random(x[k], k);
  }
}

double Rounding::anything(ir::Type type) const {
  // Ends of the range find out what is monotone in it, small ones what is not.
  const double values[] = {4 * random(0, 0), 1e30, -1e30, kNan};
  return type == ir::Type::Bool ? double(seed % 2) : values[seed % 4];
}

double Rounding::constant(double v) const {
  const double nearest = double(float(v));
  return single && std::isnormal(float(v)) ? nearest : v;  // what f32 has no number for is the kernel's fault
}

Rounding Rounding::of_sum(ir::Id node) const {
  Rounding own = *this;
  if (by_sum) own.seed += (static_cast<uint64_t>(node) + 1) << 20;  // beyond what draws are numbered by
  return own;
}

double Rounding::random(double v, int64_t place) const {
  uint64_t h;
  std::memcpy(&h, &v, sizeof h);
  if (by_place) h += static_cast<uint64_t>(place) << 32;
  h = (h ^ seed) * 0x9E3779B97F4A7C15u;  // the mixing of splitmix64
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
  h ^= h >> 31;
  return double(h) / 9223372036854775808.0 - 1;
}

double Rounding::operator()(double v, double magnitude, int64_t place) const {
  if (!std::isfinite(v)) return v;
  const double moved = v + epsilon * random(v, place) * magnitude;
  return single ? double(float(moved)) : moved;  // float: also its range
}

// Recurrence up to 12, then the asymptotic series, whose first term left out is below 1e-17 of the result there.
double digamma(double x) {
  if (std::isnan(x) || x == kInf) return x;
  if (x == 0) return std::copysign(kInf, -x);
  if (x < 0) {
    const double fraction = x - std::nearbyint(x);  // from the nearest pole, or digits would be lost next to one
    if (fraction == 0 || x == -kInf) return kNan;
    return digamma(1 - x) - M_PI / std::tan(M_PI * fraction);
  }
  double shift = 0;
  for (; x < 12; x++) shift -= 1 / x;
  constexpr double kBernoulli[] = {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760, 1.0 / 12};
  double series = 0, power = 1;
  for (double b : kBernoulli) series += b * (power /= x * x);
  return shift + std::log(x) - 0.5 / x - series;
}

// Likewise.
double trigamma(double x) {
  if (std::isnan(x) || x == -kInf) return kNan;
  if (x == kInf) return 0;
  if (x <= 0) {
    const double fraction = x - std::nearbyint(x);
    if (fraction == 0) return kInf;
    const double root = M_PI / std::sin(M_PI * fraction);
    return root * root - trigamma(1 - x);
  }
  double shift = 0;
  for (; x < 12; x++) shift += 1 / (x * x);
  constexpr double kBernoulli[] = {1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6};
  double series = 0, power = 1 / x;
  for (double b : kBernoulli) series += b * (power /= x * x);
  return shift + 1 / x + 0.5 / (x * x) + series;
}

}  // namespace lossc::oracle
