"""A program's plan as written beside the optimized one: the data that every form of an explanation is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

from bbilang.compiler.explain.logical import Defaults
from bbilang.compiler.explain.units import Measured
from bbilang.compiler.ir.program import Program
from bbilang.compiler.plan.plan import COUNTED, Plan, Step, StepKey
from bbilang.grammar.frozen import frozen

RESUMED = "forward passes above a change"
PASS_NAMES = {
    "scan": "passes over examples",
    "forward": "forward passes",
    "backward": "backward passes",
    "tangents": "tangents",
    "reruns": "reruns",
    "draw": "passes on examples, by elements",
}


@frozen
class Saving:
    """One thing that the optimizer reduces: passes of a kind, or FLOPs without those of icons. Forwards that take a
    part from one of another model are a kind of their own."""

    name: str
    before: int
    after: int

    @property
    def times(self) -> float:
        """The factor of the reduction: 1 where nothing can be saved, infinite where nothing is left."""
        if self.after:
            return self.before / self.after
        return float("inf") if self.before else 1.0


def names_of(parts: Iterable[Program]) -> list[str]:
    """Return what the parts of a program of several models are called: `b`; `b, icons` where the model was loaded
    before, and only its icons are left."""
    names: list[str] = []
    for part in parts:
        alias = part.models[0].alias
        names.append(f"{alias}, icons" if alias in names else alias)
    return names


@frozen
class PlanComparison:
    """Two plans of one program: ``before`` as written, with one pass for every node that needs one, and ``after`` as
    the optimizer leaves it. They are the same object where nothing was optimized.

    ``timings``: a measurement for each step of ``after`` that ran; ``timings_of``: of a program of several models, by
    `names_of`. ``probes``: the number of small extra runs that
    learn once how the network behaves. ``defaults``: default values of the operations' parameters, which are omitted.
    """

    before: Plan
    after: Plan
    timings: Sequence[tuple[Step, Measured]] = ()
    defaults: Defaults = field(default_factory=dict, repr=False)
    probes: int = 0
    timings_of: Mapping[str, Sequence[tuple[Step, Measured]]] = field(default_factory=dict)

    @property
    def of_models(self) -> Mapping[str, PlanComparison]:
        """Of a program of several models, the comparison of each by its name (`names_of`), in the order in which they
        run."""
        after = self.after.parts if self.optimized else self.before.parts
        names = names_of(part.program for part in after)
        return {
            name: replace(self, before=one, after=other, timings=self.timings_of.get(name, ()), probes=0)
            for name, one, other in zip(names, self.before.parts, after, strict=True)
        }

    @property
    def optimized(self) -> bool:
        return self.before is not self.after

    @property
    def measured(self) -> Mapping[StepKey, Measured]:
        """`Step.key` -> the step's measurements."""
        return {step.key: measured for step, measured in self.timings}

    @property
    def title(self) -> str:
        """The page's title: that of its interfaces, else the file's name."""
        program = self.before.program
        titles = [interface.title for interface in program.interfaces if interface.title]
        if titles:
            return " · ".join(titles)
        return program.source.name if program.source else "A page"

    def savings(self) -> list[Saving]:
        """Return the passes of each kind in either plan, then the FLOPs of all of them."""
        totals = [(kind, self.before.total(kind), self.after.total(kind)) for kind in COUNTED]
        above = [sum(step.passes for step in plan.every_step if step.resumes) for plan in (self.before, self.after)]
        savings = []
        for kind, a, b in totals:
            less = above if kind == "forward" else [0, 0]
            if a[0] or b[0]:
                savings.append(Saving(PASS_NAMES[kind], a[0] - less[0], b[0] - less[1]))
            if any(less):
                savings.append(Saving(RESUMED, *less))
        return [*savings, Saving("FLOPs", sum(a[1] for _, a, _ in totals), sum(b[1] for _, _, b in totals))]
