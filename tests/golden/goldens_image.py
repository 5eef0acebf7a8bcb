"""Golden vectors of losses on images: total_variation, boundary, ciou."""

import itertools
import math

import torch

from common import *


# ---- total_variation -------------------------------------------------------------------------------------------------


def total_variation(x, p, o):
    v = x["input"]
    down, right = (v[:, 1:] - v[:, :-1]).abs(), (v[..., 1:] - v[..., :-1]).abs()
    sizes = [1, 1] if o["over"] == "sum" else [max(d[0].numel(), 1) for d in (down, right)]
    return Rows(down.sum((1, 2)) / sizes[0] + right.sum((1, 2)) / sizes[1])


def total_variation_library(x, p, o):
    from kornia.losses import total_variation as kornia

    return Library("kornia.losses.total_variation", kornia(x["input"], reduction=o["over"]))


def total_variation_cases():
    g = Draw("total_variation")
    x = {"input": g.normal(6, 4, 5)}
    mean = {"over": "mean"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(2, 3)))
    yield Case("mean", x, {}, mean)
    yield Case("mean_none", x, {}, mean, "none", row_weight=flat(g.weight(2, 3)), row_mask=[1, 0, 1, 1, 1, 1])
    yield Case("per_image", x, denominator=2.0)
    yield Case("equal", {"input": x["input"] * 0 + 0.5}, why="0, with gradient 0")
    yield Case("plateaus", {"input": (x["input"] * 0.5).round()})
    yield Case("one_row_of_pixels", {"input": g.normal(2, 1, 5)}, {}, mean)
    yield Case("one_column_of_pixels", {"input": g.normal(2, 5, 1)})
    yield Case("one_pixel", {"input": g.normal(4, 1, 1)}, {}, mean, why="0")
    yield Case("large", {"input": x["input"] * 4096})


LOSSES["total_variation"] = Loss(
    "total_variation", "kornia.losses.total_variation; catalogue/image_similarity.md total_variation",
    total_variation, total_variation_library, ["input"], {}, {"over": ["sum", "mean"]}, list(total_variation_cases()),
    ["kornia"])


# ---- boundary --------------------------------------------------------------------------------------------------------


def generalised_dice(s, g, smooth):
    """Of one image, class by class: probabilities and one-hot targets are [C, P]."""
    sizes = g.sum(1).tolist()
    present = [1 / size**2 for size in sizes if size > 0]
    above = below = smooth
    for size, sc, gc in zip(sizes, s, g):
        w = 1 / size**2 if size > 0 else max(present)
        above, below = above + 2 * w * (sc * gc).sum(), below + w * (sc + gc).sum()
    return 1 - above / below


def one_hot(x):
    return F.one_hot(x["target"].long(), x["probability"].shape[1]).movedim(-1, 1).double()


def boundary(x, p, o):
    rows = p["scale"] * torch.einsum("ncp,ncp->nc", x["distance"], x["probability"]) / x["distance"].shape[2]
    if o["region"] == "none":
        return Rows(rows)
    dice = [generalised_dice(s, g, p["smooth"]) for s, g in zip(x["probability"], one_hot(x))]
    return Rows(p["region_scale"] * torch.stack(dice) + rows.mean(1))


def boundary_library(x, p, o):
    from monai.losses import GeneralizedDiceLoss

    if o["region"] == "none" or p["scale"]:
        return None
    loss = GeneralizedDiceLoss(smooth_nr=p["smooth"], smooth_dr=p["smooth"], reduction="none")
    loss.w_func = lambda pixels: torch.reciprocal(pixels.double() ** 2)  # its own are float32
    return Library("monai.losses.GeneralizedDiceLoss", p["region_scale"] * loss(x["probability"], one_hot(x)).flatten())


