// The executor: walks a variant's passes. Knows buffers, panels and workers, and no loss.
#include <limits>

#include "runtime/pool.h"
#include "runtime/step_split.h"

namespace lossc::rt {
namespace {

struct Executor : Splitter {
  // ---- accumulators -----------------------------------------------------------------------------------------------

  template <class T>
  static T identity(Merge merge) {
    using Limits = std::numeric_limits<T>;
    switch (merge) {
      case Merge::Max:
        return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
      case Merge::Min:
        return Limits::has_infinity ? Limits::infinity() : Limits::max();
      case Merge::Prod:
      case Merge::And:
        return 1;
      default:
        return 0;
    }
  }

  void reset(int b, int worker) const {
    const BufferLayout& l = run.form.buffers[b];
    with_type(b, [&](auto zero) {
      using T = decltype(zero);
      std::fill_n(reinterpret_cast<T*>(copy_of_worker(b, worker)), l.bytes / sizeof(T),
                  identity<T>(v.buffers[b].merge));
    });
  }

  // Adds the partials of workers 1 ... n-1 to that of worker 0, always in this order, elements [begin, end).
  template <class T>
  void merge_range(int b, int workers, size_t begin, size_t end) const {
    T* const to = reinterpret_cast<T*>(copy_of_worker(b, 0));
    for (int w = 1; w < workers; ++w) {
      const T* const from = reinterpret_cast<const T*>(copy_of_worker(b, w));
      if (v.buffers[b].merge == Merge::Sum) {
        for (size_t i = begin; i < end; ++i) to[i] = static_cast<T>(to[i] + from[i]);
      } else {
        for (size_t i = begin; i < end; ++i) to[i] = merged(v.buffers[b].merge, to[i], from[i]);
      }
    }
  }

  void merge(int b, int workers) {
    struct Shared {
      const Executor* self;
      int buffer, workers;
      size_t pieces;
    } shared{this, b, workers, run.form.buffers[b].bytes >= (256 << 10) ? static_cast<size_t>(workers) : 1};
    run_tasks(
        shared.pieces,
        [](void* context, size_t i) {
          const auto& s = *static_cast<Shared*>(context);
          s.self->with_type(s.buffer, [&](auto zero) {
            using T = decltype(zero);
            const size_t n = s.self->run.form.buffers[s.buffer].bytes / sizeof(T), line = kAlign / sizeof(T);
            const size_t lines = n / line;
            s.self->template merge_range<T>(s.buffer, s.workers, lines * i / s.pieces * line,
                                            lines * (i + 1) / s.pieces * line);
          });
        },
        &shared);
  }

  // Accumulators that active steps [first, first + n) write.
  Bits accumulators(int first, int n) const {
    Bits bits;
    for (int s = first; s < first + n; ++s) {
      if (!run.active.steps.test(s)) continue;
      const Step& step = v.steps[s];
      for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k) {
        const Arg& arg = v.args[k];
        if (arg.kind == ArgKind::Buffer && arg.written && v.buffers[arg.id].storage == Storage::Accumulator)
          bits.set(arg.id);
      }
    }
    return bits;
  }
  template <class F>
  void each(const Bits& bits, F f) const {
    for (int b = 0; b < v.n_buffers; ++b) {
      if (bits.test(b)) f(b);
    }
  }

  // ---- tensors of another float type --------------------------------------------------------------------------------

  // Buffers that the active steps of a panel loop touch.
  Bits touched(const Pass& pass) const {
    Bits bits;
    for (int s = pass.first_panel; s < pass.first_panel + pass.n_panel; ++s) {
      if (!run.active.steps.test(s)) continue;
      const Step& step = v.steps[s];
      for (int k = step.first_arg; k < step.first_arg + step.n_args; ++k)
        if (v.args[k].kind == ArgKind::Buffer) bits.set(v.args[k].id);
    }
    return bits;
  }

  // ---- lists of steps ---------------------------------------------------------------------------------------------

  // f(step, call, share) for the active steps [first, first + n), those of a loop for each of its places; share: the part of
  // a step's work that is done each time.
  template <class F>
  void run_list(int first, int n, const Call& call, float share, const F& f) {
    for (int s = first; s < first + n; ++s) {
      const Step& step = v.steps[s];
      if (step.kind == StepKind::Loop) {
        if (run.active.steps.test(s)) run_loop(s, call, share, f);
        s += step.n_first + step.n_body;
      } else if (run.active.steps.test(s)) {
        f(s, call, share);
      }
    }
  }

