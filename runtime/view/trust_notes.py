"""Notes in an element's legend about the reliability of its attribution, with or without `trust`."""

from __future__ import annotations

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node
from bbilang.runtime.view import model as vm
from bbilang.runtime.view.drawing import Drawing


def trust_of(drawing: Drawing) -> tuple[vm.Trusted, ...]:
    """Return the results of the measures, in the order of the text."""
    return tuple(vm.Trusted(*one[:4]) for one in drawing.field.trust)


def failed(drawing: Drawing) -> tuple[str, ...]:
    """Return the warnings of measures that contradict the attribution."""
    return tuple(dict.fromkeys(one[4] for one in drawing.field.trust if one[4]))


def insensitive(node: Node, registry: Registry) -> list[str]:
    """Return sentences about methods in an element's pipe that hardly depend on the class, which is a known weakness
    and no warning."""
    warnings = []
    while node.inputs:
        node = node.inputs[0]
        method = node.get("method")
        if node.type.content == "attribution" and method is not None:
            warnings += _warnings(method, registry)
    return warnings


def _warnings(method: object, registry: Registry) -> list[str]:
    """Return one sentence for each method with a warning, also inside lists and averages."""
    if isinstance(method, str):
        kind = registry.methods.get(method)
        words = kind.insensitive.removesuffix(".") if kind is not None else ""  # the page ends it
        return [f"`{method}`: {words}"] if words else []
    if not isinstance(method, tuple) or not method:
        return []
    name, given = method[0], method[1] if len(method) > 1 else ()
    if name == "list":
        return [words for item in given for words in _warnings(item, registry)]
    inner = [words for key, value in given if key == "of" for words in _warnings(value, registry)]
    return [*_warnings(name, registry), *inner]
