// Sizes: rows of a panel, form of each panel loop, offset of every buffer.
#include <algorithm>
#include <climits>

#include "runtime/plan.h"

namespace lossc::rt {
namespace {

// With all the rows' inputs and outputs a panel may be larger than kPanelBytes, of a worker's L2. Contractions reuse each
// panel many times and want it long: 2.5 MiB measured best (design.md, 5).
constexpr int64_t kTouchedBytes = 512 << 10, kContractPanelBytes = 5 << 19;
// One-dimensional problems: enough for a call's overhead to vanish, few enough for L1.
constexpr int64_t kMostRows = 16384;
// Results of a part of a step that is cut along what it reduces over: what one worker merges in no time.
constexpr int64_t kPartsBytes = 64 << 10;
// Beyond this, a partial copy of every accumulator per worker costs more than parallel steps do.
constexpr int64_t kPartialBytes = 32 << 20;

struct Layouter {
  const Plan& plan;
  Form& form;
  const Variant& v = *form.variant;
  const IsaInfo& isa = plan.isa_info();
  int tile = isa.tile_columns[plan.double_index()];
  int nn_rows = isa.nn_rows[plan.double_index()], tn_rows = isa.tn_rows[plan.double_index()];
  int64_t at = 0;
  Bits continued;  // buffers without memory of their own, but behind what a recurrence has before each place

  int32_t extent(int axis) const { return plan.shapes.extent[axis]; }

  // ---- work -------------------------------------------------------------------------------------------------------

  // Elements (a copy counts as one operation each) per nanosecond and core: a guess within a factor of three, which is
  // all that "is it worth a thread" needs.
  float estimate(const Step& step) const {
    if (step.kind == StepKind::Loop) return 0;  // its steps are counted themselves
    double operations = std::max(step.flops, 1.0f);
    for (int k = 0; k < step.n_domain; ++k) operations *= extent(step.domain[k]);
    const double rate = (step.kind == StepKind::Kernel ? 4 : 32) / (plan.double_index() + 1);
    return static_cast<float>(operations / rate);
  }

  template <class F>
  void each_buffer(const Step& step, F f) const {
    for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
      if (names_buffer(v.args[k].kind)) f(v.args[k].id, v.args[k].written);
    }
  }
  template <class F>
  void each_panel_step(const Pass& pass, F f) const {
    for (int s = pass.first_panel; s < pass.first_panel + pass.n_panel; ++s) {
      if (form.active.steps.test(s)) f(s, v.steps[s]);
    }
  }

  // ---- shapes -----------------------------------------------------------------------------------------------------

  void shape(int b) {
    const Buffer& buffer = v.buffers[b];
    BufferLayout& l = form.buffers[b];
    l = {};
    l.at = l.partials = l.saved_at = kNowhere;
    l.row_dim = kNoRows;
    l.elem_bytes = static_cast<uint8_t>(elem_bytes(buffer.elem, plan.shapes.dtype_bits));
    for (int d = 0; d < buffer.ndim; ++d) {
      const Dim dim = buffer.dims[d];
      l.extent[d] = dim.kind == DimKind::TileInner   ? tile
                    : dim.kind == DimKind::Chunk     ? tile * kChunkTiles
                    : dim.kind == DimKind::OrderWords ? kOrderWords
                    : dim.kind == DimKind::TileOuter ? static_cast<int32_t>(ceil_div(extent(dim.axis), tile))
                                                     : extent(dim.axis);
      if (dim.kind == DimKind::Rows) l.row_dim = static_cast<uint8_t>(d);
    }
  }

  // Which dimension of the argument is behind each of the buffer's: the first unused one, from the innermost, over the
  // same axis.
  void match_dims(int b, const Argument& a) {
    const Buffer& buffer = v.buffers[b];
    bool used[kMaxDims] = {};
    for (int d = 0; d < buffer.ndim; ++d) {
      int8_t& found = form.buffers[b].arg_dim[d];
      found = -1;
      for (int k = a.ndim - 1; k >= 0 && found < 0; --k) {
        if (!used[k] && a.dims[k] == buffer.dims[d].axis) found = static_cast<int8_t>(k);
      }
      if (found >= 0) used[found] = true;
    }
  }

