"""The answers of an element, one for each of its states, and which of them an interface opens with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bbilang.compiler.contract import Style
from bbilang.runtime.fields.field import Linked
from bbilang.runtime.fields.statements import Statements
from bbilang.runtime.view.answers.by_content import by_content
from bbilang.runtime.view.answers.shown import Shown
from bbilang.runtime.view.budget.lines import Lines
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Answer, Element, Legend, Panel
from bbilang.runtime.view.scales import decimals_of

NOTHING, MEASURE, CLASSES, WHY, MATCHED, STATED = range(6)  # how much of the question of a page an element answers


def answers_of(
    drawing: Drawing,
    style: Style,
    panels: Sequence[Panel],
    legend: Legend | None,
    words: Mapping[str, Sequence[str]],
    lines: Lines | None,
) -> tuple[Answer, ...]:
    """Write a sentence for each state. ``words``: the choices of each selection, in words. ``lines``: the budget."""
    decimals = decimals_of(legend.domain) if legend is not None else 2
    if not panels:
        return ()
    answers = []
    for state in drawing.each_state():
        names = [axis.name for axis in drawing.states]
        chosen = {name: words[name][at] for name, at in zip(names, state, strict=True) if name in words}
        shown = Shown(drawing, panels, state, chosen, decimals, lines)
        own = style.answer(shown)
        answers.append(by_content(shown) if own is None else own)
    return tuple(answers) if any(answers) else ()


def importance(drawing: Drawing, kinds: Mapping[str, str]) -> int:
    """Rank an element by how directly it explains the network's prediction. ``kinds``: of each selection."""
    type = drawing.field.type
    alone = drawing.drawn.slots is None and drawing.drawn.cells is None and type.content == "activation"
    pointed = any(kinds.get(axis.name) == "hover" for axis in drawing.states)
    if drawing.node["over"] is not None or alone:
        return NOTHING
    if isinstance(drawing.field, Statements) and drawing.field.leads:
        return STATED
    if type.partner and type.partner[0] and not pointed:  # a page that matches two networks asks which belong together
        return MATCHED
    if type.content in ("attribution", "gradient", "effect") or isinstance(drawing.field, Linked):
        slots = drawing.drawn.slots
        sums = slots is not None and not {*slots.components} - {"layer", "step"}  # of whole layers: they name nothing
        return MEASURE if pointed or sums else WHY
    return CLASSES if type.content == "score" and type.atom == "class" else MEASURE


def lead_of(elements: Sequence[Element], importances: Mapping[str, int], starts: Mapping[str, int]) -> str:
    """Return the element whose sentence opens an interface: the most important one that has a sentence when the page
    opens. Empty if there is none. A caption replaces the sentence at its element, not here."""
    able = [
        element
        for element in elements
        if starts[element.id] < len(element.answers) and element.answers[starts[element.id]]
    ]
    best = max(able, key=lambda element: importances[element.id], default=None)
    return best.id if best is not None and importances[best.id] else ""
