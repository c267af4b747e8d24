"""InceptionV1 as TensorFlow's "inception5h", the network of the article (Szegedy et al., CVPR 2015, arXiv:1409.4842).

Our own definition from the paper and the published facts of that graph: SAME padding, local response normalization
after the first pool and the third convolution, 1,008 logits of which the first 1,001 have names. Its two auxiliary
classifiers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.passes.same_padding import SameConv2d, SameMaxPool2d

# 1x1, 3x3 bottleneck, 3x3, 5x5 bottleneck, 5x5, pool reduce
MIXED = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 204, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 48, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOLS = {"4a": "maxpool4", "5a": "maxpool10"}  # the pool in front of a mixed layer
PARTS = {
    "1x1": "conv1x1",
    "3x3_bottleneck": "conv3x3_bottleneck",
    "3x3": "conv3x3",
    "5x5_bottleneck": "conv5x5_bottleneck",
    "5x5": "conv5x5",
    "pool": "pool",
    "pool_reduce": "pool_reduce",
}  # TensorFlow's name after `mixed3a_` -> ours after `mixed3a.`
PREPROCESS = Preprocess(224, (224, 224), "bilinear", (117 / 255,) * 3, (1 / 255,) * 3)  # [0, 1] -> [-117, 138]
LABELS = "inception5h.txt"


class Unit(nn.Sequential):
    """Convolution with bias, then ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.convolution = SameConv2d(inputs, outputs, kernel, stride)
        self.activation = nn.ReLU()


class Normalization(nn.LocalResponseNorm):
    """TensorFlow's depth_radius 5, bias 2, alpha 1e-4, beta .5: PyTorch divides alpha by the size of the window, 11."""

    def __init__(self) -> None:
        super().__init__(11, alpha=11 * 1e-4, beta=0.5, k=2.0)


class Mixed(nn.Module):
    """Four branches next to each other along channel: (input, channel, y, x) -> (input, channel', y, x)."""

    def __init__(self, inputs: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pooled: int):
        super().__init__()
        self.conv1x1 = Unit(inputs, one, 1)
        self.conv3x3_bottleneck = Unit(inputs, reduce3, 1)
        self.conv3x3 = Unit(reduce3, three, 3)
        self.conv5x5_bottleneck = Unit(inputs, reduce5, 1)
        self.conv5x5 = Unit(reduce5, five, 5)
        self.pool = SameMaxPool2d(3, 1)
        self.pool_reduce = Unit(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = (
            self.conv1x1(x),
            self.conv3x3(self.conv3x3_bottleneck(x)),
            self.conv5x5(self.conv5x5_bottleneck(x)),
            self.pool_reduce(self.pool(x)),
        )
        return torch.cat(branches, 1)


class InceptionV1(nn.Module):
    """(input, channel=3, y, x) in [-117, 138] -> logits before the softmax (input, class=1008)."""

    def __init__(self, classes: int = 1008):
        super().__init__()
        self.conv2d0 = Unit(3, 64, 7, 2)
        self.maxpool0 = SameMaxPool2d(3, 2)
        self.localresponsenorm0 = Normalization()
        self.conv2d1 = Unit(64, 64, 1)
        self.conv2d2 = Unit(64, 192, 3)
        self.localresponsenorm1 = Normalization()
        self.maxpool1 = SameMaxPool2d(3, 2)
        channels = 192
        for name, widths in MIXED.items():
            if name in POOLS:
                self.add_module(POOLS[name], SameMaxPool2d(3, 2))
            self.add_module(f"mixed{name}", Mixed(channels, *widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        # The graph pools 7 x 7 without padding: at 224 pixels the mean over all positions, which any size has.
        self.avgpool0 = nn.AdaptiveAvgPool2d(1)
        self.softmax2_pre_activation = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        for name, layer in self.named_children():
            if name == "softmax2_pre_activation":
                x = x.flatten(1)
            x = layer(x)
        return x


def build() -> nn.Module:
    return InceptionV1()


def layer_names() -> dict[str, str]:
    """Return short name -> module path, which are equal here."""
    trunk = ["conv2d0", "maxpool0", "localresponsenorm0", "conv2d1", "conv2d2", "localresponsenorm1", "maxpool1"]
    inside = [f"mixed{mixed}.{part}" for mixed in MIXED for part in PARTS.values()]
    names = [*trunk, *POOLS.values(), *(f"mixed{mixed}" for mixed in MIXED), *inside]
    return {name: name for name in names}


def kinds() -> dict[str, str]:
    """Return short name -> kind by its name; the mixed layers are the blocks, and "inner" is inside a block."""
    starts = {"conv": "conv", "local": "norm", "max": "pool", "mixed": "block"}

    def kind(name: str) -> str:
        return "inner" if "." in name else next(kind for start, kind in starts.items() if name.startswith(start))

    return {name: kind(name) for name in layer_names()}


def aliases() -> dict[str, str]:
    """Return TensorFlow's names of the branches, `mixed3a_3x3` -> `mixed3a.conv3x3`."""
    return {f"mixed{mixed}_{theirs}": f"mixed{mixed}.{ours}" for mixed in MIXED for theirs, ours in PARTS.items()}


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the entries of the two known ports.

    ``mixed3a_1x1_pre_relu_conv.weight`` (PyTorch ports); ``mixed3a_1x1_w``, ``mixed3a_1x1_b`` (the constants of the
    TensorFlow graph: kernels (y, x, from, to), the last matrix (from, to)). Auxiliary classifiers are dropped.
    """
    names = aliases()

    def rename(name: str, value: Tensor) -> tuple[str, Tensor]:
        for ending, kind in (("_pre_relu_conv.weight", "weight"), ("_pre_relu_conv.bias", "bias"),
                             ("_pre_activation_matmul.weight", "weight"), ("_pre_activation_matmul.bias", "bias"),
                             ("_w", "weight"), ("_b", "bias")):  # fmt: skip
            if not name.endswith(ending):
                continue
            stem = name.removesuffix(ending)
            if ending == "_w":
                value = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.t() if value.ndim == 2 else value
            if stem == "softmax2":
                return f"softmax2_pre_activation.{kind}", value
            return f"{names.get(stem, stem)}.convolution.{kind}", value
        return name, value

    auxiliary = ("head0", "head1", "nn0", "nn1", "softmax0", "softmax1")
    return dict(rename(name, value) for name, value in state.items() if not name.startswith(auxiliary))