  int64_t row_bytes(int b) const {
    const BufferLayout& l = form.buffers[b];
    const Buffer& buffer = v.buffers[b];
    int64_t bytes = l.elem_bytes;
    for (int d = 0; d < buffer.ndim; ++d) {
      if (d != l.row_dim && !(buffer.rolling >> d & 1))
        bytes *= l.extent[d] + (buffer.continues >= 0 && d == buffer.place_dim);
    }
    return bytes;
  }

  // What a recurrence has after each place lies one place behind what it has before.
  void place_continued(int b) {
    const Buffer& buffer = v.buffers[b];
    BufferLayout &before = form.buffers[b], &after = form.buffers[buffer.continues];
    const size_t place = static_cast<size_t>(before.stride[buffer.place_dim]) * before.elem_bytes;
    std::copy_n(before.stride, kMostDims, after.stride);
    after.bytes = before.bytes - place;
    after.at = before.at + (buffer.backward ? 0 : place);
    if (buffer.backward) before.at += place;
  }

  // Strides and bytes of a buffer in the workspace, with room for `rows` of it. Tiled matrices have more rows than
  // that: contractions write whole register tiles.
  lossc_status pack(int b, int64_t rows, lossc_error* err) {
    const Buffer& buffer = v.buffers[b];
    BufferLayout& l = form.buffers[b];
    int64_t size = 1;
    for (int d = 0; d < buffer.ndim; ++d) {
      if (size > INT_MAX) {
        return fail(err, LOSSC_E_UNSUPPORTED,
                    "%s: intermediate %s needs a stride of %lld elements, which does not fit 32 bits", plan.loss->name,
                    buffer.name, static_cast<long long>(size));
      }
      if (buffer.rolling >> d & 1) {
        l.stride[d] = 0;
        continue;
      }
      l.stride[d] = static_cast<int32_t>(size);
      int64_t room = d == l.row_dim ? rows : l.extent[d];
      if (buffer.continues >= 0 && d == buffer.place_dim) ++room;  // what the recurrence starts from
      if (d == 1 && buffer.dims[0].kind == DimKind::TileInner)
        room = round_up(room + std::max(nn_rows, tn_rows) - 1, 16);
      size *= std::max<int64_t>(room, 1);
    }
    if (size > kMostElements) {
      return fail(err, LOSSC_E_UNSUPPORTED, "%s: intermediate %s would have %lld elements", plan.loss->name,
                  buffer.name, static_cast<long long>(size));
    }
    l.bytes = static_cast<size_t>(size) * l.elem_bytes;
    return LOSSC_OK;
  }

  // ---- tensors of another float type --------------------------------------------------------------------------------

  lossc_status place_locals(lossc_error* err) {
    const int64_t first = at;
    for (int b = 0; b < v.n_buffers; ++b) {
      if (form.buffers[b].border == Border::Local) LOSSC_TRY(place_local(b, err));
    }
    int workers = 1;
    for (int p = 0; p < v.n_passes; ++p) {
      if (!form.passes[p].serial) workers = std::max(workers, form.passes[p].workers);
    }
    for (int s = 0; s < v.n_steps; ++s)
      if (form.step_pieces[s] > 1) workers = std::max(workers, pieces_for(form.step_ns[s], plan.workers));
    form.local_stride = repeat_for(workers, first);
    return LOSSC_OK;
  }

  lossc_status place_local(int b, lossc_error* err) {
    BufferLayout& l = form.buffers[b];
    int workers;
    int64_t rows;
    users(b, &workers, &rows);
    if (l.row_dim != kNoRows)
      l.bytes = std::max(l.bytes, slice_bytes(form, b, l.row_dim, rows));
    if (l.bytes / l.elem_bytes > INT_MAX) {
      return fail(err, LOSSC_E_UNSUPPORTED, "%s: one row of %s has too many elements to be converted", plan.loss->name,
                  v.buffers[b].name);
    }
    l.at = take(std::max<size_t>(l.bytes, l.elem_bytes));  // empty ones have an address, too
    return LOSSC_OK;
  }

  // ---- panels -----------------------------------------------------------------------------------------------------

