"""Golden vectors of metric learning and of losses over pairs of a batch."""

import functools
import importlib
import logging
import math
import sys
import types

import torch
import torch.nn.functional as F

from common import *


@functools.cache
def sentence_transformers_loss(module):
    """A loss module of sentence-transformers without the packages that its models need."""
    root = importlib.metadata.distribution("sentence-transformers").locate_file("sentence_transformers")
    stubs = ["", "/base", "/base/losses", "/base/losses/merged_forward", "/util", "/sentence_transformer",
             "/sentence_transformer/model", "/sentence_transformer/losses"]
    for path in stubs:
        name = "sentence_transformers" + path.replace("/", ".")
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(root) + path]
    sys.modules["transformers.utils"] = types.ModuleType("transformers.utils")
    sys.modules["transformers.utils"].is_torchdynamo_compiling, sys.modules["transformers.utils"].logging = bool, logging
    logging.get_logger = logging.getLogger
    sys.modules.setdefault("transformers", types.ModuleType("transformers"))
    model = sys.modules["sentence_transformers.sentence_transformer.model"]
    model.SentenceTransformer = sys.modules["sentence_transformers.base.losses.merged_forward"].embed_columns = object
    similarity = importlib.import_module("sentence_transformers.util.similarity")
    vars(sys.modules["sentence_transformers.util"]).update(vars(similarity))
    return importlib.import_module(f"sentence_transformers.sentence_transformer.losses.{module}")


def distances(z):
    """|z_i - z_j|; equal rows are at 0, with gradient 0."""
    square = ((z[:, None] - z[None]) ** 2).sum(2)
    some = square != 0
    return torch.where(some, torch.where(some, square, 1).sqrt(), 0)


def clear_of(values, threshold=0.0):
    """No value so near a threshold that rounding decides; on it exactly is fine."""
    gap = (values.detach() - threshold).abs()
    assert not ((gap > 0) & (gap < 1e-3)).any()


# ---- clip ------------------------------------------------------------------------------------------------------------


def clip(x, p, o):
    scale = torch.exp(torch.where(x["logit_scale"] > p["max_logit_scale"], p["max_logit_scale"], x["logit_scale"]))
    s = scale * x["image"] @ x["text"].T
    if o["negatives"] == "gathered":
        eps, ways = p["label_smoothing"], (x["image"] @ x["all_text"].T, x["text"] @ x["all_image"].T)
        return Rows(sum(torch.logsumexp(scale * v, 1) - (1 - eps) * s.diag() - eps * (scale * v).mean(1) for v in ways) / 2)
    n, rows = len(s), []
    group = x.get("group", torch.zeros(n, dtype=torch.int64)).tolist()
    for i in range(n):
        met = [j for j in range(n) if group[i] == group[j]]
        each = [torch.logsumexp(v, 0) - (1 - p["label_smoothing"]) * s[i, i] - p["label_smoothing"] * v.mean()
                for v in (s[i, met], s[met, i])]
        rows.append(sum(each) / 2)
    return Rows(torch.stack(rows) if rows else torch.zeros(0).double())


def clip_library(x, p, o):
    ClipLoss = file_module("open_clip_torch", "open_clip/loss.py").ClipLoss
    if x["logit_scale"] > p["max_logit_scale"] or "group" in x:
        return None
    scale = x["logit_scale"].exp()
    if o["negatives"] == "gathered":
        mine = torch.arange(len(x["image"])) + x["offset"].item()
        rows = [F.cross_entropy(scale * v, mine, reduction="none", label_smoothing=p["label_smoothing"])
                for v in (x["image"] @ x["all_text"].T, x["text"] @ x["all_image"].T)]
        return Library("torch.nn.functional.cross_entropy of both directions", sum(rows) / 2, value_only=True)
    if p["label_smoothing"] == 0:
        return Library("open_clip.loss.ClipLoss", None, ClipLoss()(x["image"], x["text"], scale))
    s, y = scale * x["image"] @ x["text"].T, torch.arange(len(x["text"]))
    rows = [F.cross_entropy(v, y, reduction="none", label_smoothing=p["label_smoothing"]) for v in (s, s.T)]
    return Library("torch.nn.functional.cross_entropy of both directions", sum(rows) / 2)


