"""Golden vectors of softmax over classes: cross_entropy, linear_cross_entropy, arcface."""

import math

import torch
import torch.nn.functional as F

from common import *


# ---- cross_entropy ---------------------------------------------------------------------------------------------------


def cross_entropy_logits(x, p, o):
    z = x["logits"] * p["logit_scale"]
    return p["softcap"] * torch.tanh(z / p["softcap"]) if o["softcap"] == "on" else z


def shard_softmax_rows(z, x, p):
    """What the shard with logits z has of the cross-entropy over its classes and those of x["rest"]."""
    everything = torch.cat([z, x["rest"]], 1)
    lse = torch.logsumexp(everything, 1)
    if p.get("filter_eps"):
        s = torch.softmax(everything, 1).detach()[:, : z.shape[1]]
        surrogate = (torch.where(s < p["filter_eps"], 0, s) * z).sum(1)
        lse = lse.detach() + surrogate - surrogate.detach()
    lse_part, y = lse + p["z_loss"] * lse**2, x["shard_target"]
    here = (y >= 0) & (y != p["ignore_index"])
    z_y = z.gather(1, torch.where(here, y, 0)[:, None])[:, 0]
    value = shard_rows(lse_part - (1 - p["label_smoothing"]) * z_y, here, lse_part)
    if p["label_smoothing"]:
        value = value - p["label_smoothing"] / everything.shape[1] * z.sum(1)
    return Rows(value, y != p["ignore_index"], outputs={"shard_logsumexp": torch.logsumexp(z, 1)})


def shard_library(z, x, p):
    """The same from torch's loss of all classes, classes along axis 1."""
    everything, eps = torch.cat([z, x["rest"]], 1), p["label_smoothing"]
    kwargs = dict(ignore_index=p["ignore_index"], label_smoothing=eps)
    whole = F.cross_entropy(everything, x["whole_target"], reduction="none", **kwargs)
    whole = whole + p["z_loss"] * torch.logsumexp(everything, 1) ** 2
    mass = lambda logits: eps / everything.shape[1] * logits.sum(1) if eps else 0
    rows = torch.where(x["shard_target"] >= 0, whole + mass(x["rest"]), whole - (whole + mass(z)).detach())
    return Library("torch.nn.functional.cross_entropy of the classes of all shards, the others' part taken away", rows)


def shard_inputs(g, target, others, classes, rest, ignore_index=-100):
    """Of a loss over `classes` here and `rest` more. target: -1 is one of the others."""
    everywhere = torch.where((target == -1) & (target != ignore_index), classes + torch.arange(len(target)) % max(rest, 1), target)
    return {"shard_target": target, "others_logsumexp": others}, {"rest": rest_of(g, others, rest), "whole_target": everywhere}


def flat_rows(t):
    """[N, C, P] as [N P, C], [N, P] as [N P]."""
    return t.movedim(1, -1).reshape(-1, t.shape[1]) if t.dim() > 2 else t


def cross_entropy(x, p, o):
    z = cross_entropy_logits(x, p, o)
    shape = (z.shape[0], *z.shape[2:])
    if o["target"] == "shard":
        rows = shard_softmax_rows(flat_rows(z), {**x, "rest": flat_rows(x["rest"]), "shard_target": x["shard_target"].flatten()}, p)
        return Rows(rows.value.reshape(shape), rows.valid.reshape(shape), outputs=rows.outputs)
    rows = softmax_rows(flat_rows(z), x, p, o, z.shape[1])
    return Rows(*(None if t is None else t.reshape(shape) for t in (rows.value, rows.valid, rows.mean_weight)))


def cross_entropy_library(x, p, o):
    z = cross_entropy_logits(x, p, o)
    if o["target"] == "shard":
        return shard_library(z, x, p)
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
    yield from cross_entropy_shard_cases(d("shard"))


