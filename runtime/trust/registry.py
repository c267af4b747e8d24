"""The measures of trust by name, and how one of them runs for a `trust` operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bbilang.compiler.contract import Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.optimize.trust_cost import tested
from bbilang.runtime.fields.field import Named
from bbilang.runtime.trust import (
    agreement,
    classes,
    curves,
    datamodeling,
    localization,
    path_dependence,
    random_weights,
    removal,
    road,
    sensitivity,
)
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Finding, Measure

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run as ExecutionRun

FILES = (path_dependence, sensitivity, removal, agreement, random_weights, classes, curves, road, localization,
         datamodeling)  # fmt: skip
DRAWN = 10  # where a text does not say how many
MEASURES: dict[str, Measure] = {measure.name: measure for file in FILES for measure in file.MEASURES}


def finding(node: Node, name: str, run: Run) -> Finding:
    """Measure the attribution before a `trust`, once for all that share the step."""
    case = case_of(node, name, run)
    results = case.run.shared.trust_results.setdefault(case.step, {})
    if name not in results:
        run.value(case.attribution)  # its own passes do not count as the measure's
        results[name] = MEASURES[name].find(case)
    return results[name]


def spread_of(node: Node, name: str, run: Run) -> Named:
    """Return a measure's numbers for the shown atoms, over the axes of the element's values."""
    case, result = case_of(node, name, run), finding(node, name, run)
    assert result.spread is not None
    return case.unflat_shown(result.spread) if MEASURES[name].of_shown else case.shown(result.spread)


def drawn(node: Node) -> int:
    """Return how many random paths, noisy copies or other classes a `trust` draws."""
    return int(node["n"] or DRAWN)


def case_of(node: Node, name: str, run: Run) -> Case:
    """Make the input of a measure. Measures run their own passes, so they get the complete run."""
    step = next(
        r for r in run.program.reruns
        if r.is_trial and r.method[0] == name and any(a.node is node for a in r.requests)
    )  # fmt: skip
    return Case(node, tested(node), run.value(node.inputs[0]), step, cast("ExecutionRun", run), drawn(node))
