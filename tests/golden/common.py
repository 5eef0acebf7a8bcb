"""What the golden vectors of every loss share: a case, its reduction, the comparison of transcription and library, the
file. The losses are in goldens_*.py."""

import importlib.metadata
import importlib.util
import json
import math
import random
import sys
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

AGREE = 1e-10  # transcription and library, relative to max(1, |value|)


# ---- what a loss and a case are ------------------------------------------------------------------------------------


@dataclass
class Rows:
    """What a loss says of each row before weights and reduction."""

    value: torch.Tensor
    valid: torch.Tensor | None = None  # absent: every row
    mean_weight: torch.Tensor | None = None  # absent: 1
    at_least: float = 0  # lower bound of the divisor of the mean
    outputs: dict = field(default_factory=dict)  # named auxiliary outputs, as transcribed


@dataclass
class Library:
    """The same from a published function: per row, or only reduced."""

    origin: str
    rows: torch.Tensor | None = None
    mean: torch.Tensor | None = None
    sum: torch.Tensor | None = None
    value_only: bool = False  # its gradient is known to follow another rule


@dataclass
class Case:
    name: str
    inputs: dict
    params: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    reduction: str = "mean"
    row_weight: list | None = None
    row_mask: list | None = None
    grad_output: object = None
    denominator: float | None = None
    # Computed with instead of inputs that dropped rows must not let through; and what the loss itself does not get to see.
    stand_in: dict = field(default_factory=dict)
    library: bool = True
    why: str = ""  # why there is no library value, or what the case is about


@dataclass
class Loss:
    id: str
    source: str
    rows: object  # (inputs, params, options) -> Rows: the transcription of the formula
    library: object  # the same -> Library or None
    gradients: list
    params: dict
    options: dict
    cases: list
    packages: list


LOSSES = {}


def ints(values, shape=None):
    t = torch.tensor(values, dtype=torch.int64)
    return t.reshape(shape) if shape else t


def floats(values):
    return torch.tensor(values, dtype=torch.float64)


class Draw:
    """Seeded by name, independent of torch. Floats are multiples of 1/32 below 4 in magnitude: exact in bf16 and f16."""

    def __init__(self, name):
        self.random = random.Random(name)

    def normal(self, *shape, scale=1.0):
        n = math.prod(shape)
        flat = [max(-127, min(127, round(32 * scale * self.random.gauss(0, 1)))) / 32 for _ in range(n)]
        return torch.tensor(flat, dtype=torch.float64).reshape(shape)

    def label(self, count, *shape):
        return ints([self.random.randrange(count) for _ in range(math.prod(shape))], shape)

    def bits(self, *shape, p=0.3):
        return floats([float(self.random.random() < p) for _ in range(math.prod(shape))]).reshape(shape)

    def unit(self, *shape):
        """Multiples of 1/32 in [0, 1]."""
        return floats([self.random.randrange(33) / 32 for _ in range(math.prod(shape))]).reshape(shape)

    def weight(self, *shape):
        """Multiples of 1/8 in (0, 2]."""
        return floats([self.random.randrange(1, 17) / 8 for _ in range(math.prod(shape))]).reshape(shape)

    def distribution(self, *shape):
        """Sums to exactly 1 along axis 1, in multiples of 1/32."""
        out = torch.zeros(shape, dtype=torch.float64).movedim(1, -1).contiguous()
        for row in out.view(-1, shape[1]):
            for _ in range(32):
                row[self.random.randrange(shape[1])] += 1 / 32
        return out.movedim(-1, 1).contiguous()


# ---- what every loss has: weights, mask, reduction, upstream gradient ------------------------------------------------


def objective(case, rows):
    """The loss as returned, and the scalar whose gradient is wanted."""
    value = rows.value
    keep = torch.ones(value.shape, dtype=torch.bool) if rows.valid is None else rows.valid
    if case.row_mask is not None:
        keep = keep & torch.tensor(case.row_mask).bool().reshape(value.shape)
    weight = torch.ones(value.shape, dtype=torch.float64)
    if case.row_weight is not None:
        weight = floats(case.row_weight).reshape(value.shape)
    kept = torch.where(keep, weight * torch.where(keep, value, 0), 0)
    upstream = 1.0 if case.grad_output is None else case.grad_output
    if case.reduction == "none":
        upstream = floats(upstream) if isinstance(upstream, list) else upstream * torch.ones(kept.numel())
        return kept, (kept * upstream.reshape(kept.shape)).sum()
    loss = kept.sum()
    if case.reduction == "mean":
        mean_weight = torch.ones_like(weight) if rows.mean_weight is None else rows.mean_weight
        divisor = max(torch.where(keep, weight * mean_weight, 0).sum().item(), rows.at_least)
        if case.denominator is not None:
            divisor = case.denominator
        loss = loss / divisor if divisor != 0 else loss * 0
    return loss, loss * upstream


