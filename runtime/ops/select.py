"""`hover`, `click`, `pick`: every atom that a reader can choose, as the places of one axis of states."""

from __future__ import annotations

from typing import Any

import numpy as np

from bbilang.compiler.ir import Node
from bbilang.compiler.op import Operation
from bbilang.runtime.field import Field, Named


class Select(Operation):
    """The atoms that the thing shows, each once, in the order in which they first appear."""

    head = True

    def __init__(self, name: str):
        self.name = name  # type: ignore[misc]

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Any) -> Field:
        over = run.value(node["over"])
        axis = node.type.axes[0]
        dims = tuple(d for d in over.values.dims if any(d in over.coords[c].dims for c in axis.components))
        sizes = {d: s for c in axis.components for d, s in over.coords[c].sizes.items()}
        # States first, so that the first place is the first atom of the first state.
        order = tuple(sorted(sizes, key=lambda d: (d in over.type.names, dims.index(d) if d in dims else -1)))
        shape = [sizes[d] for d in order]
        columns = [np.broadcast_to(over.coords[c].spread(order), shape).ravel() for c in axis.components]
        atoms = np.stack(columns, axis=1)
        shown = (atoms >= 0).all(1)
        if set(order) == set(over.values.dims) and np.isnan(over.values.data).any():
            shown &= ~np.isnan(np.broadcast_to(over.values.spread(order), shape).ravel())
        atoms = atoms[shown]
        _, first = np.unique(atoms, axis=0, return_index=True)
        atoms = atoms[np.sort(first)]
        start = node["start"]
        if isinstance(start, tuple) and not (len(atoms) and (atoms == np.array(start)).all(1).any()):
            atoms = np.concatenate([atoms.reshape(-1, len(start)), np.array([start])])  # a start outside adds a state
        coords = {c: Named((axis.name,), atoms[:, i]) for i, c in enumerate(axis.components)}
        return Field(node.type, Named((axis.name,), np.zeros(len(atoms), np.float32)), coords)


OPERATIONS = (Select("hover"), Select("click"), Select("pick"))