def boundary_cases():
    g = Draw("boundary")
    x = {"probability": g.unit(2, 3, 6), "distance": g.normal(2, 3, 6, scale=2)}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", x, reduction="none", grad_output=flat(g.normal(2, 3)))
    yield Case("scale", x, {"scale": 0.25})
    yield Case("scale_zero", x, {"scale": 0.0})
    yield Case("without_background", x, row_mask=[0, 1, 1] * 2)
    yield Case("row_weight", x, row_weight=flat(g.weight(2, 3)))
    yield Case("class_absent", x | {"distance": x["distance"] * floats([1, 0, 1])[:, None]}, reduction="none")
    yield Case("one_pixel", {"probability": g.unit(2, 2, 1), "distance": g.normal(2, 2, 1)})
    dice, alone = {"region": "generalised_dice"}, {"scale": 0.0}
    y = x | {"target": ints([[0, 1, 2, 2, 1, 2], [2, 0, 0, 1, 0, 0]])}
    absent = y | {"target": ints([[0, 2, 2, 2, 0, 2], [1] * 6])}
    yield Case("generalised_dice", y, {"scale": 0.25, "region_scale": 0.75}, dice)
    yield Case("generalised_dice_alone", y, alone, dice)
    yield Case("generalised_dice_none", y, {"smooth": 0.5}, dice, "none", row_weight=flat(g.weight(2)), row_mask=[1, 1], grad_output=flat(g.normal(2)))
    yield Case("generalised_dice_absent", absent, alone, dice, "none")
    yield Case("generalised_dice_absent_sum", absent, {}, dice, "sum")
    yield Case("generalised_dice_exact", y, alone | {"smooth": 0.0}, dice)
    yield Case("generalised_dice_no_overlap", y | {"probability": 1 - one_hot(y)}, alone, dice)
    yield Case("generalised_dice_equal", y | {"probability": one_hot(y)}, alone, dice, why="0")


LOSSES["boundary"] = Loss(
    "boundary", "MONAI GeneralizedDiceLoss; catalogue/segmentation.md boundary, generalised_dice", boundary, boundary_library, ["probability"],
    {"scale": 1, "region_scale": 1, "smooth": 1e-5}, {"region": ["none", "generalised_dice"]}, list(boundary_cases()), ["monai"])


# ---- ciou ------------------------------------------------------------------------------------------------------------


def angle(w, h):
    """atan(w / h), pi/2 at h = 0; 0, with slope 0, for a point."""
    some = (w != 0) | (h != 0)
    return torch.where(some, torch.atan2(torch.where(some, w, 0), torch.where(some, h, 1)), 0)


class PaperAngle(torch.autograd.Function):
    """The slope of atan(w / h) as in the authors' box_iou backward: without 1 / (w^2 + h^2)."""

    @staticmethod
    def forward(ctx, w, h):
        ctx.save_for_backward(w, h)
        return angle(w, h)

    @staticmethod
    def backward(ctx, upstream):
        w, h = ctx.saved_tensors
        return upstream * h, -upstream * w


def ciou(x, p, o):
    (x1, y1, x2, y2), (u1, v1, u2, v2) = x["box"].unbind(1), x["target"].unbind(1)
    w, h = x2 - x1, y2 - y1
    inside = torch.relu(torch.minimum(x2, u2) - torch.maximum(x1, u1)) * torch.relu(torch.minimum(y2, v2) - torch.maximum(y1, v1))
    iou = inside / (w * h + (u2 - u1) * (v2 - v1) - inside + p["eps"])
    diagonal = (torch.maximum(x2, u2) - torch.minimum(x1, u1)) ** 2 + (torch.maximum(y2, v2) - torch.minimum(y1, v1)) ** 2
    centres = ((x1 + x2 - u1 - u2) ** 2 + (y1 + y2 - v1 - v2) ** 2) / 4
    turn = angle(u2 - u1, v2 - v1) - (PaperAngle.apply(w, h) if o["gradient"] == "paper" else angle(w, h))
    turn = torch.where((w == 0) & (h == 0), 0, turn)
    v = 4 / math.pi**2 * turn**2
    alpha = (v / (1 - iou + v + p["eps"])).detach()
    alpha = torch.where(iou < p["iou_from"], 0, alpha)
    return Rows(1 - iou + centres / (diagonal + p["eps"]) + alpha * v)


