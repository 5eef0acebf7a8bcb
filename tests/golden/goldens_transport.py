"""Golden vectors of distances between sets of points."""

import torch

from common import *


# ---- chamfer ---------------------------------------------------------------------------------------------------------


def chamfer(x, p, o):
    def one_way(a, b):
        total = 0 * (a.sum() + b.sum())
        for q in a:
            gap = (q - b).abs().sum(1) if o["norm"] == "l1" else ((q - b) ** 2).sum(1)
            near = min(gap.tolist())
            assert all(v == near or v - near > 1e-3 for v in gap.tolist())
            total = total + gap[gap.tolist().index(near)]
        return total / len(a)

    rows = [one_way(a, b) + one_way(b, a) if len(a) and len(b) else 0 * (a.sum() + b.sum()) for a, b in zip(x["x"], x["y"])]
    return Rows(torch.stack(rows) if rows else torch.zeros(0).double())


def chamfer_cases():
    g = Draw("chamfer")
    x = {"x": g.normal(3, 6, 3), "y": g.normal(3, 4, 3)}
    l1 = {"norm": "l1"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-2.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("l1", x, {}, l1)
    yield Case("l1_none", x, {}, l1, "none", grad_output=flat(g.normal(3)))
    yield Case("row_weight", x, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("denominator", x, denominator=8.0)
    yield Case("all_masked", x, row_mask=[0] * 3)
    yield Case("two_coordinates", {k: v[..., :2] for k, v in x.items()})
    yield Case("one_point", {"x": x["x"], "y": x["y"][:, :1]})
    yield Case("empty_set", {"x": x["x"], "y": x["y"][:, :0]}, why="0")
    # The point 0 of x has both points of y at distance 1, and those have 0 and 1 of x: the lowest index is taken.
    tie = {"x": floats([[[0, 0, 0], [0, 2, 0], [8, 0, 0]]]), "y": floats([[[0, 1, 0], [0, -1, 0]]])}
    yield Case("ties", tie)
    yield Case("ties_l1", tie, {}, l1)
    yield Case("equal_sets", {"x": x["x"], "y": x["x"]}, why="0 with gradient 0")
    yield Case("equal_sets_l1", {"x": x["x"], "y": x["x"]}, {}, l1, why="0 with gradient 0")


LOSSES["chamfer"] = Loss(
    "chamfer", "Fan, Su and Guibas 2017, by loops; catalogue/transport_sequence.md chamfer", chamfer, lambda x, p, o: None,
    ["x", "y"], {}, {"norm": ["squared", "l1"]}, list(chamfer_cases()), [])


# ---- mmd -------------------------------------------------------------------------------------------------------------


def mmd(x, p, o):
    def kernel(a, b):
        square = ((a - b) ** 2).sum()
        some = square > 0
        distance = torch.where(some, torch.where(some, square, 1).sqrt(), 0)
        s = x["bandwidth"]
        return torch.exp(-square / (2 * s**2) if o["kernel"] == "gaussian" else -distance / s).sum()

    def mean(a, b, diagonal=True):
        values = [kernel(u, v) for i, u in enumerate(a) for j, v in enumerate(b) if diagonal or i != j]
        return torch.stack(values).mean() if values else floats(0.0)

    biased = o["estimator"] == "biased"
    return Rows(p["scale"] * (mean(x["x"], x["x"], biased) + mean(x["y"], x["y"], biased) - 2 * mean(x["x"], x["y"])))


def mmd_library(x, p, o):
    from geomloss import SamplesLoss

    if o["estimator"] != "biased" or len(x["bandwidth"]) != 1 or p["scale"] != 0.5 or not len(x["x"]) * len(x["y"]):
        return None
    loss = SamplesLoss(o["kernel"], blur=x["bandwidth"].item(), backend="tensorized")
    return Library("geomloss.SamplesLoss", None, loss(x["x"], x["y"]))


def mmd_cases():
    g = Draw("mmd")
    x = {"x": g.normal(5, 3), "y": g.normal(7, 3), "bandwidth": floats([1.25])}
    several = x | {"bandwidth": floats([0.5, 1.0, 2.0])}
    unbiased, laplacian, half = {"estimator": "unbiased"}, {"kernel": "laplacian"}, {"scale": 0.5}
    yield Case("default", x)
    yield Case("scaled", x, grad_output=-2.0)
    yield Case("weight", x, reduction="sum", row_weight=[0.5])
    yield Case("masked", x, row_mask=[0])
    yield Case("half", x, half)
    yield Case("half_laplacian", x, half, laplacian, library=False, why="geomloss: no distance below 1e-4")
    yield Case("several", several)
    yield Case("several_laplacian", several, {}, laplacian)
    yield Case("unbiased", x, {}, unbiased)
    yield Case("unbiased_several", several, {}, unbiased)
    yield Case("unbiased_laplacian", several, {}, unbiased | laplacian)
    yield Case("equal_samples", x | {"y": x["x"]}, why="0 with gradient 0")
    yield Case("duplicates_laplacian", x | {"y": x["x"][[0, 0, 1, 2, 3, 3, 3]]}, {}, laplacian)
    yield Case("far", x | {"y": x["y"] + 64}, why="the kernel across underflows")
    yield Case("one_point_each", {"x": x["x"][:1], "y": x["y"][:1], "bandwidth": x["bandwidth"]})
    yield Case("one_point_each_unbiased", {"x": x["x"][:1], "y": x["y"][:1], "bandwidth": x["bandwidth"]}, {}, unbiased)
    yield Case("empty", x | {"x": x["x"][:0]}, why="the terms of y only")


LOSSES["mmd"] = Loss(
    "mmd", "geomloss SamplesLoss; catalogue/transport_sequence.md mmd", mmd, mmd_library, ["x", "y"], {"scale": 1},
    {"kernel": ["gaussian", "laplacian"], "estimator": ["biased", "unbiased"]}, list(mmd_cases()), ["geomloss"])
