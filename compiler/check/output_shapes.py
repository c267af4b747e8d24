"""Errors for networks whose result is not one vector of scores."""

from __future__ import annotations

from bbilang.compiler.check.class_names import listed
from bbilang.compiler.contract import Fail
from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription, PartDescription
from bbilang.compiler.ir.types import LAYER_AXES

WHOLE = "."  # the name of a result that is one tensor
MAP = ("channel", "y", "x")
MEAN = "maps[..., y0:y1, x0:x1].mean((2, 3))"


def example_entry(layer: LayerDescription) -> str:
    """Spell one entry of a layer as in a text: `head.neuron[4, 4, 2]`."""
    order = [axis for axis in LAYER_AXES if axis in layer.axes]
    indices = [str(0 if axis == "channel" else layer.sizes[axis] // 2) for axis in order]
    return f"`{layer.name}.neuron[{', '.join(indices)}]`"


def averaged(name: str = "") -> str:
    """Say how a map of scores (class, y, x), the part ``name`` of a result, becomes scores of classes: by a module that
    wraps the network."""
    of = f" of `{name}`" if name not in ("", WHOLE) else ""
    return f"for scores of classes, wrap the network in a module that returns the mean{of} over a box, `{MEAN}`"


def is_map(shape: tuple[int, ...]) -> bool:
    """Return whether a part of a result, without the axis of inputs, is a map (class, y, x)."""
    return len(shape) == 3 and min(shape[1:]) > 1


def instead_of_map(layer: LayerDescription, classes: int) -> str:
    """Return the help for a layer with positions that was named as the scores, `output = "head"`, of a network that has
    ``classes`` scores without it."""
    entry = f"attribute to one entry of it, {example_entry(layer)}"
    return f"{entry}; or, {averaged()}" if layer.axes == MAP and not classes else entry


def no_score_vector(description: ModelDescription) -> Fail:
    """Return the failure for a network without a single vector of scores: what it returns instead, and how to
    proceed."""
    vectors = [part for part in description.parts if part.vector]
    if vectors:
        listing = ", ".join(f"`{part.name}` ({_counted(part)})" for part in vectors)
        called = listed([part.name for part in vectors]) if len(vectors) > 1 else f"`{vectors[0].name}`"
        return Fail(
            "E247",
            f"{description.name} gives several results, and which are the scores is not known: {listing}",
            f'name one: `output = "{vectors[-1].name}"`; the candidates are {called}, or the layers that give them',
        )
    maps = [part for part in description.parts if part.map]
    if maps:
        listing = ", ".join(f"`{part.name}` of ({_shape(part)})" for part in maps)
        message = f"{description.name} gives several maps, and which has the scores is not known: {listing}"
        called = listed([part.name for part in maps])
        return Fail("E247", message, f'name one: `output = "{maps[0].name}"`; the candidates are {called}')
    help = 'name the module that gives the scores: `output = "head.logits"`'
    if not description.parts:
        return Fail("E247", f"{description.name} has no class vector", help)
    shapes = ", ".join(
        f"({', '.join(map(str, part.shape))})" if part.name == "." else f"`{part.name}` of ({_shape(part)})"
        for part in description.parts[:6]
    )
    layer = _source(description)
    vector = next((layer for layer in reversed(description.layers) if layer.axes == ("channel",)), None)
    help = f'name a layer that is one vector: `output = "{vector.name}"`' if vector is not None else help
    if layer is not None:
        entry = f"attribute to one entry of the layer that gives it, as in {example_entry(layer)}"
        entry += f", or to all of a channel, `{layer.name}.channel[0]`" if "channel" in layer.axes else ""
        help = entry if vector is None else f"{entry}; or {help}"
    if (scores := next((part for part in description.parts if is_map(part.shape)), None)) is not None:
        help = f"{averaged(scores.name)}; or {help}"
    return Fail("E247", f"{description.name} gives no vector of scores for an input, but {shapes}", help)


def _source(description: ModelDescription) -> LayerDescription | None:
    """Return the layer that produces the first part of a result; else the last layer."""
    known = description.by_name
    for part in description.parts:
        own = [known[name] for name in part.layers if name in known]
        if own:
            return own[-1]
    return next((layer for layer in reversed(description.layers)), None)


def _shape(part: PartDescription) -> str:
    return ", ".join(map(str, part.shape))


def _counted(part: PartDescription) -> str:
    count = 1
    for size in part.shape:
        count *= size
    where = f", of the layer `{part.layers[-1]}`" if part.layers else ""
    return f"{count} {'number' if count == 1 else 'numbers'}{where}"
