"""Costs in words (`up to 6`, `1.9 GFLOP`, `2.1 s`), and what a run measured of a step."""

from __future__ import annotations

from bbilang.compiler.plan.plan import Step
from bbilang.grammar.frozen import frozen


@frozen
class Measured:
    """The measurements of one step: seconds, peak memory (bytes), passes through the network, and icons made and icons
    read from the cache. None: not measured."""

    seconds: float
    peak: int | None = None
    passes: int | None = None
    made: int | None = None
    cached: int | None = None


def passes_words(step: Step) -> str:
    """Return `6`, `up to 6`, `6 to 216` (icons), or "" for a step without passes."""
    if not step.passes:
        return ""
    if step.kind == "icons":
        return f"{step.least:,} to {step.passes:,}" if step.least != step.passes else f"{step.passes:,}"
    return f"up to {step.passes:,}" if step.bound else f"{step.passes:,}"


def si(number: float, unit: str) -> str:
    """Return a number with its SI prefix: 1.9 GFLOP, 526 kB."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def seconds_words(seconds: float) -> str:
    """Return a duration with its unit: 0.4 ms, 41 ms, 2.1 s, 80 s, 40 min, 3.5 h."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    if seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