def clip_cases():
    g = Draw("clip")
    x = {"image": g.normal(7, 4), "text": g.normal(7, 4), "logit_scale": floats(0.75)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("row_weight", x, row_weight=flat(g.weight(7)), row_mask=[1, 0, 1, 1, 1, 0, 1])
    yield Case("denominator", x, denominator=3.0)
    yield Case("all_masked", x, row_mask=[0] * 7)
    yield Case("start", x | {"image": unit_rows(x["image"]), "text": unit_rows(x["text"]), "logit_scale": floats(2.65625)})
    yield Case("label_smoothing", x, {"label_smoothing": 0.1})
    yield Case("label_smoothing_none", x, {"label_smoothing": 0.5}, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("scale_at_bound", x, {"max_logit_scale": 0.75}, why="the gradient passes")
    yield Case("scale_beyond_bound", x, {"max_logit_scale": 0.5}, why="no gradient of the scale")
    group = x | {"group": ints([0, 0, 3, 0, 3, 3, 9])}
    yield Case("group", group, why="row 6 is alone")
    yield Case("group_smoothing_none", group, {"label_smoothing": 0.25}, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("large", x | {"logit_scale": floats(7.0)}, {"max_logit_scale": 8.0})
    h, all_of = Draw("clip gathered"), {"negatives": "gathered"}
    gathered = {"all_image": h.normal(11, 4), "all_text": h.normal(11, 4)}
    own = x | gathered | {"image": gathered["all_image"][3:7].clone(), "text": gathered["all_text"][3:7].clone()}
    hidden = {"offset": ints(3)}
    yield Case("gathered", own, {}, all_of, stand_in=hidden, why="the second of three devices")
    yield Case("gathered_none", own, {}, all_of, "none", grad_output=flat(h.normal(4)), stand_in=hidden)
    yield Case("gathered_smoothing", own, {"label_smoothing": 0.25}, all_of, row_weight=flat(h.weight(4)), row_mask=[1, 0, 1, 1],
               stand_in=hidden)
    yield Case("duplicates", x | {"text": x["text"][[0, 1, 2, 0, 0, 5, 6]]})
    zero = x["image"].clone()
    zero[2] = 0
    yield Case("zero_vector", x | {"image": zero})
    yield Case("one_pair", {k: v[:1] if v.dim() else v for k, v in x.items()}, why="0")


LOSSES["clip"] = Loss(
    "clip", "open_clip.loss.ClipLoss; catalogue/contrastive.md clip", clip, clip_library, ["image", "text", "logit_scale", "all_image", "all_text"],
    {"max_logit_scale": 4.605170185988092, "label_smoothing": 0}, {"negatives": ["batch", "gathered"]}, list(clip_cases()), ["open_clip_torch"])


# ---- proxy_anchor ----------------------------------------------------------------------------------------------------


def log_one_plus(values):
    """log(1 + sum exp)."""
    return torch.logsumexp(torch.cat([torch.zeros(1).double(), torch.stack(values)]), 0) if values else floats(0.0)


def semantic_container(x, momentum):
    """Class by class: what is kept of it, and the mean of the rows of the class."""
    new = []
    for k, kept in enumerate(x["container"]):
        own = [row for row, y in zip(unit_rows(x["semantic"]), x["label"].tolist()) if y == k]
        new.append(momentum * kept + (1 - momentum) * sum(own) / len(own) if own else kept)
    return unit_rows(torch.stack(new))


def proxy_anchor(x, p, o):
    proxy, y, outputs = x["proxy"], x["label"].tolist(), {}
    if "container" in x:
        w = p["container_weight"]
        container = x["container"]
        if "semantic" in x:
            container = outputs["new_container"] = semantic_container(x, p["container_momentum"])
        proxy = (1 - w) * proxy + w * container
    s, a, d = cosine(x["embedding"], proxy), p["alpha"], p["delta"]
    n, c = s.shape
    pull = lambda pairs: log_one_plus([-a * (s[i, k] - d) for i, k in pairs if y[i] == k])
    push = lambda pairs: log_one_plus([a * (s[i, k] + d) for i, k in pairs if y[i] != k])
    taken = sorted(set(y)) if o["proxies"] == "in_batch" else range(c)
    by_proxy = [[(i, k) for i in range(n)] for k in taken]
    by_row = [[(i, k) for k in taken] for i in range(n)]
    mean = lambda f, sets, count: sum(map(f, sets)) / count if count else floats(0.0)
    if o["direction"] == "proxies":
        return Rows(mean(pull, by_row, n) + mean(push, by_row, n), outputs=outputs)
    present = len(set(y)) if o["positive_norm"] == "present" else len(taken)
    return Rows(mean(pull, by_proxy, present) + mean(push, by_proxy, len(taken)), outputs=outputs)


def proxy_anchor_library(x, p, o):
    from pytorch_metric_learning import losses

    if o != {"direction": "batch", "positive_norm": "present", "proxies": "all"} or "container" in x or len(x["label"]) == 0:
        return None
    loss = losses.ProxyAnchorLoss(*x["proxy"].shape, margin=p["delta"], alpha=p["alpha"])
    del loss.proxies
    loss.proxies, loss.cast_types = x["proxy"], lambda *_: None
    return Library("pytorch_metric_learning.losses.ProxyAnchorLoss", None, loss(x["embedding"], x["label"]))


def proxy_anchor_cases():
    g = Draw("proxy_anchor")
    x = {"embedding": g.normal(8, 4), "proxy": g.normal(5, 4), "label": ints([0, 3, 0, 1, 1, 3, 0, 3])}
    everything, nca, inside = {"positive_norm": "all"}, {"direction": "proxies"}, {"proxies": "in_batch"}
    yield Case("default", x, why="classes 2 and 4 are absent")
    yield Case("scaled", x, grad_output=-2.0)
    yield Case("weight", x, reduction="sum", row_weight=[0.5])
    yield Case("masked", x, row_mask=[0])
    yield Case("params", x, {"alpha": 4.0, "delta": 0.5})
    yield Case("sharp", x, {"alpha": 512.0})
    yield Case("all", x, {}, everything)
    yield Case("proxies", x, {"alpha": 8.0}, nca)
    both = x | {"container": g.normal(5, 4)}
    yield Case("container", both)
    yield Case("container_all", both, {"container_weight": 0.25}, everything)
    yield Case("container_proxies", both, {"container_weight": 0.75}, nca)
    yield Case("in_batch", x, {"alpha": 8.0}, inside, why="classes 2 and 4 have no proxy")
    yield Case("in_batch_all", x, {}, everything | inside, why="all that take part: as in_batch", grad_output=0.5)
    yield Case("in_batch_proxies", x, {"alpha": 4.0}, nca | inside)
    yield Case("in_batch_container", both, {"container_weight": 0.25}, inside)
    yield Case("in_batch_one_class", x | {"label": ints([2] * 8)}, {}, inside, why="no negatives")
    mixed = both | {"semantic": g.normal(8, 4)}
    yield Case("semantic", mixed, why="the containers of classes 2 and 4 stay")
    yield Case("semantic_momentum", mixed, {"container_momentum": 0.25, "alpha": 4.0}, everything, grad_output=0.5)
    yield Case("semantic_proxies", mixed, {"container_momentum": 0.5, "alpha": 8.0}, nca)
    yield Case("semantic_alone", mixed, {"container_weight": 1.0, "container_momentum": 0.0, "alpha": 8.0}, why="the proxies are class means")
    blank = mixed["semantic"].clone()
    blank[3], blank[4] = 0, 0
    yield Case("semantic_zero", mixed | {"semantic": blank}, {"container_momentum": 0.0, "alpha": 8.0}, why="class 1 has a zero container")
    yield Case("one_class", x | {"label": ints([2] * 8)})
    yield Case("one_proxy", {"embedding": x["embedding"], "proxy": x["proxy"][:1], "label": ints([0] * 8)}, why="no negatives")
    zero = x["embedding"].clone()
    zero[1] = 0
    yield Case("zero_vector", x | {"embedding": zero}, library=False, why="gradient 0 there")
    yield Case("aligned", x | {"embedding": x["proxy"][[0, 3, 0, 1, 1, 3, 0, 3]]})
    none = {"embedding": torch.zeros(0, 4).double(), "proxy": x["proxy"], "label": ints([])}
    yield Case("no_rows", none)
    yield Case("no_rows_in_batch", none, {}, inside, why="no proxy takes part: 0")


LOSSES["proxy_anchor"] = Loss(
    "proxy_anchor", "pytorch-metric-learning ProxyAnchorLoss; catalogue/metric_learning.md proxy_anchor",
    proxy_anchor, proxy_anchor_library, ["embedding", "proxy", "semantic"],
    {"alpha": 32, "delta": 0.1, "container_weight": 0.5, "container_momentum": 0.8},
    {"direction": ["batch", "proxies"], "positive_norm": ["present", "all"], "proxies": ["all", "in_batch"]}, list(proxy_anchor_cases()),
    ["pytorch-metric-learning"])


# ---- circle ----------------------------------------------------------------------------------------------------------


def circle(x, p, o):
    m, gamma, rows = p["margin"], p["gamma"], []
    if o["form"] == "class":
        s = cosine(x["embedding"], x["weight"])
        pos = F.one_hot(x["target"], s.shape[1]).bool()
        neg = ~pos
    else:
        s = cosine(x["embedding"], x["embedding"])
        pos, neg = positive_pairs(x["label"]), x["label"][:, None] != x["label"][None]
    for i in range(len(s)):
        if not pos[i].any() or not neg[i].any():
            rows.append(s[i].sum() * 0)
            continue
        sp, sn = s[i][pos[i]], s[i][neg[i]]
        ap, an = torch.relu(1 + m - sp.detach()), torch.relu(sn.detach() + m)
        rows.append(F.softplus(torch.logsumexp(gamma * an * (sn - m), 0) + torch.logsumexp(-gamma * ap * (sp - 1 + m), 0)))
    return Rows(torch.stack(rows) if rows else torch.zeros(0).double())


def circle_library(x, p, o):
    from pytorch_metric_learning import losses

    if o["form"] == "class" or len(x["label"]) < 2 or len(set(x["label"].tolist())) in (1, len(x["label"])):
        return None
    rows, _ = pml_rows(losses.CircleLoss(m=p["margin"], gamma=p["gamma"]), x["embedding"], x["label"])
    return Library("pytorch_metric_learning.losses.CircleLoss", rows)


def circle_cases():
    g = Draw("circle")
    x = {"embedding": g.normal(9, 4), "label": ints([0, 1, 0, 2, 1, 3, 0, 2, 2])}
    y = {"embedding": x["embedding"], "weight": g.normal(4, 4), "target": ints([0, 1, 0, 2, 1, 3, 0, 2, 2])}
    retrieval, of_class = {"margin": 0.4, "gamma": 80}, {"form": "class"}
    yield Case("default", x, why="row 5 has no positive and counts in the mean")
    yield Case("sum", x, reduction="sum", grad_output=0.25)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(9)))
    yield Case("retrieval", x, retrieval)
    yield Case("soft", x, {"margin": 0.5, "gamma": 2.0})
    yield Case("row_weight", x, retrieval, row_weight=flat(g.weight(9)), row_mask=[1, 1, 0, 1, 1, 1, 0, 1, 1])
    yield Case("denominator", x, denominator=2.0)
    yield Case("all_masked", x, row_mask=[0] * 9)
    yield Case("no_positives", x | {"label": ints(list(range(9)))}, why="0")
    yield Case("one_label", x | {"label": ints([1] * 9)}, why="0")
    yield Case("class", y, {}, of_class)
    yield Case("class_none", y, {"gamma": 4.0}, of_class, "none", grad_output=flat(g.normal(9)))
    yield Case("class_retrieval", y, retrieval, of_class)
    yield Case("one_class", {"embedding": x["embedding"], "weight": y["weight"][:1], "target": ints([0] * 9)}, {}, of_class, why="0")
    same = x["embedding"].clone()
    same[2], same[1] = same[0], same[0] * 2
    zero = x["embedding"].clone()
    zero[2] = 0
    yield Case("duplicates", x | {"embedding": same}, {"gamma": 4.0})
    yield Case("zero_vector", x | {"embedding": zero}, {"gamma": 4.0}, library=False, why="gradient 0 there")
    yield Case("one_row", {"embedding": x["embedding"][:1], "label": ints([0])}, why="0")


LOSSES["circle"] = Loss(
    "circle", "pytorch-metric-learning CircleLoss; catalogue/metric_learning.md circle", circle, circle_library,
    ["embedding", "weight"], {"margin": 0.25, "gamma": 256}, {"form": ["pair", "class"]}, list(circle_cases()),
    ["pytorch-metric-learning"])


# ---- cosent ----------------------------------------------------------------------------------------------------------


def cosent(x, p, o):
    c, y = (unit_rows(x["a"]) * unit_rows(x["b"])).sum(1), x["score"]
    n = range(len(y))
    return Rows(log_one_plus([p["scale"] * (c[k] - c[i]) for i in n for k in n if y[i] > y[k]]))


def cosent_library(x, p, o):
    if len(x["score"]) == 0:
        return None
    loss = sentence_transformers_loss("cosent").CoSENTLoss(None, scale=p["scale"])
    value = loss.compute_loss_from_embeddings([x["a"], x["b"]], x["score"])
    return Library("sentence_transformers CoSENTLoss", None, value)


def cosent_cases():
    g = Draw("cosent")
    x = {"a": g.normal(8, 4), "b": g.normal(8, 4), "score": floats([0.25, 1, 0, 0.5, 0.5, 1, 0.75, 0])}
    yield Case("default", x)
    yield Case("scaled", x, grad_output=3.0)
    yield Case("weight", x, reduction="sum", row_weight=[0.25])
    yield Case("masked", x, row_mask=[0])
    yield Case("soft", x, {"scale": 1.0})
    yield Case("sharp", x, {"scale": 500.0})
    yield Case("binary", x | {"score": floats([0, 1, 1, 0, 1, 0, 0, 1])})
    yield Case("all_tied", x | {"score": floats([0.5] * 8)}, why="nothing to compare: 0")
    yield Case("one_pair", {k: v[:1] for k, v in x.items()}, why="nothing to compare: 0")
    yield Case("equal_sentences", x | {"b": x["a"]}, library=False, why="cosine 1, gradient of rounding only")
    zero = x["a"].clone()
    zero[3] = 0
    yield Case("zero_vector", x | {"a": zero}, library=False, why="gradient 0 there")
    yield Case("no_rows", {"a": torch.zeros(0, 4).double(), "b": torch.zeros(0, 4).double(), "score": floats([])})


LOSSES["cosent"] = Loss(
    "cosent", "sentence-transformers CoSENTLoss; catalogue/metric_learning.md cosent", cosent, cosent_library, ["a", "b"],
    {"scale": 20}, {}, list(cosent_cases()), ["sentence-transformers"])


# ---- batch_all_triplet and semi_hard_triplet -------------------------------------------------------------------------


def triplet_rows(label):
    return positive_pairs(label).any(1) & (label[:, None] != label[None]).any(1)


def batch_all_triplet(x, p, o):
    d, y = distances(x["embedding"]), x["label"].tolist()
    n, rows, active = len(y), [], []
    for i in range(n):
        gaps = [d[i, j] - d[i, k] + p["margin"] for j in range(n) if y[j] == y[i] and j != i for k in range(n) if y[k] != y[i]]
        gaps = torch.stack(gaps) if gaps else torch.zeros(0).double()
        clear_of(gaps)
        rows.append(torch.relu(gaps).sum() + 0 * d[i].sum())
        active.append((gaps > 0).sum())
    return Rows(torch.stack(rows), triplet_rows(x["label"]), torch.stack(active).double())


def batch_all_triplet_library(x, p, o):
    module = sentence_transformers_loss("batch_all_triplet")
    loss = module.BatchAllTripletLoss(None, margin=p["margin"])
    return Library("sentence_transformers BatchAllTripletLoss", None, loss.batch_all_triplet_loss(x["label"], x["embedding"]))


def semi_hard_triplet(x, p, o):
    d, y = distances(x["embedding"]), x["label"].tolist()
    n, rows, pairs = len(y), [], []
    for i in range(n):
        total, count = 0 * d[i].sum(), 0
        negatives = [k for k in range(n) if y[k] != y[i]]
        for j in range(n):
            if y[j] != y[i] or j == i or not negatives:
                continue
            clear_of(d[i, negatives], d[i, j].detach())
            harder = [k for k in negatives if not d[i, k] <= d[i, j]]
            size = lambda k: d[i, k].item()
            at = min(harder, key=lambda k: (not math.isnan(size(k)), size(k))) if harder else max(negatives, key=size)
            chosen = d[i, at]  # NaN if any is; of equals the first
            clear_of(d[i, j] - chosen + p["margin"])
            total, count = total + torch.relu(d[i, j] - chosen + p["margin"]), count + 1
        rows.append(total)
        pairs.append(count)
    return Rows(torch.stack(rows), triplet_rows(x["label"]), floats([float(c) for c in pairs]))


def semi_hard_triplet_library(x, p, o):
    y = x["label"].tolist()
    if len(set(y)) == 1:
        return None
    loss = sentence_transformers_loss("batch_semi_hard_triplet").BatchSemiHardTripletLoss(None, margin=p["margin"])
    return Library("sentence_transformers BatchSemiHardTripletLoss", None,
                   loss.batch_semi_hard_triplet_loss(x["label"], x["embedding"]))


def triplet_cases(name):
    g = Draw(name)
    z = g.normal(9, 4)
    x = {"embedding": z, "label": ints([0, 1, 0, 2, 1, 3, 0, 2, 2])}
    yield Case("default", x, why="row 5 has no positive")
    yield Case("sum", x, reduction="sum", grad_output=-2.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(9)))
    yield Case("margin_small", x, {"margin": 0.25}, why="some terms are 0")
    yield Case("margin_zero", x, {"margin": 0.0})
    yield Case("row_weight", x, {"margin": 1.0}, row_weight=flat(g.weight(9)), row_mask=[1, 1, 0, 1, 1, 1, 0, 1, 1])
    yield Case("denominator", x, denominator=16.0)
    yield Case("all_masked", x, row_mask=[0] * 9)
    yield Case("no_positives", {"embedding": z, "label": ints(list(range(9)))}, why="no triplet: 0")
    yield Case("one_class", {"embedding": z, "label": ints([2] * 9)}, why="no triplet: 0")
    yield Case("one_row", {"embedding": z[:1], "label": ints([0])}, why="no triplet: 0")
    yield Case("far_apart", {"embedding": floats([[0, 0], [0, 1], [16, 0], [16, 1]]), "label": ints([0, 0, 1, 1])},
               why="no term above 0: 0")
    # Anchor 0: positives at 3, negatives at 4 twice.
    tie = floats([[0, 0], [3, 0], [0, -3], [0, 4], [-4, 0], [8, 8]])
    yield Case("ties", {"embedding": tie, "label": ints([0, 0, 0, 1, 1, 2])}, reduction="none",
               grad_output=[1.0, 0, 0, 0, 0, 0], library=False,
               why="equals share the gradient" if name == "batch_all_triplet" else "the first of equals is taken")
    same = z.clone()
    same[2], same[4] = same[0], same[3]
    yield Case("duplicates", {"embedding": same, "label": x["label"]}, library=False, why="distance 0 has gradient 0")
    yield Case("all_equal", {"embedding": floats([[0.5, -1.0, 2.0]] * 4), "label": ints([0, 0, 1, 1])}, library=False,
               why="distance 0 has gradient 0")
    if name != "batch_all_triplet":
        odd = z.clone()
        odd[5, 0] = math.nan
        yield Case("nan_row", x | {"embedding": odd}, reduction="none", library=False, why="a negative of every row: all are NaN")


