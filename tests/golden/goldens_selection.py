"""Golden vectors of losses that keep the hardest pixels: topk_cross_entropy."""

import math

import torch
import torch.nn.functional as F

from common import *


# ---- topk_cross_entropy ----------------------------------------------------------------------------------------------


def pixel_losses(x, p):
    """-log softmax(x)_y [N,P] by loops over images, and which pixels are there."""
    z, y = x["logits"].flatten(2), x["target"].flatten(1)
    keep = y != p["ignore_index"]
    y = torch.where(keep, y, 0)
    return torch.stack([torch.logsumexp(a, 0) - a.gather(0, b[None])[0] for a, b in zip(z, y)]), keep


def hardest(loss, count):
    """Positions of the `count` largest of a list, the first of equal ones; none may change by a rounding error."""
    values = [math.inf if math.isnan(v) else v for v in loss.tolist()]
    order = sorted(range(len(values)), key=lambda i: -values[i])
    if 0 < count < len(order):
        a, b = values[order[count - 1]], values[order[count]]
        assert a == b or abs(a - b) > 1e-3, "which pixel counts could flip"
    return order[:count]


def topk_cross_entropy(x, p, o):
    loss, keep = pixel_losses(x, p)
    groups = [keep] if o["scope"] == "batch" else [keep & (torch.arange(len(keep)) == n)[:, None] for n in range(len(keep))]
    valid = torch.zeros_like(keep)
    for group in groups:
        places = group.nonzero()
        own = loss.detach()[group]
        if o["mode"] == "fraction":
            chosen = hardest(own, min(max(math.floor(p["percent"] * len(own) / 100), 1), len(own)))
        else:
            assert p["threshold"] == 0 or bool((((-own).exp() - p["threshold"]).abs() > 1e-3).all())
            chosen = {i for i, v in enumerate(own.tolist()) if math.exp(-v) < p["threshold"]}
            chosen |= set(hardest(own, min(int(p["at_least"]), len(own))))
        for i in chosen:
            valid[tuple(places[i])] = True
    return Rows(loss, valid)


def topk_cross_entropy_library(x, p, o):
    y = x["target"]
    rows = F.cross_entropy(x["logits"], y, reduction="none", ignore_index=int(p["ignore_index"]))
    return Library("torch.nn.functional.cross_entropy of each pixel, chosen by the script", rows.flatten(1))


def topk_cross_entropy_cases():
    g = Draw("topk_cross_entropy")
    x = {"logits": g.normal(2, 3, 4, 5), "target": g.label(3, 2, 4, 5)}
    image, easy = {"scope": "image"}, {"mode": "threshold"}
    some = x["target"].clone()
    some[0, 1], some[1, :, 2] = -100, -100
    nothing = x["target"].clone()
    nothing[1] = -100
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, {"percent": 30}, reduction="none", grad_output=flat(g.normal(2, 20)))
    yield Case("half", x, {"percent": 50})
    yield Case("all", x, {"percent": 100})
    yield Case("at_least_one", x, {"percent": 0}, why="the hardest")
    yield Case("image", x, {"percent": 25}, image)
    yield Case("image_none", x, {"percent": 25}, image, "none")
    yield Case("ignore", x | {"target": some}, {"percent": 20})
    yield Case("ignore_index", x, {"percent": 20, "ignore_index": 1})
    yield Case("image_ignore", x | {"target": some}, {"percent": 20}, image, "none")
    yield Case("image_without_pixels", x | {"target": nothing}, {"percent": 20}, image)
    yield Case("ignore_all", x | {"target": x["target"] * 0 - 100}, why="0")
    yield Case("threshold", x, {"threshold": 0.3}, easy)
    yield Case("threshold_default", x, {}, easy)
    yield Case("threshold_at_least", x, {"threshold": 0.03125, "at_least": 7}, easy)
    yield Case("threshold_none_hard", x, {"threshold": 0.0, "at_least": 0}, easy, why="no pixel counts: 0")
    yield Case("threshold_image", x, {"threshold": 0.0625, "at_least": 3}, easy | image, "none")
    yield Case("threshold_ignore", x | {"target": some}, {"threshold": 0.28125, "at_least": 2}, easy)
    yield Case("row_weight", x, {"percent": 40}, row_weight=flat(g.weight(2, 20)), row_mask=flat(g.bits(2, 20, p=0.6).long()))
    yield Case("denominator", x, {"percent": 40}, denominator=8.0)
    yield Case("ties", {"logits": x["logits"][:, :, :1, :1].repeat(1, 1, 3, 4), "target": x["target"][:, :1, :1].repeat(1, 3, 4)},
               {"percent": 50}, reduction="none", why="the first of equal pixels count")
    yield Case("volume", {"logits": g.normal(2, 3, 2, 3, 2), "target": g.label(3, 2, 2, 3, 2)}, {"percent": 25})
    yield Case("one_pixel", {"logits": g.normal(1, 3, 1), "target": ints([[2]])})
    yield Case("saturated", x | {"logits": x["logits"] * 64}, {"percent": 25})
    ruled_out = x["logits"].clone()
    ruled_out[0, (x["target"][0, 0, 0] + 1) % 3, 0, 0] = -math.inf
    yield Case("class_ruled_out", x | {"logits": ruled_out}, {"percent": 100})
    yield Case("target_ruled_out", {"logits": floats([[[0.5, 1.0], [-math.inf, 0.25]]]), "target": ints([[1, 1]])},
               reduction="none", library=False, why="the loss is infinite")


LOSSES["topk_cross_entropy"] = Loss(
    "topk_cross_entropy", "torch.nn.functional.cross_entropy; catalogue/segmentation.md topk_cross_entropy",
    topk_cross_entropy, topk_cross_entropy_library, ["logits"],
    {"ignore_index": -100, "percent": 10, "threshold": 0.7, "at_least": 1},
    {"scope": ["batch", "image"], "mode": ["fraction", "threshold"]}, list(topk_cross_entropy_cases()), [])
