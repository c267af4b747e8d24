"""A network with a planted circuit: channels 3 and 7 of `parts` carry the score of class 0, twenty others carry as much
that nothing reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CARRIERS, CHANNELS = (3, 7), 48


class Circuit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.parts = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(CHANNELS, 2)
        with torch.no_grad():
            self.parts[0].weight.copy_(0.2 + 0.1 * torch.randn(CHANNELS, 3, 3, 3, generator=generator))
            self.parts[0].bias.zero_()
            self.head.weight.zero_()
            self.head.bias.zero_()
            self.head.weight[0, list(CARRIERS)] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.parts(x).mean((2, 3)))


def image(seed: int = 1) -> Tensor:
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed))
