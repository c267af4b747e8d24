"""`attribute(to, method=)`: how much each atom contributed to a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from bbilang.compiler.contract import (
    Arguments,
    Batch,
    Demand,
    Fail,
    Make,
    Operation,
    Parameter,
    Registry,
    Run,
    TensorField,
    Writer,
    Written,
    bound,
    named_method,
    spelled,
)
from bbilang.compiler.contract.written import method_text, method_words, target_text, target_words
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.compiler.optimize.target_slots import target_layer_of
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.atoms import as_maps, axes_of_atoms, gather, parts_of, reduce_part
from bbilang.runtime.fields.field import TERM, Field, Named, coalesce, combine
from bbilang.runtime.fields.groups import group_maps, reduce_groups, slopes_of
from bbilang.runtime.fields.method_axis import expanded, listed, stacked
from bbilang.runtime.fields.prose import percent
from bbilang.runtime.ops.activation import CLASSES, content_type, rebuilt, require_layer

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.kinds import DerivativeMethod


class Attribute(Operation):
    """How much each atom contributed to a target, by an attribution method. Positive contributions raise the target.

    With the default method, `linear`, that is <part of the activation, d target / d activation>: a first-order estimate
    of what the target would lose without the atom (Olah et al. 2018). Networks are not linear: the line under the
    picture gives the sum over all atoms, the score, and the change of the score when the whole layer is removed.
    """

    name = "attribute"
    content = True
    evidence = "to"
    merges_classes = True
    example = 'block6a.expand.channel | attribute(output["tabby"] - output["tiger cat"]) | both(3) | present(featvis)'
    parameters = (
        Parameter(
            "to",
            "target",
            "what to explain: `output`, a class, a sum, difference or list of them; the atoms of a later layer; or "
            "the attribution of such atoms, `atoms -> output`",
        ),
        Parameter("method", "method", "the attribution method", "linear"),
    )

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"attribution to {target_words(node['to'])}{method_words(node['method'])}"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        to: Node = arguments["to"]
        unit = to.type.unit if to.type.content == "score" else "of the later atom's score"
        type = derivative_type(field, "attribution", to, unit, signed=True)
        methods = listed(arguments["method"])
        return replace(type, axes=(*type.axes, Axis("method", len(methods)))) if methods else type

    def refined(self, type: FieldType, arguments: Arguments, registry: Registry) -> FieldType:
        if listed(arguments["method"]):
            return type
        kind, _ = bound(registry, arguments["method"])
        return replace(type, unit=kind.unit or type.unit, signed=kind.signed)

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        return expanded(field, arguments, make)

    def written(self, node: Node, writer: Writer) -> Written | None:
        target, method = target_text(node["to"], writer), method_text(node.get("method", "linear"))
        return None if target is None or method is None else ("attribute(", *target, method, ")")

    def everywhere(self, node: Node, registry: Registry) -> tuple[tuple[str, Arguments], ...]:
        if listed(node["method"]) or node["to"].type.content != "score":
            return ()
        method, _ = bound(registry, node["method"])
        if method.layered or (method.linear and method.rule):
            return ()
        slopes = ("gradient", {"of": node["to"]}) if method.linear else (self.name, dict(node.parameters))
        return (("activation", {"reduce": "sum"}), slopes)

    def along(self, node: Node, cubes: Sequence[np.ndarray], vectors: np.ndarray, registry: Registry) -> np.ndarray:
        activation, given = cubes
        activation = activation.reshape(len(activation), *(1,) * (given.ndim - activation.ndim), *activation.shape[1:])
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), directions.SMALLEST)
        if not bound(registry, node["method"])[0].linear:
            active = activation != 0
            given = np.where(active, given / np.where(active, activation, 1), 0)
        return ((unit @ given) * (unit @ activation)).sum(-1)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        if listed(node["method"]):
            return ()
        kind, parameters = bound(registry, node["method"])
        layers = (parameters["layer"],) if kind.layered and parameters["layer"] else node.type.layers
        return (kind.demand(node, layers, spelled(registry, node["method"]), parameters),)

    def reduce(self, node: Node, layer: LayerDescription, activation: Tensor, gradient: Tensor, run: Run) -> Tensor:
        method = cast("DerivativeMethod", run.registry.methods[named_method(node)[0]])  # no other demands gradients
        if method.layered:
            return method.maps(as_maps(activation, layer), as_maps(gradient, layer))
        contribution = method.contribution(activation, gradient)
        if node.type.atom == "group":
            slopes = gradient if method.linear else slopes_of(contribution, activation)
            return reduce_groups(node, layer, slopes, run)
        if node.type.atom == directions.ATOM:
            slopes = gradient if method.linear else slopes_of(contribution, activation)
            return directions.contributions(node, layer, activation, slopes, run)
        return reduce_part(contribution, layer, node.type.atom, "sum")

    def parts(self, node: Node, layer: LayerDescription, activation: Tensor, atoms: np.ndarray, run: Run) -> Tensor:
        return parts_of(activation, layer, node.type.atom, atoms)

    def collect(self, node: Node, layer: LayerDescription, cube: Tensor, run: Run) -> Tensor:
        if run.registry.methods[named_method(node)[0]].layered:
            return as_maps(cube, layer).sum(-3)
        if node.type.atom == "group":
            return reduce_groups(node, layer, slopes_of(cube, run.activation(node, layer.name)), run)
        if node.type.atom == directions.ATOM:
            activation = run.activation(node, layer.name)
            return directions.contributions(node, layer, activation, slopes_of(cube, activation), run)
        return reduce_part(cube, layer, node.type.atom, "sum")

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        if listed(node["method"]):
            return stacked(node, run)
        of = of_targets if node["to"].type.content == "score" else of_atoms
        result = of(node, node["to"], inputs[0], run)
        kind, parameters = bound(run.registry, node["method"])
        note = kind.note(parameters)
        result.notes += (*completeness(run.checks(node)), *([note] if note else []))
        return result

    def differentiable(self, node: Node, value: TensorField | None, batch: Batch, registry: Registry) -> TensorField:
        (layer, *more), target = node.type.layers, node["to"]
        if more or listed(node["method"]) or target.type.content != "score" or node.type.atom == "group":
            raise Fail("E480", "a penalty is of one layer's atoms, one method and scores of classes",
                       "as in `input.pixel | attribute(output) | norm`")  # fmt: skip
        method, parameters = bound(registry, node["method"])
        contributions = method.differentiable(parameters, target, layer, batch)
        return atoms_of(contributions, target, batch.layer(layer), node.type.atom, "sum")


def atoms_of(values: Tensor, target: Node, layer: LayerDescription, atom: str, how: str) -> TensorField:
    """Reduce the values of a layer (target, example, *layer axes) to its atoms, with the axis `class` of several
    targets."""
    reduced, axes = reduce_part(values, layer, atom, how), axes_of_atoms(atom, layer)
    if target.type.axis("class") is None:
        return TensorField(axes, reduced[0])
    return TensorField(("class", *axes), reduced.transpose(0, 1))


def at_layers(maps: Mapping[str, np.ndarray], layers: Mapping[str, LayerDescription]) -> Mapping[str, np.ndarray]:
    """Resize the maps (slot, input, y, x) of another layer bilinearly to the field's layers; the field's own stay."""
    import torch

    if set(maps) & set(layers) or not maps:
        return maps
    (values,) = maps.values()
    tensor, resize = torch.from_numpy(values), torch.nn.functional.interpolate
    sizes = {name: (layer.as_map.sizes["y"], layer.as_map.sizes["x"]) for name, layer in layers.items()}
    return {name: resize(tensor, size, mode="bilinear", align_corners=False).numpy() for name, size in sizes.items()}


def completeness(checks: list[np.ndarray]) -> tuple[str, ...]:
    """Describe for the legend the checks of completeness: (completeness error, difference of the scores, steps,
    tolerance), each (4, slot, input)."""
    if not checks:
        return ()
    rows = np.concatenate([c.reshape(4, -1) for c in checks], 1)
    error, difference, steps, tolerance = rows[:, np.isfinite(rows[0])]
    if not error.size:
        return ()
    share = 100 * (error / np.maximum(np.abs(difference), 1e-12)).max()
    tolerated = 100 * tolerance.max()
    missed = f"; the tolerance of {tolerated:g} % was not reached" if share > tolerated else ""
    low, high = int(steps.min()), int(steps.max())
    words = f"{low}" if low == high else f"{low} to {high}"
    exact = percent(share / 100) if share < 1000 else "more than 1,000 %"
    return (f"completeness: the contributions add up to the change of the score, to within {exact} "
            f"({words} steps){missed}",)  # fmt: skip


def derivative_type(field: FieldType, content: str, to: Node, unit: str, signed: bool) -> FieldType:
    """Return the type of the field's atoms with the target's classes and states. Raises `Fail` for a target of another
    model."""
    if to.type.model != field.model:
        raise Fail("E235", f"the target is of the model `{to.type.model}`, and the atoms are of `{field.model}`",
                   "a model's own atoms speak for its own scores", argument="to")  # fmt: skip
    type = content_type(field, content, signed, unit)
    if to.type.content != "score":  # atoms of a later layer: theirs beside the field's own
        if to.type.atom == "group" and to.type.states:
            raise Fail("E231", "the groups that are attributed to differ from state to state",
                       "give `factorize` a number of groups", argument="to")  # fmt: skip
        return with_linked(type, to.type)
    classes = to.type.axis("class")
    axes = (*type.axes, classes) if classes else type.axes
    return replace(type, axes=axes).with_states(*to.type.states)


def with_linked(type: FieldType, to: FieldType) -> FieldType:
    """Add the axes and states of the atoms that are attributed to, the axes with a prefix: `to.channel`. A single atom
    has none."""
    theirs = [a for a in to.axes if a.name not in ("input", "class") and not a.name.startswith("to.")]
    names = {axis.name for axis in theirs}
    axes = tuple(
        Axis(f"to.{axis.name}", axis.size, tuple(f"to.{c}" for c in axis.components), axis.exact, axis.sizes,
             varies=tuple(f"to.{v}" if v in names else v for v in axis.varies), whole=axis.whole)
        for axis in theirs
        if axis.size > 1
    )  # fmt: skip
    result = replace(type, axes=(*type.axes, *axes), linked=to.layers, linked_family=to.family)
    return result.with_states(*to.states)


def of_targets(node: Node, to: Node, frame: Field, run: Run) -> Field:
    """Return numbers of the frame's atoms for every class of the target, weighted with the target's coefficients."""
    target_layer = target_layer_of(to)
    layers = {name: run.layer(name) for name in node.type.layers}
    maps, leading = (
        group_maps(node, run, target_layer)
        if node.type.atom == "group"
        else (at_layers(run.maps(node, target_layer), layers), ("slot", "input"))
    )
    return of_slots(node, to, frame, gather(frame, maps, layers, leading), run)


def of_slots(node: Node, to: Node, frame: Field, every: Named, run: Run) -> Field:
    """Return numbers of the frame's atoms from those of every slot, (slot, ...), weighted as in `of_targets`."""
    target, target_layer = run.value(to), target_layer_of(to)
    slots = run.slots(node, to, target_layer)  # (..., term) -> slot
    picked = every.take("slot", slots)
    if run.attributes_sums(node, to, target_layer):  # a difference of classes was attributed as one score
        terms = picked
    else:
        assert target.weight is not None
        terms = combine(np.multiply, picked, target.weight)
    result = rebuilt(frame, node.type, terms.summed(TERM), target.names)
    result.coords |= {c: target.coords[c] for c in CLASSES if c in target.coords}
    return result


