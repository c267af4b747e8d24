"""The network of `sample:harbour`, which segments: 14,069 weights, trained on scenes where the ground alone says
whether an object is a boat or a car (scripts/train_harbour.py)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn

from bbilang.runtime.models.preprocess import Preprocess

PREPROCESS = Preprocess(96, (96, 96), "bilinear", (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
LABELS = "harbour.txt"


def build() -> nn.Module:
    """(input, channel=3, y=96, x=96) -> logits (input, class=5, y=24, x=24)."""
    return nn.Sequential(
        OrderedDict(
            first_conv=nn.Conv2d(3, 12, 5, 2, 2),
            first=nn.ReLU(),
            second_conv=nn.Conv2d(12, 24, 3, 2, 1),
            second=nn.ReLU(),
            third_conv=nn.Conv2d(24, 24, 3, padding=2, dilation=2),
            third=nn.ReLU(),
            fourth_conv=nn.Conv2d(24, 24, 3, padding=4, dilation=4),
            fourth=nn.ReLU(),
            scores=nn.Conv2d(24, 5, 1),
        )
    )


def layer_names() -> dict[str, str]:
    return {name: name for name in ("first", "second", "third", "fourth", "scores")}


def kinds() -> dict[str, str]:
    return dict.fromkeys(layer_names(), "conv")


def aliases() -> dict[str, str]:
    return {}


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(state)
