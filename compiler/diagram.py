"""A picture of a plan: the network from left to right, as wide as its work; an arrow for every pass; bars of FLOPs; the
elements that need them. As written on the left, optimized on the right."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bbilang.compiler.description import ModelDescription
from bbilang.compiler.diagram_rows import PREDICTIONS, Row, rows
from bbilang.compiler.explain import Explanation, Measured, seconds_words, si, title_of
from bbilang.compiler.plan import Plan
from bbilang.compiler.steps import PASSES, fraction, predicts
from bbilang.compiler.svg import Canvas, fit, text_width

MARGIN, GUTTER, PANEL, PADDING = 40, 32, 824, 22
NETWORK, BAR, NUMBER, LINKS, CHIP = 384, 92, 78, 58, 144  # widths of a panel's columns, from left to right
TOP = 132  # where panels begin
HEADER = 62  # of a panel, above the labels of layers
LEVEL = 18  # height of a level of labels
STRIP = 24  # height of the network
ROW, NOTE = 48, 17
MOST_CHIPS, CHIP_HEIGHT, CHIP_GAP = 10, 46, 8
MORE = "\0more"  # what no element can be called
NAMES = {
    "forward": "forward pass",
    "backward": "backward pass",
    "tangents": "tangents: forward mode",
    "reruns": "the network above a layer, again",
    "icons": "icons: there and back, every step",
}


@dataclass(frozen=True)
class Panel:
    """One plan with what its picture needs."""

    title: str
    plan: Plan
    rows: tuple[Row, ...]
    chips: tuple[tuple[str, str, str], ...]  # (key, name, words)
    total: int  # FLOPs without icons


def svg(explanation: Explanation, theme: str = "auto") -> str:
    """The standalone picture. Raises ValueError for an unknown theme."""
    canvas = Canvas(theme)
    measured = explanation.measured
    plans = [("As written", explanation.before), ("Optimized", explanation.after)]
    panels = [
        _panel(
            title,
            plan,
            measured if plan is explanation.after else {},
            predicts(plan.program, explanation.before.program),
        )
        for title, plan in (plans if explanation.optimized else plans[:1])
    ]
    width = 2 * MARGIN + len(panels) * PANEL + (len(panels) - 1) * GUTTER
    levels, labels = _labels(panels)
    tops = HEADER + levels * LEVEL + STRIP + 30
    body = max(max(_rows_height(p), _chips_height(p)) for p in panels)
    height = TOP + tops + body + 92
    largest = max((row.flops for p in panels for row in p.rows if row.kind != "icons"), default=0)
    total = max(panel.total for panel in panels)
    kinds = [kind for kind in NAMES if any(row.kind == kind for panel in panels for row in panel.rows)]
    legend = 76
    canvas.rect(0, 0, width, height + legend + MARGIN / 2, "paper")
    _heading(canvas, explanation, width)
    for number, panel in enumerate(panels):
        x = MARGIN + number * (PANEL + GUTTER)
        canvas.rect(x, TOP, PANEL, height - TOP, "panel", radius=12)
        _draw_panel(canvas, panel, x, levels, labels, tops, largest, body)
        _draw_total(canvas, panel, x + PADDING, TOP + tops + body + 14, total)
    _legend(canvas, kinds, height + 30, width)
    text = "".join(canvas.parts)
    name = "bbi-plan-" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    title = f"Plan of the page {title_of(explanation)}"
    return canvas.done(width, height + legend + MARGIN / 2, title, _description(explanation), name)


def _panel(title: str, plan: Plan, measured: Mapping[int, Measured], page: int) -> Panel:
    shown = tuple(rows(plan, lambda step: measured.get(id(step)), page))
    total = sum(plan.total(kind)[1] for kind in PASSES)
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
    return sum(ROW + NOTE * len(row.notes) for row in panel.rows)


def _chips_height(panel: Panel) -> float:
    return len(panel.chips) * (CHIP_HEIGHT + CHIP_GAP)


def _heading(canvas: Canvas, explanation: Explanation, width: float) -> None:
    program = explanation.before.program
    flops = explanation.savings()[-1]
    right = ""
    if explanation.optimized and flops.before > flops.after > 0:
        right = f"{flops.times:.1f} × less computation"
    room = width - 2 * MARGIN - (text_width(right, 30, True) + 40 if right else 0)
    canvas.text(MARGIN, 62, fit(title_of(explanation), 30, room, True), 30, bold=True)
    model = program.description.title if program.description else ""
    source = program.source.name if program.source and not program.source.name.startswith("<") else ""
    pictures = f"{len(program.inputs)} picture{'s' if len(program.inputs) != 1 else ''}"
    words = " · ".join(part for part in ("What runs for the page", source, model, pictures) if part)
    canvas.text(MARGIN, 94, fit(words, 17, room), 17, "muted")
    if right:
        canvas.text(width - MARGIN, 62, right, 30, "forward", True, "end")
        words = f"{si(flops.before, 'FLOP')} → {si(flops.after, 'FLOP')}, icons not counted"
        canvas.text(width - MARGIN, 94, words, 17, "muted", anchor="end")


# --- the network ------------------------------------------------------------------------------------------------------


def _labels(panels: list[Panel]) -> tuple[int, dict[str, tuple[float, float, int]]]:
    """(levels, layer -> (its place 0..1, x of its label, level)): labels of layers that are read, none over another.

    What finds no place on four levels has none; the strip still marks it.
    """
    description = panels[0].plan.program.description
    layers = {name for p in panels for row in p.rows if row.stretch for name in row.stretch.layers}
    if description is None or not layers:
        return 1, {}
    ends: list[float] = []
    placed: dict[str, tuple[float, float, int]] = {}
    for name in sorted(layers, key=lambda layer: fraction(description, layer)):
        place = fraction(description, name)
        wide = text_width(name, 14, True)
        x = min(max(place * NETWORK - wide / 2, 0), max(NETWORK - wide, 0))
        level = next((number for number, end in enumerate(ends) if end + 10 <= x), len(ends))
        if level == len(ends):
            if len(ends) == 4:
                continue
            ends.append(0)
        ends[level] = x + wide
        placed[name] = (place, x, level)
    return len(ends), placed


def _strip(canvas: Canvas, description: ModelDescription, x: float, y: float, marked: set[str]) -> None:
    """The blocks of the network, as wide as their FLOPs."""
    names = {layer.name for layer in description.layers}
    blocks = [layer for layer in description.layers if layer.name.rpartition(".")[0] not in names]
    found = [re.fullmatch(r"([A-Za-z_]+)(\d\w*)", layer.name) for layer in blocks]
    stems = [match[1] for match in found if match]
    common = max(set(stems), key=stems.count, default="")
    start = 0.0
    for layer, match in zip(blocks, found, strict=True):
        end = max(fraction(description, layer.name), start)
        wide = (end - start) * NETWORK
        on = any(name == layer.name or name.startswith(f"{layer.name}.") for name in marked)
        if wide > 0.5:
            canvas.rect(x + start * NETWORK, y, max(wide - 1.5, 0.5), STRIP, "block", radius=3, title=layer.name)
            short = match[2] if match and match[1] == common else layer.name
            if text_width(short, 12, on) <= wide - 3:
                middle = x + start * NETWORK + (wide - 1.5) / 2
                canvas.text(middle, y + 16.5, short, 12, "ink" if on else "muted", on, "middle")
        start = end
    if start < 1:
        canvas.rect(x + start * NETWORK, y, (1 - start) * NETWORK, STRIP, "block", radius=3, title="to the scores")


# --- a panel ----------------------------------------------------------------------------------------------------------


def _draw_panel(
    canvas: Canvas, panel: Panel, left: float, levels: int, labels: dict[str, tuple[float, float, int]], tops: float,
    largest: int, body: float,
) -> None:  # fmt: skip
    description = panel.plan.program.description
    x, strip = left + PADDING, TOP + HEADER + levels * LEVEL
    own = {name for row in panel.rows if row.stretch for name in row.stretch.layers}
    canvas.text(x, TOP + 36, panel.title, 21, bold=True)
    canvas.text(left + PANEL - PADDING, TOP + 36, _passes(panel), 16, "muted", anchor="end")
    below = TOP + tops + _rows_height(panel)
    for name, (place, label, level) in labels.items():
        if name in own:
            at = x + place * NETWORK
            foot = strip - 8 - (levels - 1 - level) * LEVEL
            canvas.text(x + label, foot, name, 14, "ink", True)
            canvas.path(f"M{at:.1f} {foot + 4:.1f}V{below - 6:.1f}", "rule", width=1.2)
    if description:
        _strip(canvas, description, x, strip, own)
    foot = strip + STRIP + 16
    canvas.text(x, foot, "picture", 13, "muted")
    canvas.text(x + NETWORK, foot, "scores", 13, "muted", anchor="end")
    bar = x + NETWORK + 22
    canvas.text(bar, strip + 16.5, "FLOPs", 13, "muted")
    chip = left + PANEL - PADDING - CHIP
    canvas.text(chip, strip + 16.5, "needed for", 13, "muted")

    places: dict[str, float] = {}
    free = max((_rows_height(panel) - _chips_height(panel)) / 2, 0)
    for number, (key, _, _) in enumerate(panel.chips):
        places[key] = TOP + tops + free + number * (CHIP_HEIGHT + CHIP_GAP) + CHIP_HEIGHT / 2
    y = TOP + tops
    marks = []
    for row in panel.rows:
        marks.append((row, y + 30))
        y += ROW + NOTE * len(row.notes)
    for row, middle in marks:
        if row.kind != "more":
            _links(canvas, row, middle, _number_end(row, bar, largest), bar + BAR + NUMBER, chip, places)
    for row, middle in marks:
        _draw_row(canvas, row, description, x, middle, bar, largest)
    for key, name, words in panel.chips:
        top = places[key] - CHIP_HEIGHT / 2
        plain = key in (PREDICTIONS, MORE)
        canvas.rect(chip, top, CHIP, CHIP_HEIGHT, "chip", "rule", 8, dashed=plain)
        canvas.text(chip + 11, top + 20, fit(name, 14.5, CHIP - 20, not plain), 14.5, "ink", not plain)
        canvas.text(chip + 11, top + 37, fit(words, 12.5, CHIP - 20), 12.5, "muted")


def _passes(panel: Panel) -> str:
    counts = [(kind, panel.plan.total(kind)[0]) for kind in PASSES]  # type: ignore[arg-type]
    names = {"forward": "forward", "backward": "backward", "tangents": "tangents", "reruns": "reruns"}
    return " · ".join(f"{count:,} {names[kind]}" for kind, count in counts if count)


def _draw_row(
    canvas: Canvas, row: Row, description: ModelDescription | None, x: float, y: float, bar: float, largest: int
) -> None:
    """Words, arrows below them, the bar and its number."""
    role = row.kind if row.stretch else "muted"
    words = fit(row.head + row.words, 14, NETWORK + 8)
    head = words[: len(row.head)]
    canvas.rect(x, y - 25, text_width(words, 14) + 2, 17, "panel")  # so that no line goes through the words
    canvas.text(x, y - 12, [(head, role, True), (words[len(head) :], "ink", False)], 14)
    if row.stretch and description:
        start, end = (x + fraction(description, place) * NETWORK for place in (row.stretch.start, row.stretch.end))
        if row.stretch.returns:
            _loop(canvas, start, end, y, role)
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
        foot = y + 22 + number * NOTE
        canvas.rect(x, foot - 11, text_width(words, 12.5) + 2, 15, "panel")
        canvas.text(x, foot, words, 12.5, "muted")
    _draw_bar(canvas, row, bar, y, role, largest)


def _loop(canvas: Canvas, start: float, end: float, y: float, role: str) -> None:
    """There and back: gradients of what lies between."""
    tall = 5
    canvas.path(
        f"M{start:.1f} {y - tall:.1f}H{end - tall:.1f}a{tall} {tall} 0 0 1 0 {2 * tall}H{start + 8:.1f}",
        role,
        width=1.8,
    )
    canvas.head(start, y + tall, -1, role, 8)


def _draw_bar(canvas: Canvas, row: Row, x: float, y: float, role: str, largest: int) -> None:
    wide = _bar_width(row, largest)
    if row.kind == "icons":  # beyond the scale: a bar with a break
        canvas.rect(x, y - 8, BAR, 16, role, radius=2)
        for at in (x + BAR * 0.62, x + BAR * 0.62 + 9):
            canvas.path(f"M{at:.1f} {y + 11:.1f}L{at + 7:.1f} {y - 11:.1f}", "panel", width=3)
    elif wide:
        canvas.rect(x, y - 8, wide, 16, role, radius=2)
    took = row.measured
    foot = y + (0 if took else 5)
    canvas.text(x + wide + 8, foot, _number(row), 14)
    if took:
        canvas.text(x + wide + 8, y + 15, seconds_words(took.seconds), 12.5, "muted")


def _bar_width(row: Row, largest: int) -> float:
    if row.kind == "icons":
        return BAR
    return max(BAR * row.flops / largest, 1.5) if largest and row.flops else 0


def _number(row: Row) -> str:
    return ("≤ " if row.bound else "") + si(row.flops, "").strip() if row.flops else ""


def _number_end(row: Row, bar: float, largest: int) -> float:
    """Where the row's number ends, so that a link can begin."""
    words = [_number(row), *([seconds_words(row.measured.seconds)] if row.measured else [])]
    return bar + _bar_width(row, largest) + 8 + max(text_width(word, 14) for word in words) + 8


