"""Golden vectors of losses on images: total_variation, boundary."""

import torch

from common import *


# ---- total_variation -------------------------------------------------------------------------------------------------


def total_variation(x, p, o):
    v = x["input"]
    down, right = (v[:, :, 1:] - v[:, :, :-1]).abs(), (v[..., 1:] - v[..., :-1]).abs()
    sizes = [1, 1] if o["over"] == "sum" else [max(d[0, 0].numel(), 1) for d in (down, right)]
    return Rows(down.sum((2, 3)) / sizes[0] + right.sum((2, 3)) / sizes[1])


def total_variation_library(x, p, o):
    from kornia.losses import total_variation as kornia

    return Library("kornia.losses.total_variation", kornia(x["input"], reduction=o["over"]))


def total_variation_cases():
    g = Draw("total_variation")
    x = {"input": g.normal(2, 3, 4, 5)}
    mean = {"over": "mean"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(2, 3)))
    yield Case("mean", x, {}, mean)
    yield Case("mean_none", x, {}, mean, "none", row_weight=flat(g.weight(2, 3)), row_mask=[1, 0, 1, 1, 1, 1])
    yield Case("per_image", x, denominator=2.0)
    yield Case("equal", {"input": x["input"] * 0 + 0.5}, why="0, with gradient 0")
    yield Case("plateaus", {"input": (x["input"] * 0.5).round()})
    yield Case("one_row_of_pixels", {"input": g.normal(2, 1, 1, 5)}, {}, mean)
    yield Case("one_column_of_pixels", {"input": g.normal(2, 1, 5, 1)})
    yield Case("one_pixel", {"input": g.normal(2, 2, 1, 1)}, {}, mean, why="0")
    yield Case("large", {"input": x["input"] * 4096})


LOSSES["total_variation"] = Loss(
    "total_variation", "kornia.losses.total_variation; catalogue/image_similarity.md total_variation",
    total_variation, total_variation_library, ["input"], {}, {"over": ["sum", "mean"]}, list(total_variation_cases()),
    ["kornia"])


# ---- boundary --------------------------------------------------------------------------------------------------------


def boundary(x, p, o):
    return Rows(p["scale"] * torch.einsum("ncp,ncp->nc", x["distance"], x["probability"]) / x["distance"].shape[2])


def boundary_cases():
    g = Draw("boundary")
    x = {"probability": g.unit(2, 3, 6), "distance": g.normal(2, 3, 6, scale=2)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(2, 3)))
    yield Case("scale", x, {"scale": 0.25})
    yield Case("scale_zero", x, {"scale": 0.0})
    yield Case("without_background", x, row_mask=[0, 1, 1] * 2)
    yield Case("row_weight", x, row_weight=flat(g.weight(2, 3)))
    yield Case("class_absent", x | {"distance": x["distance"] * floats([1, 0, 1])[:, None]}, reduction="none")
    yield Case("one_pixel", {"probability": g.unit(2, 2, 1), "distance": g.normal(2, 2, 1)})


LOSSES["boundary"] = Loss(
    "boundary", "catalogue/segmentation.md boundary", boundary, lambda x, p, o: None, ["probability"], {"scale": 1}, {},
    list(boundary_cases()), [])
