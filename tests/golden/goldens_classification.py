"""Golden vectors of losses on class scores and labels: poly1_cross_entropy, generalised_cross_entropy, bce, asl,
adaptive_log_softmax."""

import math

import torch
import torch.nn.functional as F

from common import *
from jax_bridge import jax_call


# ---- poly1_cross_entropy ---------------------------------------------------------------------------------------------


def poly1_cross_entropy(x, p, o):
    z, valid = x["logits"], None
    if o["target"] == "index":
        valid = x["target"] != p["ignore_index"]
        t = F.one_hot(torch.where(valid, x["target"], 0), z.shape[1]).double()
    else:
        t = x["target_probability"]
    log_p = z - torch.logsumexp(z, 1, keepdim=True)
    miss = (t * (1 - log_p.exp())).sum(1)
    value = -torch.where(t != 0, t * torch.where(t != 0, log_p, 0), 0).sum(1) + p["epsilon"] * miss
    for j, epsilon in enumerate(x.get("higher", [])):
        value = value + epsilon * miss ** (j + 2)
    return Rows(value, valid)


def poly1_cross_entropy_library(x, p, o):
    import optax

    if "higher" in x:
        return None
    z = x["logits"]
    t = x.get("target_probability")
    if t is None:
        t = F.one_hot(torch.where(x["target"] == p["ignore_index"], 0, x["target"]), z.shape[1]).double()
    rows = jax_call(lambda z, t: optax.losses.poly_loss_cross_entropy(z, t, epsilon=p["epsilon"]), z, t)
    return Library("optax.losses.poly_loss_cross_entropy", rows)


def poly1_cross_entropy_cases():
    g = Draw("poly1_cross_entropy")
    x = {"logits": g.normal(6, 5), "target": ints([4, 0, -100, 2, 1, 2])}
    soft = {"logits": x["logits"], "target_probability": g.distribution(6, 5)}
    higher = floats([0.5, -0.25, 1.5])
    dense = {"target": "probability"}
    mask = [1, 1, 1, 0, 1, 1]
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-1.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(6)))
    yield Case("epsilon_two", x, {"epsilon": 2.0})
    yield Case("epsilon_zero", x, {"epsilon": 0.0}, why="cross-entropy")
    yield Case("epsilon_least", x, {"epsilon": -1.0})
    yield Case("ignore_index_zero", x | {"target": ints([4, 0, 3, 2, 0, 2])}, {"ignore_index": 0})
    yield Case("row_weight", x, row_weight=flat(g.weight(6)), row_mask=mask)
    yield Case("denominator", x, denominator=2.5)
    yield Case("all_ignored", x | {"target": ints([-100] * 6)})
    yield Case("higher", x | {"higher": higher})
    yield Case("higher_none", x | {"higher": higher}, {"epsilon": -0.5}, reduction="none", grad_output=flat(g.normal(6)))
    yield Case("probability", soft, {}, dense)
    yield Case("probability_none", soft, {"epsilon": 2.0}, dense, "none", row_weight=flat(g.weight(6)), row_mask=mask)
    yield Case("probability_higher", soft | {"higher": higher}, {"epsilon": 0.25}, dense, "sum")
    yield Case("saturated", x | {"logits": x["logits"] * 256})
    yield Case("saturated_higher", x | {"logits": x["logits"] * 256, "higher": higher}, why="1 - p_y is 0 or 1")
    yield Case("saturated_probability", soft | {"logits": x["logits"] * 256}, {}, dense)
    ruled = x["logits"].clone()
    ruled[:, 3] = -math.inf
    yield Case("class_ruled_out", x | {"logits": ruled}, library=False, why="optax: 0 * inf = nan")
    yield Case("one_class", {"logits": g.normal(3, 1), "target": ints([0, 0, -100])})
    yield Case("one_row", {"logits": g.normal(1, 5), "target": ints([3])})


LOSSES["poly1_cross_entropy"] = Loss(
    "poly1_cross_entropy", "optax poly_loss_cross_entropy; catalogue/classification.md poly1_cross_entropy",
    poly1_cross_entropy, poly1_cross_entropy_library, ["logits"], {"epsilon": 1, "ignore_index": -100},
    {"target": ["index", "probability"]}, list(poly1_cross_entropy_cases()), ["optax", "jax"])


# ---- generalised_cross_entropy ---------------------------------------------------------------------------------------


