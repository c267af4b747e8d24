"""What random sets of atoms do, beside the effect of an intervention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bbilang.compiler.ir.types import LAYER_AXES, Axis
from bbilang.runtime.fields.field import CONTROL, CONTROLS, Named
from bbilang.runtime.fields.prose import PLURALS, singular
from bbilang.runtime.view.drawing import Drawing, Index

FEW = 999  # sets from which a rank p-value is given


@dataclass(frozen=True)
class Controls:
    """``values``: over some axes of the field, the last is `control`; NaN for sets that there are not."""

    drawing: Drawing
    values: Named

    @classmethod
    def of(cls, drawing: Drawing) -> Controls | None:
        """Return the controls of an element's numbers; None where there are none."""
        values = drawing.field.beside.get(CONTROLS)
        if values is None or not np.isfinite(values.data).any():
            return None
        return cls(drawing, values.ordered((*(d for d in values.dims if d != CONTROL), CONTROL)))

    @property
    def count(self) -> int:
        """The largest number of sets that any effect has."""
        return int(np.isfinite(self.values.data).sum(-1).max())

    @property
    def together(self) -> bool:
        """Whether each is a set of several atoms: those that changed together have no axis."""
        own = {*LAYER_AXES, "group"}
        type = self.drawing.field.type
        return not any(own & set(axis.components) for axis in (*type.axes, *type.states))

    def called(self, count: int) -> str:
        """Name the controls: "20 random sets of as many channels", "20 random channels"."""
        atom = self.drawing.field.type.atom
        plural = PLURALS.get(atom, "atoms")
        some = f"sets of as many {plural}" if self.together else singular(atom) if count == 1 else plural
        return f"{count:,} random {some} of like magnitude"

    def ends(self, axis: Axis) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest over (states, facet, slot); NaN where there are none."""
        missing = np.isnan(self.values.data).all(-1)
        low, high = (
            np.where(missing, np.nan, end)
            for end in (
                np.where(np.isnan(self.values.data), np.inf, self.values.data).min(-1),
                np.where(np.isnan(self.values.data), -np.inf, self.values.data).max(-1),
            )
        )
        dims = self.values.dims[:-1]
        return self.drawing.grid(Named(dims, low), axis), self.drawing.grid(Named(dims, high), axis)

    def of_frame(self, index: Index) -> np.ndarray:
        """Return the effects of all random sets in one state and facet of a single effect."""
        axis = Axis(CONTROL, self.values.data.shape[-1])
        values = self.values
        for dim in values.dims[:-1]:
            known = {a.name for a in (*self.drawing.states, *([self.drawing.facet] if self.drawing.facet else []))}
            if dim not in known and dim != "input" and values.sizes[dim] == 1:
                values = values.take(dim, Named((), np.array(0)))
        own = self.drawing.grid(values, axis)[index]
        return own[np.isfinite(own)]

    @staticmethod
    def p_value(values: np.ndarray, own: float) -> float | None:
        """Return the rank p-value of an effect: how often a random set does as much or more, in either direction, the
        set itself among them. None for too few sets."""
        if len(values) < FEW:
            return None
        return float((1 + (np.abs(values) >= abs(own)).sum()) / (1 + len(values)))
