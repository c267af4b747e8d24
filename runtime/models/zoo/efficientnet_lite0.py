"""EfficientNet-Lite0 (Tan and Le, ICML 2019, arXiv:1905.11946; the Lite variant: ReLU6, no squeeze and excitation).

The definition is our own. Every short layer name is a module: ``stem``, ``block1a`` ... ``block7a`` with ``expand``,
``depthwise`` and ``project`` inside, ``head``. Weights under the names of the TensorFlow port
(``_blocks.3._bn1.weight``) are renamed by ``translate``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn

from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.passes.same_padding import SameConv2d

# stage: repeats, kernel, stride of its first block, expansion, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
BLOCKS = tuple(f"block{stage}{'abcd'[i]}" for stage, (repeats, *_) in enumerate(STAGES, 1) for i in range(repeats))
SKIPPED = ("block1a", "expand")  # an expansion of 1
PREPROCESS = Preprocess(256, (224, 224), "bicubic", (127 / 255,) * 3, (128 / 255,) * 3)
LABELS = "imagenet.txt"


class Unit(nn.Sequential):
    """Convolution, batch norm and, unless it projects, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True):
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["convolution"] = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        parts["norm"] = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        if active:
            parts["activation"] = nn.ReLU6()
        super().__init__(parts)


class Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise, project 1x1; its own input is added where the sizes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        width = inputs * expansion
        self.expand = Unit(inputs, width, 1) if expansion > 1 else None
        self.depthwise = Unit(width, width, kernel, stride, groups=width)
        self.project = Unit(width, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inside = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(inside))
        return out + x if self.residual else out


class EfficientNetLite0(nn.Module):
    """(input, channel=3, y, x), normalized -> logits (input, class=1000)."""

    def __init__(self, classes: int = 1000):
        super().__init__()
        self.stem = Unit(3, 32, 3, 2)
        names, channels = iter(BLOCKS), 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for i in range(repeats):
                block = Block(channels, outputs, kernel, 1 if i else stride, expansion)
                self.add_module(next(names), block)
                channels = outputs
        self.head = Unit(channels, 1280, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for name in BLOCKS:
            x = getattr(self, name)(x)
        return self.classifier(self.pool(self.head(x)).flatten(1))


def build() -> nn.Module:
    return EfficientNetLite0()


def layer_names() -> dict[str, str]:
    """Return short name -> module path, which are equal here."""
    inside = [f"{b}.{part}" for b in BLOCKS for part in ("expand", "depthwise", "project") if (b, part) != SKIPPED]
    return {name: name for name in ("stem", *BLOCKS, *inside, "head")}


def kinds() -> dict[str, str]:
    """Return short name -> kind: "conv" at either end, "block", "inner" inside a block."""
    return {name: "inner" if "." in name else "block" if name in BLOCKS else "conv" for name in layer_names()}


def aliases() -> dict[str, str]:
    return {}


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the entries of the TensorFlow port; others are left as they are."""
    outside = {"_conv_stem": "stem.convolution", "_bn0": "stem.norm", "_conv_head": "head.convolution",
               "_bn1": "head.norm", "_fc": "classifier"}  # fmt: skip
    inside = {"_expand_conv": "expand.convolution", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.convolution",
              "_bn1": "depthwise.norm", "_project_conv": "project.convolution", "_bn2": "project.norm"}  # fmt: skip

    def rename(name: str) -> str:
        parts = name.split(".")
        if parts[0] == "_blocks" and len(parts) == 4 and parts[1].isdecimal() and int(parts[1]) < len(BLOCKS):
            return f"{BLOCKS[int(parts[1])]}.{inside.get(parts[2], parts[2])}.{parts[3]}"
        return ".".join((outside.get(parts[0], parts[0]), *parts[1:]))

    return {rename(name): value for name, value in state.items()}