def generalised_cross_entropy(x, p, o):
    rows, above, k = [], [], p["k"] if o["form"] == "truncated" else 0.0
    for i, (z, y) in enumerate(zip(x["logits"], x["target"])):
        p_y = torch.softmax(z, 0)[y]
        above.append(float(p_y > k))
        kept = x["kept"][x["sample"][i]] if "kept" in x else above[-1]
        rows.append((1 - (p_y if kept else torch.tensor(k).double()) ** p["q"]) / p["q"])
    return Rows(torch.stack(rows), outputs={"above": floats(above)} if o["form"] == "truncated" else {})


def generalised_cross_entropy_cases():
    g = Draw("generalised_cross_entropy")
    x = {"logits": g.normal(7, 4), "target": g.label(4, 7)}
    truncated = {"form": "truncated"}
    kept = x | {"kept": ints([1, 0, 1, 1, 0, 1, 0, 1, 1]), "sample": ints([8, 0, 4, 2, 6, 1, 3])}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("q_one", x, {"q": 1.0}, why="1 - p_y")
    yield Case("q_small", x, {"q": 2.0**-10}, why="near cross-entropy")
    yield Case("truncated", x, {"k": 0.25}, truncated, reduction="none")
    yield Case("truncated_default", x, {}, truncated, row_weight=flat(g.weight(7)), row_mask=[1, 1, 0, 1, 1, 1, 1])
    yield Case("truncated_none", x, {"k": 0.0}, truncated, why="no row: as full")
    yield Case("truncated_all", x, {"k": 1.0}, truncated, why="every row: loss 0")
    yield Case("kept", kept, {"k": 0.5}, truncated, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("kept_mean", kept, {"k": 0.25, "q": 0.5}, truncated, denominator=4.0)
    yield Case("saturated", x | {"logits": x["logits"] * 16})
    yield Case("saturated_truncated", x | {"logits": x["logits"] * 256}, {"k": 0.5, "q": 1.0}, truncated)
    yield Case("one_class", {"logits": g.normal(3, 1), "target": ints([0, 0, 0])})
    yield Case("one_row", {"logits": g.normal(1, 3), "target": ints([2])}, {"k": 0.125}, truncated)


LOSSES["generalised_cross_entropy"] = Loss(
    "generalised_cross_entropy", "catalogue/robust_calibration.md generalised_cross_entropy",
    generalised_cross_entropy, lambda x, p, o: None, ["logits"], {"q": 0.7, "k": 0.5}, {"form": ["full", "truncated"]},
    list(generalised_cross_entropy_cases()), [])


# ---- bce -------------------------------------------------------------------------------------------------------------


def bce(x, p, o):
    y, c = x["target"], x.get("pos_weight", torch.tensor(1.0).double())
    if o["input"] == "logits":
        z = x["logits"]
        pos = torch.where(y == 0, 0, c * y * -F.logsigmoid(z))
        return Rows(pos + torch.where(y == 1, 0, (1 - y) * -F.logsigmoid(-z)))
    q = x["probability"]
    inside = (q > 0) & (q < 1)
    safe = torch.where(inside, q, 0.5)
    smooth = -c * y * safe.log() - (1 - y) * torch.log1p(-safe)
    clamped = c * y * -q.detach().log().clamp(min=-100) + (1 - y) * -(1 - q.detach()).log().clamp(min=-100)
    # At 0 and 1 torch's derivative: the denominator p (1 - p) is 1e-12.
    ends = clamped + (q - q.detach()) * ((1 - y) * q - c * y * (1 - q)).detach() / 1e-12
    return Rows(torch.where(inside, smooth, ends))


def bce_library(x, p, o):
    if o["input"] == "logits":
        args, kwargs = (x["logits"], x["target"]), {"pos_weight": x.get("pos_weight")}
        rows = F.binary_cross_entropy_with_logits(*args, reduction="none", **kwargs)
        return Library("torch.nn.functional.binary_cross_entropy_with_logits", rows,
                       F.binary_cross_entropy_with_logits(*args, **kwargs))
    if "pos_weight" in x:
        return None
    args = x["probability"], x["target"]
    ends = ((args[0] == 0) | (args[0] == 1)).any()  # there torch's 1e-12 is a float32
    return Library("torch.nn.functional.binary_cross_entropy", F.binary_cross_entropy(*args, reduction="none"),
                   F.binary_cross_entropy(*args), value_only=bool(ends))


def bce_cases():
    g = Draw("bce")
    x = {"logits": g.normal(5, 3), "target": g.bits(5, 3, p=0.5)}
    soft = x | {"target": g.unit(5, 3)}
    given = {"probability": g.unit(5, 3).clamp(1 / 32, 31 / 32), "target": g.bits(5, 3, p=0.5)}
    w = g.weight(3)
    probability = {"input": "probability"}
    rw, mask = flat(g.weight(5, 3)), [1, 0, 1, 1, 1] * 3
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.25)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(5, 3)))
    yield Case("soft", soft)
    yield Case("pos_weight", x | {"pos_weight": w})
    yield Case("pos_weight_soft_none", soft | {"pos_weight": w}, reduction="none", row_weight=rw, row_mask=mask)
    yield Case("row_weight", x, row_weight=rw, row_mask=mask)
    yield Case("weight_of_torch", x | {"pos_weight": w}, row_weight=rw, denominator=15.0)
    yield Case("all_masked", x, row_mask=[0] * 15)
    yield Case("saturated", x | {"logits": x["logits"] * 2**12})
    yield Case("saturated_soft", soft | {"logits": x["logits"] * 2**12, "pos_weight": w})
    yield Case("probability", given, {}, probability)
    yield Case("probability_soft", given | {"target": soft["target"]}, {}, probability, "none",
               grad_output=flat(g.normal(5, 3)))
    yield Case("probability_pos_weight", given | {"pos_weight": w}, {}, probability, "sum")
    ends = {"probability": floats([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), "target": floats([[0.0, 1.0, 0.5]] * 2)}
    yield Case("probability_ends", ends, {}, probability, "none", why="logs stop at -100, p (1 - p) at 1e-12")
    yield Case("probability_ends_pos_weight", ends | {"pos_weight": w}, {}, probability, "none")
    yield Case("one_element", {"logits": floats([[0.0]]), "target": floats([[1.0]])})


LOSSES["bce"] = Loss(
    "bce", "torch.nn.functional.binary_cross_entropy(_with_logits); catalogue/multilabel.md bce",
    bce, bce_library, ["logits", "probability"], {}, {"input": ["logits", "probability"]}, list(bce_cases()), [])


# ---- asl -------------------------------------------------------------------------------------------------------------


def asl_positive(o):
    return "gamma_positive" if o["form"] == "multi" else "gamma_positive_single"


def asl(x, p, o):
    z, focus = x["logits"], (lambda w: w.detach()) if o["detach_focus"] == "on" else (lambda w: w)
    g_pos, g_neg = p[asl_positive(o)], p["gamma_negative"]
    if o["form"] == "multi":
        y, q = x["target"], torch.sigmoid(z)
        r = (q - p["clip"]).clamp(min=0)
        some = r > 0
        r = torch.where(some, r, 0.5)
        pos = y * focus((1 - q) ** g_pos) * q.clamp(min=p["eps"]).log()
        neg = (1 - y) * torch.where(some, focus(r**g_neg) * (1 - r).clamp(min=p["eps"]).log(), 0)
        return Rows(-pos - neg)
    log_p = F.log_softmax(z, 1)
    y = F.one_hot(x["target_class"], z.shape[1]).double()
    q = log_p.exp()
    w = torch.where(y == 1, (1 - q) ** g_pos, q**g_neg)
    t = y * (1 - p["label_smoothing"]) + p["label_smoothing"] / z.shape[1]
    return Rows(-(t * focus(w) * log_p).sum(1))


class KeepsDouble:
    """timm casts to float32 first; this takes the cast out."""

    def __enter__(self):
        self.float, torch.Tensor.float = torch.Tensor.float, lambda t: t

    def __exit__(self, *_):
        torch.Tensor.float = self.float


def asl_library(x, p, o):
    from timm.loss import AsymmetricLossMultiLabel, AsymmetricLossSingleLabel

    gammas = dict(gamma_pos=p[asl_positive(o)], gamma_neg=p["gamma_negative"])
    if o["form"] == "single":
        if o["detach_focus"] == "on":
            return None
        module = AsymmetricLossSingleLabel(**gammas, eps=p["label_smoothing"], reduction="none")
        rows = module(x["logits"], x["target_class"])
        return Library("timm.loss.AsymmetricLossSingleLabel", rows, rows.mean())
    kwargs = dict(clip=p["clip"], eps=p["eps"], disable_torch_grad_focal_loss=o["detach_focus"] == "on")
    if not ((x["target"] == 0) | (x["target"] == 1)).all():
        return None  # soft labels: timm mixes the focusing factors of the two terms
    with KeepsDouble():
        rows, total = (AsymmetricLossMultiLabel(**gammas, **kwargs, reduction=r)(x["logits"], x["target"])
                       for r in ("none", "sum"))
    return Library("timm.loss.AsymmetricLossMultiLabel without its cast to float32", rows, sum=total)


def asl_cases():
    g = Draw("asl")
    x = {"logits": g.normal(5, 4), "target": g.bits(5, 4, p=0.4)}
    low = x | {"logits": x["logits"] - 2.0}
    rw, mask = flat(g.weight(5, 4)), [1, 1, 0, 1] * 5
    detached = {"detach_focus": "on"}
    yield Case("default", low, reduction="sum")
    yield Case("mean", low)
    yield Case("none", low, reduction="none", grad_output=flat(g.normal(5, 4)))
    yield Case("detached", low, {}, detached, "sum")
    yield Case("paper_gamma", low, {"gamma_positive": 0.0}, reduction="sum")
    yield Case("paper_gamma_detached", low, {"gamma_positive": 0.0}, detached, "none")
    yield Case("no_clip", low, {"clip": 0.0}, reduction="sum")
    yield Case("no_clip_detached", low, {"clip": 0.0, "gamma_negative": 2.5}, detached)
    yield Case("gammas_zero", low, {"gamma_positive": 0.0, "gamma_negative": 0.0}, reduction="sum")
    yield Case("gammas_fractional", low, {"gamma_positive": 0.5, "gamma_negative": 0.5}, reduction="none", library=False,
               why="timm: 0 * inf = nan where p < clip")
    yield Case("large_clip", low, {"clip": 0.25, "eps": 0.125}, why="both bounds at work")
    yield Case("row_weight", low, row_weight=rw, row_mask=mask)
    yield Case("soft", x | {"target": g.unit(5, 4)}, reduction="sum", why="timm mixes the focusing factors")
    yield Case("saturated", x | {"logits": x["logits"].sign() * 40 + x["logits"]}, reduction="sum")
    yield Case("saturated_no_clip", x | {"logits": x["logits"].sign() * 12 + x["logits"]}, {"clip": 0.0}, reduction="sum")
    s = {"logits": x["logits"], "target_class": g.label(4, 5)}
    single = {"form": "single"}
    yield Case("single", s, {}, single)
    yield Case("single_gamma", s, {"gamma_positive_single": 1.0}, single, "none", grad_output=flat(g.normal(5)))
    yield Case("single_no_smoothing", s, {"label_smoothing": 0.0}, single, "sum")
    yield Case("single_detached", s, {"gamma_positive_single": 2.0}, single | detached, row_weight=flat(g.weight(5)))
    yield Case("single_fractional", s, {"gamma_positive_single": 0.5, "gamma_negative": 1.5}, single, row_mask=[1, 0, 1, 1, 1])
    yield Case("single_saturated", s | {"logits": s["logits"] * 8}, {}, single)
    yield Case("single_one_class", {"logits": g.normal(3, 1), "target_class": ints([0, 0, 0])}, {}, single, why="loss 0")
    yield Case("single_one_row", {"logits": g.normal(1, 4), "target_class": ints([1])}, {}, single)


LOSSES["asl"] = Loss(
    "asl", "timm AsymmetricLossMultiLabel, AsymmetricLossSingleLabel; catalogue/multilabel.md asl",
    asl, asl_library, ["logits"],
    {"gamma_positive": 1, "gamma_positive_single": 0, "gamma_negative": 4, "clip": 0.05, "eps": 1e-8, "label_smoothing": 0.1},
    {"form": ["multi", "single"], "detach_focus": ["off", "on"]}, list(asl_cases()), ["timm"])


# ---- adaptive_log_softmax --------------------------------------------------------------------------------------------


def tails(x):
    k = 1
    while f"tail_weight_{k}" in x:
        yield x[f"tail_projection_{k}"], x[f"tail_weight_{k}"]
        k += 1


def adaptive_log_softmax(x, p, o):
    clusters = list(tails(x))
    shortlist = len(x["head_weight"]) - len(clusters)
    rows, valid = [], []
    for e, y in zip(x["embedding"], x["target"].tolist()):
        head = F.log_softmax(x["head_weight"] @ e + x.get("head_bias", 0), 0)
        value, first = head[y] if 0 <= y < shortlist else None, shortlist
        for k, (down, up) in enumerate(clusters):
            if first <= y < first + len(up):
                value = head[shortlist + k] + F.log_softmax(up @ (down @ e), 0)[y - first]
            first += len(up)
        valid.append(value is not None)
        rows.append(head.sum() * 0 if value is None else -value)
    return Rows(torch.stack(rows), torch.tensor(valid))


def adaptive_log_softmax_library(x, p, o):
    clusters = list(tails(x))
    cutoffs = [len(x["head_weight"]) - len(clusters)]
    for _, up in clusters:
        cutoffs.append(cutoffs[-1] + len(up))
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(x["embedding"].shape[1], cutoffs[-1], cutoffs[:-1], div_value=1.0,
                                                 head_bias="head_bias" in x, dtype=torch.float64)
    weights = {"head.weight": x["head_weight"]} | ({"head.bias": x["head_bias"]} if "head_bias" in x else {})
    for k, (down, up) in enumerate(clusters):  # the widths are those of the weights, whatever div_value says
        weights |= {f"tail.{k}.0.weight": down, f"tail.{k}.1.weight": up}
    y = x["target"].clamp(0, cutoffs[-1] - 1)  # dropped rows are dropped later
    out = torch.func.functional_call(module, weights, (x["embedding"], y))
    dropped = bool((y != x["target"]).any())
    return Library("torch.nn.AdaptiveLogSoftmaxWithLoss", -out.output, None if dropped else out.loss)


def adaptive_log_softmax_cases():
    g = Draw("adaptive_log_softmax")

    def weights(clusters, shortlist=4, d=5):
        sizes = [(2, 3), (1, 5), (3, 2), (2, 4)][:clusters]
        w = {"head_weight": g.normal(shortlist + clusters, d)}
        for k, (e, v) in enumerate(sizes):
            w |= {f"tail_projection_{k + 1}": g.normal(e, d), f"tail_weight_{k + 1}": g.normal(v, e)}
        return w

    x = {"embedding": g.normal(7, 5), "target": ints([0, 6, 3, 4, 5, 2, 4])} | weights(1)
    two = {"embedding": g.normal(7, 5), "target": ints([0, 6, 3, 7, 11, 2, 9])} | weights(2)
    three = {"embedding": g.normal(8, 5), "target": ints([0, 12, 3, 7, 11, 13, 4, 6])} | weights(3)
    rw, mask = flat(g.weight(7)), [1, 1, 0, 1, 1, 1, 1]
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("bias", x | {"head_bias": g.normal(5)}, row_weight=rw, row_mask=mask)
    yield Case("two", two, {}, {"clusters": "2"})
    yield Case("two_bias_none", two | {"head_bias": g.normal(6)}, {}, {"clusters": "2"}, "none", row_weight=rw)
    yield Case("three", three, {}, {"clusters": "3"})
    yield Case("three_bias_sum", three | {"head_bias": g.normal(7)}, {}, {"clusters": "3"}, "sum")
    four = {"embedding": g.normal(8, 5), "target": ints([0, 15, 3, 7, 11, 13, 18, 17])} | weights(4)
    yield Case("four", four, {}, {"clusters": "4"}, why="row 6 is dropped")
    yield Case("four_bias_none", four | {"head_bias": g.normal(8)}, {}, {"clusters": "4"}, "none", grad_output=flat(g.normal(8)))
    yield Case("dropped", x | {"target": ints([0, -100, 3, 7, 5, -1, 4])}, denominator=3.0)
    yield Case("dropped_mean", two | {"target": ints([0, -100, 3, 12, 5, -1, 4])}, {}, {"clusters": "2"})
    yield Case("shortlist_only", three | {"target": ints([0, 1, 2, 3, 0, 1, 2, 3])}, {}, {"clusters": "3"})
    yield Case("rare_only", x | {"target": ints([4, 5, 6, 4, 5, 6, 4])})
    yield Case("saturated", two | {k: two[k] * 16 for k in ("embedding", "head_weight")}, {}, {"clusters": "2"})
    yield Case("zero_embedding", x | {"embedding": x["embedding"] * 0})
    yield Case("one_row", x | {"embedding": x["embedding"][:1], "target": ints([5])})


LOSSES["adaptive_log_softmax"] = Loss(
    "adaptive_log_softmax", "torch.nn.AdaptiveLogSoftmaxWithLoss; catalogue/classification.md adaptive_log_softmax",
    adaptive_log_softmax, adaptive_log_softmax_library,
    ["embedding", "head_weight", "head_bias"] + [f"tail_{w}_{k}" for k in (1, 2, 3, 4) for w in ("projection", "weight")],
    {}, {"clusters": ["1", "2", "3", "4"]}, list(adaptive_log_softmax_cases()), [])
