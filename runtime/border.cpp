// Tensors of the caller in another float type than kernels compute in: where they are converted, and that they are.
#include <algorithm>

#include "runtime/cpu.h"
#include "runtime/plan.h"
#include "runtime/pool.h"

namespace lossc::rt {
namespace {

// ---- making a plan --------------------------------------------------------------------------------------------------

struct Chooser {
  const Plan& plan;
  Form& form;
  const Variant& v = *form.variant;

  template <class F>
  void each_active_step(F f) const {
    for (int p = 0; p < v.n_passes; ++p) {
      const Pass& pass = v.passes[p];
      for (int s = pass.first_once; s < pass.first_once + pass.n_once; ++s) {
        if (form.active.steps.test(s)) f(s, false);
      }
      for (int s = pass.first_panel; s < pass.first_panel + pass.n_panel; ++s) {
        if (form.active.steps.test(s)) f(s, true);
      }
    }
  }
  template <class F>
  void each_buffer(const Step& step, F f) const {
    for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
      if (v.args[k].kind == ArgKind::Buffer) f(v.args[k]);
    }
  }

  // Of what is known only at a run it counts what could be.
  bool may_cross(const Buffer& buffer) const {
    if (buffer.elem != Elem::Float) return false;
    if (buffer.storage != Storage::Input || buffer.tensor >= plan.loss->n_inputs)
      return buffer.storage == Storage::Input || buffer.storage == Storage::Output;
    Float type;
    return plan.input_given[buffer.tensor] && float_of(plan.input_type[buffer.tensor], &type) && type != plan.real();
  }

  // Local, if every step that touches the tensor looks only at its own rows: the panel's, along the same dimension in
  // every panel loop, or those of a piece of its output. (An output that is read again, or that several steps write
  // outside panel loops, is kept whole.)
  void choose(int b) {
    const bool output = v.buffers[b].storage == Storage::Output;
    BufferLayout& l = form.buffers[b];
    bool local = true;
    int in_panels = -1, writers = 0, once = 0;
    each_active_step([&](int s, bool in_panel) {
      each_buffer(v.steps[s], [&](const Arg& arg) {
        if (arg.id != b) return;
        const int cut = cut_dim(v.steps[s], arg, l, in_panel);
        local = local && cut >= 0 && arg.written == output;
        writers += arg.written;
        once += arg.written && !in_panel;
        if (!in_panel) return;
        local = local && (in_panels < 0 || in_panels == cut);
        in_panels = cut;
      });
    });
    local = local && (once == 0 || writers == 1);
    l.border = local ? Border::Local : Border::Whole;
    if (!output) l.row_dim = local && in_panels >= 0 ? static_cast<uint8_t>(in_panels) : kNoRows;
  }