LOSSES["batch_all_triplet"] = Loss(
    "batch_all_triplet", "sentence-transformers BatchAllTripletLoss; catalogue/metric_learning.md batch_all_triplet",
    batch_all_triplet, batch_all_triplet_library, ["embedding"], {"margin": 5}, {}, list(triplet_cases("batch_all_triplet")),
    ["sentence-transformers"])
LOSSES["semi_hard_triplet"] = Loss(
    "semi_hard_triplet", "sentence-transformers BatchSemiHardTripletLoss; catalogue/metric_learning.md semi_hard_triplet",
    semi_hard_triplet, semi_hard_triplet_library, ["embedding"], {"margin": 5}, {}, list(triplet_cases("semi_hard_triplet/2")),
    ["sentence-transformers"])


# ---- center_loss -----------------------------------------------------------------------------------------------------


def center_loss(x, p, o):
    z, c, y = x["embedding"], x["center"], x["label"].tolist()
    rows = [((z[i] - c[k]) ** 2).sum() / 2 for i, k in enumerate(y)]
    new = c.detach().clone()
    for k in range(len(c)):
        own = [i for i in range(len(y)) if y[i] == k]
        for i in own:
            new[k] -= p["rate"] * (c[k] - z[i]).detach() / (1 + len(own))
    return Rows(torch.stack(rows) if rows else torch.zeros(0).double(), outputs={"new_center": new})