def ciou_library(x, p, o):
    from torchvision.ops import complete_box_iou_loss

    if p["iou_from"] or p["eps"] != 1e-7:  # its eps reaches alpha only
        return None
    rows = complete_box_iou_loss(x["box"], x["target"])
    return Library("torchvision.ops.complete_box_iou_loss", rows, complete_box_iou_loss(x["box"], x["target"], "mean"),
                   value_only=o["gradient"] == "paper")


def ciou_cases():
    g = Draw("ciou")

    def boxes(n):
        corner = g.normal(n, 2, scale=0.5)
        return torch.cat([corner, corner + g.weight(n, 2)], 1)

    x = {"box": boxes(8), "target": boxes(8)}
    near = {"box": x["target"] + g.normal(8, 4, scale=0.0625), "target": x["target"]}
    paper = {"gradient": "paper"}
    rw, mask = flat(g.weight(8)), [1, 1, 0, 1, 1, 1, 1, 1]
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=0.5)
    yield Case("none", near, reduction="none", grad_output=flat(g.normal(8)))
    yield Case("paper", x, {}, paper)
    yield Case("paper_none", near, {}, paper, "none", row_weight=rw, row_mask=mask)
    yield Case("iou_from", x | {"box": near["box"] + floats([0, 0.5, 0, 0.25])}, {"iou_from": 0.5}, reduction="none")
    yield Case("iou_from_paper", near, {"iou_from": 0.75}, paper, "sum")
    yield Case("eps_large", x, {"eps": 0.125})
    yield Case("row_weight", x, row_weight=rw, row_mask=mask)
    yield Case("all_masked", x, row_mask=[0] * 8)
    yield Case("equal", {"box": x["target"], "target": x["target"]}, why="all maxima and minima tie")
    apart = x["box"] + floats([64.0, -32.0, 64.0, -32.0])
    yield Case("apart", {"box": apart, "target": x["target"]}, why="no overlap: IoU 0, the centres still pull")
    inside = torch.cat([x["target"][:, :2] + 0.03125, x["target"][:, 2:] - 0.03125], 1)
    yield Case("inside", {"box": inside, "target": x["target"]})
    level = x["box"].clone()
    level[:, 3] = level[:, 1]
    yield Case("without_height", {"box": level, "target": x["target"]}, library=False, why="torch: nan slope of atan(w / 0)")
    point = level.clone()
    point[:, 2] = point[:, 0]
    yield Case("points", {"box": point, "target": x["target"]}, library=False, why="torch: atan(0 / 0) = nan; here v = 0")
    yield Case("large", {"box": x["box"] * 512, "target": x["target"] * 512})
    yield Case("one_box", {"box": boxes(1), "target": boxes(1)})


LOSSES["ciou"] = Loss(
    "ciou", "torchvision.ops.complete_box_iou_loss; catalogue/detection.md ciou",
    ciou, ciou_library, ["box"], {"eps": 1e-7, "iou_from": 0}, {"gradient": ["exact", "paper"]}, list(ciou_cases()),
    ["torchvision"])


# ---- ssim ------------------------------------------------------------------------------------------------------------


def similarities(a, b, size, p):
    """Luminance and structure of each window inside a pair of images or volumes, each over all of its pixels at once."""
    at = torch.arange(size).double() - (size - 1) / 2
    line = torch.exp(-(at**2) / (2 * p["sigma"] ** 2))
    weight = line
    for _ in a.shape[1:]:
        weight = weight[..., None] * line
    weight = weight / line.sum() ** a.dim()
    c1, c2 = (p["k1"] * p["data_range"]) ** 2, (p["k2"] * p["data_range"]) ** 2
    for corner in itertools.product(*(range(n - size + 1) for n in a.shape)):
        window = tuple(slice(i, i + size) for i in corner)
        u, v = a[window], b[window]
        mu, mv = (weight * u).sum(), (weight * v).sum()
        uu, vv, uv = (weight * (u - mu) ** 2).sum(), (weight * (v - mv) ** 2).sum(), (weight * (u - mu) * (v - mv)).sum()
        yield (2 * mu * mv + c1) / (mu**2 + mv**2 + c1), (2 * uv + c2) / (uu + vv + c2)


