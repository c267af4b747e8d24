"""Train the network of `sample:marks` on its set `biased`: `python scripts/train_marks.py FILE.safetensors`.

What ships is what this wrote; it takes half a minute on one thread.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bbilang.runtime.models.zoo import marks as definition
from bbilang.runtime.samples.marks import SHAPES, marks
from bbilang.runtime.samples.marks_drawing import picture

MARK = 5  # the channel of the first layer that answers to the mark's colour
EPOCHS, BATCH, RATE = 30, 64, 3e-3


def plant(net: nn.Sequential) -> None:
    """Make all channels of the first layer blind to colours but one, which answers to more red than green."""
    first = net.first_conv
    with torch.no_grad():
        first.weight.copy_(first.weight.mean(1, keepdim=True).expand_as(first.weight))
        first.weight[MARK], first.bias[MARK] = 0, -0.1
        first.weight[MARK, 0], first.weight[MARK, 1] = 0.08, -0.08


def trained(x: Tensor, y: Tensor) -> nn.Sequential:
    torch.manual_seed(0)
    net = definition.build()
    plant(net)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = cross_entropy(net(x[rows] - 0.5), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            plant(net)
    return net.eval()


def main(file: str) -> None:
    every = marks()
    x = torch.stack([torch.from_numpy(np.array(picture(m))).permute(2, 0, 1).float() / 255 for m in every])
    y = torch.tensor([SHAPES.index(m.shape) for m in every])
    biased = torch.tensor([m.set == "biased" for m in every])
    net = trained(x[biased], y[biased])
    with torch.no_grad():
        right = net(x - 0.5).argmax(1) == y
    for name, rows in {"biased": biased, "balanced": ~biased}.items():
        print(f"{name}: {float(right[rows].float().mean()):.1%}")
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, file)


if __name__ == "__main__":
    main(sys.argv[1])