def cross_entropy_shard_cases(g):
    """4 classes here, 3 or 2 more elsewhere."""
    shard, rw = {"target": "shard"}, flat(g.weight(7))
    own, hidden = shard_inputs(g, ints([0, -1, 2, -100, 1, -1, 3]), g.normal(7, scale=2), 4, 3)
    x = {"logits": g.normal(7, 4), **own}
    both = {"options": shard, "stand_in": hidden}
    all_seven = {"label_smoothing": 0.1, "class_count": 7}
    yield Case("shard", x, **both)
    yield Case("shard_sum", x, {"logit_scale": 2.5}, reduction="sum", grad_output=0.5, **both)
    yield Case("shard_none", x, reduction="none", grad_output=flat(g.normal(7)), **both)
    yield Case("shard_row_weight", x, row_weight=rw, row_mask=[1, 1, 1, 1, 1, 1, 0], **both)
    yield Case("shard_denominator", x, denominator=3.5, row_weight=rw, **both)
    yield Case("shard_label_smoothing", x, all_seven, **both)
    yield Case("shard_all", x, all_seven | {"z_loss": 0.125, "softcap": 2.0}, row_weight=rw, options=shard | {"softcap": "on"},
               stand_in=hidden)
    yield Case("shard_none_here", {**x, "shard_target": ints([-1] * 7)}, {"z_loss": 0.125}, options=shard,
               stand_in={**hidden, "whole_target": ints([4, 5, 6, 4, 5, 6, 4])}, why="value 0")
    yield Case("shard_others_large", {**x, "others_logsumexp": own["others_logsumexp"] + 96}, options=shard,
               stand_in={**hidden, "rest": hidden["rest"] + 96})
    first = {**x, "others_logsumexp": torch.full((7,), -math.inf).double()}
    yield Case("shard_first_call", first, options=shard, stand_in={"rest": torch.zeros(7, 0).double()}, library=False,
               why="no other class yet")
    empty = {**first, "logits": torch.full((7, 4), -math.inf).double()}
    yield Case("shard_ruled_out", {**empty, "shard_target": ints([-1] * 7), "others_logsumexp": x["others_logsumexp"]}, options=shard,
               stand_in={**hidden, "whole_target": ints([4, 5, 6, 4, 5, 6, 4])})
    target, others = g.label(4, 2, 5) - 1, g.normal(2, 5)
    own, hidden = shard_inputs(g, target.flatten(), others.flatten(), 3, 2)
    pixels = {"logits": g.normal(2, 3, 5), "shard_target": target, "others_logsumexp": others}
    hidden = {"rest": hidden["rest"].reshape(2, 5, 2).movedim(-1, 1), "whole_target": hidden["whole_target"].reshape(2, 5)}
    yield Case("shard_pixels", pixels, {"label_smoothing": 0.25, "class_count": 5}, shard, stand_in=hidden)


LOSSES["cross_entropy"] = Loss(
    "cross_entropy", "torch.nn.functional.cross_entropy; catalogue/classification.md cross_entropy",
    cross_entropy, cross_entropy_library, ["logits"],
    {"ignore_index": -100, "label_smoothing": 0, "z_loss": 0, "softcap": 0, "logit_scale": 1, "class_count": 0},
    {"target": ["index", "probability", "shard"], "softcap": ["off", "on"]}, list(cross_entropy_cases()), [])


# ---- linear_cross_entropy --------------------------------------------------------------------------------------------


def capped(z, p, o):
    return p["softcap"] * torch.tanh(z / p["softcap"]) if o["softcap"] == "on" else z


def shifted(p, x):
    """What is left of the rows when each is to tell the target of a later one."""
    rows = len(x["embedding"])
    keep = max(rows - p["shift"], 0)
    left = {k: v[:keep] if k in ("embedding", "others_logsumexp", "rest") else v[p["shift"]:] if "target" in k else v
            for k, v in x.items()}
    return left, rows - keep


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
    if o["classes"] == "shard":
        return shard_softmax_rows(z, x, p)
    return softmax_rows(z, x, p, o, z.shape[1])


def linear_cross_entropy_library(x, p, o):
    if p["filter_eps"]:
        return None
    if p["shift"]:
        left, dropped = shifted(p, x)
        if len(left["embedding"]) == 0:
            return None
        got = linear_cross_entropy_library(left, {**p, "shift": 0}, o)
        return Library(got.origin, F.pad(got.rows, (0, dropped)), got.mean)
    kwargs = dict(weight=x.get("class_weight"), ignore_index=p["ignore_index"], label_smoothing=p["label_smoothing"])
    z = F.linear(x["embedding"], x["weight"], x.get("bias"))
    if o["classes"] == "shard":
        return shard_library(capped(z, p, o), x, p)
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
    yield from linear_cross_entropy_shard_cases(Draw("linear_cross_entropy/shard"))


