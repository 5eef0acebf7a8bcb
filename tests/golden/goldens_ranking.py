"""Golden vectors of losses over ranked lists: listmle, ndcg_loss2, approx_ndcg, neural_ndcg. Loops over lists, items and pairs."""

import math

import torch

from common import *


def lists(x):
    """Scores, relevances of each list without its absent items."""
    for b, (s, y) in enumerate(zip(x["scores"], x["relevance"])):
        here = x["mask"][b].nonzero().flatten() if "mask" in x else torch.arange(len(s))
        yield s[here], y[here]


def per_list(x, value, valid):
    pairs = list(lists(x))
    keep = torch.tensor([valid(s, y) for s, y in pairs], dtype=torch.bool)
    zero = (x["scores"] * 0).sum(1)
    return Rows(torch.stack([value(s, y) if k else zero[b] for b, ((s, y), k) in enumerate(zip(pairs, keep))]), keep)


def by_descending(values):
    return sorted(range(len(values)), key=lambda i: -values[i].item())  # stable


def max_dcg(y, places=None):
    return sum((2 ** y[i].item() - 1) / math.log2(2 + k) for k, i in enumerate(by_descending(y)[:places]))


def list_cases(name):
    """What a loss over lists may meet; relevances 0 to 4."""
    g = Draw(name)
    x = {"scores": g.normal(4, 6), "relevance": g.label(5, 4, 6).double()}
    mask = {"mask": floats([[1, 1, 0, 1, 1, 0], [1] * 6, [0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]])}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(4)))
    yield Case("mask", x | mask, reduction="none")
    yield Case("mask_mean", x | mask)
    yield Case("mask_empties_a_list", x | {"mask": mask["mask"] * floats([1, 0, 1, 1])[:, None]})
    yield Case("weights", x, row_weight=flat(g.weight(4)), row_mask=[1, 0, 1, 1])
    yield Case("denominator", x | mask, denominator=8.0)
    binary = (x["relevance"] > 2).double()
    yield Case("binary", x | {"relevance": binary})
    yield Case("nothing_relevant", x | {"relevance": x["relevance"] * floats([1, 0, 1, 0])[:, None]}, reduction="none")
    yield Case("nothing_relevant_at_all", x | {"relevance": x["relevance"] * 0})
    yield Case("equal_scores", x | {"scores": x["scores"] * 0 + 0.5})
    yield Case("large", x | {"scores": x["scores"] * 256})
    yield Case("one_item", {"scores": g.normal(3, 1), "relevance": floats([[1], [0], [3]])})
    yield Case("one_list", {"scores": g.normal(1, 20), "relevance": g.label(5, 1, 20).double()})


# ---- listmle ---------------------------------------------------------------------------------------------------------


def listmle(x, p, o):
    def value(s, y):
        s, n = s[by_descending(y)], len(s)
        w = {"none": lambda k: 1, "logarithmic": lambda k: 1 / math.log2(1 + k),
             "exponential": lambda k: (2 ** (n - k) - 1) / max(2**n - 1 - n, 1)}[o["position_weight"]]
        return sum(w(k + 1) * (torch.logsumexp(s[k:], 0) - s[k]) for k in range(n))

    return per_list(x, value, lambda s, y: len(s) > 0)


def listmle_cases():
    yield from list_cases("listmle")
    g = Draw("listmle weights")
    x = {"scores": g.normal(4, 6), "relevance": g.label(5, 4, 6).double()}
    x["mask"] = floats([[1, 1, 0, 1, 1, 0], [1] * 6, [0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]])
    for weight in ("logarithmic", "exponential"):
        yield Case(weight, x, {}, {"position_weight": weight}, "none", grad_output=flat(g.normal(4)))
    yield Case("exponential_long", {"scores": g.normal(1, 200), "relevance": g.label(5, 1, 200).double()}, {},
               {"position_weight": "exponential"})


LOSSES["listmle"] = Loss(
    "listmle", "catalogue/ranking.md listmle, p_listmle", listmle, lambda x, p, o: None, ["scores"], {},
    {"position_weight": ["none", "logarithmic", "exponential"]}, list(listmle_cases()), [])


# ---- ndcg_loss2 ------------------------------------------------------------------------------------------------------


