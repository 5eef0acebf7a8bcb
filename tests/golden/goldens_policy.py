"""Golden vectors of losses on policies of language models: dpo, grpo. trl computes both inside its trainers, which want a
model, so these are transcriptions, in loops over sequences and tokens."""

import torch
import torch.nn.functional as F

from common import *


# ---- dpo -------------------------------------------------------------------------------------------------------------


def dpo(x, p, o):
    def side(name, i):
        if o["input"] == "sequence":
            return x[name][i], x[f"{name}_length"][i] if f"{name}_length" in x else None
        total, count = torch.tensor(0.0).double(), 0
        for t, token in enumerate(x[f"{name}_token"][i]):
            if x[f"{name}_mask"][i][t]:
                total, count = total + F.log_softmax(x[f"{name}_logits"][i, t], 0)[token], count + 1
        return total, count

    def ratio(name, i):
        logp, length = side(name, i)
        gap = logp - x[f"reference_{name}"][i]
        return gap / max(float(length), 1.0) if o["length_normalised"] == "on" else gap

    rows = []
    for i in range(len(x["reference_chosen"])):
        h, e = p["beta"] * (ratio("chosen", i) - ratio("rejected", i)), p["label_smoothing"]
        rows.append(-(1 - e) * F.logsigmoid(h) - e * F.logsigmoid(-h))
    return Rows(torch.stack(rows))


def dpo_cases():
    g = Draw("dpo")
    ref = {"reference_chosen": g.normal(5, scale=2) - 4, "reference_rejected": g.normal(5, scale=2) - 4}
    x = {"chosen": g.normal(5, scale=2) - 4, "rejected": g.normal(5, scale=2) - 4} | ref
    lengths = {"chosen_length": floats([3, 1, 0, 7, 4]), "rejected_length": floats([2, 5, 1, 0, 8])}
    tokens = {"chosen_logits": g.normal(5, 3, 4), "chosen_token": g.label(4, 5, 3), "chosen_mask": g.label(2, 5, 3),
              "rejected_logits": g.normal(5, 2, 4), "rejected_token": g.label(4, 5, 2), "rejected_mask": g.label(2, 5, 2)} | ref
    norm, logits = {"length_normalised": "on"}, {"input": "logits"}
    rw, mask = flat(g.weight(5)), [1, 1, 0, 1, 1]
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(5)))
    yield Case("beta", x, {"beta": 2.0}, row_weight=rw, row_mask=mask)
    yield Case("label_smoothing", x, {"label_smoothing": 0.1})
    yield Case("label_smoothing_half", x, {"label_smoothing": 0.5, "beta": 1.0})
    yield Case("length_normalised", x | lengths, {"beta": 1.5}, norm)
    yield Case("length_normalised_smoothing", x | lengths, {"label_smoothing": 0.25}, norm, "none")
    yield Case("logits", tokens, {}, logits)
    yield Case("logits_none", tokens, {"beta": 1.0, "label_smoothing": 0.2}, logits, "none", row_weight=rw, row_mask=mask)
    yield Case("logits_length_normalised", tokens, {"beta": 2.0}, logits | norm, "sum")
    empty = tokens | {"chosen_mask": tokens["chosen_mask"] * 0}
    yield Case("logits_no_tokens", empty, {"beta": 1.0}, logits)
    yield Case("logits_no_tokens_normalised", empty, {"beta": 1.0}, logits | norm)
    yield Case("saturated", x | {"chosen": x["chosen"] * 1024}, reduction="none", why="softplus neither overflows nor vanishes")
    yield Case("one_row", {k: v[:1] for k, v in x.items()})


LOSSES["dpo"] = Loss(
    "dpo", "catalogue/preference.md dpo", dpo, lambda x, p, o: None,
    ["chosen", "rejected", "chosen_logits", "rejected_logits"], {"beta": 0.1, "label_smoothing": 0},
    {"input": ["sequence", "logits"], "length_normalised": ["off", "on"]}, list(dpo_cases()), [])


# ---- grpo ------------------------------------------------------------------------------------------------------------


