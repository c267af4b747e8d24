"""What a page may cost: one object that everything that makes pages takes. What the plan knows is compared before any
work; what only shows while it runs is watched (`runtime.watch`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from bbilang.compiler.check.settings import default
from bbilang.compiler.contract import did_you_mean
from bbilang.compiler.ir.program import Element, Program
from bbilang.compiler.plan.plan import COUNTED, Plan, Step
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span

UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
OF_BYTES = ("memory", "page")


@frozen
class Limits:
    """What a page may cost at most; None for no limit.

    ``passes``: through the network, with two for each step of an icon. ``seconds``: of computing, from the loading of
    the network on; checking a text may take as long. ``memory``: bytes that the plan keeps, and that the process or the
    device takes more than before. ``page``: bytes of the file. ``states``: that a reader can choose among in one
    element. ``elements``: of the page.

    Raises BbiError E433 for a limit that is no number above zero.
    """

    passes: int | None = None
    seconds: float | None = None
    memory: int | None = None
    page: int | None = None
    states: int | None = None
    elements: int | None = None

    def __post_init__(self) -> None:
        for name in NAMES:
            value = getattr(self, name)
            if value is None:
                continue
            plain = isinstance(value, int | float) and not isinstance(value, bool)
            if not plain or not math.isfinite(value) or value <= 0:
                help = "a number above zero, or None for no limit"
                raise BbiError(Diagnostic("E433", f"the limit `{name}` is {value!r}", help=help))

    @classmethod
    def strangers(cls) -> Limits:
        """Return limits for texts of people whom you do not know: a minute, some icons, 50 elements, 20 MB."""
        return cls(passes=100_000, seconds=60, memory=4 * 10**9, page=20 * 10**6, states=200, elements=50)

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in NAMES)

    def check(self, plan: Plan, source: Source | None) -> None:
        """Compare a plan. Raises BbiError E380, E381, E382, E435, each at the line that takes most."""
        found = list(self._exceeded(plan))
        if found:
            raise BbiError(found, source)

    def allows(self, elements: Sequence[Element], passes: int, bytes: int) -> bool:
        """Return whether a page of these elements is within the limits. ``passes``: those of its icons included."""
        return (
            (self.passes is None or passes <= self.passes)
            and (self.memory is None or bytes <= self.memory)
            and (self.elements is None or len(elements) <= self.elements)
            and (self.states is None or all(each.node.type.state_count <= self.states for each in elements))
        )

    def _exceeded(self, plan: Plan) -> Iterator[Diagnostic]:
        if self.passes is not None:
            works = [(_passes(plan, step), step) for step in plan.every_step]
            total = sum(work for work, _ in works)
            if total > self.passes:
                most, step = max(works, key=lambda pair: pair[0])
                message = f"this page needs up to {total:,} passes through the network, and {self.passes:,} are allowed"
                yield Diagnostic("E380", message, _span(step), f"{most:,} of them are for {step.kind}: {step.words}")
        every = plan.program.elements
        if self.elements is not None and len(every) > self.elements:
            surplus, earlier = every[self.elements], every[: self.elements]
            spans = plan.program.spans(surplus.node)[sum(each.node == surplus.node for each in earlier) :]
            message = f"this page has {len(every):,} elements, and {self.elements:,} are allowed"
            help = f"`{surplus.id}` is the first that is too many"
            yield Diagnostic("E435", message, spans[0] if spans else None, help)
        if self.states is not None:
            for element in plan.program.elements:
                count = element.node.type.state_count
                if count > self.states:
                    spans = plan.program.spans(element.node)
                    message = f"`{element.id}` has {count:,} states, and {self.states:,} are allowed"
                    help = "let the reader choose among fewer: `pick(..., top(5))`, or one choice in place of two"
                    yield Diagnostic("E381", message, spans[0] if spans else None, help)
        if self.memory is not None:
            for part in plan.parts or (plan,):
                total = sum(step.bytes for step in part.steps)
                if total > self.memory:
                    step = max(part.steps, key=lambda step: step.bytes)
                    message = (
                        f"this page keeps {_size(total)} while it is computed, and {_size(self.memory)} is allowed"
                    )
                    yield Diagnostic("E382", message, _span(step), f"{_size(step.bytes)} are of {step.words}")


NAMES = tuple(field.name for field in fields(Limits))
NO_LIMITS = Limits()


def _passes(plan: Plan, step: Step) -> int:
    if step.kind == "icons":
        return icon_passes(plan.program) * step.passes
    return step.passes if step.kind in COUNTED else 0


def icon_passes(program: Program) -> int:
    """Return the passes of one icon: a forward and a backward at each of its steps."""
    steps: int = program.setting("featvis.steps", default("featvis.steps"))
    return 2 * steps


def _span(step: Step) -> Span | None:
    return step.requested_by[0] if step.requested_by else None


def _size(count: float) -> str:
    return f"{count / 10**6:,.3g} MB" if count < 10**9 else f"{count / 10**9:,.3g} GB"


def limits_of(words: Mapping[str, object]) -> Limits:
    """Return the limits of names with numbers, as a command line has them: `memory=2GB`. Raises BbiError E433."""
    values: dict[str, float | int] = {}
    for name, value in words.items():
        if name not in NAMES:
            help = did_you_mean(name, NAMES, f"limits are {', '.join(NAMES)}")
            raise BbiError(Diagnostic("E433", f"there is no limit `{name}`", help=help))
        values[name] = _number(name, value)
    return Limits(**values)  # type: ignore[arg-type]  # by their names


def _number(name: str, value: object) -> float | int:
    text = str(value).strip().replace("_", "")
    unit = next((unit for unit in UNITS if text.endswith(unit)), "") if name in OF_BYTES else ""
    try:
        number = float(text.removesuffix(unit)) * UNITS.get(unit, 1)
        return number if name == "seconds" else int(number)
    except (ValueError, OverflowError):
        help = "as in `memory=2GB`, `page=5MB`" if name in OF_BYTES else f"as in `{name}=60`"
        raise BbiError(Diagnostic("E433", f"the limit `{name}` is `{value}`", help=help)) from None
