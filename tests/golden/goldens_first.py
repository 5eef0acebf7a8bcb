"""Golden vectors of the first losses, across the families."""

import math

import torch
import torch.nn.functional as F

from common import *


# ---- 1 cross_entropy -------------------------------------------------------------------------------------------------


def cross_entropy_logits(x, p, o):
    z = x["logits"] * p["logit_scale"]
    return p["softcap"] * torch.tanh(z / p["softcap"]) if o["softcap"] == "on" else z


def cross_entropy(x, p, o):
    z = cross_entropy_logits(x, p, o)
    rows = softmax_rows(z.movedim(1, -1).reshape(-1, z.shape[1]), x, p, o, z.shape[1])
    shape = (z.shape[0], *z.shape[2:])
    return Rows(*(None if t is None else t.reshape(shape) for t in (rows.value, rows.valid, rows.mean_weight)))


def cross_entropy_library(x, p, o):
    z = cross_entropy_logits(x, p, o)
    dense = o["target"] == "probability"
    target = x["target_probability" if dense else "target"]
    kwargs = dict(weight=x.get("weight"), label_smoothing=p["label_smoothing"])
    if not dense:
        kwargs["ignore_index"] = p["ignore_index"]
    rows = F.cross_entropy(z, target, reduction="none", **kwargs)
    origin = "torch.nn.functional.cross_entropy"
    mean = F.cross_entropy(z, target, **kwargs)
    if p["z_loss"]:
        rows, mean = rows + p["z_loss"] * torch.logsumexp(z, 1) ** 2, None
        origin += " + z_loss * torch.logsumexp ** 2"
    if o["softcap"] == "on":
        origin += " of softcap * torch.tanh(logits / softcap)"
    return Library(origin, rows, mean)


