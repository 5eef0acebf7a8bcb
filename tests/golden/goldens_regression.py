"""Golden vectors of losses on numbers and their distributions: pinball, gaussian_nll, hl_gauss, vae_elbo, huber."""

import math

import torch
import torch.nn.functional as F

from common import *


# ---- pinball ---------------------------------------------------------------------------------------------------------


def quantile_levels(x):
    return x["quantile"] if "quantile" in x else floats([0.1, 0.5, 0.9] if x["input"].shape[1] == 3 else [0.5])


def pinball(x, p, o):
    r = x["target"][:, None] - x["input"]
    tau = quantile_levels(x)
    return Rows((tau * torch.relu(r) + (1 - tau) * torch.relu(-r)).sum(1))


def pinball_library(x, p, o):
    from sklearn.metrics import mean_pinball_loss

    f, y = x["input"].detach().numpy(), x["target"].numpy()
    rows = [sum(mean_pinball_loss(y[i : i + 1], f[i : i + 1, q], alpha=t) for q, t in enumerate(quantile_levels(x).tolist()))
            for i in range(len(y))]
    return Library("sklearn.metrics.mean_pinball_loss", floats(rows), value_only=True)


def pinball_cases():
    g = Draw("pinball")
    x = {"input": g.normal(7, 3), "target": g.normal(7)}
    four = {"input": g.normal(5, 4), "target": g.normal(5), "quantile": floats([0.0, 0.25, 0.875, 1.0])}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=2.0)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(7)))
    yield Case("quantiles", four)
    yield Case("quantiles_none", four, reduction="none", row_weight=flat(g.weight(5)), row_mask=[1, 0, 1, 1, 1])
    yield Case("median", {"input": x["input"][:, :1], "target": x["target"], "quantile": floats([0.5])})
    yield Case("one_quantile", {"input": x["input"][:, 1:2], "target": x["target"]}, why="the median")
    yield Case("row_weight", x, row_weight=flat(g.weight(7)))
    yield Case("denominator", x, denominator=21.0)
    yield Case("kinks", {"input": floats([[1.0, 1.0, 1.0], [0.5, 1.0, 2.0]]), "target": floats([1.0, 1.0])}, reduction="none")
    yield Case("large", {"input": x["input"] * 4096, "target": x["target"] * -4096})
    yield Case("one_row", {"input": g.normal(1, 3), "target": g.normal(1)})


LOSSES["pinball"] = Loss(
    "pinball", "sklearn.metrics.mean_pinball_loss; catalogue/regression.md pinball",
    pinball, pinball_library, ["input"], {}, {}, list(pinball_cases()), ["scikit-learn"])


# ---- gaussian_nll ----------------------------------------------------------------------------------------------------


def gaussian_nll(x, p, o):
    v = x["var"] + (x["var"].clamp(min=p["eps"]) - x["var"]).detach()
    square = (x["input"] - x["target"]) ** 2
    return Rows(0.5 * (v.log() + square / v) + p["full"] * 0.5 * math.log(2 * math.pi))


def gaussian_nll_library(x, p, o):
    args, kwargs = (x["input"], x["target"], x["var"]), dict(full=bool(p["full"]), eps=p["eps"])
    return Library("torch.nn.functional.gaussian_nll_loss", F.gaussian_nll_loss(*args, reduction="none", **kwargs),
                   F.gaussian_nll_loss(*args, **kwargs))


def gaussian_nll_cases():
    g = Draw("gaussian_nll")
    x = {"input": g.normal(9), "target": g.normal(9), "var": g.weight(9)}
    rw, mask = flat(g.weight(9)), [1, 1, 0, 1, 0, 1, 1, 1, 1]
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(9)))
    yield Case("full", x, {"full": 1})
    yield Case("full_none", x, {"full": 1}, reduction="none", row_weight=rw, row_mask=mask)
    yield Case("row_weight", x, row_weight=rw, row_mask=mask)
    yield Case("denominator", x, {"full": 1}, denominator=4.0)
    yield Case("eps_large", x, {"eps": 0.75}, reduction="none", why="below eps the gradient of the variance is that at eps")
    zero = x | {"var": x["var"] * floats([1, 0, 1, 0, 1, 1, 1, 0, 1])}
    yield Case("zero_variance", zero)
    yield Case("zero_variance_none", zero, {"full": 1}, reduction="none", grad_output=flat(g.normal(9)))
    yield Case("exact", x | {"input": x["target"]})
    yield Case("all_masked", x, row_mask=[0] * 9)
    yield Case("one_element", {"input": floats([0.5]), "target": floats([2.0]), "var": floats([0.25])})


LOSSES["gaussian_nll"] = Loss(
    "gaussian_nll", "torch.nn.functional.gaussian_nll_loss; catalogue/regression.md gaussian_nll",
    gaussian_nll, gaussian_nll_library, ["input", "var"], {"eps": 1e-6, "full": 0}, {}, list(gaussian_nll_cases()), [])


# ---- hl_gauss --------------------------------------------------------------------------------------------------------


