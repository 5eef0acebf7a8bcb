#include "mask.h"

#include <map>
#include <optional>
#include <set>

namespace lossc::lower {
namespace {

using Halide::Expr;
using namespace Halide::Internal;

constexpr const char* kLast = "lossc_last";

// Places base, base + stride, ..., of which those count where `mask` holds (undefined: all). Without a stride it is 1; with
// one, `base` is the first place where that is 1.
struct Row {
  Expr base, mask, stride;
};

class MaskedLoads : public IRMutator {
 public:
  explicit MaskedLoads(int least_bits) : least_bits_(least_bits) {}

 private:
  using IRMutator::visit;

  template <class Op>
  auto with_value(const Op* op) {
    const auto row = op->value.type().is_vector() ? row_of(op->value) : std::nullopt;
    if (row) rows_[op->name] = *row;
    if (is_last(op->value)) lasts_.insert(op->name);
    auto out = IRMutator::visit(op);
    rows_.erase(op->name);
    lasts_.erase(op->name);
    return out;
  }
  Expr visit(const Let* op) override { return with_value(op); }
  Stmt visit(const LetStmt* op) override { return with_value(op); }

  Expr visit(const Call* op) override { return op->name == kLast ? mutate(op->args[0]) : IRMutator::visit(op); }

  Expr visit(const Load* op) override {
    const bool can = op->type.is_vector() && op->type.bits() >= least_bits_ && is_const_one(op->predicate);
    const auto row = can ? row_of(op->index) : std::nullopt;
    if (!row || !row->mask.defined()) return IRMutator::visit(op);
    const Expr index = Ramp::make(mutate(row->base), make_one(row->base.type()), op->type.lanes());
    const Expr dense = Load::make(op->type, op->name, index, op->image, op->param, mutate(row->mask), ModulusRemainder());
    if (!row->stride.defined()) return dense;
    return Call::make(op->type, Call::if_then_else, {row->stride == 1, dense, IRMutator::visit(op)}, Call::PureIntrinsic);
  }

  std::optional<Row> row_of(const Expr& e) const {
    if (const Ramp* r = e.as<Ramp>()) {
      if (!is_const_one(r->stride) || !r->base.type().is_scalar()) return std::nullopt;
      return Row{r->base, {}, {}};
    }
    if (const Variable* v = e.as<Variable>()) {
      const auto it = rows_.find(v->name);
      return it == rows_.end() ? std::nullopt : std::optional<Row>(it->second);
    }
    if (const Cast* c = e.as<Cast>()) {
      auto row = row_of(c->value);
      if (row) row->base = cast(c->type.element_of(), row->base);
      return row;
    }
    if (const Add* s = e.as<Add>()) return s->a.as<Broadcast>() ? moved<Add>(row_of(s->b), s->a) : moved<Add>(row_of(s->a), s->b);
    if (const Sub* s = e.as<Sub>()) return moved<Sub>(row_of(s->a), s->b);
    if (const Mul* m = e.as<Mul>()) return m->a.as<Broadcast>() ? times(row_of(m->b), m->a) : times(row_of(m->a), m->b);
    if (const Call* c = Call::as_intrinsic(e, {Call::widening_mul})) {
      auto row = times(row_of(c->args[0]), c->args[1]);
      if (row) row->base = cast(c->type.element_of(), row->base);
      return row;
    }
    if (const Call* c = Call::as_intrinsic(e, {Call::widen_right_add})) {
      auto row = row_of(c->args[1]);
      if (row) row->base = cast(c->type.element_of(), row->base);
      return moved<Add>(row, c->args[0]);
    }
    if (const Min* m = e.as<Min>()) return up_to(row_of(m->a), m->b);
    if (const Select* s = e.as<Select>()) return either(s->condition, row_of(s->true_value), row_of(s->false_value));
    return std::nullopt;
  }

  template <class Op>
  static std::optional<Row> moved(std::optional<Row> row, const Expr& by) {
    const Broadcast* all = by.as<Broadcast>();
    if (!row || all == nullptr || !all->value.type().is_scalar()) return std::nullopt;
    row->base = Op::make(row->base, all->value);
    return row;
  }
  static std::optional<Row> times(std::optional<Row> row, const Expr& by) {
    const Broadcast* all = by.as<Broadcast>();
    if (!row || row->stride.defined() || all == nullptr || !all->value.type().is_scalar()) return std::nullopt;
    row->stride = all->value;
    return row;
  }
  bool is_last(const Expr& e) const {
    const Call* c = e.as<Call>();
    const Variable* v = e.as<Variable>();
    return (c != nullptr && c->name == kLast) || (v != nullptr && lasts_.count(v->name));
  }
  std::optional<Row> up_to(std::optional<Row> row, const Expr& last) const {
    const Broadcast* all = last.as<Broadcast>();
    if (!row || row->stride.defined() || row->mask.defined() || all == nullptr || !is_last(all->value)) return std::nullopt;
    const Expr lanes = Ramp::make(row->base, make_one(row->base.type()), last.type().lanes());
    return Row{row->base, lanes <= last, {}};
  }

  // The same lanes, all of them or those before the end.
  static std::optional<Row> either(const Expr& condition, const std::optional<Row>& yes, const std::optional<Row>& no) {
    if (!yes || !no || yes->stride.defined() || no->stride.defined() || !equal(yes->base, no->base)) return std::nullopt;
    if (yes->mask.defined() == no->mask.defined()) return std::nullopt;
    const Expr& mask = yes->mask.defined() ? yes->mask : no->mask;
    const Expr all = condition.type().is_scalar() ? Broadcast::make(condition, mask.type().lanes()) : condition;
    return Row{yes->base, yes->mask.defined() ? !all || mask : all || mask, {}};
  }

  std::map<std::string, Row> rows_;  // of vectors that are bound here
  std::set<std::string> lasts_;      // bound to a last_place
  const int least_bits_;
};

}  // namespace

Expr last_place(const Expr& last) { return Call::make(last.type(), kLast, {last}, Call::PureExtern); }

// Vectors of bytes have masks at AVX-512 alone, and SSE has none: loads would be taken apart, with a branch for each lane.
int least_masked_bits(const schedules::Isa& isa) { return isa.vector_bytes == 64 ? 8 : isa.vector_bytes == 32 ? 32 : 1024; }

IRMutator* mask_pass(const schedules::Isa& isa) { return new MaskedLoads(least_masked_bits(isa)); }

}  // namespace lossc::lower