  int64_t rows_that_fit(const Pass& pass) const {
    int64_t slots[kMaxBuffers] = {}, touched = 0, panel = 0;
    Bits seen;
    each_panel_step(pass, [&](int, const Step& step) {
      each_buffer(step, [&](int b, bool) {
        if (seen.test(b) || form.buffers[b].row_dim == kNoRows) return;
        seen.set(b);
        const Buffer& buffer = v.buffers[b];
        if (buffer.storage == Storage::Panel) slots[buffer.slot] = std::max(slots[buffer.slot], row_bytes(b));
        if (form.buffers[b].border == Border::Local) panel += row_bytes(b);
        if (buffer.storage == Storage::Input || buffer.storage == Storage::Output) touched += row_bytes(b);
      });
    });
    for (int s = 0; s < v.n_slots; ++s) panel += slots[s];
    int64_t rows = (v.contracts ? kContractPanelBytes : kPanelBytes) / std::max<int64_t>(panel, 1);
    if (!v.contracts) rows = std::min(rows, kTouchedBytes / std::max<int64_t>(panel + touched, 1));
    return std::clamp<int64_t>(rows, 1, kMostRows);
  }

  int64_t partial_bytes(const Pass& pass) const {
    int64_t bytes = 0;
    Bits seen;
    each_panel_step(pass, [&](int, const Step& step) {
      each_buffer(step, [&](int b, bool written) {
        if (!written || seen.test(b) || v.buffers[b].storage != Storage::Accumulator) return;
        seen.set(b);
        bytes += static_cast<int64_t>(form.buffers[b].bytes);
      });
    });
    return bytes;
  }

  void size_panels(int p) {
    const Pass& pass = v.passes[p];
    PassLayout& l = form.passes[p];
    l = {.rows = 0, .panel_rows = 0, .n_panels = 0, .workers = 1, .serial = false};
    if (pass.row_axis < 0) return;
    l.rows = extent(pass.row_axis);
    if (l.rows == 0) return;
    float ns = 0;
    each_panel_step(pass, [&](int s, const Step&) { ns += form.step_ns[s]; });
    const int64_t granule = v.contracts ? nn_rows : 1, fit = rows_that_fit(pass);
    const auto set_rows = [&](int64_t rows) {
      if (plan.panel_rows > 0) rows = plan.panel_rows;
      l.panel_rows = static_cast<int32_t>(std::min<int64_t>(round_up(rows, granule), round_up(l.rows, granule)));
      l.n_panels = static_cast<int32_t>(ceil_div(l.rows, l.panel_rows));
    };
    l.workers = pieces_for(ns, plan.workers);
    if (plan.flags & LOSSC_PLAN_REPRODUCIBLE) {
      l.serial = true;
      return set_rows(fit);  // whatever the number of workers
    }
    // As many panels for one worker as for another.
    const int64_t rounds = ceil_div(l.rows, fit * l.workers);
    set_rows(ceil_div(l.rows, rounds * l.workers));
    if (l.workers == 1 || (l.n_panels >= l.workers && partial_bytes(pass) * l.workers <= kPartialBytes)) return;
    l.serial = true;
    set_rows(fit * l.workers);  // each worker has its part of the panel in its cache
  }

  // Where there are fewer rows than workers, reductions of each are cut along what they reduce over.
  void place_parts() {
    int64_t most = 0;
    for (int p = 0; p < v.n_passes && !(plan.flags & LOSSC_PLAN_REPRODUCIBLE); ++p) {
      const PassLayout& l = form.passes[p];
      if (!l.serial || l.panel_rows >= l.workers) continue;
      each_panel_step(v.passes[p], [&](int s, const Step& step) {
        if (step.over_axis < 0) return;
        int64_t bytes = 0;
        each_buffer(step, [&](int b, bool written) {
          if (written && !holds_lanes(v.buffers[b])) bytes += part_bytes(b, l.panel_rows);
        });
        if (bytes > kPartsBytes) return;
        form.divided.set(s);
        most = std::max(most, bytes);
      });
    }
    form.parts_stride = static_cast<size_t>(most);
    form.parts_at = take(form.parts_stride * static_cast<size_t>(plan.workers - 1));
  }
  int64_t part_bytes(int b, int64_t rows) const {
    const BufferLayout& l = form.buffers[b];
    int64_t n = l.elem_bytes;
    for (int d = 0; d < v.buffers[b].ndim && n <= kPartsBytes; ++d) n *= d == l.row_dim ? rows : std::max(l.extent[d], 1);
    return round_up(n, kAlign);
  }

