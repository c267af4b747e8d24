"""The contract of a measure, and what it finds."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bbilang.grammar.frozen import frozen
from bbilang.runtime.fields.field import Field

if TYPE_CHECKING:
    from bbilang.runtime.trust.case import Case


@frozen
class Cost:
    """What a measure asks of the network, for each input: the attribution ``again`` so many times, with all the passes
    of its method, each to ``classes`` others in the place of each target if that is not 0; ``rows`` activations at
    which the network above the layer runs again, ``each`` more for every target, and ``gradients`` from which every
    target is followed down."""

    again: int = 0
    classes: int = 0
    rows: int = 0
    each: int = 0
    gradients: int = 0


@frozen
class Finding:
    """What a measure says of one attribution.

    words: the result for the legend, with its numbers. warning: a sentence for the reader where the attribution fails
    the measure, empty where it does not. spread: for measures of atoms, a number for every atom of the layer, (input,
    target, atom), in the attribution's unit; of shown ones (input, target, place). curve: for curves, what
    `present(curve)` draws. values: the bare numbers, (input, target), by name, for tests and tables.
    """

    words: str
    warning: str = ""
    spread: np.ndarray | None = None
    curve: Field | None = None
    values: dict[str, Any] = field(default_factory=dict)


class Measure:
    """One way to doubt an attribution. ``means``: one sentence for the legend, what it says and what it does not."""

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""  # in words, for legends: "path dependence"
    source: ClassVar[str] = ""  # author and year
    formula: ClassVar[str] = ""
    means: ClassVar[str] = ""
    of_atoms: ClassVar[bool] = False  # a number for each atom, beside the attribution
    of_shown: ClassVar[bool] = False  # what it does depends on the atoms that are shown
    curve: ClassVar[bool] = False  # can be drawn as `curve`
    interval: ClassVar[bool] = False  # of atoms: how far the attribution may be off, drawn as whiskers
    input_only: ClassVar[bool] = False
    boxed: ClassVar[bool] = False  # compares a map with the boxes of a file

    def cost(self, n: int) -> Cost:
        """``n``: the samples that the text asks for; of what takes out shown atoms, their number."""
        return Cost()

    def find(self, case: Case) -> Finding:
        raise NotImplementedError