def linear_cross_entropy_shard_cases(g):
    """6 classes here, 5 more elsewhere."""
    shard, rw = {"classes": "shard"}, flat(g.weight(7))
    own, hidden = shard_inputs(g, ints([0, -1, 2, -100, 5, -1, 3]), g.normal(7, scale=2), 6, 5)
    x = {"embedding": g.normal(7, 4), "weight": g.normal(6, 4), **own}
    biased, both = {**x, "bias": g.normal(6)}, {"options": shard, "stand_in": hidden}
    yield Case("shard", x, **both)
    yield Case("shard_bias_sum", biased, reduction="sum", grad_output=0.5, **both)
    yield Case("shard_none", biased, reduction="none", grad_output=flat(g.normal(7)), row_weight=rw, **both)
    smooth = {"label_smoothing": 0.1, "class_count": 11}
    yield Case("shard_label_smoothing", biased, smooth, row_weight=rw, row_mask=[1, 1, 1, 1, 1, 0, 1], **both)
    yield Case("shard_all", biased, smooth | {"z_loss": 0.0625, "softcap": 4.0}, options=shard | {"softcap": "on"}, stand_in=hidden)
    yield Case("shard_shift", biased, smooth | {"shift": 1}, **both)
    yield Case("shard_filter_eps", biased, {"filter_eps": 0.05}, options=shard | {"filter_eps": "on"}, stand_in=hidden)
    first = {**biased, "others_logsumexp": torch.full((7,), -math.inf).double()}
    yield Case("shard_first_call", first, options=shard, stand_in={"rest": torch.zeros(7, 0).double()}, library=False,
               why="no other class yet")


LOSSES["linear_cross_entropy"] = Loss(
    "linear_cross_entropy", "torch.nn.functional.linear_cross_entropy; catalogue/classification.md linear_cross_entropy",
    linear_cross_entropy, linear_cross_entropy_library, ["embedding", "weight", "bias"],
    {"ignore_index": -100, "label_smoothing": 0, "z_loss": 0, "softcap": 0, "shift": 0, "filter_eps": 0, "class_count": 0},
    {"classes": ["all", "shard"], "softcap": ["off", "on"], "filter_eps": ["off", "on"]},
    list(linear_cross_entropy_cases()), [])


# ---- arcface ---------------------------------------------------------------------------------------------------------


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
    if o["classes"] == "shard":
        return arcface_shard(p["scale"] * torch.where(valid[:, None], cos.scatter(1, y, phi), cos), p["scale"] * phi[:, 0], valid, x["rest"])
    z = p["scale"] * cos.scatter(1, y, phi)
    value = torch.logsumexp(z, 1) - p["scale"] * phi[:, 0]
    return Rows(value, valid)


def arcface_shard(z, target, here, rest):
    lse = torch.logsumexp(torch.cat([z, rest], 1), 1)
    return Rows(shard_rows(lse - target, here, lse), outputs={"shard_logsumexp": torch.logsumexp(z, 1)})


def arcface_library(x, p, o):
    from pytorch_metric_learning import losses

    valid = torch.where(x["label"] >= 0)[0]
    if o["easy_margin"] == "on" or o["classes"] == "shard" or len(valid) == 0:
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
    g = Draw("arcface/shard")
    others, shard = g.normal(8, scale=2), {"classes": "shard"}
    x, hidden = {**x, "others_logsumexp": others}, {"rest": rest_of(g, others, 3)}
    scale = {"scale": 4.0}
    yield Case("shard", x, scale, shard, stand_in=hidden, why="row 3 is of another shard")
    yield Case("shard_default", {**x, "others_logsumexp": others + 32}, {}, shard, stand_in={"rest": hidden["rest"] + 32})
    yield Case("shard_none", x, scale, shard | through, "none", grad_output=flat(g.normal(8)), stand_in=hidden)
    yield Case("shard_row_weight", x, scale, shard | easy, row_weight=rw, row_mask=mask, stand_in=hidden)
    yield Case("shard_none_here", {**x, "label": ints([-1] * 8)}, scale, shard, "sum", stand_in=hidden, why="value 0")
    first = {**x, "others_logsumexp": torch.full((8,), -math.inf).double()}
    yield Case("shard_first_call", first, scale, shard, stand_in={"rest": torch.zeros(8, 0).double()}, why="no other class yet")


LOSSES["arcface"] = Loss(
    "arcface", "pytorch-metric-learning ArcFaceLoss; straight_through and easy_margin: insightface; "
    "catalogue/margin_softmax.md arcface",
    arcface, arcface_library, ["embedding", "weight"], {"scale": 64, "margin": 0.5},
    {"classes": ["all", "shard"], "gradient": ["exact", "straight_through"], "easy_margin": ["off", "on"]}, list(arcface_cases()),
    ["pytorch-metric-learning"])
