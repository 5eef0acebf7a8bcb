"""Golden vectors of losses between a student's and a teacher's distribution: kd_kl, jsd."""

import math

import torch
import torch.nn.functional as F

from common import *


def divergence(p, log_p, log_r):
    """KL(p || r) per row, 0 log 0 = 0."""
    some = p != 0
    return (p * (torch.where(some, log_p, 0) - torch.where(some, log_r, 0))).sum(1)


# ---- kd_kl -----------------------------------------------------------------------------------------------------------


def kd_kl(x, p, o):
    s, t, T = x["student_logits"], x["teacher_logits"], p["temperature"]
    q = torch.softmax(t / T, 1)
    log_q, log_r = F.log_softmax(t / T, 1), F.log_softmax(s / T, 1)
    kl = T**2 * divergence(q, log_q if o["divergence"] == "kl" else torch.zeros_like(q), log_r)
    if "label" not in x:
        return Rows(kl)
    labelled = x["label"] != p["ignore_index"]
    ce = torch.logsumexp(s, 1) - s.gather(1, torch.where(labelled, x["label"], 0)[:, None])[:, 0]
    return Rows(p["alpha"] * kl + (1 - p["alpha"]) * torch.where(labelled, ce, 0))


def kd_kl_library(x, p, o):
    s, t, T = x["student_logits"], x["teacher_logits"], p["temperature"]
    if o["divergence"] == "kl":
        rows = F.kl_div(F.log_softmax(s / T, 1), torch.softmax(t / T, 1), reduction="none").sum(1)
        mean, origin = F.kl_div(F.log_softmax(s / T, 1), torch.softmax(t / T, 1), reduction="batchmean"), "kl_div"
    else:
        rows, mean = (F.cross_entropy(s / T, torch.softmax(t / T, 1), reduction=r) for r in ("none", "mean"))
        origin = "cross_entropy"
    origin = f"temperature^2 * torch.nn.functional.{origin}"
    rows, mean = rows * T**2, mean * T**2
    if "label" in x:
        ce = F.cross_entropy(s, x["label"], reduction="none", ignore_index=p["ignore_index"])
        rows, mean = p["alpha"] * rows + (1 - p["alpha"]) * ce, None
        origin = f"alpha * {origin} + (1 - alpha) * torch.nn.functional.cross_entropy"
    return Library(origin, rows, mean)


def kd_kl_cases():
    g = Draw("kd_kl")
    x = {"student_logits": g.normal(6, 5), "teacher_logits": g.normal(6, 5)}
    y = x | {"label": ints([4, 0, -100, 2, 1, 2])}
    soft = {"divergence": "cross_entropy"}
    rw, mask = flat(g.weight(6)), [1, 1, 0, 1, 1, 1]
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(6)))
    yield Case("temperature_one", x, {"temperature": 1.0})
    yield Case("element_mean", x, denominator=30.0)
    yield Case("cross_entropy", x, {}, soft)
    yield Case("cross_entropy_none", x, {"temperature": 2.0}, soft, "none", row_weight=rw, row_mask=mask)
    yield Case("labels", y)
    yield Case("labels_alpha", y, {"alpha": 0.9, "temperature": 2.0}, reduction="none", grad_output=flat(g.normal(6)))
    yield Case("labels_alpha_one", y, {"alpha": 1.0})
    yield Case("labels_alpha_zero", y, {"alpha": 0.0}, reduction="sum")
    yield Case("labels_cross_entropy", y, {"alpha": 0.25}, soft, row_weight=rw, row_mask=mask)
    yield Case("ignore_index_zero", y | {"label": ints([4, 0, 3, 2, 0, 2])}, {"ignore_index": 0})
    zeros = x["teacher_logits"].clone()
    zeros[:, 1] = -math.inf
    zeros[2, 3] = -math.inf
    yield Case("teacher_zeros", x | {"teacher_logits": zeros})
    both = x["student_logits"].clone()
    both[:, 1] = -math.inf
    yield Case("both_zeros", {"student_logits": both, "teacher_logits": zeros}, library=False, why="torch: 0 * (-inf - -inf) = nan")
    yield Case("saturated", {k: v * 256 for k, v in x.items()}, {"temperature": 1.0}, library=False,
               why="torch: nan gradients where the teacher underflows to 0")
    yield Case("equal", x | {"teacher_logits": x["student_logits"]}, library=False, why="exactly 0; torch: 1e-15")
    yield Case("one_class", {"student_logits": g.normal(3, 1), "teacher_logits": g.normal(3, 1)})
    yield Case("one_row", {k: v[:1] for k, v in y.items()})


