"""`weights(from, to)`: the linear map between two layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Operation, Parameter, Run, Writer, Written
from bbilang.compiler.ir.model_description import INPUT, NOT_PICTURES, LayerDescription, ModelDescription, in_text
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar.ast import Argument
from bbilang.runtime.errors import NotKept
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import counted

FROM, TO = "from.channel", "to.channel"


class Weights(Operation):
    """The one linear map between two layers, with batch norm folded in: what one unit of a channel of the earlier layer
    adds to a channel of the later one, before the nonlinearity in which that ends. It is made of parameters alone, so
    it needs no input and runs nothing.

    `weights(layer)` is what the layer itself multiplies, from the one layer that it reads. A convolution has a weight
    for each offset: `kernel=` says what becomes of them. An index picks channels: `weights(a, b)[to=3, from=447]`.
    With `expanded=true` the linear parts of everything between the layers are multiplied, the paths between them are
    added, nonlinearities are left out, and max pools are taken as average pools: what the network computes differs from
    that wherever a nonlinearity acts.
    """

    name = "weights"
    head = called = True
    indices = {"to": TO, "from": FROM}
    parameters = (
        Parameter("from", "layer", "the earlier layer, or `input`", None),
        Parameter("to", "layer", "the later layer"),
        Parameter(
            "kernel", "word", "what becomes of a convolution's offsets: their sum, their L2 norm, or axes `y` and `x`",
            "sum", choices=("sum", "norm", "each"),
        ),
        Parameter("expanded", "flag", "whether the linear parts of all between the layers are multiplied", False),
    )  # fmt: skip
    example = "weights(block5c.depthwise, block5c.project) | top(20, by=magnitude) | present(matrix)"

    def filled(self, arguments: Sequence[Argument]) -> Sequence[Argument]:
        """A single layer is the later one."""
        bare = [argument for argument in arguments if argument.name is None]
        if len(bare) != 1 or any(argument.name in ("from", "to") for argument in arguments):
            return arguments
        return tuple(replace(a, name="to") if a.name is None else a for a in arguments)

    def started(self, arguments: Arguments, model: ModelDescription) -> tuple[Arguments, FieldType]:
        later = _described(arguments["to"], model, "to")
        earlier = _described(arguments["from"] or _read_by(later, model), model, "from")
        _check_path(earlier, later, arguments["expanded"], model)
        axes = [Axis(FROM, earlier.sizes["channel"], ("channel",)), Axis(TO, later.sizes["channel"], (TO,))]
        if arguments["kernel"] == "each":
            sizes = {name: earlier.sizes.get(name, 1) for name in ("y", "x")}
            if max(sizes.values()) == 1:
                message = f"`{earlier.name}` has no positions, so its weights have no offsets"
                raise Fail("E209", message, "leave out `kernel=each`", "kernel")
            # how large a kernel is only the network knows: of many convolutions twice the map at most
            axes += [Axis(name, 2 * size - 1, (f"d{name}",), exact=False) for name, size in sizes.items()]
        given = {**arguments, "from": earlier.name, "to": later.name, "from_index": None, "to_index": None}
        signed = arguments["kernel"] != "norm"
        unit = f"units of {later.name} per unit of {earlier.name}"
        layers, linked = (earlier.name,), (later.name,)
        return given, FieldType("weight", "channel", layers, tuple(axes), signed=signed, unit=unit, linked=linked)

    def written(self, node: Node, writer: Writer) -> Written | None:
        ends = ", ".join(name if name == INPUT else in_text(name) for name in (node["from"], node["to"]))
        more = [f"kernel={node['kernel']}"] if node["kernel"] != "sum" else []
        more += ["expanded=true"] if node["expanded"] else []
        picked = [f"{word}={node[f'{word}_index']}" for word in self.indices if node[f"{word}_index"] is not None]
        index = f"[{', '.join(picked)}]" if picked else ""
        return (f"weights({', '.join([ends, *more])}){index}",)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        from bbilang.runtime.linear.between import between

        if not hasattr(run.adapter, "module"):  # what recalls scans describes the network, and has none
            raise NotKept
        found = between(run.adapter, node["from"], node["to"], node["expanded"])
        kernel, start = found.map.kernel.cpu().numpy(), found.map.start
        ends = {TO: (TO, node["to_index"]), FROM: ("channel", node["from_index"])}  # in the kernel's order
        coords = {
            f"d{name}": Named((name,), start[at] + np.arange(kernel.shape[2 + at])) for at, name in enumerate("yx")
        }
        for at, (name, (component, number)) in enumerate(ends.items()):
            coords[component] = Named((name,), np.arange(kernel.shape[at]))
            if number is not None:
                kernel = kernel.take([number], at)
                coords[component] = Named((), np.array(number))
        kernel = kernel.squeeze(tuple(at for at, (_, number) in enumerate(ends.values()) if number is not None))
        dims = [name for name, (_, number) in ends.items() if number is None]
        if node["kernel"] == "each":
            dims, values = [*dims, "y", "x"], kernel
        else:
            values = kernel.sum((-2, -1)) if node["kernel"] == "sum" else np.sqrt(np.square(kernel).sum((-2, -1)))
            coords = {component: array for component, array in coords.items() if not component.startswith("d")}
        array = Named(tuple(dims), values.astype(np.float32)).ordered(node.type.names)
        return Field(node.type, array, coords, notes=tuple(notes(node, found)))


def notes(node: Node, found: object) -> Iterator[str]:
    """Say what the map leaves out, for the legend."""
    from bbilang.runtime.linear.between import Between
    from bbilang.runtime.linear.linear_map import MEAN, WHOLE

    assert isinstance(found, Between)
    earlier, later = node["from"], node["to"]
    yield "batch norm is folded in, and biases are left out"
    if earlier == INPUT:
        yield "the input is as the network gets it, after its normalization"
    if found.last:
        yield f"they lead up to the {found.last} in which {later} ends"
    if found.paths > 1:
        yield f"{found.paths:,} paths from {earlier} to {later} are added"
    if found.skipped:
        count = len(found.skipped)
        many = f"{counted(count)} nonlinearities" if count > 1 else "a nonlinearity"
        yield f"{many} between the layers left out: where one acts, the network computes something else"
    if found.averaged:
        yield "max pools are taken as average pools"
    if found.map.reads == MEAN:
        yield f"they multiply the mean of {earlier} over its positions"
    if found.map.reads == WHOLE:
        yield f"each position of {earlier} has weights of its own"
    if found.map.kernel.shape[2:].numel() > 1:
        y, x = found.map.kernel.shape[2:]
        what = {"sum": "each number is the sum over", "norm": "each number is the L2 norm over", "each": "they have"}
        yield f"{what[node['kernel']]} the {y} x {x} offsets of the kernel"


def _described(name: str, model: ModelDescription, argument: str) -> LayerDescription:
    """Return a layer that weights can lead from or to. Raises `Fail`."""
    if name != INPUT:
        return model.by_name[name]
    if argument == "to":
        raise Fail("E237", "nothing leads to `input`", "name the later layer second: `weights(input, layer)`", "to")
    if model.reads != "image" and model.reads not in NOT_PICTURES:
        raise Fail("E209", f"{model.name} reads text, whose words are not multiplied", "start at a layer", "from")
    return model.input


def _read_by(layer: LayerDescription, model: ModelDescription) -> str:
    """Return the one layer that a layer reads, but for those inside it. Raises `Fail` where there are several, or it is
    not known."""
    read, inside = list(layer.inputs), f"{layer.module}."
    while own := next((name for name in read if name != INPUT and model.by_name[name].module.startswith(inside)), None):
        at = read.index(own)
        read = list(dict.fromkeys([*read[:at], *model.by_name[own].inputs, *read[at + 1 :]]))
    if len(read) == 1:
        return read[0]
    reads = " and ".join(f"`{name}`" for name in read) if read else "layers that are not known"
    raise Fail("E212", f"`{layer.name}` reads {reads}: name the earlier layer", "as in `weights(earlier, later)`", "to")


def _check_path(earlier: LayerDescription, later: LayerDescription, expanded: bool, model: ModelDescription) -> None:
    """Check that the later layer is computed from the earlier, and without `expanded` by linear steps alone, as far as
    the description shows. Raises `Fail`."""
    order = [INPUT, *(layer.name for layer in model.layers)]
    if order.index(earlier.name) >= order.index(later.name):
        message = f"`{later.name}` does not come after `{earlier.name}`"
        raise Fail("E237", message, "weights lead from an earlier layer to a later one", "to")
    if not any(layer.inputs for layer in model.layers):
        return
    after = {earlier.name}
    for layer in model.layers:
        if not after.isdisjoint(layer.inputs):
            after.add(layer.name)
    if later.name not in after:
        message = f"`{later.name}` is not computed from `{earlier.name}`"
        raise Fail("E275", message, "name a layer and one that reads it, the earlier first", "to")
    needed = {later.name}
    for layer in reversed(model.layers):
        if layer.name in needed:
            needed.update(layer.inputs)
    inside = [layer for layer in model.layers if layer.name in after & needed and layer not in (earlier, later)]
    acting = None if expanded else next((layer for layer in inside if _acts(layer, later, after, model)), None)
    if acting is not None:
        message = f"a nonlinearity is between `{earlier.name}` and `{later.name}`, in `{acting.name}`"
        help = f"multiply the linear parts alone: `weights({earlier.name}, {later.name}, expanded=true)`"
        raise Fail("E276", f"{message}", f"{help}, or take layers next to each other", "to")


def _acts(layer: LayerDescription, later: LayerDescription, after: set[str], model: ModelDescription) -> bool:
    """Return whether a nonlinearity is in a layer, which is between the two: what has both signs, and what is computed
    by weights, does not become positive by linear steps."""
    if not layer.nonnegative or (layer.name in later.inputs and layer.module.startswith(f"{later.module}.")):
        return False  # the later layer may end in one
    sources = [source for source in layer.inputs if source in after - {INPUT}]
    number = model.layers.index(layer)
    multiplies = number > 0 and layer.flops > model.layers[number - 1].flops and set(layer.inputs) <= after
    return multiplies or any(not model.by_name[source].nonnegative for source in sources)


OPERATIONS = (Weights(),)
