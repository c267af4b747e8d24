"""What can replace an atom's part: for each word, the values of the whole layer that atoms are taken from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Again, Arguments, Demand, Fail, Parameter
from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar.frozen import frozen
from bbilang.runtime.interventions.donors import donors

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.interventions.layer import ChangedLayer

DRAWS = 8
SOURCE = Parameter("source", "dataset", "the dataset of `mean` and `resample`", None)


@frozen
class Replacement:
    """``values``: (draw, input, *layer axes), 1 for what all have in common. ``words`` follow the atoms."""

    values: Callable[[Node, ChangedLayer], Tensor]
    words: str
    draws: int = 1
    of_groups: bool = False
    of_directions: bool = True
    of_dataset: bool = False


def zero(node: Node, layer: ChangedLayer) -> Tensor:
    import torch

    return torch.zeros_like(layer.activation)[None]


def position_mean(node: Node, layer: ChangedLayer) -> Tensor:
    activation = layer.activation
    dims = layer.spread_positions("position_mean")
    return activation.mean(dims, keepdim=True).expand_as(activation)[None]


def mean(node: Node, layer: ChangedLayer) -> Tensor:
    """Return each channel's mean over all positions of all examples."""
    import torch

    means = over_positions(natural_means(node, layer.run, layer.name).mean(0), layer.layer)
    return torch.from_numpy(means).to(layer.activation).expand(1, *layer.activation.shape)


def noise(node: Node, layer: ChangedLayer) -> Tensor:
    """Return normal noise, the same for an input whatever other inputs there are."""
    import torch

    activation = layer.activation
    dims = layer.spread_positions("noise")
    average, deviation = activation.mean(dims, keepdim=True), activation.std(dims, correction=0, keepdim=True)
    random = np.random.default_rng([layer.seed, 5])
    normal = random.standard_normal((DRAWS, 1, *activation.shape[1:]), np.float32)
    return average + deviation * torch.from_numpy(normal).to(activation)


def resample(node: Node, layer: ChangedLayer) -> Tensor:
    """Return what other examples have at the layer."""
    return donors(layer.run, node["source"], layer.name, DRAWS)[:, None]


def demanded(node: Node) -> tuple[Demand, ...]:
    """Return what the network runs on to know what other examples have."""
    if node["value"] != "resample":
        return ()
    whose = node["source"].get("called") or "the dataset"
    return (Again(f"what {DRAWS} examples of {whose} have at {', '.join(node.type.layers)}", DRAWS, node.type.layers),)


def outside(node: Node, layer: str, run: Run) -> tuple[str, Callable[[], Tensor]]:
    """Return what stands in the place of a layer of every example (`Intervention.outside`)."""
    import torch

    if node["value"] == "mean":
        means = natural_means(node, run, layer).mean(0)
        values = over_positions(means, run.layer(layer))
        return hashlib.sha256(means.tobytes()).hexdigest(), lambda: torch.from_numpy(values)
    source = node["source"]
    return run.examples(source).identity, lambda: donors(run, source, layer, DRAWS)[:, None]


VALUES = {
    "zero": Replacement(zero, "set to zero", of_groups=True),
    "position_mean": Replacement(position_mean, "set to {its} mean over positions", of_groups=True),
    "mean": Replacement(mean, "set to {its} mean over {source}", of_dataset=True),
    "noise": Replacement(noise, "replaced by noise", DRAWS, of_directions=False),
    "resample": Replacement(resample, "replaced by {its} counterparts in examples of {source}", DRAWS, of_dataset=True),
}


def over_positions(means: np.ndarray, layer: LayerDescription) -> np.ndarray:
    """Return means (channel,) as what all positions have in common, (1, 1, *layer axes)."""
    return means.reshape(1, 1, *(len(means) if axis == "channel" else 1 for axis in layer.axes))


def check_source(name: str, arguments: Arguments) -> None:
    """Raise `Fail` E271 where a replacement needs a dataset and has none, or has one that it does not use."""
    value, source = arguments["value"], arguments["source"]
    if VALUES[value].of_dataset and source is None:
        help = f'name one: `dataset photos = "folder/"`, and `{name}({value}, source=photos)`'
        raise Fail("E271", f"`{value}` replaces by what other examples have, and there is no dataset", help, "value")
    if source is not None and not VALUES[value].of_dataset:
        known = " and ".join(f"`{word}`" for word, known in VALUES.items() if known.of_dataset)
        raise Fail("E271", f"`{value}` uses no dataset", f"{known} do", "source")


def said(arguments: Arguments, its: str) -> str:
    """Describe the replacement, to follow the atoms."""
    source = arguments["source"]
    called = "the dataset" if source is None else str(source.get("called") or "the dataset")
    return VALUES[arguments["value"]].words.format(its=its, source=called)


def position_means(field: Node) -> tuple[PerExample, ...]:
    """Return the activation of each layer's channels, of which a scan keeps the mean over positions."""
    contents = []
    for layer in field.type.layers:
        kept = tuple(axis for axis in field.type.axes if axis.name == "input")
        axes = (*kept, Axis("channel", 1, exact=False))  # as many as the layer has
        type = FieldType("activation", "channel", (layer,), axes, model=field.type.model, signed=field.type.signed)
        head = Node("substrate", (), (("atom", "channel"), ("layers", (layer,)), ("model", type.model)), type)
        contents.append(PerExample(Node("activation", (head,), (("reduce", "sum"),), type)))
    return tuple(contents)


def natural_means(node: Node, run: Run, layer: str) -> np.ndarray:
    """Return the mean over positions of each channel in each example of the source, (example, channel)."""
    source = node["source"]
    scanned = run.scanned(source)
    inside = np.isin(scanned.rows, run.value(source).coords["example"].data)
    content = next(each.node for each in node["each"] if each.node.type.layers == (layer,))
    return np.asarray(scanned.summary(content, "mean"))[inside]
