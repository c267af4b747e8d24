"""What a pass costs: floating-point operations and bytes, from the model's description."""

from __future__ import annotations

from bbilang.compiler.description import ModelDescription

BYTES = 4  # of one number: float32


def forward_flops(description: ModelDescription, layers: tuple[str, ...], stops: bool) -> int:
    """FLOPs of one input's forward: to the deepest of the layers, or through the whole network."""
    if not stops:
        return description.flops
    return max((_upto(description, layer) for layer in layers), default=0)


def backward_flops(description: ModelDescription, layers: tuple[str, ...]) -> int:
    """FLOPs of one input's backward from the scores to the earliest of the layers: as much as the forward between,
    since     no weight's gradient is computed."""
    return description.flops - min((_upto(description, layer) for layer in layers), default=0)


def captured_bytes(description: ModelDescription, layers: tuple[str, ...]) -> int:
    """Bytes of one input's activations at the layers."""
    total = 0
    for name in layers:
        layer = description.by_name.get(name)
        count = 1
        for size in layer.shape if layer else (3, *description.input_size):
            count *= size
        total += count * BYTES
    return total


def icon_flops(description: ModelDescription, layers: tuple[str, ...], size: int, steps: int) -> int:
    """FLOPs of one icon: a forward to the layer and a backward down to the image, each step, at the icon's size."""
    y, x = description.input_size
    forward = max((_upto(description, layer) for layer in layers), default=0)
    return int(2 * steps * forward * size * size / (y * x))


def _upto(description: ModelDescription, name: str) -> int:
    layer = description.by_name.get(name)
    return layer.flops if layer else 0
