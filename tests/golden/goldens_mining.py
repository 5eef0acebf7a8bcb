"""Golden vectors of losses whose pairs come from outside the batch."""

import math

import torch

from common import *


# ---- cross_batch_memory ----------------------------------------------------------------------------------------------


def cross_batch_memory(x, p, o):
    z, y = x["embedding"], x["label"].tolist()
    memory, labels, start = x["memory"].clone(), x["memory_label"].tolist(), x["position"].item()
    slots, source = len(labels), [None] * len(labels)
    for i in range(len(y)):
        m = (start + i) % slots
        memory[m], labels[m], source[m] = z[i].detach(), y[i], i
    s = cosine(z, memory)
    rows = []
    for i in range(len(y)):
        row = 0 * s[i].sum()
        for m in range(slots):
            if labels[m] == -1 or source[m] == i:
                continue
            hinge = p["pos_margin"] - s[i, m] if labels[m] == y[i] else s[i, m] - p["neg_margin"]
            assert abs(hinge.item()) > 1e-3
            row = row + torch.relu(hinge)
        rows.append(row)
    state = {"new_memory": memory, "new_memory_label": ints(labels), "new_position": ints((start + len(y)) % slots)}
    return Rows(torch.stack(rows) if rows else torch.zeros(0).double(), outputs=state)


def cross_batch_memory_library(x, p, o):
    from pytorch_metric_learning import distances, losses, reducers

    slots = len(x["memory"])
    filled = (x["memory_label"] >= 0).sum().item()
    # The library fills its queue from the front and takes no batch longer than it.
    if not 0 < len(x["label"]) <= slots or filled not in (slots, x["position"].item()):
        return None
    pairs = losses.ContrastiveLoss(p["pos_margin"], p["neg_margin"], distance=distances.CosineSimilarity(),
                                   reducer=reducers.SumReducer())
    loss = losses.CrossBatchMemory(pairs, x["memory"].shape[1], slots)
    loss.embedding_memory, loss.label_memory = x["memory"].clone(), x["memory_label"].clone()
    loss.queue_idx, loss.has_been_filled = x["position"].item(), filled == slots
    value = loss(x["embedding"], x["label"])
    ours = cross_batch_memory({k: v.detach() for k, v in x.items()}, p, o).outputs
    assert_same("new_memory", loss.embedding_memory.flatten(), ours["new_memory"].flatten())
    assert loss.label_memory.tolist() == ours["new_memory_label"].tolist() and loss.queue_idx == ours["new_position"].item()
    return Library("pytorch_metric_learning.losses.CrossBatchMemory of ContrastiveLoss", None, None, value)


def cross_batch_memory_cases():
    g = Draw("cross_batch_memory")
    x = {"embedding": g.normal(4, 3), "label": ints([0, 1, 0, 2]), "memory": g.normal(9, 3),
         "memory_label": ints([1, 0, 2, 3, 0, 1, 1, 2, 0]), "position": ints(2)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-2.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(4)))
    yield Case("margins", x, {"pos_margin": 0.75, "neg_margin": 0.0}, reduction="sum")
    yield Case("wraps_round", x | {"position": ints(7)}, reduction="sum")
    yield Case("half_filled", x | {"memory_label": ints([1, 0, -1, -1, -1, -1, -1, -1, -1])}, reduction="sum")
    yield Case("gap", x | {"memory_label": ints([1, -1, 2, 3, 0, -1, 1, -1, 0])}, why="empty slots in the middle")
    yield Case("first_batch", x | {"memory_label": ints([-1] * 9), "position": ints(0)}, reduction="sum")
    yield Case("row_weight", x, row_weight=flat(g.weight(4)), row_mask=[1, 0, 1, 1])
    yield Case("denominator", x, denominator=8.0)
    yield Case("all_masked", x, row_mask=[0] * 4)
    short = x | {"memory": x["memory"][:4], "memory_label": x["memory_label"][:4]}
    yield Case("fills_the_queue", short, reduction="sum")
    shorter = x | {"memory": x["memory"][:3], "memory_label": x["memory_label"][:3]}
    yield Case("longer_than_the_queue", shorter, why="its last rows remain")
    zero = x["embedding"].clone()
    zero[2] = 0
    yield Case("zero_vector", x | {"embedding": zero}, library=False, why="gradient 0 there")
    yield Case("no_rows", x | {"embedding": x["embedding"][:0], "label": ints([])}, why="nothing kept: 0")


