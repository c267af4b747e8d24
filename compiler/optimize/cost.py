"""The cost of a pass: floating-point operations and bytes from a model's description, seconds from a device's speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
from bbilang.compiler.ir.speeds import Speed
from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:
    from bbilang.compiler.ir.program import Node, Program, Rerun

BYTES = 4  # of one number: float32
SLOTS = 64  # classes or atoms that are followed down together; passes may take fewer at a time
T = TypeVar("T")
DREAM_SCALE, DREAM_STEPS = 1.4, 10  # between the octaves of a dream; gradient steps in each
DREAM_MOST = 1024  # pixels of the longer side of a dream
SEARCH_SHOWN = 9  # pictures of a random search of icons


@frozen
class Cost:
    """Passes and what they cost, for all inputs together."""

    passes: int = 0
    flops: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.passes + other.passes,
            self.flops + other.flops,
            self.bytes + other.bytes,
            self.seconds + other.seconds,
        )


def passes_cost(
    description: ModelDescription, speed: Speed, count: int, inputs: int, low: str, target_layer: str
) -> Cost:
    """Return the cost of ``count`` passes of one kind between a layer and a target layer above it, in either
    direction."""
    flops, bytes = (
        count * inputs * flops_between(description, low, target_layer),
        count * inputs * bytes_between(description, low, target_layer),
    )
    return Cost(count, flops, bytes, speed.seconds(flops, bytes))


def flops_upto(description: ModelDescription, name: str) -> int:
    """Return the FLOPs of one input's forward that stops after a layer; of the whole network for `output`."""
    if name == "output" or name.startswith("chain "):
        return description.flops
    layer = description.by_name.get(name)
    return layer.flops if layer else 0


def bytes_upto(description: ModelDescription, name: str) -> int:
    """Return the bytes that one input's forward to a layer reads and writes."""
    if name == "output" or name.startswith("chain "):
        return description.bytes
    layer = description.by_name.get(name)
    return layer.bytes if layer else 0


def flops_between(description: ModelDescription, low: str, target_layer: str) -> int:
    """Return the FLOPs of one row between a layer and a target layer above it, in either direction: a backward takes as
    many as a forward, since no weight gradients are computed."""
    return max(flops_upto(description, target_layer) - flops_upto(description, low), 0)


def bytes_between(description: ModelDescription, low: str, target_layer: str) -> int:
    return max(bytes_upto(description, target_layer) - bytes_upto(description, low), 0)


def rerun_rows(rerun: Rerun, targets: int) -> tuple[int, int]:
    """Return (rows per input, cost of each as a multiple of a row's forward FLOPs: the forward, and a backward for
    every gradient).

    targets: how many scores are followed, rivals among them.
    """
    together = rerun.above and rerun.shares
    rows = rerun.visits if together else rerun.visits * targets
    if not rerun.returns:
        return rows, 1
    return rows, 1 + targets if together else 2


def extra_rows(rerun: Rerun, targets: int) -> int:
    """Return the number of rows that run forward only: the score at the baseline, and, if more slots are followed than
    fit into one backward, a forward for each further group of them."""
    rows = rerun.extra * (1 if rerun.above else targets)
    if rerun.above and rerun.shares and rerun.returns:
        rows += rerun.visits * (max(targets - 1, 0) // SLOTS)
    return rows


def forward_flops(description: ModelDescription, layers: tuple[str, ...], stops: bool) -> int:
    """Return the FLOPs of one input's forward: to the deepest of the layers, or through the whole network."""
    if not stops:
        return description.flops
    return max((flops_upto(description, layer) for layer in layers), default=0)


def earliest(description: ModelDescription, layers: tuple[str, ...]) -> str:
    """Return the layer among these that a backward reaches last; the input if there is none."""
    return min(layers, key=lambda name: flops_upto(description, name), default="input")


def layer_of(description: ModelDescription, name: str) -> LayerDescription:
    """Return the layer's description; `input` is the picture itself."""
    return description.by_name.get(name) or description.input


def captured_bytes(description: ModelDescription, layers: tuple[str, ...]) -> int:
    """Return the bytes of one input's activations at the layers."""
    total = 0
    for name in layers:
        count = 1
        for size in layer_of(description, name).shape:
            count *= size
        total += count * BYTES
    return total


def icon_flops(description: ModelDescription, layers: tuple[str, ...], size: int, steps: int) -> int:
    """Return the FLOPs of one icon: at each step, a forward to the layer and a backward to the image, at the icon's
    size."""
    y, x = description.input_size
    forward = max((flops_upto(description, layer) for layer in layers), default=0)
    return int(2 * steps * forward * size * size / (y * x))


def dream_flops(description: ModelDescription, layers: tuple[str, ...], octaves: int, steps: int) -> int:
    """FLOPs of one dream of the largest size, a square: that of its photo is not known when the text is checked."""
    share = sum(DREAM_SCALE ** (-2 * octave) for octave in range(octaves))
    return int(icon_flops(description, layers, DREAM_MOST, min(steps, DREAM_STEPS)) * share)


def icon_option(node: Node, program: Program, name: str, kind: type[T]) -> T | None:
    """Return an option of an element's icons, of the kind that its declaration says: its own, else the file's setting;
    None if neither has it."""
    own: T | None = node.get(name)
    return program.setting(f"featvis.{name}") if own is None else own


def octaves_of(node: Node, program: Program) -> int:
    """Return the number of octaves in which the pictures of an element's whole layers are made; 1 for other
    pictures."""
    return int(icon_option(node, program, "octaves", int) or 1) if node.type.atom == "whole" else 1


def tries_and_pictures(node: Node, program: Program) -> tuple[int, int]:
    """Return (pictures made for each atom, pictures shown)."""

    search = icon_option(node, program, "search", int)
    if search and node.type.atom != "whole":
        return search, min(icon_option(node, program, "show", int) or SEARCH_SHOWN, search)
    pictures = icon_option(node, program, "diversity", int) or 1
    return pictures, pictures
