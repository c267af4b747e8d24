"""What the checker knows of a model without loading it: layers with shapes, classes with labels. Has a JSON form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from bbilang.compiler.ir.cuts import Place, dominators, leads, meets_every_path
from bbilang.compiler.ir.score_kinds import LOGITS, VALUE
from bbilang.grammar.frozen import frozen

Box: TypeAlias = tuple[int, int, int, int]  # (y0, x0, y1, x1) in pixels of the input; without y1 and x1

INPUT, OUTPUT = "input", "output"
PLAIN = re.compile(r"[^\W\d]\w*(?:\.\w+)*")  # a name that needs no quotes in a text
_LAYER = " (layer)"
WHITE = {"\n": "⏎", "\r": "⏎", "\t": "⇥"}  # how white space is shown where it is all that there is
HEADS = ".heads"  # ends the name of the layer that the heads of an attention make, before their projection
HEADS_PART = "(heads)"  # ends its path: the part of the projection that a run mounts there (`passes.module.heads`)
NOT_PICTURES = {
    "signal": ("channel", "x"),
    "sequence": ("x", "channel"),
    "vector": ("channel",),
    "audio": ("channel", "y", "frame"),
}  # axes of an input
SEVERAL, IDLE, NO_TENSOR, SCRIPTED, UNLIKE = (
    "several",
    "idle",
    "no tensor",
    "scripted",
    "unlike",
)  # why a module is no layer


def layer_name(name: str) -> str:
    """Return the name of a layer; `input` and `output` are reserved for the network's own, so a module of that name
    gets another. A text refers to it by its quoted name, `"input".channel`."""
    return f"{name}{_LAYER}" if name in (INPUT, OUTPUT) else name


def in_text(name: str) -> str:
    """Return a layer's name as written in a text: quoted if it is not a plain word, or is a word of the language."""
    name = name.removesuffix(_LAYER)
    return name if PLAIN.fullmatch(name) and name not in (INPUT, OUTPUT) else f'"{name}"'


@frozen
class LayerDescription:
    """One layer. ``axes`` names the axes of ``shape``: (channel, y, x), (y, x, channel), (token, channel), (channel,),
    or (token, head, channel) for the outputs of attention heads before their projection.

    Where the tokens of a layer stand for patches of a picture, ``grid`` is their (y, x), and ``prefix`` counts the
    tokens before it, such as the class token: tokens = prefix + y * x.
    """

    name: str
    module: str  # path in named_modules(), of the module whose output this is
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    nonnegative: bool = False  # ends in a ReLU or ReLU6
    flops: int = 0  # of a forward of one input that stops after this layer; a multiplication and an addition are two
    kind: str = ""  # "conv", "norm", "pool", "block", "inner" (a part of a block); empty where unknown
    inputs: tuple[str, ...] = ()  # the layers whose results it is made of, `input` among them; empty where unknown
    grid: tuple[int, ...] = ()
    prefix: int = 0
    bytes: int = 0  # that such a forward reads and writes: inputs, weights and results of every operation
    scores: str = ""  # of a vector: what kind of scores it would be (`compiler.scores`)
    own_flops: int = 0  # of its module alone, without what runs between modules; 0 where unknown

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        return dict(zip(self.axes, self.shape, strict=True))

    @cached_property
    def every_size(self) -> Mapping[str, int]:
        """Sizes by axis, with the y and x of the patches that tokens stand for."""
        return {**self.as_map.sizes, **self.sizes}

    @property
    def is_heads(self) -> bool:
        """Whether these are the outputs of attention heads, before their projection."""
        return "head" in self.axes

    @property
    def as_map(self) -> LayerDescription:
        """The layer as its `.spatial` atoms see it: patches as positions (y, x, channel), without the tokens before."""
        if not self.grid or self.is_heads:
            return self
        shape = (*self.grid, self.sizes["channel"])
        return replace(self, axes=("y", "x", "channel"), shape=shape, grid=(), prefix=0)