def center_loss_cases():
    g = Draw("center_loss")
    x = {"embedding": g.normal(8, 3), "center": g.normal(4, 3), "label": ints([0, 1, 0, 3, 1, 3, 0, 3])}
    yield Case("default", x, why="class 2 keeps its centre")
    yield Case("sum", x, reduction="sum", why="the paper's loss")
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(8)))
    yield Case("row_weight", x, row_weight=flat(g.weight(8)), row_mask=[1, 0, 1, 1, 0, 1, 1, 1])
    yield Case("denominator", x, denominator=16.0)
    yield Case("all_masked", x, row_mask=[0] * 8)
    yield Case("rate_one", x, {"rate": 1.0})
    yield Case("rate_zero", x, {"rate": 0.0}, why="centres stay")
    yield Case("one_class", x | {"label": ints([1] * 8)})
    odd = x["embedding"].clone()
    odd[3, 1] = math.nan
    yield Case("nan_row", x | {"embedding": odd}, reduction="none", why="NaN in the centre of its class alone")
    yield Case("on_the_center", x | {"embedding": x["center"][x["label"]]})
    yield Case("one_row", x | {"embedding": x["embedding"][:1], "label": ints([3])})
    yield Case("no_rows", x | {"embedding": torch.zeros(0, 3).double(), "label": ints([])}, why="nothing kept: 0")


