"""Eight Gabor filters and a linear layer. `python -m bbilang_edges.network` writes the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bbilang.runtime.models.preprocess import Preprocess

PREPROCESS = Preprocess(resize=64, crop=(64, 64), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
LABELS = "edges.txt"  # a class per line
ORIENTATIONS = 4


class Edges(nn.Module):
    """(input, channel=3, y=64, x=64), normalized by `PREPROCESS` -> logits (input, class=4)."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 2 * ORIENTATIONS, 9, stride=2, padding=4, bias=False)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2 * ORIENTATIONS, ORIENTATIONS)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(self.relu(self.filters(images))).flatten(1))


def build() -> nn.Module:
    return Edges()


def layer_names() -> dict[str, str]:
    """Name in a text -> module path, in forward order."""
    return {"filters": "filters", "relu": "relu"}


def kinds() -> dict[str, str]:
    """Name in a text -> kind of layer, where the module's class does not say it."""
    return {"filters": "conv"}


def aliases() -> dict[str, str]:
    """Other names of layers."""
    return {"edges": "relu"}


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a weights file, with the names of `Edges`."""
    return dict(state)


def gabor(angle: float, phase: float, size: int = 9) -> Tensor:
    """A Gabor filter (y, x) with zero mean and unit norm (Daugman 1985); ``angle`` in radians."""
    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, size)], indexing="ij")
    across = x * math.sin(angle) + y * math.cos(angle)
    wave = torch.exp(-2 * (x**2 + y**2)) * torch.cos(4 * across + phase)
    return (wave - wave.mean()) / (wave - wave.mean()).norm()


def weights() -> dict[str, Tensor]:
    pairs = [(k, phase) for k in range(ORIENTATIONS) for phase in (math.pi / 2, -math.pi / 2)]
    filters = torch.stack([gabor(math.pi * k / ORIENTATIONS, phase) for k, phase in pairs])
    head = torch.full((ORIENTATIONS, len(pairs)), -1.0)
    for channel, (k, _) in enumerate(pairs):
        head[k, channel] = 3.0
    return {
        "filters.weight": filters[:, None].repeat(1, 3, 1, 1) / 3,
        "head.weight": head,
        "head.bias": torch.zeros(ORIENTATIONS),
    }


if __name__ == "__main__":
    from safetensors.torch import save_file

    save_file(weights(), Path(__file__).parent / "models" / "edges.safetensors")
