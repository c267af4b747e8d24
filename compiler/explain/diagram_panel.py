"""The panel of one plan: the network, a row for each step with its arrow and bar, the elements that need it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bbilang.compiler.explain.diagram_rows import PREDICTIONS, Row, rows
from bbilang.compiler.explain.svg import Canvas, fit, text_width
from bbilang.compiler.explain.units import Measured, seconds_words, si
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.plan.plan import COUNTED, Plan, StepKey
from bbilang.compiler.plan.steps import fraction
from bbilang.grammar.frozen import frozen

PANEL, PADDING = 824, 22
NETWORK, BAR, NUMBER, CHIP = 384, 92, 78, 156  # widths of a panel's columns, from left to right
HEADER = 62  # above the labels of layers
LEVEL = 18  # height of a level of labels
STRIP = 24  # height of the network
ROW, NOTE = 48, 17
MOST_CHIPS, CHIP_HEIGHT, CHIP_GAP = 10, 46, 8
MORE = "\0more"  # no element can have this name


@frozen
class Panel:
    """One plan and the contents of its picture."""

    title: str
    plan: Plan
    rows: tuple[Row, ...]
    chips: tuple[tuple[str, str, str], ...]  # (key, name, words)
    total: int  # FLOPs without icons


def panel_of(title: str, plan: Plan, measured: Mapping[StepKey, Measured], page: int) -> Panel:
    """Lay out the panel of a plan: its rows of passes, and a chip for each element that they lead to."""
    shown = tuple(rows(plan, lambda step: measured.get(step.key), page))
    total = sum(plan.total(kind)[1] for kind in COUNTED)
    chips: list[tuple[str, str, str]] = []
    if page >= 0:
        chips.append((PREDICTIONS, "predictions", "of every page"))
    elements = plan.program.elements
    room = MOST_CHIPS - len(chips)
    few = elements if len(elements) <= room else elements[: room - 1]
    for element in few:
        states = element.node.type.state_count
        words = element.node["style"] + (f", {states:,} states" if states > 1 else "")
        chips.append((element.id, element.id, words))
    if len(few) < len(elements):
        chips.append((MORE, f"{len(elements) - len(few)} more", "elements"))
    return Panel(title, plan, shown, tuple(chips), total)


def _rows_height(panel: Panel) -> float:
    return sum(_row_height(row) for row in panel.rows)


def _row_height(row: Row) -> float:
    return ROW + (NOTE * len(row.notes) + _lowered(row) if row.notes else 0)


def _lowered(row: Row) -> float:
    """Return the extra height for notes below a measured time."""
    return 8 if row.measured else 0


def _chips_height(panel: Panel) -> float:
    return len(panel.chips) * (CHIP_HEIGHT + CHIP_GAP)


@frozen
class Frame:
    """The common layout of panels side by side. ``labels``: layer -> (its depth 0..1, x of its label, level)."""

    levels: int
    labels: Mapping[str, tuple[float, float, int]]
    rows: float  # where they begin, below the panel's top
    height: float  # down to their end
    largest: int  # FLOPs of the longest bar

    @classmethod
    def around(cls, panels: Sequence[Panel]) -> Frame:
        """Return the common frame of several panels, so that they have one scale and one height."""
        levels, labels = _labels(panels)
        begin = HEADER + levels * LEVEL + STRIP + 30
        body = max(max(_rows_height(panel), _chips_height(panel)) for panel in panels)
        largest = max((row.flops for panel in panels for row in panel.rows if row.kind != "icons"), default=0)
        return cls(levels, labels, begin, begin + body, largest)


# --- the network ------------------------------------------------------------------------------------------------------


def _labels(panels: Sequence[Panel]) -> tuple[int, dict[str, tuple[float, float, int]]]:
    """Place the labels of the layers that are read without overlaps, on at most four levels.

    Returns (levels, layer -> (its depth 0..1, x of its label, level)). A layer without room has no label; the strip
    still marks it.
    """
    description = panels[0].plan.program.description
    layers = {name for p in panels for row in p.rows if row.stretch for name in row.stretch.layers}
    if description is None or not layers:
        return 1, {}
    ends: list[float] = []
    labels: dict[str, tuple[float, float, int]] = {}
    for name in sorted(layers, key=lambda layer: fraction(description, layer)):
        depth = fraction(description, name)
        label_width = text_width(name, 14, True)
        x = min(max(depth * NETWORK - label_width / 2, 0), max(NETWORK - label_width, 0))
        level = next((number for number, end in enumerate(ends) if end + 10 <= x), len(ends))
        if level == len(ends):
            if len(ends) == 4:
                continue
            ends.append(0)
        ends[level] = x + label_width
        labels[name] = (depth, x, level)
    return len(ends), labels


def _strip(canvas: Canvas, description: ModelDescription, x: float, y: float, marked: set[str]) -> None:
    """Draw the blocks of the network, as wide as their FLOPs."""
    names = {layer.name for layer in description.layers}
    blocks = [layer for layer in description.layers if layer.name.rpartition(".")[0] not in names]
    matches = [re.fullmatch(r"([A-Za-z_]+)(\d\w*)", layer.name) for layer in blocks]
    stems = [match[1] for match in matches if match]
    common = max(set(stems), key=stems.count, default="")
    start = 0.0
    for layer, match in zip(blocks, matches, strict=True):
        end = max(fraction(description, layer.name), start)
        block_width = (end - start) * NETWORK
        on = any(name == layer.name or name.startswith(f"{layer.name}.") for name in marked)
        if block_width > 0.5:
            canvas.rect(x + start * NETWORK, y, max(block_width - 1.5, 0.5), STRIP, "block", radius=3, title=layer.name)
            short = match[2] if match and match[1] == common else layer.name
            if text_width(short, 12, on) <= block_width - 3:
                middle = x + start * NETWORK + (block_width - 1.5) / 2
                canvas.text(middle, y + 16.5, short, 12, "ink" if on else "muted", on, "middle")
        start = end
    if start < 1:
        canvas.rect(x + start * NETWORK, y, (1 - start) * NETWORK, STRIP, "block", radius=3, title="to the scores")


# --- a panel ----------------------------------------------------------------------------------------------------------


def draw_panel(canvas: Canvas, panel: Panel, left: float, top: float, frame: Frame) -> None:
    """Draw the panel with its top left corner at (left, top), without the sum of all passes at its foot."""
    x, strip, below = left + PADDING, top + HEADER + frame.levels * LEVEL, top + frame.rows
    canvas.text(x, top + 36, panel.title, 21, bold=True)
    canvas.text(left + PANEL - PADDING, top + 36, _passes(panel), 16, "muted", anchor="end")
    _draw_layers(canvas, panel, x, strip, below + _rows_height(panel) - 6, frame)
    bar, chip = x + NETWORK + 22, left + PANEL - PADDING - CHIP
    canvas.text(bar, strip + 16.5, "FLOPs", 13, "muted")
    canvas.text(chip, strip + 16.5, "needed for", 13, "muted")
    free = max((_rows_height(panel) - _chips_height(panel)) / 2, 0)
    chip_centres = {
        key: below + free + number * (CHIP_HEIGHT + CHIP_GAP) + CHIP_HEIGHT / 2
        for number, (key, _, _) in enumerate(panel.chips)
    }
    marks, y = [], below
    for row in panel.rows:
        marks.append((row, y + 30))
        y += _row_height(row)
    for row, middle in marks:
        if row.stretch:
            _links(canvas, row, middle, _number_end(row, bar, frame.largest), bar + BAR + NUMBER, chip, chip_centres)
    for row, middle in marks:
        _draw_row(canvas, row, panel.plan.program.description, x, middle, bar, frame.largest)
    for key, name, words in panel.chips:
        edge = chip_centres[key] - CHIP_HEIGHT / 2
        plain = key in (PREDICTIONS, MORE)
        canvas.rect(chip, edge, CHIP, CHIP_HEIGHT, "chip", "rule", 8, dashed=plain)
        canvas.text(chip + 11, edge + 20, fit(name, 14.5, CHIP - 20, not plain), 14.5, "ink", not plain)
        canvas.text(chip + 11, edge + 37, fit(words, 12.5, CHIP - 20), 12.5, "muted")


def _draw_layers(canvas: Canvas, panel: Panel, x: float, strip: float, below: float, frame: Frame) -> None:
    """Draw the network, and a line down from each layer that the panel's own passes read."""
    own = {name for row in panel.rows if row.stretch for name in row.stretch.layers}
    feet = {
        name: strip - 8 - (frame.levels - 1 - level) * LEVEL
        for name, (_, _, level) in frame.labels.items()
        if name in own
    }
    for name, foot in feet.items():
        at = x + frame.labels[name][0] * NETWORK
        canvas.path(f"M{at:.1f} {foot + 4:.1f}V{below:.1f}", "rule", width=1.2)
    for name, foot in feet.items():
        _clear(canvas, x + frame.labels[name][1], foot, name, 14, True)
        canvas.text(x + frame.labels[name][1], foot, name, 14, "ink", True)
    if panel.plan.program.description:
        _strip(canvas, panel.plan.program.description, x, strip, own)
    canvas.text(x, strip + STRIP + 16, "picture", 13, "muted")
    canvas.text(x + NETWORK, strip + STRIP + 16, "scores", 13, "muted", anchor="end")