def at_target_layer(node: Node, frame: Field, target_layer: str, run: Run) -> Named | None:
    """Return numbers of the frame's atoms for every slot of one later layer, (slot, input, ...); None if it is above
    none of the frame's layers."""
    layers = {name: run.layer(name) for name in node.type.layers}
    grouped = node.type.atom == "group" and run.maps(node, target_layer)
    maps, leading = (
        group_maps(node, run, target_layer) if grouped else (run.maps(node, target_layer), ("slot", "input"))
    )
    if not maps:
        return None
    maps = maps if grouped else at_layers(maps, layers)
    some = next(iter(maps.values()))
    for name in layers:  # at or above the target layer
        if name not in maps:
            maps = {**maps, name: np.full((*some.shape[:2], *run.kept_shape(node, name)), np.nan, np.float32)}
    return gather(frame, {name: maps[name] for name in layers}, layers, leading)


EveryAt = Callable[[Node, Field, str, Run], "Named | None"]


def of_atoms(node: Node, to: Node, frame: Field, run: Run, every_at: EveryAt = at_target_layer) -> Field:
    """Return numbers of the frame's atoms for every atom of later layers; NaN if the frame's layer is not the earlier
    one. ``every_at``: returns those of one later layer's slots."""
    target: Field = run.value(to)
    values: Named | None = None
    own = set(to.type.names) - {"input"}
    for target_layer in to.type.layers:
        every = every_at(node, frame, target_layer, run)
        if every is None:
            continue
        slots = run.slots(node, to, target_layer)
        slots = Named(slots.dims[:-1], slots.data[..., 0])
        picked = every.take("slot", slots.renamed({d: f"to.{d}" for d in slots.dims if d in own}))
        values = picked if values is None else combine(coalesce, values, picked)
    if values is None:
        sizes = {**frame.values.sizes, **{f"to.{name}": size for name, size in target.values.sizes.items()}}
        axes = {axis.name: sizes.get(axis.name, axis.size) for axis in node.type.axes if axis.name != "input"}
        values = Named(tuple(axes), np.full(tuple(axes.values()), np.nan, np.float32))
    for axis in to.type.axes:
        name = f"to.{axis.name}"
        if name in values.dims and name not in node.type.names:  # a single atom has no axis
            values = values.take(name, Named((), np.array(0)))
    result = rebuilt(frame, node.type, values)
    renamed = {c: a.renamed({d: f"to.{d}" for d in a.dims if d in own}) for c, a in target.coords.items()}
    result.coords |= {
        f"to.{c}": a
        for c, a in renamed.items()
        if set(a.dims) <= {"input", *values.dims} and c not in ("input", *CLASSES)
    }
    return result


OPERATIONS = (Attribute(),)
