"""Compute an attribution again, for another network, other images or other targets, by the same plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.identity_map import IdentityMap
from bbilang.compiler.ir.program import Node, Program, Rerun, walk
from bbilang.compiler.optimize.rewrite import with_derivatives
from bbilang.compiler.optimize.target_slots import captured_at
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.trust.case import Case

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.models.adapter import Adapter


def restricted_to(program: Program, node: Node) -> Program:
    """Reduce a program to the derivatives of one operation and the forward passes that they read."""
    restricted = [
        replace(step, requests=tuple(request for request in step.requests if request.node is node))
        for step in program.derivatives
        if any(request.node is node for request in step.requests)
    ]
    needed: dict[int, set[str]] = {}  # index of a forward -> the layers that are read of it
    for step in restricted:
        layers = needed.setdefault(step.forward, set())
        layers |= set(step.layers)
        for target in step.targets:
            layers |= set(captured_at(target, step.target_layer))
        if isinstance(step, Rerun) and step.baseline >= 0:
            needed.setdefault(step.baseline, set()).add(step.layer)
    forwards = tuple(
        replace(f, layers=tuple(x for x in f.layers if x in needed[i])) if i in needed else f
        for i, f in enumerate(program.forwards)
    )
    return with_derivatives(replace(program, forwards=forwards), restricted)


def repeated(field: Field, inputs: int, copies: int) -> Field:
    """Repeat a field's inputs ``copies`` times: input i of copy c is at c * inputs + i."""
    if copies == 1:
        return field
    return field.take("input", Named(("input",), np.tile(np.arange(inputs), copies)))


class Reattribution:
    """Attributions of the same atoms to the same classes, computed again. ``adapter``: another network. ``images``:
    (copy * input, channel, y, x), in place of the inputs. ``target``: in place of the case's target."""

    def __init__(self, case: Case, adapter: Adapter | None = None, images: Tensor | None = None,
                 target: Field | None = None):  # fmt: skip
        run, node = case.run, case.attribution
        self.case, self.copies = case, 1 if images is None else len(images) // case.inputs
        # The atoms and classes stay the same.
        known: IdentityMap[Node, Field] = IdentityMap()
        for child in walk(*node.children):
            known[child] = repeated(run.value(child), case.inputs, self.copies)
        if target is not None:
            known[node["to"]] = repeated(target, case.inputs, self.copies)
        images = run.images if images is None else images
        pictures = np.concatenate([run.pictures] * self.copies)
        self.run = run.again(restricted_to(run.program, node), adapter or run.adapter, images, pictures, known.items())

    def field(self) -> Field:
        return self.run.value(self.case.attribution)

    def attributions(self, extra_axis: str = "") -> np.ndarray:
        """Return the attributions (copy, input, target, atom); with one ``more`` axis of the targets, (copy, input,
        target, more, atom)."""
        case, values = self.case, self.field().values
        extra_size = (values.sizes[extra_axis],) if extra_axis else ()
        dims = ("input", *case.targets, *([extra_axis] if extra_axis else []), *case.keep)
        shape = (self.copies * case.inputs, *case.target_sizes, *extra_size, *case.sizes)
        data = np.broadcast_to(values.spread(dims), shape)
        return data.reshape(self.copies, case.inputs, -1, *extra_size, case.atoms).astype(np.float64)


def of_images(case: Case, copies: list[Tensor]) -> Iterator[np.ndarray]:
    """Yield the attributions (input, target, atom) of each copy of the inputs, computed in batches."""
    import torch

    block = max(1, (32 if case.step.above else 1) // case.inputs)
    for start in range(0, len(copies), block):
        yield from Reattribution(case, images=torch.cat(copies[start : start + block])).attributions()
