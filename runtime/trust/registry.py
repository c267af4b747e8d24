"""Every measure by name, and the run of one of them for one `trust`."""

from __future__ import annotations

from typing import Any

from bbilang.compiler.ir.program import Node, Rerun
from bbilang.compiler.optimize.trust_cost import tested
from bbilang.runtime.fields.field import Named
from bbilang.runtime.trust import (
    agreement,
    classes,
    curves,
    localization,
    path_dependence,
    random_weights,
    removal,
    road,
    sensitivity,
)
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Finding, Measure

FILES = (path_dependence, sensitivity, removal, agreement, random_weights, classes, curves, road, localization)
MEASURES: dict[str, Measure] = {measure.name: measure for file in FILES for measure in file.MEASURES}


def trial(run: Any, step: Rerun) -> None:
    """One step of the plan: a measure of the attributions that share it."""
    for request in step.requests:
        finding(request.node, step.method[0], run)


def finding(node: Node, name: str, run: Any) -> Finding:
    """What a measure says of the attribution before a `trust`; found once for all that share the step."""
    case = case_of(node, name, run)
    results = run.shared.trust_results.setdefault(case.step, {})
    if name not in results:
        run.value(case.attribution)  # its own passes are not the measure's
        results[name] = MEASURES[name].find(case)
    return results[name]


def beside(node: Node, name: str, run: Any) -> Named:
    """What a measure of atoms says of those that the element shows, over the axes of its values."""
    case, found = case_of(node, name, run), finding(node, name, run)
    assert found.spread is not None
    return case.placed(found.spread) if MEASURES[name].of_shown else case.shown(found.spread)


def case_of(node: Node, name: str, run: Any) -> Case:
    step = next(
        r for r in run.program.reruns
        if r.finds == "trust" and r.method[0] == name and any(a.node is node for a in r.requests)
    )  # fmt: skip
    return Case(node, tested(node), run.value(node.inputs[0]), step, run, node["n"])