def hl_gauss(x, p, o):
    z = x["logits"]
    m = z.shape[1]
    d = (p["high"] - p["low"]) / m
    y = x["target"].clamp(p["low"], p["high"])
    edges = p["low"] + d * torch.arange(m + 1, dtype=torch.float64)
    # erfc of the distance on the far side, so that nothing cancels.
    u = (edges - y[:, None]) / (math.sqrt(2) * p["sigma"] * d)
    left, right = u[:, :-1], u[:, 1:]
    mass = torch.where(left >= 0, torch.erfc(left) - torch.erfc(right),
                       torch.where(right <= 0, torch.erfc(-right) - torch.erfc(-left), torch.erf(right) - torch.erf(left)))
    q = mass / mass.sum(1, keepdim=True)
    centre = p["low"] + d * (torch.arange(m, dtype=torch.float64) + 0.5)
    outputs = {"prediction": (torch.softmax(z, 1) * centre).sum(1), "target_probability": q}
    return Rows(-(q * F.log_softmax(z, 1)).sum(1), outputs=outputs)


def hl_gauss_library(x, p, o):
    z = x["logits"]
    d = (p["high"] - p["low"]) / z.shape[1]
    normal = torch.distributions.Normal(x["target"].clamp(p["low"], p["high"])[:, None], p["sigma"] * d)
    F_ = normal.cdf(torch.linspace(p["low"], p["high"], z.shape[1] + 1, dtype=torch.float64))
    q = F_.diff(dim=1) / (F_[:, -1:] - F_[:, :1])
    return Library("torch.nn.functional.cross_entropy with differences of torch.distributions.Normal.cdf",
                   F.cross_entropy(z, q, reduction="none"), F.cross_entropy(z, q))


def hl_gauss_cases():
    g = Draw("hl_gauss")
    x = {"logits": g.normal(6, 11), "target": g.normal(6, scale=0.5).clamp(-1, 1)}
    wide = {"low": -10.0, "high": 10.0}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(6)))
    yield Case("wide", x | {"target": x["target"] * 8}, wide)
    yield Case("sigma_half", x, {"sigma": 0.5})
    yield Case("sigma_four", x, {"sigma": 4.0})
    yield Case("outside", x | {"target": floats([-100.0, -1.0, -1.5, 1.0, 1.125, 1e4])}, reduction="none",
               why="targets count as the nearer end")
    yield Case("row_weight", x, row_weight=flat(g.weight(6)), row_mask=[1, 0, 1, 1, 1, 1])
    yield Case("saturated", x | {"logits": x["logits"] * 256})
    yield Case("bins_51", {"logits": g.normal(2, 51), "target": floats([3.25, -9.5])}, wide)
    yield Case("two_bins", {"logits": g.normal(3, 2), "target": floats([0.0, 0.5, -0.75])})
    yield Case("one_bin", {"logits": g.normal(2, 1), "target": floats([0.0, 0.5])}, why="loss 0")


LOSSES["hl_gauss"] = Loss(
    "hl_gauss", "torch.distributions.Normal and cross_entropy; catalogue/regression.md hl_gauss",
    hl_gauss, hl_gauss_library, ["logits"], {"low": -1, "high": 1, "sigma": 0.75}, {}, list(hl_gauss_cases()), [])


# ---- vae_elbo --------------------------------------------------------------------------------------------------------


def vae_elbo(x, p, o):
    f, t, mu, lv = x["output"], x["target"], x["mean"], x["log_variance"]
    r = {"mse": (t - f) ** 2, "bce": -t * F.logsigmoid(f) - (1 - t) * F.logsigmoid(-f), "l1": (t - f).abs()}
    kl = 0.5 * (mu**2 + lv.exp() - lv - 1)
    if p["free_bits"]:
        held = kl.mean(0, keepdim=True) if o["free_bits_of"] == "batch" else kl
        least = held.clamp(min=p["free_bits"]).expand(kl.shape)
        kl = torch.where(held < p["free_bits"], p["free_bits"], kl)
        assert torch.allclose(kl.mean(0), least.mean(0), 1e-14), "the mean over the rows is that of the maxima"
    return Rows(r[o["reconstruction"]].sum(1) + p["beta"] * kl.sum(1))


def vae_elbo_library(x, p, o):
    from torch.distributions import Normal, kl_divergence

    if p["free_bits"]:
        return None
    name = {"mse": "mse_loss", "bce": "binary_cross_entropy_with_logits", "l1": "l1_loss"}[o["reconstruction"]]
    recon = getattr(F, name)(x["output"], x["target"], reduction="none").sum(1)
    kl = kl_divergence(Normal(x["mean"], (0.5 * x["log_variance"]).exp()), Normal(0.0, 1.0)).sum(1)
    return Library(f"torch.nn.functional.{name} + beta * torch.distributions.kl_divergence", recon + p["beta"] * kl)


