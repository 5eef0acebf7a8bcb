"""Golden vectors of segmentation and detection: focal_sigmoid, dice."""

import torch
import torch.nn.functional as F

from common import *


# ---- focal_sigmoid ---------------------------------------------------------------------------------------------------


def focal_target(x, o):
    if o["target"] == "dense":
        return x["target"]
    y, classes = x["target_class"], x["logits"].shape[1]
    return torch.where(y[:, None] >= 0, F.one_hot(y.clamp(min=0), classes), 0).double()


def focal_sigmoid(x, p, o):
    t = focal_target(x, o)
    wrong = -(2 * t - 1) * x["logits"]  # 1 - p_t = sigmoid(wrong)
    value = torch.exp(p["gamma"] * F.logsigmoid(wrong)) * -F.logsigmoid(-wrong)
    if p["alpha"] >= 0:
        value = value * torch.where(t == 1, p["alpha"], 1 - p["alpha"])
    positives = o["normaliser"] == "positives"
    undivided = o["normaliser"] == "none"
    return Rows(value, None, t if positives else torch.zeros_like(t) if undivided else None, 1.0 if positives or undivided else 0.0)


def focal_sigmoid_library(x, p, o):
    from torchvision.ops import sigmoid_focal_loss

    t = focal_target(x, o)
    kwargs = dict(alpha=p["alpha"], gamma=p["gamma"])
    rows = sigmoid_focal_loss(x["logits"], t, reduction="none", **kwargs)
    reduced = {"positives": None, "elements": "mean", "none": "sum"}[o["normaliser"]]
    mean = sigmoid_focal_loss(x["logits"], t, reduction=reduced, **kwargs) if reduced else None
    return Library("torchvision.ops.sigmoid_focal_loss", rows, mean)


def focal_sigmoid_cases():
    g = Draw("focal_sigmoid/dense")
    dense = {"logits": g.normal(6, 4, scale=1.5), "target": g.bits(6, 4)}
    elements = {"normaliser": "elements"}
    yield Case("dense_default", dense)
    yield Case("dense_sum", dense, reduction="sum")
    yield Case("dense_none", dense, reduction="none", grad_output=flat(g.normal(6, 4)))
    yield Case("dense_elements", dense, {}, elements)
    yield Case("alpha_off", dense, {"alpha": -1})
    yield Case("alpha_off_elements", dense, {"alpha": -1, "gamma": 3.0}, elements, grad_output=-1.5)
    yield Case("alpha_zero", dense, {"alpha": 0.0})
    yield Case("alpha_one", dense, {"alpha": 1.0})
    yield Case("gamma_zero", dense, {"gamma": 0})
    yield Case("gamma_half", dense, {"gamma": 0.5})
    yield Case("gamma_one", dense, {"gamma": 1, "alpha": 0.75})
    yield Case("gamma_five", dense, {"gamma": 5})
    weights = flat(g.weight(6, 4))
    mask = [int(v) for v in flat(g.bits(6, 4, p=0.7))]
    yield Case("row_weight_positives", dense, row_weight=weights, row_mask=mask)
    yield Case("row_weight_elements", dense, {}, elements, row_weight=weights, row_mask=mask)
    yield Case("row_weight_none", dense, reduction="none", row_weight=weights, row_mask=mask)
    yield Case("denominator", dense, denominator=12.0)
    yield Case("no_positives", {"logits": dense["logits"], "target": torch.zeros(6, 4).double()})
    yield Case("all_masked", dense, row_mask=[0] * 24)
    one = torch.zeros(6, 4).double()
    one[2, 1] = 1
    yield Case("weight_below_one_positive", {"logits": dense["logits"], "target": one}, row_weight=[0.5] * 24,
               why="the divisor is at least 1")
    index = {"logits": g.normal(7, 3), "target_class": ints([0, -1, 2, 1, -1, 2, 0])}
    yield Case("index_default", index, {}, {"target": "index"})
    yield Case("index_none", index, {}, {"target": "index"}, "none")
    yield Case("index_elements", index, {"gamma": 1.5}, {"target": "index"} | elements)
    yield Case("index_all_background", {"logits": index["logits"], "target_class": ints([-1] * 7)}, {}, {"target": "index"})
    big = floats([[1e4, -1e4], [1e4, -1e4], [0.0, 64.0], [-64.0, 0.0]])
    saturated = {"logits": big, "target": floats([[1, 1], [0, 0], [0, 1], [1, 1]])}
    yield Case("saturated", saturated)
    yield Case("saturated_gamma_zero", saturated, {"gamma": 0})
    yield Case("saturated_gamma_half", saturated, {"gamma": 0.5}, library=False, why="torchvision: inf * 0 in the gradient")
    undivided = {"normaliser": "none"}
    yield Case("dense_undivided", dense, {}, undivided)
    yield Case("index_undivided", index, {"gamma": 1.5}, {"target": "index"} | undivided, grad_output=-1.5)
    yield Case("row_weight_undivided", dense, {}, undivided, row_weight=weights, row_mask=mask)
    yield Case("one_element", {"logits": floats([[-0.75]]), "target": floats([[1]])})


