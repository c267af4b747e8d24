"""`Measure`: the contract of a trust measure, with its cost and its result."""

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
    """The passes of a measure for each input: the attribution is computed ``again`` this many times, with all the
    passes of its method, to ``classes`` other classes for each target if not 0; the network above the layer runs at
    ``rows`` changed activations, and ``each`` more for every target; ``gradients`` of them are differentiated."""

    again: int = 0
    classes: int = 0
    rows: int = 0
    each: int = 0
    gradients: int = 0


@frozen
class Finding:
    """The result of a measure for one attribution.

    words: the result for the legend, with its numbers. warning: a sentence for the reader where the attribution fails
    the measure, else empty. spread: for measures of atoms, a number for every atom of the layer, (input, target, atom),
    in the attribution's unit; for shown atoms (input, target, slot). curve: the field that `present(curve)` draws.
    values: the plain numbers, (input, target), by name, for tests and tables.
    """

    words: str
    warning: str = ""
    spread: np.ndarray | None = None
    curve: Field | None = None
    values: dict[str, Any] = field(default_factory=dict)


class Measure:
    """A test of an attribution. ``means``: one sentence for the legend, what the result says and what it does not."""

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""  # in words, for legends: "path dependence"
    source: ClassVar[str] = ""  # author and year
    formula: ClassVar[str] = ""
    means: ClassVar[str] = ""
    of_atoms: ClassVar[bool] = False  # a number for each atom, beside the attribution
    of_shown: ClassVar[bool] = False  # depends on the atoms that are shown
    curve: ClassVar[bool] = False  # can be drawn as `curve`
    interval: ClassVar[bool] = False  # the numbers of atoms are error bars, drawn as whiskers
    input_only: ClassVar[bool] = False
    boxed: ClassVar[bool] = False  # compares a map with the boxes of a file
    of_influence: ClassVar[bool] = False  # of training examples: it trains again (`runtime.trust.retraining`)

    def cost(self, n: int) -> Cost:
        """Return the passes that the measure needs. ``n``: the number of samples, or of shown atoms (``of_shown``)."""
        return Cost()

    def find(self, case: Case) -> Finding:
        """Measure one attribution."""
        raise NotImplementedError
