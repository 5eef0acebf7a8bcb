"""Golden vectors of losses over sorted values: lovasz_softmax, sliced_wasserstein."""

import math

import torch

from common import *


# ---- lovasz_softmax --------------------------------------------------------------------------------------------------


def lovasz_class(p, g):
    """Algorithm 1 of Berman et al. for one class: probabilities and truth of its pixels."""
    e = (g - p).abs()
    order = torch.sort(e.detach(), descending=True, stable=True).indices
    total, seen, missed, last, loss = g.sum(), 0.0, 0.0, 0.0, (p * 0).sum()
    for k in order.tolist():
        seen, missed = seen + g[k], missed + 1 - g[k]
        jaccard = 1 - (total - seen) / (total + missed)
        loss = loss + e[k] * (jaccard - last)
        last = jaccard
    return loss


def lovasz_softmax(x, p, o):
    def classes(q, y):
        """Loss of each class, and which count: q [C,P], y [P]."""
        keep = y != p["ignore_index"]
        q, y = q[:, keep], y[keep]
        each = torch.stack([lovasz_class(q[c], (y == c).to(q.dtype)) for c in range(len(q))])
        if o["classes"] == "listed":
            return each, x["class_mask"].bool()
        return each, torch.tensor([o["classes"] == "all" or bool((y == c).any()) for c in range(len(q))])

    q, y = x["probability"], x["target"]
    if o["per_image"] == "off":
        return Rows(*classes(q.flatten(1), y.flatten()))
    images = [classes(a, b) for a, b in zip(q.flatten(2), y.flatten(1))]
    return Rows(torch.stack([each[some].mean() if some.any() else (each * 0).sum() for each, some in images]))


def lovasz_softmax_library(x, p, o):
    from kornia.losses import lovasz_softmax_loss

    q, y = x["probability"], x["target"]
    if o["per_image"] == "off":
        q, y = q[None], y[None]
    q, y = q.flatten(2)[..., None], y.flatten(1)[..., None]
    counts = o["classes"] == "all" or all((y[i] == c).any() for i in range(len(q)) for c in range(q.shape[1]))
    if o["classes"] == "listed" or not counts or bool((y == p["ignore_index"]).any()) or bool((q.sum(1) != 1).any()):
        return None
    rows = [lovasz_softmax_loss(a[None].log(), b[None]) for a, b in zip(q, y)]
    origin = "kornia.losses.lovasz_softmax_loss of log(probability)"
    return Library(origin, mean=torch.stack(rows).mean(), value_only=True)  # its gradient passes through the softmax


def lovasz_softmax_cases():
    g = Draw("lovasz_softmax")
    x = {"probability": g.distribution(2, 3, 4, 3), "target": g.label(3, 2, 4, 3)}
    whole = {"probability": x["probability"].movedim(0, 1).contiguous(), "target": x["target"]}
    each, every = {"per_image": "on"}, {"classes": "all"}
    some = x["target"].clone()
    some[0, 1], some[1, :, 2] = -100, -100
    absent = torch.where(x["target"] == 1, 2, x["target"])
    nothing = x["target"].clone()
    nothing[1] = -100
    yield Case("default", whole)
    yield Case("sum", whole, reduction="sum", grad_output=0.5)
    yield Case("none", whole, reduction="none", grad_output=flat(g.normal(3)))
    yield Case("all", whole, {}, every)
    yield Case("class_absent", whole | {"target": absent}, reduction="none", why="the class is dropped")
    yield Case("class_absent_mean", whole | {"target": absent})
    yield Case("class_absent_all", whole | {"target": absent}, {}, every, "none")
    yield Case("ignore", whole | {"target": some}, reduction="none")
    yield Case("ignore_index", whole, {"ignore_index": 0}, every)
    yield Case("ignore_all", whole | {"target": x["target"] * 0 - 100}, why="nothing present: 0")
    yield Case("class_weight", whole, row_weight=flat(g.weight(3)), row_mask=[1, 0, 1])
    yield Case("free_probabilities", whole | {"probability": g.unit(3, 2, 4, 3)})
    yield Case("perfect", whole | {"probability": F.one_hot(x["target"], 3).double().movedim(-1, 0).contiguous()}, why="0")
    yield Case("wrong", whole | {"probability": F.one_hot((x["target"] + 1) % 3, 3).double().movedim(-1, 0).contiguous()})
    yield Case("volume", {"probability": g.unit(3, 2, 2, 3, 2), "target": g.label(3, 2, 2, 3, 2)})
    yield Case("one_pixel", {"probability": g.distribution(1, 3, 1)[0], "target": ints([2])})
    listed = {"classes": "listed"}
    yield Case("listed", whole | {"target": absent, "class_mask": floats([1, 1, 0])}, {}, listed, why="an absent class counts")
    yield Case("listed_none", whole | {"class_mask": floats([0, 0, 0])}, {}, listed, why="no class: 0")
    yield Case("per_image", x, {}, each)
    yield Case("per_image_listed", x | {"class_mask": floats([0, 1, 1])}, {}, each | listed, "none")
    yield Case("per_image_none", x, {}, each, "none", row_weight=flat(g.weight(2)), grad_output=flat(g.normal(2)))
    yield Case("per_image_all", x | {"target": absent}, {}, each | every)
    yield Case("per_image_class_absent", x | {"target": absent}, {}, each, "none")
    yield Case("per_image_ignore", x | {"target": some}, {}, each)
    yield Case("per_image_without_pixels", x | {"target": nothing}, {}, each, why="0, and the image counts")
    yield Case("per_image_without_pixels_all", x | {"target": nothing}, {}, each | every, "none")


