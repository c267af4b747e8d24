"""What the answers must be: hooks and gradients of plain torch, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.space.protocol import Difference, Numbers, Question, Target, Unit, one

SIDE_BRANCHES = {"block5c.expand", "block5b.project"}  # of the networks of the rows: inside of a residual block
Change = Callable[[Tensor], Tensor]


def values(network: nn.Module, given: Tensor, layers: tuple[str, ...], change: Change | None = None) -> list[Tensor]:
    """Return the results of layers and the scores of a forward; ``change`` replaces the first layer's result."""
    found: dict[str, Tensor] = {}

    def hook(layer: str) -> Callable[..., Tensor | None]:
        def keep(part: nn.Module, arguments: object, result: Tensor) -> Tensor | None:
            found[layer] = (change(result) if change is not None and layer == layers[0] else result).clone()
            return found[layer].clone()  # which the next module may overwrite

        return keep

    handles = [network.get_submodule(x).register_forward_hook(hook(x)) for x in dict.fromkeys(layers) if x != "input"]
    try:
        scores = network(given)
    finally:
        for handle in handles:
            handle.remove()
    return [given if layer == "input" else found[layer] for layer in layers] + [scores]


def score(scores: Tensor, target: Target) -> Tensor:
    """Return the score of a class, or a difference of two."""
    if isinstance(target, Difference):
        return scores[0, target.more] - scores[0, target.less]
    assert isinstance(target, int)
    return scores[0, target]


def activation(question: Question) -> Numbers:
    with torch.no_grad():
        return values(question.network, question.given, question.layers)[0][0].numpy()


def attribution(question: Question) -> Mapping[str, Numbers]:
    """Gradient x activation, one target and one layer after the other."""
    units = [target.layer for target in question.targets if isinstance(target, Unit)]
    rows: dict[str, list[Numbers]] = {layer: [] for layer in question.layers}
    for layer in question.layers:
        for target in question.targets:
            given = question.given.clone().requires_grad_()
            *found, scores = values(question.network, given, (layer, *units))
            end = found[1][0, target.channel].sum() if isinstance(target, Unit) else score(scores, target)
            (gradient,) = torch.autograd.grad(end, found[0])
            rows[layer].append((gradient * found[0])[0].detach().numpy())
    spent = {"channel": (2, 3), "position": (1,), "pixel": ()}[question.atoms]
    return {layer: np.stack(each).sum(spent) for layer, each in rows.items()}


def missing(question: Question) -> Numbers:
    """The difference of the scores of the picture and of black, for each target."""
    with torch.no_grad():
        both = question.network(
            torch.cat([question.given, question.normalize(torch.zeros_like(question.picture)[None])])
        )
    return np.array([float(score(both[:1], t) - score(both[1:], t)) for t in question.targets])


def occlusion(question: Question) -> Numbers:
    (target,), size = question.targets, question.size
    black = question.normalize(torch.zeros_like(question.picture)[None])
    count_y, count_x = (side // size for side in question.picture.shape[1:])
    falls = np.zeros((count_y, count_x))
    with torch.no_grad():
        whole = score(question.network(question.given), target)
        for y, x in np.ndindex(count_y, count_x):
            covered, place = (
                question.given.clone(),
                (..., slice(y * size, y * size + size), slice(x * size, x * size + size)),
            )
            covered[place] = black[place]
            falls[y, x] = whole - score(question.network(covered), target)
    return falls


def _effect(question: Question, change: Change) -> float:
    layer, target = one(question)
    with torch.no_grad():
        whole = score(question.network(question.given), target)
        return float(score(values(question.network, question.given, (layer,), change)[-1], target) - whole)


def ablation(question: Question) -> Numbers:
    def without(channel: int) -> Change:
        return lambda x: x * (torch.arange(x.shape[1]) != channel)[:, None, None]

    return np.array([_effect(question, without(channel)) for channel in range(activation(question).shape[0])])


def patching(question: Question) -> Numbers:
    assert question.other is not None
    with torch.no_grad():
        there = values(question.network, question.other, question.layers)[0]
    shape = there.shape[2:]

    def patched(y: int, x: int) -> Change:
        here = torch.zeros(shape, dtype=torch.bool)
        here[y, x] = True
        return lambda own: torch.where(here, there, own)

    return np.array([_effect(question, patched(y, x)) for y, x in np.ndindex(*shape)]).reshape(tuple(shape))


def examples(question: Question) -> NDArray[np.integer]:
    assert question.pictures is not None
    with torch.no_grad():
        maps = [values(question.network, picture[None], question.layers)[0][0] for picture in question.pictures]
    most = torch.stack(maps).amax((2, 3)).numpy()
    return np.argsort(-most, 0, kind="stable")[: question.count].T


def cuts(question: Question) -> Mapping[str, bool]:
    return {layer: layer not in SIDE_BRANCHES for layer in question.layers}


def reconstruction(question: Question) -> float:
    """Return the relative error of scikit-learn's factorization."""
    from sklearn.decomposition import NMF

    maps = activation(question)
    flat = maps.reshape(maps.shape[0], -1).T
    model = NMF(question.count, init="nndsvda", max_iter=400, random_state=question.seed)
    weights = model.fit_transform(flat)
    return float(np.linalg.norm(flat - weights @ model.components_) / np.linalg.norm(flat))


ORACLES: dict[str, Callable[[Question], object]] = {
    "activation": activation, "attribution": attribution, "occlusion": occlusion, "ablation": ablation,
    "patching": patching, "examples": examples, "cuts": cuts,
}  # fmt: skip
