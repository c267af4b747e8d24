"""Networks with branches and curvature, and their derivatives written out: one atom or class at a time, in float64.

Nothing here is the product's but the pictures: hooks, scores of atoms, paths and blurs are the test's own.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import tiny
import torch
from closeness import close_to
from torch import Tensor, nn

from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.execution.results import Results
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.models.preprocess import Preprocess

MEAN, STD = (0.45, 0.4, 0.5), (0.25, 0.2, 0.3)


class Residual(nn.Module):
    """`b` is gone around by a sum; every unit is curved. `a` (6, 8, 8), `b` (6, 8, 8), `d` (5, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.BatchNorm2d(6), nn.SiLU())
        self.b = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.SiLU())
        self.d = nn.Sequential(nn.Conv2d(6, 5, 3, 2, 1), nn.Tanh())
        self.head = nn.Linear(5, len(tiny.LABELS))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        x = self.b(x) + x
        return self.head((self.d(x) * 3).sin().mean((2, 3)))


class Joined(nn.Module):
    """`b` is one of two branches that are joined; a batch norm after its convolution, an activation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 5, 3, 4, 1), nn.ReLU(inplace=True))
        self.b = nn.Sequential(nn.Conv2d(5, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU6(inplace=True))
        self.side = nn.Conv2d(5, 3, 1)
        self.d = nn.Sequential(nn.Conv2d(7, 6, 3, 2, 1), nn.Softplus())
        self.head = nn.Linear(6 * 4, len(tiny.LABELS))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        x = self.d(torch.cat([self.b(x), torch.relu_(self.side(x))], 1))
        return self.head(nn.functional.max_pool2d(x, 2).flatten(1))


MODELS = {"residual": Residual, "joined": Joined, "tiny": tiny.Tiny}


@cache
def adapter(name: str) -> Any:
    if name == "tiny":
        return tiny.adapter()
    module = tiny.build(MODELS[name], 5)
    for parameter in module.parameters():  # weak enough that nothing saturates
        parameter.data *= 0.4
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            with torch.random.fork_rng():
                torch.manual_seed(1)
                child.running_mean.uniform_(-0.2, 0.2)
                child.running_var.uniform_(0.5, 1.5)
    preprocess = Preprocess(tiny.SIZE, (tiny.SIZE, tiny.SIZE), mean=MEAN, std=STD)
    return adapt(module, (tiny.SIZE, tiny.SIZE), preprocess, labels=tiny.LABELS, name=name)


def run(text: str, model: str, inputs: int = 1, force: str | None = None, optimized: bool = True) -> Results:
    program = tiny.check(text, inputs, adapter(model))
    steps = plan(optimize(program, force=force) if optimized else program)
    own = replace(adapter(model), description=program.description)
    return execute(steps, registry(), own, tiny.pictures(inputs), icons=tiny.fake_icons)


def last(results: Results, *axes: str) -> np.ndarray:
    """The last element's numbers with these axes, `input` first."""
    array = list(results.fields.values())[-1].values
    return array.ordered(("input", *axes)).data


# --- the network in float64 ------------------------------------------------------------------------------------------


@cache
def network(model: str) -> nn.Module:
    return copy.deepcopy(adapter(model).module).double().eval().requires_grad_(False)


def prepared(model: str, images: Tensor) -> Tensor:
    images = images.double()
    if model == "tiny":
        return images
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (MEAN, STD))
    return (images - mean) / std


def values(model: str, images: Tensor, put: dict[str, Tensor] | None = None) -> tuple[dict[str, Tensor], Tensor]:
    """Return (layer -> activation, scores), connected by autograd. ``put``: replacements of layers' results."""
    module, captured, handles = network(model), {}, []
    images = (put or {}).get("input", images.double())
    captured["input"] = images if images.requires_grad else images.clone().requires_grad_()

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _given: Any, result: Tensor) -> Tensor:
            result_value = (put or {}).get(name, result.clone())
            captured[name] = result_value if result_value.requires_grad else result_value.clone().requires_grad_()
            return captured[name].clone()

        return hook

    for name, child in module.named_children():
        handles.append(child.register_forward_hook(keep(name)))
    try:
        scores = module(prepared(model, captured["input"]))
    finally:
        for handle in handles:
            handle.remove()
    return captured, scores


def part(cube: Tensor, atom: str, index: Any) -> Tensor:
    """One atom's part of (channel, y, x), all else 0. index: channel, (y, x) or (y, x, channel)."""
    mask = torch.zeros_like(cube)
    match atom:
        case "channel":
            mask[index] = 1
        case "spatial" | "pixel":
            mask[:, index[0], index[1]] = 1
        case "neuron":
            mask[index[2], index[0], index[1]] = 1
        case "whole":
            mask[:] = 1
    return cube * mask


def score(cube: Tensor, atom: str, index: Any) -> Tensor:
    """What a later atom is worth: a sum over positions, an activation, or the L2 norm of a vector."""
    own = part(cube, atom, index)
    return own.sum() if atom in ("channel", "neuron") else own.norm()


def slope(of: Tensor, at: Tensor, again: bool = True) -> Tensor:
    gradient = torch.autograd.grad(of, at, retain_graph=again, allow_unused=True)[0]
    return torch.zeros_like(at) if gradient is None else gradient


def indices(cube: Tensor, atom: str) -> list[Any]:
    channels, rows, columns = cube.shape
    if atom == "channel":
        return list(range(channels))
    if atom == "whole":
        return [()]
    places = [(y, x) for y in range(rows) for x in range(columns)]
    return places if atom in ("spatial", "pixel") else [(y, x, c) for y, x in places for c in range(channels)]


def attributed(model: str, layer: str, atom: str, to: list[Tensor], cube: Tensor) -> np.ndarray:
    """(atom, target): <the atom's part, d target / d activation>, each alone. ``cube`` (1, channel, y, x)."""
    effects = np.zeros((len(indices(cube[0], atom)), len(to)))
    for column, target in enumerate(to):
        gradient = slope(target, cube)[0]
        whole = cube[0].detach()
        for row, index in enumerate(indices(whole, atom)):
            effects[row, column] = float((part(whole, atom, index) * gradient).sum())
    return effects


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    """Assert agreement within this share of the largest, as so many roundings in float32; NaN at the same indices."""
    assert np.nanmax(np.abs(np.asarray(expected))) > 0
    close_to(actual, expected, dtype=np.float32, roundings=tolerance / np.finfo(np.float32).eps)
