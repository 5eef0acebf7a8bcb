"""Golden vectors of self-supervision: losses on views and on statistics of a batch."""

import math

import torch

from common import *


# ---- vicreg ----------------------------------------------------------------------------------------------------------


def vicreg(x, p, o):
    def spread(z):
        n, d = z.shape
        centred = z - z.mean(0)
        cov = centred.T @ centred / max(n - 1, 1)
        hinge = torch.relu(p["gamma"] - (cov.diagonal() + p["eps"]).sqrt()).mean()
        return p["mu"] * hinge + p["nu"] * (cov**2 * (1 - torch.eye(d).double())).sum() / d

    if "z2" not in x:
        return Rows(spread(x["z1"]))
    return Rows(p["lambda"] * ((x["z1"] - x["z2"]) ** 2).mean() + spread(x["z1"]) + spread(x["z2"]))


def vicreg_library(x, p, o):
    from lightly.loss import VICRegLoss

    if "z2" not in x or len(x["z1"]) < 2 or p["gamma"] != 1:
        return None
    # The library halves the variance terms.
    loss = VICRegLoss(lambda_param=p["lambda"], mu_param=2 * p["mu"], nu_param=p["nu"], eps=p["eps"])
    return Library("lightly.loss.VICRegLoss with mu doubled", None, loss(x["z1"], x["z2"]))


def vicreg_cases():
    g = Draw("vicreg")
    x = {"z1": g.normal(7, 4, scale=0.75), "z2": g.normal(7, 4)}
    alone = {"z1": x["z1"]}
    yield Case("default", x)
    yield Case("scaled", x, grad_output=-2.0)
    yield Case("weight", x, reduction="sum", row_weight=[0.5])
    yield Case("masked", x, row_mask=[0])
    yield Case("authors_code", x, {"mu": 12.5})
    yield Case("params", x, {"lambda": 1.0, "mu": 4.0, "nu": 0.5, "eps": 0.25})
    yield Case("gamma", x, {"gamma": 2.0})
    yield Case("alone", alone, why="regulariser of another loss")
    yield Case("alone_gamma", alone, {"gamma": 1.5, "nu": 4.0})
    flat_column = x["z1"].clone()
    flat_column[:, 2] = 0.375
    yield Case("constant_column", {"z1": flat_column, "z2": x["z2"]})
    yield Case("constant_column_eps", {"z1": flat_column, "z2": x["z2"]}, {"eps": 0.0625})
    yield Case("equal_views", {"z1": x["z2"], "z2": x["z2"]})
    yield Case("offset", {"z1": x["z1"] + 64, "z2": x["z2"] + 64})
    yield Case("one_row", {k: v[:1] for k, v in x.items()}, why="variance and covariance are 0")
    yield Case("one_feature", {k: v[:, :1] for k, v in x.items()})


LOSSES["vicreg"] = Loss(
    "vicreg", "lightly VICRegLoss; catalogue/feature_statistics.md vicreg", vicreg, vicreg_library, ["z1", "z2"],
    {"lambda": 25, "mu": 25, "nu": 1, "gamma": 1, "eps": 1e-4}, {}, list(vicreg_cases()), ["lightly"])


# ---- koleo -----------------------------------------------------------------------------------------------------------


def koleo(x, p, o):
    u, rows = unit_rows(x["embedding"]), []
    n = len(u)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        cos = [(u[i] @ u[j]).item() for j in others]
        nearest = max(cos, default=0)
        assert all(nearest - c < 1e-12 or nearest - c > 1e-3 for c in cos)
        j = next((j for j, c in zip(others, cos) if nearest - c < 1e-12), i)
        square = ((u[i] - u[j]) ** 2).sum()
        some = square > 1e-24  # duplicates are at distance 0, with gradient 0
        rows.append(-torch.log(torch.where(some, torch.where(some, square, 1).sqrt(), 0) + p["eps"]))
    return Rows(torch.stack(rows) if rows else torch.zeros(0).double(), torch.full((n,), n > 1))


def koleo_library(x, p, o):
    from lightly.loss import KoLeoLoss

    if len(x["embedding"]) < 2:
        return None
    loss = KoLeoLoss(eps=p["eps"])
    loss.pairwise_distance.eps = 0.0  # it is added inside the distance, too
    return Library("lightly.loss.KoLeoLoss without the eps inside its distance", None, loss(x["embedding"]))