def _links(canvas: Canvas, row: Row, y: float, near: float, start: float, end: float, places: dict[str, float]) -> None:
    keys = dict.fromkeys(name if name in places else MORE for name in row.elements)
    bend = (end - start) * 0.55
    data = f"M{min(near, start):.1f} {y:.1f}H{start:.1f}"
    for key in keys:
        if key in places:
            chip = places[key]
            data += f"M{start:.1f} {y:.1f}C{start + bend:.1f} {y:.1f} {end - bend:.1f} {chip:.1f} {end:.1f} {chip:.1f}"
    if keys:
        canvas.path(data, row.kind, width=1.5, opacity=0.55)


def _draw_total(canvas: Canvas, panel: Panel, x: float, y: float, largest: int) -> None:
    """All FLOPs but those of icons, one scale for both plans."""
    canvas.path(f"M{x:.1f} {y:.1f}h{PANEL - 2 * PADDING:.1f}", "rule", width=1.2)
    room = NETWORK + 22 + BAR + NUMBER - 40
    at = x
    for kind in PASSES:
        flops = panel.plan.total(kind)[1]  # type: ignore[arg-type]
        wide = room * flops / largest if largest else 0
        if wide > 0:
            canvas.rect(at, y + 38, wide, 22, kind, title=f"{kind}: {si(flops, 'FLOP')}")
            at += wide
    canvas.text(x, y + 26, _total_words(panel), 14, "muted")
    canvas.text(at + 10, y + 55, si(panel.total, "FLOP"), 17, bold=True)


