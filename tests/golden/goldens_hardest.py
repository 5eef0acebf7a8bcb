"""Golden vectors of losses on the hardest pairs of a batch: batch_hard_triplet, multi_similarity."""

import math

import torch

from common import *


# ---- batch_hard_triplet ----------------------------------------------------------------------------------------------


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


# ---- multi_similarity ------------------------------------------------------------------------------------------------


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