LOSSES["lovasz_softmax"] = Loss(
    "lovasz_softmax", "kornia.losses.lovasz_softmax_loss; catalogue/segmentation.md lovasz_softmax",
    lovasz_softmax, lovasz_softmax_library, ["probability"], {"ignore_index": -100},
    {"per_image": ["off", "on"], "classes": ["present", "all", "listed"]}, list(lovasz_softmax_cases()), ["kornia"])


# ---- sliced_wasserstein ----------------------------------------------------------------------------------------------


def circle_wasserstein(a, b, p):
    """Of points on a circle of length 1: the least over all permutations that keep the order round it, each tried."""
    shifts = []
    for s in range(len(a)):
        gap = (a - torch.roll(b, -s)).abs()
        shifts.append((torch.minimum(gap, 1 - gap) ** p).mean())
    best = sorted(v.item() for v in shifts)
    assert len(best) < 2 or best[1] - best[0] > 1e-3 * best[1], "which shift is best could flip"
    return min(shifts, key=lambda v: v.item())


def planes(x):
    return torch.stack([x["directions"], x["orthogonal"]], 2)


def sphere_wasserstein(x, p):
    slices = []
    for plane in planes(x):
        turns = []
        for v in (x["x"] @ plane, x["y"] @ plane):
            some = (v != 0).any(1)
            angle = torch.where(some, torch.atan2(torch.where(some, v[:, 1], 0), torch.where(some, v[:, 0], 1)), 0)
            turns.append(torch.sort(angle / (2 * math.pi), stable=True).values)
        slices.append(circle_wasserstein(*turns, p["p"]))
    total = torch.stack(slices).mean()
    return Rows(total ** (1 / p["p"]) if total > 0 else total * 0)


def sliced_wasserstein(x, p, o):
    if o["space"] == "sphere":
        return sphere_wasserstein(x, p)
    slices = []
    for theta in x["directions"]:
        a, b = (torch.sort(v @ theta, stable=True).values for v in (x["x"], x["other" if o["sizes"] == "any" else "y"]))
        if o["sizes"] == "any":  # both repeated to one size
            a, b = a.repeat_interleave(len(b)), b.repeat_interleave(len(a))
        slices.append(((a - b).abs() ** p["p"]).mean())
    slices = torch.stack(slices)
    if o["over"] == "max" and len(slices) > 1:
        top = slices.detach().sort(descending=True).values
        assert top[0] - top[1] > 1e-3 or bool((top[0] == top[1])), "which direction is largest could flip"
    total = slices.mean() if o["over"] == "mean" else slices.amax()
    return Rows(total ** (1 / p["p"]) if total > 0 else total * 0)


