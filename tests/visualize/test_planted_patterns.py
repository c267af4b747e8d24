"""A unit that responds to a known pattern: its icon holds the pattern."""

import numpy as np
import torch
from torch import nn

from bbilang.runtime.featvis.engine import Objective, Recipe, visualize

SIDE, SIZE = 12, 40
LEAST = {"ring": 0.65, "cross": 0.8, "stripes": 0.8, "yellow beside blue": 0.8}  # a thin ring blurs with the movements


def patterns() -> np.ndarray:
    """(pattern, 3, y, x), each with mean 0 and length 1."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    grey = (np.abs(np.hypot(y, x) - 3.5) < 1.2, np.minimum(np.abs(y), np.abs(x)) < 1.5, (y + x) // 3 % 2 == 0)
    rows = np.stack([*(np.stack([each] * 3) for each in grey), np.stack([x > 0, x > 0, x < 0])]).astype(float)
    rows -= rows.mean((1, 2, 3), keepdims=True)
    return rows / np.sqrt((rows**2).sum((1, 2, 3), keepdims=True))


def likeness(picture: np.ndarray, pattern: np.ndarray) -> float:
    """The largest correlation of the pattern with a part of the picture."""
    values = picture.astype(float).transpose(2, 0, 1)
    parts = np.lib.stride_tricks.sliding_window_view(values, pattern.shape)[0].reshape(-1, pattern.size)
    parts = parts - parts.mean(1, keepdims=True)
    length = np.maximum(np.sqrt((parts**2).sum(1)), 1e-9)
    return float((parts @ pattern.ravel() / length).max())


def test_an_icon_holds_the_pattern_of_its_unit(make_stub):
    wanted = patterns()
    convolution = nn.Conv2d(3, len(wanted), SIDE)
    with torch.no_grad():
        convolution.weight[:] = torch.tensor(wanted, dtype=torch.float32) / 2
        convolution.bias[:] = 0.0
    adapter = make_stub(nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveMaxPool2d(1)), input_size=(SIZE, SIZE))
    icons = visualize(adapter, [Objective("2", c) for c in range(len(wanted))], Recipe(size=SIZE, batch=4))
    for number, (icon, least) in enumerate(zip(icons, LEAST.values(), strict=True)):
        found = [likeness(icon.picture, each) for each in wanted]
        assert found[number] > least, found
        assert max(found[:number] + found[number + 1 :]) < 0.5, found