LOSSES["kd_kl"] = Loss(
    "kd_kl", "torch.nn.functional.kl_div; catalogue/distillation.md kd_kl",
    kd_kl, kd_kl_library, ["student_logits"], {"temperature": 4, "alpha": 0.5, "ignore_index": -100},
    {"divergence": ["kl", "cross_entropy"]}, list(kd_kl_cases()), [])


# ---- jsd -------------------------------------------------------------------------------------------------------------


def jsd(x, p, o):
    beta, T = p["beta"], p["temperature"]
    log_p, log_q = F.log_softmax(x["teacher_logits"] / T, 1), F.log_softmax(x["student_logits"] / T, 1)
    P, Q = log_p.exp(), log_q.exp()
    if beta == 0:
        value = divergence(P, log_p, log_q)
    elif beta == 1:
        value = divergence(Q, log_q, log_p)
    else:
        mixture = beta * P + (1 - beta) * Q
        log_m = torch.where(mixture > 0, mixture, 1).log()
        value = beta * divergence(P, log_p, log_m) + (1 - beta) * divergence(Q, log_q, log_m)
    value = torch.where((log_p == log_q).all(1), 0 * value, value)
    return Rows(value, x["label"] != p["ignore_index"] if "label" in x else None)


def jsd_library(x, p, o):
    """As trl's generalized_jsd_loss puts kl_div together."""
    beta, T = p["beta"], p["temperature"]
    teacher, student = F.log_softmax(x["teacher_logits"] / T, 1), F.log_softmax(x["student_logits"] / T, 1)

    def kl(to, of):
        return F.kl_div(to, of, reduction="none", log_target=True).sum(1)

    if beta in (0, 1):
        return Library("torch.nn.functional.kl_div", kl(student, teacher) if beta == 0 else kl(teacher, student))
    mixture = torch.logaddexp(student + math.log(1 - beta), teacher + math.log(beta))
    return Library("torch.nn.functional.kl_div to torch.logaddexp of the two",
                   beta * kl(mixture, teacher) + (1 - beta) * kl(mixture, student))


def jsd_cases():
    g = Draw("jsd")
    x = {"student_logits": g.normal(6, 5), "teacher_logits": g.normal(6, 5)}
    y = x | {"label": ints([4, 0, -100, 2, 17, 2])}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(6)))
    yield Case("beta", x, {"beta": 0.125})
    yield Case("beta_large", x, {"beta": 0.9, "temperature": 2.0}, row_weight=flat(g.weight(6)))
    yield Case("beta_zero", x, {"beta": 0.0}, why="KL(P||Q)")
    yield Case("beta_one", x, {"beta": 1.0}, reduction="none", why="KL(Q||P)")
    yield Case("temperature", x, {"temperature": 4.0})
    yield Case("labels", y)
    yield Case("labels_none", y, {"beta": 0.25}, reduction="none", row_mask=[1, 0, 1, 1, 1, 1])
    yield Case("ignore_index", y, {"ignore_index": 17, "beta": 1.0})
    yield Case("all_ignored", y | {"label": ints([-100] * 6)})
    ruled = {k: v.clone() for k, v in x.items()}
    ruled["teacher_logits"][:, 1] = -math.inf
    ruled["student_logits"][::2, 1] = -math.inf
    ruled["student_logits"][1, 3] = -math.inf
    why = "torch: nan from 0 * (-inf - -inf)"
    yield Case("zeros", ruled, library=False, why=why)
    yield Case("large", {k: v * 8 for k, v in x.items()}, {"beta": 0.75})
    yield Case("equal", x | {"teacher_logits": x["student_logits"]}, library=False, why="exactly 0; torch: 1e-17")
    yield Case("one_class", {"student_logits": g.normal(3, 1), "teacher_logits": g.normal(3, 1)}, why="0")
    yield Case("one_row", {k: v[:1] for k, v in y.items()}, {"beta": 0.25})


LOSSES["jsd"] = Loss(
    "jsd", "torch.nn.functional.kl_div as trl combines it; catalogue/distillation.md jsd",
    jsd, jsd_library, ["student_logits"], {"beta": 0.5, "temperature": 1, "ignore_index": -100}, {}, list(jsd_cases()), [])
