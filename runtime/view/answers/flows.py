"""Sentences about flows and curves."""

from __future__ import annotations

from bbilang.runtime.fields.prose import counted, prose
from bbilang.runtime.view.answers.pieces import Part, listed, sentence, sentences
from bbilang.runtime.view.answers.shown import Mark, Shown
from bbilang.runtime.view.model import Answer

ENOUGH = 0.05  # of a curve's range: a smaller dip or rise is not mentioned


def flow(shown: Shown) -> Answer:
    """Describe the flow into the first node of the last column: the largest positive and negative links, and the
    net."""
    frame = shown.frame
    last = [slot for slot, column in enumerate(frame.columns) if column == max(frame.columns)]
    if not last:
        return ()
    end = last[0]
    into = sorted((value, start) for start, to, value in frame.links if to == end)
    if not into:
        return ()
    marks = [Mark(frame.atoms[start], value, 0, start) for value, start in into]
    target = shown.sure(shown.label(frame.atoms[end]))
    items: list[list[Part]] = []
    if marks[-1].value > 0:
        items.append([*shown.listed(marks[-1:], signed=True), f" raises {target} most"])
    if marks[0].value < 0:
        items.append([*shown.listed(marks[:1], signed=True), f" lowers {'it' if items else target} most"])
    net = prose(sum(mark.value for mark in marks), signed=True, decimals=shown.decimals)
    return sentences(
        sentence(*listed(items)),
        sentence(f"the {counted(len(marks))} links to it add up to {net}") if len(marks) > 1 else (),
    )


def curve(shown: Shown) -> Answer:
    """Describe each line: its start, its lowest or highest point in between, and its end."""
    frame = shown.frame
    lines = [(name, _line(frame.values, series)) for series, name in enumerate(frame.series[:3])]
    described = [(name, line) for name, line in lines if len(line) > 1]
    several = len(described) > 1
    said = []
    for number, (name, line) in enumerate(described):
        subject = f"{name}: " if several and name else ""
        subject += "it" if number else f"the {shown.type.content}"
        said.append(sentence(f"{subject} {_course(shown, line)}"))
    return sentences(*said)


def _line(values: tuple[tuple[float | None, ...], ...], series: int) -> list[tuple[int, float]]:
    """Return (slot, number) of the points that have a value."""
    known = [(slot, row[series]) for slot, row in enumerate(values) if series < len(row)]
    return [(slot, value) for slot, value in known if value is not None]


def _course(shown: Shown, line: list[tuple[int, float]]) -> str:
    """Describe a curve: "falls from 0.39 (0 %) to 0.14 (40 %) and ends at 0.43 (100 %), above where it began"."""
    begins, ends = line[0][1], line[-1][1]
    low, high = min(line, key=lambda point: point[1]), max(line, key=lambda point: point[1])
    down = begins - low[1] >= high[1] - begins
    turn, beyond = (low, low[1] < ends) if down else (high, high[1] > ends)
    verb = "falls" if down else "rises"
    if low[1] == high[1]:
        return f"stays at {_at(shown, *line[0])}"
    if abs(turn[1] - ends) <= ENOUGH * (high[1] - low[1]) or not beyond:
        return f"{verb} from {_at(shown, *line[0])} to {_at(shown, *line[-1])}"
    back = (ends - begins if down else begins - ends) > ENOUGH * (high[1] - low[1])
    side = f", {'above' if down else 'below'} where it began" if back else ""
    return f"{verb} from {_at(shown, *line[0])} to {_at(shown, *turn)} and ends at {_at(shown, *line[-1])}{side}"


def _at(shown: Shown, slot: int, value: float) -> str:
    atom = shown.frame.atoms[slot] if slot < len(shown.frame.atoms) else -1
    return prose(value, decimals=shown.decimals) + (f" ({shown.label(atom)})" if atom >= 0 else "")