  // ---- memory -----------------------------------------------------------------------------------------------------

  size_t take(size_t bytes) {
    const int64_t here = at;
    at += round_up(static_cast<int64_t>(bytes), kAlign);
    return static_cast<size_t>(here);
  }

  // Whether the buffer, an output, is touched by a step that is there for another one's sake.
  bool wanted_by_others(int b) const {
    for (int s = 0; s < v.n_steps; ++s) {
      if (!form.active.steps.test(s)) continue;
      bool touches = false, writes_other = false;
      each_buffer(v.steps[s], [&](int other, bool written) {
        touches |= other == b;
        writes_other |= written && other != b;
      });
      if (touches && writes_other) return true;
    }
    return false;
  }

  // Workers that keep a partial of the accumulator, rows that a panel buffer holds: all of them, if a step outside of a
  // panel loop (of a recurrence over all rows) needs it.
  void users(int b, int* workers, int64_t* rows) const {
    *workers = 1;
    *rows = 1;
    const BufferLayout& own = form.buffers[b];
    for (int p = 0; p < v.n_passes && v.buffers[b].storage == Storage::Panel && own.row_dim != kNoRows; ++p) {
      for (int s = v.passes[p].first_once; s < v.passes[p].first_once + v.passes[p].n_once; ++s) {
        if (!form.active.steps.test(s)) continue;
        each_buffer(v.steps[s], [&](int other, bool) {
          if (other == b) *rows = std::max<int64_t>(*rows, own.extent[own.row_dim]);
        });
      }
    }
    for (int p = 0; p < v.n_passes; ++p) {
      const PassLayout& l = form.passes[p];
      each_panel_step(v.passes[p], [&](int, const Step& step) {
        each_buffer(step, [&](int other, bool written) {
          if (other != b) return;
          *rows = std::max<int64_t>(*rows, l.panel_rows);
          if (written && !l.serial) *workers = std::max(*workers, l.workers);
        });
      });
    }
  }

  lossc_status place_whole(int b, lossc_error* err) {
    const Buffer& buffer = v.buffers[b];
    BufferLayout& l = form.buffers[b];
    if (l.border == Border::None && buffer.storage == Storage::Output && !wanted_by_others(b)) return LOSSC_OK;
    LOSSC_TRY(pack(b, l.row_dim != kNoRows ? l.extent[l.row_dim] : 1, err));
    if (form.saved.test(b)) {
      l.saved_at = form.saved_size;
      form.saved_size += static_cast<size_t>(round_up(static_cast<int64_t>(l.bytes), kAlign));
    }
    if (!form.saved.test(b) || plan.mode == LOSSC_FORWARD) l.at = take(l.bytes);
    return LOSSC_OK;
  }

  void place_partials(int b) {
    int workers;
    int64_t rows;
    users(b, &workers, &rows);
    BufferLayout& l = form.buffers[b];
    l.bytes = static_cast<size_t>(round_up(static_cast<int64_t>(l.bytes), kAlign));  // no two workers on one cache line
    if (workers > 1) l.partials = take(l.bytes * static_cast<size_t>(workers - 1));
  }

  lossc_status place_panels(lossc_error* err) {
    size_t slots[kMaxBuffers] = {};
    for (int b = 0; b < v.n_buffers; ++b) {
      if (!form.active.buffers.test(b) || v.buffers[b].storage != Storage::Panel || continued.test(b)) continue;
      int workers;
      int64_t rows;
      users(b, &workers, &rows);
      LOSSC_TRY(pack(b, rows, err));
      slots[v.buffers[b].slot] = std::max(slots[v.buffers[b].slot], form.buffers[b].bytes);
    }
    const int64_t first = at;
    for (int s = 0; s < v.n_slots; ++s) {
      const size_t here = take(slots[s]);
      for (int b = 0; b < v.n_buffers; ++b) {
        if (v.buffers[b].storage == Storage::Panel && v.buffers[b].slot == s) form.buffers[b].at = here;
      }
    }
    int workers = 1;
    for (int p = 0; p < v.n_passes; ++p) {
      if (!form.passes[p].serial) workers = std::max(workers, form.passes[p].workers);
    }
    // Pieces of a step that one worker's panel is cut into need a heap each, and lanes, if they are parts of one sum.
    for (int s = 0; s < v.n_steps; ++s)
      for (int k = 0; form.active.steps.test(s) && k < v.steps[s].n_args; ++k) {
        const Arg& a = v.args[v.steps[s].first_arg + k];
        const bool lanes = names_buffer(a.kind) && holds_lanes(v.buffers[a.id]) && form.divided.test(s);
        if (a.kind == ArgKind::Heap || lanes) workers = plan.workers;
      }
    form.panel_stride = repeat_for(workers, first);
    return LOSSC_OK;
  }