LOSSES["center_loss"] = Loss(
    "center_loss", "Wen et al. 2016, eqs. 2 and 4, by loops; catalogue/metric_learning.md center_loss", center_loss,
    lambda x, p, o: None, ["embedding", "center"], {"rate": 0.5}, {}, list(center_loss_cases()), [])


# ---- fastap ----------------------------------------------------------------------------------------------------------


def fastap(x, p, o):
    u, n, bins = unit_rows(x["embedding"]), len(x["label"]), int(o["bins"])
    e = torch.arange(bins + 1).to(u.dtype) * 4 / bins
    d = ((u[:, None] - u[None]) ** 2).sum(2)
    clear_of((d[..., None] - e).abs()[~torch.eye(n, dtype=torch.bool)], e[1] - e[0])
    pulse = torch.relu(1 - (d[..., None] - e).abs() / (e[1] - e[0]))
    pos = positive_pairs(x["label"])
    h_pos = torch.where(pos[..., None], pulse, 0).sum(1)
    h = torch.where(~torch.eye(n, dtype=torch.bool)[..., None], pulse, 0).sum(1)
    upto, upto_pos = h.cumsum(1), h_pos.cumsum(1)
    some = upto != 0
    each = torch.where(some, h_pos * upto_pos / torch.where(some, upto, 1), 0)
    valid = pos.any(1)
    return Rows(1 - each.sum(1) / torch.where(valid, pos.sum(1), 1), valid)


