"""The budget lines of a flow: of each class what the groups give, what the factorization leaves out, and the score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bbilang.compiler.contract import Registry
from bbilang.compiler.optimize.budget import budgeted
from bbilang.runtime.fields.field import Named
from bbilang.runtime.view.budget.numbers import digits_of, plain, signed
from bbilang.runtime.view.drawing import Drawing, Index


def flow_lines(drawing: Drawing, registry: Registry) -> Callable[[Index], str]:
    """Return the lines of a state and panel, one for each class: "tiger cat: groups −1.03; left out by the
    factorization −0.41; all channels −1.44; score 9.17"."""
    budget, known = drawing.results.budgets.get(drawing.element.id), budgeted(drawing.node, registry)
    if known is None or budget is None or "groups" not in budget:
        return lambda index: ""
    axis = known.attribution.type.axis("class")

    def grid(part: Named) -> np.ndarray:
        part = part.take("layer", Named((), np.array(0))) if "layer" in part.dims else part
        return drawing.grid(part, *([axis] if axis else []))

    names = grid(budget["classes"])
    table = {name: grid(budget[name]) for name in ("groups", "total", "score", "removed") if name in budget}

    def lines(index: Index) -> str:
        rows = {key: np.atleast_1d(numbers[index]).tolist() for key, numbers in table.items()}
        every = [dict(zip(rows, sums, strict=True)) for sums in zip(*rows.values(), strict=True)]
        return "\n".join(map(_line, np.atleast_1d(names[index]).tolist(), every))

    return lines


def _line(name: str, sums: dict[str, float]) -> str:
    digits = digits_of(list(sums.values()))
    parts = [f"groups {signed(sums['groups'], digits)}",
             f"left out by the factorization {signed(sums['total'] - sums['groups'], digits)}",
             f"all channels {signed(sums['total'], digits)}", f"score {plain(sums['score'], digits)}"]  # fmt: skip
    if np.isfinite(sums.get("removed", np.nan)):
        parts.append(f"removing the layer {signed(sums['removed'], digits)}")
    return f"{name}: {'; '.join(parts)}"
