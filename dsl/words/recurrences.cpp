// Recurrences.
#include "dsl/words/entry.h"

namespace lossc::words {

const Group kRecurrence = {"recurrences", "of each result the carried value's indices and the one that is gone along",
                           "the steps of each place one after the other; every place's values are kept for the derivative, or "
                           "with Storage::Checkpoints those of as many places as the root of their number, and a step is computed twice"};

std::vector<Word> recurrences() {
  return {
      {.name = "scan", .group = &kRecurrence, .takes = "scan(along, {{indices, first}, ...}, step[, Storage::Checkpoints])",
       .means = "Place after place from the first on: `step` says the carried values after a place by those before it, and the "
                "result has those after each place. Within the step they may be looked up at other positions, reduced over, and "
                "read together with anything that depends on the place; a recurrence may go in the step of another. What is "
                "carried is kept of all places for the derivative; with Storage::Checkpoints at places as far apart as the root of their number (Storage::checkpoints_every(k): k "
                "apart), unless it is read elsewhere than after the last place.",
       .derivative = "a recurrence in the other direction, of the step's derivative; of the starts, too. From a checkpoint on the "
                     "steps are computed again",
       .example = VALUE(scan(c, {{Indices({}), 0.0}}, [](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * u[0] + x(c)}; })[0]),
       .shown = {{{1, 2, 3}, {}, {1, 2.5, 4.25}, {1.75, 1.5, 1}},
                 {{kInf, 1, -kInf}, {}, {kInf, kInf, kNaN}, {1.75, 1.5, 1}},
                 {{1, kNaN, 2}, {}, {1, kNaN, kNaN}, {1.75, 1.5, 1}},
                 {}},
       .forms = {FORM('f', "f", "*", Scans, scan(n[0], {{Indices({}), 0.3}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * u[0] + tanh(a[0])}; })[0]),
                 FORM('f', "ff", "*", Scans, scan(n[0], {{Indices({}), 0.3}, {Indices({}), 1.0}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * u[1] + tanh(a[0]), sin(u[0]) * tanh(a[1])}; }, Storage::Checkpoints)[1]),
                 FORM('f', "ff", "*", Scans, scan(n[0], {{Indices({}), 0.3}, {Indices({}), 1.0}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * u[1] + tanh(a[0]), sin(u[0]) * tanh(a[1])}; })[1])}},
      {.name = "scan_back", .group = &kRecurrence, .takes = "scan_back(along, {{indices, first}, ...}, step[, Storage::Checkpoints])",
       .means = "As scan, from the last place to the first.",
       .derivative = "as of scan, in the other direction",
       .example = VALUE(scan_back(c, {{Indices({}), 0.0}}, [](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * u[0] + x(c)}; })[0]),
       .shown = {{{1, 2, 3}, {}, {2.75, 3.5, 3}, {1, 1.5, 1.75}},
                 {{kInf, 1, -kInf}, {}, {kNaN, -kInf, -kInf}, {1, 1.5, 1.75}},
                 {{1, kNaN, 2}, {}, {kNaN, kNaN, 2}, {1, 1.5, 1.75}},
                 {}},
       .forms = {FORM('f', "f", "*", Scans, scan_back(n[0], {{Indices({}), -0.2}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * sin(u[0]) + a[0]}; })[0]),
                 FORM('f', "f", "*", Scans, scan_back(n[0], {{Indices({}), -0.2}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.5 * sin(u[0]) + a[0]}; }, Storage::checkpoints_every(2))[0])}},
      {.name = "iterate", .group = &kRecurrence, .takes = "iterate(times, {{indices, first}, ...}, step[, Derivative::OfFixedPoint | Storage::Checkpoints])",
       .means = "The values after the last place alone; what they start from where there is none. Over a count_axis: so many "
                "iterations.",
       .derivative = "as of scan; OfFixedPoint: that of the fixed point which the iterations are taken to have reached, from "
                     "the last values alone, and 0 to what they start from",
       .example = VALUE(iterate(c, {{Indices({}), 1.0}}, [](const std::vector<Expr>& u) { return std::vector<Expr>{u[0] * x(c)}; })[0]),
       .shown = {{{1, 2, 3}, {}, {6}, {6, 3, 2}},
                 {{kInf, 1, -kInf}, {}, {-kInf}, {-kInf, -kInf, kInf}},
                 {{1, kNaN, 2}, {}, {kNaN}, {kNaN, 2, kNaN}},
                 {{}, {}, {1}}},
       .forms = {FORM('f', "f", "*", Iterates, iterate(n[0], {{Indices({}), 0.3}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.7 * u[0] + tanh(a[0])}; })[0]),
                 FORM('f', "f", "*", Iterates, iterate(n[0], {{Indices({}), 0.3}}, [&](const std::vector<Expr>& u) { return std::vector<Expr>{0.7 * u[0] + tanh(a[0])}; }, Storage::Checkpoints)[0])},
       .shape = "of each result the carried value's indices"},
  };
}

}  // namespace lossc::words