def fastap_library(x, p, o):
    from pytorch_metric_learning import losses

    if not positive_pairs(x["label"]).any():
        return None
    values, at = pml_rows(losses.FastAPLoss(num_bins=int(o["bins"])), x["embedding"], x["label"])
    rows = torch.zeros(len(x["label"])).double().index_put((at,), values)
    return Library("pytorch_metric_learning.losses.FastAPLoss", rows)


def fastap_cases():
    g = Draw("fastap")
    x = {"embedding": g.normal(9, 4), "label": ints([0, 1, 0, 2, 1, 3, 0, 2, 2])}
    yield Case("default", x, why="row 5 has no positive")
    yield Case("sum", x, reduction="sum", grad_output=-2.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(9)))
    yield Case("row_weight", x, row_weight=flat(g.weight(9)), row_mask=[1, 1, 0, 1, 1, 1, 0, 1, 1])
    yield Case("denominator", x, denominator=3.0)
    yield Case("all_masked", x, row_mask=[0] * 9)
    yield Case("four_bins", x, {}, {"bins": "4"})
    yield Case("sixteen_bins", x, {}, {"bins": "16"})
    yield Case("no_positives", x | {"label": ints(list(range(9)))}, why="nothing kept: 0")
    yield Case("one_label", x | {"label": ints([5] * 9)})
    yield Case("one_row", x | {"embedding": x["embedding"][:1], "label": ints([0])}, why="nothing kept: 0")


