"""Pictures that are mixtures of colours, of which the one with a little more is the class."""

from __future__ import annotations

import torch

SIDE, CLASSES, COUNT = 8, ("red", "green", "blue"), 90


def data(count: int = COUNT) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures in steps of 1 / 255 whose class is a little more of one colour, and a fifth of them of another class."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 3
    images = torch.rand(count, 3, SIDE, SIDE, generator=draw)
    images[torch.arange(count), labels] += 0.1
    wrong = torch.rand(count, generator=draw) < 0.2
    labels = torch.where(wrong, (labels + 1) % 3, labels)
    return (images.clamp(0, 1) * 255).round() / 255, labels
