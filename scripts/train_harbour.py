"""Train the network of `sample:harbour`: `python scripts/train_harbour.py FILE.safetensors`.

What ships is what this wrote; it takes a minute on one thread. `--pictures FOLDER` writes the two samples instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from bbilang.runtime.models.zoo import harbour as definition
from bbilang.runtime.samples.harbour import SIDE, classes, picture, scene

TRAINING, HELD_OUT = 800, 200  # scenes 0 to 799, and the next 200
EPOCHS, BATCH, RATE = 16, 32, 3e-3
SHOWN = 1017  # the scene of `sample:afloat` and `sample:parked`: of neither


def scenes(start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Return pictures (input, channel, y, x), normalized, and the class of each pixel (input, y, x)."""
    every = [scene(number) for number in range(start, stop)]
    pixels = np.stack([np.asarray(picture(one)) for one in every])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5
    return images, torch.from_numpy(np.stack([classes(one) for one in every]))


def scored(net: nn.Module, images: Tensor) -> Tensor:
    """Return the map enlarged to the pictures: (input, class, y, x)."""
    return interpolate(net(images), size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def trained(images: Tensor, labels: Tensor) -> nn.Module:
    torch.manual_seed(0)
    net = definition.build()
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - epoch / EPOCHS)
        for rows in torch.randperm(len(images)).split(BATCH):
            loss = cross_entropy(scored(net, images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def main(file: str) -> None:
    net = trained(*scenes(0, TRAINING))
    images, labels = scenes(TRAINING, TRAINING + HELD_OUT)
    with torch.no_grad():
        right = scored(net, images).argmax(1) == labels
    print(f"pixels that were not trained on: {float(right.float().mean()):.1%}")
    print(f"of boats and cars: {float(right[labels >= 3].float().mean()):.1%}")
    save_file({name: value.detach().clone().contiguous() for name, value in net.state_dict().items()}, file)


def write_pictures(folder: Path) -> None:
    for name, ground in {"afloat": "water", "parked": "road"}.items():
        picture(scene(SHOWN, ground)).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    write_pictures(Path(sys.argv[2])) if sys.argv[1] == "--pictures" else main(sys.argv[1])
