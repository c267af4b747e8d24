"""Sentences about maps: where the numbers are largest."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from bbilang.runtime.fields.prose import counted, percent
from bbilang.runtime.view.answers.pieces import Part, listed, sentence
from bbilang.runtime.view.answers.places import FINE, fullest_region, peak, region
from bbilang.runtime.view.answers.shown import Shown
from bbilang.runtime.view.model import Answer, Piece

MOST = 4  # panels that are described one by one
ROUNDING = 1e-5  # of the largest number of all panels: a panel of smaller ones differs from zero by rounding alone


def where(shown: Shown) -> Answer:
    """Describe where each map is strongest."""
    maps = [_cells(shown, panel) for panel in range(len(shown.frames))]
    if any(max(cells.shape) > FINE for cells in maps):
        return _regions(shown, maps) if len(maps) > 1 else _region(shown, maps[0])
    least = ROUNDING * max((float(np.nanmax(np.abs(cells), initial=0.0)) for cells in maps), default=0.0)
    peaks = [(panel, at) for panel, at in enumerate(map(peak, maps)) if at is not None and maps[panel][at] > least]
    if not peaks:
        return sentence(f"{subject(shown)} nowhere above zero")
    along = shown.facet_word == "checkpoint" and len(peaks) > MOST
    described = peaks if len(peaks) <= MOST else [peaks[0], peaks[-1]] if along else peaks[:3]
    items: list[list[Part]] = []
    for panel, at in described:
        label = f" in {shown.labels[panel]}" if len(maps) > 1 and shown.labels[panel] else ""
        items.append([*_position(shown, panel, at, maps[panel].shape), label])
    left = 0 if along else len(peaks) - len(described)
    more = f", and elsewhere in {counted(left)} more" if left else ""
    return sentence(f"{subject(shown)} {adjective(shown)} at ", *listed(items), more)


def adjective(shown: Shown) -> str:
    return "largest" if "norm" in shown.type.unit else "strongest"


def _region(shown: Shown, cells: np.ndarray) -> Answer:
    """Name which of 3 x 3 regions has most of a fine map."""
    fullest = fullest_region(cells)
    if fullest is None:
        return sentence(f"{subject(shown)} nowhere above zero")
    name, share = fullest
    what = subject(shown).removesuffix(" is")
    return sentence(f"the largest part ({percent(share)}) of {what} lies at the {name} (of 3 × 3 regions)")


def _cells(shown: Shown, panel: int) -> np.ndarray:
    """Return the numbers (y, x) of one panel."""
    drawing, index = shown.drawing, shown.index(panel)
    values = drawing.grid(drawing.field.values, drawing.axis("y"), drawing.axis("x"))
    cells = np.asarray(drawing.inside(values[index], index), np.float64)
    return np.abs(cells) if shown.type.content == "effect" else cells  # either way it is an effect


def subject(shown: Shown) -> str:
    """Return the subject of the sentence with its verb: "channel 504 is", "the evidence for tiger cat (39 %) is"."""
    content = shown.type.content
    if content == "activation":
        return f"the activation of {shown.subject} is" if shown.subject else f"{_the(shown)} is"
    if content not in ("attribution", "gradient"):
        return f"the {content} is"
    if shown.target:
        return f"the evidence for {shown.sure(shown.target)} is"
    other = shown.subject or shown.position
    if other and shown.type.atom == "pixel":
        return f"what contributes to {other} is"
    return f"the link with {other} is" if other else "the evidence is"


def _the(shown: Shown) -> str:
    norm = "norm" in shown.type.unit
    return "the norm of the activation" if norm else "the activation"


def _position(shown: Shown, panel: int, at: tuple[int, int], shape: tuple[int, ...]) -> list[Part]:
    """Describe a position as a link to its cell, with its region; for a fine map the region alone."""
    y, x = at
    words = region(y, x, (shape[0], shape[1]))
    words = "the centre" if words == "centre" else f"the {words}"
    atoms = shown.frames[panel].atoms
    if max(shape) > FINE:
        return [words]
    atom = atoms[y * shape[1] + x] if y * shape[1] + x < len(atoms) else -1
    return [Piece(f"row {y}, column {x}", atom), f" ({words.removeprefix('the ')})"]


def _regions(shown: Shown, maps: list[np.ndarray]) -> Answer:
    """Count the panels by which of 3 x 3 regions has most of their evidence."""
    by_region: defaultdict[str, list[str]] = defaultdict(list)
    for panel, cells in enumerate(maps):
        fullest = fullest_region(cells)
        if fullest is not None:
            by_region[fullest[0]].append(shown.labels[panel] or f"panel {panel + 1}")
    if not by_region:
        return sentence(f"{subject(shown)} nowhere above zero")
    word = shown.facet_word or "panel"
    total = f"{counted(len(maps))} {word}{'s' if len(maps) > 1 else ''}"
    ordered = sorted(by_region.items(), key=lambda pair: -len(pair[1]))
    apart = len(ordered[0][1]) <= len(maps) / 2
    many = "all" if len(ordered) == 1 else counted(len(ordered[0][1]))
    items: list[list[Part]] = [[f"at the {ordered[0][0]} in {many} of {total}"]]
    items += [[f"at the {name} in {counted(len(labels))}"] for name, labels in ordered[1:] if len(labels) > 1]
    rest = len(ordered) - len(items)
    items += (
        [[f"elsewhere in the other {counted(rest)}" if rest > 1 else f"at the {ordered[-1][0]} in one"]] if rest else []
    )
    start = f"the {word}s differ: " if apart else ""
    return sentence(start, f"{subject(shown)} strongest ", *listed(items), " (of 3 × 3 regions)")


def shares_of_groups(shown: Shown) -> Answer:
    """Describe on how many positions each group is the strongest."""
    frame = shown.frame
    rows = [[value if value is not None else 0.0 for value in row] for row in frame.values]
    rows = [row for row in rows if any(row)]
    if not rows or not frame.series:
        return ()
    first = np.asarray(rows).argmax(1)
    count = np.bincount(first, minlength=len(frame.series))
    order = [int(i) for i in np.argsort(-count, kind="stable") if count[i]][:3]
    total = len(frame.values)
    atoms = frame.series_atoms or (-1,) * len(frame.series)
    head, *rest = [(Piece(frame.series[i], atoms[i]), percent(count[i] / total)) for i in order]
    parts: list[Part] = [head[0], f" is the strongest on {head[1]} of the positions"]
    if rest:
        parts += [", ", *listed([[piece, f" on {share}"] for piece, share in rest])]
    return sentence(*parts)


def components(shown: Shown) -> Answer:
    """Describe where each component of a coloured map is largest, over all panels."""
    drawing = shown.drawing
    axes = [drawing.axis(name) for name in ("y", "x", "component")]
    values = drawing.grid(drawing.field.values, *axes)
    panels = [
        np.asarray(drawing.inside(values[shown.index(panel)], shown.index(panel)), np.float64)
        for panel in range(len(shown.frames))
    ]
    items: list[list[Part]] = []
    for number, name in enumerate(shown.frame.series):
        heights = [np.nanmax(cells[..., number], initial=0.0) for cells in panels]
        best = int(np.argmax(heights))
        at = peak(panels[best][..., number])
        if at is not None and name:
            label = f" of {shown.labels[best]}" if len(panels) > 1 and shown.labels[best] else ""
            position = _position(shown, best, at, panels[best].shape[:2])
            called = f"“{name}”" if " + " in name else name
            items.append([f"{called} is strongest at " if not items else f"{called} at ", *position, label])
    return sentence(*listed(items))
