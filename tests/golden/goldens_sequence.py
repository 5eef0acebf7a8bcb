"""Golden vectors of recurrences: alignments of sequences, and optimal transport by alternation."""

import itertools

import torch
import torch.nn.functional as F

from common import *


# ---- ctc -------------------------------------------------------------------------------------------------------------


def ctc_lengths(x):
    steps, n, _ = x["input"].shape
    t = x["input_length"].tolist() if "input_length" in x else [steps] * n
    s = x["target_length"].tolist() if "target_length" in x else [x["target"].shape[1]] * n
    return t, s


def ctc(x, p, o):
    """Every alignment there is, one after another."""
    steps, n, classes = x["input"].shape
    log_p = x["input"].log_softmax(2) if o["input"] == "logits" else x["input"]
    blank, rows = int(p["blank"]), []
    for b, (t, s) in enumerate(zip(*ctc_lengths(x))):
        target = x["target"][b, :s].tolist()
        terms = []
        for path in itertools.product(sorted({blank, *target}), repeat=t):
            merged = [k for i, k in enumerate(path) if i == 0 or k != path[i - 1]]
            if [k for k in merged if k != blank] == target:
                terms.append(sum((log_p[i, b, k] for i, k in enumerate(path)), floats(0.0)))
        if terms:
            loss = -torch.logsumexp(torch.stack(terms), 0)
        else:
            loss = floats(0.0 if o["zero_infinity"] == "on" else math.inf)
        rows.append(loss / (max(s, 1) if o["normalise"] == "target_length" else 1))
    return Rows(torch.stack(rows) + 0 * torch.nan_to_num(x["input"], neginf=0).sum())


def ctc_library(x, p, o):
    log_p = x["input"].log_softmax(2) if o["input"] == "logits" else x["input"]
    t, s = ctc_lengths(x)
    if not log_p.shape[0]:
        return None
    call = lambda how: F.ctc_loss(log_p, x["target"].clamp(min=0), ints(t), ints(s), int(p["blank"]), how, o["zero_infinity"] == "on")
    if o["normalise"] == "target_length":
        return Library("torch.nn.functional.ctc_loss", None, call("mean"))
    return Library("torch.nn.functional.ctc_loss", call("none"))