LOSSES["cross_batch_memory"] = Loss(
    "cross_batch_memory", "pytorch-metric-learning CrossBatchMemory; catalogue/mining.md cross_batch_memory",
    cross_batch_memory, cross_batch_memory_library, ["embedding"], {"pos_margin": 1, "neg_margin": 0.5}, {},
    list(cross_batch_memory_cases()), ["pytorch-metric-learning"])


# ---- multi_similarity_miner ------------------------------------------------------------------------------------------


def multi_similarity_miner(x, p, o):
    s, y = x["similarity"], x["label"].tolist()
    n = len(y)
    positive, negative = torch.zeros(n, n).double(), torch.zeros(n, n).double()
    for i in range(n):
        pos, neg = ([j for j in range(n) if j != i and (y[j] == y[i]) == same] for same in (True, False))
        easiest = min((s[i, j].item() for j in pos), default=math.inf) - p["epsilon"]
        hardest = max((s[i, j].item() for j in neg), default=-math.inf) + p["epsilon"]
        assert all(abs(s[i, j].item() - t) > 1e-3 for t, js in ((easiest, neg), (hardest, pos)) for j in js)
        positive[i, [j for j in pos if s[i, j] < hardest]] = 1
        negative[i, [j for j in neg if s[i, j] > easiest]] = 1
    return Rows((positive + negative).sum(1), outputs={"kept_positive": positive, "kept_negative": negative})


def multi_similarity_miner_library(x, p, o):
    """The library mines embeddings; here its distance is the given matrix."""
    from pytorch_metric_learning import distances, miners

    miner = miners.MultiSimilarityMiner(epsilon=p["epsilon"])
    if len(x["label"]) == 0:
        return None
    miner.distance.forward = lambda *_: x["similarity"].clone()
    a1, kept_pos, a2, kept_neg = miner(torch.zeros(len(x["label"]), 2).double(), x["label"])
    ours = multi_similarity_miner(x, p, o).outputs
    for (a, b), name in (((a1, kept_pos), "kept_positive"), ((a2, kept_neg), "kept_negative")):
        theirs = torch.zeros_like(x["similarity"])
        theirs[a, b] = 1
        assert torch.equal(theirs, ours[name]), name
    return Library("pytorch_metric_learning.miners.MultiSimilarityMiner, its pairs compared, too",
                   torch.bincount(torch.cat([a1, a2]), minlength=len(x["label"])).double())


def multi_similarity_miner_cases():
    g = Draw("multi_similarity_miner/2")
    s = g.normal(8, 8, scale=0.5)
    x = {"similarity": s, "label": ints([0, 1, 0, 2, 1, 3, 0, 2])}
    yield Case("default", x)
    yield Case("epsilon_large", x, {"epsilon": 1.40625}, reduction="sum")
    yield Case("epsilon_negative", x, {"epsilon": -0.390625}, reduction="none")
    yield Case("row_weight", x, row_weight=flat(g.weight(8)), row_mask=[1, 0, 1, 1, 1, 1, 0, 1])
    yield Case("no_positives", x | {"label": ints(list(range(8)))}, why="nothing kept")
    yield Case("one_class", x | {"label": ints([4] * 8)}, why="nothing kept")
    yield Case("one_row", {"similarity": s[:1, :1], "label": ints([0])})


LOSSES["multi_similarity_miner"] = Loss(
    "multi_similarity_miner", "pytorch-metric-learning MultiSimilarityMiner; catalogue/mining.md multi_similarity_miner",
    multi_similarity_miner, multi_similarity_miner_library, [], {"epsilon": 0.1}, {}, list(multi_similarity_miner_cases()),
    ["pytorch-metric-learning"])


# ---- distance_weighted_miner -----------------------------------------------------------------------------------------


