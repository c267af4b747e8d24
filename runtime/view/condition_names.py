"""Names of channels in the conditions that operations find: `channel[3] "stripes" > q90 (0.41)`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node, PerExample, walk
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.findings import Findings

if TYPE_CHECKING:
    from bbilang.runtime.execution.results import Results

CONDITION = re.compile(r"\bchannel\[(\d+)\](?= > q[\d.]+ \()")  # as `statistics.conditions` writes one of a feature


def with_named_conditions(field: Field, node: Node, results: Results) -> Field:
    """Return a field whose conditions on channels say what the text calls these; numbers stay what they are. Where
    conditions are of several layers, which one a channel belongs to is not known, and it keeps its number alone."""
    if not results.program.names:
        return field
    layers = {it.node.type.layers for n in walk(node) if isinstance(it := n.get("features"), PerExample)}
    if len(layers) != 1 or len(next(iter(layers))) != 1:
        return field
    ((layer,),) = layers

    def named(words: str) -> str:
        return CONDITION.sub(lambda it: f"{it[0]} {results.named(layer, {'channel': int(it[1])})}".rstrip(), words)

    names = {axis: Named(array.dims, _each(array.data, named)) for axis, array in field.names.items()}
    field = replace(field, names=names, notes=tuple(map(named, field.notes)))
    return replace(field, finding=named(field.finding)) if isinstance(field, Findings) else field


def _each(words: np.ndarray, named: Callable[[str], str]) -> np.ndarray:
    return np.array([named(str(word)) for word in words.ravel().tolist()], object).reshape(words.shape)