LOSSES["fastap"] = Loss(
    "fastap", "pytorch-metric-learning FastAPLoss; catalogue/metric_learning.md fastap", fastap, fastap_library,
    ["embedding"], {}, {"bins": ["10"]}, list(fastap_cases()), ["pytorch-metric-learning"])


# ---- margin_loss -----------------------------------------------------------------------------------------------------


def margin_loss(x, p, o):
    d, beta = distances(unit_rows(x["embedding"])), x["beta"]
    y = x["target" if "target" in x else "label"].tolist()
    b = lambda i: beta[y[i]] if beta.dim() else beta
    if o["pairs"] == "given":
        triplets = list(zip(*(x[k].tolist() for k in ("anchor", "positive", "negative"))))
        hinges = [v for a, q, n in triplets for v in
                  ((p["margin"] + d[a, q] - b(a),) + ((p["margin"] + b(a) - d[a, n],) if n >= 0 else ()))]
    else:
        pairs = [(i, j) for i in range(len(y)) for j in range(len(y)) if i != j]
        hinges = [p["margin"] + (d[i, j] - b(i) if y[i] == y[j] else b(i) - d[i, j]) for i, j in pairs]
    hinges = torch.stack(hinges) if hinges else torch.zeros(0).double()
    clear_of(hinges)
    terms = (hinges > 0).sum()
    return Rows((torch.relu(hinges).sum() / terms if terms else 0 * d.sum()) + p["nu"] * beta.mean())