def cross_entropy_cases():
    def d(name):
        return Draw("cross_entropy/" + name)

    g = d("index")
    logits, target = g.normal(7, 5), ints([0, 4, 2, -100, 1, 4, 3])
    weight = floats([0.5, 2.0, 1.0, 0.25, 1.5])
    basic = {"logits": logits, "target": target}
    rw = [0.5, 2.0, 1.0, 4.0, 0.25, 1.0, 0.0]
    go = [1.0, -2.0, 0.5, 3.0, 0.25, 1.0, -1.0]
    yield Case("index_default", basic)
    yield Case("index_sum", basic, reduction="sum")
    yield Case("index_none", basic, reduction="none", grad_output=go)
    yield Case("index_class_weight", {**basic, "weight": weight})
    yield Case("index_class_weight_none", {**basic, "weight": weight}, reduction="none", row_weight=rw, grad_output=go)
    yield Case("index_class_weight_row_weight", {**basic, "weight": weight}, row_weight=rw, row_mask=[1, 0, 1, 1, 1, 1, 1])
    yield Case("row_mask_upstream", basic, row_mask=[0, 1, 1, 1, 0, 1, 1], grad_output=2.5)
    yield Case("denominator", {**basic, "weight": weight}, denominator=3.5, row_weight=rw)
    yield Case("label_smoothing", basic, {"label_smoothing": 0.1})
    yield Case("label_smoothing_class_weight", {**basic, "weight": weight}, {"label_smoothing": 0.2})
    yield Case("label_smoothing_one", basic, {"label_smoothing": 1.0})
    yield Case("z_loss", basic, {"z_loss": 0.125})
    yield Case("z_loss_class_weight", {**basic, "weight": weight}, {"z_loss": 0.125, "label_smoothing": 0.1}, row_weight=rw)
    yield Case("softcap", {"logits": logits * 8, "target": target}, {"softcap": 5.0}, {"softcap": "on"})
    yield Case("softcap_z_loss_smoothing", {"logits": logits * 8, "target": target, "weight": weight},
               {"softcap": 30.0, "z_loss": 0.01, "label_smoothing": 0.1}, {"softcap": "on"}, reduction="sum")
    yield Case("logit_scale", basic, {"logit_scale": 2.5})
    yield Case("logit_scale_z_loss", basic, {"logit_scale": 0.25, "z_loss": 0.5})
    yield Case("ignore_index_inside_range", {"logits": logits, "target": ints([0, 4, 2, 2, 1, 4, 3]), "weight": weight},
               {"ignore_index": 2})
    yield Case("ignore_index_255", {"logits": logits, "target": ints([0, 255, 2, 255, 1, 4, 3])}, {"ignore_index": 255})
    none = {"logits": logits, "target": ints([-100] * 7), "weight": weight}
    yield Case("all_ignored", none, {"z_loss": 0.5}, library=False, why="torch: nan; here 0")
    yield Case("all_masked", basic, row_mask=[0] * 7)
    yield Case("row_weight_zero", basic, row_weight=[0.0] * 7)
    broken = logits.clone()
    broken[1], broken[3] = math.nan, math.inf
    yield Case("dropped_rows_not_finite", {"logits": broken, "target": ints([0, -100, 2, -100, 1, 4, 3])},
               stand_in={"logits": torch.where(broken.isfinite(), broken, 0)}, library=False, why="dropped rows are exactly 0")
    yield Case("masked_rows_not_finite", {"logits": broken, "target": ints([0, 1, 2, 3, 1, 4, 3])}, row_mask=[1, 0, 1, 0, 1, 1, 1],
               stand_in={"logits": torch.where(broken.isfinite(), broken, 0)}, library=False, why="dropped rows are exactly 0")
    holes = logits.clone()
    for i, c in enumerate([1, 2, 3, 3, 0, 0, 4]):
        holes[i, c] = -math.inf
    yield Case("minus_infinity_logits", {"logits": holes, "target": ints([0, 4, 2, 0, 1, 4, 3])})
    g = d("probability_minus_infinity")
    t = g.distribution(7, 5)
    for i, c in enumerate([1, 2, 3, 3, 0, 0, 4]):
        t[i, (c + 1) % 5] += t[i, c]
        t[i, c] = 0
    yield Case("probability_minus_infinity_logits", {"logits": holes, "target_probability": t}, {},
               {"target": "probability"}, library=False, why="torch: 0 * inf = nan; here 0")
    big = floats([[1e4, -1e4, 0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [0, 1e4, 1e4 - 8], [1e4, 9984, 9992]])
    yield Case("saturated", {"logits": big, "target": ints([0, 2, 1, 0, 1])})
    yield Case("saturated_smoothing_none", {"logits": big, "target": ints([1, 1, 2, 1, 2])}, {"label_smoothing": 0.1},
               reduction="none")
    yield Case("ties", {"logits": torch.zeros(4, 3).double() + 1.5, "target": ints([0, 1, 2, 2])})
    yield Case("one_class", {"logits": d("one_class").normal(5, 1), "target": ints([0, 0, -100, 0, 0])}, {"z_loss": 0.25})
    yield Case("one_row", {"logits": d("one_row").normal(1, 11), "target": ints([7])})
    yield Case("no_rows", {"logits": torch.zeros(0, 4).double(), "target": ints([])}, library=False, why="nothing kept: 0")

    g = d("probability")
    soft = {"logits": g.normal(6, 4), "target_probability": g.distribution(6, 4)}
    w4 = floats([0.5, 2.0, 1.0, 0.75])
    dense = {"target": "probability"}
    rw = [1.0, 0.5, 2.0, 0.0, 1.5, 1.0]
    yield Case("probability", soft, {}, dense)
    yield Case("probability_none", soft, {}, dense, "none", grad_output=[0.5, 1.0, -1.0, 2.0, 0.0, 1.0])
    yield Case("probability_class_weight", {**soft, "weight": w4}, {}, dense)
    yield Case("probability_row_weight", {**soft, "weight": w4}, {}, dense, row_weight=rw, row_mask=[1, 1, 0, 1, 1, 1])
    yield Case("probability_smoothing_z_loss", soft, {"label_smoothing": 0.1, "z_loss": 0.125}, dense)
    yield Case("probability_softcap", soft, {"softcap": 2.0}, dense | {"softcap": "on"}, "sum")
    yield Case("probability_not_normalised", {"logits": soft["logits"], "target_probability": g.unit(6, 4)}, {}, dense)

    g = d("pixels")
    pixels = {"logits": g.normal(2, 3, 5), "target": g.label(3, 2, 5)}
    pixels["target"][0, 1] = pixels["target"][1, 4] = 255
    w3 = floats([1.0, 0.25, 3.0])
    yield Case("pixels", pixels, {"ignore_index": 255})
    yield Case("pixels_class_weight_row_weight", {**pixels, "weight": w3}, {"ignore_index": 255, "label_smoothing": 0.1},
               row_weight=flat(g.weight(2, 5)), row_mask=[1, 1, 0, 1, 1, 1, 1, 1, 1, 0])
    yield Case("pixels_none", pixels, {"ignore_index": 255}, reduction="none", grad_output=flat(g.normal(2, 5)))
    soft = {"logits": g.normal(2, 3, 4), "target_probability": g.distribution(2, 3, 4)}
    yield Case("pixels_probability", soft, {}, dense)
    yield Case("pixels_probability_sum", {**soft, "weight": w3}, {"label_smoothing": 0.1}, dense, "sum")


LOSSES["cross_entropy"] = Loss(
    "cross_entropy", "torch.nn.functional.cross_entropy; catalogue/classification.md cross_entropy",
    cross_entropy, cross_entropy_library, ["logits"],
    {"ignore_index": -100, "label_smoothing": 0, "z_loss": 0, "softcap": 0, "logit_scale": 1},
    {"target": ["index", "probability"], "softcap": ["off", "on"]}, list(cross_entropy_cases()), [])


# ---- 2 focal_sigmoid -------------------------------------------------------------------------------------------------


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


# ---- 3 huber ---------------------------------------------------------------------------------------------------------


def huber(x, p, o):
    r = x["input"] - x["target"]
    near = torch.minimum(r.abs(), floats(p["delta"]))  # the rest is linear; clamp would not let nan through
    return Rows(0.5 * near**2 + p["delta"] * (r.abs() - near))


def huber_library(x, p, o):
    args = x["input"], x["target"]
    rows = F.huber_loss(*args, reduction="none", delta=p["delta"])
    return Library("torch.nn.functional.huber_loss", rows, F.huber_loss(*args, delta=p["delta"]) if len(rows) else None)


def huber_cases():
    g = Draw("huber")
    both = {"input": g.normal(11, scale=1.5), "target": g.normal(11)}
    weights = flat(g.weight(11))
    mask = [1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0]
    yield Case("default", both)
    yield Case("sum", both, reduction="sum", grad_output=0.5)
    yield Case("none", both, reduction="none", grad_output=flat(g.normal(11)))
    yield Case("delta_half", both, {"delta": 0.5})
    yield Case("delta_large", both, {"delta": 16.0})
    yield Case("row_weight", both, row_weight=weights, row_mask=mask)
    yield Case("row_weight_none", both, reduction="none", row_weight=weights, row_mask=mask)
    yield Case("row_weight_sum", both, reduction="sum", row_weight=weights)
    yield Case("denominator", both, denominator=4.0, row_mask=mask)
    yield Case("all_masked", both, row_mask=[0] * 11)
    yield Case("kinks", {"input": floats([1.0, -1.0, 0.0, 2.5, 0.5, -1.5]), "target": floats([0.0, 0.0, 0.0, 1.5, 1.5, -1.5])},
               reduction="none")
    yield Case("large", {"input": floats([1e4, -1e4, 1e4, 0.0]), "target": floats([0.0, 0.0, -1e4, 1e4])})
    bad = {"input": floats([math.inf, -math.inf, math.nan, 1.0, 0.5]), "target": floats([0.0, 1.0, 0.0, math.nan, 2.0])}
    yield Case("not_finite", bad, reduction="none")
    yield Case("masked_not_finite", bad, row_mask=[0, 0, 0, 0, 1],
               stand_in={k: torch.where(v.isfinite(), v, 0) for k, v in bad.items()}, library=False, why="dropped rows are exactly 0")
    yield Case("one_row", {"input": floats([0.75]), "target": floats([2.5])})
    yield Case("no_rows", {"input": floats([]), "target": floats([])}, library=False, why="nothing kept: 0")


LOSSES["huber"] = Loss(
    "huber", "torch.nn.functional.huber_loss; catalogue/regression.md huber",
    huber, huber_library, ["input", "target"], {"delta": 1}, {}, list(huber_cases()), [])


# ---- 4 nt_xent -------------------------------------------------------------------------------------------------------


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


# ---- 5 supcon_out ----------------------------------------------------------------------------------------------------


def supcon_out(x, p, o):
    s = cosine(x["embedding"], x["embedding"]) / p["temperature"]
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

    rows, _ = pml_rows(losses.SupConLoss(temperature=p["temperature"]), x["embedding"], x["label"])
    if isinstance(rows, int):  # no positive or no negative in the batch
        return None
    rows, origin = rows.flatten(), "pytorch_metric_learning.losses.SupConLoss"
    if o["scale"] == "base":
        return Library(origin + " * temperature / base_temperature", rows * (p["temperature"] / p["base_temperature"]))
    own = losses.SupConLoss(temperature=p["temperature"])(x["embedding"], x["label"])
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


LOSSES["supcon_out"] = Loss(
    "supcon_out", "pytorch-metric-learning SupConLoss; catalogue/contrastive.md supcon_out",
    supcon_out, supcon_out_library, ["embedding"], {"temperature": 0.1, "base_temperature": 0.07},
    {"scale": ["off", "base"]}, list(supcon_out_cases()), ["pytorch-metric-learning"])


# ---- 6 siglip --------------------------------------------------------------------------------------------------------


def siglip(x, p, o):
    z = x["log_scale"].exp() * (x["image"] @ x["text"].T) + x["bias"]
    y = 2 * torch.eye(*z.shape, dtype=torch.float64) - 1
    return Rows(-F.logsigmoid(y * z).sum(1))


def siglip_library(x, p, o):
    if len(x["image"]) != len(x["text"]):
        return None
    loss = file_module("open_clip_torch", "open_clip/loss.py").SigLipLoss()
    mean = loss(x["image"], x["text"], x["log_scale"].exp(), x["bias"])
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
    yield Case("saturated", x(5, 5, 9.25, -64.0))
    yield Case("bias_large", x(4, 4, 0.0, 1e4))
    yield Case("bias_very_negative", x(4, 4, 0.0, -1e4))
    zero = x(4, 4, 1.0, -2.0)
    zero["image"][1], zero["text"][2] = 0, 0
    yield Case("zero_vector", zero)
    yield Case("duplicates", {**square, "image": square["image"][[0, 0, 2, 2, 2, 5]], "text": square["text"][[1, 1, 1, 3, 4, 4]]})


LOSSES["siglip"] = Loss(
    "siglip", "open_clip SigLipLoss; catalogue/contrastive.md siglip",
    siglip, siglip_library, ["image", "text", "log_scale", "bias"], {}, {}, list(siglip_cases()), ["open_clip_torch"])


# ---- 7 batch_hard_triplet --------------------------------------------------------------------------------------------


def hardest(distance, mask, best):
    """Index of the largest or smallest masked distance of each row, the lowest of equals; no near ties in the data."""
    at = []
    for d, m in zip(distance.tolist(), mask.tolist()):
        kept = [(v, j) for j, (v, k) in enumerate(zip(d, m)) if k]
        value = best((v for v, _ in kept), default=None)
        assert all(v == value or abs(v - value) > 1e-3 for v, _ in kept)
        at.append(next((j for v, j in kept if v == value), 0))
    return torch.tensor(at), mask.any(1)


def batch_hard_triplet(x, p, o):
    e, label = x["embedding"], x["label"]
    square = ((e[:, None] - e[None]) ** 2).sum(2)
    some = square > 0
    d = square if o["distance"] == "squared" else torch.where(some, torch.where(some, square, 1).sqrt(), 0)
    (near, has_p), (far, has_n) = hardest(d, positive_pairs(label), max), hardest(d, label[:, None] != label[None], min)
    i = torch.arange(len(e))
    return Rows(torch.relu(d[i, near] - d[i, far] + p["margin"]), has_p & has_n)


def batch_hard_triplet_library(x, p, o):
    from pytorch_metric_learning import distances, losses, miners, reducers

    distance = distances.LpDistance(normalize_embeddings=False, power=2 if o["distance"] == "squared" else 1)
    triplets = miners.BatchHardMiner(distance=distance)(x["embedding"], x["label"])
    if len(triplets[0]) == 0:
        return None
    loss = losses.TripletMarginLoss(margin=p["margin"], distance=distance, reducer=reducers.MeanReducer())
    mean = loss(x["embedding"], x["label"], triplets)
    values, (anchors, _, _) = pml_rows(loss, x["embedding"], x["label"], triplets)
    rows = torch.zeros(len(x["label"]), dtype=torch.float64).index_put((anchors,), values)
    return Library("pytorch_metric_learning BatchHardMiner and TripletMarginLoss with LpDistance", rows, mean)


def batch_hard_triplet_cases():
    g = Draw("batch_hard_triplet/2")
    z = g.normal(9, 4)
    x = {"embedding": z, "label": ints([0, 1, 0, 2, 1, 3, 0, 2, 2])}
    squared = {"distance": "squared"}
    yield Case("default", x, why="row 5 has no positive")
    yield Case("sum", x, reduction="sum", grad_output=-2.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(9)))
    yield Case("margin_small", x, {"margin": 0.25}, why="some rows are inactive")
    yield Case("margin_zero", x, {"margin": 0.0})
    yield Case("squared", x, {}, squared)
    yield Case("squared_none", x, {"margin": 0.5}, squared, "none", grad_output=flat(g.normal(9)))
    yield Case("row_weight", x, row_weight=flat(g.weight(9)), row_mask=[1, 1, 0, 1, 1, 1, 0, 1, 1])
    yield Case("row_weight_squared_sum", x, {}, squared, "sum", row_weight=flat(g.weight(9)))
    yield Case("denominator", x, denominator=16.0)
    yield Case("all_masked", x, row_mask=[0] * 9)
    yield Case("no_positives", {"embedding": z, "label": ints(list(range(9)))}, why="nothing kept: 0")
    yield Case("one_class", {"embedding": z, "label": ints([2] * 9)}, why="no negatives, nothing kept: 0")
    yield Case("one_row", {"embedding": z[:1], "label": ints([0])}, why="nothing kept: 0")
    # Anchor 0: positives 1 and 2 at distance 3, negatives 4 and 5 at 4; the lower of two equals has the gradient.
    tie = floats([[0, 0], [3, 0], [0, -3], [-2, 0], [0, 4], [-4, 0], [8, 8]])
    tie = {"embedding": tie, "label": ints([0, 0, 0, 0, 1, 1, 2])}
    yield Case("ties", tie)
    yield Case("ties_none", tie, reduction="none", grad_output=[1.0, 0, 0, 0, 0, 0, 0])
    yield Case("ties_squared", tie, {"margin": 8.0}, squared)
    # Anchor 0: 3 - 8 + 5 = 0, kept, without gradient.
    yield Case("hinge_at_zero", {"embedding": floats([[0, 0], [3, 0], [0, 8], [0, 24]]), "label": ints([0, 0, 1, 1])},
               reduction="none")
    yield Case("hinge_at_zero_mean", {"embedding": floats([[0, 0], [3, 0], [0, 8], [0, 24]]), "label": ints([0, 0, 1, 1])})
    same = z.clone()
    same[2], same[6], same[4] = same[0], same[0], same[3]
    yield Case("duplicates", {"embedding": same, "label": x["label"]}, library=False,
               why="hardest positive or negative at distance 0: gradient 0; libraries may pick another of equals")
    yield Case("duplicates_squared", {"embedding": same, "label": x["label"]}, {}, squared, library=False,
               why="libraries may pick another of equals")
    yield Case("all_equal", {"embedding": floats([[0.5, -1.0, 2.0]] * 4), "label": ints([0, 0, 1, 1])})
    zero = z.clone()
    zero[2] = 0
    yield Case("zero_vector", {"embedding": zero, "label": x["label"]})