def ndcg_loss2(x, p, o):
    def value(s, y):
        place = {i: 1 + k for k, i in enumerate(by_descending(s))}
        most = int(p["cutoff"]) or len(s)
        best, total = max_dcg(y, most), (s * 0).sum()
        discount = lambda r: 1 / math.log2(1 + r)
        for i in range(len(s)):
            for j in range(len(s)):
                within = min if o["truncation"] == "either" else max
                if not y[i] > y[j] or within(place[i], place[j]) > most:
                    continue
                far = abs(place[i] - place[j])
                weight = abs(discount(far) - discount(far + 1))
                if o["form"] == "plus_plus":
                    weight = p["mu"] * weight + abs(discount(place[i]) - discount(place[j]))
                gain = (2 ** y[i].item() - 2 ** y[j].item()) / best
                total = total - weight * gain * F.logsigmoid(p["sigma"] * (s[i] - s[j])) / math.log(2)
        return total

    return per_list(x, value, lambda s, y: bool((y > 0).any()))


def ndcg_loss2_cases():
    g = Draw("ndcg_loss2 options")
    x = {"scores": g.normal(3, 7), "relevance": g.label(5, 3, 7).double()}
    x["mask"] = floats([[1] * 7, [1, 0, 1, 1, 0, 1, 1], [0, 1, 1, 1, 1, 1, 0]])
    plus = {"form": "plus_plus"}
    yield from list_cases("ndcg_loss2")
    yield Case("sigma", x, {"sigma": 2.5})
    yield Case("plus_plus", x, {}, plus)
    yield Case("plus_plus_none", x, {}, plus, "none", row_weight=flat(g.weight(3)), row_mask=[1, 1, 0])
    yield Case("plus_plus_mu", x, {"mu": 0.5, "sigma": 0.5}, plus)
    yield Case("plus_plus_mu_zero", x, {"mu": 0.0}, plus, why="LambdaRank")
    yield Case("plus_plus_equal_scores", x | {"scores": x["scores"] * 0}, {}, plus)
    both = {"truncation": "both"}
    yield Case("cutoff", x, {"cutoff": 3}, reduction="none", why="of the items present")
    yield Case("cutoff_both", x, {"cutoff": 3}, both, "none")
    yield Case("cutoff_plus_plus", x, {"cutoff": 2}, plus, row_weight=flat(g.weight(3)))
    yield Case("cutoff_plus_plus_both", x, {"cutoff": 4}, plus | both)
    yield Case("cutoff_equal_scores", x | {"scores": x["scores"] * 0}, {"cutoff": 3}, why="the first in the list")
    yield Case("cutoff_one_both", x, {"cutoff": 1}, both, why="0: no pair")
    yield Case("cutoff_beyond", x, {"cutoff": 20}, plus)


LOSSES["ndcg_loss2"] = Loss(
    "ndcg_loss2", "catalogue/ranking.md ndcg_loss2", ndcg_loss2, lambda x, p, o: None, ["scores"],
    {"sigma": 1, "mu": 10, "cutoff": 0}, {"form": ["loss2", "plus_plus"], "truncation": ["either", "both"]}, list(ndcg_loss2_cases()), [])


# ---- approx_ndcg -----------------------------------------------------------------------------------------------------


def approx_ndcg(x, p, o):
    def value(s, y):
        total = (s * 0).sum()
        for i in range(len(s)):
            place = 1 + sum(torch.sigmoid(-p["alpha"] * (s[i] - s[j])) for j in range(len(s)) if j != i)
            total = total - (2 ** y[i].item() - 1) / torch.log2(1 + torch.as_tensor(place, dtype=s.dtype))
        return total / max_dcg(y)

    return per_list(x, value, lambda s, y: bool((y > 0).any()))


def approx_ndcg_cases():
    g = Draw("approx_ndcg options")
    x = {"scores": g.normal(3, 7), "relevance": g.label(5, 3, 7).double()}
    yield from list_cases("approx_ndcg")
    yield Case("alpha", x, {"alpha": 10.0})
    yield Case("alpha_small", x, {"alpha": 0.25}, reduction="none")


LOSSES["approx_ndcg"] = Loss(
    "approx_ndcg", "catalogue/ranking.md approx_ndcg", approx_ndcg, lambda x, p, o: None, ["scores"], {"alpha": 1}, {},
    list(approx_ndcg_cases()), [])


# ---- neural_ndcg -----------------------------------------------------------------------------------------------------