def values_and_gradients(loss, leaves, out, scalar):
    """The returned loss and d(scalar)/d(leaves), flat; no path means zero."""
    names = [k for k in loss.gradients if k in leaves]
    grads = [None] * len(names)
    if scalar.requires_grad:
        grads = torch.autograd.grad(scalar, [leaves[k] for k in names], allow_unused=True)
    grads = [torch.zeros_like(leaves[k]) if g is None else g for k, g in zip(names, grads)]
    return out.detach().flatten(), {k: g.flatten() for k, g in zip(names, grads)}


def evaluate(loss, case, compute):
    """compute: leaves -> (returned loss, scalar). Gives flat loss and gradients."""
    leaves = {k: v.clone().requires_grad_(k in loss.gradients) for k, v in (case.inputs | case.stand_in).items()}
    out, scalar = compute(leaves)
    return values_and_gradients(loss, leaves, out, scalar)


def assert_same(what, a, b):
    a, b = a.double(), b.double()
    same = (a == b) | (a.isnan() & b.isnan()) | ((a - b).abs() <= AGREE * b.abs().clamp(min=1))
    assert a.shape == b.shape and bool(same.all()), f"{what}: {a.tolist()} != {b.tolist()}"


def chosen(loss, case):
    return loss.params | case.params, {k: v[0] for k, v in loss.options.items()} | case.options


def solve(loss, case):
    params, options = chosen(loss, case)
    assert set(params) == set(loss.params) and set(options) == set(loss.options), case.name
    counts = {k for k, v in loss.options.items() if len(v) == 1 and v[0].isdigit()}  # any number
    assert all(k in counts or options[k] in loss.options[k] for k in options), case.name
    where = f"{loss.id}/{case.name}"
    value, grads = evaluate(loss, case, lambda x: objective(case, loss.rows(x, params, options)))
    origin = "PyTorch float64 transcription of the formula"
    plain = case.row_weight is None and case.row_mask is None and case.denominator is None
    found = loss.library({k: v.clone() for k, v in (case.inputs | case.stand_in).items()}, params, options) if case.library else None
    reduced = vars(found).get(case.reduction) if found is not None and plain else None
    if found is not None and (found.rows is not None or reduced is not None):

        def library(x):
            got = loss.library(x, params, options)
            own = vars(got).get(case.reduction) if plain else None
            if got.rows is None:
                return own, own * (1.0 if case.grad_output is None else case.grad_output)
            ours = loss.rows(x, params, options)
            ours.value = got.rows
            if own is not None:  # its own reduction too
                assert_same(f"{where} {case.reduction}", own.detach(), objective(case, ours)[0].detach())
            return objective(case, ours)

        theirs, their_grads = evaluate(loss, case, library)
        assert_same(where, theirs.reshape(-1), value.reshape(-1))
        origin = found.origin + ("; gradient: " + origin if found.value_only else "") + ", agrees with the transcription"
        value = theirs
        if not found.value_only:
            for k in grads:
                assert_same(f"{where} d {k}", their_grads[k], grads[k])
            grads = their_grads
    return value, grads, origin + (f" ({case.why})" if case.why else "")


# ---- files -----------------------------------------------------------------------------------------------------------


def number(v):
    v = float(v)
    if math.isnan(v) or math.isinf(v):
        return "nan" if math.isnan(v) else "inf" if v > 0 else "-inf"
    return v + 0.0  # no negative zero


def flat(t):
    return [int(v) if t.dtype == torch.int64 else number(v) for v in t.flatten().tolist()]