def koleo_cases():
    g = Draw("koleo/2")
    x = {"embedding": g.normal(8, 4)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.25)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(8)))
    yield Case("eps", x, {"eps": 0.5})
    yield Case("row_weight", x, row_weight=flat(g.weight(8)), row_mask=[1, 0, 1, 1, 1, 0, 1, 1])
    yield Case("denominator", x, denominator=16.0)
    yield Case("all_masked", x, row_mask=[0] * 8)
    # Rows 1 and 2 are duplicates up to length, and exactly so in floating point; of equals the lowest index is taken.
    same = floats([[0, 1, 0], [3, 0, 0], [1.5, 0, 0], [0, -2, 0], [0, 1, 1]])
    yield Case("duplicates", {"embedding": same}, library=False, why="-log eps with gradient 0")
    zero = floats([[0, 2, 0], [0, 0, 0], [0, -1, 0]])
    yield Case("zero_vector", {"embedding": zero}, library=False, why="gradient 0 there")
    yield Case("two_rows", {"embedding": x["embedding"][:2]})
    yield Case("one_row", {"embedding": x["embedding"][:1]}, why="nothing kept: 0")
    yield Case("large", {"embedding": x["embedding"] * 2.0**12})


LOSSES["koleo"] = Loss(
    "koleo", "lightly KoLeoLoss; catalogue/feature_statistics.md koleo", koleo, koleo_library, ["embedding"], {"eps": 1e-8},
    {}, list(koleo_cases()), ["lightly"])


# ---- dino ------------------------------------------------------------------------------------------------------------


def dino(x, p, o):
    s, t, center = x["student"], x["teacher"], x["center"]
    target = torch.softmax((t - center) / p["teacher_temperature"], 2)
    log_q = torch.log_softmax(s / p["student_temperature"], 2)
    rows, (views, n, _) = [], s.shape
    for i in range(n):
        pairs = [(g, v) for g in range(len(t)) for v in range(views) if g != v]
        ce = [-torch.where(target[g, i] > 0, target[g, i] * log_q[v, i], 0).sum() for g, v in pairs]
        rows.append(sum(ce) / len(ce) if ce else 0 * s[:, i].sum())
    new = p["momentum"] * center + (1 - p["momentum"]) * t.mean((0, 1))
    return Rows(torch.stack(rows), outputs={"new_center": new})


def dino_library(x, p, o):
    from lightly.loss import DINOLoss

    if min(len(x["student"]), len(x["teacher"])) < 2:
        return None
    loss = DINOLoss(x["center"].numel(), student_temp=p["student_temperature"], center_momentum=p["momentum"]).double()
    loss.center[...] = x["center"]
    torch.set_default_dtype(torch.float64)  # in which it keeps the temperature
    value = loss(list(x["teacher"]), list(x["student"]), teacher_temp=p["teacher_temperature"])
    torch.set_default_dtype(torch.float32)
    assert_same("new_center", loss.center.flatten(), dino(x, p, o).outputs["new_center"])
    return Library("lightly.loss.DINOLoss", None, value)


