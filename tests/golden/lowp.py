"""How far PyTorch's own f16 and bf16 are from float64, case by case: what our 16-bit results are measured against.

The published function runs once more with every float tensor, constant and intermediate in the 16-bit type, gradients
by autograd; the transcription where a case has no published function, where that one overflows (the detours by which
some reach float64 accuracy, as a factor of 2^30, are none for f16) or fails because PyTorch lacks an operation in this
type ("library" then says which). Recorded is the largest absolute difference from the
float64 golden, of the loss and of each gradient; "inf" where PyTorch's result is not finite and the golden is."""

import json
import sys
import warnings

import torch
from torch.overrides import TorchFunctionMode

import common

TYPES = {"f16": torch.float16, "bf16": torch.bfloat16}


class Narrow(TorchFunctionMode):
    """Whatever an operation gives in f64 or f32 is rounded to the 16-bit type, so that the next one runs in it."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def narrow(self, x):
        if isinstance(x, torch.Tensor):
            return x.to(self.dtype) if x.dtype in (torch.float64, torch.float32) else x
        if isinstance(x, (tuple, list)) and type(x) in (tuple, list):
            return type(x)(self.narrow(v) for v in x)
        return x

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if kwargs.get("dtype") in (torch.float64, torch.float32):
            kwargs["dtype"] = self.dtype
        return self.narrow(func(*args, **kwargs))


def exact(value, dtype):
    if value is None or isinstance(value, (int, float)):
        return value is None or exact(torch.tensor(float(value), dtype=torch.float64), dtype)
    t = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)
    return not t.is_floating_point() or bool(((t.to(dtype).double() == t) | t.isnan()).all())


def exact_case(case, dtype):
    floats = [v for v in case.inputs.values()] + [case.row_weight, case.grad_output]
    return all(exact(v, dtype) for v in floats)


def low(loss, case, dtype, by):
    """Flat loss and gradients as the 16-bit type gives them; None where there is no published function."""
    params, options = loss.params | case.params, {k: v[0] for k, v in loss.options.items()} | case.options
    plain = case.row_weight is None and case.row_mask is None and case.denominator is None

    def transcription(x):
        return common.objective(case, loss.rows(x, params, options))

    def library(x):
        got = loss.library(x, params, options) if case.library else None
        own = vars(got).get(case.reduction) if got is not None and plain else None
        if got is None or got.value_only or (got.rows is None and own is None):
            return None
        if own is not None:
            return own, own * (1.0 if case.grad_output is None else case.grad_output)
        rows = loss.rows(x, params, options)
        rows.value = got.rows
        return common.objective(case, rows)

    inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in (case.inputs | case.stand_in).items()}
    leaves = {k: v.clone().requires_grad_(k in loss.gradients) for k, v in inputs.items()}
    with Narrow(dtype), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = library(leaves) if by == "library" else transcription(leaves)
    if found is None:
        return None
    return common.values_and_gradients(loss, leaves, *found)


def error(got, want, dtype):
    """Against the golden where the type can hold it: beyond its range infinity is right."""
    got, want = got.double(), want.double()
    fits = want.to(dtype).double().isfinite()
    if got.shape != want.shape:
        got = got.reshape(want.shape)
    off = (got - want).abs()[fits]
    if off.numel() == 0:
        return 0.0
    return float(f"{off.max().item():.4g}") if off.isfinite().all() else "inf"


def record(loss, case):
    value, grads, _ = common.solve(loss, case)
    out = {}
    for name, dtype in TYPES.items():
        if not exact_case(case, dtype):
            out[name] = {"skipped": "an input is not exact in this type"}
            continue
        out[name] = measured(loss, case, dtype, value, grads)
    return out


def measured(loss, case, dtype, value, grads):
    result, failed = {}, {}
    for by in ["library", "transcription"]:
        try:
            found = low(loss, case, dtype, by)
        except (RuntimeError, NotImplementedError, AssertionError, TypeError, ValueError) as e:
            failed[by] = (str(e).splitlines() or [type(e).__name__])[0][:120]
            continue
        if found is None:
            continue
        result = {
            "by": by,
            "loss": error(found[0], value, dtype),
            "gradients": {k: error(found[1][k], g, dtype) for k, g in grads.items()},
        }
        if "inf" not in [result["loss"], *result["gradients"].values()]:
            break
    return result | failed if result else {"skipped": failed}


def document(loss):
    return {
        "loss": loss.id,
        "about": "largest |PyTorch in the type - float64|; written by lowp.py",
        "versions": {"python": sys.version.split()[0], "torch": torch.__version__},
        "cases": {case.name: record(loss, case) for case in loss.cases},
    }


def write(doc, path):
    head = json.dumps({k: v for k, v in doc.items() if k != "cases"}, indent=1)[:-2]
    cases = ",\n".join(f"  {json.dumps(name)}: {json.dumps(c, allow_nan=False)}" for name, c in doc["cases"].items())
    path.parent.mkdir(exist_ok=True)
    path.write_text(head + ',\n "cases": {\n' + cases + "\n }\n}\n")