LOSSES["batch_hard_triplet"] = Loss(
    "batch_hard_triplet",
    "pytorch-metric-learning BatchHardMiner, TripletMarginLoss; catalogue/metric_learning.md batch_hard_triplet",
    batch_hard_triplet, batch_hard_triplet_library, ["embedding"], {"margin": 5}, {"distance": ["euclidean", "squared"]},
    list(batch_hard_triplet_cases()), ["pytorch-metric-learning"])


# ---- 8 multi_similarity ----------------------------------------------------------------------------------------------


def multi_similarity(x, p, o):
    s = cosine(x["embedding"], x["embedding"])
    same = positive_pairs(x["label"])
    different = x["label"][:, None] != x["label"][None]
    values = []
    for i in range(len(s)):
        assert not ((s[i] - 1 + 1e-5).abs() < 1e-5 * 0.9).any()
        positive = [j for j in range(len(s)) if same[i, j] and s[i, j] < 1 - 1e-5]
        negative = [j for j in range(len(s)) if different[i, j]]
        if o["miner"] == "on":
            low = min((s[i, j].item() for j in positive), default=math.inf) - p["epsilon"]
            high = max((s[i, j].item() for j in negative), default=-math.inf) + p["epsilon"]
            assert all(abs(s[i, j].item() - t) > 1e-3 for t, js in ((low, negative), (high, positive)) for j in js)
            negative = [j for j in negative if s[i, j] > low]
            positive = [j for j in positive if s[i, j] < high]
            if not positive or not negative:
                values.append(s[i].sum() * 0)
                continue
        a = p["alpha"] * (p["base"] - s[i, positive])
        b = p["beta"] * (s[i, negative] - p["base"])
        implicit = torch.zeros(1, dtype=torch.float64)  # log(1 + sum exp)
        values.append(torch.logsumexp(torch.cat([implicit, a]), 0) / p["alpha"]
                      + torch.logsumexp(torch.cat([implicit, b]), 0) / p["beta"])
    return Rows(torch.stack(values))