def neural_ndcg(x, p, o):
    def soft_permutation(s):
        """NeuralSort and its scaling as allRank has them, for a list without padding."""
        n = len(s)
        apart = (s[:, None] - s[None]).abs().sum(1)
        place = torch.arange(n, dtype=s.dtype)
        mat = torch.softmax(((n - 1 - 2 * place)[:, None] * s[None] - apart[None]) / p["temperature"], 1)
        for t in range(int(o["iterations"])):
            if t > 0 and (mat.sum(0) - 1).abs().max() < p["tolerance"]:
                break
            mat = mat / mat.sum(0, keepdim=True).clamp(min=1e-10)
            mat = mat / mat.sum(1, keepdim=True).clamp(min=1e-10)
        return mat

    gains = lambda y: 2**y - 1 if o["gain"] == "power" else y
    places = lambda v: v[: int(p["cutoff"])] if p["cutoff"] else v

    def dcg(g):
        return sum(v / math.log2(2 + k) for k, v in enumerate(places(g)))

    def value(s, y):
        return -dcg(soft_permutation(s) @ gains(y)) / (best(y) + 1e-10)

    def best(y):
        return dcg(torch.sort(gains(y), descending=True).values)

    kept, rows = [], []
    for b, (s, y) in enumerate(lists(x)):
        kept.append(len(s) > 0 and bool(best(y) > 0))
        if "noise" in x and kept[-1]:
            if o["log_scores"] == "on":
                # What is least stays so, whatever the scores: no slope of 1e10 that cancels.
                s = torch.log(torch.where(s == s.min(), 0, s - s.min()) + 1e-10)
            s = s + p["beta"] * (x["noise"][b][x["mask"][b] != 0] if "mask" in x else x["noise"][b])
        rows.append(value(s, y) if kept[-1] else 0 * x["scores"][b].sum())
    return Rows(torch.stack(rows), torch.tensor(kept))


def neural_ndcg_cases():
    g = Draw("neural_ndcg")
    scores = floats([[0.5, -1.0, 2.0, 0.25, -0.75, 1.5], [1.0, 0.0, -0.5, 0.75, 2.5, -2.0], [0.125, 0.5, 1.25, -1.5, -0.25, 0.875]])
    x = {"scores": scores, "relevance": g.label(5, 3, 6).double()}
    mask = {"mask": floats([[1, 1, 0, 1, 1, 0], [1] * 6, [0, 0, 0, 1, 0, 0]])}
    noise = {"noise": g.normal(3, 6)}
    few = {"iterations": "3"}
    linear, plain = {"gain": "linear"}, {"log_scores": "off"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("three_iterations", x, {}, few)
    yield Case("one_iteration", x, {}, {"iterations": "1"})
    yield Case("no_iteration", x, {}, {"iterations": "0"}, why="NeuralSort alone")
    yield Case("cutoff", x, {"cutoff": 2}, few)
    yield Case("cutoff_beyond", x, {"cutoff": 20}, few)
    yield Case("linear", x, {}, few | linear, "none")
    yield Case("temperature", x, {"temperature": 4.0}, reduction="none")
    yield Case("tolerance", x, {"tolerance": 0.0625}, reduction="none", why="lists stop at different iterations")
    yield Case("mask", x | mask, {}, few, "none")
    yield Case("mask_mean", x | mask, {"cutoff": 3}, few)
    yield Case("mask_empties_a_list", x | {"mask": mask["mask"] * floats([1, 0, 1])[:, None]}, {}, few)
    yield Case("nothing_relevant", x | {"relevance": x["relevance"] * floats([1, 0, 1])[:, None]}, {}, few, "none")
    yield Case("nothing_relevant_at_all", x | {"relevance": x["relevance"] * 0}, {}, few)
    yield Case("weights", x, {}, few, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("denominator", x, {}, few, denominator=8.0)
    yield Case("equal_scores", x | {"scores": x["scores"] * 0 + 0.5}, {}, few)
    yield Case("one_item", {"scores": scores[:, :1], "relevance": floats([[1], [0], [3]])}, {}, few)
    yield Case("noise", x | noise, {"temperature": 2.0}, few, "none")
    yield Case("noise_on_scores", x | noise, {"beta": 0.5}, few | plain)
    yield Case("noise_mask", x | mask | noise, {"temperature": 2.0}, few, "none")
    yield Case("noise_on_scores_linear", x | noise, {"beta": 0.25, "cutoff": 3}, few | plain | linear)


LOSSES["neural_ndcg"] = Loss(
    "neural_ndcg", "catalogue/ranking.md neural_ndcg", neural_ndcg, lambda x, p, o: None, ["scores"],
    {"temperature": 1, "cutoff": 0, "tolerance": 0, "beta": 0.1},
    {"gain": ["power", "linear"], "log_scores": ["on", "off"], "iterations": ["50", "3", "1", "0"]}, list(neural_ndcg_cases()), [])
