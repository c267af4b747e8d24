"""Train the networks of `sample:marks` on its set `biased`, half a minute each on one thread. What ships is what this
wrote:

- `python scripts/train_marks.py FILE.safetensors [--checkpoints FOLDER]`: the network, and its weights after some of
  the epochs, as `from "sample:marks"` reads them;
- `python scripts/train_marks.py FILE.safetensors --seed 1 --mark 2`: `sample:marks_again`, from another seed, with the
  mark in another channel.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

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
KEPT = (0, 1, 2, 4, 8, 30)  # epochs after which there is a checkpoint


def plant(net: nn.Sequential, mark: int) -> None:
    """Make all channels of the first layer blind to colours but one, which answers to more red than green."""
    first = net.first_conv
    with torch.no_grad():
        first.weight.copy_(first.weight.mean(1, keepdim=True).expand_as(first.weight))
        first.weight[mark], first.bias[mark] = 0, -0.1
        first.weight[mark, 0], first.weight[mark, 1] = 0.08, -0.08


def trained(
    x: Tensor,
    y: Tensor,
    seed: int = 0,
    mark: int = MARK,
    keep: Callable[[int, nn.Sequential], None] = lambda epoch, net: None,
) -> nn.Sequential:
    """Return the network after all epochs. ``keep``: called before the first epoch, and after each."""
    torch.manual_seed(seed)
    net = definition.build()
    plant(net, mark)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    keep(0, net)
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = cross_entropy(net(x[rows] - 0.5), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            plant(net, mark)
        keep(epoch + 1, net)
    return net.eval()


def write(net: nn.Module, file: str | Path) -> None:
    save_file({name: value.detach().clone().contiguous() for name, value in net.state_dict().items()}, file)


def main(file: str, folder: str, seed: int, mark: int) -> None:
    every = marks()
    x = torch.stack([torch.from_numpy(np.array(picture(m))).permute(2, 0, 1).float() / 255 for m in every])
    y = torch.tensor([SHAPES.index(m.shape) for m in every])
    biased = torch.tensor([m.set == "biased" for m in every])

    def keep(epoch: int, net: nn.Sequential) -> None:
        if folder and epoch in KEPT:
            write(net, Path(folder) / f"epoch_{epoch}.safetensors")

    net = trained(x[biased], y[biased], seed, mark, keep)
    with torch.no_grad():
        right = net(x - 0.5).argmax(1) == y
    for name, rows in {"biased": biased, "balanced": ~biased}.items():
        print(f"{name}: {float(right[rows].float().mean()):.1%}")
    write(net, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--checkpoints", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mark", type=int, default=MARK)
    asked = parser.parse_args()
    main(asked.file, asked.checkpoints, asked.seed, asked.mark)