def multi_similarity_library(x, p, o):
    from pytorch_metric_learning import losses, miners

    pairs = None
    if o["miner"] == "on":
        pairs = miners.MultiSimilarityMiner(epsilon=p["epsilon"])(x["embedding"], x["label"])
    loss = losses.MultiSimilarityLoss(alpha=p["alpha"], beta=p["beta"], base=p["base"])
    mean = loss(x["embedding"], x["label"], pairs)
    rows, _ = pml_rows(loss, x["embedding"], x["label"], pairs)
    if isinstance(rows, int):
        return None
    origin = "pytorch_metric_learning.losses.MultiSimilarityLoss"
    return Library(origin + (" and MultiSimilarityMiner" if pairs is not None else ""), rows.flatten(), mean)


def multi_similarity_cases():
    g = Draw("multi_similarity")
    z = g.normal(10, 4)
    x = {"embedding": z, "label": ints([0, 1, 0, 2, 1, 3, 0, 2, 2, 1])}
    off = {"miner": "off"}
    yield Case("default", x, why="row 5 has no positive and counts in the divisor")
    yield Case("sum", x, reduction="sum", grad_output=3.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(10)))
    yield Case("paper_params", x, {"beta": 50, "base": 1.0})
    yield Case("params", x, {"alpha": 1.0, "beta": 8.0, "base": 0.25, "epsilon": 0.3})
    yield Case("epsilon_negative", x, {"epsilon": -0.5}, why="empties kept sets")
    yield Case("row_weight", x, row_weight=flat(g.weight(10)), row_mask=[1, 0, 1, 1, 1, 1, 1, 0, 1, 1])
    yield Case("denominator", x, denominator=4.0)
    yield Case("all_masked", x, row_mask=[0] * 10)
    yield Case("miner_off", x, {}, off)
    yield Case("miner_off_none", x, {"alpha": 4.0, "beta": 10.0, "base": 0.0}, off, "none", grad_output=flat(g.normal(10)))
    yield Case("miner_off_row_weight", x, {}, off, row_weight=flat(g.weight(10)), row_mask=[1, 0, 1, 1, 1, 1, 1, 0, 1, 1])
    yield Case("no_positives", {"embedding": z, "label": ints(list(range(10)))})
    yield Case("no_positives_miner_off", {"embedding": z, "label": ints(list(range(10)))}, {}, off)
    yield Case("one_class", {"embedding": z, "label": ints([7] * 10)})
    yield Case("one_class_miner_off", {"embedding": z, "label": ints([7] * 10)}, {}, off)
    # Well apart: nothing is mined.
    apart = floats([[4, 0.25, 0], [4, 0, 0.25], [0, 4, 0.5], [0.5, 4, 0], [0, -0.5, 4], [0.25, 0, 4]])
    yield Case("nothing_mined", {"embedding": apart, "label": ints([0, 0, 1, 1, 2, 2])})
    same = z.clone()
    same[2], same[6], same[4] = same[0], same[0] * 2, same[3]
    why = "positives at S >= 1 - 1e-5 are dropped, the library keeps them"
    yield Case("duplicates", {"embedding": same, "label": x["label"]}, library=False, why=why)
    yield Case("duplicates_miner_off", {"embedding": same, "label": x["label"]}, {}, off, library=False, why=why)
    zero = z.clone()
    zero[2], zero[5] = 0, 0
    why = "libraries: gradient / 1e-12 at the zero vector; here 0"
    yield Case("zero_vector", {"embedding": zero, "label": x["label"]}, library=False, why=why)
    yield Case("zero_vector_miner_off", {"embedding": zero, "label": x["label"]}, {}, off, library=False, why=why)
    yield Case("one_row", {"embedding": z[:1], "label": ints([1])})