  template <class F>
  void run_loop(int s, Call call, float share, const F& f) {
    const Step& loop = v.steps[s];
    const int32_t n = run.plan.shapes.extent[loop.place_axis];
    if (n == 0) return;
    share /= static_cast<float>(n);
    int32_t& place = call.place[loop.depth];
    place = loop.backward ? n - 1 : 0;
    run_list(s + 1, loop.n_first, call, share, f);
    for (int32_t k = 0; k < n; ++k) {
      place = loop.backward ? n - 1 - k : k;
      run_list(s + 1 + loop.n_first, loop.n_body, call, share, f);
    }
  }

  // ---- passes -----------------------------------------------------------------------------------------------------

  Call panel_call(const PassLayout& l, const Bits& sums, int panel, int worker) const {
    Call call;
    call.worker = worker;
    call.in_panel = true;
    call.partial = &sums;
    call.row0 = panel * l.panel_rows;
    call.row1 = std::min<int64_t>(l.rows, int64_t{call.row0} + l.panel_rows);
    call.cut0 = call.row0, call.cut1 = call.row1;
    return call;
  }

  // One worker's share: a run of consecutive panels, the same for any number of threads that do the work.
  void run_panels(const Pass& pass, const PassLayout& l, const Bits& sums, int worker) {
    const Bits border = run.n_crossings > 0 ? touched(pass) : Bits{};
    if (worker > 0) each(sums, [&](int b) { reset(b, worker); });
    const int64_t n = l.n_panels;
    for (int64_t p = n * worker / l.workers; p < n * (worker + 1) / l.workers; ++p) {
      const Call call = panel_call(l, sums, static_cast<int>(p), worker);
      cross_panel(run, false, border, worker, call.row0, call.row1, false);
      run_list(pass.first_panel, pass.n_panel, call, 1, [&](int s, const Call& c, float) { run_step(s, c); });
      cross_panel(run, true, border, worker, call.row0, call.row1, false);
    }
  }

  void run_parallel(const Pass& pass, const PassLayout& l, const Bits& sums) {
    if (l.workers == 1) return run_panels(pass, l, sums, 0);
    struct Shared {
      Executor* self;
      const Pass& pass;
      const PassLayout& layout;
      const Bits& sums;
    } shared{this, pass, l, sums};
    run_tasks(
        static_cast<size_t>(l.workers),
        [](void* context, size_t i) {
          const auto& s = *static_cast<Shared*>(context);
          s.self->run_panels(s.pass, s.layout, s.sums, static_cast<int>(i));
        },
        &shared);
    each(sums, [&](int b) { merge(b, l.workers); });
  }

  void run_serial(const Pass& pass, const PassLayout& l, const Bits& sums) {
    const auto split = [&](int s, const Call& c, float share) { run_split(s, run.form.step_ns[s] * share, c); };
    const Bits border = run.n_crossings > 0 ? touched(pass) : Bits{};
    for (int p = 0; p < l.n_panels; ++p) {
      const Call call = panel_call(l, sums, p, 0);
      const float share = static_cast<float>(call.row1 - call.row0) / static_cast<float>(l.rows);
      cross_panel(run, false, border, 0, call.row0, call.row1, true);
      run_list(pass.first_panel, pass.n_panel, call, share, split);
      cross_panel(run, true, border, 0, call.row0, call.row1, true);
    }
  }

  void run_pass(int p, Bits* started) {
    const Pass& pass = v.passes[p];
    const PassLayout& l = run.form.passes[p];
    const Bits sums = accumulators(pass.first_panel, pass.n_panel), once = accumulators(pass.first_once, pass.n_once);
    const auto start = [&](int b) {
      if (!started->test(b)) reset(b, 0);
      started->set(b);
    };
    each(once, start);
    each(sums, start);
    Call call;
    if (pass.row_axis >= 0) call.row1 = run.plan.shapes.extent[pass.row_axis];
    run_list(pass.first_once, pass.n_once, call, 1,
             [&](int s, const Call& c, float share) { run_split(s, run.form.step_ns[s] * share, c); });
    l.serial ? run_serial(pass, l, sums) : run_parallel(pass, l, sums);
  }
};

}  // namespace

int execute(const Run& run, int* failed) {
  Executor executor{{{run}}};
  Bits started;
  cross_whole(run, false);
  for (int p = 0; p < run.form.variant->n_passes; ++p) executor.run_pass(p, &started);
  cross_whole(run, true);
  *failed = executor.failed.load();
  return executor.error.load();
}

}  // namespace lossc::rt
