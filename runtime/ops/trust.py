"""`trust(measure)`: test the reliability of an attribution."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from bbilang.compiler.check.arguments.binding import SOME_LAYER
from bbilang.compiler.contract import (
    Arguments,
    Demand,
    Fail,
    Make,
    Operation,
    Parameter,
    Registry,
    Run,
    Trials,
    bound,
    named_method,
)
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import OUTPUT, Node
from bbilang.compiler.ir.types import MADE, Axis, FieldType
from bbilang.compiler.optimize.target_slots import target_layer_of
from bbilang.compiler.optimize.trust_cost import tested
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.inputs.texts import differing_lengths
from bbilang.runtime.ops.training_examples.halves import (
    FOR_HALVES,
    HALVES,
    check_influence,
    compared_with_training,
    of_halves,
    training_again,
    with_cost,
)
from bbilang.runtime.trust.agreement import OTHERS
from bbilang.runtime.trust.measure import Measure
from bbilang.runtime.trust.registry import DRAWN, MEASURES, drawn, finding, spread_of

MOST_TAKEN_OUT = 64  # shown atoms that a measure removes one by one
OF_ATOMS = tuple(name for name, measure in MEASURES.items() if measure.of_atoms)
OWN = "attribution"
BOXED = tuple(name for name, measure in MEASURES.items() if measure.boxed)


class Trust(Operation):
    """Tests an attribution, or how well influences predict what training again does (`lds`). Measures of single atoms
    are added along an axis `measure` and drawn as whiskers or bars; measures of the whole attribution go to the
    element's legend, and some can be drawn: `present(curve)`.

    A failed test is reported on the element. Tests cover all atoms of the layer, whatever `top` shows.
    """

    name = "trust"
    adds_up = True
    settings = "training"
    parameters = (
        Parameter("measure", "measures", "a measure or a list of measures", choices=tuple(MEASURES)),
        Parameter("n", "integer", "the number of random paths, noisy copies or other classes that a measure draws, "
                  f"usually {DRAWN}; of halves of the examples for `lds`, usually {HALVES}", None, minimum=2,
                  maximum=10_000),
        Parameter("boxes", "boxes", "a JSON file of bounding boxes, in COCO or VOC format, for "
                                    "`pointing_game` and `localization`", None),
    )  # fmt: skip
    example = "block6a.expand.channel | attribute(output) | top(8) | trust(path_dependence) | present(bars)"

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"tested by {str(node['measure']).replace('_', ' ')}"

    def within(self, arguments: Arguments, description: ModelDescription) -> Arguments:
        return with_cost(arguments, description)

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        names = arguments["measure"]
        if any(measure.of_influence for measure in measures_of(names)) or field.content == "influence":
            check_influence(field, arguments)
            return field
        boxed = [measure.name for measure in measures_of(names) if measure.boxed]
        if boxed and arguments["boxes"] is None:
            raise Fail("E212", f"`{boxed[0]}` needs `boxes`", 'a file of boxes: `boxes="cat.json"`', "measure")
        if arguments["boxes"] is not None and not boxed:
            raise Fail("E238", "no measure here looks at `boxes`", f"{' and '.join(BOXED)} do", "boxes")
        if field.content != "attribution":
            raise Fail(
                "E238",
                f"`trust` measures attributions, and this field is {field.content}",
                "put `attribute(...)` before it",
            )
        more = [m for m in measures_of(arguments["measure"]) if m.of_atoms]
        if field.axis("measure") is not None and more:
            raise Fail("E238", "the attribution has measures beside it already", "list them: `trust([..., ...])`")
        curves = tuple(m.name for m in measures_of(arguments["measure"]) if m.curve)
        field = replace(field, curves=(*field.curves, *curves))
        return replace(field, axes=(*field.axes, Axis("measure", 1 + len(more)))) if more else field

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        measures = measures_of(arguments["measure"])
        if field.type.content == "influence":
            return {**of_halves(field, arguments), "others": ()}
        arguments = {name: value for name, value in arguments.items() if name not in FOR_HALVES}
        attribution = _suited(field)
        (layer,) = attribution.type.layers
        for measure in measures:
            if measure.input_only and (layer != "input" or attribution.type.atom != "pixel"):
                help = "start the pipe with `input.pixel`"
                raise Fail("E238", f"`{measure.name}` is defined at the input only", help, "measure")
            if measure.boxed and attribution.type.atom not in ("pixel", "spatial"):
                help = f"start the pipe with `input.pixel`, or with the positions of a layer: `{SOME_LAYER}.spatial`"
                message = f"`{measure.name}` is of maps, and these are {attribution.type.atom}s"
                raise Fail("E238", message, help, "measure")
            if measure.of_shown and _shown(field) > MOST_TAKEN_OUT:
                message = f"`{measure.name}` takes every shown atom out, and these are {_shown(field)}"
                raise Fail("E238", message, "choose some before it: `top(8)`", "measure")
        others: list[Node] = []
        if any(measure.name == "agreement" for measure in measures):
            own, to = named_method(attribution)[0], attribution["to"]
            for method in OTHERS:
                if own != (method if isinstance(method, str) else method[0]):
                    others.append(make("attribute", attribution.inputs[0], to=to, method=method))
        names = tuple(measure.name for measure in measures)
        return {**arguments, "measure": names if len(names) > 1 else names[0], "others": tuple(others)}

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        if node.type.content == "influence":
            return (training_again(node),)
        attribution = tested(node)
        name, explicit = named_method(attribution)
        method, parameters = bound(registry, (name, explicit))
        baseline = method.baseline(parameters) or ""
        trials = []
        for measure in measures_of(node["measure"]):
            cost = measure.cost(_shown(node.inputs[0]) if measure.of_shown else drawn(node))
            of = node.digest if measure.of_shown or measure.boxed else f"{attribution.digest} {drawn(node)}"
            fields = asdict(cost) | {"of": of, "baseline": baseline}
            trials.append(Trials(attribution["to"], attribution.type.layers, measure.name, **fields))
        return tuple(trials)

    def trial(self, node: Node, words: str, run: Run) -> None:
        finding(node, words, run)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        if field.type.content == "influence":
            return compared_with_training(node, field, run)
        if run.parts:
            raise differing_lengths("`trust`")
        measures = measures_of(node["measure"])
        findings = [finding(node, measure.name, run) for measure in measures]
        lines = tuple(
            (measure.title, one.words, measure.means, measure.source, one.warning)
            for measure, one in zip(measures, findings, strict=True)
        )
        spreads = [(m, spread_of(node, m.name, run)) for m in measures if m.of_atoms]
        values = field.values
        names = dict(field.names)
        if spreads:
            dims = tuple(dict.fromkeys(d for a in (values, *(s for _, s in spreads)) for d in a.dims))
            arrays = np.broadcast_arrays(values.spread(dims), *(s.spread(dims) for _, s in spreads))
            values = Named((*dims, "measure"), np.stack(arrays, -1).astype(np.float32))
            words = np.empty(1 + len(spreads), dtype=object)
            words[:] = [OWN, *(f"± {m.title}" if m.interval else m.title for m, _ in spreads)]
            names["measure"] = Named(("measure",), words)
        curves = dict(field.curves) | {
            m.name: one.curve for m, one in zip(measures, findings, strict=True) if one.curve is not None
        }
        result = field.with_values(values, node.type)
        result.names, result.curves, result.trust = names, curves, (*field.trust, *lines)
        return result


def measures_of(names: str | tuple[str, ...]) -> tuple[Measure, ...]:
    """Return the measures, each once, in order."""
    return tuple(MEASURES[name] for name in dict.fromkeys((names,) if isinstance(names, str) else names))


def _shown(field: Node) -> int:
    """Count the atoms that the element can show for each target."""
    count = 1
    for axis in field.type.atom_axes:
        count *= axis.size
    return count


def _suited(field: Node) -> Node:
    """Return the attribution before a `trust`. Raises `Fail` for one that cannot be measured."""
    attribution = tested(field)
    to = attribution.get("to")
    if to is None or attribution["to"].type.content != "score" or target_layer_of(to) != OUTPUT:
        help = "attribute to classes: `attribute(output)`"
        raise Fail("E238", "`trust` measures attributions to classes, and this one is to other atoms", help)
    if isinstance(attribution["method"], tuple) and attribution["method"][0] == "list":
        raise Fail("E238", "`trust` measures one method", "give each method an element of its own")
    if attribution.type.atom in MADE:
        help = "measure the layer's channels: `... .channel | attribute(output) | trust(...)`"
        raise Fail("E238", f"`trust` measures atoms of a layer, and these are {attribution.type.atom}s", help)
    if attribution.type.atom == "whole":
        raise Fail("E238", "`trust` compares atoms, and a whole layer is one", "name them: `... .channel | ...`")
    if len(attribution.type.layers) > 1:
        raise Fail("E238", "`trust` measures the atoms of one layer", "give each layer an element of its own")
    if attribution.inputs[0].op != "substrate":
        help = "put what chooses after it: `... | attribute(output) | trust(...) | at(...)`"
        raise Fail("E238", "`trust` needs the attribution of all atoms of a layer", help)
    if field.type.states != attribution.type.states:
        help = "put `at(...)` after `trust(...)`"
        raise Fail("E238", "`trust` measures all states together", help)
    changed = (field.type.steps, field.type.scope, field.type.spent)
    if changed != (attribution.type.steps, attribution.type.scope, attribution.type.spent):
        raise Fail("E238", "`trust` measures the attribution itself, not what arithmetic made of it",
                   "put `trust(...)` before the arithmetic")  # fmt: skip
    return attribution


OPERATIONS = (Trust(),)