LOSSES["multi_similarity"] = Loss(
    "multi_similarity",
    "pytorch-metric-learning MultiSimilarityLoss, MultiSimilarityMiner; rule for duplicates and divisor: "
    "msight-tech/research-ms-loss; catalogue/metric_learning.md multi_similarity",
    multi_similarity, multi_similarity_library, ["embedding"], {"alpha": 2, "beta": 40, "base": 0.5, "epsilon": 0.1},
    {"miner": ["on", "off"]}, list(multi_similarity_cases()), ["pytorch-metric-learning"])


# ---- 9 arcface -------------------------------------------------------------------------------------------------------


def arcface(x, p, o):
    cos = cosine(x["embedding"], x["weight"])
    valid = x["label"] >= 0
    y = x["label"].clamp(min=0)[:, None]
    c, m = cos.gather(1, y), p["margin"]
    square = 1 - c * c
    some = square > 0
    sin = torch.where(some, torch.where(some, square, 1).sqrt(), 0)
    phi = c * math.cos(m) - sin * math.sin(m)
    limit = 0.0 if o["easy_margin"] == "on" else math.cos(math.pi - m)
    assert not (((c - limit).abs() < 1e-3) & valid[:, None] & (c != 0)).any()  # clear of the switch
    phi = torch.where(c > limit, phi, c if o["easy_margin"] == "on" else c - m * math.sin(m))
    if o["gradient"] == "straight_through":
        phi = c + (phi - c).detach()
    z = p["scale"] * cos.scatter(1, y, phi)
    value = torch.logsumexp(z, 1) - p["scale"] * phi[:, 0]
    return Rows(value, valid)


