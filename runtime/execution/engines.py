"""The engines that compute derivatives: reverse mode, forward mode, interventions, and what methods and measures run
themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Backward, Rerun, Tangents

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run

Derivative: TypeAlias = Backward | Tangents | Rerun


def engine_of(step: Derivative, registry: Registry) -> Callable[..., None]:
    """Return the function that runs a group of derivatives; for reruns, that of the method."""
    if isinstance(step, Backward):
        from bbilang.runtime.attribution.reverse_mode import backward

        return backward
    if isinstance(step, Tangents):
        from bbilang.runtime.attribution.forward_mode import tangents

        return tangents
    if step.is_trial:
        return _trials
    if step.is_change:
        from bbilang.runtime.interventions.engine import changes

        return changes
    if step.is_removal:
        from bbilang.runtime.attribution.removal import removal

        return removal
    return registry.methods[step.method[0]].execute


def _trials(run: Run, step: Rerun) -> None:
    """Compute a measure of `trust` for every operation that demands it."""
    for request in step.requests:
        run.registry.operations[request.node.op].trial(request.node, step.method[0], run)
