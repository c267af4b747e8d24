"""The layout of a sankey: nodes and links as shares of its height, and what flows through each node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.view.model import Element, Frame

LEAST, LABEL = 300, 26  # pixels: of a column for its nodes, and for the label of each
MIN_HEIGHT = 0.006  # a node reaches at least this far above and below its middle
GHOST = 0.04  # what is left of a link that has nothing to do with the node clicked


def height(element: Element) -> int:
    """Return the height of the columns in pixels: the column with the most nodes has room for their labels."""
    return LEAST + LABEL * _most(_frames(element))


def scales_of(element: Element) -> tuple[int, ...]:
    """Return the number of the scale for each pair of columns: one for every unit (`Element.options`)."""
    scales = element.options.get("scales")
    return tuple(scales) if isinstance(scales, tuple | list) else ()


def widths(element: Element) -> tuple[float, ...]:
    """Return, per scale, the width of a link of value 1 as a share of the height: the same in every state and panel."""
    return scaled(_frames(element), scales_of(element))


def scaled(frames: Sequence[Frame], scales: Sequence[int]) -> tuple[float, ...]:
    """Return the widths at which the columns that need most room just fit."""
    count = 1 + max(scales, default=0)
    free = 1 - LABEL * _most(frames) / (LEAST + LABEL * _most(frames))
    most = [0.0] * count
    every = [(frame, _bands(frame)) for frame in frames]
    for _, bands in every:
        for (column, _), (up, down) in bands.items():
            most[scales[column]] = max(most[scales[column]], sum(up.values()) + sum(down.values()))
    made = [free / total if total else 0.0 for total in most]
    fullest = max((_column_height(frame, bands, column, scales, made) for frame, bands in every
                   for column in set(frame.columns)), default=0.0)  # fmt: skip
    return tuple(width * min(1.0, free / fullest if fullest else 1.0) for width in made)


def flow(frame: Frame, scales: Sequence[int], of_one: Sequence[float], labels: float) -> JsonObject:
    """Lay out a sankey's nodes and links.

    nodes: of each slot [column, top, bottom, waist, raising in, lowering in, raising out, lowering out, net in, net
    out]: what raises lies above the waist, what lowers below it; the nets are values (None where nothing comes in or
    goes out), all else shares of the height. links: [from slot, to slot, middle at the start, middle at the end, width,
    value]. through: for each slot, what it leaves of every link, 0 to 1. between: for each slot, the value of its link
    with each other.

    scales, of_one: the scale of each pair of columns, and how wide a link of 1 is on it. labels: share of the height
    that a column's labels take at least.
    """
    count, bands = len(frame.columns), _bands(frame)
    nodes: list[list[float | None]] = [[] for _ in range(count)]
    for column in sorted(set(frame.columns)):
        slots = [slot for slot in range(count) if frame.columns[slot] == column]
        parts = {slot: _parts(bands, slot, column, scales, of_one) for slot in slots}
        reach = {slot: (max(p[0], p[2], MIN_HEIGHT), max(p[1], p[3], MIN_HEIGHT)) for slot, p in parts.items()}
        spare = (1 - sum(up + down for up, down in reach.values())) / len(slots)
        each = min(labels / _most([frame]), spare)  # nodes of no height make a full column a little higher
        free = spare - each
        top = free / 2
        for slot in slots:
            up, down = reach[slot]
            top += each
            shares = (round(share, 5) for share in (top, top + up + down, top + up, *parts[slot]))
            nodes[slot] = [column, *shares, *_nets(frame, slot)]
            top += up + down + free
    links = [[start, end, *middles, width, value] for (start, end, value), (*middles, width) in
             zip(frame.links, _ends(frame, nodes, scales, of_one), strict=True)]  # fmt: skip
    between: list[list[float | None]] = [[None] * count for _ in range(count)]
    for start, end, value in frame.links:
        between[start][end] = between[end][start] = value
    through = [_through(frame, slot) for slot in range(count)]
    return {"nodes": nodes, "links": links, "through": through, "between": between}


def flows(element: Element) -> list[list[JsonObject]]:
    """Return [panel][state] -> the layout, on the same scales throughout."""
    scales, of_one = scales_of(element), widths(element)
    labels = 1 - LEAST / height(element)
    return [[flow(frame, scales, of_one, labels) for frame in panel.frames] for panel in element.panels]


def _frames(element: Element) -> list[Frame]:
    return [frame for panel in element.panels for frame in panel.frames]


def _most(frames: Sequence[Frame]) -> int:
    """Return the number of nodes in the column that has the most."""
    return max((frame.columns.count(column) for frame in frames for column in set(frame.columns)), default=0)


Band = tuple[dict[int, float], dict[int, float]]  # of each slot the sum of what raises, and of what lowers, unsigned


def _bands(frame: Frame) -> dict[tuple[int, int], Band]:
    """Return (pair of columns, 0 for its earlier and 1 for its later side) -> the sums of its nodes."""
    bands: dict[tuple[int, int], Band] = defaultdict(lambda: (defaultdict(float), defaultdict(float)))
    for start, end, value in frame.links:
        for side, slot in enumerate((start, end)):
            bands[frame.columns[start], side][value < 0][slot] += abs(value)
    return bands


def _parts(
    bands: dict[tuple[int, int], Band], slot: int, column: int, scales: Sequence[int], of_one: Sequence[float]
) -> tuple[float, float, float, float]:
    """Return (raising in, lowering in, raising out, lowering out) of a node as shares of the height."""
    parts = []
    for pair, side in ((column - 1, 1), (column, 0)):
        up, down = bands.get((pair, side), ({}, {}))
        wide = of_one[scales[pair]] if 0 <= pair < len(scales) else 0.0
        parts += [up.get(slot, 0.0) * wide, down.get(slot, 0.0) * wide]
    return parts[0], parts[1], parts[2], parts[3]


def _column_height(
    frame: Frame, bands: dict[tuple[int, int], Band], column: int, scales: Sequence[int], of_one: Sequence[float]
) -> float:
    total = 0.0
    for slot in (slot for slot in range(len(frame.columns)) if frame.columns[slot] == column):
        up_in, down_in, up_out, down_out = _parts(bands, slot, column, scales, of_one)
        total += max(up_in, up_out) + max(down_in, down_out)
    return total


def _nets(frame: Frame, slot: int) -> list[float | None]:
    """Return [net in, net out] of a node: what raises minus what lowers."""
    ins = [value for _, end, value in frame.links if end == slot]
    outs = [value for start, _, value in frame.links if start == slot]
    return [sum(values) if values else None for values in (ins, outs)]


def _ends(
    frame: Frame, nodes: Sequence[Sequence[Any]], scales: Sequence[int], of_one: Sequence[float]
) -> list[list[float]]:
    """Return, for each link, (its middle at the start, at the end, its width): at every node what raises lies above the
    waist and what lowers below it, each in the order of the other ends."""
    wide = [abs(value) * of_one[scales[frame.columns[start]]] for start, _, value in frame.links]
    links: list[list[float]] = [[] for _ in frame.links]
    for side in (0, 1):
        at = {}
        for slot, node in enumerate(nodes):
            raising = node[6] if side == 0 else node[4]
            at[slot, False], at[slot, True] = node[3] - raising, node[3]
        pairs = [(start, end) for start, end, _ in frame.links]
        ends = [(pair[side], pair[1 - side]) for pair in pairs]
        for k in sorted(range(len(ends)), key=lambda k: (ends[k][0], nodes[ends[k][1]][1])):
            side_of_node = (ends[k][0], frame.links[k][2] < 0)
            links[k].append(round(at[side_of_node] + wide[k] / 2, 5))
            at[side_of_node] += wide[k]
    return [[*middles, round(width, 5)] for middles, width in zip(links, wide, strict=True)]


def _through(frame: Frame, node: int) -> list[float]:
    """Return what a node leaves of each link: all of its own; of those before it, the share of their end that reaches
    it; of those after it, the share of their start that comes from it."""
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