def distance_weighted_miner(x, p, o):
    y, dim = x["label"].tolist(), p["dimensions"]
    n, draws = len(y), x["uniform"].shape[1]
    weight, drawn, found = torch.zeros(n, n).double(), torch.full((n, draws), -1), []
    for i in range(n):
        js = [j for j in range(n) if y[j] != y[i] and x["distance"][i, j] < p["nonzero_loss_cutoff"]]
        found.append(float(len(js)))
        if not js:
            continue
        d = [max(x["distance"][i, j].item(), p["cutoff"]) for j in js]
        log_w = [(2 - dim) * math.log(v) - (dim - 3) / 2 * math.log(1 - v * v / 4) for v in d]
        w = [math.exp(v - max(log_w)) for v in log_w]
        weight[i, js] = floats([v / sum(w) for v in w])
        for k, u in enumerate(x["uniform"][i].tolist()):
            upto = [sum(w[: a + 1]) / sum(w) for a in range(len(w))]
            assert all(abs(v - u) > 1e-3 or v < 1e-6 for v in upto)
            drawn[i, k] = next(j for j, v in zip(js, upto) if v > u)
    return Rows(floats(found), outputs={"weight": weight, "negative": drawn})


def distance_weighted_miner_library(x, p, o):
    from pytorch_metric_learning import miners
    from pytorch_metric_learning.utils import loss_and_miner_utils as lmu

    ours = distance_weighted_miner(x, p, o)
    if (ours.value == 0).any():  # it divides 0 by 0
        return None
    miner = miners.DistanceWeightedMiner(cutoff=p["cutoff"], nonzero_loss_cutoff=p["nonzero_loss_cutoff"])
    miner.distance.forward = lambda *_: x["distance"].clone()
    kept, draw = {}, lmu.get_random_triplet_indices
    lmu.get_random_triplet_indices = lambda *_, weights, **__: kept.update(w=weights) or ([], [], [])
    miner.mine(torch.zeros(len(x["label"]), p["dimensions"]).double(), x["label"], x["distance"], x["label"])
    lmu.get_random_triplet_indices = draw
    assert_same("weight", kept["w"].flatten(), ours.outputs["weight"].flatten())
    return Library("pytorch_metric_learning.miners.DistanceWeightedMiner, its weights compared, too", (kept["w"] > 0).sum(1).double())


def distance_weighted_miner_cases():
    g = Draw("distance_weighted_miner/2")
    d = (g.unit(7, 7) * 1.5 + 0.25)
    x = {"distance": d, "label": ints([0, 1, 0, 2, 1, 3, 0]), "uniform": g.unit(7, 3) * 0.9375 + 0.015625}
    yield Case("default", x, {"dimensions": 16})
    yield Case("sum", x, {"dimensions": 4}, reduction="sum")
    yield Case("none", x, {"dimensions": 3}, reduction="none")
    yield Case("two_dimensions", x, {"dimensions": 2})
    yield Case("wide", x, {"dimensions": 512}, why="weights over hundreds of orders of magnitude")
    yield Case("cutoffs", x, {"dimensions": 8, "cutoff": 0.90625, "nonzero_loss_cutoff": 1.71875})
    yield Case("row_weight", x, {"dimensions": 4}, row_weight=flat(g.weight(7)), row_mask=[1, 0, 1, 1, 1, 1, 0])
    yield Case("one_class", x | {"label": ints([4] * 7)}, {"dimensions": 4}, why="nothing to draw")
    far = d.clone()
    far[2] = 1.75
    yield Case("all_far", x | {"distance": far}, {"dimensions": 4}, why="row 2 has nothing to draw")


LOSSES["distance_weighted_miner"] = Loss(
    "distance_weighted_miner", "pytorch-metric-learning DistanceWeightedMiner; catalogue/mining.md distance_weighted_miner",
    distance_weighted_miner, distance_weighted_miner_library, [],
    {"dimensions": 128, "cutoff": 0.5, "nonzero_loss_cutoff": 1.4}, {}, list(distance_weighted_miner_cases()),
    ["pytorch-metric-learning"])
