"""One state of an element, from which its sentence is generated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from math import isfinite

import numpy as np

from bbilang.compiler.ir.models import CHECKPOINT_AXIS
from bbilang.compiler.ir.score_kinds import LOGITS, VALUE
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.frozen import frozen
from bbilang.runtime.fields.prose import percent, prose
from bbilang.runtime.ops.datasets.columns import dataset_of
from bbilang.runtime.view.answers.pieces import Part, listed
from bbilang.runtime.view.budget.lines import Lines, Sums
from bbilang.runtime.view.drawing import Drawing, Index
from bbilang.runtime.view.model import Frame, Panel, Piece

LEAST = 0.05  # of the largest number: a smaller one is not among the strongest
NUMBERED = re.compile(r"(?:(?P<layer>.+), )?(?P<noun>[a-z]+) (?P<number>\d+(?: \"[^\"]+\"| \(stale \"[^\"]+\"\))?)")


def leading(marks: Sequence[Mark]) -> list[Mark]:
    """Return the leading marks, strongest first, without those that are negligible beside the first."""
    return [mark for mark in marks if abs(mark.value) >= LEAST * abs(marks[0].value)]


@frozen
class Mark:
    """One mark with its number."""

    atom: int
    value: float
    panel: int
    slot: int


class Shown:
    """The frames of one state, one for each panel, and what the reader selected. ``chosen``: words of each selection
    that this state depends on, by its id. ``decimals``: of numbers in the element. ``lines``: its budget."""

    def __init__(
        self,
        drawing: Drawing,
        panels: Sequence[Panel],
        state: tuple[int, ...],
        chosen: dict[str, str],
        decimals: int,
        lines: Lines | None = None,
    ):
        self.drawing, self.state, self.chosen, self.decimals, self._lines = drawing, state, chosen, decimals, lines
        number = int(np.ravel_multi_index(state, drawing.state_sizes)) if state else 0
        self.frames: list[Frame] = [panel.frames[number] for panel in panels]
        self.labels = [panel.labels[number] if panel.labels else panel.label for panel in panels]

    @property
    def type(self) -> FieldType:
        return self.drawing.field.type

    @property
    def frame(self) -> Frame:
        return self.frames[0]

    def index(self, panel: int = 0) -> Index:
        return self.drawing.index(self.state, panel)

    # --- marks -----------------------------------------------------------------------------------------------------

    @cached_property
    def marks(self) -> list[Mark]:
        """Every mark that has a number, panel by panel; of several series, the first."""
        return [
            Mark(atom, row[0], panel, slot)
            for panel, frame in enumerate(self.frames)
            for slot, (atom, row) in enumerate(zip(frame.atoms, frame.values, strict=False))
            if atom >= 0 and row and row[0] is not None
        ]

    def strongest(self, most: int = 3) -> list[Mark]:
        """Return the marks with the largest magnitudes, largest first, without negligible ones."""
        return leading(sorted(self.marks, key=lambda mark: -abs(mark.value))[:most])

    def label(self, atom: int) -> str:
        return self.drawing.atoms[atom].label

    def listed(self, marks: Sequence[Mark], numbers: bool = True, signed: bool | None = None) -> list[Part]:
        """List marks, each as a link: "channels 451 (+0.19), 60 (+0.19) and 544 (+0.15)"."""
        known = [NUMBERED.fullmatch(self.label(mark.atom)) for mark in marks]
        kinds = {(match["layer"], match["noun"]) if match else None for match in known}
        shared = len(kinds) == 1 and None not in kinds
        noun = f"{known[0]['noun']}{'s' if len(marks) > 1 else ''} " if shared and known[0] else ""
        layer = f" of {known[0]['layer']}" if shared and known[0] and known[0]["layer"] else ""
        items: list[list[Part]] = []
        for number, (mark, match) in enumerate(zip(marks, known, strict=True)):
            words = match["number"] if shared and match else self.label(mark.atom)
            if shared and number == 0:
                words = noun + words
            value = f" ({self.number(mark.value, signed)})" if numbers else ""
            items.append([Piece(words + value, mark.atom)])
        return [*listed(items), layer]

    def number(self, value: float, signed: bool | None = None) -> str:
        return prose(value, self.type.signed if signed is None else signed, self.decimals)

    def named(self, label: str) -> str:
        """Turn "block3b.expand, channel 46" into "channel 46 of block3b.expand"."""
        layer, comma, rest = label.partition(", ")
        return f"{rest} of {layer}" if comma and layer in self._layers else label

    @cached_property
    def _layers(self) -> set[str]:
        return {*self.type.layers, *self.type.linked, *self.drawing.results.layers}

    def sums(self, series: int = 0) -> Sums | None:
        """Return the sum of one class's numbers, that of all atoms, and the score; None if unknown."""
        lines = self._lines
        if lines is None or len(self.frames) > 1 or series >= lines.series:
            return None
        sums = lines.sums(self.index(), series)
        return sums if isfinite(sums.score) else None

    @property
    def branch(self) -> str:
        """The layer, where it is a side branch that something goes past; else empty."""
        description, layers = self.drawing.results.program.description, self.type.layers
        alone = description is not None and len(layers) == 1 and layers[0] != "input"
        return layers[0] if alone and description is not None and description.place(layers[0]) == "branch" else ""

    @property
    def in_line(self) -> bool:
        """Return whether the numbers are of several layers that the same signal passes: they do not add up."""
        description, layers = self.drawing.results.program.description, self.type.layers
        if description is None or len(layers) < 2:
            return len(layers) > 1
        beside = all(description.place(layer) == "branch" for layer in layers)
        return not (beside and description.place(*layers) == "cut")

    @property
    def overlapping(self) -> bool:
        """Return whether the atoms share parts of the activation, as directions that are not orthogonal do: their
        numbers do not add up."""
        return self.type.atom == "direction"

    @property
    def measured(self) -> bool:
        """Return whether the numbers are absolute, and not relative to a maximum."""
        return not self.type.scope

    def beside(self, name: str) -> float:
        """Return a number that stands beside an effect in this state: the score before it. NaN where it differs from
        mark to mark, or is not known."""
        array = self.drawing.field.beside.get(name)
        try:
            return float("nan") if array is None else float(self.drawing.grid(array)[self.index()])
        except ValueError:
            return float("nan")

    # --- what was asked ----------------------------------------------------------------------------------------------

    @cached_property
    def target(self) -> str:
        """The class that is attributed to in this state; empty where there is none, or several."""
        names = self.drawing.field.names.get("class")
        if names is None or self.type.axis("class") is not None:
            return ""
        known = {axis.name for axis in (*self.drawing.states, *([self.drawing.facet] if self.drawing.facet else []))}
        if set(names.dims) - known - {"input"}:
            return ""
        return str(self.drawing.grid(names)[self.index()])

    @property
    def position(self) -> str:
        """The position that the reader selected, in words: "row 6, column 4"."""
        return self._chosen({"y", "x"})

    @property
    def example(self) -> str:
        """The example that the reader selected: "king snake"."""
        return self._chosen({"example"})

    @property
    def facet_word(self) -> str:
        """What the panels are: "layer", "checkpoint"; empty for a single one."""
        facet = self.drawing.facet
        return "" if facet is None else "checkpoint" if facet.name == CHECKPOINT_AXIS else facet.name

    @property
    def subject(self) -> str:
        """The channel, group or class that the reader selected."""
        return (
            self._chosen({"channel"})
            or self._chosen({"group"})
            or self._chosen({"concept"})
            or self._chosen({"head"})
            or self._chosen({"token"})
        )

    def _chosen(self, components: set[str]) -> str:
        for axis in self.drawing.states:
            if components <= set(axis.components):
                return self.named(self.chosen.get(axis.name, ""))
        return ""

    @cached_property
    def _probabilities(self) -> dict[str, float]:
        results = self.drawing.results
        if results.probabilities is None or results.kind == VALUE or dataset_of(self.drawing.node) is not None:
            return {}  # of examples each has probabilities of its own
        row = 0
        axes = [*self.drawing.states, *([self.drawing.facet] if self.drawing.facet else [])]
        for axis, at in zip(axes, self.index(), strict=False):
            row = at if axis.name == "input" or axis.components == ("input",) else row
        several = len(results.pictures) > 1 and not any("input" in axis.components for axis in axes)
        if several or row >= len(results.probabilities):
            return {}
        shares = results.probabilities[row]
        best = np.argsort(-shares, kind="stable")[:50]
        return {results.labels(int(i)): float(shares[i]) for i in reversed(best)}

    def sure(self, label: str) -> str:
        """Return a class with its probability: "tiger cat (39 %)"."""
        known = self._probabilities.get(label)
        return label if known is None else f"{label} ({percent(known)})"

    def lead_in_logits(self, first: str, second: str) -> float | None:
        """Return by how much the logit of one class exceeds that of another, from their probabilities; None without
        those."""
        if self.drawing.results.kind != LOGITS:
            return None
        ends = [self._probabilities.get(label) for label in (first, second)]
        if None in ends or min(p or 0.0 for p in ends) <= 0:
            return None
        return float(np.log((ends[0] or 1.0) / (ends[1] or 1.0)))
