"""The layout of a sankey: nodes and links as shares of its height, and what flows through each node."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from bbilang.runtime.view.model import Frame

SPACE = 0.28  # share of a column's height between its nodes
MIN_HEIGHT = 0.012  # a node is at least this high
GHOST = 0.04  # what is left of a link that has nothing to do with the node clicked


def flow(frame: Frame) -> dict[str, Any]:
    """Lay out a sankey's nodes and links.

    nodes: [column, top, bottom] a slot. links: [from slot, to slot, middle at the start, middle at the end, width,
    value]. through: for each slot, what it leaves of every link, 0 to 1.

    Each pair of columns has its own scale: its links together are as wide as the nodes may be high.
    """
    count = len(frame.columns)
    columns = 1 + max(frame.columns, default=-1)
    totals: dict[int, float] = defaultdict(float)
    for start, _, value in frame.links:
        totals[frame.columns[start]] += abs(value)
    widths = [
        abs(v) / totals[frame.columns[s]] * (1 - SPACE) if totals[frame.columns[s]] else 0 for s, _, v in frame.links
    ]
    going, coming = [0.0] * count, [0.0] * count
    for (start, end, _), width in zip(frame.links, widths, strict=True):
        going[start] += width
        coming[end] += width
    nodes: list[list[float]] = [[] for _ in range(count)]
    for column in range(columns):
        slots = [slot for slot in range(count) if frame.columns[slot] == column]
        heights = [max(going[slot], coming[slot], MIN_HEIGHT) for slot in slots]
        free = max(1 - sum(heights), 0) / max(len(slots), 1)
        top = free / 2
        for slot, height in zip(slots, heights, strict=True):
            nodes[slot] = [column, round(top, 5), round(top + height, 5)]
            top += height + free
    ends = [(start, end) for start, end, _ in frame.links]
    links: list[list[float]] = [[] for _ in frame.links]
    for side in (0, 1):
        at = {slot: nodes[slot][1] for slot in range(count)}
        for k in sorted(range(len(ends)), key=lambda k: (ends[k][side], nodes[ends[k][1 - side]][1])):
            slot = ends[k][side]
            links[k].append(round(at[slot] + widths[k] / 2, 5))
            at[slot] += widths[k]
    made = [[start, end, *links[k], round(widths[k], 5), value] for k, (start, end, value) in enumerate(frame.links)]
    return {"nodes": nodes, "links": made, "through": [_through(frame, slot) for slot in range(count)]}


def _through(frame: Frame, node: int) -> list[float]:
    """What a node leaves of each link: all of its own; of those before it, the share of their end that reaches it; of
    those after it, the share of their start that comes from it."""
    before: dict[int, list[int]] = defaultdict(list)
    after: dict[int, list[int]] = defaultdict(list)
    for k, (start, end, _) in enumerate(frame.links):
        before[end].append(k)
        after[start].append(k)
    left = [GHOST] * len(frame.links)

    def follow(slot: int, share: float, backward: bool) -> None:
        for k in (before if backward else after)[slot]:
            left[k] = max(left[k], share) if left[k] == GHOST else min(left[k] + share, 1.0)
            start, end, _ = frame.links[k]
            other = start if backward else end
            same = (after if backward else before)[other]
            whole = sum(abs(frame.links[j][2]) for j in same)
            follow(other, share * abs(frame.links[k][2]) / whole if whole else 0.0, backward)

    follow(node, 1.0, True)
    follow(node, 1.0, False)
    return [round(value, 4) for value in left]
