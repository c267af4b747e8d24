"""Shared by the rows: the network, the picture, and our way, a text through the public stages."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

SAMPLE = "sample:chelsea"


@cache
def adapter() -> Any:
    """Return EfficientNet-Lite0 as bbilang loads it, parameters without gradients."""
    from bbilang.runtime.models.loading import load

    return load("efficientnet_lite0")


@cache
def theirs() -> Any:
    """Return the same network as a user of a peer has it: a module in eval mode whose parameters have gradients."""
    import copy

    return copy.deepcopy(adapter().module).eval().requires_grad_(True)


@cache
def picture() -> Any:
    """Return (channel, y, x) in [0, 1]."""
    from bbilang.runtime.inputs.load import picture_of

    return picture_of(SAMPLE, "chelsea", adapter()).image


def normalized() -> Any:
    """Return (input=1, channel, y, x), as the network takes it."""
    return adapter().normalize(picture()[None])


@cache
def ranked() -> tuple[int, ...]:
    """Return all classes by their scores, highest first."""
    import torch

    with torch.no_grad():
        return tuple(adapter().module(normalized())[0].argsort(descending=True).tolist())


def page(text: str, model: Any = None, **options: Any) -> Callable[[], Any]:
    """Compile a text with options of `bbilang.optimize`. Calling the result runs it and returns its results. Nothing is
    cached on disk, so every call runs the network: EfficientNet-Lite0 unless another ``model`` is given."""
    import bbilang

    model = adapter() if model is None else model
    program = bbilang.check(bbilang.parse(text), model=model, input=picture())
    steps = bbilang.plan(bbilang.optimize(program, **options))
    return lambda: bbilang.execute(steps, model=model, input=picture(), cache=False)


def values(results: Any, offset: int, *dims: str) -> np.ndarray:
    """Return the numbers of the element at a position in the text, its axes in this order; the axis `input` of size 1
    is gone."""
    field = results.fields[results.program.elements[offset].id]
    return field.values.ordered(("input", *dims)).data[0]


def atoms(results: Any, offset: int, *dims: str) -> np.ndarray:
    """Return the atoms that the element at a position in the text shows, by the last of its axes."""
    field = results.fields[results.program.elements[offset].id]
    coordinates = field.coords[dims[-1]]
    return coordinates.ordered([d for d in ("input", *dims) if d in coordinates.dims]).data.reshape(-1)
