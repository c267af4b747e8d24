"""The plan in words: before and after the optimizer, with passes, FLOPs and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bbilang.compiler.plan import Plan, Step
from bbilang.grammar.source import Source


@dataclass(frozen=True)
class Explanation:
    """A program's plan as written (one pass for every node that needs one) and as the optimizer leaves it.

    ``seconds`` are the measured times of the optimized plan's steps, where it was run.
    """

    before: Plan
    after: Plan
    seconds: Sequence[tuple[Step, float]] = ()

    def __str__(self) -> str:
        blocks = []
        for title, plan in (("as written", self.before), ("optimized", self.after)):
            blocks.append("\n".join([title, *self._steps(plan, plan is self.after)]))
        blocks.append(self._saved())
        return "\n\n".join(blocks)

    def _steps(self, plan: Plan, timed: bool) -> list[str]:
        source = plan.program.source
        measured = {id(step): seconds for step, seconds in self.seconds} if timed else {}
        lines = []
        for step in plan.steps:
            cost = [f"{'up to ' if step.bound and step.kind != 'icons' else ''}{_passes(step)}"] if step.passes else []
            cost += [si(step.flops, "FLOP")] if step.flops else []
            cost += [si(step.bytes, "B")] if step.bytes else []
            if id(step) in measured:
                cost.append(f"{measured[id(step)] * 1000:.0f} ms")
            lines.append(f"  {step.kind:<8}  {step.words:<58}  {' · '.join(cost):<34} {_lines(source, step)}".rstrip())
        return lines

    def _saved(self) -> str:
        words = []
        for kind in ("forward", "backward"):
            before, after = self.before.total(kind), self.after.total(kind)
            if before[0]:
                words.append(f"{kind} passes {before[0]} -> {after[0]}")
        flops = [sum(plan.total(kind)[1] for kind in ("forward", "backward")) for plan in (self.before, self.after)]
        ratio = f", {flops[0] / flops[1]:.1f} times less" if flops[1] and flops[0] > flops[1] else ""
        return f"{'; '.join(words)}; {si(flops[0], 'FLOP')} -> {si(flops[1], 'FLOP')}{ratio} (without icons)"

    def to_json(self) -> dict[str, Any]:
        """Both plans, for tools."""
        measured = {id(step): seconds for step, seconds in self.seconds}
        return {
            name: [_step_json(step, measured.get(id(step))) for step in plan.steps]
            for name, plan in (("before", self.before), ("after", self.after))
        }


def _passes(step: Step) -> str:
    noun = "icon" if step.kind == "icons" else "pass"
    count = f"{step.least} to {step.passes}" if step.kind == "icons" and step.least != step.passes else f"{step.passes}"
    plural = "" if step.passes == 1 else "s" if noun == "icon" else "es"
    return f"{count} {noun}{plural}"


def _lines(source: Source | None, step: Step) -> str:
    """The lines of the text that asked for a step."""
    if source is None or not step.asked:
        return ""
    lines = sorted({source.position(span.start)[0] for span in step.asked})
    return f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}"


def _step_json(step: Step, seconds: float | None) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "what": step.words,
        "passes": step.passes,
        "bound": step.bound,
        "flops": step.flops,
        "bytes": step.bytes,
        "asked": [{"start": span.start, "end": span.end} for span in step.asked],
        **({"seconds": seconds} if seconds is not None else {}),
    }


def si(number: float, unit: str) -> str:
    """1.9 GFLOP, 526 kB."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:g} {unit}"
