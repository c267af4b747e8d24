"""The numbers of one element, as drawn."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:
    import numpy as np

    from bbilang.compiler.contract import Registry
    from bbilang.runtime.execution.results import Results


BUDGET = ("score", "removed", "total", "baseline")


@frozen
class Data:
    """The numbers of an element. ``values`` has one axis for each name in ``axes``; NaN where there is no atom.

    coords: component ("channel", "y", "x", "class") -> (names of the axes it depends on, integers): which atom stands
    at each index. labels: axis -> (names of axes, words), for classes. budget: of an attribution to scores, name ->
    (names of axes, numbers): ``score``; ``removed``, what the score changes by without the layer; ``total``, the sum
    over all atoms; ``baseline``, the score that a complete method starts from. tables: of an atlas, name -> (names of
    axes, numbers): see `runtime.fields.binned.Binned`; of layers that are compared, ``random``, their similarity with
    random weights; of an effect, ``before`` and ``controls``.
    """

    content: str
    unit: str
    axes: tuple[str, ...]
    values: np.ndarray
    coords: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    labels: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    budget: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    tables: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)


def data_of(results: Results, name: str, registry: Registry) -> Data:
    """Return the numbers of the element ``name``, without the axis of a single input. Raises KeyError."""
    import numpy as np

    from bbilang.runtime.fields.binned import Binned
    from bbilang.runtime.fields.field import Linked, Named
    from bbilang.runtime.view.linked_table import matrix_of

    node = next(element.node for element in results.program.elements if element.id == name)
    drawn = registry.styles[node["style"]].drawn(results.fields[name])
    if isinstance(drawn, Linked):
        drawn = matrix_of(drawn, results)
    if "input" in drawn.values.dims and drawn.values.sizes["input"] == 1:
        drawn = drawn.take("input", Named((), np.array(0)))
    values = drawn.values
    coords = {c: (a.dims, a.data) for c, a in drawn.coords.items() if c != "input" or a.data.ndim}
    labels = {n: (a.dims, a.data) for n, a in drawn.names.items()}
    budget = {}
    for key in BUDGET:
        if (part := results.budgets.get(name, {}).get(key)) is not None:
            for axis in ("input", "layer"):  # no axis where there is one
                part = part.take(axis, Named((), np.array(0))) if part.sizes.get(axis) == 1 else part
            budget[key] = (part.dims, part.data)
    tables = {n: (a.dims, a.data) for n, a in drawn.beside.items()}
    tables |= {n: (a.dims, a.data) for n, a in drawn.tables.items()} if isinstance(drawn, Binned) else {}
    return Data(drawn.type.content, drawn.type.unit, values.dims, values.data, coords, labels, budget, tables)