  // Pieces of a step outside panel loops so small that what a worker converts for one stays in its cache; and room for
  // them. They are multiples of what splitting among workers goes by, too.
  void size_pieces(int s) {
    const Step& step = v.steps[s];
    const int d = step.split_dim;
    int64_t unit = d == 0 ? 64 : 1;
    int out = -1;
    each_buffer(step, [&](const Arg& arg) { out = arg.written && out < 0 ? arg.id : out; });
    if (d < 0 || out < 0) return;
    const int64_t blocks = ceil_div(form.buffers[out].extent[d], unit);
    if (v.buffers[out].dims[d].kind == DimKind::TileOuter) unit *= plan.isa_info().tile_columns[plan.double_index()];
    const auto each_local = [&](int64_t n, auto f) {
      each_buffer(step, [&](const Arg& arg) {
        BufferLayout& l = form.buffers[arg.id];
        if (l.border != Border::Local) return;
        const int cut = cut_dim(step, arg, l, false);
        f(l, slice_bytes(form, arg.id, cut, std::min<int64_t>(n, l.extent[cut])));
      });
    };
    size_t bytes = 0;
    each_local(unit, [&](BufferLayout&, size_t n) { bytes += n; });
    if (bytes == 0) return;
    const int64_t fit = plan.panel_rows > 0 ? plan.panel_rows / unit : kPanelBytes / static_cast<int64_t>(bytes);
    const int64_t pieces = std::max<int64_t>(ceil_div(blocks, std::max<int64_t>(fit, 1)), 1);
    form.step_pieces[s] = static_cast<int32_t>(pieces);
    each_local(ceil_div(blocks, pieces) * unit, [](BufferLayout& l, size_t n) { l.bytes = std::max(l.bytes, n); });
  }
};

// ---- running --------------------------------------------------------------------------------------------------------

void cross(const Run& run, const Crossing& c, const Slice& slice, int piece, int pieces) {
  const BufferLayout& l = run.form.buffers[c.buffer];
  const View& view = run.views[c.buffer];
  const int ndim = run.form.variant->buffers[c.buffer].ndim;
  int32_t stride[kBoxDims];
  std::copy_n(view.stride, kBoxDims, stride);
  Side inside{view.local ? locate(run, c.buffer, slice, stride) : view.host, {}, run.plan.real()}, caller = c.caller;
  int64_t begin[kBoxDims] = {}, extent[kBoxDims] = {};
  for (int d = 0; d < ndim; ++d) extent[d] = l.extent[d], inside.stride[d] = stride[d];
  if (slice.dim >= 0) begin[slice.dim] = slice.begin, extent[slice.dim] = slice.end - slice.begin;
  if (pieces > 1) {  // along the longest dimension, by whole cache lines
    const int d = static_cast<int>(std::max_element(extent, extent + ndim) - extent);
    const int64_t blocks = ceil_div(extent[d], 64), from = blocks * piece / pieces * 64;
    begin[d] += from;
    extent[d] = std::min(blocks * (piece + 1) / pieces * 64, extent[d]) - from;
  }
  for (int d = 0; d < ndim; ++d) {
    inside.host += inside.stride[d] * begin[d] * l.elem_bytes;
    caller.host += caller.stride[d] * begin[d] * bytes_of(caller.type);
  }
  c.out ? convert(inside, caller, extent, ndim, cpu_features()) : convert(caller, inside, extent, ndim, cpu_features());
}

void cross_split(const Run& run, const Crossing& c, const Slice& slice) {
  float elements = slice.dim < 0 ? 1 : static_cast<float>(slice.end - slice.begin);
  const int ndim = run.form.variant->buffers[c.buffer].ndim;
  for (int d = 0; d < ndim; ++d)
    if (d != slice.dim) elements *= static_cast<float>(run.form.buffers[c.buffer].extent[d]);
  struct Shared {
    const Run& run;
    const Crossing& crossing;
    const Slice& slice;
    size_t pieces;
  } shared{run, c, slice, ndim == 0 ? 1 : static_cast<size_t>(pieces_for(elements / 4, run.plan.workers))};
  if (shared.pieces == 1) return cross(run, c, slice, 0, 1);
  run_tasks(
      shared.pieces,
      [](void* context, size_t i) {
        const auto& s = *static_cast<Shared*>(context);
        cross(s.run, s.crossing, s.slice, static_cast<int>(i), static_cast<int>(s.pieces));
      },
      &shared);
}

template <class F>
void each_crossing(const Run& run, bool out, bool local, F f) {
  for (int k = 0; k < run.n_crossings; ++k) {
    const Crossing& c = run.crossings[k];
    if (c.out == out && run.views[c.buffer].local == local) f(c);
  }
}

}  // namespace

void choose_borders(const Plan& plan, Form* form) {
  Chooser chooser{plan, *form};
  for (int b = 0; b < form->variant->n_buffers; ++b) {
    if (form->active.buffers.test(b) && chooser.may_cross(form->variant->buffers[b])) chooser.choose(b);
  }
  chooser.each_active_step([&](int s, bool in_panel) {
    if (!in_panel) chooser.size_pieces(s);
  });
}

size_t slice_bytes(const Form& form, int b, int dim, int64_t n) {
  const BufferLayout& l = form.buffers[b];
  int64_t size = n;
  for (int d = 0; d < form.variant->buffers[b].ndim; ++d) {
    if (d != dim) size = std::min(size * l.extent[d], kMostElements);
  }
  return static_cast<size_t>(size) * l.elem_bytes;
}

uint8_t* locate(const Run& run, int buffer, const Slice& slice, int32_t* stride) {
  const BufferLayout& l = run.form.buffers[buffer];
  int32_t size = 1;  // plans see to it that it fits
  for (int d = 0; d < run.form.variant->buffers[buffer].ndim; ++d) {
    stride[d] = size;
    size *= std::max(d == slice.dim ? slice.end - slice.begin : l.extent[d], 1);
  }
  return run.views[buffer].host + static_cast<size_t>(slice.worker) * run.form.local_stride -
         int64_t{stride[slice.dim]} * slice.begin * l.elem_bytes;
}

void cross_slice(const Run& run, bool out, int buffer, const Slice& slice) {
  each_crossing(run, out, true, [&](const Crossing& c) {
    if (c.buffer == buffer) cross(run, c, slice, 0, 1);
  });
}

void cross_panel(const Run& run, bool out, const Bits& which, int worker, int32_t row0, int32_t row1, bool split) {
  each_crossing(run, out, true, [&](const Crossing& c) {
    if (!which.test(c.buffer)) return;
    const Slice slice{worker, run.form.buffers[c.buffer].row_dim, row0, row1};
    split ? cross_split(run, c, slice) : cross(run, c, slice, 0, 1);
  });
}

void cross_whole(const Run& run, bool out) {
  each_crossing(run, out, false, [&](const Crossing& c) { cross_split(run, c, {0, -1, 0, 0}); });
}

}  // namespace lossc::rt