LOSSES["focal_sigmoid"] = Loss(
    "focal_sigmoid", "torchvision.ops.sigmoid_focal_loss; catalogue/detection.md focal_sigmoid",
    focal_sigmoid, focal_sigmoid_library, ["logits"], {"alpha": 0.25, "gamma": 2},
    {"target": ["dense", "index"], "normaliser": ["positives", "elements", "none"]}, list(focal_sigmoid_cases()), ["torchvision"])


# ---- dice ------------------------------------------------------------------------------------------------------------


def dice_target(x, o):
    if o["target"] == "dense":
        return x["target_probability"]
    return F.one_hot(x["target"], x["logits"].shape[1]).double().movedim(-1, 1)


def dice(x, p, o):
    z, g = x["logits"], dice_target(x, o)
    q = {"softmax": lambda: torch.softmax(z, 1), "sigmoid": lambda: torch.sigmoid(z), "none": lambda: z}[o["activation"]]()
    over = {"image": (2,), "batch": (0, 2), "sample": (1, 2), "all": (0, 1, 2)}[o["scope"]]
    if o["scope"] in ("sample", "all") and o["background"] == "exclude":
        q, g = q[:, 1:], g[:, 1:]
    size = (q * q).sum(over) + (g * g).sum(over) if o["squared"] == "on" else q.sum(over) + g.sum(over)
    ratio = (2 * (q * g).sum(over) + p["smooth"]) / (size + p["smooth"])
    value = -ratio.log() if o["form"] == "log" else 1 - ratio
    if o["scope"] in ("sample", "all"):
        return Rows(value, torch.ones(value.shape, dtype=torch.bool))
    valid = torch.ones(value.shape, dtype=torch.bool)
    valid[..., 0] = o["background"] == "include"
    return Rows(value * x["weight"] if "weight" in x else value, valid)


def dice_library(x, p, o):
    from monai.losses import DiceLoss

    include = o["background"] == "include"
    weight = x.get("weight")
    if o["scope"] in ("sample", "all"):
        return dice_library_of_one_class(x, p, o)
    if x["logits"].shape[1] == 1 and not include:
        return None
    if weight is not None and not include:
        weight = weight[1:]  # its weights leave the background out
    log = o["form"] == "log"
    kwargs = dict(sigmoid=o["activation"] == "sigmoid", softmax=o["activation"] == "softmax", squared_pred=o["squared"] == "on",
                  include_background=include, batch=o["scope"] == "batch", smooth_nr=p["smooth"], smooth_dr=p["smooth"],
                  weight=None if log else weight)
    args = x["logits"], dice_target(x, o)
    rows = DiceLoss(reduction="none", **kwargs)(*args).squeeze(-1)
    mean = None if log else DiceLoss(**kwargs)(*args)
    if log:
        rows = -torch.log(1 - rows) * (1 if weight is None else weight)
    if o["scope"] == "batch":
        rows = rows.flatten()
    rows = rows if include else F.pad(rows, (1, 0))
    return Library("monai.losses.DiceLoss" + (", -log(1 - loss)" if log else ""), rows, mean)