  // As much again for each further worker as was taken since `first`.
  size_t repeat_for(int workers, int64_t first) {
    // Workers a multiple of 4096 bytes apart would fight for the same sets of a shared cache.
    if (at > first) at = first + round_up(at - first, 4096) + static_cast<int64_t>(kAlign);
    const int64_t stride = at - first;
    at += stride * (workers - 1);
    return static_cast<size_t>(stride);
  }

  lossc_status run(lossc_error* err) {
    at = static_cast<int64_t>(plan.labels_size);
    form.saved_size = kAlign;  // a header that says who wrote it
    for (int s = 0; s < v.n_steps; ++s) form.step_ns[s] = estimate(v.steps[s]);
    for (int b = 0; b < v.n_buffers; ++b) {
      shape(b);
      const Buffer& buffer = v.buffers[b];
      const int t = buffer.tensor, n = plan.loss->n_inputs;
      if (buffer.storage == Storage::Input) match_dims(b, t < n ? plan.loss->inputs[t] : plan.implicit[t - n]);
      if (buffer.storage == Storage::Output) match_dims(b, t == 1 ? plan.rows : plan.loss->outputs[t]);
    }
    for (int b = 0; b < v.n_buffers; ++b) {
      if (v.buffers[b].continues >= 0 && form.active.buffers.test(b)) continued.set(v.buffers[b].continues);
    }
    const auto placed = [&](int b) { return form.active.buffers.test(b) || form.saved.test(b); };
    if (plan.converts) choose_borders(plan, &form);
    for (int b = 0; b < v.n_buffers; ++b) {
      const Storage storage = v.buffers[b].storage;
      const Border border = form.buffers[b].border;
      const bool elsewhere = storage == Storage::Panel || storage == Storage::Lent || border == Border::Local;
      if (placed(b) && !elsewhere && !continued.test(b) && (storage != Storage::Input || border == Border::Whole))
        LOSSC_TRY(place_whole(b, err));
    }
    for (int p = 0; p < v.n_passes; ++p) size_panels(p);
    for (int b = 0; b < v.n_buffers; ++b) {
      if (placed(b) && v.buffers[b].storage == Storage::Accumulator) place_partials(b);
    }
    place_parts();
    LOSSC_TRY(place_locals(err));
    LOSSC_TRY(place_panels(err));
    for (int b = 0; b < v.n_buffers; ++b) {
      if (v.buffers[b].continues >= 0 && form.active.buffers.test(b)) place_continued(b);
    }
    form.workspace_size = static_cast<size_t>(at);
    if (!is_half(plan.mode) || form.saved == Bits{}) form.saved_size = 0;
    return LOSSC_OK;
  }
};

}  // namespace

lossc_status lay_out(const Plan& plan, Form* form, lossc_error* err) {
  const Variant& v = *form->variant;
  form->saved = is_half(plan.mode) ? saved_buffers(*plan.loss, v, plan.reduction) : Bits{};
  const uint32_t wanted = outputs_of(*plan.loss, plan.mode, plan.reduction);
  form->outputs = 0;
  for (int b = 0; b < v.n_buffers; ++b) {
    if (v.buffers[b].storage == Storage::Output) form->outputs |= wanted & 1u << v.buffers[b].tensor;
  }
  Bits roots = output_buffers(v, wanted);
  if (plan.mode == LOSSC_FORWARD) {
    for (int b = 0; b < v.n_buffers; ++b) {
      if (form->saved.test(b)) roots.set(b);
    }
  }
  form->active = active_steps(v, roots, plan.mode == LOSSC_BACKWARD ? form->saved : Bits{});
  return Layouter{plan, *form}.run(err);
}

}  // namespace lossc::rt
