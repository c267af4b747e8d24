"""The budget of an element: the sum of its numbers, the score, and the effect of removing the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import bound
from bbilang.compiler.ir.program import Element, Node
from bbilang.compiler.ir.types import ATOM_AXES
from bbilang.compiler.optimize.budget import Budgeted, budgeted
from bbilang.runtime.fields.field import TERM, Field, Named, combine
from bbilang.runtime.fields.method_axis import METHOD

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run

Budget = dict[str, Named]
"""Numbers over some of the axes input, class, layer, method and states, of one attribution:

``score``: of the targets. ``removed``: the same without the layer, minus the score. ``total``: the sum over all atoms;
NaN where a method's numbers are no contributions. ``baseline``: the score that a complete method's contributions start
from; NaN for others. ``atoms``: how many there are, each layer's own. ``groups``: of a flow, the sum over the groups
that it draws. ``classes``: the targets' names. Absent where unknown.
"""


def budget_of(element: Element, run: Run) -> Budget | None:
    """Return the budget of an element, or None if it shows no attribution to scores."""
    known = budgeted(element.node, run.registry)
    if known is None:
        return None
    from bbilang.runtime.attribution.removal import removed

    target: Field = run.value(known.attribution["to"])
    if target.index is None or target.weight is None:
        return None
    budget = {"score": target.values} | ({"classes": target.names["class"]} if "class" in target.names else {})
    without = [removed(run, layer) for layer in known.layers]
    if any(scores is not None for scores in without):
        blank = np.full_like(next(scores for scores in without if scores is not None), np.nan)
        table = np.stack([blank if scores is None else scores for scores in without])
        change = combine(np.subtract, _at(Named(("layer", "input", "class*"), table), target), target.values)
        budget["removed"] = change
    if known.whole is not None:
        values, total = run.value(known.attribution).values, _total(known.whole, run)
        if total is not None:
            group = values.dims.index("group")
            dims = tuple(dim for dim in values.dims if dim != "group")
            budget |= {
                "total": total,
                "groups": Named(dims, np.asarray(np.nansum(values.data, group, dtype=np.float64))),
            }
        return budget
    totals = [_total(node, run) for node in known.each]
    if any(total is not None for total in totals):
        budget["total"] = _stacked(known, [total or _nan() for total in totals])
        budget["atoms"] = _atoms(known.each[0], run)
        baselines = [_baseline(node, run, target) or _nan() for node in known.each]
        if any(np.isfinite(baseline.data).any() for baseline in baselines):
            budget["baseline"] = _stacked(known, baselines)
    return budget


def _at(scores: Named, target: Field) -> Named:
    """Sum scores (..., class*) with the target's weights."""
    assert target.index is not None and target.weight is not None
    return combine(np.multiply, scores.take("class*", target.index), target.weight).summed(TERM)


def _nan() -> Named:
    return Named((), np.array(np.nan))


def _stacked(known: Budgeted, parts: list[Named]) -> Named:
    """Stack one part per method of a list."""
    if len(parts) == 1 and known.each[0] is known.attribution:
        return parts[0]
    dims = tuple(dict.fromkeys(d for part in parts for d in part.dims))
    shape = np.broadcast_shapes(*(part.spread(dims).shape for part in parts))
    return Named((*dims, METHOD), np.stack([np.broadcast_to(part.spread(dims), shape) for part in parts], -1))


def _total(node: Node, run: Run) -> Named | None:
    """Return the sum over all atoms of each layer; None if the field lacks some atoms or its numbers are not
    contributions."""
    method, parameters = bound(run.registry, node["method"])
    if not method.contributes(parameters) or not _whole(node):
        return None
    values = run.value(node).values
    spent = {axis.name for axis in node.type.axes} - {"input", "class", "layer"}
    axes = tuple(number for number, dim in enumerate(values.dims) if dim in spent)
    total = np.asarray(np.nansum(values.data, axes, dtype=np.float64))
    return Named(tuple(d for d in values.dims if d not in spent), total)


def _whole(node: Node) -> bool:
    """Return whether the attribution has every atom of its layers exactly once."""
    (frame,) = node.inputs
    if node.type.atom == "group":
        return node.type.axis("group") is not None and "group" not in {state.name for state in node.type.states}
    known = {component for axis in frame.type.axes for component in axis.components if axis.whole and axis.exact}
    return frame.op == "substrate" and set(ATOM_AXES.get(node.type.atom, ("?",))) <= known


def _atoms(node: Node, run: Run) -> Named:
    """Return (layer,): the number of atoms of each layer."""
    if node.type.atom == "group":
        axis = node.type.axis("group")
        return Named(("layer",), np.full(len(node.type.layers), axis.size if axis else 0))
    counts = [int(np.prod(run.kept_shape(node, layer))) for layer in node.type.layers]
    return Named(("layer",), np.array(counts))


def _baseline(node: Node, run: Run, target: Field) -> Named | None:
    """Return the score at the baseline of a complete method: the score minus the difference that it was checked
    against. None for groups: a factorization leaves out a part of the layer, so no method is complete over them."""
    method, parameters = bound(run.registry, node["method"])
    if not method.completes or method.baseline(parameters) is None or node.type.atom == "group":
        return None
    table = run.table(node, node["to"])
    if set(table.checks) != set(node.type.layers) or target.weight is None:
        return None
    slots = run.slots(node, node["to"])
    checks = np.stack([table.checks[name][1] for name in node.type.layers])
    difference = Named(("layer", "slot", "input"), checks).take("slot", slots)
    if not run.attributes_sums(node, node["to"]):
        difference = combine(np.multiply, difference, target.weight)
    return combine(np.subtract, target.values, difference.summed(TERM))