def _total_words(panel: Panel) -> str:
    words = "Together, without icons"
    took = [row.measured for row in panel.rows if row.measured]
    if took:
        words += f" · measured with them: {seconds_words(sum(m.seconds for m in took))}"
        peak = max((m.peak or 0 for m in took), default=0)
        words += f", peak memory {si(peak, 'B')}" if peak else ""
    return words


def _legend(canvas: Canvas, kinds: list[str], y: float, width: float) -> None:
    x = MARGIN
    for kind in kinds:
        if kind in ("icons", "reruns"):
            _loop(canvas, x, x + 34, y - 4.5, kind)
        elif kind == "backward":
            canvas.arrow(x + 34, x, y - 4.5, kind, 2.4)
        else:
            canvas.arrow(x, x + 34, y - 4.5, kind, 2.4)
        canvas.text(x + 43, y, NAMES[kind], 14)
        x += 43 + text_width(NAMES[kind], 14) + 26
    canvas.circle(x + 5, y - 4.5, 4.2, "paper", "muted")
    canvas.text(x + 18, y, "a layer whose values or gradients are read", 14)
    words = (
        "Blocks of the network and arrows are as wide as the FLOPs of one pass.",
        "A FLOP is one addition or multiplication:",
        "M 10⁶, G 10⁹, T 10¹². ≤ is an upper bound.",
    )
    size = 13 if width > 1200 else 12
    canvas.text(MARGIN, y + 26, " ".join(words), size, "muted")


def _description(explanation: Explanation) -> str:
    """The picture in words, for who does not see it."""
    words = [
        f"{saving.name}: {saving.before} as written, {saving.after} optimized" for saving in explanation.savings()[:-1]
    ]
    flops = explanation.savings()[-1]
    words.append(f"{si(flops.before, 'FLOP')} as written, {si(flops.after, 'FLOP')} optimized, without icons")
    if not explanation.optimized:
        words = [f"{saving.name}: {saving.before}" for saving in explanation.savings()[:-1]]
        words.append(f"{si(flops.before, 'FLOP')} without icons, not optimized")
    names = ", ".join(element.id for element in explanation.before.program.elements)
    return f"Passes through the network for the elements {names}. {'; '.join(words)}."
