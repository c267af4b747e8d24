"""A field restricted to the atoms that another one has."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.fields.field import ABSENT, Field, Named


def restricted(field: Field, chosen: Field) -> Field:
    """Restrict a field of examples to the atoms that another one, of the page's input, has; in its order."""
    coords = {name: _of_first(array) for name, array in chosen.coords.items() if name != "input"}
    atoms = [c for axis in chosen.type.atom_axes for c in axis.components if c in field.coords and c in coords]
    values = field.values.renamed({c: f"{c}*" for c in atoms if c in field.values.dims})
    for component in atoms:
        if f"{component}*" in values.dims:
            values = values.take(f"{component}*", _positions(field.coords[component], coords[component]))
    others = {name: array for name, array in field.coords.items() if name not in coords}
    return Field(field.type, values, {**coords, **others}, field.names, notes=field.notes)


def _of_first(array: Named) -> Named:
    return array.take("input", Named((), np.array(0))) if "input" in array.dims else array


def _positions(own: Named, wanted: Named) -> Named:
    """Return where each of the wanted coordinates stands among a field's own."""
    if own.data.ndim != 1:
        raise ValueError("atoms that differ from example to example cannot be restricted")
    table = np.full(int(max(own.data.max(initial=0), wanted.data.max(initial=0))) + 2, ABSENT)
    table[own.data] = np.arange(len(own.data))
    return Named(wanted.dims, np.where(wanted.data < 0, ABSENT, table[np.maximum(wanted.data, 0)]))
