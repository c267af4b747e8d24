"""A plan comparison as SVG: panels of the plan as written and of the optimized one, for each model.

A panel shows the network from left to right, as wide as its FLOPs, an arrow for every pass, bars of FLOPs, and the
elements that need them.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from bbilang.compiler.explain.comparison import PlanComparison
from bbilang.compiler.explain.diagram_panel import (
    BAR,
    NETWORK,
    NUMBER,
    PADDING,
    PANEL,
    Frame,
    Panel,
    draw_loop,
    draw_panel,
    panel_of,
)
from bbilang.compiler.explain.svg import Canvas, fit, text_width
from bbilang.compiler.explain.units import seconds_words, si
from bbilang.compiler.plan.plan import COUNTED
from bbilang.compiler.plan.steps import predicts
from bbilang.grammar.frozen import frozen

MARGIN, GUTTER = 40, 32
TOP = 132  # where panels begin
FOOT = 92  # of a panel, below its rows: the sum of all passes
NAMED = 42  # of the line above the panels of one model of several
ARROW_NAMES = {
    "scan": "each example of a dataset",
    "forward": "forward pass",
    "backward": "backward pass",
    "tangents": "tangents: forward mode",
    "reruns": "the network again, there and back",
    "icons": "icons: there and back, every step",
}


@frozen
class Band:
    """The panels of one model, side by side. ``name``: how the text calls it, empty where it is the only one."""

    name: str
    comparison: PlanComparison
    panels: tuple[Panel, ...]
    frame: Frame

    @property
    def above(self) -> float:
        """The height of the line above the panels that names the model."""
        return NAMED if self.name else 0

    @property
    def height(self) -> float:
        return self.above + self.frame.height + FOOT


def svg(comparison: PlanComparison, theme: str = "auto") -> str:
    """Draw the standalone picture: of several models, a band of panels for each, in the order in which they run, with
    one scale of FLOPs. Raises ValueError for an unknown theme."""
    canvas = Canvas(theme)
    bands = _bands(comparison)
    panels = [panel for band in bands for panel in band.panels]
    across = max(len(band.panels) for band in bands)
    width = 2 * MARGIN + across * PANEL + (across - 1) * GUTTER
    _heading(canvas, comparison, width)
    total = max(panel.total for panel in panels)
    top = float(TOP)
    for band in bands:
        if band.name:
            _name(canvas, band, top, width)
        below = top + band.above
        for number, panel in enumerate(band.panels):
            x = MARGIN + number * (PANEL + GUTTER)
            canvas.rect(x, below, PANEL, band.frame.height + FOOT, "panel", radius=12)
            draw_panel(canvas, panel, x, below, band.frame)
            _draw_total(canvas, panel, x + PADDING, below + band.frame.height + 14, total)
        top += band.height + GUTTER
    kinds = [kind for kind in ARROW_NAMES if any(row.kind == kind for panel in panels for row in panel.rows)]
    end = _legend(canvas, kinds, top, width)
    text = "".join(canvas.parts)
    name = "bbi-plan-" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    title = f"Plan of the page {comparison.title}"
    return canvas.done(width, end + 30, title, _description(comparison), name)


def _bands(comparison: PlanComparison) -> list[Band]:
    """Lay out the panels of each model; the bars of all of them have one scale."""
    every = comparison.of_models if comparison.before.parts else {"": comparison}
    laid = {name: _panels(own) for name, own in every.items()}
    frames = {name: Frame.around(panels) for name, panels in laid.items()}
    largest = max(frame.largest for frame in frames.values())
    return [Band(name, every[name], panels, replace(frames[name], largest=largest)) for name, panels in laid.items()]


def _panels(comparison: PlanComparison) -> tuple[Panel, ...]:
    plans = [("As written", comparison.before), ("Optimized", comparison.after)]
    return tuple(
        panel_of(
            title,
            plan,
            comparison.measured if plan is comparison.after else {},
            predicts(plan.program, comparison.before.program),
        )
        for title, plan in (plans if comparison.optimized else plans[:1])
    )


def _name(canvas: Canvas, band: Band, top: float, width: float) -> None:
    """Say which model the panels below are of, and which part of its forward is that of another."""
    program = band.comparison.after.program
    canvas.text(MARGIN, top + 24, [("model ", "muted", False), (band.name, "ink", True)], 21)
    x = MARGIN + text_width("model ", 21) + text_width(band.name, 21, True) + 16
    words = [program.description.title] if program.description else []
    base = program.models[0].base
    words += [f"derived from {base.alias}"] if base else []
    canvas.text(x, top + 24, fit(" · ".join(words), 17, width - MARGIN - x), 17, "muted")


def _heading(canvas: Canvas, comparison: PlanComparison, width: float) -> None:
    program = comparison.before.program
    flops = comparison.savings()[-1]
    right = ""
    if comparison.optimized and flops.before > flops.after > 0:
        right = f"{flops.times:.1f} × less computation"
    room = width - 2 * MARGIN - (text_width(right, 30, True) + 40 if right else 0)
    canvas.text(MARGIN, 62, fit(comparison.title, 30, room, True), 30, bold=True)
    titles = [part.program.description.title for part in comparison.before.parts if part.program.description]
    models = dict.fromkeys(titles or ([program.description.title] if program.description else []))
    model = ", ".join(models)
    source = program.source.name if program.source and not program.source.name.startswith("<") else ""
    pictures = f"{len(program.inputs)} picture{'s' if len(program.inputs) != 1 else ''}" if program.inputs else ""
    words = " · ".join(part for part in ("What runs for the page", source, model, pictures) if part)
    canvas.text(MARGIN, 94, fit(words, 17, room), 17, "muted")
    if right:
        canvas.text(width - MARGIN, 62, right, 30, "forward", True, "end")
        words = f"{si(flops.before, 'FLOP')} → {si(flops.after, 'FLOP')}, icons not counted"
        canvas.text(width - MARGIN, 94, words, 17, "muted", anchor="end")


def _draw_total(canvas: Canvas, panel: Panel, x: float, y: float, largest: int) -> None:
    """Draw the FLOPs of all passes but those of icons, on one scale for both plans."""
    canvas.path(f"M{x:.1f} {y:.1f}h{PANEL - 2 * PADDING:.1f}", "rule", width=1.2)
    full_width = NETWORK + 22 + BAR + NUMBER - 40
    at = x
    for kind in COUNTED:
        flops = panel.plan.total(kind)[1]
        bar_width = full_width * flops / largest if largest else 0
        if bar_width > 0:
            colour = "scan" if kind == "draw" else kind  # both are passes over examples
            canvas.rect(at, y + 38, bar_width, 22, colour, title=f"{kind}: {si(flops, 'FLOP')}")
            at += bar_width
    canvas.text(x, y + 26, _total_words(panel), 14, "muted")
    canvas.text(at + 10, y + 55, si(panel.total, "FLOP"), 17, bold=True)


def _total_words(panel: Panel) -> str:
    words = "Together, without icons"
    measured = [row.measured for row in panel.rows if row.measured]
    if measured:
        words += f" · measured with them: {seconds_words(sum(m.seconds for m in measured))}"
        peak = max((m.peak or 0 for m in measured), default=0)
        words += f", peak memory {si(peak, 'B')}" if peak else ""
    return words


def _legend(canvas: Canvas, kinds: list[str], y: float, width: float) -> float:
    """Explain the arrows and numbers; return the y coordinate of the last line."""
    x = float(MARGIN)
    for kind in [*kinds, "layer"]:
        words = ARROW_NAMES.get(kind, "a layer whose values or gradients are read")
        mark = 18 if kind == "layer" else 43
        if x > MARGIN and x + mark + text_width(words, 14) > width - MARGIN:
            x, y = float(MARGIN), y + 24
        if kind == "layer":
            canvas.circle(x + 5, y - 4.5, 4.2, "paper", "muted")
        elif kind in ("icons", "reruns"):
            draw_loop(canvas, x, x + 34, y - 4.5, kind)
        elif kind == "backward":
            canvas.arrow(x + 34, x, y - 4.5, kind, 2.4)
        else:
            canvas.arrow(x, x + 34, y - 4.5, kind, 2.4)
        canvas.text(x + mark, y, words, 14)
        x += mark + text_width(words, 14) + 26
    reading = (
        "Blocks of the network and arrows are as wide as the FLOPs of one pass.",
        "A FLOP is one addition or multiplication: M million, G billion, T trillion. ≤ is an upper bound.",
    )
    for line in [" ".join(reading)] if width > 1200 else reading:
        y += 24
        canvas.text(MARGIN, y, line, 13, "muted")
    return y


def _description(comparison: PlanComparison) -> str:
    """Describe the picture in words, for screen readers."""
    words = [
        f"{saving.name}: {saving.before} as written, {saving.after} optimized" for saving in comparison.savings()[:-1]
    ]
    flops = comparison.savings()[-1]
    words.append(f"{si(flops.before, 'FLOP')} as written, {si(flops.after, 'FLOP')} optimized, without icons")
    if not comparison.optimized:
        words = [f"{saving.name}: {saving.before}" for saving in comparison.savings()[:-1]]
        words.append(f"{si(flops.before, 'FLOP')} without icons, not optimized")
    names = ", ".join(element.id for element in comparison.before.program.elements)
    models = ", ".join(comparison.of_models)
    networks = f"the networks of the models {models}" if comparison.before.parts else "the network"
    return f"Passes through {networks} for the elements {names}. {'; '.join(words)}."
