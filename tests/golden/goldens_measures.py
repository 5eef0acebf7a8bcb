"""Golden vectors of measures between boxes, windows, samples and pairs: giou, local_ncc, energy_distance, wasserstein_1d,
lifted_structure, lovasz_hinge."""

import torch
import torch.nn.functional as F

from common import *


def length(v):
    """Euclidean, with slope 0 at the zero vector."""
    square = (v * v).sum(-1)
    return torch.where(square > 0, square.where(square > 0, torch.ones_like(square)).sqrt(), 0)


# ---- giou ------------------------------------------------------------------------------------------------------------


def giou(x, p, o):
    a, b = x["box"], x["target"]
    area = lambda c: (c[:, 2:] - c[:, :2]).prod(1)
    both = torch.relu(torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).prod(1)
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    either = area(a) + area(b) - both
    return Rows(1 - both / (either + p["eps"]) + (around - either) / (around + p["eps"]))


def giou_library(x, p, o):
    from torchvision.ops import generalized_box_iou_loss as torchvision

    return Library("torchvision.ops.generalized_box_iou_loss", torchvision(x["box"], x["target"], eps=p["eps"]),
                   torchvision(x["box"], x["target"], "mean", p["eps"]))


def giou_cases():
    g = Draw("giou")

    def boxes(n):
        corner = g.normal(n, 2, scale=0.5)
        return torch.cat([corner, corner + g.weight(n, 2)], 1)

    x = {"box": boxes(8), "target": boxes(8)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(8)))
    yield Case("row_weight", x, row_weight=flat(g.weight(8)), row_mask=[1, 1, 0, 1, 1, 1, 1, 1])
    yield Case("eps_large", x, {"eps": 0.125})
    yield Case("all_masked", x, row_mask=[0] * 8)
    apart = x["box"] + floats([64.0, -32.0, 64.0, -32.0])
    yield Case("apart", {"box": apart, "target": x["target"]}, why="no overlap: what is between them still pulls")
    inside = torch.cat([x["target"][:, :2] + 0.03125, x["target"][:, 2:] - 0.03125], 1)
    yield Case("inside", {"box": inside, "target": x["target"]})
    yield Case("equal", {"box": x["target"], "target": x["target"]}, why="all maxima and minima tie")
    point = floats([[0.5, 0.5, 0.5, 0.5]])
    yield Case("one_point", {"box": point, "target": point}, library=False, why="loss 1: nothing divided by eps")


LOSSES["giou"] = Loss("giou", "torchvision.ops.generalized_box_iou_loss; catalogue/detection.md giou", giou, giou_library,
                      ["box"], {"eps": 1e-7}, {}, list(giou_cases()), ["torchvision"])


# ---- local_ncc -------------------------------------------------------------------------------------------------------