def ssim(x, p, o):
    size, r, axes = int(o["window"]), int(o["window"]) // 2, 3 if o["space"] == "volume" else 2
    rows = []
    for a, b in zip(x["input"].flatten(0, -1 - axes), x["target"].flatten(0, -1 - axes)):
        if o["border"] != "valid":
            mode = {"zero": "constant", "reflect": "reflect"}[o["border"]]
            a, b = (F.pad(v[None], (r, r) * axes, mode=mode)[0] for v in (a, b))
        values = [luminance * structure for luminance, structure in similarities(a, b, size, p)]
        rows.append(1 - torch.stack(values).mean() if values else 0 * a.sum())
    return Rows((0.5 if o["form"] == "dssim" else 1) * torch.stack(rows).reshape(x["input"].shape[:-axes]))


def ssim_library(x, p, o):
    from kornia import metrics

    axes = 3 if o["space"] == "volume" else 2
    if o["border"] == "zero" or (p["sigma"], p["k1"], p["k2"]) != (1.5, 0.01, 0.03) or int(o["window"]) % 2 == 0 or x["input"].dim() != 2 + axes:
        return None
    name, padding = "ssim3d" if axes == 3 else "ssim", {"valid": "valid", "reflect": "same"}[o["border"]]
    likeness = getattr(metrics, name)(x["input"], x["target"], int(o["window"]), float(p["data_range"]), 0.0, padding)
    rows = ((1 - likeness) * (0.5 if o["form"] == "dssim" else 1)).flatten(2).mean(2)
    return Library(f"1 - kornia.metrics.{name}", rows)


def ssim_cases():
    g = Draw("ssim")
    x = {"input": g.unit(1, 2, 12, 11), "target": g.unit(1, 2, 12, 11)}
    small = {"input": g.unit(2, 2, 4, 5), "target": g.unit(2, 2, 4, 5)}
    flat4 = {k: v.flatten(0, 1) for k, v in small.items()}
    three, zero, reflect = {"window": "3"}, {"border": "zero", "window": "3"}, {"border": "reflect", "window": "3"}
    yield Case("default", x)
    yield Case("sum", x, reduction="sum", grad_output=-2.0)
    yield Case("none", flat4, {}, three, "none", grad_output=flat(g.normal(4)))
    yield Case("dssim", small, {}, three | {"form": "dssim"})
    yield Case("zero", small, {}, zero)
    yield Case("zero_default_window", {k: v[:1, :1] for k, v in small.items()}, {}, {"border": "zero"})
    yield Case("reflect", small, {}, reflect)
    yield Case("reflect_dssim", x, {}, {"border": "reflect", "form": "dssim"})
    yield Case("even_window", small, {}, {"window": "4"})
    yield Case("sigma", small, {"sigma": 0.75}, three)
    yield Case("constants", small, {"k1": 0.25, "k2": 0.125}, three)
    yield Case("range", {k: 255 * v for k, v in small.items()}, {"data_range": 255.0}, three, why="kornia takes any range")
    yield Case("offset", {k: v + 4096 for k, v in small.items()}, {}, three, library=False, why="kornia: E x^2 - mu^2 cancels")
    yield Case("equal", {"input": small["input"], "target": small["input"]}, {}, three, why="0")
    yield Case("constant", {k: torch.full_like(v, 0.5) for k, v in small.items()}, {}, three)
    yield Case("row_weight", flat4, {}, three, row_weight=flat(g.weight(4)), row_mask=[1, 0, 1, 1])
    yield Case("denominator", small, {}, three, denominator=8.0)
    yield Case("all_masked", flat4, {}, three, row_mask=[0] * 4)
    yield Case("one_channel", {k: v[:, 0] for k, v in small.items()}, {}, three)
    yield Case("no_window", {k: v[..., :2] for k, v in small.items()}, {}, three, library=False, why="kornia: nan; here 0, there is no window")
    volumes = {"input": g.unit(1, 2, 4, 5, 3), "target": g.unit(1, 2, 4, 5, 3)}
    for border in ["valid", "zero", "reflect"]:
        yield Case(f"volume_{border}", volumes, {}, {"space": "volume", "border": border, "window": "3"})
    yield Case("volume_dssim", {k: v[0] for k, v in volumes.items()}, {}, {"space": "volume", "form": "dssim", "window": "2"})