@frozen
class PartDescription:
    """One tensor of what a network gives: its path in the result, as in `logits`, `[1]` or `aux.scores` (`.` is the
    result itself), its shape without the axis of inputs, the layers that it is made of (or `input`), and what kind of
    scores it would be (`compiler.scores`). ``vector``: whether it is one vector of numbers for each input; ``map``:
    whether it is (class, y, x) over the picture."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[str, ...] = ()
    scores: str = ""
    vector: bool = False
    flat: bool = False  # it has no axis for classes, or none for one input
    map: bool = False


@frozen
class ModelDescription:
    """One model: layers in forward order under their short names, input size (y, x) in pixels, class labels.

    A model that ``reads`` text has the input size (1, tokens); one that reads a signal (channel, x) or a sequence
    (x, channel) has (1, x), and one that reads a vector (channel,) has (1, 1). One that reads audio has (samples of a
    frame, frames), and its input is (channel, y, frame): sample y of a frame.
    """

    name: str
    title: str
    input_size: tuple[int, int]
    layers: tuple[LayerDescription, ...]
    classes: int  # width of the class vector; 0 where the model has none and `output = "path"` is needed
    labels: tuple[str, ...] = ()  # one per class, synonyms separated by ", "; empty where unknown
    output: str = ""  # module path that gives the scores; "" is the model's own result
    aliases: Mapping[str, str] = field(default_factory=dict)  # another name -> the short name above
    flops: int = 0  # of the whole forward of one input, counted as the layers' are
    reads: str = "image"  # or "text", "audio", "signal", "sequence", "vector"
    bytes: int = 0  # of the whole forward
    channels: int = 3  # of its input; of a vector, how many numbers it has
    columns: tuple[str, ...] = ()  # names of the input's channels; empty where unknown
    rate: int = 0  # of audio: samples per second
    window: int = 0  # of audio: samples that the network looks at for a frame; 0 where it looks at the whole
    absent: Mapping[str, str] = field(default_factory=dict)  # a module that is no layer -> why
    scores: str = LOGITS  # what kind of numbers the scores are (`compiler.scores`)
    part: str = ""  # the part of the model's own result that is the scores; "" where the result is the one vector
    parts: tuple[PartDescription, ...] = ()  # of a result that is not one vector
    ends: tuple[str, ...] = ()  # the layers that the scores are made of, as `inputs` of layers; empty where unknown
    heads: Mapping[str, str] = field(default_factory=dict)  # a module with attention -> the layer of its heads
    boxes: tuple[Box, ...] = ()  # of scores that are a map: where a text asks for them

    @cached_property
    def scores_map(self) -> PartDescription | None:
        """The map (class, y, x) whose means over the picture and over boxes are the scores; None where they are not."""
        return next((part for part in self.parts if part.map and part.name == self.part), None)

    @property
    def map_classes(self) -> int:
        """How many classes the map of scores has; all classes where the scores are a vector."""
        return self.scores_map.shape[0] if self.scores_map else self.classes

    def at_box(self, index: int) -> str:
        """Return where a score is, as written in `output[...]`: `, at=box(0, 0, 9, 9)`; empty where it has no box."""
        number = index // self.map_classes if self.boxes else 0
        return f", at=box({', '.join(map(str, self.boxes[number - 1]))})" if number else ""

    @cached_property
    def by_name(self) -> Mapping[str, LayerDescription]:
        """Return the layers by their names, and by every other name of them or of a module with attention."""
        table = {layer.name: layer for layer in self.layers}
        table |= {alias: table[name] for alias, name in self.aliases.items()}
        heads = {f"{module}{HEADS}": table[name] for module, name in self.heads.items()}
        return {**heads, **table}

    def quoted(self, name: str) -> LayerDescription | None:
        """Return the layer that a text names in quotes, including one whose module is called `input` or `output`."""
        return self.by_name.get(layer_name(name)) or self.by_name.get(name)

    @cached_property
    def input(self) -> LayerDescription:
        """The input as a layer."""
        if self.reads in NOT_PICTURES:
            y, x = self.input_size
            sizes = {"channel": self.channels, "y": y, "x": x, "frame": x}
            axes = NOT_PICTURES[self.reads]
            return LayerDescription(INPUT, "", axes, tuple(sizes[axis] for axis in axes))
        return LayerDescription(INPUT, "", ("channel", "y", "x"), (self.channels, *self.input_size))

    @property
    def seconds(self) -> float:
        """How long the sound is that the sizes hold for; 0 for a model that takes none."""
        return self.input_size[0] * self.input_size[1] / self.rate if self.rate else 0.0

    def label(self, index: int) -> str:
        """Return the first synonym of a class, or `class 7` if the label is unknown or invisible."""
        label = self.labels[index] if self.labels else ""
        name = label.split(", ")[0].strip()
        if not name and self.reads == "text":  # a token of white space, or the comma with a space
            name = label.strip() or "".join(WHITE.get(letter, "␣") for letter in label)
        if not name and self.scores == VALUE:
            return "the output" if self.classes == 1 else f"output {index}"
        return name or f"class {index}"

    def some_layer(self, near: Sequence[str] = ()) -> str:
        """Return a layer for an example, as written in a text: the first of ``near``, else the last with positions."""
        name = next((name for name in near if name in self.by_name), None)
        if name is None:
            with_positions = [
                x
                for x in self.layers
                if x.sizes.get("y", 1) * x.sizes.get("x", 1) > 1 or {"token", "frame"} & {*x.axes}
            ]
            layers = [x for x in with_positions if not x.is_heads] or self.layers
            name = layers[-1].name if layers else ""
        return in_text(name)

    def some_layers(self) -> str:
        """List some layers in words: the first blocks and the last, if the model has blocks."""
        names = [layer.name for layer in self.layers if layer.kind in ("block", "")] or list(self.by_name)
        names = [name for name in names if not any(name.startswith(f"{other}.") for other in names)]
        shown = names if len(names) <= 4 else [*names[:2], "...", *names[-2:]]
        return f"its layers are {', '.join(name if name == '...' else f'`{in_text(name)}`' for name in shown)}"

    @cached_property
    def _sources(self) -> Mapping[str, tuple[str, ...]]:
        return {layer.name: layer.inputs for layer in self.layers}

    @cached_property
    def _dominators(self) -> frozenset[str]:
        return dominators(self._sources, self.ends)

    def place(self, *names: str) -> Place:
        """Return whether the layers together are a cut: every path from the input to the scores passes one of them.
        Otherwise they are branches."""
        known = [name if name == INPUT else self.by_name[name].name for name in names]
        if not self.ends:
            return "unknown"
        if INPUT in known or not self._dominators.isdisjoint(known):
            return "cut"
        together = len(known) > 1 and meets_every_path(self._sources, self.ends, known)
        return "cut" if together else "branch"

    def leads(self, name: str, to: str) -> bool:
        """Return whether a path from a layer leads to a later one, or to `output`; true where that is not known."""
        ends = self.ends if to == OUTPUT else self.by_name[to].inputs
        return leads(self._sources, ends, name if name == INPUT else self.by_name[name].name)

    def cuts_before(self, name: str) -> tuple[str, ...]:
        """Return the layers on every path from the input to a layer, or to `output`, in forward order, without the
        layer itself."""
        known = None if name == OUTPUT else self.by_name[name]
        passed = dominators(self._sources, self.ends if known is None else known.inputs)
        own = (layer for layer in self.layers if layer.name in passed and layer is not known)
        return tuple(layer.name for layer in own if not layer.is_heads)  # of which runs know only those that they need

    def edges(self, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Return (from, to) among some layers and `input`: the result of one enters the other without passing a
        third."""
        selected, known = {INPUT, *names}, self.by_name

        def sources(layer: str, seen: set[str]) -> Iterable[str]:
            for name in known[layer].inputs:
                if name in selected:
                    yield name
                elif name not in seen and name in known:
                    seen.add(name)
                    yield from sources(name, seen)

        own = [layer.name for layer in self.layers if layer.name in selected]
        return tuple((source, layer) for layer in own for source in dict.fromkeys(sources(layer, set())))

    def to_json(self) -> dict[str, Any]:
        """Return plain data. Rare fields are left out if they have their default."""
        data = asdict(self)
        for layer in data["layers"]:
            for name in ("inputs", "grid", "prefix", "scores", "own_flops"):
                if not layer[name]:
                    del layer[name]
        rare: tuple[tuple[str, Any], ...] = (
            ("columns", ()),
            ("rate", 0),
            ("window", 0),
            ("absent", {}),
            ("scores", LOGITS),
            ("part", ""),
            ("parts", ()),
            ("ends", ()),
            ("heads", {}),
            ("boxes", ()),
        )
        for name, usual in rare:
            if data[name] == usual:
                del data[name]
        if self.reads == "image":
            del data["reads"]
        if self.channels == 3:
            del data["channels"]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelDescription:
        """Read the result of `to_json`; fields with a default may be missing."""
        layers = [LayerDescription(**_tuples(layer, "axes", "shape", "inputs", "grid")) for layer in data["layers"]]
        parts = tuple(PartDescription(**_tuples(part, "shape", "layers")) for part in data.get("parts", ()))
        plain = _tuples(data, "input_size", "labels", "columns", "ends")
        boxes = tuple(tuple(box) for box in data.get("boxes", ()))
        return cls(**{**plain, "layers": tuple(layers), "parts": parts, "boxes": boxes})


def _tuples(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: tuple(value) if name in names else value for name, value in data.items()}
