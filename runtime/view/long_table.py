"""All numbers of a page as one long table: every element, every state that a reader can reach."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from bbilang.runtime.view.model import Element, Selection, View
from bbilang.runtime.view.states import elements


def long_table(view: View) -> str:
    """Write the view as CSV (RFC 4180).

    Columns: element, one for each selection, facet, slot, atom, series, value, unit, note.

    A selection's column is empty where the element does not depend on it. A link of a flow is a row of its own, after
    those of the nodes: from `atom` to `series`, with the note `link`. Texts are quoted, so that no other separator
    splits them; one that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    used = {name for element in elements(view) for name in element.states}
    states = [selection for selection in view.selections if selection.id in used]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    header = ["element", *(s.title or s.id for s in states), "facet", "slot", "atom", "series", "value", "unit", "note"]
    writer.writerow(map(_cell, header))
    for element in elements(view):
        for row in _rows(element, states):
            writer.writerow(map(_cell, row))
    return file.getvalue()


def _rows(element: Element, states: list[Selection]) -> Iterator[list[object]]:
    atoms = {selection.id: selection.atoms for selection in states}
    unit = element.legend.table_unit if element.legend is not None else ""
    for panel in element.panels:
        for state, frame in enumerate(panel.frames):
            choice, rest = {}, state
            for name in reversed(element.states):
                rest, index = divmod(rest, len(atoms[name]))
                choice[name] = atoms[name][index].label
            chosen = [choice.get(selection.id, "") for selection in states]
            label = panel.labels[state] if state < len(panel.labels) else panel.key or panel.label
            for slot, values in enumerate(frame.values):
                atom = frame.atoms[slot] if slot < len(frame.atoms) else -1
                note = frame.notes[slot] if slot < len(frame.notes) else ""
                note = note or (element.atoms[atom].more if atom >= 0 else "")
                own = frame.words[slot] if slot < len(frame.words) else frame.series
                for series, value in zip(own, values, strict=False):
                    if value is not None or atom >= 0:
                        name = element.atoms[atom].label if atom >= 0 else ""
                        yield [element.id, *chosen, label, slot, name, series, value, unit, note]
            for start, end, value in frame.links:
                ends = [element.atoms[frame.atoms[slot]].label for slot in (start, end)]
                yield [element.id, *chosen, label, start, *ends, value, unit, "link"]


# A sign that begins a formula in some spreadsheet, also a full-width one, wherever a separator puts it first.
FORMULA = re.compile(r"[\s;,|]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]|[\t\r\n]")


def _cell(value: object) -> object:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