def dice_library_of_one_class(x, p, o):
    """One ratio over classes, too: to MONAI all of them are pixels of a single class, in one image or a batch of them."""
    from monai.losses import DiceLoss

    q, g = x["logits"], dice_target(x, o)
    q = torch.softmax(q, 1) if o["activation"] == "softmax" else torch.sigmoid(q) if o["activation"] == "sigmoid" else q
    if o["background"] == "exclude":
        q, g = q[:, 1:], g[:, 1:]
    loss = DiceLoss(reduction="none", squared_pred=o["squared"] == "on", batch=o["scope"] == "all", smooth_nr=p["smooth"],
                    smooth_dr=p["smooth"])
    rows = loss(q.flatten(1)[:, None], g.flatten(1)[:, None]).reshape([] if o["scope"] == "all" else [-1])
    log = o["form"] == "log"
    rows = -torch.log(1 - rows) if log else rows
    return Library("monai.losses.DiceLoss" + (", -log(1 - loss)" if log else ""), rows, rows.mean())


def dice_cases():
    g = Draw("dice")
    x = {"logits": g.normal(2, 3, 6), "target": g.label(3, 2, 6)}
    soft = {"logits": x["logits"], "target_probability": g.distribution(2, 3, 6)}
    labels = {"logits": x["logits"], "target_probability": g.bits(2, 3, 6, p=0.5)}
    given = {"logits": g.unit(2, 3, 6), "target": x["target"]}
    w = floats([0.5, 2.0, 1.25])
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-1.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(2, 3)))
    yield Case("smooth_one", x, {"smooth": 1.0})
    yield Case("sigmoid", x, {}, {"activation": "sigmoid"})
    yield Case("activation_none", given, {}, {"activation": "none"})
    yield Case("squared", x, {}, {"squared": "on"})
    yield Case("exclude", x, {}, {"background": "exclude"})
    yield Case("batch", x, {}, {"scope": "batch"})
    yield Case("log", x, {}, {"form": "log"})
    yield Case("dense", soft, {}, {"target": "dense"})
    yield Case("dense_multilabel", labels, {}, {"target": "dense", "activation": "sigmoid"})
    yield Case("class_weight", {**x, "weight": w})
    yield Case("exclude_none", x, {}, {"background": "exclude"}, "none", grad_output=flat(g.normal(2, 3)))
    yield Case("exclude_class_weight", {**x, "weight": w}, {}, {"background": "exclude"})
    yield Case("batch_exclude_none", {**x, "weight": w}, {}, {"background": "exclude", "scope": "batch"}, "none")
    yield Case("batch_squared_log", x, {"smooth": 0.5}, {"squared": "on", "scope": "batch", "form": "log"}, "sum")
    yield Case("log_class_weight", {**x, "weight": w}, {}, {"form": "log", "squared": "on"})
    yield Case("sigmoid_squared_batch", x, {}, {"activation": "sigmoid", "squared": "on", "scope": "batch"})
    yield Case("dense_squared", labels, {}, {"target": "dense", "activation": "sigmoid", "squared": "on", "form": "log"})
    yield Case("dense_batch_exclude", soft, {}, {"target": "dense", "scope": "batch", "background": "exclude"})
    yield Case("none_squared_exclude", given, {"smooth": 0.25}, {"activation": "none", "squared": "on", "background": "exclude"})
    yield Case("row_weight", x, row_weight=flat(g.weight(2, 3)), row_mask=[1, 0, 1, 1, 1, 1])
    yield Case("row_weight_batch", x, {}, {"scope": "batch"}, row_weight=[0.5, 2.0, 1.0], row_mask=[1, 1, 0])
    yield Case("row_weight_exclude", {**x, "weight": w}, {}, {"background": "exclude"}, row_weight=flat(g.weight(2, 3)))
    yield Case("denominator", x, denominator=4.0)
    yield Case("all_masked", x, row_mask=[0] * 6)
    yield Case("class_absent", {"logits": x["logits"], "target": x["target"].clamp(max=1)})
    yield Case("class_absent_log", {"logits": x["logits"], "target": x["target"].clamp(max=1)}, {}, {"form": "log"})
    empty = {"logits": given["logits"] * floats([1, 0, 1])[:, None], "target": x["target"].clamp(max=0)}
    yield Case("empty_both", empty, {}, {"activation": "none"}, why="class 1: empty prediction and target, loss 0")
    yield Case("empty_both_squared", empty, {}, {"activation": "none", "squared": "on"})
    perfect = F.one_hot(x["target"], 3).double().movedim(-1, 1)
    yield Case("perfect", {"logits": perfect * 2e4 - 1e4, "target": x["target"]}, why="loss 0")
    yield Case("saturated_wrong", {"logits": 1e4 - perfect * 2e4, "target": x["target"]}, {}, {"activation": "sigmoid"})
    yield Case("saturated_wrong_log", {"logits": 1e4 - perfect * 2e4, "target": x["target"]}, {"smooth": 1.0},
               {"activation": "sigmoid", "form": "log"})
    one = {"logits": g.normal(3, 1, 5), "target_probability": g.bits(3, 1, 5, p=0.5)}
    yield Case("one_class_sigmoid", one, {}, {"target": "dense", "activation": "sigmoid"})
    yield Case("one_class_softmax", one, {}, {"target": "dense"}, library=False, why="MONAI leaves out the softmax of one class")
    yield Case("one_class_exclude", one, {}, {"target": "dense", "activation": "sigmoid", "background": "exclude"},
               why="nothing kept: 0; MONAI keeps an only class")
    sample, everything = {"scope": "sample"}, {"scope": "all"}
    yield Case("sample", x, {}, sample)
    yield Case("sample_none", x, {"smooth": 0.5}, sample, "none", grad_output=[0.5, -1.25])
    yield Case("sample_exclude", x, {}, {**sample, "background": "exclude"})
    yield Case("sample_squared_log", soft, {"smooth": 0.5}, {**sample, "target": "dense", "squared": "on", "form": "log"}, "sum")
    yield Case("sample_row_weight", x, {}, sample, row_weight=[0.5, 2.0], row_mask=[1, 1])
    yield Case("sample_masked", x, {}, sample, row_mask=[0, 1])
    yield Case("all", x, {}, everything)
    yield Case("all_sigmoid_exclude", labels, {}, {**everything, "target": "dense", "activation": "sigmoid", "background": "exclude"})
    yield Case("all_squared", given, {"smooth": 0.25}, {**everything, "activation": "none", "squared": "on"}, "sum", grad_output=-1.5)
    yield Case("all_log", x, {}, {**everything, "form": "log"})
    yield Case("one_pixel", {"logits": g.normal(4, 3, 1), "target": ints([[0], [2], [1], [2]])})


LOSSES["dice"] = Loss(
    "dice", "MONAI DiceLoss; catalogue/segmentation.md dice",
    dice, dice_library, ["logits"], {"smooth": 1e-5},
    {"target": ["index", "dense"], "activation": ["softmax", "sigmoid", "none"], "squared": ["off", "on"],
     "background": ["include", "exclude"], "scope": ["image", "batch", "sample", "all"], "form": ["linear", "log"]},
    list(dice_cases()), ["monai"])