def arcface_library(x, p, o):
    from pytorch_metric_learning import losses

    valid = torch.where(x["label"] >= 0)[0]
    if o["easy_margin"] == "on" or len(valid) == 0:
        return None
    classes, width = x["weight"].shape
    loss = losses.ArcFaceLoss(classes, width, margin=math.degrees(p["margin"]), scale=p["scale"])
    del loss.W
    loss.W = x["weight"].T
    loss.cast_types = lambda *_: None
    args = x["embedding"][valid], x["label"][valid]
    mean = loss(*args)
    rows, _ = pml_rows(loss, *args)
    rows = torch.zeros(len(x["label"]), dtype=torch.float64).index_put((valid,), rows)
    return Library("pytorch_metric_learning.losses.ArcFaceLoss", rows, mean, value_only=o["gradient"] == "straight_through")


def arcface_cases():
    g = Draw("arcface")
    x = {"embedding": g.normal(8, 5), "weight": g.normal(6, 5), "label": ints([0, 5, 2, -1, 1, 4, 3, 2])}
    x["embedding"][5] = -x["weight"][4] + g.normal(5, scale=0.125)  # beyond pi - m
    x["embedding"][7] = x["weight"][2] * 0.5 + g.normal(5, scale=0.125)
    rw = flat(g.weight(8))
    mask = [1, 0, 1, 1, 1, 1, 1, 0]
    through, easy = {"gradient": "straight_through"}, {"easy_margin": "on"}
    for name, options in {"": {}, "straight_through": through, "easy_margin": easy, "easy_through": through | easy}.items():
        name = name and name + "_"
        yield Case(name + "default", x, {}, options, why="row 5 is beyond pi - margin, row 3 has no class here")
        yield Case(name + "none", x, {"scale": 16.0}, options, "none", grad_output=flat(g.normal(8)))
        yield Case(name + "row_weight", x, {"scale": 8.0, "margin": 0.25}, options, row_weight=rw, row_mask=mask)
    yield Case("sum", x, {"scale": 30.0}, reduction="sum", grad_output=0.5)
    yield Case("margin_zero", x, {"margin": 0.0, "scale": 4.0})
    yield Case("margin_large", x, {"margin": 1.25, "scale": 4.0})
    yield Case("scale_small", x, {"scale": 1.0})
    yield Case("denominator", x, {"scale": 16.0}, denominator=8.0)
    yield Case("all_elsewhere", {**x, "label": ints([-1] * 8)}, why="nothing kept: 0")
    yield Case("all_masked", x, row_mask=[0] * 8)
    yield Case("one_class", {**x, "weight": x["weight"][:1], "label": ints([0, 0, -1, 0, 0, 0, 0, 0])})
    # Cosines of exactly 1 and -1: the slope of the sine counts as 0.
    axes = {"embedding": floats([[2, 0, 0], [-4, 0, 0], [0, 0.5, 0], [0, 1, -1]]),
            "weight": floats([[0.5, 0, 0], [0, 8, 0], [0, 1, 1]]), "label": ints([0, 0, 1, 2])}
    why = "libraries: infinite slope at |cos| = 1; here 0"
    yield Case("cosine_one", axes, {"scale": 4.0}, library=False, why=why)
    yield Case("cosine_one_default", axes, library=False, why=why)
    yield Case("cosine_one_none", axes, {"scale": 4.0}, {}, "none", library=False, why=why)
    yield Case("cosine_one_easy", axes, {"scale": 4.0}, easy, library=False, why=why)
    yield Case("cosine_one_straight_through", axes, {"scale": 4.0}, through, library=False, why=why)
    same = {**x, "weight": x["weight"][[0, 0, 2, 2, 4, 4]]}
    yield Case("duplicate_classes", same, {"scale": 8.0})
    zero = {k: v.clone() for k, v in x.items()}
    zero["embedding"][1], zero["weight"][2] = 0, 0
    why = "libraries: gradient / 1e-12 at the zero vector; here 0"
    yield Case("zero_vector", zero, {"scale": 8.0}, library=False, why=why)
    yield Case("zero_vector_straight_through", zero, {"scale": 8.0}, through, library=False, why=why)
    yield Case("zero_vector_easy", zero, {"scale": 8.0}, easy, library=False, why=why + "; cosine 0 has no margin")


LOSSES["arcface"] = Loss(
    "arcface", "pytorch-metric-learning ArcFaceLoss; straight_through and easy_margin: insightface; "
    "catalogue/margin_softmax.md arcface",
    arcface, arcface_library, ["embedding", "weight"], {"scale": 64, "margin": 0.5},
    {"gradient": ["exact", "straight_through"], "easy_margin": ["off", "on"]}, list(arcface_cases()),
    ["pytorch-metric-learning"])


# ---- 10 linear_cross_entropy -----------------------------------------------------------------------------------------


def capped(z, p, o):
    return p["softcap"] * torch.tanh(z / p["softcap"]) if o["softcap"] == "on" else z


def shifted(p, x):
    """What is left of the rows when each is to tell the target of a later one."""
    keep = max(len(x["target"]) - p["shift"], 0)
    return {**x, "embedding": x["embedding"][:keep], "target": x["target"][p["shift"]:]}, p["shift"] and len(x["target"]) - keep


def with_dropped(rows, dropped):
    """Rows again as many as before: the last have no target."""
    pad = lambda v: F.pad(v, (0, dropped))
    valid = torch.ones_like(rows.value, dtype=torch.bool) if rows.valid is None else rows.valid
    return Rows(pad(rows.value), pad(valid), None if rows.mean_weight is None else pad(rows.mean_weight), rows.at_least)


