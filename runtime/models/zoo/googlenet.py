"""GoogLeNet with batch norm, as torchvision trained it (Szegedy et al., CVPR 2015, arXiv:1409.4842).

Our own definition, with torchvision's parameter names, so that its state dict loads. The inception layers have the
article's short names (``mixed4d`` is ``inception4d``). Auxiliary classifiers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bbilang.runtime.models.preprocess import Preprocess

# branch1 1x1; branch2 1x1, 3x3; branch3 1x1, 3x3 (5x5 in the paper); branch4 1x1 after the pool
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOLS = {"4a": ("maxpool3", 3), "5a": ("maxpool4", 2)}  # the pool in front of a layer, and its kernel
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of RGB in [0, 1]
PREPROCESS = Preprocess(256, (224, 224), "bilinear", MEAN, STD)
LABELS = "imagenet.txt"


class BasicConv2d(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches next to each other along channel: (input, channel, y, x) -> (input, channel', y, x)."""

    def __init__(self, inputs: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pooled: int):
        super().__init__()
        self.branch1 = BasicConv2d(inputs, one, 1)
        self.branch2 = nn.Sequential(BasicConv2d(inputs, reduce3, 1), BasicConv2d(reduce3, three, 3, padding=1))
        self.branch3 = nn.Sequential(BasicConv2d(inputs, reduce5, 1), BasicConv2d(reduce5, five, 3, padding=1))
        pool = nn.MaxPool2d(3, 1, padding=1, ceil_mode=True)
        self.branch4 = nn.Sequential(pool, BasicConv2d(inputs, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)), 1)


class TransformInput(nn.Module):
    """From ImageNet's mean and deviation to .5 and .5, which the weights were trained on."""

    def forward(self, x: Tensor) -> Tensor:
        std, mean = (x.new_tensor(values).view(-1, 1, 1) for values in (STD, MEAN))
        return x * (std / 0.5) + (mean - 0.5) / 0.5


class GoogLeNet(nn.Module):
    """(input, channel=3, y, x), ImageNet-normalized -> logits (input, class=1000)."""

    def __init__(self, classes: int = 1000):
        super().__init__()
        self.transform_input = TransformInput()
        self.conv1 = BasicConv2d(3, 64, 7, 2, 3)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = BasicConv2d(64, 64, 1)
        self.conv3 = BasicConv2d(64, 192, 3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        channels = 192
        for name, widths in INCEPTION.items():
            if name in POOLS:
                pool, kernel = POOLS[name]
                self.add_module(pool, nn.MaxPool2d(kernel, 2, ceil_mode=True))
            self.add_module(f"inception{name}", Inception(channels, *widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        for name, layer in self.named_children():
            x = layer(x.flatten(1) if name == "fc" else x)
        return x


def build() -> nn.Module:
    return GoogLeNet()


def layer_names() -> dict[str, str]:
    """Return short name -> module path. The pools keep torchvision's names, two of which mean other pools in the
    article."""
    trunk = ["conv1", "maxpool1", "conv2", "conv3", "maxpool2", "maxpool3", "maxpool4"]
    return {name: name for name in trunk} | {f"mixed{name}": f"inception{name}" for name in INCEPTION}


def kinds() -> dict[str, str]:
    """Return short name -> kind by its name; the mixed layers are the blocks."""
    starts = {"conv": "conv", "max": "pool", "mixed": "block"}
    return {name: kind for name in layer_names() for start, kind in starts.items() if name.startswith(start)}


def aliases() -> dict[str, str]:
    names = {"conv2d0": "conv1", "conv2d1": "conv2", "conv2d2": "conv3"}
    return names | {f"inception{name}": f"mixed{name}" for name in INCEPTION}


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(("aux1.", "aux2."))}