def kernel(k, o, sigma):
    offset = torch.arange(k, dtype=torch.float64) - k // 2
    if o == "rectangular":
        return torch.full((k,), 1 / k, dtype=torch.float64)
    w = (k // 2 + 1 - offset.abs()) if o == "triangular" else torch.exp(-(offset**2) / (2 * sigma**2))
    return w / w.sum()


def local_ncc(x, p, o):
    k = int(o["window"])
    one, dims = kernel(k, o["kernel"], p["sigma"]), x["input"].dim() - 1
    whole = one if dims == 1 else one[:, None] * one if dims == 2 else one[:, None, None] * one[:, None] * one
    conv = F.conv3d if dims == 3 else F.conv2d
    window = lambda e: conv(e[:, None], whole[None, None], padding=k // 2)[:, 0]
    a, b = x["input"], x["target"]
    mx, my = window(a), window(b)
    cross, vx, vy = window(a * b) - mx * my, window(a * a) - mx**2, window(b * b) - my**2
    if o["variance"] == "clamped":
        assert all(bool(((v - p["eps"]).abs() > 1e-3 * p["eps"]).all()) for v in (vx, vy)), "what is clamped could flip"
        return Rows(-(cross**2 / (vx.clamp(min=p["eps"]) * vy.clamp(min=p["eps"]))).flatten(1).mean(1))
    return Rows(-(cross**2 / (torch.relu(vx) * torch.relu(vy) + p["eps"])).flatten(1).mean(1))


def local_ncc_library(x, p, o):
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    if o["variance"] != "clamped" or o["kernel"] != "rectangular":
        return None
    k, dims = int(o["window"]), x["input"].dim() - 1
    # Its sums are over whole windows, ours means.
    loss = LocalNormalizedCrossCorrelationLoss(dims, k, smooth_nr=0, smooth_dr=p["eps"] * k**dims, reduction="none")
    rows = loss(x["input"][:, None], x["target"][:, None]).flatten(1).mean(1)
    return Library("monai.losses.LocalNormalizedCrossCorrelationLoss", rows)


def local_ncc_cases():
    g = Draw("local_ncc")
    flat_pair = {"input": g.unit(3, 5, 6), "target": g.unit(3, 5, 6)}
    volume = {"input": g.unit(2, 4, 3, 5), "target": g.unit(2, 4, 3, 5)}
    yield Case("default", flat_pair)
    yield Case("sum", flat_pair, reduction="sum", grad_output=0.5)
    yield Case("none", flat_pair, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("row_weight", flat_pair, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("triangular", flat_pair, {}, {"kernel": "triangular", "window": "5"})
    yield Case("gaussian", flat_pair, {"sigma": 1.5}, {"kernel": "gaussian", "window": "5"})
    yield Case("eps_large", flat_pair, {"eps": 0.0625})
    yield Case("one_pixel_windows", flat_pair, {}, {"window": "1"}, why="no variance: 0")
    yield Case("window_beyond_the_image", flat_pair, {}, {"window": "9"})
    yield Case("volume", volume)
    yield Case("volume_none", volume, {}, {"window": "5"}, "none", grad_output=flat(g.normal(2)))
    yield Case("volume_triangular", volume, {}, {"kernel": "triangular"}, row_mask=[1, 0])
    clamped = {"variance": "clamped"}
    yield Case("clamped", flat_pair, {}, clamped)
    yield Case("clamped_large", flat_pair, {"eps": 0.0625}, clamped, why="some variances are below eps")
    yield Case("clamped_window", flat_pair, {}, clamped | {"window": "5"}, "none", grad_output=flat(g.normal(3)))
    yield Case("clamped_gaussian", flat_pair, {}, clamped | {"kernel": "gaussian"}, "sum")
    yield Case("clamped_volume", volume, {"eps": 0.03125}, clamped)
    yield Case("clamped_constant", {"input": flat_pair["input"], "target": torch.zeros(3, 5, 6).double()}, {}, clamped,
               why="no variance of the target: 0 with gradient 0")


LOSSES["local_ncc"] = Loss(
    "local_ncc", "monai LocalNormalizedCrossCorrelationLoss; catalogue/image_similarity.md local_ncc", local_ncc, local_ncc_library, ["input"],
    {"eps": 1e-5, "sigma": 1}, {"window": ["3"], "kernel": ["rectangular", "triangular", "gaussian"], "variance": ["added", "clamped"]},
    list(local_ncc_cases()), ["monai"])


# ---- energy_distance ---------------------------------------------------------------------------------------------------


def energy_distance(x, p, o):
    even = lambda k: x.get(k + "_weight", torch.ones(len(x[k])).double())
    share = {k: even(k) / even(k).sum() if even(k).sum() > 0 else even(k) for k in ("x", "y")}
    apart = lambda a, b: (share[a][:, None] * share[b] * length(x[a][:, None] - x[b][None])).sum()
    e = 2 * apart("x", "y") - apart("x", "x") - apart("y", "y")
    return Rows(e * (0.5 if o["scale"] == "half" else 1))


def energy_distance_library(x, p, o):
    from scipy.stats import energy_distance

    if x["x"].shape[1] != 1:
        return None
    points = lambda k: x[k].detach().numpy()[:, 0]
    weights = {short + "_weights": x[k].numpy() for short, k in (("u", "x_weight"), ("v", "y_weight")) if k in x}
    value = torch.tensor(energy_distance(points("x"), points("y"), **weights) ** 2 * (0.5 if o["scale"] == "half" else 1))
    return Library("scipy.stats.energy_distance, squared", mean=value, sum=value, value_only=True)


def energy_distance_cases():
    g = Draw("energy_distance")
    x = {"x": g.normal(6, 3), "y": g.normal(4, 3)}
    h = Draw("energy_distance weights")
    weights = {"x_weight": h.weight(6), "y_weight": h.weight(4)}
    yield Case("weights", x | weights)
    yield Case("x_weight", x | {"x_weight": weights["x_weight"]}, {}, {"scale": "half"})
    yield Case("y_weight", x | {"y_weight": floats([0, 1, 0.5, 0])}, reduction="sum", grad_output=0.5)
    yield Case("weights_on_a_line", {"x": h.normal(6, 1), "y": h.normal(4, 1)} | weights)
    yield Case("weightless", x | {"x_weight": torch.zeros(6).double()}, why="what is left is -E|y - y'|")
    yield Case("default", x)
    yield Case("half", x, {}, {"scale": "half"}, "sum", grad_output=0.5)
    yield Case("grad_output", x, grad_output=-1.5)
    yield Case("one_point_each", {"x": g.normal(1, 3), "y": g.normal(1, 3)})
    yield Case("equal", {"x": x["x"], "y": x["x"]}, why="0")
    yield Case("duplicates", {"x": x["x"][[0, 0, 1]], "y": x["x"][[1, 2]]})
    yield Case("far", {"x": x["x"] + 4096, "y": x["y"] + 4096}, why="differences of points are exact")


LOSSES["energy_distance"] = Loss(
    "energy_distance", "catalogue/transport_sequence.md energy_distance", energy_distance, energy_distance_library,
    ["x", "y"], {}, {"scale": ["full", "half"]}, list(energy_distance_cases()), ["scipy"])


# ---- wasserstein_1d ------------------------------------------------------------------------------------------------------


def wasserstein_1d(x, p, o):
    """Both samples repeated to one size; weights are eighths."""
    times = {k: (8 * x[k + "_weight"]).long() if k + "_weight" in x else torch.ones(len(x[k])).long() for k in ("x", "y")}
    n, m = (int(times[k].sum()) for k in ("x", "y"))
    if n == 0 or m == 0:
        return Rows(x["x"].sum() * 0)
    def each(k, by):
        order = torch.sort(x[k], stable=True)[1]
        return x[k][order].repeat_interleave(times[k][order] * by)
    gap = each("x", m) - each("y", n)
    return Rows((gap.abs() if o["p"] == "1" else gap**2).mean())


def wasserstein_1d_library(x, p, o):
    from scipy.stats import wasserstein_distance

    if o["p"] != "1":
        return None
    if any(x[k].sum() == 0 for k in ("x_weight", "y_weight") if k in x):
        return None
    weights = (x[k].numpy() if k in x else None for k in ("x_weight", "y_weight"))
    value = torch.tensor(wasserstein_distance(x["x"].detach().numpy(), x["y"].detach().numpy(), *weights), dtype=torch.float64)
    return Library("scipy.stats.wasserstein_distance", mean=value, sum=value, value_only=True)


def wasserstein_1d_cases():
    g = Draw("wasserstein_1d")
    x, two = {"x": g.normal(6), "y": g.normal(4)}, {"p": "2"}
    yield Case("default", x)
    yield Case("p2", x, {}, two, "sum", grad_output=0.5)
    yield Case("one_size", {"x": g.normal(5), "y": g.normal(5)})
    yield Case("one_size_p2", {"x": g.normal(5), "y": g.normal(5)}, {}, two)
    yield Case("coprime_sizes", {"x": g.normal(7), "y": g.normal(3)}, {}, two, grad_output=-1.5)
    yield Case("one_point", {"x": g.normal(1), "y": g.normal(4)})
    yield Case("ties", {"x": floats([1, 1, 0, 1]), "y": floats([2, 0.5])})
    yield Case("far", {"x": x["x"] * 4096, "y": x["y"] - 4096}, {}, two)
    weights = {"x_weight": g.weight(6), "y_weight": g.weight(4)}
    yield Case("weights", x | weights)
    yield Case("weights_p2", x | weights, {}, two, "sum", grad_output=0.5)
    yield Case("x_weight", x | {"x_weight": weights["x_weight"]}, {}, two)
    yield Case("y_weight", x | {"y_weight": floats([0, 1, 0.5, 0])})
    yield Case("weightless", x | {"y_weight": torch.zeros(4).double()}, why="0")


LOSSES["wasserstein_1d"] = Loss(
    "wasserstein_1d", "catalogue/transport_sequence.md wasserstein_1d", wasserstein_1d, wasserstein_1d_library, ["x", "y"],
    {}, {"p": ["1", "2"]}, list(wasserstein_1d_cases()), ["scipy"])


# ---- lifted_structure ----------------------------------------------------------------------------------------------------


def lifted_structure(x, p, o):
    z, y = x["embedding"], x["label"]
    d, other = length(z[:, None] - z[None]), y[:, None] != y[None]
    total, pairs = z.sum() * 0, 0
    for i in range(len(y)):
        for j in range(len(y)):
            if i == j or other[i, j]:
                continue
            pairs += 1
            near = torch.cat([d[i][other[i]], d[j][other[j]]])
            if len(near):
                total = total + torch.relu(torch.logsumexp(p["margin"] - near, 0) + d[i, j]) ** 2
    return Rows(total / max(2 * pairs, 1))


def lifted_structure_library(x, p, o):
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import LiftedStructureLoss

    loss = LiftedStructureLoss(neg_margin=p["margin"], pos_margin=0, distance=LpDistance(normalize_embeddings=False))
    value = loss(x["embedding"], x["label"])
    return Library("pytorch_metric_learning LiftedStructureLoss, LpDistance(normalize_embeddings=False)", mean=value, sum=value)


def lifted_structure_cases():
    g = Draw("lifted_structure")
    x = {"embedding": g.normal(8, 4), "label": ints([0, 1, 0, 2, 1, 0, 2, 3])}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("margin", x, {"margin": 3.0})
    yield Case("margin_negative", x, {"margin": -2.0}, why="hinges that are closed")
    yield Case("no_positives", x | {"label": ints(range(8))}, library=False, why="0")
    yield Case("no_negatives", x | {"label": ints([1] * 8)}, library=False, why="0")
    twice = x["embedding"].clone()
    twice[2] = twice[0]
    yield Case("duplicates", x | {"embedding": twice}, library=False, why="distance 0, slope 0")


LOSSES["lifted_structure"] = Loss(
    "lifted_structure", "pytorch_metric_learning LiftedStructureLoss; catalogue/metric_learning.md lifted_structure",
    lifted_structure, lifted_structure_library, ["embedding"], {"margin": 1}, {}, list(lifted_structure_cases()),
    ["pytorch-metric-learning"])


# ---- lovasz_hinge --------------------------------------------------------------------------------------------------------


def lovasz_hinge(x, p, o):
    rows = []
    for f, g in zip(x["logits"], x["target"].double()):
        e = 1 - f * (2 * g - 1)
        order = torch.sort(e.detach(), descending=True, stable=True)[1]
        here = g[order]
        jaccard = 1 - (g.sum() - here.cumsum(0)) / (g.sum() + (1 - here).cumsum(0)).clamp(min=1)
        step = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
        rows.append((torch.relu(e[order]) * step).sum())
    return Rows(torch.stack(rows))


def lovasz_hinge_cases():
    g = Draw("lovasz_hinge")
    x = {"logits": g.normal(3, 7), "target": g.bits(3, 7, p=0.5)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("row_weight", x, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("no_foreground", x | {"target": x["target"] * 0}, why="the greatest error counts alone")
    yield Case("all_foreground", x | {"target": x["target"] * 0 + 1})
    yield Case("all_right", x | {"logits": (2 * x["target"] - 1) * 2}, why="0")
    yield Case("ties", x | {"logits": x["logits"].round()})
    yield Case("one_pixel", {"logits": g.normal(2, 1), "target": g.bits(2, 1)})


LOSSES["lovasz_hinge"] = Loss(
    "lovasz_hinge", "catalogue/segmentation.md lovasz_hinge", lovasz_hinge, lambda x, p, o: None, ["logits"], {}, {},
    list(lovasz_hinge_cases()), [])
