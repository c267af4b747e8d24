"""`hover`, `click`, `pick`, `slider`, `lasso`: selections of the reader, as an axis of states."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Operation, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import LASSO
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import Field, Named

EXAMPLE = "example"


class Select(Operation):
    """The atoms of an element, each once, in order of first appearance."""

    head = True

    def __init__(self, name: str):
        self.name = name  # type: ignore[misc]  # a ClassVar of operations; here one class has several names

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        over = run.value(node["over"])
        axis = node.type.axes[0]
        dims = tuple(d for d in over.values.dims if any(d in over.coords[c].dims for c in axis.components))
        sizes = {d: s for c in axis.components for d, s in over.coords[c].sizes.items()}
        # States first, so that the first choice is the first atom of the first state.
        order = tuple(sorted(sizes, key=lambda d: (d in over.type.names, dims.index(d) if d in dims else -1)))
        shape = [sizes[d] for d in order]
        columns = [np.broadcast_to(over.coords[c].spread(order), shape).ravel() for c in axis.components]
        atoms = np.stack(columns, axis=1)
        shown = (atoms >= 0).all(1)
        shown &= ~np.broadcast_to(_gone(over.values, order).spread(order), shape).ravel()
        atoms = atoms[shown]
        _, first = np.unique(atoms, axis=0, return_index=True)
        atoms = atoms[np.sort(first)]
        start = node["start"]
        if isinstance(start, tuple) and not (len(atoms) and (atoms == np.array(start)).all(1).any()):
            atoms = np.concatenate(
                [atoms.reshape(-1, len(start)), np.array([start])]
            )  # a start that is not shown adds a state
        if isinstance(start, Node):  # the output itself: no atom
            atoms = np.concatenate([atoms.reshape(-1, len(axis.components)), np.full((1, len(axis.components)), -1)])
        if not len(atoms):
            message = f"there is nothing to {self.name}: no atom is left to choose from"
            raise error("E507", message, help="loosen the `filter` before it")
        coords = {c: Named((axis.name,), atoms[:, i]) for i, c in enumerate(axis.components)}
        known = _named_examples(over, atoms[:, 0], axis.name) if axis.components[0] == EXAMPLE else {}
        return Field(node.type, Named((axis.name,), np.zeros(len(atoms), np.float32)), coords, columns=known)


def _named_examples(over: Field, examples: np.ndarray, axis: str) -> dict[str, Named]:
    """Return the label and the file of each of the examples (state,)."""
    rows = over.coords[EXAMPLE]
    columns: dict[str, Named] = {}
    for name in ("label", "file"):
        if name in over.columns:
            words = np.broadcast_to(over.columns[name].spread(rows.dims), rows.data.shape).ravel()
            known = dict(zip(rows.data.ravel().tolist(), words.tolist(), strict=True))
            columns[name] = Named((axis,), np.array([known.get(example, "") for example in examples.tolist()], object))
    return columns


class Slider(Operation):
    """The numbers that a reader can choose."""

    name = "slider"
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        values = Named((node.type.axes[0].name,), np.array(node["values"], np.float64))
        return Field(node.type, values, {"value": values})


class Lasso(Operation):
    """The examples that a reader encloses in a map: all of them until then."""

    name = LASSO
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        axis = (node.type.axes[0].name,)
        return Field(node.type, Named(axis, np.zeros(1, np.float32)), {LASSO: Named(axis, np.zeros(1, np.int64))})


def _gone(values: Named, dims: tuple[str, ...]) -> Named:
    """Return the mask of atoms without any value: filtered out, or outside a smaller layer."""
    missing = np.isnan(values.data)
    others = tuple(i for i, d in enumerate(values.dims) if d not in dims)
    remaining = tuple(d for d in values.dims if d in dims)
    return Named(remaining, missing.all(others) if others else missing)


OPERATIONS = (Select("hover"), Select("click"), Select("pick"), Slider(), Lasso())
