"""Rank interfaces by their goals: the Pareto front first, and why one is above another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from bbilang.compiler.complete.goals import WORDS, Goals

Keys: TypeAlias = tuple[tuple[float, ...], ...]


def front(goals: Sequence[Goals], by: Sequence[str] = tuple(WORDS)) -> list[bool]:
    """Return for each whether it is on the Pareto front: nothing else is at least as good in every goal and better in
    one."""
    keys = [_keys(each, by) for each in goals]
    distinct = sorted(set(keys))
    best: set[Keys] = set()
    for key in distinct:  # what comes later in this order cannot be better in the first goal
        if not any(_at_least(other, key) for other in best):
            best.add(key)
    return [key in best for key in keys]


def order(goals: Sequence[Goals], by: Sequence[str] = ()) -> list[int]:
    """Return the numbers of the interfaces, the best first.

    by: goals, the first counts most. Without: those on the front come first, and each part in the order of the mean of
    the ranks that it has in the five goals.
    """
    if by:
        return sorted(range(len(goals)), key=lambda number: (_keys(goals[number], by), number))
    ranks = [0.0] * len(goals)
    for goal in WORDS:
        places = {key: place for place, key in enumerate(sorted({each.key(goal) for each in goals}))}
        for number, each in enumerate(goals):
            ranks[number] += places[each.key(goal)] / max(len(places) - 1, 1)
    on_front = front(goals)
    return sorted(range(len(goals)), key=lambda number: (not on_front[number], ranks[number], number))


def why(above: Goals, below: Goals, by: Sequence[str] = ()) -> str:
    """Say why one interface is ranked above another: in which goals it is better, and in which it is worse."""
    if by:
        decides = next((goal for goal in by if above.key(goal) != below.key(goal)), None)
        if decides is None:
            return "equal in these goals, and first in the order of the language"
        return f"{_name(decides)}: {above.said(decides)}, not {below.said(decides)}"
    better = [_compared(goal, above, below) for goal in WORDS if above.key(goal) < below.key(goal)]
    worse = [_compared(goal, above, below) for goal in WORDS if above.key(goal) > below.key(goal)]
    parts = [f"better: {'; '.join(better)}" if better else "", f"worse: {'; '.join(worse)}" if worse else ""]
    return " · ".join(part for part in parts if part) or "equal in all goals"


def _compared(goal: str, above: Goals, below: Goals) -> str:
    return f"{_name(goal)} ({above.said(goal)}, not {below.said(goal)})"


def _name(goal: str) -> str:
    return goal.replace("_", " ")


def _keys(goals: Goals, by: Iterable[str]) -> Keys:
    return tuple(goals.key(goal) for goal in by)


def _at_least(one: Keys, other: Keys) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))
