"""Interventions without an effect: no path leads to their target, or an input would take parts of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.check.scope import ModelContext
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.model_description import in_text
from bbilang.compiler.ir.program import OUTPUT, Element, Node, Program, walk
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.source import Span


def without_paths(
    program: Program, models: Mapping[str, ModelContext], origins: Mapping[Node, Sequence[Span]]
) -> Iterator[Diagnostic]:
    """Yield a warning W274 for every layer that is changed and that a target does not depend on."""
    told: set[tuple[Node, str, str]] = set()
    for rerun in program.reruns:
        for request in rerun.requests if rerun.is_change else ():
            node, layer, target = request.node, rerun.layer, rerun.target_layer
            description = models[node.type.model].description
            known = target == OUTPUT or target in description.by_name  # not an attribution that is the target
            if (node, layer, target) in told or not known or description.leads(layer, target):
                continue
            told.add((node, layer, target))
            to = "the scores" if target == OUTPUT else f"`{in_text(target)}`"
            message = f"no path leads from `{in_text(layer)}` to {to}, so nothing that is changed there has an effect"
            span = origins[node][0] if origins.get(node) else None
            yield Diagnostic("W274", message, span, "take a target above both, or the scores", severity="warning")


def of_themselves(
    elements: Sequence[Element], registry: Registry, origins: Mapping[Node, Sequence[Span]]
) -> Iterator[CheckError]:
    """Yield E273 for every intervention that takes parts of another input where the page has one. Before `across` the
    examples of a dataset take them."""
    for node in dict.fromkeys(walk(*(element.node for element in elements))):
        operation = registry.operations.get(node.op)
        inputs = node.type.axis("input")
        if operation is not None and operation.mixes_inputs and (inputs is None or inputs.size < 2):
            message = f"`{node.op}` takes parts of another input, and this page has one"
            help = 'give two, `input cat = "a.jpg", dog = "b.jpg"`, or end in `across(photos)`: each example takes them'
            yield at(origins[node][0], "E273", message, help)