def ctc_cases():
    g = Draw("ctc")
    x = {"input": g.normal(5, 3, 4), "target": ints([[1, 2], [3, 1], [2, 2]])}
    logits, mean = {"input": "logits"}, {"normalise": "target_length"}
    lengths = x | {"input_length": ints([5, 3, 4]), "target_length": ints([2, 1, 0])}
    # Log-probabilities are normalised: PyTorch's gradient with respect to them supposes so.
    yield Case("default", x, library=False, why="the gradient of torch is that of normalised log-probabilities")
    yield Case("logits", x, {}, logits)
    yield Case("logits_mean_of_targets", x, {}, logits | mean)
    yield Case("logits_none", x, {}, logits, "none", grad_output=flat(g.normal(3)))
    yield Case("logits_sum", x, {}, logits, "sum", grad_output=-2.0)
    yield Case("lengths", lengths, {}, logits)
    yield Case("lengths_mean_of_targets", lengths, {}, logits | mean)
    padded = lengths | {"target": ints([[1, 2], [3, -1], [-1, 0]])}
    yield Case("padding", padded, {}, logits)
    yield Case("other_blank", x | {"target": ints([[0, 2], [1, 0], [2, 2]])}, {"blank": 3}, logits)
    yield Case("row_weight", x, {}, logits, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("denominator", x, {}, logits, denominator=8.0)
    yield Case("all_masked", x, {}, logits, row_mask=[0] * 3)
    short = x | {"input_length": ints([5, 1, 2])}
    no = "torch: the gradient of an infinite loss is nan"
    yield Case("impossible", short, {}, logits, "none", library=False, why=no)
    yield Case("impossible_zero", short, {}, logits | {"zero_infinity": "on"})
    yield Case("repeats", x | {"target": ints([[1, 1], [2, 2], [3, 3]])}, {}, logits)
    ruled_out = x["input"].clone()
    ruled_out[:, :, 3] = -math.inf
    yield Case("class_ruled_out", {"input": ruled_out, "target": ints([[1, 2], [2, 1], [2, 2]])}, {}, logits, library=False, why="torch: the gradient is nan")
    yield Case("no_labels", {"input": x["input"], "target": ints([], (3, 0))}, {}, logits, library=False, why="0 labels")
    yield Case("one_step", {"input": x["input"][:1], "target": ints([[1], [2], [3]])}, {}, logits)


LOSSES["ctc"] = Loss(
    "ctc", "torch ctc_loss; catalogue/transport_sequence.md ctc, over all alignments", ctc, ctc_library, ["input"], {"blank": 0},
    {"input": ["log_probs", "logits"], "normalise": ["none", "target_length"], "zero_infinity": ["off", "on"]},
    list(ctc_cases()), ["torch"])


# ---- soft_dtw --------------------------------------------------------------------------------------------------------


def softmin(a, gamma):
    return -gamma * torch.logsumexp(-a / gamma, 0) if gamma else a.amin()  # amin shares its slope among ties


def soft_dtw_table(c, gamma):
    t, s = c.shape
    if not t * s:
        return floats(0.0)
    r = {}
    for i in range(t):
        for j in range(s):
            before = [r[k] for k in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if k in r]
            r[i, j] = c[i, j] + (softmin(torch.stack(before), gamma) if before else 0)
    return r[t - 1, s - 1]


def soft_dtw(x, p, o):
    given = o["cost"] == "given"
    n, t, s = x["cost_matrix"].shape if given else (*x["x"].shape[:2], x["y"].shape[1])
    length = lambda name, most: x[name].tolist() if name in x else [most] * n
    rows = []
    for b, (tb, sb) in enumerate(zip(length("x_length", t), length("y_length", s))):
        if given:
            rows.append(soft_dtw_table(x["cost_matrix"][b, :tb, :sb], p["gamma"]))
            continue
        u, v = x["x"][b, :tb], x["y"][b, :sb]
        of = lambda a, b: soft_dtw_table(((a[:, None] - b[None]) ** 2).sum(2), p["gamma"])
        rows.append(of(u, v) - (of(u, u) + of(v, v)) / 2 if o["form"] == "divergence" else of(u, v))
    every = x["cost_matrix"].sum() if given else x["x"].sum() + x["y"].sum()
    kept = [bool(tb and sb) for tb, sb in zip(length("x_length", t), length("y_length", s))]
    return Rows(torch.stack(rows) + 0 * every, valid=torch.tensor(kept))


def soft_dtw_cases():
    g = Draw("soft_dtw")
    x = {"x": g.normal(3, 5, 2), "y": g.normal(3, 4, 2)}
    lengths = x | {"x_length": ints([5, 2, 1]), "y_length": ints([1, 4, 3])}
    given, divergence = {"cost": "given"}, {"form": "divergence"}
    c = {"cost_matrix": g.normal(3, 5, 4)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-2.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("sharp", x, {"gamma": 0.0625})
    yield Case("soft", x, {"gamma": 8.0})
    yield Case("lengths", lengths)
    yield Case("divergence", x, {}, divergence)
    yield Case("divergence_lengths", lengths, {"gamma": 0.5}, divergence)
    yield Case("divergence_equal", {"x": x["x"], "y": x["x"]}, {}, divergence, why="0 with gradient 0")
    yield Case("given", c, {}, given)
    yield Case("given_lengths", c | {"x_length": ints([3, 5, 1]), "y_length": ints([4, 2, 1])}, {"gamma": 0.25}, given)
    yield Case("row_weight", x, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("denominator", x, denominator=8.0)
    yield Case("all_masked", x, row_mask=[0] * 3)
    yield Case("one_point", {"x": x["x"][:, :1], "y": x["y"][:, :1]})
    yield Case("row", {"x": x["x"][:, :1], "y": x["y"]}, {}, divergence)
    yield Case("no_points", x | {"x_length": ints([5, 0, 3])}, why="the pair is dropped")
    yield Case("no_points_none", x | {"x_length": ints([5, 0, 3])}, reduction="none", why="0 with gradient 0")
    yield Case("no_points_divergence", x | {"y_length": ints([2, 4, 0])}, {}, divergence)
    yield Case("no_points_given", c | {"y_length": ints([0, 2, 4])}, {}, given)
    yield Case("ties", {"x": floats([[[0.0], [1.0], [1.0]]]), "y": floats([[[1.0], [1.0], [0.0]]])})
    yield Case("dtw", x, {"gamma": 0.0}, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("dtw_lengths", lengths, {"gamma": 0.0})
    yield Case("dtw_divergence", x, {"gamma": 0.0}, divergence)
    yield Case("dtw_given", c, {"gamma": 0.0}, given)
    yield Case("dtw_no_points", x | {"x_length": ints([5, 0, 3])}, {"gamma": 0.0})


LOSSES["soft_dtw"] = Loss(
    "soft_dtw", "Cuturi and Blondel 2017, by loops; catalogue/transport_sequence.md soft_dtw", soft_dtw, lambda x, p, o: None,
    ["x", "y", "cost_matrix"], {"gamma": 1}, {"cost": ["squared_distance", "given"], "form": ["distance", "divergence"]},
    list(soft_dtw_cases()), [])


# ---- sinkhorn_distance -----------------------------------------------------------------------------------------------


def sinkhorn_distance(x, p, o):
    if o["cost"] == "given":
        c = x["cost_matrix"]
    else:
        square = ((x["x"][:, None] - x["y"][None]) ** 2).sum(2)
        apart = square > 0
        c = square / 2 if o["cost"] == "squared_distance" else torch.where(apart, torch.where(apart, square, 1).sqrt(), 0)
    n, m = c.shape
    a = x["x_weight"] if "x_weight" in x else torch.full((n,), 1 / max(n, 1), dtype=torch.float64)
    b = x["y_weight"] if "y_weight" in x else torch.full((m,), 1 / max(m, 1), dtype=torch.float64)
    here, there = [i for i in range(n) if a[i] > 0], [j for j in range(m) if b[j] > 0]
    fixed, f, g, e = c.detach(), torch.zeros(n).double(), torch.zeros(m).double(), p["epsilon"]
    first = p["start"] or max((fixed[i, j].item() for i in here for j in there), default=0.0)
    temperature = lambda k: p["epsilon"] if p["scaling"] == 1 else max(p["epsilon"], first * p["scaling"] ** k)
    stopped = False
    for k in range(int(o["iterations"])):
        if k > 0 and here and there and temperature(k - 1) == p["epsilon"]:
            rows = [sum(a[i] * b[j] * torch.exp((f[i] + g[j] - fixed[i, j]) / e) for j in there) for i in here]
            error = sum(abs(r - a[i]) for r, i in zip(rows, here))
            assert p["tolerance"] == 0 or abs(error / p["tolerance"] - 1) > 0.02, "when it stops could flip"
            if error < p["tolerance"]:
                stopped = True
                break
        e = temperature(k)
        for i in range(n):
            f[i] = -e * torch.logsumexp(torch.stack([b[j].log() + (g[j] - fixed[i, j]) / e for j in there]), 0) if there else math.inf
        for j in range(m):
            g[j] = -e * torch.logsumexp(torch.stack([a[i].log() + (f[i] - fixed[i, j]) / e for i in here]), 0) if here else math.inf
    assert not p["tolerance"] or stopped or o["iterations"] == "3", "nothing tried"
    value = sum((a[i] * f[i] for i in here), floats(0.0)) + sum((b[j] * g[j] for j in there), floats(0.0))
    plan = [(i, j, a[i] * b[j] * torch.exp((f[i] + g[j] - fixed[i, j]) / e)) for i in here for j in there]
    moved = sum((q * c[i, j] for i, j, q in plan), 0 * c.sum())
    return Rows(value + moved - moved.detach())


def sinkhorn_cases():
    g = Draw("sinkhorn_distance")
    x = {"x": g.normal(4, 3), "y": g.normal(5, 3)}
    few, wide = {"iterations": "3"}, {"epsilon": 1.0, "scaling": 1.0}
    weights = {"x_weight": floats([0.125, 0.25, 0.5, 0.125]), "y_weight": floats([0.25, 0.25, 0.125, 0.25, 0.125])}
    c = {"cost_matrix": g.normal(4, 5).abs()}
    yield Case("default", x)
    yield Case("few", x, wide, few)
    yield Case("scaled", x, wide, few, grad_output=-2.0)
    yield Case("weight", x, wide, few, "sum", row_weight=[0.5])
    yield Case("masked", x, wide, few, row_mask=[0])
    yield Case("distance", x, {"epsilon": 0.25, "scaling": 1.0}, {"cost": "distance", "iterations": "20"})
    yield Case("weights", x | weights, wide, {"iterations": "400"})
    yield Case("weights_distance", x | weights, wide, {"cost": "distance", "iterations": "400"})
    yield Case("weight_of_zero", x | {"x_weight": floats([0.5, 0.0, 0.25, 0.25])}, wide, {"iterations": "10"})
    yield Case("given", c, {"epsilon": 0.25, "scaling": 1.0}, {"cost": "given", "iterations": "7"})
    yield Case("given_weights", c | weights, {"epsilon": 0.25}, {"cost": "given", "iterations": "7"})
    yield Case("annealed", x, {"epsilon": 0.125, "scaling": 0.5, "start": 8.0}, {"iterations": "12"})
    yield Case("annealed_too_short", x, {"epsilon": 0.125, "scaling": 0.5, "start": 8.0}, few)
    yield Case("annealed_from_largest", x, {"epsilon": 0.125}, {"iterations": "12"})
    yield Case("annealed_from_largest_kept", x | {"x_weight": floats([0.5, 0.0, 0.25, 0.25])}, {"epsilon": 0.5}, few)
    yield Case("annealed_given", c, {"epsilon": 0.25, "scaling": 0.25}, {"cost": "given", "iterations": "5"})
    yield Case("not_annealed", x, {"epsilon": 0.5, "scaling": 1.0, "start": 8.0}, few, why="scaling = 1: epsilon from the first on")
    yield Case("no_iterations", x, wide, {"iterations": "0"}, why="potentials 0")
    yield Case("equal_points", {"x": x["x"], "y": x["x"]}, wide, {"cost": "distance", "iterations": "5"}, why="distance 0: gradient 0")
    yield Case("far", {"x": x["x"], "y": x["y"] + 64}, {"epsilon": 0.0625, "scaling": 1.0}, {"iterations": "10"})
    yield Case("one_point_each", {"x": x["x"][:1], "y": x["y"][:1]}, {}, few)
    soon = {"epsilon": 1.0, "scaling": 1.0, "tolerance": 0.01}
    yield Case("tolerance", x, soon)
    yield Case("tolerance_scaled", x | weights, soon, {"cost": "distance"}, grad_output=-2.0)
    yield Case("tolerance_given", c, {"epsilon": 0.25, "tolerance": 0.03125}, {"cost": "given"})
    yield Case("tolerance_not_reached", x, soon | {"tolerance": 1e-5}, few, why="as without")
    yield Case("tolerance_annealed", x, {"epsilon": 0.5, "scaling": 0.5, "start": 8.0, "tolerance": 1.0}, why="not before epsilon")


LOSSES["sinkhorn_distance"] = Loss(
    "sinkhorn_distance", "Cuturi 2013 and Feydy et al. 2019, by loops; catalogue/transport_sequence.md sinkhorn_distance",
    sinkhorn_distance, lambda x, p, o: None, ["x", "y", "cost_matrix"], {"epsilon": 0.05, "scaling": 0.5, "start": 0, "tolerance": 0},
    {"cost": ["squared_distance", "distance", "given"], "iterations": ["50"]}, list(sinkhorn_cases()), [])