def sliced_wasserstein_library(x, p, o):
    if o["space"] != "sphere":
        return None
    import ot

    points = [v / v.norm(dim=1, keepdim=True) for v in (x["x"], x["y"])]
    count = len(x["directions"])
    mean = ot.sliced.sliced_wasserstein_sphere(*points, n_projections=count, p=p["p"], projections=planes(x))
    return Library("ot.sliced.sliced_wasserstein_sphere", None, mean)


def sliced_wasserstein_cases():
    g = Draw("sliced_wasserstein")
    x = {"x": g.normal(9, 3), "y": g.normal(9, 3), "directions": g.normal(5, 3, scale=0.5)}
    largest = {"over": "max"}
    for over, options in ("", {}), ("max_", largest):
        for p in 1, 2, 3:
            yield Case(f"{over}p{p}", x, {"p": p}, options)
    yield Case("upstream", x, grad_output=0.5)
    yield Case("p_fraction", x, {"p": 1.5}, why="not an integer")
    yield Case("max_upstream", x, {"p": 1}, largest, grad_output=-2.0)
    yield Case("equal", x | {"y": x["x"]}, why="distance 0: gradient 0")
    yield Case("permuted", x | {"y": x["x"].flip(0).contiguous()}, {}, largest, why="the same set: 0")
    yield Case("shifted", x | {"y": x["x"] + floats([1.0, -0.5, 0.25])})
    yield Case("axes", x | {"directions": torch.eye(3, dtype=torch.float64)}, {"p": 1})
    yield Case("one_point", {"x": g.normal(1, 2), "y": g.normal(1, 2), "directions": g.normal(3, 2)})
    yield Case("one_direction", x | {"directions": floats([[0.6, 0.0, 0.8]]) * 1.25})
    yield Case("one_feature", {"x": g.normal(12, 1), "y": g.normal(12, 1), "directions": floats([[1.0], [-1.0]])})
    yield Case("large", {"x": x["x"] * 512, "y": x["y"] * 512, "directions": x["directions"]}, {"p": 3})
    any_size = {"sizes": "any"}
    some = lambda a, b: {"x": a, "other": b, "directions": x["directions"]}
    yield Case("any_size", some(x["x"], x["y"]), {}, any_size)
    fewer = some(x["x"], x["y"][:4] * 0.75)
    yield Case("fewer", fewer, {}, any_size, grad_output=0.5)
    yield Case("fewer_p1", fewer, {"p": 1}, any_size)
    yield Case("more_max", some(fewer["other"], x["x"]), {"p": 3}, any_size | largest)
    sphere = {"space": "sphere"}
    circles = {"x": g.normal(6, 3), "y": g.normal(6, 3) + floats([1.0, 0.5, -0.5]), "directions": g.normal(4, 3, scale=0.5),
               "orthogonal": g.normal(4, 3, scale=0.5)}
    for p in 1, 2, 3:
        yield Case(f"sphere_p{p}", circles, {"p": p}, sphere)
    yield Case("sphere_upstream", circles, {"p": 1.5}, sphere, grad_output=-0.5)
    east = floats([[-1, 0.125], [-1, -0.125], [-1, 0.5]])
    turned = {"x": east, "y": floats([[-1, -0.25], [-1, 0.375], [-1, -0.5]]), "directions": floats([[1, 0]]),
              "orthogonal": floats([[0, 1]])}
    yield Case("sphere_cut", turned, {}, sphere, why="across the angle pi, where the order of angles begins")
    yield Case("sphere_equal", turned | {"y": east.flip(0).contiguous()}, {}, sphere, library=False,
               why="the same set: 0; POT's gradient is nan")
    yield Case("sphere_one_point", {k: v[:1] for k, v in circles.items()}, {}, sphere, library=False,
               why="POT's search ends 1e-6 from the shift")
    yield Case("sphere_orthogonal", circles | {"x": circles["x"] * floats([0] + [1] * 5)[:, None]}, {}, sphere, library=False,
               why="a point without an angle: 0, gradient 0")


LOSSES["sliced_wasserstein"] = Loss(
    "sliced_wasserstein", "catalogue/transport_sequence.md sliced_wasserstein", sliced_wasserstein,
    sliced_wasserstein_library, ["x", "y", "other"], {"p": 2},
    {"over": ["mean", "max"], "sizes": ["equal", "any"], "space": ["euclidean", "sphere"]}, list(sliced_wasserstein_cases()), ["POT"])