def dino_cases():
    g = Draw("dino")
    x = {"student": g.normal(4, 3, 5), "teacher": g.normal(2, 3, 5), "center": g.normal(5, scale=0.25)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.25)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("temperatures", x, {"student_temperature": 0.5, "teacher_temperature": 0.0703125})
    yield Case("soft", x, {"student_temperature": 1.0, "teacher_temperature": 1.0, "momentum": 0.5})
    yield Case("row_weight", x, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("denominator", x, denominator=8.0)
    yield Case("all_masked", x, row_mask=[0] * 3)
    yield Case("global_views_only", x | {"student": x["student"][:2]})
    yield Case("one_teacher_view", x | {"teacher": x["teacher"][:1]})
    yield Case("one_view", x | {"teacher": x["teacher"][:1], "student": x["student"][:1]}, why="no pair: 0")
    yield Case("one_output", {"student": x["student"][..., :1], "teacher": x["teacher"][..., :1], "center": x["center"][:1]}, why="0")
    yield Case("saturated", x | {"student": x["student"] * 256})
    ruled_out = x["teacher"].clone()
    ruled_out[:, 1, 2] = -math.inf
    yield Case("teacher_minus_infinity", x | {"teacher": ruled_out}, library=False, why="the library's centre is compared, too")


LOSSES["dino"] = Loss(
    "dino", "lightly DINOLoss; catalogue/self_supervised.md dino", dino, dino_library, ["student"],
    {"student_temperature": 0.1, "teacher_temperature": 0.04, "momentum": 0.9}, {}, list(dino_cases()), ["lightly"])


# ---- swav ------------------------------------------------------------------------------------------------------------


def swav_codes(cost, iterations):
    """Rows of one view: exp of the log of the scaled matrix [samples, prototypes], prototypes first."""
    q = cost - torch.logsumexp(cost, 1, keepdim=True) if iterations == 0 else cost
    for _ in range(iterations):
        q = q - torch.logsumexp(q, 0, keepdim=True)
        q = q - torch.logsumexp(q, 1, keepdim=True)
    return q.exp()


def swav(x, p, o):
    c, n = x["prototypes"], x["global_view"].shape[1]
    views = [z @ c.T for z in x["global_view"]] + [z @ c.T for z in x.get("local_view", [])]
    rows = 0 * sum(v.sum(1) for v in views)
    pairs = len(x["global_view"]) * (len(views) - 1)
    for g in range(len(x["global_view"])):
        with torch.no_grad():
            all_scores = torch.cat([views[g], x["queue"][g] @ c.T]) if "queue" in x else views[g]
            code = swav_codes(all_scores / p["epsilon"], int(o["iterations"]))[:n]
        for v, s in enumerate(views):
            if v != g:
                rows = rows - (code * torch.log_softmax(s / p["temperature"], 1)).sum(1) / pairs
    outputs = {}
    if "queue" in x:
        outputs["new_queue"] = torch.cat([x["global_view"], x["queue"]], 1)[:, : x["queue"].shape[1]].detach()
    return Rows(rows, outputs=outputs)


def swav_library(x, p, o):
    from lightly.loss import SwaVLoss

    if len(x["global_view"]) + len(x.get("local_view", [])) < 2 or o["iterations"] == "0":
        return None
    loss = SwaVLoss(temperature=p["temperature"], sinkhorn_iterations=int(o["iterations"]), sinkhorn_epsilon=p["epsilon"])
    scores = lambda z: [v @ x["prototypes"].T for v in z]
    queue = scores(x["queue"].detach()) if "queue" in x else None
    return Library("lightly.loss.SwaVLoss of the scores", None, loss(scores(x["global_view"]), scores(x.get("local_view", [])), queue))


def swav_cases():
    g = Draw("swav")
    x = {"global_view": g.normal(2, 5, 4, scale=0.5), "prototypes": g.normal(3, 4, scale=0.5)}
    local, queue = {"local_view": g.normal(3, 5, 4, scale=0.5)}, {"queue": g.normal(2, 6, 4, scale=0.5)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.25)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(5)))
    yield Case("params", x, {"epsilon": 0.25, "temperature": 0.5})
    yield Case("ten_iterations", x, {}, {"iterations": "10"})
    yield Case("one_iteration", x, {}, {"iterations": "1"})
    yield Case("no_iteration", x, {}, {"iterations": "0"}, why="codes are softmax(S / epsilon)")
    yield Case("local_views", x | local)
    yield Case("local_views_none", x | local, {"epsilon": 0.125}, {}, "none")
    yield Case("queue", x | queue)
    yield Case("queue_and_local_views", x | queue | local, {"epsilon": 0.125}, {}, "none", grad_output=flat(g.normal(5)))
    yield Case("short_queue", x | {"queue": queue["queue"][:, :3]}, why="the batch fills it")
    yield Case("row_weight", x | local, row_weight=flat(g.weight(5)), row_mask=[1, 0, 1, 1, 0])
    yield Case("denominator", x, denominator=8.0)
    yield Case("all_masked", x, row_mask=[0] * 5)
    yield Case("three_global_views", x | {"global_view": g.normal(3, 5, 4, scale=0.5)})
    yield Case("one_view", x | {"global_view": x["global_view"][:1]}, why="nothing to compare: 0")
    yield Case("one_global_view", x | local | {"global_view": x["global_view"][:1]})
    yield Case("one_image", x | {"global_view": x["global_view"][:, :1]})
    yield Case("one_prototype", x | {"prototypes": x["prototypes"][:1]}, why="0")
    yield Case("far_apart", x | {"global_view": x["global_view"] * 8}, library=False, why="exp(S / epsilon) of the library overflows")


LOSSES["swav"] = Loss(
    "swav", "lightly SwaVLoss; catalogue/self_supervised.md swav", swav, swav_library, ["global_view", "local_view", "prototypes"],
    {"epsilon": 0.05, "temperature": 0.1}, {"iterations": ["3", "10", "1", "0"]}, list(swav_cases()), ["lightly"])


# ---- barlow_twins ----------------------------------------------------------------------------------------------------


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