def linear_cross_entropy(x, p, o):
    if p["shift"]:
        left, dropped = shifted(p, x)
        return with_dropped(linear_cross_entropy(left, {**p, "shift": 0}, o), dropped)
    z = capped((x["embedding"][:, None] * x["weight"][None]).sum(2) + x.get("bias", 0), p, o)
    return softmax_rows(z, x, p, o, z.shape[1])


def linear_cross_entropy_library(x, p, o):
    if p["filter_eps"]:
        return None
    if p["shift"]:
        left, dropped = shifted(p, x)
        if len(left["target"]) == 0:
            return None
        got = linear_cross_entropy_library(left, {**p, "shift": 0}, o)
        return Library(got.origin, F.pad(got.rows, (0, dropped)), got.mean)
    kwargs = dict(weight=x.get("class_weight"), ignore_index=p["ignore_index"], label_smoothing=p["label_smoothing"])
    z = F.linear(x["embedding"], x["weight"], x.get("bias"))
    if o["softcap"] == "on":
        z = capped(z, p, o)
        rows, mean = F.cross_entropy(z, x["target"], reduction="none", **kwargs), F.cross_entropy(z, x["target"], **kwargs)
        origin = "torch.nn.functional.cross_entropy of softcap * torch.tanh(linear / softcap)"
    else:
        args = x["embedding"], x["weight"], x["target"]
        kwargs["linear_bias"] = x.get("bias")
        rows, mean = F.linear_cross_entropy(*args, reduction="none", **kwargs), F.linear_cross_entropy(*args, **kwargs)
        origin = "torch.nn.functional.linear_cross_entropy"
    if p["z_loss"]:
        rows, mean = rows + p["z_loss"] * torch.logsumexp(z, 1) ** 2, None
        origin += " + z_loss * torch.logsumexp ** 2"
    return Library(origin, rows, mean)


