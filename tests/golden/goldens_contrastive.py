"""Golden vectors of contrastive losses: nt_xent, supcon_out, siglip."""

import math

import torch
import torch.nn.functional as F

from common import *


# ---- nt_xent ---------------------------------------------------------------------------------------------------------


def nt_xent_positive(x, o):
    n = len(x["embedding"])
    return x["positive"] if o["positives"] == "index" else (torch.arange(n) + n // 2) % n


def nt_xent_negatives(x, positive):
    n = len(positive)
    others = ~torch.eye(n, dtype=torch.bool)
    if "group" in x:
        others &= x["group"][:, None] != x["group"][None]
    return others & (torch.arange(n)[None] != positive[:, None])


def nt_xent(x, p, o):
    positive = nt_xent_positive(x, o)
    s = cosine(x["embedding"], x["embedding"]) / p["temperature"]
    target = s.gather(1, positive[:, None])
    negative = torch.where(nt_xent_negatives(x, positive), s, -math.inf)
    return Rows(torch.logsumexp(torch.cat([target, negative], 1), 1) - target[:, 0])


def nt_xent_library(x, p, o):
    from lightly.loss import NTXentLoss
    from pytorch_metric_learning import losses

    positive = nt_xent_positive(x, o)
    n = len(positive)
    mean = None
    if o["positives"] == "offset" and "group" not in x:
        mean = NTXentLoss(temperature=p["temperature"])(x["embedding"][: n // 2], x["embedding"][n // 2 :])
    a2, negative = torch.where(nt_xent_negatives(x, positive))
    if len(a2) < 2:
        return Library("lightly.loss.NTXentLoss", None, mean)
    pairs = torch.arange(n), positive, a2, negative
    rows, _ = pml_rows(losses.NTXentLoss(temperature=p["temperature"]), x["embedding"], indices_tuple=pairs)
    both = " and (mean) lightly.loss.NTXentLoss" if mean is not None else " with its pairs given"
    return Library("pytorch_metric_learning.losses.NTXentLoss" + both, rows, mean)


def nt_xent_cases():
    g = Draw("nt_xent")
    z = {"embedding": g.normal(8, 5)}
    rw = flat(g.weight(8))
    yield Case("default", z)
    yield Case("sum", z, reduction="sum", grad_output=-0.5)
    yield Case("none", z, reduction="none", grad_output=flat(g.normal(8)))
    yield Case("temperature", z, {"temperature": 0.1})
    yield Case("temperature_small", z, {"temperature": 0.01})
    yield Case("temperature_large", z, {"temperature": 4.0})
    yield Case("row_weight", z, row_weight=rw, row_mask=[1, 0, 1, 1, 1, 0, 1, 1])
    yield Case("row_weight_none", z, reduction="none", row_weight=rw, row_mask=[1, 0, 1, 1, 1, 0, 1, 1])
    yield Case("denominator", z, denominator=10.0)
    yield Case("all_masked", z, row_mask=[0] * 8)
    index = {"positives": "index"}
    yield Case("index", {**z, "positive": ints([3, 0, 5, 0, 6, 2, 4, 1])}, {}, index)
    yield Case("index_none", {**z, "positive": ints([1, 0, 3, 2, 5, 4, 7, 6])}, {"temperature": 0.25}, index, "none")
    yield Case("group", {**z, "group": ints([0, 1, 2, 0, 0, 1, 2, 3])}, {"temperature": 0.1})
    yield Case("group_none", {**z, "group": ints([0, 1, 2, 0, 0, 1, 2, 3])}, reduction="none")
    yield Case("group_index", {**z, "positive": ints([3, 0, 5, 0, 6, 2, 4, 1]), "group": ints([7, 7, 2, 9, 4, 2, 9, 9])}, {}, index)
    yield Case("group_all_same", {**z, "group": ints([5] * 8)}, why="no negatives: 0")
    yield Case("one_pair", {"embedding": z["embedding"][:2]}, why="no negatives: 0")
    same = z["embedding"].clone()
    same[3], same[4], same[7] = same[0], same[0], same[0] * 2
    yield Case("duplicates", {"embedding": same}, {"temperature": 0.1})
    yield Case("all_equal", {"embedding": floats([[1.0, 2.0, -0.5]] * 6)})
    zero = z["embedding"].clone()
    zero[2] = 0
    yield Case("zero_vector", {"embedding": zero}, library=False, why="libraries: gradient / 1e-12 at the zero vector; here 0")
    far = z["embedding"] * floats([2.0**k for k in (-12, 12, 0, 8, -8, 4, -4, 0)])[:, None]
    yield Case("lengths", {"embedding": far})


LOSSES["nt_xent"] = Loss(
    "nt_xent", "lightly NTXentLoss, pytorch-metric-learning NTXentLoss; catalogue/contrastive.md nt_xent",
    nt_xent, nt_xent_library, ["embedding"], {"temperature": 0.5}, {"positives": ["offset", "index"]},
    list(nt_xent_cases()), ["lightly", "pytorch-metric-learning"])


# ---- supcon_out ------------------------------------------------------------------------------------------------------


def supcon_embedding(x, o):
    return torch.relu(x["embedding"]) if o["activation"] == "relu" else x["embedding"]


def supcon_out(x, p, o):
    h = supcon_embedding(x, o)
    s = cosine(h, h) / p["temperature"]
    positive = positive_pairs(x["label"])
    count = positive.sum(1)
    lse = torch.logsumexp(s.masked_fill(torch.eye(len(s), dtype=torch.bool), -math.inf), 1)
    lse = torch.where(count > 0, lse, 0)  # one row alone: the sum is empty
    value = torch.where(positive, lse[:, None] - s, 0).sum(1) / count.clamp(min=1)
    if o["scale"] == "base":
        value = value * (p["temperature"] / p["base_temperature"])
    return Rows(value, count > 0)


def supcon_out_library(x, p, o):
    from pytorch_metric_learning import losses

    h = supcon_embedding(x, o)
    rows, _ = pml_rows(losses.SupConLoss(temperature=p["temperature"]), h, x["label"])
    if isinstance(rows, int):  # no positive or no negative in the batch
        return None
    rows, origin = rows.flatten(), "pytorch_metric_learning.losses.SupConLoss" + (" of relu" if o["activation"] == "relu" else "")
    if o["scale"] == "base":
        return Library(origin + " * temperature / base_temperature", rows * (p["temperature"] / p["base_temperature"]))
    own = losses.SupConLoss(temperature=p["temperature"])(h, x["label"])
    return Library(origin, rows, own)


def supcon_out_cases():
    g = Draw("supcon_out")
    z = g.normal(9, 4)
    x = {"embedding": z, "label": ints([0, 1, 0, 2, 1, 3, 0, 2, 2])}
    rw = flat(g.weight(9))
    mask = [1, 1, 0, 1, 0, 1, 1, 1, 1]
    base = {"scale": "base"}
    yield Case("default", x, why="row 5 has no positive")
    yield Case("sum", x, reduction="sum")
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(9)))
    yield Case("temperature", x, {"temperature": 0.5})
    yield Case("temperature_small", x, {"temperature": 0.0078125})
    yield Case("scale_base", x, {"temperature": 0.07}, base)
    yield Case("scale_base_half", x, {"temperature": 0.05, "base_temperature": 0.1}, base, grad_output=2.0)
    yield Case("scale_base_none", x, {}, base, "none")
    yield Case("row_weight", x, row_weight=rw, row_mask=mask)
    yield Case("row_weight_sum", x, reduction="sum", row_weight=rw, row_mask=mask)
    yield Case("denominator", x, denominator=9.0)
    yield Case("all_masked", x, row_mask=[0] * 9)
    yield Case("negative_labels", {"embedding": z, "label": ints([-1, -1, 5, 5, -7, 100000, -7, 5, -1])})
    yield Case("no_positives", {"embedding": z, "label": ints(list(range(9)))}, why="nothing kept: 0")
    yield Case("one_class", {"embedding": z, "label": ints([4] * 9)}, why="no negatives: the library returns 0")
    yield Case("pair_only", {"embedding": z[:2], "label": ints([1, 1])}, why="no negatives: the library returns 0")
    yield Case("one_row", {"embedding": z[:1], "label": ints([1])}, why="nothing kept: 0")
    same = z.clone()
    same[2], same[4], same[5] = same[0], same[0] * 0.5, same[0]
    yield Case("duplicates", {"embedding": same, "label": x["label"]})
    zero = z.clone()
    zero[2], zero[5] = 0, 0
    yield Case("zero_vector", {"embedding": zero, "label": x["label"]}, library=False,
               why="libraries: gradient / 1e-12 at the zero vector; here 0")
    relu = {"activation": "relu"}
    yield Case("relu", x, {}, relu)
    yield Case("relu_base_none", x, {}, relu | base, "none", grad_output=flat(g.normal(9)))
    yield Case("relu_row_weight", x, {"temperature": 0.5}, relu, row_weight=rw, row_mask=mask)
    negative = z.clone()
    negative[2], negative[5] = -negative[2].abs(), 0
    yield Case("relu_zero_vector", {"embedding": negative, "label": x["label"]}, {}, relu, library=False,
               why="no positive feature: cosine 0, gradient 0")


LOSSES["supcon_out"] = Loss(
    "supcon_out", "pytorch-metric-learning SupConLoss; catalogue/contrastive.md supcon_out",
    supcon_out, supcon_out_library, ["embedding"], {"temperature": 0.1, "base_temperature": 0.07},
    {"scale": ["off", "base"], "activation": ["none", "relu"]}, list(supcon_out_cases()), ["pytorch-metric-learning"])


# ---- siglip ----------------------------------------------------------------------------------------------------------


def siglip(x, p, o):
    z = x["log_scale"].exp() * (x["image"] @ x["text"].T) + x["bias"]
    y = (2 * torch.eye(*z.shape, dtype=torch.float64) if o["pairs"] == "all" else 0) - 1
    return Rows(-F.logsigmoid(y * z).sum(1))


def siglip_library(x, p, o):
    if len(x["image"]) != len(x["text"]):
        return None
    loss = file_module("open_clip_torch", "open_clip/loss.py").SigLipLoss()
    args = x["image"], x["text"], x["log_scale"].exp(), x["bias"]
    mean = loss._loss(*args, negative_only=o["pairs"] == "negatives")
    return Library("open_clip.loss.SigLipLoss", None, mean, mean * len(x["image"]))


def siglip_cases():
    g = Draw("siglip")

    def x(n, m, log_scale, bias, width=5, scale=0.5):
        return {"image": g.normal(n, width, scale=scale), "text": g.normal(m, width, scale=scale),
                "log_scale": floats(log_scale), "bias": floats(bias)}

    square = x(6, 6, 1.0, -2.0)
    yield Case("square", square)
    yield Case("square_initial", x(5, 5, 2.3125, -10.0), why="log 10 rounded, bias -10")
    yield Case("square_sum", square, reduction="sum", grad_output=0.25)
    yield Case("square_none", square, reduction="none", grad_output=flat(g.normal(6)))
    yield Case("square_row_weight", square, row_weight=flat(g.weight(6)), row_mask=[1, 1, 0, 1, 1, 0])
    yield Case("square_denominator", square, denominator=36.0)
    yield Case("all_masked", square, row_mask=[0] * 6)
    yield Case("wide", x(4, 7, 0.5, -1.0))
    yield Case("tall", x(7, 4, 0.5, 1.0), why="rows 4 to 6 have no positive")
    yield Case("tall_none", x(5, 3, 1.5, -3.0), reduction="none", row_weight=flat(g.weight(5)))
    yield Case("wide_sum", x(3, 6, -1.0, 0.0), reduction="sum")
    yield Case("one_pair", x(1, 1, 1.0, -2.0))
    yield Case("one_text", x(4, 1, 1.0, -2.0))
    negatives = {"pairs": "negatives"}
    yield Case("negatives", square, {}, negatives)
    yield Case("negatives_sum", square, {}, negatives, "sum", grad_output=0.25)
    yield Case("negatives_row_weight", square, {}, negatives, row_weight=flat(g.weight(6)), row_mask=[1, 1, 0, 1, 1, 0])
    yield Case("negatives_wide_none", x(3, 5, 0.5, -1.0), {}, negatives, "none", grad_output=flat(g.normal(3)))
    yield Case("saturated", x(5, 5, 9.25, -64.0))
    yield Case("bias_large", x(4, 4, 0.0, 1e4))
    yield Case("bias_very_negative", x(4, 4, 0.0, -1e4))
    zero = x(4, 4, 1.0, -2.0)
    zero["image"][1], zero["text"][2] = 0, 0
    yield Case("zero_vector", zero)
    yield Case("duplicates", {**square, "image": square["image"][[0, 0, 2, 2, 2, 5]], "text": square["text"][[1, 1, 1, 3, 4, 4]]})


LOSSES["siglip"] = Loss(
    "siglip", "open_clip SigLipLoss; catalogue/contrastive.md siglip",
    siglip, siglip_library, ["image", "text", "log_scale", "bias"], {}, {"pairs": ["all", "negatives"]}, list(siglip_cases()), ["open_clip_torch"])