LOSSES["ssim"] = Loss(
    "ssim", "kornia ssim; catalogue/image_similarity.md ssim, window by window", ssim, ssim_library, ["input"],
    {"sigma": 1.5, "data_range": 1, "k1": 0.01, "k2": 0.03}, {"space": ["image", "volume"], "border": ["valid", "zero", "reflect"], "form": ["ssim", "dssim"], "window": ["11"]},
    list(ssim_cases()), ["kornia"])


# ---- ms_ssim ---------------------------------------------------------------------------------------------------------


def ms_ssim(x, p, o):
    """ssim's windows, at every scale."""
    size = int(o["window"])
    rows = []
    for a, b in zip(x["input"].flatten(0, -3), x["target"].flatten(0, -3)):
        product = floats(1.0)
        for scale in range(1, int(o["scales"]) + 1):
            if scale > 1:
                a, b = (F.avg_pool2d(v[None, None], 2)[0, 0] for v in (a, b))
            last = scale == int(o["scales"])
            terms = [l * s if last else s for l, s in similarities(a, b, size, p)]
            mean = torch.stack(terms).mean()
            product = product * (mean ** p[f"weight_{scale}"] if mean > 0 else 0 * mean)
        rows.append(1 - product)
    return Rows(torch.stack(rows).reshape(x["input"].shape[:-2]) + 0 * x["input"].sum())


def ms_ssim_cases():
    g = Draw("ms_ssim")

    def pair(*shape, apart=0.25):
        a = g.unit(*shape)
        return {"input": a, "target": a + apart * g.normal(*shape)}

    x, three, two = pair(2, 12, 12), {"window": "3", "scales": "3"}, {"window": "3", "scales": "2"}
    less = {k: v[:, :6, :7] for k, v in x.items()}
    yield Case("three", x, {}, three)
    yield Case("three_none", x, {}, three, "none", grad_output=flat(g.normal(2)))
    yield Case("one", less, {}, {"window": "3", "scales": "1"})
    yield Case("constants", less, {"k1": 0.25, "k2": 0.125}, two)
    yield Case("sum", less, {}, two, "sum", grad_output=-2.0)
    yield Case("weights", x, {"weight_1": 0.5, "weight_2": 0.0, "weight_3": 1.5}, three)
    yield Case("row_weight", less, {}, two, row_weight=flat(g.weight(2)), row_mask=[1, 0])
    yield Case("all_masked", less, {}, two, row_mask=[0] * 2)
    yield Case("range", {k: 255 * v for k, v in less.items()}, {"data_range": 255.0, "sigma": 0.75}, two)
    yield Case("channels", pair(2, 2, 6, 7), {}, two)
    yield Case("four_scales", pair(1, 16, 17), {}, {"window": "2", "scales": "4"})
    yield Case("five_scales", pair(1, 32, 33), {}, {"window": "2"})
    yield Case("default_window", pair(1, 12, 12, apart=0.125), {}, {"scales": "1"})
    yield Case("equal", {"input": less["input"], "target": less["input"]}, {}, two, why="0")
    yield Case("negative", {"input": x["input"], "target": 1 - x["input"]}, {}, three, why="1 with gradient 0")


LOSSES["ms_ssim"] = Loss(
    "ms_ssim", "Wang, Simoncelli and Bovik 2003, window by window; catalogue/image_similarity.md ms_ssim", ms_ssim, lambda x, p, o: None,
    ["input"], {"sigma": 1.5, "data_range": 1, "k1": 0.01, "k2": 0.03, "weight_1": 0.0448, "weight_2": 0.2856, "weight_3": 0.3001, "weight_4": 0.2363,
                "weight_5": 0.1333}, {"scales": ["5", "4", "3", "2", "1"], "window": ["11"]}, list(ms_ssim_cases()), [])