def record(loss, case):
    value, grads, origin = solve(loss, case)
    inputs = {
        k: {"shape": list(v.shape), "dtype": "i32" if v.dtype == torch.int64 else "f64", "data": flat(v)}
        for k, v in case.inputs.items()
    }
    upstream = case.grad_output
    outputs = loss.rows(case.inputs | case.stand_in, *chosen(loss, case)).outputs
    return {
        "name": case.name,
        "inputs": inputs,
        "params": case.params,
        # The definitions take the cap as a param alone; here the switch only says which formula to transcribe.
        "options": {k: v for k, v in case.options.items() if k not in ("softcap", "filter_eps")},
        "reduction": case.reduction,
        "row_weight": case.row_weight,
        "row_mask": case.row_mask,
        "grad_output": upstream,
        "denominator": case.denominator,
        "expected": {"loss": flat(value), "gradients": {k: flat(g) for k, g in grads.items()}}
        | ({"outputs": {k: flat(v) for k, v in outputs.items()}} if outputs else {}),
        "origin": origin,
    }


def document(loss):
    names = [c.name for c in loss.cases]
    assert len(set(names)) == len(names), loss.id
    versions = {"python": sys.version.split()[0]}
    versions |= {p: importlib.metadata.version(p) for p in ["torch", *loss.packages]}
    return {
        "loss": loss.id,
        "source": loss.source,
        "versions": versions,
        "cases": [record(loss, c) for c in loss.cases],
    }


def write(doc, path):
    head = {k: v for k, v in doc.items() if k != "cases"}
    text = json.dumps(head, indent=1)[:-2] + ',\n "cases": [\n'
    text += ",\n".join("  " + json.dumps(c, allow_nan=False) for c in doc["cases"]) + "\n ]\n}\n"
    assert json.loads(text) == doc and len(text) < 150_000, path
    path.write_text(text)


def close(a, b):
    """Deep equality, floats to 1e-12."""
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-12 * max(1, abs(a))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == b


# ---- shared formulas -------------------------------------------------------------------------------------------------


def unit_rows(x):
    """x / |x|; the zero vector stays zero, with zero gradient."""
    square = (x * x).sum(1, keepdim=True)
    some = square > 0
    return torch.where(some, x / torch.where(some, square, 1).sqrt(), 0)


def cosine(x, y):
    return unit_rows(x) @ unit_rows(y).T


def positive_pairs(label):
    return (label[:, None] == label[None]) & ~torch.eye(len(label), dtype=torch.bool)


def softmax_rows(z, x, p, o, smoothing_classes):
    """Cross-entropy of logits z [R,C] against x: target, target_probability and class weights."""
    lse = torch.logsumexp(z, 1)
    if p.get("filter_eps"):
        s = torch.softmax(z, 1).detach()
        surrogate = (torch.where(s < p["filter_eps"], 0, s) * torch.where(torch.isinf(z), 0, z)).sum(1)
        lse = lse.detach() + surrogate - surrogate.detach()
    valid = mean_weight = None
    weight = x.get("class_weight", x.get("weight") if "logits" in x else None)
    if "target" in x:
        y = x["target"].flatten()
        valid = y != p["ignore_index"]
        y = torch.where(valid, y, 0)
        t = F.one_hot(y, z.shape[1]).double()
        mean_weight = torch.ones(len(y), dtype=torch.float64) if weight is None else weight[y]
    else:
        t = x["target_probability"].movedim(1, -1).reshape(z.shape)
    t = t * (1 - p["label_smoothing"]) + p["label_smoothing"] / smoothing_classes
    if weight is not None:
        t = t * weight
    some = t != 0
    value = (t * torch.where(some, lse[:, None] - torch.where(some, z, 0), 0)).sum(1)
    return Rows(value + p["z_loss"] * lse**2, valid, mean_weight)


def rest_of(g, others, classes):
    """Logits of classes on other shards, of that logsumexp: those of all classes are needed for the whole loss."""
    return (others[:, None] + torch.log_softmax(2 * g.normal(len(others), classes), 1)) if classes else others[:, None][:, :0]


def shard_rows(whole, here, lse):
    """What one shard has of a loss whose rows are given: where a target is of another shard only what lse does."""
    return torch.where(here, whole, lse - lse.detach())


def file_module(package, path):
    """One file of an installed package, without its __init__ and what that needs."""
    path = importlib.metadata.distribution(package).locate_file(path)
    spec = importlib.util.spec_from_file_location(f"only_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pml_rows(module, *args, **kwargs):
    """Per-element losses of a pytorch-metric-learning loss."""
    from pytorch_metric_learning.reducers import DoNothingReducer

    module.reducer = DoNothingReducer()
    got = module(*args, **kwargs)["loss"]
    return got["losses"], got["indices"]