def linear_cross_entropy_cases():
    g = Draw("linear_cross_entropy")
    x = {"embedding": g.normal(7, 4), "weight": g.normal(11, 4), "target": ints([10, 3, -100, 0, 3, 7, -100])}
    biased = {**x, "bias": g.normal(11)}
    weighted = {**biased, "class_weight": g.weight(11)}
    rw = flat(g.weight(7))
    mask = [1, 1, 1, 0, 1, 1, 1]
    yield Case("default", x)
    yield Case("bias", biased)
    yield Case("bias_sum", biased, reduction="sum", grad_output=0.5)
    yield Case("bias_none", biased, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("class_weight", weighted)
    yield Case("class_weight_no_bias", {**x, "class_weight": weighted["class_weight"]}, reduction="sum")
    yield Case("row_weight", weighted, row_weight=rw, row_mask=mask)
    yield Case("row_weight_none", biased, reduction="none", row_weight=rw, row_mask=mask)
    yield Case("denominator", biased, denominator=7.0)
    yield Case("label_smoothing", biased, {"label_smoothing": 0.1})
    yield Case("label_smoothing_class_weight", weighted, {"label_smoothing": 0.25}, row_weight=rw)
    yield Case("z_loss", x, {"z_loss": 0.0625})
    yield Case("z_loss_class_weight_smoothing", weighted, {"z_loss": 0.0625, "label_smoothing": 0.1}, row_mask=mask)
    yield Case("softcap", biased, {"softcap": 2.0}, {"softcap": "on"})
    yield Case("softcap_all", weighted, {"softcap": 4.0, "z_loss": 0.01, "label_smoothing": 0.1}, {"softcap": "on"},
               row_weight=rw)
    yield Case("softcap_thirty_sum", x, {"softcap": 30.0}, {"softcap": "on"}, "sum")
    yield Case("ignore_index_inside_range", {**weighted, "target": ints([10, 3, 3, 0, 5, 7, 9])}, {"ignore_index": 3})
    yield Case("ignore_index_zero", {**biased, "target": ints([10, 3, 0, 0, 3, 7, 1])}, {"ignore_index": 0})
    yield Case("all_ignored", {**weighted, "target": ints([-100] * 7)}, {"z_loss": 0.5}, library=False,
               why="torch: nan; here 0")
    yield Case("all_masked", biased, row_mask=[0] * 7)
    big = {**biased, "embedding": x["embedding"] * 64, "weight": x["weight"] * 128}
    yield Case("saturated", big)
    yield Case("saturated_softcap", big, {"softcap": 50.0}, {"softcap": "on"})
    yield Case("zero_vector", {**biased, "embedding": x["embedding"] * floats([1, 0, 1, 0, 1, 1, 1])[:, None]})
    yield Case("ties", {**x, "weight": x["weight"][:1].repeat(11, 1)})
    yield Case("one_class", {**biased, "weight": x["weight"][:1], "bias": biased["bias"][:1],
                             "target": ints([0, 0, -100, 0, 0, 0, 0])}, {"z_loss": 0.25})
    yield Case("shift", biased, {"shift": 1})
    yield Case("shift_three_none", weighted, {"shift": 3, "label_smoothing": 0.1}, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("shift_masked", weighted, {"shift": 1, "z_loss": 0.0625}, row_mask=mask)
    yield Case("filter_eps", biased, {"filter_eps": 0.05}, {"filter_eps": "on"})
    yield Case("filter_eps_all", {**weighted, "bias": floats([0] * 10 + [-math.inf])},
               {"filter_eps": 0.1, "softcap": 4.0, "z_loss": 0.01, "label_smoothing": 0.0, "shift": 1},
               {"filter_eps": "on", "softcap": "on"}, row_weight=rw)
    yield Case("filter_eps_nothing_left", weighted, {"filter_eps": 1.0}, {"filter_eps": "on"}, "sum")
    yield Case("shift_of_all", biased, {"shift": 7}, library=False, why="no row has a target: 0")
    yield Case("shift_beyond", biased, {"shift": 9}, library=False, why="no row has a target: 0")
    yield Case("one_row", {**biased, "embedding": x["embedding"][:1], "target": x["target"][:1]})


LOSSES["linear_cross_entropy"] = Loss(
    "linear_cross_entropy", "torch.nn.functional.linear_cross_entropy; catalogue/classification.md linear_cross_entropy",
    linear_cross_entropy, linear_cross_entropy_library, ["embedding", "weight", "bias"],
    {"ignore_index": -100, "label_smoothing": 0, "z_loss": 0, "softcap": 0, "shift": 0, "filter_eps": 0},
    {"softcap": ["off", "on"], "filter_eps": ["off", "on"]},
    list(linear_cross_entropy_cases()), [])


# ---- 11 dice ---------------------------------------------------------------------------------------------------------


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


# ---- 12 barlow_twins -------------------------------------------------------------------------------------------------


def standardised(z, unbiased):
    centred = z - z.mean(0)
    variance = (centred**2).sum(0) / (len(z) - unbiased)
    some = variance > 0
    return torch.where(some, centred / torch.where(some, variance, 1).sqrt(), 0)


def barlow_twins(x, p, o):
    unbiased = o["variance"] == "unbiased"
    c = standardised(x["z1"], unbiased).T @ standardised(x["z2"], unbiased) / len(x["z1"])
    one = torch.eye(len(c), dtype=torch.float64)
    return Rows(p["scale"] * ((c - one) ** 2 * (one + p["lambda"] * (1 - one))).sum())


def barlow_twins_library(x, p, o):
    from lightly.loss import BarlowTwinsLoss as Lightly
    from monai.losses import BarlowTwinsLoss as Monai

    # The loss does not change with the size of a column, the eps of the libraries (1e-5 on the variance, 1e-6 on the
    # deviation) then does not count.
    z1, z2 = x["z1"] * 2.0**30, x["z2"] * 2.0**30
    if o["variance"] == "biased":
        value, origin = Lightly(lambda_param=p["lambda"])(z1, z2), "lightly.loss.BarlowTwinsLoss"
    else:
        value, origin = Monai(lambd=p["lambda"])(z1, z2), "monai.losses.BarlowTwinsLoss"
    if p["scale"] != 1:
        value, origin = value * p["scale"], origin + " * scale"
    return Library(origin + " of 2^30 * (z1, z2), which drowns its eps", None, value, value)


def barlow_twins_cases():
    g = Draw("barlow_twins")
    x = {"z1": g.normal(8, 5), "z2": g.normal(8, 5)}
    alike = {"z1": x["z1"], "z2": x["z1"] + g.normal(8, 5, scale=0.25)}
    unbiased = {"variance": "unbiased"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum")
    yield Case("unbiased", x, {}, unbiased)
    yield Case("unbiased_sum", x, {}, unbiased, "sum", grad_output=-0.5)
    yield Case("lambda_large", x, {"lambda": 0.5}, grad_output=2.0)
    yield Case("lambda_zero", x, {"lambda": 0.0}, unbiased)
    yield Case("lambda_one", alike, {"lambda": 1.0})
    yield Case("scale", alike, {"scale": 0.025})
    yield Case("scale_unbiased", alike, {"scale": 0.025, "lambda": 0.0078125}, unbiased)
    yield Case("alike", alike)
    yield Case("equal", {"z1": x["z1"], "z2": x["z1"]}, {"lambda": 0.0}, why="loss 0")
    yield Case("equal_unbiased", {"z1": x["z1"], "z2": x["z1"]}, {"lambda": 0.0}, unbiased)
    yield Case("opposite", {"z1": x["z1"], "z2": -x["z1"]})
    yield Case("wide", {"z1": g.normal(4, 8), "z2": g.normal(4, 8)})
    yield Case("tall", {"z1": g.normal(12, 3), "z2": g.normal(12, 3)}, {}, unbiased)
    yield Case("one_column", {"z1": g.normal(8, 1), "z2": g.normal(8, 1)})
    yield Case("two_rows", {"z1": g.normal(2, 3), "z2": g.normal(2, 3)})
    yield Case("offset_columns", {"z1": x["z1"] + floats([64, 0, -32, 2, 0]), "z2": x["z2"] * floats([1, 8, 0.125, 1, 16])})
    flat1, flat2 = x["z1"].clone(), x["z2"].clone()
    flat1[:, 1], flat1[:, 3], flat2[:, 3], flat2[:, 4] = 0.5, 0, 0, -1.25
    why = "columns without variance are standardised to 0, gradient 0"
    yield Case("constant_columns", {"z1": flat1, "z2": flat2}, library=False, why=why)
    yield Case("constant_columns_unbiased", {"z1": flat1, "z2": flat2}, {}, unbiased, library=False, why=why)
    yield Case("one_row", {"z1": g.normal(1, 4), "z2": g.normal(1, 4)}, library=False, why="no variance: scale * D")


LOSSES["barlow_twins"] = Loss(
    "barlow_twins", "lightly BarlowTwinsLoss, MONAI BarlowTwinsLoss; catalogue/feature_statistics.md barlow_twins",
    barlow_twins, barlow_twins_library, ["z1", "z2"], {"lambda": 0.005, "scale": 1}, {"variance": ["biased", "unbiased"]},
    list(barlow_twins_cases()), ["lightly", "monai"])
