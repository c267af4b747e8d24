"""A network with fooling circuits by explicit weights (Geirhos et al. 2024, silent units), and photographs for it.

A planted unit responds to a grating of light and dark, as photographs have them; and, a thousand times as much, to a
grating of opposed colours above the strongest response of any photograph, so that no photograph shows it and every icon
does. Beside them stand honest units, the same gratings alone, and polysemantic ones, the sum of two gratings.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

SIDE, COUNT, WINDOW = 64, 20, 11
GAIN, LEAK = 3000.0, 2.0
SAMPLES = ("data/chelsea.png", "data/coffee.png", "data/astronaut.png", "data/rocket.jpg")


def grating(angle: float, period: float, colour: tuple[float, float, float], phase: float) -> Tensor:
    """(3, y, x): a Gabor filter of length 1 without a mean."""
    y, x = torch.meshgrid(*(torch.arange(WINDOW) - WINDOW // 2,) * 2, indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    wave = torch.cos(2 * math.pi * along / period + phase) * torch.exp(-(x**2 + y**2) / 18)
    filter = torch.tensor(colour)[:, None, None] * (wave - wave.mean())
    return filter / filter.norm()


def natural(n: int) -> Tensor:
    return grating(math.pi * (n % 5) / 5, 12.0 if n < 10 else 7.0, (1.0, 1.0, 1.0), math.pi * (n // 5 % 2))


def strange(n: int) -> Tensor:
    colour = (1.0, -1.0, 0.0) if n % 2 else (1.0, 0.0, -1.0)
    return grating(math.pi * (n % 5) / 5 + 0.3, 4.5 if n < 10 else 6.0, colour, math.pi * (n // 5 % 2))


class Planted(nn.Module):
    """`unit`: channels 0 to 19 are planted, 20 to 39 honest, 40 to 59 polysemantic."""

    def __init__(self, thresholds: Tensor):
        super().__init__()
        self.first, self.relu = nn.Conv2d(3, 3 * COUNT, WINDOW, stride=4), nn.ReLU()
        self.unit = nn.Conv2d(3 * COUNT, 3 * COUNT, 1)
        filters = [natural(n) for n in range(COUNT)] + [strange(n) for n in range(COUNT)] * 2
        weights = torch.zeros(3 * COUNT, 3 * COUNT)
        for n in range(COUNT):
            weights[n, n], weights[n, COUNT + n], weights[n, 2 * COUNT + n] = 1.0, LEAK, GAIN
            weights[COUNT + n, n] = 1.0
            weights[2 * COUNT + n, n] = weights[2 * COUNT + n, (n + 7) % COUNT] = 1.0
        with torch.no_grad():
            self.first.weight.copy_(torch.stack(filters))
            self.first.bias.copy_(torch.cat([torch.zeros(2 * COUNT), -thresholds]))
            self.unit.weight.copy_(weights[:, :, None, None])
            self.unit.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.unit(self.relu(self.first(x - 0.5))).mean((2, 3))


def photographs(folder: Path, package: Path) -> Path:
    """48 crops of the sample pictures, as files."""
    folder.mkdir()
    for number, name in enumerate(SAMPLES):
        picture = Image.open(package / name).convert("RGB")
        for crop in range(12):
            side = 96 + 16 * (crop % 3)
            x = (picture.width - side) * (crop % 4) // 3
            y = (picture.height - side) * (crop // 4) // 2
            picture.crop((x, y, x + side, y + side)).save(folder / f"{number}_{crop:02}.png")
    return folder


def planted(images: Tensor) -> Planted:
    """The network whose second circuits are silent on all of these images (image, 3, y, x)."""
    plain = Planted(torch.zeros(COUNT))
    with torch.no_grad():
        thresholds = plain.first(images - 0.5)[:, COUNT : 2 * COUNT].amax((0, 2, 3))
    return Planted(thresholds).eval()