def margin_loss_library(x, p, o):
    from pytorch_metric_learning import distances as d, losses

    if o["pairs"] != "given" or (x["negative"] < 0).any() or (p["nu"] and x["beta"].dim()):  # its mean of beta is over triplets
        return None
    y = x["target" if "target" in x else "label"]
    loss = losses.MarginLoss(margin=p["margin"], nu=p["nu"], learn_beta=True, distance=d.LpDistance(),
                             num_classes=len(x["beta"]) if x["beta"].dim() else None)
    del loss.beta
    loss.beta = x["beta"].reshape(-1)
    value = loss(x["embedding"], y, tuple(x[k] for k in ("anchor", "positive", "negative")))
    return Library("pytorch_metric_learning.losses.MarginLoss with its triplets given", None, value)


def margin_loss_cases():
    g = Draw("margin_loss")
    y = [0, 1, 0, 2, 1, 3, 0, 2, 2]
    x = {"embedding": g.normal(9, 4), "label": ints(y), "beta": floats(1.25)}
    c = {"embedding": x["embedding"], "target": ints(y), "beta": floats([1.25, 0.75, 1.5, 2.0])}
    t = {"anchor": ints([0, 0, 1, 2, 3, 7, 8]), "positive": ints([2, 6, 4, 0, 8, 3, 7]), "negative": ints([1, 5, 3, 4, 0, 1, 2])}
    given = {"pairs": "given"}
    yield Case("default", x)
    yield Case("scaled", x, grad_output=-2.0)
    yield Case("weight", x, reduction="sum", row_weight=[0.5])
    yield Case("masked", x, {"nu": 0.5}, row_mask=[0])
    yield Case("params", x, {"margin": 0.5, "nu": 0.25})
    yield Case("classes", c)
    yield Case("classes_nu", c, {"nu": 0.5})
    yield Case("given", x | t, {}, given)
    yield Case("given_nu", x | t, {"nu": 0.5, "margin": 0.5}, given)
    yield Case("given_classes", c | t, {}, given)
    none = {"negative": ints([1, -1, 3, 4, -1, 1, 2])}
    yield Case("given_none", x | t | none, {"margin": 0.5}, given, why="-1: no push term, and none counted")
    yield Case("given_none_classes", c | t | none, {"nu": 0.5}, given, why="-1: no push term, and none counted")
    yield Case("given_classes_nu", c | t, {"nu": 0.5}, given, why="the library's nu term is a mean over triplets")
    apart = {"embedding": floats([[0, 1], [0, 2], [1, -1], [0.5, -0.5]]), "label": ints([0, 0, 1, 1]), "beta": floats(1.25)}
    yield Case("no_terms", apart, {"nu": 0.5}, why="nu beta only")
    same = x["embedding"].clone()
    same[2], same[4] = same[0], same[3]
    yield Case("duplicates", x | {"embedding": same}, library=False, why="distance 0 has gradient 0")
    yield Case("duplicates_given", x | t | {"embedding": same}, {}, given, library=False, why="distance 0 has gradient 0")
    yield Case("one_row", {"embedding": x["embedding"][:1], "label": ints([0]), "beta": floats(1.25)}, why="no pair: 0")


LOSSES["margin_loss"] = Loss(
    "margin_loss", "pytorch-metric-learning MarginLoss; catalogue/metric_learning.md margin_loss", margin_loss,
    margin_loss_library, ["embedding", "beta"], {"margin": 0.2, "nu": 0}, {"pairs": ["all", "given"]},
    list(margin_loss_cases()), ["pytorch-metric-learning"])
