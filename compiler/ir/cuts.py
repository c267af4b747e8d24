"""Cuts of a network: the layers that every path from its input to its scores passes, from the graph of its layers.

A layer that is not a cut is a branch: some path bypasses it (a residual connection, a parallel branch), so that its
contributions need not add up to anything, and the network does without it what the rest makes of the input. Layers that
are no cuts alone may be one together: the two halves of a fork.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeAlias

Place: TypeAlias = Literal["cut", "branch", "unknown"]
Sources: TypeAlias = Mapping[str, Collection[str]]  # layer -> the layers whose results it is made of

PLACES: Mapping[Place, str] = {
    "cut": "every path from the input to the scores passes it",
    "branch": "some path from the input to the scores bypasses it",
    "unknown": "the network's graph could not be followed",
}
START, END = "input", "\0scores"


def dominators(sources: Sources, ends: Collection[str]) -> frozenset[str]:
    """Return the layers on every path from `input` to the scores, which are made of ``ends``. The keys of ``sources``
    are in an order in which every layer comes after its own; none where no path leads to the scores."""
    above: dict[str, str] = {}  # layer -> the nearest that all of its paths pass
    depth = {START: 0}
    for name, own in [*sources.items(), (END, ends)]:
        reached = [source for source in own if source in depth]
        if name == START or not reached:
            continue
        nearest = reached[0]
        for other in reached[1:]:
            while nearest != other:
                if depth[nearest] < depth[other]:
                    other = above[other]
                else:
                    nearest = above[nearest]
        above[name], depth[name] = nearest, depth[nearest] + 1
    passed, at = set(), above.get(END, START)
    while at != START:
        passed.add(at)
        at = above[at]
    return frozenset(passed)


def meets_every_path(sources: Sources, ends: Collection[str], names: Iterable[str]) -> bool:
    """Return whether every path from `input` to the scores passes at least one of these layers. False if there is no
    path."""
    return reaches(sources, ends) and not reaches(sources, ends, frozenset(names))


def reaches(sources: Sources, ends: Collection[str], closed: Collection[str] = ()) -> bool:
    """Return whether a path from `input` to the scores avoids the layers ``closed``."""
    seen, waiting = set(closed), list(ends)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        if name == START:
            return True
        seen.add(name)
        waiting.extend(sources.get(name, ()))
    return False


def leads(sources: Sources, ends: Collection[str], start: str) -> bool:
    """Return whether a path from a layer leads to what is made of ``ends``; true where the graph is not known."""
    seen: set[str] = set()
    waiting = list(ends)
    while waiting:
        name = waiting.pop()
        if name == start:
            return True
        if name != START and not sources.get(name):
            return True  # nothing is known of what it is made of
        if name not in seen:
            seen.add(name)
            waiting.extend(sources.get(name, ()))
    return not ends
