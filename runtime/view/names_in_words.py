"""Names of atoms within the words that operations find: `channel[3] "stripes" > q90 (0.41)` of conditions, and
`striped "zebra stripes"` or `group 2 "fur"` of directions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node, PerExample, walk
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.findings import Findings
from bbilang.runtime.view import groups

if TYPE_CHECKING:
    from bbilang.runtime.execution.results import Results

CONDITION = re.compile(r"\bchannel\[(\d+)\](?= > q[\d.]+ \()")  # as `statistics.conditions` writes one of a feature
AXIS = "concept"
NUMBERED = re.compile(r"(group|channel) (\d+)")  # what a sum of directions calls a term that has no name of its own
SIGNS = re.compile(r"( [+−] )(?![^(]*\))")  # between the terms of a sum, outside of parentheses


def with_names(field: Field, node: Node, results: Results) -> Field:
    """Return a field whose words say what the text calls the atoms in them; numbers stay what they are."""
    if not results.program.names:
        return field
    return _with_named_directions(_with_named_conditions(field, node, results), node, results)


def _with_named_conditions(field: Field, node: Node, results: Results) -> Field:
    """Return a field whose conditions on channels say what these are called. Where conditions are of several layers,
    which one a channel belongs to is not known, and it keeps its number alone."""
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


def _with_named_directions(field: Field, node: Node, results: Results) -> Field:
    numbers, words = field.coords.get(AXIS), field.names.get(AXIS)
    maker = groups.maker(node, "direction") if words is not None else None
    if maker is None or numbers is None or words is None:
        return field
    dims = tuple(dict.fromkeys((*words.dims, *numbers.dims)))
    sizes = {**numbers.sizes, **words.sizes}
    shape = tuple(sizes[dim] for dim in dims)
    each, called = (np.broadcast_to(array.spread(dims), shape).ravel().tolist() for array in (numbers, words))
    named = [named_direction(maker, number, str(word), results) for number, word in zip(each, called, strict=True)]
    return replace(field, names={**field.names, AXIS: Named(dims, np.array(named, object).reshape(shape))})


def direction_words(over: Node, components: dict[str, int], results: Results, registry: Registry) -> str:
    """Return what a direction is called in a menu, by the name of its concept; empty for other atoms."""
    maker = groups.maker(over, "direction") if set(components) == {AXIS} else None
    labels = registry.operations[maker.op].labels(maker) if maker is not None else ()
    if maker is None or not labels:
        return ""
    return named_direction(maker, components[AXIS], labels[components[AXIS]], results)


def named_direction(maker: Node, number: int, words: str, results: Results) -> str:
    """Return what a direction is called, with its own name behind it and those of its terms behind these."""
    (layer,) = maker.type.layers
    if maker.op == "direction":
        pieces, terms = SIGNS.split(words), maker["terms"]
        if len(terms) == len(pieces[::2]):
            pieces[::2] = [_term(*each, number, results) for each in zip(terms, pieces[::2], strict=True)]
            words = "".join(pieces)
    name = results.named(layer, {AXIS: number}, maker.type.family)
    return f"{words} {name}" if name and number >= 0 else words


def _term(term: Node, words: str, number: int, results: Results) -> str:
    """Return what a term of a sum is called. ``number``: of the direction, where the term is several."""
    (layer,) = term.type.layers
    sign, bare = ("−", words[1:]) if words.startswith("−") else ("", words)
    if known := NUMBERED.fullmatch(bare):
        name = results.named(layer, {known[1]: int(known[2])}, term.type.family if known[1] == "group" else "")
        return f"{sign}{bare} {name}".rstrip()
    own = groups.maker(term, "direction")
    if own is None or own.op == "direction":  # a sum in parentheses has its names inside
        return words
    picked = int(term["index"][0]) if term.op == "pick_atom" else number
    return sign + named_direction(own, picked, bare, results)