def vae_elbo_cases():
    g = Draw("vae_elbo")
    x = {"output": g.normal(4, 6), "target": g.unit(4, 6), "mean": g.normal(4, 3), "log_variance": g.normal(4, 3)}
    rw, mask = flat(g.weight(4)), [1, 1, 0, 1]
    bce, l1 = {"reconstruction": "bce"}, {"reconstruction": "l1"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.25)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(4)))
    yield Case("bce", x, {}, bce)
    yield Case("bce_hard_none", x | {"target": g.bits(4, 6)}, {"beta": 2.0}, bce, "none", row_weight=rw, row_mask=mask)
    yield Case("l1", x, {"beta": 0.25}, l1)
    yield Case("l1_equal", x | {"output": x["target"]}, {}, l1, why="the slope of |0| is 0")
    yield Case("beta", x, {"beta": 4.0})
    yield Case("beta_zero", x, {"beta": 0.0})
    yield Case("free_bits", x, {"free_bits": 0.5})
    yield Case("free_bits_beta", x, {"free_bits": 1.0, "beta": 2.0}, bce, "sum")
    batch = {"free_bits_of": "batch"}
    yield Case("free_bits_of_batch", x, {"free_bits": 0.75}, batch)
    yield Case("free_bits_of_batch_none", x, {"free_bits": 1.0, "beta": 2.0}, batch, "none", grad_output=flat(g.normal(4)))
    yield Case("free_bits_of_batch_off", x, {}, batch)
    yield Case("row_weight", x, {"free_bits": 0.25}, row_weight=rw, row_mask=mask)
    yield Case("prior", x | {"mean": x["mean"] * 0, "log_variance": x["log_variance"] * 0}, why="KL and its gradient 0")
    yield Case("saturated", x | {"output": x["output"] * 256, "log_variance": x["log_variance"] * 8}, {}, bce)
    yield Case("one_row", {k: v[:1] for k, v in x.items()})


LOSSES["vae_elbo"] = Loss(
    "vae_elbo", "torch.distributions.kl_divergence; catalogue/generative.md vae_elbo",
    vae_elbo, vae_elbo_library, ["output", "mean", "log_variance"], {"beta": 1, "free_bits": 0},
    {"reconstruction": ["mse", "bce", "l1"], "free_bits_of": ["sample", "batch"]}, list(vae_elbo_cases()), [])


# ---- huber -----------------------------------------------------------------------------------------------------------


def huber(x, p, o):
    r = x["input"] - x["target"]
    near = torch.minimum(r.abs(), floats(p["delta"]))  # the rest is linear; clamp would not let nan through
    return Rows(0.5 * near**2 + p["delta"] * (r.abs() - near))


def huber_library(x, p, o):
    args = x["input"], x["target"]
    rows = F.huber_loss(*args, reduction="none", delta=p["delta"])
    return Library("torch.nn.functional.huber_loss", rows, F.huber_loss(*args, delta=p["delta"]) if len(rows) else None)


def huber_cases():
    g = Draw("huber")
    both = {"input": g.normal(11, scale=1.5), "target": g.normal(11)}
    weights = flat(g.weight(11))
    mask = [1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0]
    yield Case("default", both)
    yield Case("sum", both, reduction="sum", grad_output=0.5)
    yield Case("none", both, reduction="none", grad_output=flat(g.normal(11)))
    yield Case("delta_half", both, {"delta": 0.5})
    yield Case("delta_large", both, {"delta": 16.0})
    yield Case("row_weight", both, row_weight=weights, row_mask=mask)
    yield Case("row_weight_none", both, reduction="none", row_weight=weights, row_mask=mask)
    yield Case("row_weight_sum", both, reduction="sum", row_weight=weights)
    yield Case("denominator", both, denominator=4.0, row_mask=mask)
    yield Case("all_masked", both, row_mask=[0] * 11)
    yield Case("kinks", {"input": floats([1.0, -1.0, 0.0, 2.5, 0.5, -1.5]), "target": floats([0.0, 0.0, 0.0, 1.5, 1.5, -1.5])},
               reduction="none")
    yield Case("large", {"input": floats([1e4, -1e4, 1e4, 0.0]), "target": floats([0.0, 0.0, -1e4, 1e4])})
    bad = {"input": floats([math.inf, -math.inf, math.nan, 1.0, 0.5]), "target": floats([0.0, 1.0, 0.0, math.nan, 2.0])}
    yield Case("not_finite", bad, reduction="none")
    yield Case("masked_not_finite", bad, row_mask=[0, 0, 0, 0, 1],
               stand_in={k: torch.where(v.isfinite(), v, 0) for k, v in bad.items()}, library=False, why="dropped rows are exactly 0")
    yield Case("one_row", {"input": floats([0.75]), "target": floats([2.5])})
    yield Case("no_rows", {"input": floats([]), "target": floats([])}, library=False, why="nothing kept: 0")


LOSSES["huber"] = Loss(
    "huber", "torch.nn.functional.huber_loss; catalogue/regression.md huber",
    huber, huber_library, ["input", "target"], {"delta": 1}, {}, list(huber_cases()), [])