def _passes(panel: Panel) -> str:
    counts = [(kind, panel.plan.total(kind)[0]) for kind in COUNTED]
    names = {
        "scan": "over examples",
        "forward": "forward",
        "backward": "backward",
        "tangents": "tangents",
        "reruns": "reruns",
        "draw": "on examples, by elements",
    }
    return " · ".join(f"{count:,} {names[kind]}" for kind, count in counts if count)


def _draw_row(
    canvas: Canvas, row: Row, description: ModelDescription | None, x: float, y: float, bar: float, largest: int
) -> None:
    """Draw words, arrows below them, the bar and its number."""
    role = row.kind if row.stretch else "muted"
    words = fit(row.head + row.words, 14, NETWORK + BAR)
    head = words[: len(row.head)]
    foot = y - 12 if row.words else y + 5
    _clear(canvas, x, foot, words, 14)
    canvas.text(x, foot, [(head, role, True), (words[len(head) :], "ink", False)], 14)
    if row.stretch and description:
        start, end = (x + fraction(description, layer) * NETWORK for layer in (row.stretch.start, row.stretch.end))
        if row.stretch.returns:
            draw_loop(canvas, start, end, y, role)
        else:
            lines = min(row.passes, 4)
            for number in range(lines):
                at = y + (number - (lines - 1) / 2) * 3.2
                if number != lines // 2:
                    canvas.path(f"M{start:.1f} {at:.1f}H{end + (9 if end < start else -9):.1f}", role, width=1.3)
            canvas.arrow(start, end, y + (lines // 2 - (lines - 1) / 2) * 3.2, role, 2.4 if lines == 1 else 1.6)
        if row.kind != "icons":
            for layer in row.stretch.layers:
                canvas.circle(x + fraction(description, layer) * NETWORK, y, 4.2, "panel", role)
    for number, note in enumerate(row.notes):
        words = fit(note, 12.5, NETWORK + BAR + NUMBER)
        foot = y + 22 + _lowered(row) + number * NOTE
        _clear(canvas, x, foot, words, 12.5)
        canvas.text(x, foot, words, 12.5, "muted")
    _draw_bar(canvas, row, bar, y, role, largest)


def _clear(canvas: Canvas, x: float, foot: float, words: str, size: float, bold: bool = False) -> None:
    """Blank the background, so that no line crosses the words."""
    canvas.rect(x - 1, foot - size + 1, text_width(words, size, bold) + 2, size * 1.25, "panel")


def draw_loop(canvas: Canvas, start: float, end: float, y: float, role: str) -> None:
    """Draw a loop from start to end and back: a forward and a backward pass."""
    tall = 5
    canvas.path(
        f"M{start:.1f} {y - tall:.1f}H{end - tall:.1f}a{tall} {tall} 0 0 1 0 {2 * tall}H{start + 8:.1f}",
        role,
        width=1.8,
    )
    canvas.head(start, y + tall, -1, role, 8)


def _draw_bar(canvas: Canvas, row: Row, x: float, y: float, role: str, largest: int) -> None:
    bar_width = _bar_width(row, largest)
    if row.kind == "icons":  # off the scale: a bar with a break
        canvas.rect(x, y - 8, BAR, 16, role, radius=2)
        for at in (x + BAR * 0.62, x + BAR * 0.62 + 9):
            canvas.path(f"M{at:.1f} {y + 11:.1f}L{at + 7:.1f} {y - 11:.1f}", "panel", width=3)
    elif bar_width:
        canvas.rect(x, y - 8, bar_width, 16, role, radius=2)
    measured = row.measured
    foot = y + (0 if measured else 5)
    canvas.text(x + bar_width + 8, foot, _number(row), 14)
    if measured:
        canvas.text(x + bar_width + 8, y + 15, seconds_words(measured.seconds), 12.5, "muted")


def _bar_width(row: Row, largest: int) -> float:
    if row.kind == "icons":
        return BAR
    return max(BAR * row.flops / largest, 1.5) if largest and row.flops else 0


def _number(row: Row) -> str:
    return ("≤ " if row.bound else "") + si(row.flops, "").strip() if row.flops else ""


def _number_end(row: Row, bar: float, largest: int) -> float:
    """Return the x coordinate at which the row's number ends and its link begins."""
    words = [_number(row), *([seconds_words(row.measured.seconds)] if row.measured else [])]
    return bar + _bar_width(row, largest) + 8 + max(text_width(word, 14) for word in words) + 8


def _links(
    canvas: Canvas, row: Row, y: float, near: float, start: float, end: float, chip_centres: dict[str, float]
) -> None:
    keys = dict.fromkeys(name if name in chip_centres else MORE for name in row.elements)
    bend = (end - start) * 0.55
    data = f"M{min(near, start):.1f} {y:.1f}H{start:.1f}"
    for key in keys:
        if key in chip_centres:
            chip = chip_centres[key]
            data += f"M{start:.1f} {y:.1f}C{start + bend:.1f} {y:.1f} {end - bend:.1f} {chip:.1f} {end:.1f} {chip:.1f}"
    if keys:
        canvas.path(data, row.kind, width=1.5, opacity=0.55)
