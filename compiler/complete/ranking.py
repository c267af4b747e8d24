"""Rank interfaces by their goals: the Pareto front first, and why one is above another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import le
from typing import TypeAlias

from bbilang.compiler.complete.goals import WORDS, Goals
from bbilang.compiler.complete.measured import HasGoals

Keys: TypeAlias = tuple[tuple[float, ...], ...]


def front(goals: Sequence[HasGoals], by: Sequence[str] = tuple(WORDS)) -> list[bool]:
    """Return for each whether it is on the Pareto front: nothing else is at least as good in every goal and better in
    one."""
    keys = _ranks(goals, by)
    best: list[tuple[int, ...]] = []
    for key in sorted(set(keys)):  # what comes later in this order cannot be better in the first goal
        for number, other in enumerate(best):
            if all(map(le, other, key)):
                best.insert(0, best.pop(number))  # what beats one, beats many
                break
        else:
            best.append(key)
    kept = set(best)
    return [key in kept for key in keys]


def _ranks(goals: Sequence[HasGoals], by: Iterable[str]) -> list[tuple[int, ...]]:
    """Return the place of each in every goal, among the different numbers that there are; smaller is better."""
    columns = []
    for goal in by:
        keys = [each.key(goal) for each in goals]
        places = {key: place for place, key in enumerate(sorted(set(keys)))}
        columns.append([places[key] for key in keys])
    return list(zip(*columns, strict=True))


def order(goals: Sequence[HasGoals], by: Sequence[str] = ()) -> list[int]:
    """Return the numbers of the interfaces, the best first.

    by: goals, the first counts most. Without: those on the front come first, and each part in the order of the mean of
    the ranks that it has in the five goals.
    """
    if by:
        return sorted(range(len(goals)), key=lambda number: (_keys(goals[number], by), number))
    ranks = _ranks(goals, WORDS)
    most = [max(max(column), 1) for column in zip(*ranks, strict=True)]
    means = [sum(rank / last for rank, last in zip(own, most, strict=True)) for own in ranks]
    on_front = front(goals)
    return sorted(range(len(goals)), key=lambda number: (not on_front[number], means[number], number))


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


def _keys(goals: HasGoals, by: Iterable[str]) -> Keys:
    return tuple(goals.key(goal) for goal in by)
