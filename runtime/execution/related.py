"""What forwards of the models of a page have in common: kept from one model to the next, by what the plan says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bbilang.compiler.ir.program import Program
from bbilang.compiler.optimize.related import graph_layers

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.passes.resume import Kept, Lend, Sharing


class KeptForwards:
    """What the forwards of models left for later ones: by model, baseline and inputs."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, bytes], Kept] = {}

    def put(self, run: Run, picture: str, kept: Kept) -> None:
        self._kept[run.program.models[0].alias, picture, run.rows.tobytes()] = kept

    def get(self, run: Run, model: str, picture: str) -> Kept | None:
        """Return what the forward of a model left; None where its numbers came from the cache, so that it did not
        run."""
        return self._kept.get((model, picture, run.rows.tobytes()))

    def release(self, later: Iterable[Program]) -> None:
        """Free what no later model resumes."""
        needed = {forward.resumes.model for program in later for forward in program.forwards if forward.resumes}
        for key in [key for key in self._kept if key[0] not in needed]:
            del self._kept[key]


def sharing_of(run: Run, number: int, related: KeptForwards) -> Sharing:
    """Return what the forward of that number leaves for later models, and takes from an earlier one."""
    from bbilang.runtime.passes.resume import Sharing

    program, forward = run.program, run.program.forwards[number]
    resumed, lend = forward.resumes, None if forward.rule else _lend(program, run.adapter)
    kept = related.get(run, resumed.model, forward.picture) if resumed else None
    if kept is None or resumed is None:
        return Sharing(lend)
    return Sharing(lend, kept, resumed.values, graph_layers(program, number))


def _lend(program: Program, adapter: Adapter) -> Lend | None:
    """Return what the forwards of a program leave, by paths of modules."""
    from bbilang.runtime.passes.resume import Lend

    lent, known = program.lent, adapter.description.by_name
    if lent is None:
        return None

    def paths(names: Iterable[str]) -> frozenset[str]:
        return frozenset(known[name].module for name in names if name in known)  # `input` has none

    used = paths(lent.layers)
    within = tuple(f"{path}." for path in used)
    apart = {x.module for x in adapter.description.layers if x.module not in used and not x.module.startswith(within)}
    values = {name: known[name].module for name in lent.values}
    order = [layer.module for layer in adapter.description.layers]
    last = max((path for path in (*used, *values.values()) if path in order), key=order.index, default="")
    return Lend(paths(lent.entered), paths(lent.changed), paths(lent.rewritten), frozenset(apart), values, last)
