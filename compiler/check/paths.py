"""Interventions without an effect: no path leads to their target, or an input would take parts of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.check.scope import ModelContext
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.model_description import in_text
from bbilang.compiler.ir.program import OUTPUT, Element, Node, Program, walk
from bbilang.compiler.optimize.target_slots import parts_by_layer
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.source import Span


def without_paths(
    program: Program, models: Mapping[str, ModelContext], origins: Mapping[Node, Sequence[Span]], registry: Registry
) -> Iterator[Diagnostic]:
    """Yield a warning W274 for every layer that is changed, on the page or in the examples of a dataset, and that a
    target does not depend on."""
    told: set[tuple[Span | None, str, str]] = set()
    for node, layer, target, span in (*_on_page(program, origins), *_in_examples(program, origins, registry)):
        description = models[node.type.model].description
        known = target == OUTPUT or target in description.by_name  # not an attribution that is the target
        if (span, layer, target) in told or not known or description.leads(layer, target):
            continue
        told.add((span, layer, target))
        to = "the scores" if target == OUTPUT else f"`{in_text(target)}`"
        message = f"no path leads from `{in_text(layer)}` to {to}, so nothing that is changed there has an effect"
        yield Diagnostic("W274", message, span, "take a target above both, or the scores", severity="warning")


Changed: TypeAlias = "Iterator[tuple[Node, str, str, Span | None]]"
"""The node of an effect, a layer that changes, the layer of the target, and where the text says so."""


def _on_page(program: Program, origins: Mapping[Node, Sequence[Span]]) -> Changed:
    for rerun in program.reruns:
        for request in rerun.requests if rerun.is_change else ():
            spans = origins.get(request.node)
            yield request.node, rerun.layer, rerun.target_layer, spans[0] if spans else None


def _in_examples(program: Program, origins: Mapping[Node, Sequence[Span]], registry: Registry) -> Changed:
    for scan in program.scans:
        for node in walk(*scan.fields):
            if not registry.operations[node.op].of_interventions:
                continue
            same = (  # in the text; that of the scan has the atoms that the page finds
                span for other, spans in origins.items() for span in spans
                if (other.op, other.type.layers, other.get("to")) == (node.op, node.type.layers, node["to"])
            )  # fmt: skip
            span = next(same, None)
            for target_layer, layers in parts_by_layer(node["to"], node.type.layers, program.description):
                for layer in layers:
                    yield node, layer, target_layer, span


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
