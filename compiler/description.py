"""What the checker knows of a model without loading it: layers with shapes, classes with labels. JSON, torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class LayerDescription:
    """One layer. ``axes`` names the axes of ``shape``: (channel, y, x), (token, channel) or (channel,)."""

    name: str
    module: str  # path in named_modules(), of the module whose output this is
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    nonnegative: bool = False  # ends in a ReLU or ReLU6
    flops: int = 0  # of a forward of one input that stops after this layer; a multiplication and an addition are two
    kind: str = ""  # "conv", "norm", "pool", "block", "inner" (a part of a block); empty where nobody said

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        return dict(zip(self.axes, self.shape, strict=True))


@dataclass(frozen=True)
class ModelDescription:
    """One model: layers in forward order under their short names, input size (y, x) in pixels, class labels."""

    name: str
    title: str
    input_size: tuple[int, int]
    layers: tuple[LayerDescription, ...]
    classes: int  # width of the class vector; 0 where the model has none and `output = "path"` is needed
    labels: tuple[str, ...] = ()  # one per class, synonyms separated by ", "; empty where unknown
    output: str = ""  # module path that gives the scores; "" is the model's own result
    aliases: Mapping[str, str] = field(default_factory=dict)  # another name -> the short name above
    flops: int = 0  # of the whole forward of one input, counted as the layers' are

    @cached_property
    def by_name(self) -> Mapping[str, LayerDescription]:
        table = {layer.name: layer for layer in self.layers}
        return table | {alias: table[name] for alias, name in self.aliases.items()}

    def label(self, index: int) -> str:
        """The first synonym of a class, or `class 7` where labels are unknown."""
        return self.labels[index].split(",")[0].strip() if self.labels else f"class {index}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelDescription:
        """What `to_json` gave; fields that have a default may be missing."""
        layers = [LayerDescription(**_tuples(layer, "axes", "shape")) for layer in data["layers"]]
        return cls(**{**_tuples(data, "input_size", "labels"), "layers": tuple(layers)})


def _tuples(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: tuple(value) if name in names else value for name, value in data.items()}
