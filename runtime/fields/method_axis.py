"""Several methods in one `attribute`: each is a separate attribution, planned together with the others, and the results
are joined along an axis `method`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Make, MethodCall, Registry, Run
from bbilang.compiler.contract.method import bound
from bbilang.compiler.explain.logical import method_words
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named, union_of
from bbilang.runtime.fields.prose import prose

METHOD = "method"


def listed(method: object) -> tuple[str | MethodCall, ...]:
    """Return the methods of a list, each a name or (name, parameters); () where the argument is one method."""
    return method[1] if isinstance(method, tuple) and method[0] == "list" else ()


def comparable(field: FieldType, name: str, per: str | None = None) -> None:
    """Raise `Fail` where an operation compares or adds up numbers of several methods, which have different units."""
    if field.axis(METHOD) is not None and per != METHOD and not field.scope:
        help = "`normalize(scope=method)` before it makes them shares of each method's maximum"
        raise Fail("E231", f"{name} over several methods compares numbers of different units", help)


def expanded(field: Node, arguments: Arguments, make: Make) -> Arguments:
    """Add one attribution for each method of a list to the arguments."""
    methods = listed(arguments[METHOD])
    if not methods:
        return arguments
    others = {name: value for name, value in arguments.items() if name != METHOD}
    return {**arguments, "each": tuple(make("attribute", field, method=method, **others) for method in methods)}


def stacked(node: Node, run: Run) -> Field:
    """Stack the fields of a list's methods along an axis `method`, named by `labels`."""
    fields: list[Field] = [run.value(each) for each in node["each"]]
    words = labels(listed(node[METHOD]))
    dims = union_of(field.values for field in fields)
    shape = np.broadcast_shapes(*(field.values.spread(dims).shape for field in fields))
    data = np.stack([np.broadcast_to(field.values.spread(dims), shape) for field in fields], -1)
    first = fields[0]
    notes = first.notes if all(field.notes == first.notes for field in fields) else tuple(
        f"{word}: {note}" for word, field in zip(words, fields, strict=True) for note in field.notes
    )  # fmt: skip
    names = first.names | {METHOD: Named((METHOD,), np.array(words, object))}
    return Field(node.type, Named((*dims, METHOD), data), first.coords, names, notes=notes)


def labels(methods: Sequence[str | MethodCall]) -> list[str]:
    """Return the methods' names, with their parameters where two have the same name."""
    pairs = [(method, ()) if isinstance(method, str) else method for method in methods]
    count = Counter(name for name, _ in pairs)
    return [method_words(pair) if count[pair[0]] > 1 and pair[1] else pair[0] for pair in pairs]


def titles(node: Node, registry: Registry) -> dict[str, str]:
    """Return the label of each method in the pipe that ends in ``node`` -> its name for readers."""
    shown: dict[str, str] = {}
    for methods in (listed(each.get(METHOD)) for each in walk(node)):
        for label, method in zip(labels(methods), methods, strict=True):
            known, parameters = bound(registry, method)
            own = known.shown(parameters)
            shown[label] = f"{own} ({label.partition('(')[2]}" if label != known.name else own
    return shown


def scaled(field: Field, shown: Mapping[str, str] | None = None) -> Field:
    """Divide each method's numbers by its largest magnitude, which the notes name: methods have different units.
    ``shown``: the methods' names for readers.
    A field that is normalized already, or has no axis `method`, is returned unchanged."""
    values, shown = field.values, shown or {}
    if METHOD not in values.dims or METHOD not in field.names or field.type.scope:
        return field
    own = values.dims.index(METHOD)
    others = tuple(axis for axis in range(values.data.ndim) if axis != own)
    largest = np.nan_to_num(np.abs(values.data)).max(others, keepdims=True)
    data = values.data / np.where(largest > 0, largest, 1)
    names = [shown.get(name, name) for name in field.names[METHOD].data]
    words = [f"{name} {prose(size)}" for name, size in zip(names, largest.ravel(), strict=True)]
    notes = (
        *(_renamed(note, shown) for note in field.notes),
        f"the largest magnitudes are {', '.join(words)}, each in its method's own unit",
    )
    type = replace(field.type, unit="share of the method's maximum", scope="scaled separately for each method")
    return replace(field.with_values(Named(values.dims, data), type), notes=notes)


def _renamed(note: str, shown: Mapping[str, str]) -> str:
    """Replace the name of a method at the beginning of its note by the name for readers."""
    label, colon, rest = note.partition(": ")
    return f"{shown[label]}: {rest}" if colon and label in shown else note
