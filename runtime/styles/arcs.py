"""`arcs`: attention as arcs over the words of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import ColourScale, Drawn, Fail, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.prose import percent
from bbilang.runtime.view.atom_words import spaced
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.model import Answer, Element, Frame, Panel, Piece

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.pieces import Part
    from bbilang.runtime.view.answers.shown import Shown

ENDS = ("query", "key")


class Arcs(Style):
    """The words of a text with arcs from the word that looks to those that it looks at: the wider an arc, the larger
    its share of that word's attention. Point at a word, tap it or reach it with the arrow keys to see all of its arcs,
    and how much each word gets; before that, each word has the arc of its largest share. With `facet=head` every head
    has a text of its own, and a word is pointed at in all of them."""

    name = "arcs"
    drawn_as = "arcs between words"
    spends = "`query` and `key`"
    selects_marks = True
    example_needs = "a network with attention"
    example = (
        'model "transformers:my_classifier"\ninput "text:The film was good."\n'
        "layer.1.attention.head | attention | present(arcs, facet=head)"
    )

    def spend(self, field: FieldType) -> Drawn:
        query, key = (field.axis(name) for name in ENDS)
        if query is None or key is None:
            help = "as in `layer.1.attention.head | attention | present(arcs, facet=head)`"
            raise Fail("E365", "`arcs` draws from words to words, and this field has no `query` and `key` left", help)
        if not (query.whole and key.whole):
            raise Fail("E365", "`arcs` draws all words in their order, and some were left out", "leave out the choice")
        return Drawn(ENDS, query, key)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        axis = drawing.slots
        atoms, values = drawing.slot_atoms(axis), drawing.values(axis)

        def frame(index: Index) -> Frame:
            shares = tuple(tuple(map(rounded, row)) for row in values[index])
            return Frame(tuple(int(atom) for atom in atoms[index]), (), shares, drawing.series(index))

        return drawing.panels(frame)

    def options(self, drawing: Drawing) -> dict[str, object]:
        return spaced(drawing.results)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        return ("an arc leads from the word that looks to the word that it looks at; less than 1 % is left out",
                "without a word pointed at, each word has the arc of its largest share")  # fmt: skip

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        return "full"

    def answer(self, shown: Shown) -> Answer | None:
        """Say where the last word of each panel looks most."""
        from bbilang.runtime.view.answers.pieces import listed, sentence

        items: list[list[Part]] = []
        for frame, label in list(zip(shown.frames, shown.labels, strict=True))[:3]:
            slot = max((slot for slot, atom in enumerate(frame.atoms) if atom >= 0), default=-1)
            shares = np.array([value or 0.0 for value in frame.values[slot]]) if slot >= 0 else np.zeros(0)
            if shares.any():
                best = int(shares.argmax())
                words = Piece(f"“{frame.series[best].strip()}”", frame.atoms[best])
                items.append([words, f" ({percent(float(shares[best]))}{f' in {label}' if label else ''})"])
        if not items:
            return ()
        last = next(atom for atom in reversed(shown.frame.atoms) if atom >= 0)
        return sentence("the last word, ", Piece(f"“{shown.label(last).strip()}”", last), ", looks most at ",
                        *listed(items))  # fmt: skip

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.words import arcs

        return arcs(element, theme)


STYLES = (Arcs(),)