def grpo(x, p, o):
    rows, counts = [], []
    for i, a in enumerate(x["advantage"]):
        tokens = [t for t in range(x["mask"].shape[1]) if x["mask"][i, t]]
        steps = [x["logp"][i, t] - x["old_logp"][i, t] for t in tokens]
        if o["importance"] == "sequence" and tokens:
            steps = [sum(steps) / len(tokens)] * len(tokens)
        total = x["logp"][i].sum() * 0
        for t, step in zip(tokens, steps):
            rho = step.exp()
            clipped = rho.clamp(1 - p["clip_low"], 1 + p["clip_high"])
            bounded = rho.clamp(max=p["delta"]) if p["delta"] else rho
            total = total - torch.minimum(bounded * a, clipped * a)
            if "reference_logp" in x:
                d = x["reference_logp"][i, t] - x["logp"][i, t]
                total = total + p["beta"] * (d.exp() - d - 1)
        counts.append(len(tokens))
        if o["loss_type"] == "grpo":
            total = total / max(len(tokens), 1)
        if o["loss_type"] == "dr_grpo":
            total = total / (p["max_length"] or x["mask"].shape[1])
        rows.append(total)
    if o["loss_type"] in ("bnpo", "dapo"):
        return Rows(torch.stack(rows), mean_weight=floats(counts))
    return Rows(torch.stack(rows))


def grpo_cases():
    g = Draw("grpo")
    logp = g.normal(5, 6) - 3
    x = {"logp": logp, "old_logp": logp + g.normal(5, 6, scale=0.25), "reference_logp": logp + g.normal(5, 6, scale=0.5),
         "advantage": g.normal(5), "mask": g.label(4, 5, 6).clamp(max=1)}
    short = x | {"mask": x["mask"] * ints([1, 0, 1, 1, 1])[:, None]}
    rw, mask = flat(g.weight(5)), [1, 1, 0, 1, 1]
    sequence = {"importance": "sequence"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(5)))
    yield Case("beta_zero", x, {"beta": 0.0})
    free = {k: v for k, v in x.items() if k != "reference_logp"}
    yield Case("no_reference", free, why="no divergence")
    yield Case("no_reference_dapo", free, {"clip_high": 0.28}, {"loss_type": "dapo"}, "none", row_weight=rw, row_mask=mask)
    yield Case("beta_large", x, {"beta": 1.0})
    yield Case("clip_narrow", x, {"clip_low": 0.0625, "clip_high": 0.125})
    yield Case("delta", x | {"old_logp": x["logp"] - g.normal(5, 6)}, {"delta": 1.5}, reduction="none")
    yield Case("row_weight", x, row_weight=rw, row_mask=mask)
    yield Case("no_tokens", short, reduction="none")
    yield Case("no_tokens_mean", short)
    yield Case("bnpo", x, {}, {"loss_type": "bnpo"})
    yield Case("bnpo_weighted", short, {}, {"loss_type": "bnpo"}, row_weight=rw, row_mask=mask)
    yield Case("bnpo_none_kept", x | {"mask": x["mask"] * 0}, {}, {"loss_type": "bnpo"})
    yield Case("dapo", x, {"clip_high": 0.28, "beta": 0.0}, {"loss_type": "dapo"}, denominator=64.0)
    yield Case("dapo_local", x, {"clip_high": 0.28}, {"loss_type": "dapo"}, "none")
    yield Case("dr_grpo", x, {"max_length": 6.0}, {"loss_type": "dr_grpo"})
    yield Case("dr_grpo_extent", short, {}, {"loss_type": "dr_grpo"})
    yield Case("dr_grpo_sum", short, {"max_length": 128.0, "beta": 0.0}, {"loss_type": "dr_grpo"}, "sum")
    yield Case("sequence", x, {}, sequence)
    yield Case("sequence_none", short, {"clip_low": 0.0625, "clip_high": 0.0625}, sequence, "none", grad_output=flat(g.normal(5)))
    yield Case("sequence_delta", x | {"old_logp": x["logp"] - 0.75}, {"delta": 1.5}, sequence | {"loss_type": "dr_grpo"})
    yield Case("sequence_bnpo", short, {}, sequence | {"loss_type": "bnpo"})
    yield Case("sequence_dapo", x, {}, sequence | {"loss_type": "dapo"}, row_mask=mask)
    yield Case("on_policy", x | {"old_logp": x["logp"]}, why="rho = 1")
    yield Case("one_row", {k: v[:1] for k, v in x.items()})


LOSSES["grpo"] = Loss(
    "grpo", "catalogue/reinforcement.md grpo", grpo, lambda x, p, o: None, ["logp"],
    {"clip_low": 0.2, "clip_high": 0.2, "delta": 0, "beta": 0.04, "max_length": 0},
    {"loss_type": ["grpo", "bnpo", "dr_grpo", "dapo"], "importance": ["token", "sequence"]}, list(grpo_cases()), [])
