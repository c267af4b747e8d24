"""Invariants of results, and of the model, which a run must leave unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import walk
from bbilang.grammar.verification import enabled, require
from bbilang.runtime.execution.results import Results
from bbilang.runtime.fields.field import SHADE, Field, Linked

if TYPE_CHECKING:
    from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def verify_results(results: Results) -> None:
    """Raise InvariantError if results are incomplete or not plain numbers."""
    program, inputs = results.program, len(results.pictures)
    elements = {element.id for element in program.elements}
    require(set(results.fields) == elements, f"there are fields of {sorted(results.fields)}, not of {sorted(elements)}")
    for name, field in (*results.fields.items(), *results.selections.items(), *results.sizes.items()):
        _verify_field(name, field, inputs)
    selections = {n["id"] for n in walk(*(e.node for e in program.elements)) if n.type.content == "selection"}
    require(selections == set(results.selections), "a selection has no atoms")
    for name, icons in results.icon_sets.items():
        require(name in elements, f"there are icons of {name}")
        data = icons.index.data
        require(bool(((data >= -1) & (data < len(results.icons))).all()), f"{name} shows an icon that is not there")
    for icon in filter(None, results.icons):  # a run whose icons are made later has None in their place
        require(icon.picture.dtype == np.uint8 and icon.picture.ndim == 3, "an icon is no picture")
    if results.probabilities is not None:
        require(len(results.probabilities) == inputs, "not every input has scores")


def _verify_field(name: str, field: Field, inputs: int) -> None:
    coords = (array for part, array in field.coords.items() if part != SHADE)  # which has axes of its own besides
    arrays = [field.values, *coords, *field.names.values()]
    require(all(isinstance(array.data, np.ndarray) for array in arrays), f"{name} is not made of arrays")
    sizes = field.values.sizes
    require(sizes.get("input", inputs) in (1, inputs), f"{name} has {sizes.get('input')} inputs of {inputs}")
    if isinstance(field, Linked):
        return  # the coordinates of a link are those of its ends
    for array in arrays[1:]:
        require(set(array.dims) <= set(sizes), f"coordinates of {name} have axes {array.dims}")
        require(all(size in (1, sizes[dim]) for dim, size in array.sizes.items()), f"coordinates of {name} do not fit")


@contextmanager
def model_restored(module: nn.Module) -> Iterator[None]:
    """Raise InvariantError if the block leaves a hook behind, or changes a mode, a gradient or a parameter."""
    if not enabled():
        yield
        return
    before = _state_of(module)
    try:
        yield
    finally:
        require(_state_of(module) == before, "the model is not as it was before the run")


def _state_of(module: nn.Module) -> list[object]:
    modules = [
        (path, child.training, *(tuple(getattr(child, hooks, {})) for hooks in HOOKS), "forward" in vars(child))
        for path, child in module.named_modules()
    ]
    parameters = [(name, p.requires_grad, id(p), id(p.grad)) for name, p in module.named_parameters()]
    return [modules, parameters]
