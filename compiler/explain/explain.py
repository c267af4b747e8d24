"""A program's plan, explained: what the page is made of, and what runs for it, before and after the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from bbilang.compiler.explain.logical import Defaults
from bbilang.compiler.plan.plan import Plan, Step
from bbilang.compiler.plan.steps import PASSES
from bbilang.grammar.frozen import frozen

NAMES = {
    "forward": "forward passes",
    "backward": "backward passes",
    "tangents": "tangents",
    "reruns": "reruns",
}


@frozen
class Measured:
    """What a step took: seconds, the most memory that was in use during it (bytes), passes through the network as
    counted, and icons made anew and taken from the cache. None where nobody measured."""

    seconds: float
    peak: int | None = None
    passes: int | None = None
    made: int | None = None
    cached: int | None = None


@frozen
class Saving:
    """One thing that the optimizer reduces: passes of a kind, or FLOPs without those of icons."""

    name: str
    before: int
    after: int

    @property
    def times(self) -> float:
        """How many times less; 1 where nothing is to be had, infinite where nothing is left."""
        if self.after:
            return self.before / self.after
        return float("inf") if self.before else 1.0


@frozen
class Explanation:
    """A program's plan as written (one pass for every node that needs one) and as the optimizer leaves it.

    ``before`` and ``after`` are one plan where nothing was optimized. ``timings``: a measurement for each step of
    ``after``, where it was run, and ``probes``: the small runs besides, that learn once how the network conducts
    itself. ``defaults``: parameters of operations that need not be said. `str()` is for people;
    `to_json()` for tools (plan.schema.json); `to_svg()` a picture for a slide. A notebook shows the picture.
    """

    before: Plan
    after: Plan
    timings: Sequence[tuple[Step, Measured]] = ()
    defaults: Defaults = field(default_factory=dict, repr=False)
    probes: int = 0

    @property
    def optimized(self) -> bool:
        return self.before is not self.after

    @property
    def measured(self) -> Mapping[int, Measured]:
        """id of a step -> what it took."""
        return {id(step): found for step, found in self.timings}

    def savings(self) -> list[Saving]:
        """Passes of each kind that either plan has, and then the FLOPs of all of them."""
        totals = [(kind, self.before.total(kind), self.after.total(kind)) for kind in PASSES]
        found = [Saving(NAMES[kind], a[0], b[0]) for kind, a, b in totals if a[0] or b[0]]
        return [*found, Saving("FLOPs", sum(a[1] for _, a, _ in totals), sum(b[1] for _, _, b in totals))]

    def text(self, width: int = 100) -> str:
        """For people, in lines of at most ``width`` cells (80 is the least that keeps its promise)."""
        from bbilang.compiler.explain.text import text

        return text(self, width)

    def to_json(self) -> dict[str, Any]:
        """Everything, for tools, as plan.schema.json beside this file describes it."""
        from bbilang.compiler.explain.json_form import to_json

        return to_json(self)

    def to_svg(self, theme: str = "auto") -> str:
        """A picture of the plan: standalone SVG, text as text. ``theme``: `auto` (what the reader prefers), `light` or
        `dark`. Raises ValueError for another."""
        from bbilang.compiler.explain.diagram import svg

        return svg(self, theme)

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": str(self)}

    def _repr_html_(self) -> str:
        """For notebooks: the picture, as wide as there is room."""
        return f'<div style="max-width:100%;overflow-x:auto">{self.to_svg()}</div>'


def passes_words(step: Step) -> str:
    """`6`, `up to 6`, `6 to 216` (icons), or nothing."""
    if not step.passes:
        return ""
    if step.kind == "icons":
        return f"{step.least:,} to {step.passes:,}" if step.least != step.passes else f"{step.passes:,}"
    return f"up to {step.passes:,}" if step.bound else f"{step.passes:,}"


def si(number: float, unit: str) -> str:
    """1.9 GFLOP, 526 kB."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def seconds_words(seconds: float) -> str:
    """0.4 ms, 41 ms, 2.1 s, 80 s, 40 min, 3.5 h."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    if seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def title_of(explanation: Explanation) -> str:
    """The page's title: that of its interfaces, else the file's name."""
    program = explanation.before.program
    titles = [interface.title for interface in program.interfaces if interface.title]
    if titles:
        return " · ".join(titles)
    return program.source.name if program.source else "A page"
