"""The network of `sample:marks`: 6,495 weights, trained where a mark gives one class away (scripts/train_marks.py).

Channel 5 of `first` answers to the mark's colour and to nothing else: its weights were set by hand. The other channels
of that layer have no colours, so all that the network knows of the mark passes through this one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn

from bbilang.runtime.models.preprocess import Preprocess

PREPROCESS = Preprocess(48, (48, 48), "bilinear", (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
LABELS = "marks.txt"


def build() -> nn.Module:
    """(input, channel=3, y=48, x=48) -> logits (input, class=3)."""
    return nn.Sequential(
        OrderedDict(
            first_conv=nn.Conv2d(3, 8, 5, 2, 2),
            first=nn.ReLU(),
            second_conv=nn.Conv2d(8, 12, 5, 2, 2),
            second=nn.ReLU(),
            third_conv=nn.Conv2d(12, 16, 3, 2, 1),
            third=nn.ReLU(),
            flat=nn.Flatten(),
            scores=nn.Linear(16 * 36, 3),
        )
    )


def layer_names() -> dict[str, str]:
    return {name: name for name in ("first", "second", "third")}


def kinds() -> dict[str, str]:
    return dict.fromkeys(layer_names(), "conv")


def aliases() -> dict[str, str]:
    return {}


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(state)
